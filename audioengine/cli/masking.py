# SPDX-License-Identifier: Apache-2.0
"""Options that say where to mask by a file: labels, events; and the one that keeps one party."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import click
from click.core import ParameterSource

from audioengine.cli.declared import read_pair
from audioengine.edits import Interval, Modification, Party
from audioengine.operations.options import StoreOptions
from audioengine.storage.options import S3Options
from audioengine.times import Number


@dataclass(frozen=True, slots=True)
class Masking:
    """What these options say."""

    masks: tuple[str, ...] = ()
    events: str | None = None
    event_names: Mapping[str, str] | None = None
    events_lead_ms: Number | tuple[Number, Number] | None = None
    paused_time: str | None = None
    keep: Party | None = None


def _read_names(
    _ctx: click.Context, _option: click.Parameter, texts: Sequence[str]
) -> dict[str, str]:
    names = {}
    for text in texts:
        name, equals, meant = text.partition("=")
        if not equals or not name or not meant:
            raise click.BadParameter(f"{text!r} must be NAME=EVENT, for instance suspend=pause.")
        names[name] = meant
    return names


MASKING_OPTIONS = (
    click.option(
        "--masks",
        multiple=True,
        metavar="FILE",
        help="Mask what a file of labels marks: Audacity, CSV (party,from,to,label), WebVTT, Praat "
        "TextGrid or Label Studio JSON. May be repeated.",
    ),
    click.option(
        "--events",
        metavar="FILE",
        help="Mask from pause to resume, mask to unmask, keydown to keyup: CSV or JSON Lines with "
        "time, event and party. Needs --start-time-ms.",
    ),
    click.option(
        "--event-names",
        multiple=True,
        callback=_read_names,
        metavar="NAME=EVENT",
        help="What an event is called in --events: suspend=pause. May be repeated.",
    ),
    click.option(
        "--events-lead-ms",
        callback=read_pair,
        metavar="MS[,MS]",
        help="Widen pauses and masks of --events on both sides, or before and after: agents press "
        "late. Default 2000,500.",
    ),
    click.option(
        "--paused-time",
        type=click.Choice(["kept", "removed"]),
        help="removed: the recorder left paused time out, so what follows lies earlier. Default "
        "kept.",
    ),
    click.option(
        "--keep",
        type=click.Choice(["caller", "callee"]),
        help="Keep this party alone: silence the other all through. Masks are silent then, unless "
        "--fill says else.",
    ),
)
"""They count for one recording."""


def take_masking(asked: dict[str, Any]) -> Masking:
    """Take what the command line says of these options out of `asked`.

    Raises click.UsageError for options that need another.
    """
    names = ("masks", "events", "event_names", "events_lead_ms", "paused_time", "keep")
    said = Masking(**{name: asked.pop(name) for name in names if name in asked})
    if said.events is None:
        for name in ("event_names", "events_lead_ms", "paused_time"):
            if getattr(said, name):
                option = "--" + name.replace("_", "-")
                raise click.UsageError(f"{option} says how to read --events, which is not given.")
    return said


def with_masking(
    modification: Modification,
    said: Masking,
    options: StoreOptions,
    start_time_ms: Number | None,
    s3: S3Options | None,
) -> Modification:
    """Return a modification with the masks of files, and of the party that is not kept.

    Raises click.UsageError where events lack a start, and what is wrong with a file.
    """
    more = []
    if said.masks:
        from audioengine.operations.label_files import read_labels

        for place in said.masks:
            found = read_labels(place, caller_channel=options.caller_channel, s3=s3)
            more.append(found.modification(require_match=options.transcript.require_match))
    if said.events is not None:
        if start_time_ms is None:
            raise click.UsageError("--events needs --start-time-ms: when the recording began.")
        from audioengine.operations.label_files import read_events
        from audioengine.redaction.events import LEAD_MS

        found = read_events(
            said.events,
            start_time_ms,
            names=said.event_names,
            lead_ms=LEAD_MS if said.events_lead_ms is None else said.events_lead_ms,
            paused_time="removed" if said.paused_time == "removed" else "kept",
            s3=s3,
        )
        more.append(found.modification(require_match=options.transcript.require_match))
    if said.keep is not None:
        other = "callee" if said.keep == "caller" else "caller"
        more.append(Modification(mask={other: [Interval(0, None, f"--keep {said.keep}")]}))
    return modification.masked_too(more) if more else modification


def silenced(options: StoreOptions, said: Masking) -> StoreOptions:
    """Options that fill masks with silence where one party is kept, and nothing else is said."""
    context = click.get_current_context()
    if said.keep is None or context.get_parameter_source("fill") is not ParameterSource.DEFAULT:
        return options
    return replace(options, beep=replace(options.beep, fill="silence"))
