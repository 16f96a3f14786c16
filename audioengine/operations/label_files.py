# SPDX-License-Identifier: Apache-2.0
"""`read_labels` and `read_events` read where to mask; `labels_file` writes what was masked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import closing
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeAlias

from audioengine.choices import CallerChannel
from audioengine.edits import MaskParty
from audioengine.errors import InvalidRequestError, LimitError
from audioengine.json_input import parse_object
from audioengine.redaction.events import LEAD_MS, PausedTime, parse_events
from audioengine.redaction.finding import Findings, Guard, is_kind
from audioengine.redaction.labels.label import Label
from audioengine.redaction.labels.reading import LabelFormat, parse_labels, write_labels
from audioengine.storage import S3Options, SourceLike, open_source
from audioengine.times import Number

_KIND = "mask"
MAX_BYTES = 16 << 20
"""The largest file of labels or events, or report; an hour of any takes a hundredth."""


def read_labels(
    place: SourceLike,
    *,
    format: LabelFormat | None = None,
    caller_channel: CallerChannel = "left",
    s3: S3Options | None = None,
) -> Findings:
    """Read labels of Audacity, CSV, WebVTT, Praat's TextGrid or Label Studio's JSON.

    A label names the party to mask (caller, callee or both) in its text (``caller: card number``),
    in the column ``party``, in the cue's voice or in the tier's name. A label without a party masks
    both.

    place: a path, s3://bucket/key, bytes, or a readable binary file object.
    format: the format of the file; None detects it.
    caller_channel: the channel that holds the caller, for formats with channels.

    Raises InvalidRequestError, which names the lines, for an unknown party, an invalid time and
    anything that is not of the format; LimitError and StorageError.
    """
    return parse_labels(_bytes_of(place, s3), format, caller_channel=caller_channel)


def read_events(
    place: SourceLike,
    start_time_ms: Number,
    *,
    names: Mapping[str, str] | None = None,
    lead_ms: Guard = LEAD_MS,
    paused_time: PausedTime = "kept",
    s3: S3Options | None = None,
) -> Findings:
    """Read the events of an agent's desktop or a recorder, as CSV or JSON Lines.

    Each event has ``time`` (ISO 8601 with a zone, or epoch milliseconds), ``event`` and, if it
    concerns one party, ``party``. Everything from pause to resume, from mask to unmask and from
    keydown to keyup is masked. If one of a pair is missing, the mask reaches to the next event or
    to the recording's start or end, with a warning.

    place: a path, s3://bucket/key, bytes, or a readable binary file object.
    start_time_ms: when the recording began, in epoch milliseconds.
    names: maps the file's names of events to the names above: ``{"suspend": "pause"}``.
    lead_ms: widens pauses and masks on both sides, or (before, after), because agents press late.
    paused_time: "removed" if the recorder leaves paused time out of the recording.

    Raises InvalidRequestError, which names the lines, LimitError and StorageError.
    """
    return parse_events(
        _bytes_of(place, s3), start_time_ms, names=names, lead_ms=lead_ms, paused_time=paused_time
    )


def labels_of(report: Mapping[str, Any]) -> tuple[list[Label], Fraction]:
    """The masks of a report of an edit, a merge or a plan as labels, and its end in seconds.

    report: the report's JSON values. The labels of a merge are on its timeline.

    Raises InvalidRequestError if it is no such report.
    """
    edited, clock = {"report": report}, "applied"
    if isinstance(report.get("parts"), (list, tuple)):
        edited = {f"report.parts[{place}]": part for place, part in enumerate(report["parts"])}
        clock = "timeline"
    labels = [label for path, one in edited.items() for label in _labels(path, one, clock)]
    return labels, _length(report.get("output" if "parts" in report else "source"))


def _length(file: object) -> Fraction:
    """The duration of a report's file in seconds; 0 if the report has none."""
    samples, rate_hz = (
        (file.get("samples"), file.get("rate_hz")) if isinstance(file, dict) else (None, None)
    )
    if isinstance(samples, int) and isinstance(rate_hz, int) and rate_hz > 0:
        return Fraction(samples, rate_hz)
    return Fraction(0)


def _labels(path: str, edited: object, clock: str) -> list[Label]:
    masks = edited.get("masks") if isinstance(edited, Mapping) else None
    if not isinstance(edited, Mapping) or not isinstance(masks, (list, tuple)):
        rule = "must be masks, as in a report of store, merge or plan"
        raise InvalidRequestError.of(f"{path}.masks", f"<{type(masks).__name__}>", rule)
    found = _found(edited)
    labels = []
    for number, mask in enumerate(masks):
        try:
            party = _party(mask["party"])
            own = [_seconds(bound) for bound in mask["applied" if found else clock]["ms"]]
            start, end = (_seconds(bound) for bound in mask[clock]["ms"])
        except (KeyError, TypeError, ValueError):
            rule = f"must have party and {clock}.ms, as reports have"
            raise InvalidRequestError.of(f"{path}.masks[{number}]", "<mask>", rule) from None
        labels.append(Label(party, start, end, _kind(party, own, found)))
    return labels


_Found: TypeAlias = list[tuple[str, Fraction, Fraction | None, str]]
"""Party, start, end and kind of stretches from files."""


def _found(edited: Mapping[str, Any]) -> _Found:
    """The stretches with kinds that a report names."""
    try:
        return [
            (
                one["party"],
                Fraction(str(one["start_s"] or 0)),
                None if one["end_s"] is None else Fraction(str(one["end_s"])),
                one["kind"],
            )
            for file in edited.get("findings", ())
            for one in file["stretches"]
            if is_kind(one["kind"])
        ]
    except (KeyError, TypeError, ValueError):
        rule = "must be findings, as in a report of store, merge or plan"
        raise InvalidRequestError.of("report.findings", "<findings>", rule) from None


def _kind(party: MaskParty, mask: list[Fraction], found: _Found) -> str:
    """The kind of the first stretch that a mask covers some of."""
    for whose, start, end, kind in found:
        if whose == party and start < mask[1] and (end is None or mask[0] < end):
            return kind
    return _KIND


def labels_file(report: Mapping[str, Any], format: LabelFormat) -> tuple[bytes, int]:
    """The masks of a report as a file of labels, and the number of labels.

    Raises what `labels_of` does.
    """
    labels, end = labels_of(report)
    return write_labels(labels, format, end), len(labels)


def read_report(place: SourceLike, s3: S3Options | None = None) -> dict[str, Any]:
    """Read the JSON of a report.

    Raises InvalidRequestError, LimitError and StorageError.
    """
    return parse_object(_bytes_of(place, s3), "report", "the JSON of a report")


def _party(party: object) -> MaskParty:
    if party not in ("caller", "callee", "both"):
        raise ValueError
    return party


def _seconds(ms: object) -> Fraction:
    if isinstance(ms, bool) or not isinstance(ms, (int, float, Decimal)) or not math.isfinite(ms):
        raise TypeError
    return Fraction(str(ms)) / 1000


def _bytes_of(place: SourceLike, s3: S3Options | None) -> bytes:
    with closing(open_source(place, s3)) as source:
        if source.size > MAX_BYTES:
            message = f"the file has {source.size:,} bytes, at most {MAX_BYTES:,} are allowed"
            raise LimitError(message)
        return source.read(0, source.size)
