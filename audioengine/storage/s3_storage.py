# SPDX-License-Identifier: Apache-2.0
"""S3, or a store that speaks like it, as buckets of objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from audioengine.errors import StorageError
from audioengine.storage.base import Source, Staging
from audioengine.storage.buckets import Found, Listed, Location, Storage
from audioengine.storage.listing import listed_in_s3
from audioengine.storage.options import S3Options

# What one request may copy, and delete; both are S3's own.
_MOST_COPIED_BYTES = 5 << 30
_MOST_DELETED = 1000
_NOT_FOUND = frozenset({"404", "NoSuchKey", "NoSuchBucket", "NotFound"})
_GONE = frozenset({"NoSuchKey", "NoSuchVersion"})

# What HEAD is answered for an object under a customer's key, without that key and with another.
_KEYLESS, _DENIED = 400, 403

# The version of what was written while its bucket kept none.
_NO_VERSION = "null"


class S3Storage(Storage):
    """S3; may be sent to another process, which needs credentials of its own.

    options: of all requests, where an object's own say nothing else.
    """

    def __init__(self, options: S3Options | None = None) -> None:
        self._options = options or S3Options()

    def __repr__(self) -> str:
        return f"S3Storage({self._options!r})"

    def find(self, location: Location, options: S3Options | None = None) -> Found | None:
        try:
            answer = self._head(location, self._for(options))
        except _HiddenError:
            return Found(0, "", is_hidden=True)
        return None if answer is None else _found(answer)

    def _head(self, location: Location, options: S3Options) -> dict[str, Any] | None:
        from botocore.exceptions import ClientError

        from audioengine.storage.s3_client import client, mapped

        with mapped(f"can't look for {str(location)!r}"):
            try:
                answer: dict[str, Any] = client(options).head_object(
                    Bucket=location.bucket,
                    Key=location.key,
                    ChecksumMode="ENABLED",
                    **options.version_arguments,
                    **options.owner_arguments,
                    **options.customer_key_arguments,
                )
            except ClientError as error:
                if error.response["Error"]["Code"] in _NOT_FOUND:
                    return None
                status = error.response["ResponseMetadata"]["HTTPStatusCode"]
                # What may not be looked at at all is answered like another key.
                if status == _KEYLESS or (status == _DENIED and options.customer_key):
                    message = (
                        f"can't look for {str(location)!r}: it is under another key, or denied"
                    )
                    raise _HiddenError(message) from None
                raise
        return answer

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
        arguments |= {
            f"CopySource{name}": value
            for name, value in self._options.customer_key_arguments.items()
        }
        if self._options.bucket_owner:
            arguments["ExpectedSourceBucketOwner"] = self._options.bucket_owner
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
        self._check_copy(source, destination, found, own)

    def _check_copy(
        self, source: Location, destination: Location, found: Found, options: S3Options
    ) -> None:
        answer = self._head(destination, replace(options, version=None))
        copied = None if answer is None else _found(answer)
        if answer is None or copied is None or copied.size != found.size:
            there = "nothing" if copied is None else f"{copied.size} bytes"
            message = f"can't copy {str(source)!r}: {there} at {str(destination)!r}"
            raise StorageError(f"{message} for {found.size} bytes", retryable=True)
        if options.kms_key and answer.get("ServerSideEncryption") != "aws:kms":
            self.delete(destination, [copied.version or _NO_VERSION])
            message = f"can't copy {str(source)!r}: this store encrypts no copies; it is removed"
            raise StorageError(message)
        same_bytes = found.sha256 is not None and found.sha256 == copied.sha256
        if found.version is not None or found.etag == copied.etag or same_bytes:
            return
        # Not every store looks whether the source is as it was found.
        now = self.find(source)
        if now is None or now.etag != found.etag:
            self.delete(destination, [copied.version or _NO_VERSION])
            message = f"can't copy {str(source)!r}: it was changed meanwhile; the copy is removed"
            raise StorageError(message, retryable=True)

    def versions(self, location: Location) -> tuple[str, ...]:
        found = tuple(self._versions(location, "Versions"))
        # What is the only one, and has no name, is not kept beside another.
        return () if found == (_NO_VERSION,) else found

    def _versions(self, location: Location, *kinds: str) -> Iterator[str]:
        from audioengine.storage.s3_client import client, mapped

        page: dict[str, Any] = {"Bucket": location.bucket, "Prefix": location.key}
        page |= self._options.owner_arguments
        while True:
            with mapped(f"can't list versions of {str(location)!r}"):
                answer = client(self._options).list_object_versions(**page)
            for kind in kinds:
                for one in answer.get(kind, ()):
                    if one["Key"] == location.key:
                        yield one["VersionId"]
            # Keys are in order, so those that only begin alike come later.
            if not answer.get("IsTruncated") or answer["NextKeyMarker"] > location.key:
                return
            page["KeyMarker"] = answer["NextKeyMarker"]
            page["VersionIdMarker"] = answer.get("NextVersionIdMarker", "")

    def delete(self, location: Location, versions: Sequence[str] | None = None) -> None:
        from audioengine.storage.s3_client import client, mapped, refusal

        if versions is None:
            versions = tuple(self._versions(location, "Versions", "DeleteMarkers"))
        names = [{"Key": location.key, "VersionId": version} for version in versions]
        doing = f"can't delete {str(location)!r}"
        for first in range(0, len(names), _MOST_DELETED):
            with mapped(doing):
                answer = client(self._options).delete_objects(
                    Bucket=location.bucket,
                    Delete={"Objects": names[first : first + _MOST_DELETED], "Quiet": True},
                    **self._options.owner_arguments,
                )
            for error in answer.get("Errors", ()):
                if error["Code"] not in _GONE:
                    raise refusal(doing, error["Code"])

    def objects(self, bucket: str, prefix: str = "") -> Iterator[Listed]:
        for one in listed_in_s3(bucket, prefix, self._options):
            modified_ms = int(one["LastModified"].timestamp() * 1000)
            yield Listed(one["Key"], one["ETag"], modified_ms)

    def _for(self, options: S3Options | None) -> S3Options:
        """An object's options, with the storage's own where they say nothing."""
        if options is None:
            return self._options
        default = self._options
        # One key or the other: an object under a customer's key is under none of KMS.
        keyed = options if options.kms_key or options.customer_key else default
        return replace(
            options,
            region=options.region or default.region,
            endpoint_url=options.endpoint_url or default.endpoint_url,
            bucket_owner=options.bucket_owner or default.bucket_owner,
            kms_key=keyed.kms_key,
            customer_key=keyed.customer_key,
            metadata={**default.metadata, **options.metadata},
            aborts_since=options.aborts_since or default.aborts_since,
        )


class _HiddenError(StorageError):
    """A store tells nothing of an object, for which it would want another key."""


def _found(answer: Mapping[str, Any]) -> Found:
    """An object, as S3 tells about it."""
    from audioengine.storage.s3 import metadata_of

    return Found(
        size=answer["ContentLength"],
        etag=answer["ETag"],
        version=answer.get("VersionId"),
        sha256=answer.get("ChecksumSHA256"),
        metadata=metadata_of(answer),
    )
