# SPDX-License-Identifier: Apache-2.0
"""The interfaces of every kind of source and destination."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType

from audioengine.errors import StorageError


class DestinationChangedError(StorageError):
    """An output was not written, because its destination changed since it was checked."""

    def __init__(self, place: str) -> None:
        self.place = place
        message = f"can't write destination {place!r}: it has changed in the meantime"
        super().__init__(message, retryable=True)

    def __reduce__(self) -> tuple[type[DestinationChangedError], tuple[str]]:
        return type(self), (self.place,)


class Source(ABC):
    """Bytes of known length that can be read at any offset, from any thread."""

    size: int
    """Length in bytes when the source was opened."""

    metadata: Mapping[str, str] = MappingProxyType({})
    """The metadata kept with it, if its storage can keep any."""

    @abstractmethod
    def read(self, offset: int, length: int) -> bytes:
        """The bytes from `offset`; fewer than `length` only at the end.

        Raises StorageError.
        """

    @abstractmethod
    def check_unchanged(self) -> None:
        """Raise StorageError if the source has changed since it was opened."""

    @abstractmethod
    def close(self) -> None:
        """Release the source's resources."""


class Staging(ABC):
    """An output that stays invisible until it is published; closed before that, it is removed.

    ``with closing(open_destination(place)) as staging: …; staging.publish()``
    """

    size: int
    """Bytes written so far."""

    @abstractmethod
    def write(self, data: bytes) -> None:
        """Append. Raises StorageError."""

    @abstractmethod
    def rewrite_start(self, data: bytes) -> None:
        """Replace the first bytes, which are already written. Raises StorageError."""

    @abstractmethod
    def read(self, offset: int, length: int) -> bytes:
        """Read written bytes from `offset`. Raises StorageError."""

    @abstractmethod
    def restart(self) -> None:
        """Discard everything written. Raises StorageError."""

    @abstractmethod
    def publish(self, facts: Mapping[str, str] | None = None) -> None:
        """Make the whole output appear under its name. Raises StorageError.

        facts: metadata to keep with it, in ASCII, if the storage can.
        """

    @abstractmethod
    def close(self) -> None:
        """Remove the output unless it is published."""
