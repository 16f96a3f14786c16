# SPDX-License-Identifier: Apache-2.0
"""Opens the recordings of a merge and places them and their masks on one clock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, floor
from operator import attrgetter
from typing import NamedTuple

from audioengine.edits import (
    LAME_LATENESS,
    AppliedMask,
    Beep,
    Span,
    effective_delay,
    join,
    modification_of,
    resolve,
    untagged_notice,
)
from audioengine.errors import (
    AudioEngineError,
    InvalidRequestError,
    MalformedAudioError,
    NoRecordingError,
    Problem,
    StorageError,
    UnsupportedAudioError,
)
from audioengine.mp3.header import StreamFormat
from audioengine.notices import Notice
from audioengine.operations.options import MergeOptions
from audioengine.operations.recording import Recording, likely_delay, open_recording
from audioengine.operations.recording_ids import implausible_start
from audioengine.operations.transcripts import with_transcripts
from audioengine.parts import MergePart, TimedPart, timed
from audioengine.pcm.decode import Samples
from audioengine.plan.grid import FrameRange, Grid
from audioengine.plan.masks import plan_masks
from audioengine.plan.placing import PlacedPart
from audioengine.plan.spans import SpansByPlace
from audioengine.plan.stereo import CouplingReader
from audioengine.storage import S3Options
from audioengine.times import ms_to_samples, round_half_up


@dataclass(frozen=True, slots=True)
class Omitted:
    """A recording that could not be opened."""

    name: str
    reason: str


@dataclass(frozen=True)
class Member:
    """One recording of a merge."""

    timed: TimedPart
    recording: Recording
    placed: PlacedPart
    offset_ms: Fraction
    """From the earliest start."""
    warnings: tuple[Notice, ...]

    @property
    def name(self) -> str:
        """Its name in reports and messages."""
        return self.timed.name


@contextmanager
def opened_parts(
    parts: Sequence[MergePart], options: MergeOptions, s3: S3Options | None
) -> Iterator[tuple[list[tuple[TimedPart, Recording]], list[Omitted]]]:
    """Open all recordings in order of start; with ``missing="omit"`` unusable ones are left out.

    Raises InvalidRequestError for an invalid request or if no recording is left, and StorageError,
    MalformedAudioError or UnsupportedAudioError for a recording.
    """
    with ExitStack() as stack:
        there: list[tuple[TimedPart, Recording]] = []
        omitted: list[Omitted] = []
        for asked in timed(parts):
            part = _told(asked, options, s3)
            found = _open(part, stack, options, s3)
            if isinstance(found, Omitted):
                omitted.append(found)
            else:
                there.append((part, found))
        check_not_all(there, omitted)
        yield there, omitted


def _told(part: TimedPart, options: MergeOptions, s3: S3Options | None) -> TimedPart:
    """The part with the masks of its transcripts.

    Raises InvalidRequestError and StorageError, also with ``missing="omit"``: a missing transcript
    is no reason to omit its recording.
    """
    try:
        modification = with_transcripts(part.part.modification, options, s3)
    except InvalidRequestError as error:
        paths = [replace(one, path=_path_of(one, part)) for one in error.problems]
        raise InvalidRequestError(paths) from None
    return replace(part, part=replace(part.part, modification=modification))


def check_not_all(there: Sequence[object], omitted: Sequence[Omitted]) -> None:
    """Raise InvalidRequestError where all recordings are omitted."""
    if not there:
        reasons = "; ".join(f"{one.name}: {one.reason}" for one in omitted)
        rule = f"must have a recording that can be decoded: {reasons}"
        raise InvalidRequestError.of("parts", f"{len(omitted)} omitted", rule)


def _open(
    part: TimedPart, stack: ExitStack, options: MergeOptions, s3: S3Options | None
) -> Recording | Omitted:
    try:
        source = open_recording(part.part.source, allow_truncated=options.allow_truncated, s3=s3)
        return stack.enter_context(source)
    except NoRecordingError as error:  # already names the recording
        if options.missing == "fail":
            raise
        return Omitted(part.name, str(error))
    except (StorageError, MalformedAudioError, UnsupportedAudioError) as error:
        # A retryable failure is no reason to omit half a conversation for good.
        if options.missing == "fail" or error.retryable:
            raise named(error, part.name) from error
        return Omitted(part.name, str(error))


class UndecodablePartError(Exception):
    """A recording that opened but could not be decoded."""

    def __init__(self, number: int, error: MalformedAudioError | UnsupportedAudioError) -> None:
        super().__init__(str(error))
        self.number = number
        self.error = error


def decoded_or_named(number: int, recording: Recording, start: int, end: int) -> Samples:
    """Return raw samples of recording `number` of a merge.

    Raises UndecodablePartError.
    """
    try:
        (pcm,) = recording.read_pcm([Span(start, end)])
    except (MalformedAudioError, UnsupportedAudioError) as error:
        raise UndecodablePartError(number, error) from error
    return pcm


def named(
    error: StorageError | MalformedAudioError | UnsupportedAudioError, name: str
) -> AudioEngineError:
    """Return the same error with the recording's name in its message."""
    message = f"{name}: {error}"
    if isinstance(error, StorageError):
        return StorageError(message, retryable=error.retryable)
    renamed = type(error)(message)
    renamed.offset = error.offset
    return renamed


def output_format(recordings: Sequence[Recording]) -> StreamFormat:
    """The highest rate of all recordings; stereo if any of them is stereo."""
    formats = [recording.index.format for recording in recordings]
    fastest = max(formats, key=attrgetter("rate_hz"))
    return replace(fastest, channels=max(format.channels for format in formats))


def placed_members(
    recordings: Sequence[tuple[TimedPart, Recording]],
    rate_hz: int,
    options: MergeOptions,
) -> list[Member]:
    """Place open recordings, in order of start, on one clock.

    Raises InvalidRequestError naming every wrong field of their modifications.
    """
    problems: list[Problem] = []
    earliest = recordings[0][0].start_ms
    members = []
    for part, recording in recordings:
        offset_ms = part.start_ms - earliest
        members += _place_or_say(part, recording, offset_ms, rate_hz, options, problems)
    if problems:
        raise InvalidRequestError(problems)
    if options.mask_scope == "conference":
        members = _with_conference_masks(members, options.beep)
    return [_with_masks(member, options) for member in members]


def _place_or_say(
    part: TimedPart,
    recording: Recording,
    offset_ms: Fraction,
    rate_hz: int,
    options: MergeOptions,
    problems: list[Problem],
) -> list[Member]:
    """The placed recording in a list; an empty list, with problems added, if an edit is wrong."""
    try:
        return [_place(part, recording, offset_ms, rate_hz, options)]
    except InvalidRequestError as error:
        problems += [replace(one, path=_path_of(one, part)) for one in error.problems]
        return []


def _path_of(problem: Problem, part: TimedPart) -> str:
    own = problem.path == "encoder_delay"
    return f"{part.path}.{problem.path}" if own else f"{part.path}.modification.{problem.path}"


def _place(
    part: TimedPart, recording: Recording, offset_ms: Fraction, rate_hz: int, options: MergeOptions
) -> Member:
    index = recording.index
    modification = options.completed(modification_of(part.part.modification))
    delay = effective_delay(part.part.encoder_delay, tells_delay=index.tells_delay)
    likely = LAME_LATENESS if index.tells_delay else likely_delay(recording)
    edits = resolve(
        modification,
        rate_hz=index.format.rate_hz,
        samples=index.samples,
        tagged=index.tells_delay,
        start_time_ms=part.part.start_time_ms,
        encoder_delay=delay,
        likely_delay=likely,
    )
    if options.mask_dtmf:
        from audioengine.operations.tones import with_tones

        edits = with_tones(edits, recording, options)
    if edits.masks:
        options.beep.check_rate(index.format.rate_hz)
    warnings = [*recording.warnings, *edits.warnings]
    if not index.tells_delay:
        codes = {notice.code for notice in warnings}
        notice = untagged_notice(index.format.rate_hz, delay, likely, "Start times")
        warnings += [notice] if notice.code not in codes else []
    warnings += implausible_start(part.part.recording_id, part.start_ms)
    placed = PlacedPart(
        index=index,
        edits=edits,
        masks=(),
        masked=((),) * index.format.channels,
        rate_hz=rate_hz,
        offset=round_half_up(ms_to_samples(offset_ms, rate_hz)),
        zero=0 if index.tells_delay else delay,
    )
    if not placed.audio.length:
        rule = "must leave at least one sample of the recording"
        raise InvalidRequestError.of("encoder_delay", delay, rule)
    conferences = []
    for number, segment in enumerate(part.segments_ms):
        span = _on_timeline(segment, part.start_ms - offset_ms, placed)
        if not span.clipped(placed.audio).length:
            where = f"conference_segments[{number}]"
            message = f"{where} lies outside what the recording plays; it is ignored."
            warnings.append(Notice("conference_outside", message))
        else:
            conferences.append(span)
    placed = replace(placed, conferences=tuple(conferences))
    return Member(part, recording, placed, offset_ms, tuple(warnings))


def _on_timeline(
    segment: tuple[Fraction, Fraction | None], earliest: Fraction, placed: PlacedPart
) -> Span:
    start, end = segment
    first = round_half_up(ms_to_samples(start - earliest, placed.rate_hz))
    if end is None:
        return Span(first, max(first, placed.audio.end))
    return Span(first, round_half_up(ms_to_samples(end - earliest, placed.rate_hz)))


def _with_conference_masks(members: Sequence[Member], beep: Beep) -> list[Member]:
    """Apply each recording's masks also to all others that list a conference there."""
    masks = [
        _TimedMask(number, mask, *member.placed.time_of(mask.applied))
        for number, member in enumerate(members)
        for mask in member.placed.edits.masks
    ]
    by_place = SpansByPlace(
        {place: Span(floor(mask.start), ceil(mask.end)) for place, mask in enumerate(masks)}
    )
    return [
        replace(member, placed=_with_masks_of_others(number, member.placed, masks, by_place, beep))
        for number, member in enumerate(members)
    ]


class _TimedMask(NamedTuple):
    """A mask, its recording's number, and its exact position on the timeline."""

    recording: int
    mask: AppliedMask
    start: Fraction
    end: Fraction


def _with_masks_of_others(
    number: int,
    placed: PlacedPart,
    masks: Sequence[_TimedMask],
    by_place: SpansByPlace,
    beep: Beep,
) -> PlacedPart:
    """Add the masks of other recordings where this one lists a conference."""
    whole = Span(0, placed.index.samples)
    more: list[AppliedMask] = []
    shared = [
        (place, conference)
        for conference in join(placed.conferences)
        for place in by_place.inside(conference)
        if masks[place].recording != number
    ]
    for place, conference in sorted(shared):
        _, mask, start, end = masks[place]
        first = max(start, Fraction(conference.start))
        span = placed.samples_around(first, min(end, Fraction(conference.end)))
        if span.clipped(whole).length:
            more.append(AppliedMask(mask.party, span, span.clipped(whole)))
    if more:
        beep.check_rate(placed.index.format.rate_hz)
    return replace(placed, edits=replace(placed.edits, masks=(*placed.edits.masks, *more)))


def _with_masks(member: Member, options: MergeOptions) -> Member:
    placed, index = member.placed, member.placed.index
    played = Span(index.start + placed.edits.trim.start, index.start + placed.edits.trim.end)
    planned = plan_masks(
        index,
        placed.edits.masks,
        played,
        Grid(0, FrameRange(0, index.frames), 0, 0),
        CouplingReader(member.recording.source, index),
        caller_channel=options.caller_channel,
        shared_frames=options.shared_frames,
    )
    placed = replace(
        placed,
        masks=planned.masks,
        masked=planned.masked,
        obstacle=planned.fallbacks[0] if planned.fallbacks else None,
    )
    return replace(member, placed=placed, warnings=(*member.warnings, *planned.warnings))
