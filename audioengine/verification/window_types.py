# SPDX-License-Identifier: Apache-2.0
"""Which windows granules have, read from side information alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from audioengine.mp3.bytesource import ByteSource
from audioengine.mp3.index import FrameIndex
from audioengine.plan.grid import Flags, FrameRange

LONG, START, SHORT, STOP = range(4)


@dataclass(frozen=True)
class Windows:
    """Of frames, by granule and channel."""

    types: npt.NDArray[np.uint8]
    """[shape=(frames, granules, channels)]"""
    mixed: Flags
    """[shape=(frames, granules, channels)] Whether the lowest lines have a long window."""
    bits: npt.NDArray[np.int64]
    """[shape=(frames, granules, channels)] How many bits of main data there are."""


def read_windows(source: ByteSource, index: FrameIndex, frames: FrameRange) -> Windows:
    """The windows of a recording's frames, counted from its first one; one frame at least."""
    data = np.frombuffer(index.read_frames(source, frames.first, frames.last), dtype=np.uint8)
    sizes = index.sizes[index.byte2[frames.first : frames.last]].astype(np.int64)
    starts = np.cumsum(sizes) - sizes
    format = index.format
    side = starts + 4 + 2 * (data[starts + 1] & 1 == 0)
    bits = np.unpackbits(data[side[:, None] + np.arange(format.side_info_bytes)], axis=1)
    channels, granules = format.channels, 1 if format.lsf else 2
    # main_data_begin, private bits and, in MPEG-1, scfsi; then the granules' fields.
    if format.lsf:
        head, width, switching = 8 + channels, 63, 12 + 9 + 8 + 9
    else:
        head, width, switching = 9 + (5 if channels == 1 else 3) + 4 * channels, 59, 12 + 9 + 8 + 4
    count = granules * channels
    fields = bits[:, head : head + count * width].reshape(len(bits), granules, channels, width)
    kinds = 2 * fields[..., switching + 1] + fields[..., switching + 2]
    lengths = fields[..., :12] @ (1 << np.arange(12)[::-1])
    mixed: Flags = fields[..., switching + 3] * fields[..., switching] > 0
    return Windows(kinds * fields[..., switching], mixed, lengths)


def mixed_frames(source: ByteSource, index: FrameIndex, frames: FrameRange) -> Flags:
    """[shape=(frames,)] Which frames have mixed blocks, in any channel."""
    windows = read_windows(source, index, frames)
    found: Flags = (windows.mixed & (windows.types == SHORT)).any(axis=(1, 2))
    return found
