# SPDX-License-Identifier: Apache-2.0
"""Storage as commands know it: buckets of objects, each kind of it with the same doors.

Reading and publishing are those of every other place; beside them an object can be found, copied
without passing through here, and deleted.
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
    """Return what is before the first slash after ``s3://``, and what is after it.

    An access point stands for a bucket by its ARN, which may have slashes of its own.

    Raises InvalidRequestError where it is an ARN of something else.
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
        rule = "must not be an object Lambda access point, which changes what is read: name the"
        rule += " bucket, or an access point of it"
    elif ".mrap" in rest:
        rule = "must not be a multi-region access point: name a bucket, or an access point of it"
    raise InvalidRequestError.of(field, text, rule)


@dataclass(frozen=True, slots=True)
class Found:
    """An object that is there."""

    size: int
    """In bytes."""
    etag: str
    """Another one where the object is replaced by something else."""
    version: str | None = None
    """Its version, in a bucket that keeps them."""
    sha256: str | None = None
    """In base64, where the store knows it."""
    metadata: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Kept beside it, by names in lower case."""
    is_hidden: bool = False
    """Whether it seems to be under another key than the one given: the store says nothing else."""


Judge: TypeAlias = Callable[[Found], None]
"""Raises where an object must not be read or deleted, for what is kept beside it."""


@dataclass(frozen=True, slots=True)
class Listed:
    """An object, as a listing of its bucket describes it."""

    key: str
    etag: str
    """As in `Found`."""
    modified_ms: int
    """When it was written, in epoch milliseconds."""


class Storage(ABC):
    """Buckets of objects. May be sent to another process where its class says so.

    Whatever takes `options` takes region, keys and metadata of that one object, of a copy the new
    one's; where they are None or leave something out, the storage's own count. All raise
    StorageError, and InvalidRequestError for names and keys that this storage can't have.
    """

    @abstractmethod
    def find(self, location: Location, options: S3Options | None = None) -> Found | None:
        """The object, or None where there is none; one under another key is there, but hidden."""

    @abstractmethod
    def source(self, location: Location, options: S3Options | None = None) -> Source:
        """Open an object for reading; with its metadata."""

    @abstractmethod
    def staging(self, location: Location, options: S3Options | None = None) -> Staging:
        """Prepare an object, which nobody sees before it is published."""

    @abstractmethod
    def copy(
        self,
        source: Location,
        destination: Location,
        found: Found,
        options: S3Options | None = None,
    ) -> None:
        """Copy an object, as it was `found`, inside the storage; with the metadata of `options`."""

    @abstractmethod
    def versions(self, location: Location) -> tuple[str, ...]:
        """All versions of an object, the newest first; none where its bucket keeps none."""

    @abstractmethod
    def delete(
        self,
        location: Location,
        versions: Sequence[str] | None = None,
        *,
        judge: Judge | None = None,
    ) -> None:
        """Delete an object, every version of it or those; none there is no error.

        judge: gets each version before any is deleted, and raises where it must stay. Only the
            versions that it got are deleted, as far as the store can distinguish them.
        """

    @abstractmethod
    def objects(self, bucket: str, prefix: str = "") -> Iterator[Listed]:
        """All objects of a bucket whose keys begin so, in any order; of each the newest version."""

    def place(self, bucket: str, key: str, options: S3Options | None = None) -> ObjectPlace:
        """An object as `store`, `merge` and the others take sources and destinations."""
        return ObjectPlace(self, Location(bucket, key), options)


@dataclass(frozen=True, slots=True)
class ObjectPlace:
    """An object, there or not, of a storage."""

    storage: Storage
    location: Location
    options: S3Options | None = None
    judge: Callable[[Mapping[str, str]], None] | None = None
    """Raises where the object must not be read, for the metadata of the very one that is opened."""

    def __str__(self) -> str:
        return str(self.location)

    def source(self) -> Source:
        """Open it for reading."""
        source = self.storage.source(self.location, self.options)
        if self.judge is not None:
            try:
                self.judge(source.metadata)
            except BaseException:
                source.close()
                raise
        return source

    def staging(self) -> Staging:
        """Prepare it for writing."""
        return self.storage.staging(self.location, self.options)


def refuse_encryption(options: S3Options | None, kind: str) -> None:
    """Raise InvalidRequestError where an object should be encrypted and can't be."""
    if options is not None and (options.kms_key or options.customer_key):
        rule = f"must not be given: {kind} can't encrypt"
        raise InvalidRequestError.of("encryptionKey", "***", rule)


def check_replaced(place: str, options: S3Options | None, etag: str | None) -> None:
    """Raise DestinationChangedError where an output would replace what it must not.

    etag: of what is there now; None: nothing is.
    """
    if options is None:
        return
    if (options.only_new and etag is not None) or options.replaces not in (None, etag):
        raise DestinationChangedError(place)
