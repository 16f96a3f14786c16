# SPDX-License-Identifier: Apache-2.0
"""Plans a merge: the frames to copy from each recording, the silent frames, the re-made frames.

A frame is copied from a recording if that recording is heard alone over all samples that the
frame's coded data depends on, and if its frames fall on the output's grid. The recording with the
most frames to copy sets the grid.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain

from audioengine.choices import Align, Render
from audioengine.edits import Span, join, touching
from audioengine.mp3.header import StreamFormat
from audioengine.notices import Notice
from audioengine.plan.bitrate import nominal_bitrate
from audioengine.plan.conference import (
    ConferenceSpan,
    Hearing,
    Presence,
    silence_around,
    who_is_heard,
)
from audioengine.plan.grid import FrameRange, Grid, frames_within, overlapping, place
from audioengine.plan.layout import CopiedStretch, Layout, where_same
from audioengine.plan.obstacles import NEIGHBOURHOOD_FRAMES, obstacles
from audioengine.plan.placing import PlacedPart, apart
from audioengine.plan.rendering import Cause, RenderPlan, clusters_of
from audioengine.plan.seams import runs_of
from audioengine.plan.spans import frames_without, without
from audioengine.plan.windows import ReadWindows, SourceWindows


@dataclass(frozen=True)
class MergePlan(RenderPlan):
    """The plan for rendering a merge, with facts for its report."""

    parts: tuple[PlacedPart, ...]
    """The recordings in their final places."""
    stretches: tuple[ConferenceSpan, ...]
    """The recordings heard at each time, on the timeline."""
    hearing: Hearing
    """The same by recording."""
    origin: int
    """The raw sample of the output's frames at which the timeline begins."""
    owner: int | None
    """The recording that sets the output's frame grid; None if none is copied."""
    copied: tuple[CopiedStretch, ...]
    obstacles: Mapping[int, Notice]
    """Why a heard recording can't be copied from, by its number."""


def make_merge_plan(
    parts: Sequence[PlacedPart],
    format: StreamFormat,
    read_windows: Sequence[ReadWindows],
    *,
    align: Align = "sample",
    render: Render = "smart",
    no_room: Notice | None = None,
) -> MergePlan:
    """Plan a merge of recordings in order of start; at least one must have a sample.

    format: the format of the output; its rate is the recordings' highest.
    read_windows: by recording, returns the windows of its frames; called near re-made frames.
    no_room: why nothing can be copied, if an earlier rendering found that re-made frames do not fit
        beside copied ones; the frame grid stays the same.
    """
    excluded = {
        number: notice
        for number, part in enumerate(parts)
        if (notice := _never_copied(part, format)) is not None
    }
    while True:
        plan = _plan(parts, format, read_windows, align, render, excluded, no_room)
        damaged = _damaged(plan)
        if not damaged:
            return plan
        excluded |= damaged


def _never_copied(part: PlacedPart, format: StreamFormat) -> Notice | None:
    """Why a recording's frames can never be copied, wherever they lie; None if they can."""
    own = part.index.format
    if not part.index.frames:
        return Notice("encoded", "It is no MP3; its audio is encoded")
    if part.obstacle is not None:
        return part.obstacle
    if own.rate_hz != format.rate_hz:
        message = f"It is resampled from {own.rate_hz} Hz to {format.rate_hz} Hz"
        return Notice("resampled", message)
    if own != format:
        return Notice("mono", "It is mono, and the output is stereo")
    found = obstacles(part.index, ())
    return found[0] if found else None


def _plan(
    parts: Sequence[PlacedPart],
    format: StreamFormat,
    read_windows: Sequence[ReadWindows],
    align: Align,
    render: Render,
    excluded: Mapping[int, Notice],
    no_room: Notice | None,
) -> MergePlan:
    candidates = [n for n in range(len(parts)) if n not in excluded and render == "smart"]
    stretches = _stretches(parts)
    hearing = Hearing.of(stretches, len(parts))
    owner = _owner(parts, stretches, hearing, candidates)
    obstacles = dict(excluded)
    if owner is not None:
        others = {n: _other_mode(parts[n], parts[owner]) for n in candidates}
        obstacles |= {number: notice for number, notice in others.items() if notice}
        candidates = [number for number in candidates if number not in obstacles]
    if owner is not None and align == "frame":
        parts = _aligned(parts, owner, candidates)
        stretches = _stretches(parts)
        hearing = Hearing.of(stretches, len(parts))
    origin = 0
    if owner is None:
        candidates = []
    else:
        spf, raw_zero = format.samples_per_frame, parts[owner].raw_zero
        origin = -raw_zero if raw_zero <= 0 else -raw_zero % spf
        candidates = [
            number for number in candidates if (parts[number].raw_zero + origin) % spf == 0
        ]
    total = stretches[-1].span.end
    kept = Span(origin, origin + total)
    grid = place(format, kept)
    if grid.origin:
        # It is so short that its grid begins with it.
        owner, candidates = None, []
    if no_room is not None:
        obstacles |= dict.fromkeys(candidates, no_room)
        candidates, render = [], "full"
    layout = Layout(format, grid, origin, parts, stretches, hearing, candidates)
    required = tuple(layout.required(channel) for channel in range(format.channels))
    lost = sorted(
        frame + one.shift
        for one in layout.copied
        for frame in {*parts[one.part].index.lost, *parts[one.part].index.inner_tags}
        if frame + one.shift in one.frames
    )
    runs = runs_of(required, grid.frames, partial(_windows, layout.copied, read_windows, format))
    # The first and the last silent frame may have to fit the window beside them.
    ends = [n for part in layout.silent for n in (part.first, part.last - 1)]
    alone = (FrameRange(frame, frame + 1) for frame in (*lost, *ends))
    clusters = clusters_of((*chain(*runs.made, *runs.borders), *alone))
    bitrate_index, padded = _bitrate(parts, hearing, format)
    return MergePlan(
        format=format,
        kept=kept,
        grid=grid,
        masks=(),
        masked=((),) * format.channels,
        required=required,
        made=runs.made,
        borders=runs.borders,
        causes=layout.causes() if render == "smart" else (Cause("full", (grid.frames,)),),
        lost=tuple(lost),
        clusters=clusters,
        silences=frames_without(layout.silent, clusters),
        bitrate_index=bitrate_index,
        padded=padded,
        full_band=any(part.index.frames for part in parts),
        keeps_start=owner is not None and parts[owner].offset == 0,
        render=render,
        parts=tuple(parts),
        stretches=stretches,
        hearing=hearing,
        origin=origin,
        owner=owner,
        copied=layout.copied,
        obstacles=obstacles,
    )


def _windows(
    copied: Sequence[CopiedStretch],
    read_windows: Sequence[ReadWindows],
    format: StreamFormat,
    frames: FrameRange,
) -> SourceWindows:
    """The windows of the copied frames."""
    out = SourceWindows.nothing(frames.count, format.channels)
    start = bisect_right(copied, frames.first, key=_last_frame)
    for one in copied[start : bisect_left(copied, frames.last, key=_first_frame)]:
        first, last = max(frames.first, one.frames.first), min(frames.last, one.frames.last)
        own = FrameRange(first - one.shift, last - one.shift)
        out.put(first - frames.first, read_windows[one.part](own))
    return out


def _first_frame(one: CopiedStretch) -> int:
    return one.frames.first


def _last_frame(one: CopiedStretch) -> int:
    return one.frames.last


def _stretches(parts: Sequence[PlacedPart]) -> tuple[ConferenceSpan, ...]:
    recordings = [Presence(part.audio, part.conferences) for part in parts]
    return who_is_heard(recordings, Span(0, max(part.audio.end for part in parts)))


def _other_mode(part: PlacedPart, owner: PlacedPart) -> Notice | None:
    """Why a recording's frames can't be mixed with the owner's: some decoders stop there."""
    if part.index.header.mode == owner.index.header.mode:
        return None
    return Notice("mode", "Its frames have another channel mode than the output's")


def _owner(
    parts: Sequence[PlacedPart],
    stretches: Sequence[ConferenceSpan],
    hearing: Hearing,
    candidates: Iterable[int],
) -> int | None:
    """The recording with the most frames to copy if it set the grid.

    Frames with only one party to copy break ties.
    """
    best, most = None, (0, 0)
    silence = silence_around(stretches)
    for number in candidates:
        part = parts[number]
        same = where_same(part, hearing.alone[number], silence)
        masked = part.masked_on_timeline
        both = _frames_to_copy(part, same, [span for spans in masked for span in spans])
        count = both, sum(_frames_to_copy(part, same, spans) for spans in masked)
        if count > most:
            best, most = number, count
    return best


def _frames_to_copy(part: PlacedPart, same: Iterable[Span], masked: Iterable[Span]) -> int:
    own = Grid(part.raw_zero, FrameRange(0, part.index.frames), 0, 0)
    spans = without(same, masked)
    return sum(frames_within(part.index.format, span, own).count for span in spans)


def _aligned(
    parts: Sequence[PlacedPart], owner: int, candidates: Iterable[int]
) -> Sequence[PlacedPart]:
    """The recordings; those that overlap no other are moved to the owner's grid if possible."""
    out = list(parts)
    spf = parts[owner].index.format.samples_per_frame
    is_apart = apart(parts)
    # No two of these overlap: overlapping recordings are not moved.
    taken = list(join(part.audio for part, alone in zip(parts, is_apart, strict=True) if not alone))
    taken += (part.audio for part, alone in zip(parts, is_apart, strict=True) if alone)
    taken.sort()
    for number in candidates:
        if number == owner or not is_apart[number]:
            continue
        del taken[bisect_left(taken, out[number].audio)]
        late = (out[number].raw_zero - out[owner].raw_zero) % spf
        # Back by that much, or on to the next frame: the nearer first.
        for move in sorted((-late, spf - late), key=abs):
            moved = out[number].moved_by(move)
            if moved.audio.start >= 0 and not _is_taken(moved.audio, taken):
                out[number] = moved
                break
        insort(taken, out[number].audio)
    return out


def _is_taken(span: Span, taken: Sequence[Span]) -> bool:
    """Whether any of the sorted, disjoint spans in `taken` overlaps `span`."""
    return any(other.start < span.end and span.start < other.end for other in touching(taken, span))


def _damaged(plan: MergePlan) -> dict[int, Notice]:
    """The recordings with damage near re-made frames."""
    out = {}
    for number, shift in {one.part: one.shift for one in plan.copied}.items():
        index = plan.parts[number].index
        if not index.damaged:
            continue
        near = FrameRange(shift - NEIGHBOURHOOD_FRAMES, shift + index.frames + NEIGHBOURHOOD_FRAMES)
        remade = [
            [
                FrameRange(part.first - shift, part.last - shift)
                for part in overlapping(channel, near)
            ]
            for channel in plan.required
        ]
        found = obstacles(index, remade)
        if found:
            out[number] = found[0]
    return out


def _bitrate(
    parts: Sequence[PlacedPart], hearing: Hearing, format: StreamFormat
) -> tuple[int, bool]:
    """The bitrate_index of re-made frames, the highest heard; and whether all are constant."""
    highest, constant = 0.0, True
    for number, part in enumerate(parts):
        heard = hearing.heard[number]
        if not heard:
            continue
        index = part.index
        own = Grid(0, FrameRange(0, index.frames), 0, 0)
        masked = [span for spans in part.masked for span in spans]
        clock = (part.samples_of(span) for span in heard)
        raw = (Span(span.start + index.start, span.end + index.start) for span in clock)
        untouched = (frames_within(index.format, span, own) for span in without(raw, masked))
        found, is_constant = nominal_bitrate(index, [r for r in untouched if r.count])
        highest = max(highest, index.format.bitrates_kbps[found])
        constant = constant and is_constant
    return format.bitrate_index_at_least(highest), constant
