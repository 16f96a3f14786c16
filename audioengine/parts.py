# SPDX-License-Identifier: Apache-2.0
"""The request for a merge: recordings, their start times, and their conference segments."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass
from fractions import Fraction

from audioengine.declaration import Whole
from audioengine.edits import ENCODER_DELAY, Modification, modification_of
from audioengine.errors import InvalidRequestError, LimitError, Problem
from audioengine.storage import SourceLike
from audioengine.times import MAX_EPOCH_MS, MIN_EPOCH_MS, Number, exact_or_none

MAX_PARTS = 1000
"""The most recordings in one merge."""
MAX_SEGMENTS = 10_000
"""The most conference segments in one merge, over all its recordings."""


@dataclass(frozen=True, slots=True)
class ConferenceSegment:
    """A stretch of time in which a recording held a conference."""

    start_time_ms: Number
    """Epoch time."""
    end_time_ms: Number | None = None
    """Epoch time; None: until the recording ends."""
    aor: str | None = None
    """The participant, as the recorder names them; ignored."""
    state: str | None = None
    """``active`` or ``stopped``; ignored."""


@dataclass(frozen=True, slots=True)
class MergePart:
    """One recording of a merge."""

    source: SourceLike
    start_time_ms: Number
    """Epoch time of the recording's start. Its masks and conferences count from there too."""
    conference_segments: Sequence[ConferenceSegment] = ()
    modification: Modification | None = None
    """Masks and trim of this recording, on its own clock; trimmed audio becomes silence."""
    recording_id: str | None = None
    """Its name in reports and messages; by default the path, or its number in the list."""
    state: str | None = None
    """``active`` while the recording goes on; such a recording is refused."""
    encoder_delay: int = 0
    """The encoder delay of a source without one in its tag, in samples: the start time is that of
    the sample after it. A number is refused where the tag has one, unless it is `IfUntagged`."""


@dataclass(frozen=True, slots=True)
class TimedPart:
    """A part whose fields were checked, with exact times."""

    part: MergePart
    name: str
    path: str
    """Its path in the request, for messages."""
    start_ms: Fraction
    segments_ms: tuple[tuple[Fraction, Fraction | None], ...]


def timed(parts: Sequence[MergePart]) -> tuple[TimedPart, ...]:
    """The parts in order of start; parts that start together keep their order.

    Raises InvalidRequestError naming every wrong field, and LimitError for more than MAX_PARTS or
    MAX_SEGMENTS.
    """
    problems: list[Problem] = []
    if isinstance(parts, (str, bytes)) or not isinstance(parts, Iterable):
        raise InvalidRequestError.of("parts", parts, "must be a list of MergeParts")
    parts = tuple(parts)
    segments = [part.conference_segments for part in parts if isinstance(part, MergePart)]
    check_counts(len(parts), sum(len(some) for some in segments if isinstance(some, Sized)))
    if not parts:
        problems.append(Problem("parts", "none", "must name at least one recording"))
    out = []
    for number, part in enumerate(parts):
        path = f"parts[{number}]"
        if not isinstance(part, MergePart):
            problems.append(Problem(path, part, "must be a MergePart"))
            continue
        out.append(_timed(part, number, path, problems))
    _refuse_repeats(out, problems)
    if problems:
        raise InvalidRequestError(problems)
    return tuple(sorted(out, key=lambda part: part.start_ms))


def check_counts(parts: int, segments: int) -> None:
    """Raise LimitError for more recordings or segments than a merge may have."""
    if parts > MAX_PARTS:
        raise LimitError(f"the merge has {parts} recordings, at most {MAX_PARTS} are allowed")
    if segments > MAX_SEGMENTS:
        raise LimitError(
            f"the merge has {segments} conference segments, at most {MAX_SEGMENTS} are allowed"
        )


def _timed(part: MergePart, number: int, path: str, problems: list[Problem]) -> TimedPart:
    start = _epoch_ms(part.start_time_ms, f"{path}.start_time_ms", problems)
    try:
        Whole().judge(part.encoder_delay, f"{path}.encoder_delay", ENCODER_DELAY)
    except InvalidRequestError as error:
        problems += error.problems
    problems += _problems_of(part.modification, f"{path}.modification")
    if part.recording_id is not None and not isinstance(part.recording_id, str):
        problems.append(Problem(f"{path}.recording_id", part.recording_id, "must be text or None"))
    if part.state == "active":
        rule = "must not be active: a merge needs finished recordings"
        problems.append(Problem(f"{path}.state", part.state, rule))
    segments = []
    for place, segment in enumerate(_segments(part, path, problems)):
        at = f"{path}.conference_segments[{place}]"
        if not isinstance(segment, ConferenceSegment):
            problems.append(Problem(at, segment, "must be a ConferenceSegment"))
            continue
        begins = _epoch_ms(segment.start_time_ms, f"{at}.start_time_ms", problems)
        ends = None
        if segment.end_time_ms is not None:
            ends = _epoch_ms(segment.end_time_ms, f"{at}.end_time_ms", problems)
            if begins and ends and ends <= begins:
                rule = f"must be more than start_time_ms, {segment.start_time_ms}"
                problems.append(Problem(f"{at}.end_time_ms", segment.end_time_ms, rule))
        segments.append((begins, ends))
    return TimedPart(part, _name(part, number), path, start, tuple(segments))


def _segments(part: MergePart, path: str, problems: list[Problem]) -> Iterable[object]:
    """The part's segments; none, with a problem added, if they are no list."""
    segments: object = part.conference_segments or ()
    if isinstance(segments, (str, bytes, Mapping)) or not isinstance(segments, Iterable):
        rule = "must be a list of ConferenceSegments"
        problems.append(Problem(f"{path}.conference_segments", segments, rule))
        return ()
    return segments


def _problems_of(modification: object, path: str) -> Sequence[Problem]:
    try:
        modification_of(modification, path)
    except InvalidRequestError as error:
        return error.problems
    return ()


def _epoch_ms(value: Number, path: str, problems: list[Problem]) -> Fraction:
    """The exact time; zero, with a problem added, if `value` is no epoch time."""
    time = exact_or_none(value, path, problems)
    if time is not None and not MIN_EPOCH_MS < time < MAX_EPOCH_MS:
        rule = "must be epoch milliseconds, more than 10^11 and less than 10^14"
        problems.append(Problem(path, value, rule))
        return Fraction(0)
    return time or Fraction(0)


def _name(part: MergePart, number: int) -> str:
    if part.recording_id is not None:
        return str(part.recording_id)
    if isinstance(part.source, (str, os.PathLike)):
        return os.fsdecode(part.source)
    return f"part {number + 1}"


def _refuse_repeats(parts: Sequence[TimedPart], problems: list[Problem]) -> None:
    """Refuse a recording that is given twice: it would be heard twice."""
    names: dict[str, str] = {}
    sources: dict[object, str] = {}
    for part in parts:
        name, source = part.part.recording_id, part.part.source
        if name is not None and names.setdefault(name, part.path) != part.path:
            rule = f"must differ from the recording of {names[name]}"
            problems.append(Problem(f"{part.path}.recording_id", name, rule))
        same: object = id(source)
        opened = getattr(source, "name", None)
        if isinstance(opened, str):
            same = os.path.realpath(opened)
        if isinstance(source, (str, os.PathLike)):
            same = os.path.realpath(source)
        elif isinstance(source, (bytes, bytearray, memoryview)):
            same = bytes(source)
        if sources.setdefault(same, part.path) != part.path:
            shown = part.name if isinstance(source, (str, os.PathLike)) else "the same bytes"
            rule = f"must differ from the recording of {sources[same]}"
            problems.append(Problem(f"{part.path}.source", shown, rule))
