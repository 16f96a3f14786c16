# SPDX-License-Identifier: Apache-2.0
"""Where recordings come from and go to. Thin: reading at any place, publishing whole or not.

`open_source` and `open_destination` are the doors; each kind of place has a module.
"""

from __future__ import annotations

import os
from typing import BinaryIO, TypeAlias

from audioengine.errors import InvalidRequestError
from audioengine.storage.base import Source, Staging
from audioengine.storage.files import FileSource, FileStaging
from audioengine.storage.objects import BytesSource, ObjectSource, ObjectStaging

SourceLike: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO
"""A path, the bytes themselves, or a readable binary file object."""

DestinationLike: TypeAlias = str | os.PathLike[str] | BinaryIO
"""A path, or a writable binary file object."""

__all__ = [
    "DestinationLike",
    "Source",
    "SourceLike",
    "Staging",
    "open_destination",
    "open_source",
]


def open_source(source: SourceLike) -> Source:
    """Open a source for reading.

    Raises StorageError where it can't be read, InvalidRequestError where it is no source.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        return BytesSource(bytes(source))
    if isinstance(source, (str, os.PathLike)):
        _refuse_schemes(source, "source")
        return FileSource(source)
    if callable(getattr(source, "read", None)):
        return ObjectSource(source)
    rule = "must be a path, bytes, or a readable binary file object"
    raise InvalidRequestError.of("source", source, rule)


def open_destination(destination: DestinationLike) -> Staging:
    """Prepare a place for an output, which nobody sees before `publish`.

    Raises StorageError where it can't be written, InvalidRequestError where it is none.
    """
    if isinstance(destination, (str, os.PathLike)):
        _refuse_schemes(destination, "destination")
        return FileStaging(destination)
    if callable(getattr(destination, "write", None)):
        return ObjectStaging(destination)
    rule = "must be a path or a writable binary file object"
    raise InvalidRequestError.of("destination", destination, rule)


def _refuse_schemes(place: str | os.PathLike[str], field: str) -> None:
    text = os.fspath(place)
    if isinstance(text, str) and "://" in text:
        rule = "must be a local path: other stores are not supported yet"
        raise InvalidRequestError.of(field, text, rule)
