# SPDX-License-Identifier: Apache-2.0
"""How the frames under a mask couple the two parties."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import numpy.typing as npt

from audioengine.mp3.bytesource import ByteSource
from audioengine.mp3.header import parse_header
from audioengine.mp3.index import FrameIndex
from audioengine.mp3.side_info import SideInfo, main_data_bits, parse_side_info, side_is_empty
from audioengine.plan.grid import FrameRange

_CHUNK_FRAMES = 4096


class Coupling(IntEnum):
    """What one channel of a frame says of the other."""

    SEPARATE = 0
    """Coded left/right."""
    SILENT = 1
    """Neither channel has main data, or there is no such frame."""
    MID_SIDE = 2
    EQUAL = 3
    """Mid/side with an empty side: both channels are the same."""
    INTENSITY = 4


def read_coupling(
    source: ByteSource, index: FrameIndex, frames: FrameRange
) -> npt.NDArray[np.uint8]:
    """[shape=(frames.count,)] The Coupling of each frame; those outside the source are SILENT."""
    out = np.full(frames.count, Coupling.SILENT, dtype=np.uint8)
    first, last = max(frames.first, 0), min(frames.last, index.frames)
    for start in range(first, last, _CHUNK_FRAMES):
        end = min(start + _CHUNK_FRAMES, last)
        out[start - frames.first : end - frames.first] = _chunk(source, index, start, end)
    return out


def _chunk(source: ByteSource, index: FrameIndex, first: int, last: int) -> npt.NDArray[np.uint8]:
    data = index.read_frames(source, first, last)
    sizes = index.sizes[index.byte2[first:last]]
    offsets = np.cumsum(sizes, dtype=np.int64) - sizes
    byte3 = np.frombuffer(data, dtype=np.uint8)[offsets + 3]
    # mode 01 is joint stereo; mode_extension 10 is mid/side, 01 intensity.
    joint = byte3 & 0xC0 == 0x40
    out = np.zeros(last - first, dtype=np.uint8)
    out[joint & (byte3 & 0x20 > 0)] = Coupling.MID_SIDE
    out[joint & (byte3 & 0x10 > 0)] = Coupling.INTENSITY
    for number in np.flatnonzero(out == Coupling.MID_SIDE).tolist():
        if side_is_empty(_side_info(data, int(offsets[number])), index.format):
            out[number] = Coupling.EQUAL
    if (out == Coupling.EQUAL).any():
        # Equal channels are judged by all frames that say anything.
        for number in np.flatnonzero(out != Coupling.INTENSITY).tolist():
            if main_data_bits(_side_info(data, int(offsets[number])), index.format) == 0:
                out[number] = Coupling.SILENT
    return out


def _side_info(data: bytes, offset: int) -> SideInfo:
    header = parse_header(data, offset)
    assert header is not None
    start = offset + header.side_info_offset
    return parse_side_info(data[start : offset + header.main_data_offset], header.format)
