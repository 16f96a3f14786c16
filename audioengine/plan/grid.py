# SPDX-License-Identifier: Apache-2.0
"""The frame grid of an output, and the delay and padding that cut it to the sample."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from audioengine.edits import Span
from audioengine.mp3.header import StreamFormat
from audioengine.mp3.info_tag import DECODER_DELAY

Flags: TypeAlias = npt.NDArray[np.bool_]
"""One truth value for each of consecutive frames."""


@dataclass(frozen=True, slots=True, order=True)
class FrameRange:
    """Consecutive frames, by number: from `first` to before `last`."""

    first: int
    last: int

    @property
    def count(self) -> int:
        """Number of frames."""
        return self.last - self.first

    def __contains__(self, frame: int) -> bool:
        return self.first <= frame < self.last


def merged(ranges: Iterable[FrameRange], gap: int = 0) -> tuple[FrameRange, ...]:
    """The ranges sorted; ranges that overlap or are at most `gap` frames apart are joined."""
    out: list[FrameRange] = []
    for part in sorted(ranges):
        if out and part.first <= out[-1].last + gap:
            out[-1] = FrameRange(out[-1].first, max(out[-1].last, part.last))
        else:
            out.append(part)
    return tuple(out)


def ranges_of(flags: Flags, first: int) -> list[FrameRange]:
    """The frames with a set flag; flags[0] belongs to frame `first`."""
    if not flags.any():
        return []
    bounds = np.zeros(len(flags) + 2, dtype=bool)
    bounds[1:-1] = flags
    edges = (np.flatnonzero(bounds[1:] != bounds[:-1]) + first).tolist()
    return [FrameRange(*pair) for pair in zip(edges[::2], edges[1::2], strict=True)]


def overlapping(ranges: Sequence[FrameRange], seen: FrameRange) -> Sequence[FrameRange]:
    """The merged ranges that share frames with `seen`, found by bisection."""
    first = bisect_right(ranges, seen.first, key=attrgetter("last"))
    return ranges[first : bisect_left(ranges, seen.last, key=attrgetter("first"))]


def is_in(frame: int, ranges: Sequence[FrameRange]) -> bool:
    """Whether any of the merged ranges contains the frame."""
    return bool(overlapping(ranges, FrameRange(frame, frame + 1)))


def flags_of(ranges: Sequence[FrameRange], seen: FrameRange) -> Flags:
    """[shape=(seen.count,)] Whether each of the frames `seen` is in any of the merged ranges."""
    flags = np.zeros(seen.count, dtype=bool)
    for part in overlapping(ranges, seen):
        flags[max(0, part.first - seen.first) : part.last - seen.first] = True
    return flags


@dataclass(frozen=True, slots=True)
class Grid:
    """The output's frames, numbered like the source's, and the Info tag's two fields.

    Frame j decodes to the raw samples from ``origin + j · samples_per_frame``. Frames below 0
    come before the source's first.
    """

    origin: int
    """0 if the frames are those of the source."""
    frames: FrameRange
    encoder_delay: int
    padding: int


def place(format: StreamFormat, kept: Span) -> Grid:
    """The grid of an output that plays exactly the raw samples `kept` (at least one)."""
    spf, support = format.samples_per_frame, format.support
    if kept.start // spf == (kept.end - 1) // spf:
        # FFmpeg drops too little if both cuts fall into one frame, unless delay + 529 is a multiple
        # of the frame length: such an output gets a grid of its own.
        lead = (support - 1) // spf
        delay = lead * spf - DECODER_DELAY
        padding = spf + DECODER_DELAY - kept.length
        return Grid(kept.start, FrameRange(-lead, 1), delay, padding)
    # From the first frame whose support reaches a kept sample to the one that plays the last.
    first = (kept.start - support) // spf + 1
    last = -(-kept.end // spf)
    return Grid(
        0,
        FrameRange(first, last),
        kept.start - first * spf - DECODER_DELAY,
        last * spf + DECODER_DELAY - kept.end,
    )


def frames_touched(format: StreamFormat, changed: Span, grid: Grid) -> FrameRange:
    """The frames of the grid whose coded data depends on any of these raw samples."""
    spf = format.samples_per_frame
    first = (changed.start - grid.origin - format.support) // spf + 1
    last = (changed.end - 1 - grid.origin) // spf + 1
    low = min(max(first, grid.frames.first), grid.frames.last)
    return FrameRange(low, min(max(last, low), grid.frames.last))


def frames_within(format: StreamFormat, span: Span, grid: Grid) -> FrameRange:
    """The frames of the grid whose coded data depends only on these raw samples."""
    spf = format.samples_per_frame
    first = -(-(span.start - grid.origin) // spf)
    last = (span.end - grid.origin - format.support) // spf + 1
    low = min(max(first, grid.frames.first), grid.frames.last)
    return FrameRange(low, min(max(last, low), grid.frames.last))
