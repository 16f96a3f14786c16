# SPDX-License-Identifier: Apache-2.0
"""Obstacles to copying a source's frames around re-made ones."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

from audioengine.mp3.index import FrameIndex
from audioengine.notices import Notice
from audioengine.plan.grid import FrameRange, merged

NEIGHBOURHOOD_FRAMES = 16
"""Damage this close to a run may affect the samples that the run is made from."""


def obstacles(index: FrameIndex, required: Iterable[Iterable[FrameRange]]) -> list[Notice]:
    """Why the smart path is impossible: free format, or damage near re-made frames.

    required: by channel, the source's frames that are re-made.
    """
    if index.free_format:
        return [Notice("free_format", "The recording is in free format")]
    near = merged(
        FrameRange(part.first - NEIGHBOURHOOD_FRAMES, part.last + NEIGHBOURHOOD_FRAMES)
        for channel in required
        for part in channel
        if part.count
    )
    damaged = index.damaged
    for part in near:
        place = bisect_left(damaged, part.first)
        if place < len(damaged) and damaged[place] in part:
            frame = damaged[place]
            where = f"frame {frame} (byte {index.offset(frame)})"
            return [Notice("damage", f"The recording is damaged near an edit, at {where}")]
    return []
