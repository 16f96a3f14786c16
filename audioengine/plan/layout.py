# SPDX-License-Identifier: Apache-2.0
"""Decides, for a given frame grid, where each frame of a merge comes from.

A frame of the output depends on a stretch of the timeline. If a recording falls on the grid and is
heard alone throughout the stretch, its frame is copied. If the stretch is silent, the frame is
silent. All other frames are re-made.
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
    """Consecutive frames of the output that are copied from one recording."""

    frames: FrameRange
    part: int
    shift: int
    """The output's frame number minus the recording's."""


@dataclass(frozen=True, slots=True)
class _Fit:
    """The frames of one recording that fit into the output, by the recording's numbers."""

    part: int
    shift: int
    own: FrameRange
    """All its frames."""
    unmasked: tuple[FrameRange, ...]
    """Frames that decode to the output, apart from masks; frames outside `own` are silent, and only
    those near it are here."""
    channels: tuple[tuple[FrameRange, ...], ...]
    """The same for each channel, without frames that depend on its masks."""

    @property
    def masked(self) -> tuple[FrameRange, ...]:
        """Frames of `unmasked` that depend on a mask."""
        return merged(
            frames for channel in self.channels for frames in frames_without(self.unmasked, channel)
        )


@dataclass(frozen=True)
class Layout:
    """The origin of each frame of a merge."""

    format: StreamFormat
    grid: Grid
    origin: int
    """The raw sample of the grid at which the timeline begins."""
    parts: Sequence[PlacedPart]
    stretches: Sequence[ConferenceSpan]
    """The recordings heard at each time, on the timeline."""
    hearing: Hearing
    """The same by recording."""
    candidates: Sequence[int]
    """The recordings that may be copied from: their frames fall on the grid."""

    @cached_property
    def copied(self) -> tuple[CopiedStretch, ...]:
        """The frames copied from a recording in at least one channel."""
        out = []
        for fit in self._fits:
            some = merged(frames for channel in fit.channels for frames in channel)
            here = frames_without(some, frames_without((self.grid.frames,), (fit.own,)))
            out += [CopiedStretch(frames, fit.part, fit.shift) for frames in here]
        return tuple(sorted(out, key=lambda one: one.frames))

    @cached_property
    def silent(self) -> tuple[FrameRange, ...]:
        """The silent frames: in gaps, and where a fitting recording has no frames."""
        # A grid of its own has few frames, and all are re-made.
        gaps = () if self.grid.origin else self._within(self._silence)
        # Before an untagged recording's first frame none is needed, unless a mask begins with it.
        beside = (
            frames
            for fit in self._fits
            for frames in frames_without(fit.unmasked, (fit.own, *fit.masked))
        )
        return merged((*gaps, *beside))

    def required(self, channel: int) -> tuple[FrameRange, ...]:
        """The frames of a channel that must be re-made."""
        fitting = (frames for fit in self._fits for frames in fit.channels[channel])
        return frames_without((self.grid.frames,), (*self.silent, *fitting))

    def causes(self) -> tuple[Cause, ...]:
        """Why frames are re-made, apart from masks."""
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
        """The frames that depend only on these samples of the timeline."""
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
    """Where the output equals what a recording's frames decode to, with silence near them.

    alone: where on the timeline only this recording is heard; silence: where none is heard, ending
    with everything after the timeline. Masks are ignored.

    A recording's last frame decays past its end. If the recording is cut off, the decay is as loud
    as a voice, because the missing frame would have cancelled it, so it must not be heard in a gap.
    After the timeline no player plays it.
    """
    format = part.index.format
    raw = part.raw
    end = raw.end
    rings = Span(end, max(end, min(end + format.support - format.samples_per_frame, _end(silence))))
    # Farther away, no frame depends on a sample of this recording.
    reach = 2 * format.support
    near = touching(silence, Span(raw.start - reach, end + reach))
    return join((*alone, *without(near, (raw, rings))))


def _end(silence: Sequence[Span]) -> int:
    """The end of the timeline."""
    return silence[-1].start
