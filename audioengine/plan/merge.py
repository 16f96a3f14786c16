# SPDX-License-Identifier: Apache-2.0
"""The plan of one merge: whose frames are copied where, what is silent, what is made anew.

A frame is copied from a recording where the output is that recording, and nothing else, over all
samples that the frame's coded data depends on. That takes a recording whose frames fall on the
output's: the one with most to copy decides where those are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from audioengine.edits import Span, join
from audioengine.mp3.header import StreamFormat
from audioengine.notices import Notice
from audioengine.plan.bitrate import nominal_bitrate
from audioengine.plan.conference import Presence, Stretch, who_is_heard
from audioengine.plan.grid import (
    FrameRange,
    Grid,
    frames_touched,
    frames_within,
    merged,
    place,
)
from audioengine.plan.obstacles import obstacles
from audioengine.plan.placing import PlacedPart, overlaps
from audioengine.plan.rendering import Cause, Render, RenderPlan, clusters_of
from audioengine.plan.spans import frames_without, without

Align: TypeAlias = Literal["sample", "frame"]

# Everything far outside the timeline.
_FAR = 1 << 60


@dataclass(frozen=True, slots=True)
class CopiedStretch:
    """Frames of the output that one recording has."""

    frames: FrameRange
    part: int
    shift: int
    """What is added to the number of the recording's frame to give the output's."""


@dataclass(frozen=True, slots=True)
class Hearing:
    """Where on the timeline each recording is heard, heard alone, silenced, by its number."""

    heard: tuple[tuple[Span, ...], ...]
    alone: tuple[tuple[Span, ...], ...]
    silenced: tuple[tuple[Span, ...], ...]

    @classmethod
    def of(cls, stretches: Iterable[Stretch], parts: int) -> Hearing:
        """In one pass over the stretches."""
        heard: list[list[Span]] = [[] for _ in range(parts)]
        alone: list[list[Span]] = [[] for _ in range(parts)]
        silenced: list[list[Span]] = [[] for _ in range(parts)]
        for stretch in stretches:
            for number in stretch.heard:
                heard[number].append(stretch.span)
            for number in stretch.silenced:
                silenced[number].append(stretch.span)
            if len(stretch.heard) == 1:
                alone[stretch.heard[0]].append(stretch.span)
        return cls(*(tuple(map(join, spans)) for spans in (heard, alone, silenced)))


@dataclass(frozen=True)
class MergePlan(RenderPlan):
    """What rendering has to do for one merge, and what there is to say of it beforehand."""

    parts: tuple[PlacedPart, ...]
    """Where they came to lie."""
    stretches: tuple[Stretch, ...]
    """Who is heard when, on the timeline."""
    hearing: Hearing
    """The same by recording."""
    origin: int
    """The raw sample of the output's frames at which the timeline begins."""
    owner: int | None
    """The recording whose frames the output's fall on; None where none is copied."""
    copied: tuple[CopiedStretch, ...]
    obstacles: Mapping[int, Notice]
    """Why a recording that is heard could not be copied from, by its number."""


def plan_merge(
    parts: Sequence[PlacedPart],
    format: StreamFormat,
    *,
    align: Align = "sample",
    render: Render = "smart",
) -> MergePlan:
    """Plan a merge of recordings in order of start, of which at least one has a sample.

    format: of the output; its rate is the recordings' highest.
    """
    excluded = {
        number: notice
        for number, part in enumerate(parts)
        if (notice := _never_copied(part, format)) is not None
    }
    while True:
        plan = _plan(parts, format, align, render, excluded)
        damaged = _damaged(plan)
        if not damaged:
            return plan
        excluded |= damaged


def _never_copied(part: PlacedPart, format: StreamFormat) -> Notice | None:
    """What keeps a recording's frames out of the output, wherever they lie."""
    own = part.index.format
    if part.obstacle is not None:
        return part.obstacle
    if own.rate_hz != format.rate_hz:
        message = f"Its {own.rate_hz} Hz are resampled to {format.rate_hz} Hz"
        return Notice("resampled", message)
    if own != format:
        return Notice("mono", "It is mono, and the output stereo")
    found = obstacles(part.index, ())
    return found[0] if found else None


def _plan(
    parts: Sequence[PlacedPart],
    format: StreamFormat,
    align: Align,
    render: Render,
    excluded: Mapping[int, Notice],
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
    if owner is not None:
        spf, raw_zero = format.samples_per_frame, parts[owner].raw_zero
        origin = -raw_zero if raw_zero <= 0 else -raw_zero % spf
        candidates = [
            number for number in candidates if (parts[number].raw_zero + origin) % spf == 0
        ]
    total = stretches[-1].span.end
    kept = Span(origin, origin + total)
    grid = place(format, kept)
    if grid.origin:
        # So short that its frames begin where it does.
        owner, candidates = None, []
    layout = _Layout(format, grid, origin, parts, stretches, hearing, candidates)
    copied = layout.copied()
    required = tuple(layout.required(channel) for channel in range(format.channels))
    lost = sorted(
        frame + one.shift
        for one in copied
        for frame in {*parts[one.part].index.lost, *parts[one.part].index.inner_tags}
        if frame + one.shift in one.frames
    )
    clusters = clusters_of(required, lost, grid.frames)
    bitrate_index, padded = _bitrate(parts, hearing, format)
    return MergePlan(
        format=format,
        kept=kept,
        grid=grid,
        masks=(),
        masked=((),) * format.channels,
        required=required,
        causes=layout.causes() if render == "smart" else (Cause("full", (grid.frames,)),),
        lost=tuple(lost),
        clusters=clusters,
        silences=frames_without(layout.silent(), clusters),
        bitrate_index=bitrate_index,
        padded=padded,
        keeps_start=owner is not None and parts[owner].offset == 0,
        render=render,
        parts=tuple(parts),
        stretches=stretches,
        hearing=hearing,
        origin=origin,
        owner=owner,
        copied=copied,
        obstacles=obstacles,
    )


def _stretches(parts: Sequence[PlacedPart]) -> tuple[Stretch, ...]:
    recordings = [Presence(part.audio, part.conferences) for part in parts]
    return who_is_heard(recordings, Span(0, max(part.audio.end for part in parts)))


def _other_mode(part: PlacedPart, owner: PlacedPart) -> Notice | None:
    """What keeps a recording's frames from standing among the owner's: some decoders stop there."""
    if part.index.header.mode == owner.index.header.mode:
        return None
    return Notice("mode", "Its frames are of another channel mode than the output's")


def _owner(
    parts: Sequence[PlacedPart],
    stretches: Sequence[Stretch],
    hearing: Hearing,
    candidates: Iterable[int],
) -> int | None:
    """The recording with most frames to copy if the output's fell on its own."""
    best, most = None, 0
    silence = _silence(stretches)
    for number in candidates:
        part = parts[number]
        masked = [span for spans in part.masked_on_timeline for span in spans]
        same = without(_same(part, hearing.alone[number], silence), masked)
        own = Grid(part.raw_zero, FrameRange(0, part.index.frames), 0, 0)
        count = sum(frames_within(part.index.format, span, own).count for span in same)
        if count > most:
            best, most = number, count
    return best


def _silence(stretches: Sequence[Stretch]) -> tuple[Span, ...]:
    """Where nobody is heard, before the timeline and after it as well."""
    total = stretches[-1].span.end
    gaps = (stretch.span for stretch in stretches if not stretch.heard)
    return join((Span(-_FAR, 0), Span(total, _FAR), *gaps))


def _same(part: PlacedPart, alone: Iterable[Span], silence: Iterable[Span]) -> tuple[Span, ...]:
    """Where the output is what the recording's frames decode to, also where they are none."""
    return join((*alone, *without(silence, (part.raw,))))


def _aligned(
    parts: Sequence[PlacedPart], owner: int, candidates: Iterable[int]
) -> Sequence[PlacedPart]:
    """The recordings, those that overlap no other moved to the owner's frames where they can be."""
    out = list(parts)
    spf = parts[owner].index.format.samples_per_frame
    for number in candidates:
        others = [part for at, part in enumerate(out) if at != number]
        if number == owner or overlaps(out[number], others):
            continue
        late = (out[number].raw_zero - out[owner].raw_zero) % spf
        # Back by that much, or on to the next frame: the nearer first.
        for move in sorted((-late, spf - late), key=abs):
            moved = out[number].moved_by(move)
            if moved.audio.start >= 0 and not overlaps(moved, others):
                out[number] = moved
                break
    return out


class _Layout:
    """Whose frames may stand where, in raw samples of the output's frames."""

    def __init__(
        self,
        format: StreamFormat,
        grid: Grid,
        origin: int,
        parts: Sequence[PlacedPart],
        stretches: Sequence[Stretch],
        hearing: Hearing,
        candidates: Sequence[int],
    ) -> None:
        self._format = format
        self._grid = grid
        self._origin = origin
        self._stretches = stretches
        silence = _silence(stretches)
        self._silent = self._within(silence) if not grid.origin else ()
        self._unmasked: list[tuple[FrameRange, ...]] = []
        self._fit: list[list[tuple[FrameRange, ...]]] = []
        self._own: list[tuple[int, int, FrameRange]] = []
        for number in candidates:
            part = parts[number]
            alone = hearing.alone[number]
            if not alone:
                continue
            same = _same(part, alone, silence)
            shift = (part.raw_zero + origin) // format.samples_per_frame
            self._own.append((number, shift, FrameRange(shift, shift + part.index.frames)))
            self._unmasked.append(self._within(same))
            self._fit.append(
                [self._within(without(same, masked)) for masked in part.masked_on_timeline]
            )
        self._copied_alone = [hearing.alone[number] for number, _, _ in self._own]

    def _within(self, spans: Iterable[Span]) -> tuple[FrameRange, ...]:
        """The frames that depend on nothing but these samples of the timeline."""
        return merged(
            part
            for span in spans
            if (part := frames_within(self._format, self._raw(span), self._grid)).count
        )

    def _raw(self, span: Span) -> Span:
        return Span(span.start + self._origin, span.end + self._origin)

    def copied(self) -> tuple[CopiedStretch, ...]:
        """The frames that a recording has for at least one channel."""
        out = []
        for (number, shift, own), fit in zip(self._own, self._fit, strict=True):
            some = merged(part for channel in fit for part in channel)
            here = frames_without(some, frames_without((self._grid.frames,), (own,)))
            out += [CopiedStretch(part, number, shift) for part in here]
        return tuple(sorted(out, key=lambda one: one.frames))

    def silent(self) -> tuple[FrameRange, ...]:
        """The frames that are silent: in gaps, and where a recording that fits has none."""
        out = list(self._silent)
        for (_, _, own), same in zip(self._own, self._unmasked, strict=True):
            out += frames_without(same, (own,))
        return merged(out)

    def required(self, channel: int) -> tuple[FrameRange, ...]:
        """The frames of a channel that must be made anew."""
        there = [*self.silent(), *(part for fit in self._fit for part in fit[channel])]
        return frames_without((self._grid.frames,), there)

    def causes(self) -> tuple[Cause, ...]:
        """Why frames are made anew, where it isn't for a mask."""
        mixed = [stretch.span for stretch in self._stretches if len(stretch.heard) > 1]
        alone = [stretch.span for stretch in self._stretches if len(stretch.heard) == 1]
        copied = [span for spans in self._copied_alone for span in spans]
        fitting = [*self.silent(), *(part for same in self._unmasked for part in same)]
        return (
            Cause("mixed", self._touched(mixed)),
            Cause("off_grid", self._touched(without(alone, copied))),
            Cause("switch", frames_without((self._grid.frames,), fitting)),
        )

    def _touched(self, spans: Iterable[Span]) -> tuple[FrameRange, ...]:
        return merged(
            part
            for span in spans
            if (part := frames_touched(self._format, self._raw(span), self._grid)).count
        )


def _damaged(plan: MergePlan) -> dict[int, Notice]:
    """The recordings that are damaged near frames that are made anew."""
    out = {}
    for one in plan.copied:
        index = plan.parts[one.part].index
        if len(index.segments) == 1 and not index.lost:
            continue
        remade = [
            [
                FrameRange(part.first - one.shift, part.last - one.shift)
                for part in frames_without(channel, ())
            ]
            for channel in plan.required
        ]
        found = obstacles(index, remade)
        if found:
            out[one.part] = found[0]
    return out


def _bitrate(
    parts: Sequence[PlacedPart], hearing: Hearing, format: StreamFormat
) -> tuple[int, bool]:
    """The bitrate_index of what is made: the highest nominal one heard; and if all are constant."""
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
