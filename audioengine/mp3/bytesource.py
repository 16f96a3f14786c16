# SPDX-License-Identifier: Apache-2.0
"""What the bitstream layer asks of a place that bytes come from."""

from __future__ import annotations

from typing import Protocol


class ByteSource(Protocol):
    """Bytes of known length that can be read at any place, from any thread."""

    @property
    def size(self) -> int:
        """Length in bytes."""
        ...

    def read(self, offset: int, length: int) -> bytes:
        """The bytes from `offset`; fewer than `length` only at the end.

        Raises StorageError.
        """
        ...
