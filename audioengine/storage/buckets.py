# SPDX-License-Identifier: Apache-2.0
"""Storages for commands: buckets of objects, all with the same interface.

Objects are read and published like every other place. They can also be found, copied inside the
storage, and deleted.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from audioengine.errors import InvalidRequestError
from audioengine.storage.base import DestinationChangedError, Source, Staging
from audioengine.storage.options import S3Options

SCHEME = "s3://"

_ACCESS_POINT = re.compile(
    r"(?P<arn>arn:aws[a-z-]*:(?:"
    r"s3:[a-z0-9-]+:[0-9]{12}:accesspoint[/:][A-Za-z0-9-]+"
    r"|s3-outposts:[a-z0-9-]+:[0-9]{12}:outpost[/:][A-Za-z0-9-]+[/:]accesspoint[/:][A-Za-z0-9-]+"
    r"))(?:/(?P<key>.*))?",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Location:
    """An object's bucket and its key there."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.key}"

    @classmethod
    def parse(cls, text: str, field: str) -> Location:
        """Read ``s3://bucket/key``.

        Raises InvalidRequestError.
        """
        bucket, key = split_place(text, field)
        if not bucket or not key:
            raise InvalidRequestError.of(field, text, "must be s3://bucket/key")
        return cls(bucket, key)


def split_place(text: str, field: str) -> tuple[str, str]:
    """Split a place at the first slash after ``s3://``, into bucket and key.

    The ARN of an access point may stand for the bucket, and may contain slashes.

    Raises InvalidRequestError for any other ARN.
    """
    rest = text.removeprefix(SCHEME) if text.startswith(SCHEME) else ""
    if not rest.startswith("arn:"):
        bucket, _, key = rest.partition("/")
        return bucket, key
    found = _ACCESS_POINT.fullmatch(rest)
    if found is not None:
        return found["arn"], found["key"] or ""
    service = rest.split(":")[2:3]
    rule = "must be s3://bucket/key, or have the ARN of an access point for a bucket:"
    rule += " arn:aws:s3:REGION:ACCOUNT:accesspoint/NAME"
    if service == ["s3-object-lambda"]:
        rule = "must not be an object Lambda access point, which changes the object: name the"
        rule += " bucket, or one of its access points"
    elif ".mrap" in rest:
        rule = "must not be a multi-region access point: name a bucket or one of its access points"
    raise InvalidRequestError.of(field, text, rule)


@dataclass(frozen=True, slots=True)
class Found:
    """An object that exists."""

    size: int
    """In bytes."""
    etag: str
    """It changes when the object is replaced."""
    version: str | None = None
    """Its version, in a versioned bucket."""
    sha256: str | None = None
    """In base64, if the store knows it."""
    metadata: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Its metadata, by names in lower case."""
    is_hidden: bool = False
    """Whether it seems to need another customer key; the store reports nothing more."""


Judge: TypeAlias = Callable[[Found], None]
"""Raises if an object must not be read or deleted, by its metadata."""


@dataclass(frozen=True, slots=True)
class Listed:
    """An object in a listing of its bucket."""

    key: str
    etag: str
    """As in `Found`."""
    modified_ms: int
    """When it was written, in epoch milliseconds."""


class Storage(ABC):
    """Buckets of objects. Classes that may be pickled for another process say so.

    `options` give region, encryption and metadata of one object; for a copy, those of the new one.
    Fields that are unset, and options of None, fall back to the storage's own. All methods raise
    StorageError, and InvalidRequestError for names and keys that this storage can't have.
    """

    @abstractmethod
    def find(self, location: Location, options: S3Options | None = None) -> Found | None:
        """The object; None if it does not exist. An unreadable one is found, but hidden."""

    @abstractmethod
    def source(self, location: Location, options: S3Options | None = None) -> Source:
        """Open an object for reading, with its metadata."""

    @abstractmethod
    def staging(self, location: Location, options: S3Options | None = None) -> Staging:
        """Open an object for writing; it stays invisible until it is published."""

    @abstractmethod
    def copy(
        self,
        source: Location,
        destination: Location,
        found: Found,
        options: S3Options | None = None,
    ) -> None:
        """Copy an object inside the storage, unchanged since `found`, with `options`' metadata."""

    @abstractmethod
    def versions(self, location: Location) -> tuple[str, ...]:
        """All versions of an object, newest first; none if its bucket is not versioned."""

    @abstractmethod
    def delete(
        self,
        location: Location,
        versions: Sequence[str] | None = None,
        *,
        judge: Judge | None = None,
    ) -> None:
        """Delete an object, in all or the given versions; a missing object is no error.

        judge: called with each version before any is deleted; it raises if one must stay. Only the
            versions passed to it are deleted, as far as the store can distinguish them.
        """

    @abstractmethod
    def objects(self, bucket: str, prefix: str = "") -> Iterator[Listed]:
        """The newest version of all objects in a bucket with this key prefix, in any order."""

    def place(self, bucket: str, key: str, options: S3Options | None = None) -> ObjectPlace:
        """An object as a source or destination of `store`, `merge` and other operations."""
        return ObjectPlace(self, Location(bucket, key), options)


@dataclass(frozen=True, slots=True)
class ObjectPlace:
    """An object of a storage, which may not exist yet."""

    storage: Storage
    location: Location
    options: S3Options | None = None
    judge: Callable[[Mapping[str, str]], None] | None = None
    """Raises if the object must not be read, by the metadata of the version that is opened."""

    def __str__(self) -> str:
        return str(self.location)

    def source(self) -> Source:
        """Open the object for reading."""
        source = self.storage.source(self.location, self.options)
        if self.judge is not None:
            try:
                self.judge(source.metadata)
            except BaseException:
                source.close()
                raise
        return source

    def staging(self) -> Staging:
        """Open the object for writing."""
        return self.storage.staging(self.location, self.options)


def refuse_encryption(options: S3Options | None, kind: str) -> None:
    """Raise InvalidRequestError if an object should be encrypted but can't be."""
    if options is not None and (options.kms_key or options.customer_key):
        rule = f"must not be given: {kind} can't encrypt"
        raise InvalidRequestError.of("encryptionKey", "***", rule)


def check_replaced(place: str, options: S3Options | None, etag: str | None) -> None:
    """Raise DestinationChangedError if an output would replace an object that it must not.

    etag: the ETag of the present object; None if it does not exist.
    """
    if options is None:
        return
    if (options.only_new and etag is not None) or options.replaces not in (None, etag):
        raise DestinationChangedError(place)
