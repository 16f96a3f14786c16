# SPDX-License-Identifier: Apache-2.0
"""Outputs that are kept without a name until they are whole."""

from __future__ import annotations

from abc import ABC

from audioengine.storage.base import Staging
from audioengine.storage.files import Failing

# An output larger than this is kept on disk, in a file without a name.
_IN_MEMORY_BYTES = 32 << 20

_KEEPING = Failing("can't keep an output on the disk until it is whole")


class SpooledStaging(Staging, ABC):
    """An output kept in memory, or on disk if it is large, until `publish` delivers it."""

    def __init__(self) -> None:
        from tempfile import SpooledTemporaryFile

        self._spool = SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115 - close()
        self.size = 0

    def write(self, data: bytes) -> None:
        with _KEEPING:
            self._spool.seek(0, 2)
            self._spool.write(data)
        self.size += len(data)

    def rewrite_start(self, data: bytes) -> None:
        with _KEEPING:
            self._spool.seek(0)
            self._spool.write(data)

    def read(self, offset: int, length: int) -> bytes:
        self._spool.seek(offset)
        return self._spool.read(length)

    def restart(self) -> None:
        self._spool.seek(0)
        self._spool.truncate()
        self.size = 0

    def close(self) -> None:
        self._spool.close()
