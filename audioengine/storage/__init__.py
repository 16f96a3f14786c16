# SPDX-License-Identifier: Apache-2.0
"""Reads recordings at any offset, and publishes outputs whole or not at all.

`open_source` and `open_destination` open every kind of place; each kind has a module.
"""

from __future__ import annotations

import os
from typing import BinaryIO, TypeAlias

from audioengine.errors import InvalidRequestError
from audioengine.storage.base import Source, Staging
from audioengine.storage.buckets import Location, ObjectPlace, Storage
from audioengine.storage.files import FileSource, FileStaging
from audioengine.storage.objects import BytesSource, ObjectSource, ObjectStaging
from audioengine.storage.options import S3Options

SourceLike: TypeAlias = (
    str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | ObjectPlace | Source
)
"""A path, ``s3://bucket/key``, bytes, a readable binary file object, an object of a storage, or an
open source, which is closed at the end."""

DestinationLike: TypeAlias = str | os.PathLike[str] | BinaryIO | ObjectPlace
"""A path, ``s3://bucket/key``, a writable binary file object, or an object of a storage."""

__all__ = [
    "DestinationLike",
    "ObjectPlace",
    "S3Options",
    "Source",
    "SourceLike",
    "Staging",
    "Storage",
    "open_destination",
    "open_source",
]


def open_source(source: SourceLike, s3: S3Options | None = None) -> Source:
    """Open a source for reading.

    Raises StorageError if it can't be read, InvalidRequestError if it is no source.
    """
    if isinstance(source, Source):
        return source
    if isinstance(source, ObjectPlace):
        return source.source()
    if isinstance(source, (bytes, bytearray, memoryview)):
        return BytesSource(bytes(source))
    if isinstance(source, (str, os.PathLike)):
        if _is_s3(source, "source"):
            from audioengine.storage.s3 import S3Source

            location = Location.parse(os.fsdecode(source), "source")
            return S3Source(location, s3 or S3Options())
        return FileSource(source)
    if callable(getattr(source, "read", None)):
        return ObjectSource(source)
    rule = "must be a path, s3://bucket/key, bytes, or a readable binary file object"
    raise InvalidRequestError.of("source", source, rule)


def open_destination(destination: DestinationLike, s3: S3Options | None = None) -> Staging:
    """Open a destination; its output stays invisible until `publish`.

    Raises StorageError if it can't be written, InvalidRequestError if it is no destination.
    """
    if isinstance(destination, ObjectPlace):
        return destination.staging()
    if isinstance(destination, (str, os.PathLike)):
        if _is_s3(destination, "destination"):
            from audioengine.storage.s3 import S3Staging

            location = Location.parse(os.fsdecode(destination), "destination")
            return S3Staging(location, s3 or S3Options())
        return FileStaging(destination)
    if callable(getattr(destination, "write", None)):
        return ObjectStaging(destination)
    rule = "must be a path, s3://bucket/key, or a writable binary file object"
    raise InvalidRequestError.of("destination", destination, rule)


def _is_s3(place: str | os.PathLike[str], field: str) -> bool:
    """Whether a name is an S3 URL. Raises InvalidRequestError for URLs of other schemes."""
    text = os.fspath(place)
    scheme, separator, _ = text.partition("://") if isinstance(text, str) else ("", "", "")
    if separator and scheme != "s3":
        raise InvalidRequestError.of(field, text, "must be a local path or s3://bucket/key")
    return bool(separator)
