# SPDX-License-Identifier: Apache-2.0
"""Where recordings come from and go to. Thin: reading at any place, publishing whole or not.

`open_source` and `open_destination` are the doors; each kind of place has a module.
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
"""A path, ``s3://bucket/key``, the bytes themselves, a readable binary file object, an object of a
storage, or an open source, which is closed in the end."""

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

    Raises StorageError where it can't be read, InvalidRequestError where it is no source.
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
    """Prepare a place for an output, which nobody sees before `publish`.

    Raises StorageError where it can't be written, InvalidRequestError where it is none.
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
    """Whether a name is one in S3; of other stores none is known."""
    text = os.fspath(place)
    scheme, separator, _ = text.partition("://") if isinstance(text, str) else ("", "", "")
    if separator and scheme != "s3":
        raise InvalidRequestError.of(field, text, "must be a local path or s3://bucket/key")
    return bool(separator)
