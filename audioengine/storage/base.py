# SPDX-License-Identifier: Apache-2.0
"""What every kind of place offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType

from audioengine.errors import StorageError


class DestinationChangedError(StorageError):
    """An output was not written: what it may replace is no longer what it was judged to be."""

    def __init__(self, place: str) -> None:
        self.place = place
        message = f"can't write destination {place!r}: it was changed meanwhile"
        super().__init__(message, retryable=True)

    def __reduce__(self) -> tuple[type[DestinationChangedError], tuple[str]]:
        return type(self), (self.place,)


class Source(ABC):
    """Bytes of known length that can be read at any place, from any thread."""

    size: int
    """Length in bytes when the source was opened."""

    metadata: Mapping[str, str] = MappingProxyType({})
    """What its place keeps beside it, where it can."""

    @abstractmethod
    def read(self, offset: int, length: int) -> bytes:
        """The bytes from `offset`; fewer than `length` only at the end.

        Raises StorageError.
        """

    @abstractmethod
    def check_unchanged(self) -> None:
        """Raise StorageError where the source is no longer what was opened."""

    @abstractmethod
    def close(self) -> None:
        """Give back what the source holds."""


class Staging(ABC):
    """An output that nobody sees before it is published; left otherwise, it never was.

    ``with closing(open_destination(place)) as staging: …; staging.publish()``
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
    def restart(self) -> None:
        """Forget all that was written. Raises StorageError."""

    @abstractmethod
    def publish(self, facts: Mapping[str, str] | None = None) -> None:
        """Let the output appear under its name, whole. Raises StorageError.

        facts: what is kept beside it, in ASCII, where the place can.
        """

    @abstractmethod
    def close(self) -> None:
        """Remove what was not published."""
