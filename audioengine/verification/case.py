# SPDX-License-Identifier: Apache-2.0
"""What is judged: a source, an output, and what the request asks of both."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from audioengine.edits import Beep, Span
from audioengine.mp3.bytesource import ByteSource
from audioengine.mp3.header import StreamFormat
from audioengine.mp3.index import FrameIndex
from audioengine.mp3.info_tag import DECODER_DELAY
from audioengine.plan.grid import FrameRange
from audioengine.plan.store import StorePlan

OVERLAP = 1056
"""Samples after a frame that still depend on it: 576, and the synthesis window's 480."""

_FAR = 1 << 60


@dataclass(frozen=True)
class Case:
    """One output and what it should be."""

    source: ByteSource
    source_index: FrameIndex
    output: ByteSource
    output_index: FrameIndex
    plan: StorePlan
    """Derived from source and request; its frames are numbered like the source's."""
    beep: Beep

    @property
    def format(self) -> StreamFormat:
        """What all frames of the source share."""
        return self.source_index.format

    @property
    def own_grid(self) -> bool:
        """Whether the output's frames fall between the source's: then none can be copied."""
        return self.plan.grid.origin != 0

    @cached_property
    def frames(self) -> FrameRange:
        """The output's frames by the source's numbers: the last one is where the plan ends."""
        last = self.plan.grid.frames.last
        return FrameRange(last - self.output_index.frames, last)

    @cached_property
    def lost(self) -> frozenset[int]:
        """The plan's, to look numbers up in."""
        return frozenset(self.plan.lost)

    @property
    def hidden(self) -> int:
        """Decoded samples of the output before the first that is played, by its tag."""
        tag = self.output_index.info_tag
        return (tag.encoder_delay or 0) + DECODER_DELAY if tag else 0

    @property
    def source_frames(self) -> FrameRange:
        """The output's frames that the source has, too."""
        first = min(max(self.frames.first, 0), self.frames.last)
        return FrameRange(first, max(first, min(self.frames.last, self.source_index.frames)))

    def played(self, frames: FrameRange, reach: int) -> Span:
        """The samples that play these frames, the source's numbers, and `reach` after them."""
        spf, zero = self.format.samples_per_frame, self.plan.grid.origin - self.plan.kept.start
        span = Span(zero + frames.first * spf, zero + frames.last * spf + reach)
        return span.clipped(Span(0, self.plan.kept.length))

    def masked(self, channel: int) -> list[Span]:
        """The masks of a channel in samples of the output, as far as they go beyond its ends."""
        zero = self.plan.kept.start
        spans = (Span(mask.start - zero, mask.end - zero) for mask in self.plan.masked[channel])
        return [span for span in spans if span.start < self.plan.kept.length and span.end > 0]

    def removed(self, channel: int) -> list[Span]:
        """The raw samples of the source's channel that the output must not know of."""
        kept = self.plan.kept
        spans = [mask.clipped(kept) for mask in self.plan.masked[channel]]
        if kept.start > 0:
            spans.append(Span(-_FAR, kept.start))
        if kept.end < self.source_index.raw_samples:
            spans.append(Span(kept.end, _FAR))
        return [span for span in spans if span.length]
