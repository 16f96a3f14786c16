# SPDX-License-Identifier: Apache-2.0
"""Whose frames stand where in a merge, once it is known where the output's frames begin.

A frame of the output depends on a stretch of the timeline. Where a recording's frames fall on the
output's and the output is that recording throughout the stretch, its frame is copied; where the
stretch is silent, the frame is; all others are made anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from audioengine.edits import Span, join, touching
from audioengine.mp3.header import StreamFormat
from audioengine.plan.conference import ConferenceSpan, Hearing, silence_around
from audioengine.plan.grid import FrameRange, Grid, frames_touched, frames_within, merged
from audioengine.plan.placing import PlacedPart
from audioengine.plan.rendering import Cause
from audioengine.plan.spans import frames_without, without


@dataclass(frozen=True, slots=True)
class CopiedStretch:
    """Frames of the output that one recording has."""

    frames: FrameRange
    part: int
    shift: int
    """What is added to the number of the recording's frame to give the output's."""


@dataclass(frozen=True, slots=True)
class _Fit:
    """Where one recording's frames fit into the output; all frames are numbered as its are."""

    part: int
    shift: int
    own: FrameRange
    """All frames that it has."""
    unmasked: tuple[FrameRange, ...]
    """Where the output is what they decode to, masks left aside; silent where it has none, of
    which only what is near its own is here."""
    channels: tuple[tuple[FrameRange, ...], ...]
    """The same of each channel, its masks counted."""

    @property
    def masked(self) -> tuple[FrameRange, ...]:
        """Frames of `unmasked` that depend on a mask."""
        return merged(
            frames for channel in self.channels for frames in frames_without(self.unmasked, channel)
        )


@dataclass(frozen=True)
class Layout:
    """What becomes of each frame of a merge."""

    format: StreamFormat
    grid: Grid
    origin: int
    """The raw sample of the grid at which the timeline begins."""
    parts: Sequence[PlacedPart]
    stretches: Sequence[ConferenceSpan]
    """Who is heard when, on the timeline."""
    hearing: Hearing
    """The same by recording."""
    candidates: Sequence[int]
    """The recordings that may be copied from: their frames fall on the grid's."""

    @cached_property
    def copied(self) -> tuple[CopiedStretch, ...]:
        """The frames that a recording has for at least one channel."""
        out = []
        for fit in self._fits:
            some = merged(frames for channel in fit.channels for frames in channel)
            here = frames_without(some, frames_without((self.grid.frames,), (fit.own,)))
            out += [CopiedStretch(frames, fit.part, fit.shift) for frames in here]
        return tuple(sorted(out, key=lambda one: one.frames))

    @cached_property
    def silent(self) -> tuple[FrameRange, ...]:
        """The frames that are silent: in gaps, and where a recording that fits has none."""
        # Frames of a grid of their own are few, and made anew.
        gaps = () if self.grid.origin else self._within(self._silence)
        # Before an untagged recording's first frame none is needed, unless a mask begins with it.
        beside = (
            frames
            for fit in self._fits
            for frames in frames_without(fit.unmasked, (fit.own, *fit.masked))
        )
        return merged((*gaps, *beside))

    def required(self, channel: int) -> tuple[FrameRange, ...]:
        """The frames of a channel that must be made anew."""
        fitting = (frames for fit in self._fits for frames in fit.channels[channel])
        return frames_without((self.grid.frames,), (*self.silent, *fitting))

    def causes(self) -> tuple[Cause, ...]:
        """Why frames are made anew, where it isn't for a mask."""
        mixed = [stretch.span for stretch in self.stretches if len(stretch.heard) > 1]
        alone = [stretch.span for stretch in self.stretches if len(stretch.heard) == 1]
        on_grid = [span for fit in self._fits for span in self.hearing.alone[fit.part]]
        fitting = (frames for fit in self._fits for frames in fit.unmasked)
        return (
            Cause("mixed", self._touched(mixed)),
            Cause("off_grid", self._touched(without(alone, on_grid))),
            Cause("switch", frames_without((self.grid.frames,), (*self.silent, *fitting))),
        )

    @cached_property
    def _silence(self) -> tuple[Span, ...]:
        return silence_around(self.stretches)

    @cached_property
    def _fits(self) -> tuple[_Fit, ...]:
        return tuple(self._fit(number) for number in self.candidates if self.hearing.alone[number])

    def _fit(self, number: int) -> _Fit:
        part = self.parts[number]
        same = where_same(part, self.hearing.alone[number], self._silence)
        shift = (part.raw_zero + self.origin) // self.format.samples_per_frame
        return _Fit(
            number,
            shift,
            FrameRange(shift, shift + part.index.frames),
            self._within(same),
            tuple(self._within(without(same, masked)) for masked in part.masked_on_timeline),
        )

    def _within(self, spans: Iterable[Span]) -> tuple[FrameRange, ...]:
        """The frames that depend on nothing but these samples of the timeline."""
        found = (frames_within(self.format, raw, self.grid) for raw in self._raw(spans))
        return merged(frames for frames in found if frames.count)

    def _touched(self, spans: Iterable[Span]) -> tuple[FrameRange, ...]:
        """The frames that depend on any of these samples of the timeline."""
        found = (frames_touched(self.format, raw, self.grid) for raw in self._raw(spans))
        return merged(frames for frames in found if frames.count)

    def _raw(self, spans: Iterable[Span]) -> Iterator[Span]:
        return (Span(span.start + self.origin, span.end + self.origin) for span in spans)


def where_same(
    part: PlacedPart, alone: Iterable[Span], silence: Sequence[Span]
) -> tuple[Span, ...]:
    """Where the output is what a recording's frames decode to, also where they are none near by.

    alone: where on the timeline only this recording is heard; silence: where none is, ending with
    what follows the timeline. Its masks are left aside.

    Its last frame rings on behind its end. Where the recording is cut off, that is as loud as a
    voice, for what would cancel it is in the frame that is missing; so it is nothing to have in a
    gap. Behind the timeline nobody plays it.
    """
    format = part.index.format
    raw = part.raw
    end = raw.end
    rings = Span(end, max(end, min(end + format.support - format.samples_per_frame, _end(silence))))
    # Farther away, silence is no recording's: no frame there depends on a sample of this one.
    reach = 2 * format.support
    near = touching(silence, Span(raw.start - reach, end + reach))
    return join((*alone, *without(near, (raw, rings))))


def _end(silence: Sequence[Span]) -> int:
    """Where the timeline does."""
    return silence[-1].start
