# SPDX-License-Identifier: Apache-2.0
"""MP3 as a sound: decoded on its own clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from audioengine.mp3.bytesource import ByteSource
from audioengine.mp3.index import FrameIndex
from audioengine.pcm.decode import decode_raw
from audioengine.sources.leg import Block


@dataclass(frozen=True, slots=True)
class Mp3Sound:
    """The sound of an MP3 recording."""

    source: ByteSource
    index: FrameIndex

    @property
    def rate(self) -> int:
        """Sampling rate in Hz."""
        return self.index.format.rate_hz

    @property
    def channels(self) -> int:
        """1 or 2."""
        return self.index.format.channels

    @property
    def length(self) -> int:
        """Samples per channel, as players play them."""
        return self.index.samples

    @property
    def seeks(self) -> bool:
        """Yes: any window decodes exactly."""
        return True

    def blocks(self, size: int, start: int = 0) -> Iterator[Block]:
        """The samples in order, as `Sound.blocks` says."""
        zero = self.index.start
        for first in range(start, self.length, size):
            last = min(first + size, self.length)
            yield decode_raw(self.source, self.index, zero + first, zero + last)
