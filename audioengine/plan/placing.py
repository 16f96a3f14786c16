# SPDX-License-Identifier: Apache-2.0
"""One recording on the clock of a merge.

The timeline counts samples of the output from the earliest start. A recording's own clock counts
its own samples, as players play them; raw samples count from its first frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from math import ceil

from audioengine.edits import Edits, Span, join
from audioengine.mp3.index import FrameIndex
from audioengine.notices import Notice
from audioengine.plan.masks import PlannedMask
from audioengine.times import round_half_up, round_outward


@dataclass(frozen=True)
class PlacedPart:
    """A recording, its edits, and its place."""

    index: FrameIndex
    edits: Edits
    masks: tuple[PlannedMask, ...]
    masked: tuple[tuple[Span, ...], ...]
    """Per channel of the recording, the raw samples that the beep replaces."""
    rate_hz: int
    """The output's sampling rate."""
    offset: int
    """The position of its sample `zero` on the timeline."""
    zero: int
    """The sample of its clock at its start time: 0, or an untagged source's encoder delay."""
    conferences: tuple[Span, ...] = ()
    """On the timeline."""
    obstacle: Notice | None = None
    """Why none of its frames can be copied."""
    moved: int = 0
    """Samples by which it lies later than asked, to fall on the output's grid."""

    @cached_property
    def ratio(self) -> Fraction:
        """Samples of the output for one of the recording."""
        return Fraction(self.rate_hz, self.index.format.rate_hz)

    @property
    def resampled(self) -> bool:
        """Whether its sampling rate differs from the output's."""
        return self.ratio != 1

    @cached_property
    def audio(self) -> Span:
        """Its audio on the timeline: the part that its trim keeps, from its start time on."""
        start, end = max(self.edits.trim.start, self.zero), max(self.edits.trim.end, self.zero)
        return Span(self.at(start), self.at(end))

    @property
    def raw_zero(self) -> int:
        """The position of its first raw sample, if it is not resampled."""
        return self.offset - self.zero - self.index.start

    @property
    def raw(self) -> Span:
        """All its raw samples on the timeline, played or not, if it is not resampled."""
        return Span(self.raw_zero, self.raw_zero + self.index.raw_samples)

    def at(self, sample: int) -> int:
        """The position on the timeline of a sample of its clock."""
        return self.offset + round_half_up((sample - self.zero) * self.ratio)

    def samples_of(self, span: Span) -> Span:
        """The played samples of its clock that lie inside a span of the timeline."""
        start = ceil((span.start - self.offset) / self.ratio) + self.zero
        end = ceil((span.end - self.offset) / self.ratio) + self.zero
        first = max(self.edits.trim.start, self.zero)
        played = Span(first, max(first, self.edits.trim.end))
        return Span(start, max(start, end)).clipped(played)

    def time_of(self, span: Span) -> tuple[Fraction, Fraction]:
        """The exact position on the timeline of a span of its clock."""
        return (
            self.offset + (span.start - self.zero) * self.ratio,
            self.offset + (span.end - self.zero) * self.ratio,
        )

    def samples_around(self, start: Fraction, end: Fraction) -> Span:
        """The fewest samples of its clock that cover a stretch of the timeline."""
        return Span(
            *round_outward(
                (start - self.offset) / self.ratio + self.zero,
                (end - self.offset) / self.ratio + self.zero,
            )
        )

    @cached_property
    def masked_on_timeline(self) -> tuple[tuple[Span, ...], ...]:
        """Per channel, its masked spans on the timeline."""
        start = self.index.start
        return tuple(
            join(Span(self.at(span.start - start), self.at(span.end - start)) for span in spans)
            for spans in self.masked
        )

    def moved_by(self, samples: int) -> PlacedPart:
        """The same recording, later by `samples`."""
        return replace(self, offset=self.offset + samples, moved=self.moved + samples)


def apart(parts: Sequence[PlacedPart]) -> tuple[bool, ...]:
    """For each recording, whether no other has audio at the same time."""
    order = sorted(range(len(parts)), key=lambda number: parts[number].audio)
    out = [True] * len(parts)
    before: Span | None = None
    for place, number in enumerate(order):
        audio = parts[number].audio
        if before is not None and audio.start < before.end:
            out[number] = False
        if place + 1 < len(order) and parts[order[place + 1]].audio.start < audio.end:
            out[number] = False
        if before is None or audio.end > before.end:
            before = audio
    return tuple(out)
