# SPDX-License-Identifier: Apache-2.0
"""The verb `merge`, and how its options name recordings and conferences."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import click

from audioengine.cli.declared import declared_options, read_number, read_options
from audioengine.cli.options import (
    S3_OPTIONS,
    check_redact,
    json_option,
    read_json,
    read_record,
    read_s3,
    read_transcript_file,
    record_options,
    with_options,
    workers_option,
)
from audioengine.declaration import Scope
from audioengine.edits import Modification, TranscriptFile
from audioengine.operations.options import MergeOptions
from audioengine.parts import ConferenceSegment, MergePart
from audioengine.storage.options import S3Options

_Callback = TypeVar("_Callback", bound=Callable[..., Any])

_CONFERENCE = re.compile(r"(?:(?P<id>.+)=)?(?P<start>[0-9.]+)-(?P<end>[0-9.]+)?")


@dataclass(frozen=True, slots=True)
class _Named:
    """One --part."""

    text: str
    id: str | None
    source: str
    start_ms: Decimal | None


@dataclass(frozen=True, slots=True)
class _Conference:
    """One --conference."""

    text: str
    id: str | None
    """None: of every recording."""
    segment: ConferenceSegment


def _read_parts(
    _ctx: click.Context, _option: click.Parameter, texts: Sequence[str]
) -> tuple[_Named, ...]:
    return tuple(map(_read_part, texts))


def _read_part(text: str) -> _Named:
    # The last @ separates, and the first = where no folder stands before it. What follows the last
    # @ may be left out.
    place, at, time = text.rpartition("@")
    start = None
    if at and re.fullmatch(r"(-?[0-9.]+)?", time):
        start = read_number(time) if time else None
        if Path(text).exists():
            hint = f"write {text}@MS for that file, or {text}@ without a time"
            raise click.BadParameter(f"{text!r} is the name of a file too: {hint}.")
    else:
        place, at, time = text, "", ""
    name, equals, source = place.partition("=")
    if not equals or "/" in name:
        return _Named(text, None, place, start)
    if Path(place).exists():
        hint = f"write ./{place}{at}{time} for that file, or {name}=./{source}{at}{time} for the"
        raise click.BadParameter(
            f"{place!r} is the name of a file too: {hint} one that is called {name} here."
        )
    if not name or not source:
        hint = "A name that has = is written ./NAME@MS, and one that ends in @ and digits NAME@MS"
        raise click.BadParameter(f"{text!r} must be FILE@MS or ID=FILE@MS. {hint} or NAME@.")
    return _Named(text, name, source, start)


def _read_conferences(
    _ctx: click.Context, _option: click.Parameter, texts: Sequence[str]
) -> tuple[_Conference, ...]:
    out = []
    for text in texts:
        found = _CONFERENCE.fullmatch(text)
        if found is None:
            hint = "must be FROM-TO or ID=FROM-TO in epoch milliseconds; FROM- lasts to the end"
            raise click.BadParameter(f"{text!r} {hint}.")
        end = None if found["end"] is None else read_number(found["end"])
        segment = ConferenceSegment(read_number(found["start"]), end)
        out.append(_Conference(text, found["id"], segment))
    return tuple(out)


def _read_transcripts(
    _ctx: click.Context, _option: click.Parameter, texts: Sequence[str]
) -> tuple[tuple[str, TranscriptFile], ...]:
    out = []
    for text in texts:
        name, equals, place = text.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{text!r} must be ID=FILE or ID=PARTY=FILE.")
        out.append((name, read_transcript_file(place)))
    return tuple(out)


_PART_OPTIONS = (
    click.option(
        "--part",
        "named",
        multiple=True,
        callback=_read_parts,
        metavar="[ID=]FILE@MS",
        help="A recording and when it began, in epoch milliseconds. May be repeated.",
    ),
    click.option(
        "--conference",
        "conferences",
        multiple=True,
        callback=_read_conferences,
        metavar="[ID=]FROM-TO",
        help="A conference, in epoch milliseconds, that every recording held, or the one with that "
        "ID. May be repeated.",
    ),
    click.option(
        "--command",
        callback=read_json,
        metavar="JSON|@FILE",
        help="A MERGERECORDINGS command: start times, conferences and masks are those of its "
        "toMerge, and --part says where each recordingId is.",
    ),
    click.option(
        "--transcript",
        "transcripts",
        multiple=True,
        callback=_read_transcripts,
        metavar="ID=[PARTY=]FILE",
        help="Mask in the recording with that ID what this transcript tells, of the kinds of "
        "--redact; PARTY speaks all of it. May be repeated.",
    ),
)


def part_options(*scopes: Scope) -> Callable[[_Callback], _Callback]:
    """Give a verb all options from which `read_merge` makes a request.

    scopes: in which options count beside those of any merge.
    """
    declared = declared_options(MergeOptions, ("edit", *scopes))
    return lambda verb: with_options(verb, (*_PART_OPTIONS, *declared, *S3_OPTIONS))


@dataclass(frozen=True, slots=True)
class MergeRequest:
    """What the command line asks of a merge."""

    parts: list[MergePart]
    options: MergeOptions
    s3: S3Options | None


def read_merge(
    *,
    named: Sequence[_Named],
    conferences: Sequence[_Conference],
    command: object,
    transcripts: Sequence[tuple[str, TranscriptFile]],
    kms_key: str | None,
    s3_region: str | None,
    s3_endpoint: str | None,
    **asked: Any,
) -> MergeRequest:
    """Make a request of the values of `part_options`.

    Raises click.UsageError for options that do not fit together, InvalidRequestError.
    """
    if not named:
        raise click.UsageError("Missing option '--part'.")
    parts = _parts(named, conferences) if command is None else _commanded(command, named)
    if command is not None and conferences:
        raise click.UsageError("--command lists the conferences: --conference can't be added.")
    parts = _with_transcripts(parts, transcripts)
    options = read_options(asked, MergeOptions())
    check_redact(options, transcripts or any(one.modification for one in parts))
    return MergeRequest(parts, options, read_s3(kms_key, s3_region, s3_endpoint))


@click.command(
    epilog="Example: audioengine merge out.mp3 --part a.mp3@1728890677283 "
    "--part b.mp3@1728890680444 --conference 1728890680444-1728890687255"
)
@click.argument("destination", metavar="DST")
@part_options("publish")
@record_options
@workers_option
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@json_option
def merge(
    destination: str,
    record: Path | None,
    pcm_digest: bool,
    workers: int | None,
    dry_run: bool,
    as_json: bool,
    **asked: Any,
) -> None:
    """Put recordings of one conversation onto one clock, in DST.

    Conferences are heard once, from the recording that started first; gaps are silent. DST appears
    whole or not at all.
    """
    request = read_merge(**asked)
    from audioengine.operations.merge import merge as run
    from audioengine.operations.merge import plan_merge

    if dry_run:
        planned = plan_merge(request.parts, request.options, s3=request.s3)
        click.echo(planned.to_json() if as_json else planned.text())
        return
    kept = read_record(record, pcm_digest)
    from audioengine.cli.progress import progress_bar

    with progress_bar(shown=not as_json) as progress:
        report = run(
            request.parts,
            destination,
            request.options,
            s3=request.s3,
            record=kept,
            workers=workers,
            progress=progress,
        )
    click.echo(report.to_json() if as_json else report.text(destination))


def _parts(named: Sequence[_Named], conferences: Sequence[_Conference]) -> list[MergePart]:
    ids = {part.id for part in named}
    unknown = [one.text for one in conferences if one.id is not None and one.id not in ids]
    if unknown:
        raise click.UsageError(f"--conference {unknown[0]} names no ID of a --part.")
    out = []
    for part in named:
        if part.start_ms is None:
            raise click.UsageError(
                f"--part {part.text} must say when the recording began: {part.text}@MS."
            )
        own = [one.segment for one in conferences if one.id in (None, part.id)]
        out.append(MergePart(part.source, part.start_ms, own, recording_id=part.id))
    return out


def _with_transcripts(
    parts: list[MergePart], transcripts: Sequence[tuple[str, TranscriptFile]]
) -> list[MergePart]:
    ids = {part.recording_id for part in parts}
    for name, file in transcripts:
        if name not in ids:
            raise click.UsageError(f"--transcript {name}={file.place} names no ID of a --part.")
    out = []
    for part in parts:
        own = tuple(file for name, file in transcripts if name == part.recording_id)
        if own:
            before = part.modification or Modification()
            after = replace(before, transcripts=before.transcripts + own)
            part = replace(part, modification=after)  # noqa: PLW2901
        out.append(part)
    return out


def _commanded(command: object, named: Sequence[_Named]) -> list[MergePart]:
    from audioengine.commands.requests import parse_to_merge

    entries, warnings = parse_to_merge(command)
    for warning in warnings:
        click.echo(f"Warning: {warning.message}", err=True)
    by_id: Mapping[str | None, _Named] = {part.id: part for part in named}
    if len(by_id) < len(named) or None in by_id:
        raise click.UsageError("With --command, each --part must be ID=FILE with an ID of its own.")
    known = {entry.recording_id for entry in entries}
    for part in named:
        if part.id not in known:
            raise click.UsageError(f"--part {part.text}: no recordingId of --command is {part.id}.")
        if part.start_ms is not None:
            raise click.UsageError(
                f"--part {part.text}: the start time comes from --command; leave out @MS."
            )
    out = []
    for entry in entries:
        found = by_id.get(entry.recording_id)
        if found is None:
            raise click.UsageError(f"--part {entry.recording_id}=FILE is missing.")
        out.append(
            MergePart(
                found.source,
                entry.start_time_ms,
                entry.conference_segments,
                entry.modification,
                entry.recording_id,
                entry.state,
            )
        )
    return out
