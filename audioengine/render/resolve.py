# SPDX-License-Identifier: Apache-2.0
"""Which frames of which channel are re-made, once the windows on both sides are known.

Pure: flags in, flags out. All flags and places speak of the same consecutive frames.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np

from audioengine.mp3.side_info import LEGAL_SUCCESSIONS, BlockType
from audioengine.plan.grid import Flags
from audioengine.plan.rendering import MAX_MOVED_FRAMES


@dataclass(frozen=True, slots=True)
class Windows:
    """First and last window of a channel's frame."""

    first: BlockType
    last: BlockType


@dataclass(frozen=True, slots=True)
class ChannelView:
    """One channel of a stretch of frames."""

    required: Flags
    """Frames that must be re-made."""
    source: Callable[[int], Windows | None]
    """Windows of the source's frame at a place, or beside the stretch (at -1 and behind the last);
    None where there is none or it is lost."""
    remade: Callable[[int], Windows | None]
    """Windows of the re-made frame at a place; None where the channel has none."""


def dilated(flags: Flags, reach: int) -> Flags:
    """The flags, and `reach` neighbours on either side of each."""
    out: Flags = flags.copy()
    for distance in range(1, reach + 1):
        out[distance:] |= flags[:-distance]
        out[:-distance] |= flags[distance:]
    return out


def any_of(flags: Sequence[Flags]) -> Flags:
    """Where at least one channel's flag is set."""
    either: Flags = np.logical_or.reduce(list(flags))
    return either


def coupled_closure(required: Sequence[Flags], coupled: Flags) -> list[Flags]:
    """What must be re-made of each channel where coupled frames can't be taken apart."""
    both = any_of(required) & coupled
    return [flags | both for flags in required]


def resolve(channels: Sequence[ChannelView], coupled: Flags) -> list[Flags]:
    """Per channel, which frames to take re-made.

    Ends of re-made runs move outward, at most MAX_MOVED_FRAMES beyond what any channel requires,
    to where windows follow one another legally; where that is nowhere, they stay.
    """
    required = [view.required for view in channels]
    reach = dilated(any_of(required), MAX_MOVED_FRAMES)
    use = coupled_closure(required, coupled)
    while True:
        moved = [
            _with_legal_ends(view, flags, reach) for view, flags in zip(channels, use, strict=True)
        ]
        moved = coupled_closure(moved, coupled)
        if all((after == before).all() for after, before in zip(moved, use, strict=True)):
            return use
        use = moved


def _with_legal_ends(view: ChannelView, use: Flags, reach: Flags) -> Flags:
    out: Flags = use.copy()
    steps = range(MAX_MOVED_FRAMES + 1)
    edges = np.flatnonzero(np.diff(use.astype(np.int8)))
    for edge in edges.tolist():
        # `edge` is the last frame before the change.
        if use[edge + 1]:
            for place in _reached((edge + 1 - step for step in steps), reach):
                if _starts_legally(view, use, place):
                    out[place : edge + 1] = True
                    break
        else:
            for place in _reached((edge + step for step in steps), reach):
                if _ends_legally(view, use, place):
                    out[edge + 1 : place + 1] = True
                    break
    return out


def _reached(places: Iterable[int], reach: Flags) -> Iterator[int]:
    """The places up to the first that is out of reach."""
    return takewhile(lambda place: 0 <= place < len(reach) and bool(reach[place]), places)


def _starts_legally(view: ChannelView, use: Flags, frame: int) -> bool:
    """Whether a run of re-made frames may begin with `frame`."""
    remade = view.remade(frame)
    if remade is None:
        # Only required frames are surely there; a lost one is silent and fits anything.
        return bool(use[frame])
    before = view.source(frame - 1)
    if before is None or (frame and use[frame - 1]):
        return True
    return (before.last, remade.first) in LEGAL_SUCCESSIONS


def _ends_legally(view: ChannelView, use: Flags, frame: int) -> bool:
    """Whether a run of re-made frames may end with `frame`."""
    remade = view.remade(frame)
    if remade is None:
        return bool(use[frame])
    after = view.source(frame + 1)
    if after is None or (frame + 1 < len(use) and use[frame + 1]):
        return True
    return (remade.last, after.first) in LEGAL_SUCCESSIONS
