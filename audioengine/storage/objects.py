# SPDX-License-Identifier: Apache-2.0
"""Bytes and file objects of the caller's own."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock
from typing import BinaryIO

from audioengine.errors import AudioEngineError, InvalidRequestError, StorageError
from audioengine.storage.base import Source
from audioengine.storage.spool import SpooledStaging

_BLOCK_BYTES = 1 << 20


class BytesSource(Source):
    """Bytes in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read(self, offset: int, length: int) -> bytes:
        return self._data[offset : offset + length]

    def check_unchanged(self) -> None:
        """Bytes can't change."""

    def close(self) -> None:
        """There is nothing to give back."""


class ObjectSource(Source):
    """A readable binary file object, from its present position; the caller closes it.

    One that can't seek is read into memory.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._lock = Lock()
        self._data: bytes | None = None
        try:
            if file.seekable():
                self._start = file.tell()
                self.size = file.seek(0, 2) - self._start
            else:
                self._data = self._checked(file.read())
                self.size = len(self._data)
        except (OSError, ValueError) as error:
            if isinstance(error, AudioEngineError):
                raise
            raise StorageError(f"can't read the source: {error}") from error

    def read(self, offset: int, length: int) -> bytes:
        if self._data is not None:
            return self._data[offset : offset + length]
        length = max(0, min(length, self.size - offset))
        parts = []
        try:
            with self._lock:
                self._file.seek(self._start + offset)
                while length and (part := self._checked(self._file.read(length))):
                    parts.append(part)
                    length -= len(part)
        except (OSError, ValueError) as error:
            if isinstance(error, AudioEngineError):
                raise
            raise StorageError(f"can't read the source: {error}") from error
        return b"".join(parts)

    def check_unchanged(self) -> None:
        if self._data is None and self._file.seek(0, 2) != self._start + self.size:
            raise StorageError("the source was changed while it was read", retryable=True)

    def close(self) -> None:
        """The caller opened it and closes it; it is left where it was."""
        if self._data is None:
            self._file.seek(self._start)

    def _checked(self, data: object) -> bytes:
        if isinstance(data, bytes):
            return data
        rule = "must be a binary file object, whose read() gives bytes"
        raise InvalidRequestError.of("source", self._file, rule)


class ObjectStaging(SpooledStaging):
    """An output for a writable binary file object, which gets it in one go when it is whole."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._target = file

    def publish(self, facts: Mapping[str, str] | None = None) -> None:
        del facts  # an object of the caller's has no room for them
        self._spool.seek(0)
        try:
            while block := self._spool.read(_BLOCK_BYTES):
                view = memoryview(block)
                while view:
                    # A raw object may take less than it is given.
                    taken = self._target.write(view)
                    if not taken:
                        raise StorageError(
                            "can't write to the destination object: it takes no more"
                        )
                    view = view[taken:]
        except (OSError, ValueError, TypeError) as error:
            if isinstance(error, StorageError):
                raise
            raise StorageError(f"can't write to the destination object: {error}") from error
        finally:
            self.close()
