# SPDX-License-Identifier: Apache-2.0
"""The interface through which the bitstream layer reads bytes."""

from __future__ import annotations

from typing import Protocol


class ByteSource(Protocol):
    """Bytes of known length that can be read at any offset, from any thread."""

    @property
    def size(self) -> int:
        """Length in bytes."""
        ...

    def read(self, offset: int, length: int) -> bytes:
        """The bytes from `offset`; fewer than `length` only at the end.

        Raises StorageError.
        """
        ...
