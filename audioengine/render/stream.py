# SPDX-License-Identifier: Apache-2.0
"""The sources of an output's copied frames: one recording, or stretches of several."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

from audioengine.mp3.bytesource import ByteSource
from audioengine.mp3.header import CRC_BYTES, FrameHeader
from audioengine.mp3.index import FrameIndex, byte2_counts
from audioengine.mp3.info_tag import OWN_ENCODER
from audioengine.mp3.main_data import Frame, read_frames
from audioengine.plan.grid import FrameRange

_COPY_BYTES = 1 << 20


class FrameStream(Protocol):
    """Frames by their number in the output; numbers may be missing."""

    @property
    def header(self) -> FrameHeader:
        """The header fields that re-made frames share with the stream's."""
        ...

    @property
    def encoder(self) -> bytes:
        """The name of the encoder for the output's tag."""
        ...

    @property
    def reach(self) -> int:
        """The most frames that a frame's main data can reach back over."""
        ...

    def read(self, first: int, last: int) -> list[Frame]:
        """The existing frames from `first` to before `last`."""
        ...

    def bulk(self, first: int, last: int) -> Iterator[bytes]:
        """The bytes of the frames from `first` to before `last`, all of which must exist."""
        ...

    def byte2(self, first: int, last: int) -> npt.NDArray[np.uint8]:
        """[shape=(last - first,)] Byte 2 of each frame's header."""
        ...


@dataclass(frozen=True)
class RecordingStream:
    """One recording; its frame `number` is the output's frame `number` + `shift`."""

    source: ByteSource
    index: FrameIndex
    shift: int = 0

    @property
    def header(self) -> FrameHeader:
        """The first frame's."""
        return self.index.header

    @property
    def encoder(self) -> bytes:
        """The source's encoder, if its tag names one that decoders honour."""
        info = self.index.info_tag
        return info.encoder if info is not None and info.gapless and info.encoder else OWN_ENCODER

    @cached_property
    def reach(self) -> int:
        """The most frames, by the size of the recording's smallest frame."""
        sizes = self.index.sizes[np.flatnonzero(byte2_counts(self.index.byte2))]
        smallest = int(sizes.min()) - self.index.header.main_data_offset - CRC_BYTES
        return self.index.format.max_main_data_begin // max(1, smallest) + 2

    def read(self, first: int, last: int) -> list[Frame]:
        """The recording's frames in that range."""
        low, high = max(0, first - self.shift), min(self.index.frames, last - self.shift)
        frames = read_frames(self.source, self.index, low, high)
        if not self.shift:
            return frames
        return [frame._replace(number=frame.number + self.shift) for frame in frames]

    def bulk(self, first: int, last: int) -> Iterator[bytes]:
        """The recording's bytes, in blocks."""
        for part in self.index.ranges(first - self.shift, last - self.shift):
            for offset in range(part.offset, part.offset + part.length, _COPY_BYTES):
                length = min(_COPY_BYTES, part.offset + part.length - offset)
                yield self.source.read(offset, length)

    def byte2(self, first: int, last: int) -> npt.NDArray[np.uint8]:
        """The recording's."""
        return self.index.byte2[first - self.shift : last - self.shift]


@dataclass(frozen=True, slots=True)
class CopiedRun:
    """Consecutive frames of the output that are copied from one recording."""

    frames: FrameRange
    stream: RecordingStream


@dataclass(frozen=True)
class PatchedStream:
    """Stretches of several recordings, in order; without stretches, nothing is copied."""

    header: FrameHeader
    encoder: bytes
    patches: Sequence[CopiedRun]

    @cached_property
    def reach(self) -> int:
        """The largest reach of any recording."""
        return max((patch.stream.reach for patch in self.patches), default=0)

    @cached_property
    def _firsts(self) -> list[int]:
        return [patch.frames.first for patch in self.patches]

    def patch_at(self, frame: int) -> CopiedRun:
        """The patch that contains this frame."""
        return self.patches[bisect_right(self._firsts, frame) - 1]

    def read(self, first: int, last: int) -> list[Frame]:
        """The patches' frames in that range."""
        out: list[Frame] = []
        start = max(0, bisect_right(self._firsts, first) - 1)
        for patch in self.patches[start : bisect_left(self._firsts, last)]:
            low, high = max(first, patch.frames.first), min(last, patch.frames.last)
            if low < high:
                out += patch.stream.read(low, high)
        return out

    def bulk(self, first: int, last: int) -> Iterator[bytes]:
        """Of a range inside one patch."""
        return self.patch_at(first).stream.bulk(first, last)

    def byte2(self, first: int, last: int) -> npt.NDArray[np.uint8]:
        """Of a range inside one patch."""
        return self.patch_at(first).stream.byte2(first, last)
