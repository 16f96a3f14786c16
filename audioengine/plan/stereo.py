# SPDX-License-Identifier: Apache-2.0
"""Reads how the frames under a mask couple the two parties."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from audioengine.mp3.bytesource import ByteSource
from audioengine.mp3.header import parse_header
from audioengine.mp3.index import FrameIndex
from audioengine.mp3.side_info import SideInfo, main_data_bits, parse_side_info, side_is_empty
from audioengine.plan.grid import Flags, FrameRange

_CHUNK_FRAMES = 256

# Masks come in order, so few chunks are read twice.
_KEPT_CHUNKS = 64


class Coupling(IntEnum):
    """How the two channels of a frame are coded together."""

    SEPARATE = 0
    """Coded left/right."""
    SILENT = 1
    """Neither channel has main data, or the frame does not exist."""
    MID_SIDE = 2
    EQUAL = 3
    """Mid/side with an empty side: both channels are equal."""
    INTENSITY = 4


class CouplingReader:
    """Returns the Coupling of a source's frames, read in chunks that many masks may share."""

    def __init__(self, source: ByteSource, index: FrameIndex) -> None:
        self._source = source
        self._index = index
        self._by_header = lru_cache(_KEPT_CHUNKS)(self._read_headers)
        self._silent = lru_cache(_KEPT_CHUNKS)(self._read_silent)

    def __call__(self, frames: FrameRange) -> npt.NDArray[np.uint8]:
        """[shape=(frames.count,)] The Coupling of each frame; SILENT outside the source."""
        start = frames.first - frames.first % _CHUNK_FRAMES
        chunk = FrameRange(start, min(start + _CHUNK_FRAMES, self._index.frames))
        if start >= 0 and frames.last <= chunk.last:
            found = self._by_header(chunk)[frames.first - start : frames.last - start]
            if not found.any():
                return found
        out = np.full(frames.count, Coupling.SILENT, dtype=np.uint8)
        for here, there, chunk in self._chunks(frames):
            out[here] = self._by_header(chunk)[there]
        if (out == Coupling.EQUAL).any():
            # All frames that are not silent decide whether the channels are equal.
            for here, there, chunk in self._chunks(frames):
                out[here][self._silent(chunk)[there]] = Coupling.SILENT
        return out

    def _chunks(self, frames: FrameRange) -> Iterator[tuple[slice, slice, FrameRange]]:
        """For each chunk: its positions in `frames`, the frames' positions in it, and the chunk."""
        first, last = max(frames.first, 0), min(frames.last, self._index.frames)
        if first >= last:
            return
        for start in range(first - first % _CHUNK_FRAMES, last, _CHUNK_FRAMES):
            end = min(start + _CHUNK_FRAMES, self._index.frames)
            low, high = max(start, first), min(end, last)
            here = slice(low - frames.first, high - frames.first)
            yield here, slice(low - start, high - start), FrameRange(start, end)

    def _read_headers(self, chunk: FrameRange) -> npt.NDArray[np.uint8]:
        return _by_header(self._source, self._index, chunk)

    def _read_silent(self, chunk: FrameRange) -> Flags:
        return _silent(self._source, self._index, chunk)


def _by_header(source: ByteSource, index: FrameIndex, frames: FrameRange) -> npt.NDArray[np.uint8]:
    data = index.read_frames(source, frames.first, frames.last)
    offsets = _offsets(index, frames)
    byte3 = np.frombuffer(data, dtype=np.uint8)[offsets + 3]
    # mode 01 is joint stereo; mode_extension 10 is mid/side, 01 intensity.
    joint = byte3 & 0xC0 == 0x40
    out = np.zeros(frames.count, dtype=np.uint8)
    out[joint & (byte3 & 0x20 > 0)] = Coupling.MID_SIDE
    out[joint & (byte3 & 0x10 > 0)] = Coupling.INTENSITY
    for number in np.flatnonzero(out == Coupling.MID_SIDE).tolist():
        if side_is_empty(_side_info(data, int(offsets[number])), index.format):
            out[number] = Coupling.EQUAL
    return out


def _silent(source: ByteSource, index: FrameIndex, frames: FrameRange) -> Flags:
    data = index.read_frames(source, frames.first, frames.last)
    infos = (_side_info(data, offset) for offset in _offsets(index, frames).tolist())
    return np.array([main_data_bits(info, index.format) == 0 for info in infos], dtype=bool)


def _offsets(index: FrameIndex, frames: FrameRange) -> npt.NDArray[np.int64]:
    """The offset of each frame in their joined bytes."""
    sizes = index.sizes[index.byte2[frames.first : frames.last]]
    offsets: npt.NDArray[np.int64] = np.cumsum(sizes, dtype=np.int64) - sizes
    return offsets


def _side_info(data: bytes, offset: int) -> SideInfo:
    header = parse_header(data, offset)
    assert header is not None
    start = offset + header.side_info_offset
    return parse_side_info(data[start : offset + header.main_data_offset], header.format)
