# SPDX-License-Identifier: Apache-2.0
"""What every kind of place offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType


class Source(ABC):
    """Bytes of known length that can be read at any place, from any thread."""

    size: int
    """Length in bytes when the source was opened."""

    @abstractmethod
    def read(self, offset: int, length: int) -> bytes:
        """The bytes from `offset`; fewer than `length` only at the end.

        Raises StorageError.
        """

    def check_unchanged(self) -> None:
        """Raise StorageError where the source is no longer what was opened."""

    def close(self) -> None:
        """Give back what the source holds."""

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Staging(ABC):
    """An output that nobody sees before it is published; left otherwise, it never was.

    ``with open_destination(place) as staging: …; staging.publish()``
    """

    size: int
    """Bytes written so far."""

    @abstractmethod
    def write(self, data: bytes) -> None:
        """Append. Raises StorageError."""

    @abstractmethod
    def rewrite_start(self, data: bytes) -> None:
        """Replace the first bytes, which were written before. Raises StorageError."""

    @abstractmethod
    def read(self, offset: int, length: int) -> bytes:
        """What was written, from `offset`. Raises StorageError."""

    @abstractmethod
    def publish(self) -> None:
        """Let the output appear under its name, whole. Raises StorageError."""

    @abstractmethod
    def discard(self) -> None:
        """Remove what was not published; nothing after `publish`."""

    def __enter__(self) -> Staging:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.discard()
