# SPDX-License-Identifier: Apache-2.0
"""The caller's own bytes and file objects."""

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
        """Do nothing: bytes can't change."""

    def close(self) -> None:
        """Do nothing: bytes hold no resources."""


class ObjectSource(Source):
    """A readable binary file object, from its current position; the caller closes it.

    A file object that can't seek is read into memory.
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
            raise StorageError("the source changed while it was read", retryable=True)

    def close(self) -> None:
        """Restore its position; the caller opened it and closes it."""
        if self._data is None:
            self._file.seek(self._start)

    def _checked(self, data: object) -> bytes:
        if isinstance(data, bytes):
            return data
        rule = "must be a binary file object: read() must return bytes"
        raise InvalidRequestError.of("source", self._file, rule)


class ObjectStaging(SpooledStaging):
    """An output that is written to a binary file object when it is whole."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._target = file

    def publish(self, facts: Mapping[str, str] | None = None) -> None:
        del facts  # a file object can't keep them
        self._spool.seek(0)
        try:
            while block := self._spool.read(_BLOCK_BYTES):
                view = memoryview(block)
                while view:
                    # A raw file object may write less than it is given.
                    taken = self._target.write(view)
                    if not taken:
                        raise StorageError(
                            "can't write to the destination object: it accepts no more bytes"
                        )
                    view = view[taken:]
        except (OSError, ValueError, TypeError) as error:
            if isinstance(error, StorageError):
                raise
            raise StorageError(f"can't write to the destination object: {error}") from error
        finally:
            self.close()
