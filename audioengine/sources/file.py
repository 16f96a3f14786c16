# SPDX-License-Identifier: Apache-2.0
"""Presents a source as a binary file with its own position, as libraries need it."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from audioengine.mp3.bytesource import ByteSource

if TYPE_CHECKING:
    from typing_extensions import Buffer

_BUFFER_BYTES = 1 << 18


class _Raw(io.RawIOBase):
    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._source.size}[whence]
        # If a header is broken, libsndfile seeks to negative offsets.
        self._place = max(0, base + offset)
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer)
        data = self._source.read(self._place, len(view))
        view[: len(data)] = data
        self._place += len(data)
        return len(data)


def file_of(source: ByteSource) -> io.BufferedReader:
    """A binary file of the source's bytes; closing it does not close the source."""
    return io.BufferedReader(_Raw(source), _BUFFER_BYTES)


@dataclass(frozen=True, slots=True)
class Slice:
    """A range of a source's bytes as a source."""

    whole: ByteSource
    offset: int
    size: int

    def read(self, offset: int, length: int) -> bytes:
        """Read bytes from `offset`, counted from the slice's first."""
        return self.whole.read(self.offset + offset, max(0, min(length, self.size - offset)))


@dataclass(frozen=True, slots=True)
class Patched:
    """A source with some bytes replaced."""

    whole: ByteSource
    offset: int
    patch: bytes

    @property
    def size(self) -> int:
        """Length in bytes."""
        return self.whole.size

    def read(self, offset: int, length: int) -> bytes:
        """Read bytes from `offset`, with the patch applied."""
        data = bytearray(self.whole.read(offset, length))
        for place, value in enumerate(self.patch, self.offset - offset):
            if 0 <= place < len(data):
                data[place] = value
        return bytes(data)
