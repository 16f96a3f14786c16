# SPDX-License-Identifier: Apache-2.0
"""Buckets in memory, for tests of programs that use this package."""

from __future__ import annotations

import hashlib
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from threading import RLock

from audioengine.errors import StorageError
from audioengine.storage.base import Source, Staging
from audioengine.storage.buckets import Found, Judge, Listed, Location, Storage, check_replaced
from audioengine.storage.objects import BytesSource
from audioengine.storage.options import S3Options
from audioengine.storage.spool import SpooledStaging


@dataclass(frozen=True, slots=True)
class MemoryObject:
    """One version of an object."""

    data: bytes
    found: Found
    options: S3Options
    """The options that it was written with; nothing is encrypted."""
    modified_ms: int
    """When it was written, in epoch milliseconds."""


class MemoryStorage(Storage):
    """Buckets with these names, in this process.

    versioned: whether overwritten versions are kept.

    `requests` lists all requests in order: the method's name, and the place.
    """

    def __init__(self, *buckets: str, versioned: bool = False) -> None:
        self._buckets: dict[str, dict[str, list[MemoryObject]]] = {name: {} for name in buckets}
        self._versioned = versioned
        self._lock = RLock()
        self._count = count(1)
        self.requests: list[tuple[str, str]] = []

    def put(
        self,
        bucket: str,
        key: str,
        data: bytes,
        metadata: Mapping[str, str] | None = None,
        modified_ms: int | None = None,
    ) -> None:
        """Create an object without adding it to `requests`.

        modified_ms: when it was written, in epoch milliseconds; None: now.
        """
        self._keep(Location(bucket, key), data, S3Options(metadata=metadata or {}), modified_ms)

    def get(self, bucket: str, key: str) -> bytes:
        """The bytes of an object. Raises StorageError if it does not exist."""
        return self._existing(Location(bucket, key)).data

    def keys(self, bucket: str) -> tuple[str, ...]:
        """The keys of all objects in a bucket, sorted."""
        return tuple(sorted(self._bucket(bucket)))

    def object(self, bucket: str, key: str) -> MemoryObject:
        """The newest version of an object. Raises StorageError if it does not exist."""
        return self._existing(Location(bucket, key))

    def find(self, location: Location, options: S3Options | None = None) -> Found | None:
        self._asked("find", location)
        if location.bucket not in self._buckets:
            return None
        kept = self._kept(location, options.version if options else None)
        return kept.found if kept else None

    def source(self, location: Location, options: S3Options | None = None) -> Source:
        self._asked("source", location)
        kept = self._existing(location, options.version if options else None)
        source = BytesSource(kept.data)
        source.metadata = kept.found.metadata
        return source

    def staging(self, location: Location, options: S3Options | None = None) -> Staging:
        self._bucket(location.bucket)
        return _MemoryStaging(self, location, options or S3Options())

    def copy(
        self,
        source: Location,
        destination: Location,
        found: Found,
        options: S3Options | None = None,
    ) -> None:
        self._asked("copy", destination)
        kept = self._existing(source, found.version)
        if kept.found.etag != found.etag:
            raise StorageError(f"can't copy {str(source)!r}: it has changed", retryable=True)
        self._keep(destination, kept.data, options or S3Options())

    def versions(self, location: Location) -> tuple[str, ...]:
        self._asked("versions", location)
        kept = self._bucket(location.bucket).get(location.key, [])
        return tuple(one.found.version for one in kept if one.found.version is not None)

    def delete(
        self,
        location: Location,
        versions: Sequence[str] | None = None,
        *,
        judge: Judge | None = None,
    ) -> None:
        self._asked("delete", location)
        with self._lock:
            bucket = self._bucket(location.bucket)
            for one in bucket.get(location.key, ()):
                if judge is not None and (versions is None or one.found.version in versions):
                    judge(one.found)
            kept = [
                one
                for one in bucket.pop(location.key, [])
                if versions is not None and one.found.version not in versions
            ]
            if kept:
                bucket[location.key] = kept

    def objects(self, bucket: str, prefix: str = "") -> Iterator[Listed]:
        self._asked("objects", Location(bucket, prefix))
        with self._lock:
            kept = {key: versions[0] for key, versions in self._bucket(bucket).items()}
        for key in sorted(kept):
            if key.startswith(prefix):
                yield Listed(key, kept[key].found.etag, kept[key].modified_ms)

    def publish(self, location: Location, data: bytes, options: S3Options) -> None:
        """Keep a staged object."""
        self._asked("publish", location)
        self._keep(location, data, options)

    def _asked(self, door: str, location: Location) -> None:
        self.requests.append((door, str(location)))

    def _bucket(self, name: str) -> dict[str, list[MemoryObject]]:
        try:
            return self._buckets[name]
        except KeyError:
            raise StorageError(f"there is no bucket {name!r}") from None

    def _kept(self, location: Location, version: str | None) -> MemoryObject | None:
        """A version of an object, by default the newest; None if it does not exist."""
        versions = self._bucket(location.bucket).get(location.key, [])
        return next((one for one in versions if version in (None, one.found.version)), None)

    def _existing(self, location: Location, version: str | None = None) -> MemoryObject:
        kept = self._kept(location, version)
        if kept is None:
            raise StorageError(f"can't read source {str(location)!r}: NoSuchKey")
        return kept

    def _keep(
        self, location: Location, data: bytes, options: S3Options, modified_ms: int | None = None
    ) -> None:
        digest = b64encode(hashlib.sha256(data).digest()).decode()
        with self._lock:
            version = f"v{next(self._count)}" if self._versioned else None
            metadata = {name.lower(): value for name, value in options.metadata.items()}
            kept = MemoryObject(
                bytes(data),
                Found(len(data), f'"{digest}"', version, digest, metadata),
                options,
                time.time_ns() // 1_000_000 if modified_ms is None else modified_ms,
            )
            versions = self._bucket(location.bucket).setdefault(location.key, [])
            check_replaced(str(location), options, versions[0].found.etag if versions else None)
            versions[: 0 if self._versioned else None] = [kept]


class _MemoryStaging(SpooledStaging):
    def __init__(self, storage: MemoryStorage, location: Location, options: S3Options) -> None:
        super().__init__()
        self._storage = storage
        self._location = location
        self._options = options

    def publish(self, facts: Mapping[str, str] | None = None) -> None:
        options = replace(self._options, metadata={**self._options.metadata, **(facts or {})})
        self._storage.publish(self._location, self.read(0, self.size), options)
        self.close()
