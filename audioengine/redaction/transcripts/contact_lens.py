# SPDX-License-Identifier: Apache-2.0
"""Transcribe Call Analytics and Amazon Connect Contact Lens: turns with roles, in milliseconds.

Contact Lens says where it redacted in both of its files, the raw one and the redacted one, but of
what kind that was only in the redacted one, and only where it was told to mask by type.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from audioengine.edits import Party
from audioengine.errors import InvalidRequestError
from audioengine.redaction.finding import Finding
from audioengine.redaction.transcripts import times
from audioengine.redaction.transcripts.model import (
    Reading,
    SpokenWord,
    Transcript,
    WordGatherer,
    mapping,
    objects,
)
from audioengine.times import Interval

NAME = "contact-lens"

_PLACEHOLDERS = re.compile(r"\[([A-Z][A-Z_]*)(?:_?\d{1,3})?\]")
_TOLERANCE_S = 1
"""How far a stamp may lie outside its turn; an old example of the vendor's has other zeros."""


def is_contact_lens(value: Any) -> bool:
    """Whether it is a file of either."""
    return isinstance(value, dict) and isinstance(value.get("Transcript"), list)


def read_contact_lens(value: dict[str, Any], reading: Reading) -> Transcript:
    """Read turns; whose they are is told by the agent's party."""
    participants = objects(value.get("Participants"), "Participants")
    roles = {
        one["ParticipantId"]: one.get("ParticipantRole")
        for one in participants
        if isinstance(one.get("ParticipantId"), str)
    }
    turns = objects(value["Transcript"], "Transcript")
    metadata = mapping(value.get("ContentMetadata"), "ContentMetadata")
    spoken: dict[Party | None, WordGatherer] = {}
    findings: list[Finding] = []
    marks = bool(metadata.get("RedactionTypes")) or metadata.get("Output") == "Redacted"
    for number, turn in enumerate(turns):
        at = f"Transcript[{number}]"
        role = turn.get("ParticipantRole")
        if role is None:
            name = turn.get("ParticipantId")
            role = roles.get(name, name) if isinstance(name, str) else name
        party = reading.of_role(role, f"{at}.ParticipantRole")
        items = objects(turn.get("Items"), f"{at}.Items")
        findings += _of_turn(turn, items, at, party, reading)
        _gather(turn, items, at, spoken.setdefault(party, WordGatherer(party)))
    streams = [
        stream for one in spoken.values() if one.words for stream in one.streams(times.milliseconds)
    ]
    return Transcript(streams, findings, marks or bool(findings))


def _gather(
    turn: dict[str, Any], items: list[dict[str, Any]], at: str, spoken: WordGatherer
) -> None:
    spoken.begin(turn.get("BeginOffsetMillis"), turn.get("EndOffsetMillis"))
    for place, item in enumerate(items):
        if item.get("Type") != "punctuation" and "Redaction" not in item:
            start, end = item.get("BeginOffsetMillis"), item.get("EndOffsetMillis")
            spoken.add(SpokenWord(item.get("Content", ""), start, end), f"{at}.Items", place)
    content = turn.get("Content")
    if not items and isinstance(content, str):
        # What was taken out has its own times, or was refused.
        spoken.add_text(_PLACEHOLDERS.sub(" ", content), f"{at}.Content")


def _of_turn(
    turn: dict[str, Any],
    items: list[dict[str, Any]],
    at: str,
    party: Party | None,
    reading: Reading,
) -> list[Finding]:
    """What a turn marks: its stamps, with the kinds that its items or its text tell."""
    of_items = _of_items(items, f"{at}.Items", party, reading)
    redaction = mapping(turn.get("Redaction"), f"{at}.Redaction")
    stamps = _stamps(redaction.get("RedactedTimestamps"), f"{at}.Redaction.RedactedTimestamps")
    content = turn.get("Content")
    kinds = _PLACEHOLDERS.findall(content) if isinstance(content, str) else []
    known = max(len(stamps), len({one.path for one in of_items}))
    if known < len(kinds):
        rule = (
            f"must have a time for each of the {len(kinds)} stretches that Content leaves out, "
            f"and has {known}: what is not known can't be masked"
        )
        raise InvalidRequestError.of(f"{at}.Redaction.RedactedTimestamps", known, rule)
    findings = list(of_items)
    for place, (path, interval) in enumerate(stamps):
        _check_turn(turn, interval, at, path)
        if any(_covers(one, interval) for one in of_items):
            continue
        # Without as many names as stamps nothing says which is whose.
        kind = kinds[place] if len(kinds) == len(stamps) else None
        findings.append(reading.finding(party, interval, kind, None, path))
    return findings


def _of_items(
    items: list[dict[str, Any]], at: str, party: Party | None, reading: Reading
) -> list[Finding]:
    out = []
    for place, item in enumerate(items):
        if "Redaction" not in item:
            continue
        path = f"{at}[{place}]"
        value = item["Redaction"]
        redactions = objects(value if isinstance(value, list) else [value], f"{path}.Redaction")
        interval = _interval(item, path)
        for one in redactions or [{}]:
            kind = one.get("Type") or one.get("Category")
            confidence = times.confidence(one.get("Confidence"))
            out.append(reading.finding(party, interval, kind, confidence, path))
    return out


def _stamps(value: Any, at: str) -> list[tuple[str, Interval]]:
    """The stamps, in a list or in a list of lists."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise InvalidRequestError.of(at, f"<{type(value).__name__}>", "must be a list")
    out: list[tuple[str, Interval]] = []
    for place, one in enumerate(value):
        path = f"{at}[{place}]"
        if isinstance(one, list):
            inner = objects(one, path)
            out += [
                (f"{path}[{i}]", _interval(each, f"{path}[{i}]")) for i, each in enumerate(inner)
            ]
        else:
            out.append((path, _interval(objects([one], path)[0], path)))
    return out


def _interval(value: dict[str, Any], path: str) -> Interval:
    return Interval(
        times.milliseconds(value.get("BeginOffsetMillis"), f"{path}.BeginOffsetMillis"),
        times.milliseconds(value.get("EndOffsetMillis"), f"{path}.EndOffsetMillis"),
    )


def _check_turn(turn: dict[str, Any], interval: Interval, at: str, path: str) -> None:
    """Raise InvalidRequestError where a stamp is not of its turn: it has another zero then."""
    own = _interval(turn, at)
    start, end = (Decimal(one or 0) for one in (interval.start, interval.end))
    first, last = (Decimal(one or 0) for one in (own.start, own.end))
    if start < first - _TOLERANCE_S or end > last + _TOLERANCE_S:
        shown = f"{start} to {end} s"
        rule = f"must lie in its turn, {first} to {last} s: its times have another zero"
        raise InvalidRequestError.of(path, shown, rule)


def _covers(finding: Finding, interval: Interval) -> bool:
    """Whether a finding with a kind covers a stretch."""
    start, end = (Decimal(one or 0) for one in (interval.start, interval.end))
    return finding.kind is not None and finding.start <= start and end <= (finding.end or 0)
