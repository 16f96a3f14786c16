# SPDX-License-Identifier: Apache-2.0
"""S3, or a store that speaks like it, as buckets of objects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from audioengine.errors import StorageError
from audioengine.storage.base import Source, Staging
from audioengine.storage.buckets import Found, Location, Storage
from audioengine.storage.options import S3Options

# What one request may copy, and delete; both are S3's own.
_MOST_COPIED_BYTES = 5 << 30
_MOST_DELETED = 1000
_NOT_FOUND = frozenset({"404", "NoSuchKey", "NoSuchBucket", "NotFound"})


class S3Storage(Storage):
    """S3; may be sent to another process, which needs credentials of its own.

    options: of all requests, where an object's own say nothing else.
    """

    def __init__(self, options: S3Options | None = None) -> None:
        self._options = options or S3Options()

    def __repr__(self) -> str:
        return f"S3Storage({self._options!r})"

    def find(self, location: Location, options: S3Options | None = None) -> Found | None:
        from botocore.exceptions import ClientError

        from audioengine.storage.s3_client import client, mapped

        own = self._for(options)
        with mapped(f"can't look for {str(location)!r}"):
            try:
                answer = client(own).head_object(
                    Bucket=location.bucket,
                    Key=location.key,
                    ChecksumMode="ENABLED",
                    **own.version_arguments,
                    **own.owner_arguments,
                    **own.customer_key_arguments,
                )
            except ClientError as error:
                if error.response["Error"]["Code"] in _NOT_FOUND:
                    return None
                raise
        return Found(
            size=answer["ContentLength"],
            etag=answer["ETag"],
            version=answer.get("VersionId"),
            sha256=answer.get("ChecksumSHA256"),
            metadata={name.lower(): value for name, value in answer.get("Metadata", {}).items()},
        )

    def source(self, location: Location, options: S3Options | None = None) -> Source:
        from audioengine.storage.s3 import S3Source

        return S3Source(location, self._for(options))

    def staging(self, location: Location, options: S3Options | None = None) -> Staging:
        from audioengine.storage.s3 import S3Staging

        return S3Staging(location, self._for(options))

    def copy(
        self,
        source: Location,
        destination: Location,
        found: Found,
        options: S3Options | None = None,
    ) -> None:
        from audioengine.storage.s3 import CONTENT_TYPE
        from audioengine.storage.s3_client import client, mapped

        own = self._for(options)
        arguments: dict[str, Any] = {
            "ContentType": CONTENT_TYPE,
            "Metadata": dict(own.metadata),
            "MetadataDirective": "REPLACE",
            "CopySourceIfMatch": found.etag,
            **own.owner_arguments,
            **own.encryption_arguments,
            **own.customer_key_arguments,
        }
        if own.bucket_owner:
            arguments["ExpectedSourceBucketOwner"] = own.bucket_owner
        copied = {"Bucket": source.bucket, "Key": source.key}
        if found.version is not None:
            copied["VersionId"] = found.version
        with mapped(f"can't copy {str(source)!r} to {str(destination)!r}"):
            if found.size <= _MOST_COPIED_BYTES:
                client(own).copy_object(
                    Bucket=destination.bucket,
                    Key=destination.key,
                    CopySource=copied,
                    ChecksumAlgorithm="SHA256",
                    **arguments,
                )
            else:
                client(own).copy(
                    copied,
                    destination.bucket,
                    destination.key,
                    ExtraArgs=arguments,
                    SourceClient=client(self._options),
                )
        self._check_size(destination, found.size, own)

    def _check_size(self, location: Location, size: int, options: S3Options) -> None:
        copied = self.find(location, options)
        if copied is None or copied.size != size:
            there = "nothing" if copied is None else f"{copied.size} bytes"
            message = f"can't write destination {str(location)!r}: {there} there for {size} bytes"
            raise StorageError(message, retryable=True)

    def versions(self, location: Location) -> tuple[str, ...]:
        return tuple(self._versions(location))

    def _versions(self, location: Location) -> Iterator[str]:
        from audioengine.storage.s3_client import client, mapped

        page: dict[str, Any] = {"Bucket": location.bucket, "Prefix": location.key}
        page |= self._options.owner_arguments
        while True:
            with mapped(f"can't list versions of {str(location)!r}"):
                answer = client(self._options).list_object_versions(**page)
            for kind in ("Versions", "DeleteMarkers"):
                for one in answer.get(kind, ()):
                    if one["Key"] == location.key:
                        yield one["VersionId"]
            # Keys are in order, so those that only begin alike come later.
            if not answer.get("IsTruncated") or answer["NextKeyMarker"] > location.key:
                return
            page["KeyMarker"] = answer["NextKeyMarker"]
            page["VersionIdMarker"] = answer.get("NextVersionIdMarker", "")

    def delete(self, location: Location, versions: Sequence[str] | None = None) -> None:
        from audioengine.storage.s3_client import client, mapped

        names = [
            {"Key": location.key, "VersionId": version}
            for version in (self.versions(location) if versions is None else versions)
        ]
        doing = f"can't delete {str(location)!r}"
        for first in range(0, len(names), _MOST_DELETED):
            with mapped(doing):
                answer = client(self._options).delete_objects(
                    Bucket=location.bucket,
                    Delete={"Objects": names[first : first + _MOST_DELETED], "Quiet": True},
                    **self._options.owner_arguments,
                )
            for error in answer.get("Errors", ()):
                passing = error["Code"] in {"InternalError", "SlowDown", "ServiceUnavailable"}
                raise StorageError(f"{doing}: {error['Code']}", retryable=passing)

    def _for(self, options: S3Options | None) -> S3Options:
        """An object's options, with the storage's own where they say nothing."""
        if options is None:
            return self._options
        return replace(
            options,
            region=options.region or self._options.region,
            endpoint_url=options.endpoint_url or self._options.endpoint_url,
            bucket_owner=options.bucket_owner or self._options.bucket_owner,
        )
