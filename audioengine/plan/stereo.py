# SPDX-License-Identifier: Apache-2.0
"""How the frames under a mask couple the two parties."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import numpy.typing as npt

from audioengine.mp3.bytesource import ByteSource
from audioengine.mp3.index import FrameIndex
from audioengine.mp3.main_data import read_frames
from audioengine.plan.grid import FrameRange

_CHUNK_FRAMES = 512


class Coupling(IntEnum):
    """What one channel of a frame says of the other."""

    SEPARATE = 0
    """Coded left/right."""
    SILENT = 1
    """Neither channel has main data."""
    MID_SIDE = 2
    EQUAL = 3
    """Mid/side with an empty side: both channels are the same."""
    INTENSITY = 4


def read_coupling(
    source: ByteSource, index: FrameIndex, frames: FrameRange
) -> npt.NDArray[np.uint8]:
    """[shape=(frames.count,)] The Coupling of each frame, all within the source.

    Frames outside the source and damaged ones are SILENT.
    """
    out = np.full(frames.count, Coupling.SILENT, dtype=np.uint8)
    last = min(frames.last, index.frames)
    for chunk in range(max(frames.first, 0), last, _CHUNK_FRAMES):
        for frame in read_frames(source, index, chunk, min(chunk + _CHUNK_FRAMES, last)):
            if frame.header.intensity:
                kind = Coupling.INTENSITY
            elif not frame.adu:
                kind = Coupling.SILENT
            elif frame.equal_channels:
                kind = Coupling.EQUAL
            else:
                kind = Coupling.MID_SIDE if frame.header.mid_side else Coupling.SEPARATE
            out[frame.number - frames.first] = kind
    return out
