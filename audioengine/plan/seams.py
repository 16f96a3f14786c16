# SPDX-License-Identifier: Apache-2.0
"""Extends runs of re-made frames until the window sequence is legal at their ends.

A window that ends with a long slope must be followed by one that begins with a long slope, and a
short one by a short one (ISO/IEC 11172-3, 2.4.3.4.10.3). A re-made frame can always have long
slopes, so a run may end wherever the source's frame beside it has one. If that frame has a short
slope, the run extends to the next long one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audioengine.plan.grid import Flags, FrameRange, flags_of, ranges_of
from audioengine.plan.windows import ReadWindows, SourceWindows

_AT_ONCE_FRAMES = 64

ChannelRanges = tuple[tuple[FrameRange, ...], ...]


@dataclass(frozen=True, slots=True)
class Runs:
    """The re-made frames of each channel."""

    made: ChannelRanges
    """The required frames, and frames coupled with them."""
    borders: ChannelRanges
    """Frames beside these; re-made or copied, as the windows allow. A coupled frame is in all
    channels."""


def runs_of(
    required: Sequence[Sequence[FrameRange]], frames: FrameRange, read_windows: ReadWindows
) -> Runs:
    """The runs of re-made frames in an output that must re-make the frames in `required`.

    `read_windows` is called for the frames beside re-made ones, and for those with one re-made
    channel.
    """
    if all(frames in channel for channel in required):
        return Runs(tuple(map(tuple, required)), ((),) * len(required))
    known = _Known(frames, len(required), read_windows)
    made = [flags_of(channel, frames) for channel in required]
    _close(known, made)
    every = [flags.copy() for flags in made]
    while True:
        for channel, flags in enumerate(every):
            for run in ranges_of(flags, 0):
                _reach_out(known, channel, run, flags)
        if not _close(known, every):
            break
    return Runs(
        tuple(tuple(ranges_of(flags, frames.first)) for flags in made),
        tuple(
            tuple(ranges_of(flags & ~core, frames.first))
            for flags, core in zip(every, made, strict=True)
        ),
    )


def _close(known: _Known, channels: Sequence[Flags]) -> bool:
    """Add to each channel the coupled frames of the others; return whether any were added."""
    some = np.logical_or.reduce(channels)
    known.load(some & ~np.logical_and.reduce(channels))
    together = some & known.windows.coupled
    grown = any((together & ~flags).any() for flags in channels)
    for flags in channels:
        np.logical_or(flags, together, out=flags)
    return grown


def _reach_out(known: _Known, channel: int, run: FrameRange, flags: Flags) -> None:
    """Add the frames between a run and the nearest long slopes beside it."""
    first, last = run.first, run.last
    while first > 0 and not flags[first - 1] and known.ends_short(first - 1, channel):
        first -= 1
    while last < len(flags) and not flags[last] and known.starts_short(last, channel):
        last += 1
    flags[first:last] = True


class _Known:
    """The source's windows, read on demand."""

    def __init__(self, frames: FrameRange, channels: int, read: ReadWindows) -> None:
        self._frames = frames
        self._read = read
        self._loaded = np.zeros(-(-frames.count // _AT_ONCE_FRAMES), dtype=bool)
        self.windows = SourceWindows.nothing(frames.count, channels)

    def load(self, wanted: Flags) -> None:
        """Read the unknown windows around these frames."""
        starts = range(0, len(wanted), _AT_ONCE_FRAMES)
        some = np.logical_or.reduceat(wanted, starts) if len(wanted) else self._loaded
        for blocks in ranges_of(some & ~self._loaded, 0):
            self._load(blocks)

    def _load(self, blocks: FrameRange) -> None:
        first = blocks.first * _AT_ONCE_FRAMES
        last = min(blocks.last * _AT_ONCE_FRAMES, self._frames.count)
        zero = self._frames.first
        self.windows.put(first, self._read(FrameRange(zero + first, zero + last)))
        self._loaded[blocks.first : blocks.last] = True

    def _at(self, place: int) -> SourceWindows:
        block = place // _AT_ONCE_FRAMES
        if not self._loaded[block]:
            self._load(FrameRange(block, block + 1))
        return self.windows

    def starts_short(self, place: int, channel: int) -> bool:
        """Whether the frame begins with a short slope."""
        return bool(self._at(place).starts_short[place, channel])

    def ends_short(self, place: int, channel: int) -> bool:
        """Whether the frame ends with a short slope."""
        return bool(self._at(place).ends_short[place, channel])
