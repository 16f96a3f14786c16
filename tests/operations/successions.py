# SPDX-License-Identifier: Apache-2.0
"""Which windows follow one another in a file, read from its bits apart from audioengine."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import NamedTuple

from fixtures import mpeg
from tests.operations.bits import all_frames

LONG, START, SHORT, STOP = range(4)

# ISO/IEC 11172-3, 2.4.3.4.10.3: halves of windows that overlap must have the same slope.
LEGAL = {
    *((before, after) for before in (LONG, STOP) for after in (LONG, START)),
    *((before, after) for before in (START, SHORT) for after in (SHORT, STOP)),
}


class Succession(NamedTuple):
    """Two windows, one after the other."""

    channel: int
    granule: int
    """Of the second one, counted from the file's first."""
    windows: tuple[int, int]


def windows(frame: mpeg.Frame) -> list[list[int]]:
    """By channel, the window of each granule of a frame; of mixed blocks, short."""
    lsf = frame.version != 3
    # main_data_begin, private bits and scfsi stand in front of the granules.
    if lsf:
        first, width, switch = (9 if frame.channels == 1 else 10), 63, 12 + 9 + 8 + 9
    else:
        first, width, switch = (18 if frame.channels == 1 else 20), 59, 12 + 9 + 8 + 4
    out: list[list[int]] = [[] for _ in range(frame.channels)]
    for granule in range(1 if lsf else 2):
        for channel, found in enumerate(out):
            at = first + width * (granule * frame.channels + channel) + switch
            found.append(frame.side_bits(at + 1, 2) if frame.side_bits(at, 1) else LONG)
    return out


def longest_short(frames: Sequence[mpeg.Frame], silent: Collection[int] = ()) -> int:
    """The most frames in a row that a run's end has to cross to a long slope of all channels.

    silent: frames that play as silence, whatever their windows are.
    """
    longest = at = 0
    for number, (before, after) in enumerate(pairwise(frames), 1):
        slopes = [
            one[-1] in (START, SHORT) or other[0] in (SHORT, STOP)
            for one, other in zip(windows(before), windows(after), strict=True)
        ]
        short = any(slopes) and number not in silent and number - 1 not in silent
        at = at + 1 if short else 0
        longest = max(longest, at)
    return longest


def window_tracks(data: bytes) -> list[list[int]]:
    """By channel, the windows of a whole file, its tag left out."""
    every, _ = all_frames(data)
    frames = every[1:] if every[0].is_tag else every
    by_frame = [windows(frame) for frame in frames]
    return [[window for one in by_frame for window in one[c]] for c in range(frames[0].channels)]


def illegal_successions(data: bytes) -> list[Succession]:
    """Where windows of a file follow one another whose slopes don't fit."""
    return illegal_in(window_tracks(data))


def illegal_in(tracks: Sequence[Sequence[int]]) -> list[Succession]:
    """The same, of windows that are read."""
    return [
        Succession(channel, granule, pair)
        for channel, track in enumerate(tracks)
        for granule, pair in enumerate(pairwise(track), 1)
        if pair not in LEGAL
    ]
