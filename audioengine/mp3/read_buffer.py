# SPDX-License-Identifier: Apache-2.0
"""A source read in blocks, from its start to its end."""

from __future__ import annotations

from audioengine.errors import MalformedAudioError
from audioengine.mp3.bytesource import ByteSource
from audioengine.mp3.header import HEADER_BYTES, FrameHeader, parse_header

BLOCK_BYTES = 1 << 20


class Window:
    """A block of the source in memory; asking for bytes outside it reads the next block."""

    def __init__(self, source: ByteSource, end: int) -> None:
        self.source = source
        self.end = end
        self.base = 0
        self.data = b""

    def load(self, position: int, need: int) -> None:
        """Load `need` bytes from `position`, or all up to the end."""
        have = self.base + len(self.data)
        if position < self.base or (position + need > have and have < self.end):
            self.base = position
            length = min(BLOCK_BYTES, self.end - position)
            self.data = self.source.read(position, length)
            if len(self.data) < length:
                raise MalformedAudioError(
                    f"the source ends at byte {position + len(self.data)}, "
                    f"its length says {self.source.size}",
                    position + len(self.data),
                )

    def bytes_at(self, position: int, length: int) -> bytes:
        """The bytes from `position`, fewer at the end."""
        self.load(position, length)
        start = position - self.base
        return self.data[start : start + min(length, max(0, self.end - position))]

    def header_at(self, position: int) -> FrameHeader | None:
        """The Layer III header at `position`, or None."""
        self.load(position, HEADER_BYTES)
        return parse_header(self.data, position - self.base)
