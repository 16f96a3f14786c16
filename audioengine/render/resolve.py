# SPDX-License-Identifier: Apache-2.0
"""Picks a coding for each frame of a run, so that the window sequence is legal.

Pure functions: windows in, picks out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import NamedTuple

from audioengine.mp3.legal_windows import LEGAL_SUCCESSIONS
from audioengine.mp3.side_info import BlockType

_AFTER_LONG = {BlockType.LONG, BlockType.START}
_BEFORE_LONG = {BlockType.LONG, BlockType.STOP}


class FrameWindows(NamedTuple):
    """First and last window of a channel's frame.

    None: the window of a mixed block, which has a long window in the lowest two subbands and short
    ones above (2.4.2.7, mixed_block_flag). Only its own source's neighbour fits it.
    """

    first: BlockType | None
    last: BlockType | None

    @property
    def fits_long(self) -> bool:
        """Whether both ends have long slopes."""
        return self.first in _AFTER_LONG and self.last in _BEFORE_LONG

    def like(self, other: FrameWindows) -> bool:
        """Whether the same windows are legal beside these and beside the other's."""
        return (self.first == other.first or {self.first, other.first} <= _AFTER_LONG) and (
            self.last == other.last or {self.last, other.last} <= _BEFORE_LONG
        )


class Pick(IntEnum):
    """How a channel of a frame is coded."""

    SOURCE = 0
    """The source's granules are kept."""
    NATURAL = 1
    """Re-made, with the windows that the encoder chose."""
    LONG = 2
    """Re-made with long windows."""


LONG_WINDOWS = FrameWindows(BlockType.LONG, BlockType.LONG)

# Re-making three more frames is better than giving one long windows where the encoder wants short
# ones, because long windows smear attacks.
_COST = {Pick.SOURCE: 0, Pick.NATURAL: 1, Pick.LONG: 4}


def legal(before: FrameWindows, after: FrameWindows) -> bool:
    """Whether two frames of a channel may follow one another."""
    return (before.last, after.first) in LEGAL_SUCCESSIONS


def legal_picks(
    source: Sequence[FrameWindows | None],
    natural: Sequence[FrameWindows],
    before: FrameWindows | None,
    after: FrameWindows | None,
) -> list[Pick] | None:
    """The picks for consecutive frames of a channel, with few re-made frames and few long windows.

    source: the source's windows, None for frames that must be re-made.
    natural: the windows that the encoder chose.
    before, after: the windows of the neighbouring frames, which are the source's if the source's
        frame may be picked beside them; None if any window is legal.

    Returns None if no picks are legal.
    """
    total: dict[Pick, int] = {}
    shown: dict[Pick, FrameWindows] = {}
    trail: list[dict[Pick, Pick]] = []
    for place, (kept, made) in enumerate(zip(source, natural, strict=True)):
        options = {Pick.NATURAL: made, Pick.LONG: LONG_WINDOWS}
        if kept is not None:
            options[Pick.SOURCE] = kept
        costs: dict[Pick, int] = {}
        came: dict[Pick, Pick] = {}
        for pick, windows in options.items():
            if not place:
                if pick is Pick.SOURCE or before is None or legal(before, windows):
                    costs[pick] = _COST[pick]
                continue
            for last, cost in total.items():
                # The source's own window sequence is not ours to correct.
                fits = pick is last is Pick.SOURCE or legal(shown[last], windows)
                if fits and (pick not in costs or cost + _COST[pick] < costs[pick]):
                    costs[pick], came[pick] = cost + _COST[pick], last
        total, shown = costs, options
        trail.append(came)
    ends = {
        pick: cost
        for pick, cost in total.items()
        if pick is Pick.SOURCE or after is None or legal(shown[pick], after)
    }
    if not ends:
        return None
    picks = [min(ends, key=ends.__getitem__)]
    for came in reversed(trail[1:]):
        picks.append(came[picks[-1]])
    return picks[::-1]


def natural_picks(
    natural: Callable[[int], FrameWindows],
    count: int,
    before: FrameWindows | None,
    after: FrameWindows | None,
) -> Sequence[Pick] | None:
    """The picks for `count` frames that must all be re-made and have a legal window sequence.

    Only frames at the ends may need long windows: up to the first frame with long slopes, and from
    the last one on. So only the windows there are read.
    """
    head, tail = 0, count
    if before is not None and not legal(before, natural(0)):
        head = next((place for place in range(count) if natural(place).fits_long), count) + 1
    if after is not None and not legal(natural(count - 1), after):
        tail = next((place for place in range(count - 1, -1, -1) if natural(place).fits_long), 0)
    if head > tail:
        return legal_picks([None] * count, [*map(natural, range(count))], before, after)
    parts: list[Sequence[Pick] | None] = [[Pick.NATURAL] * (tail - head)]
    if head:
        beside = natural(head) if head < count else after
        parts.insert(0, legal_picks([None] * head, [*map(natural, range(head))], before, beside))
    if tail < count:
        beside = natural(tail - 1) if tail else before
        ends = [*map(natural, range(tail, count))]
        parts.append(legal_picks([None] * len(ends), ends, beside, after))
    if None in parts:
        return None
    return [pick for part in parts if part for pick in part]
