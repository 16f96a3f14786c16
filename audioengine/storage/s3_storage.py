# SPDX-License-Identifier: Apache-2.0
"""S3, or a compatible store, as buckets of objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any
from uuid import uuid4

from audioengine.errors import StorageError
from audioengine.storage.base import Source, Staging
from audioengine.storage.buckets import Found, Judge, Listed, Location, Storage
from audioengine.storage.listing import listed_in_s3
from audioengine.storage.options import S3Options

# S3's own limits for copying and deleting in one request.
_MOST_COPIED_BYTES = 5 << 30
_COPIED_PART_BYTES = 1 << 30
_MOST_DELETED = 1000
_NOT_FOUND = frozenset({"404", "NoSuchKey", "NoSuchBucket", "NotFound"})
_GONE = frozenset({"NoSuchKey", "NoSuchVersion"})

# The answers to HEAD for an object under a customer key, without that key and with another.
_KEYLESS, _DENIED = 400, 403

# The version of an object written while its bucket was not versioned.
_NO_VERSION = "null"


class S3Storage(Storage):
    """S3, or a compatible store. May be pickled for another process, which needs credentials too.

    options: the options of all requests, unless an object's own differ.
    """

    def __init__(self, options: S3Options | None = None) -> None:
        self._options = options or S3Options()

    def __repr__(self) -> str:
        return f"S3Storage({self._options!r})"

    def find(self, location: Location, options: S3Options | None = None) -> Found | None:
        try:
            answer = self._head(location, self._for(options))
        except _HiddenError as error:
            return error.found
        return None if answer is None else _found(answer)

    def _hidden(self, location: Location) -> Found | None:
        """The listing of an object that may not be read, for its ETag.

        An answer to HEAD has no body with the reason for a refusal; the answer to a list has one,
        for instance if credentials have expired.
        """
        from botocore.exceptions import ClientError

        from audioengine.storage.s3_client import s3_client

        try:
            answer = s3_client(self._options).list_objects_v2(
                Bucket=location.bucket,
                Prefix=location.key,
                MaxKeys=1,
                **self._options.request_arguments,
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "AccessDenied":
                raise
            return Found(0, "", is_hidden=True)
        listed = [one for one in answer.get("Contents", ()) if one["Key"] == location.key]
        return Found(0, listed[0]["ETag"], is_hidden=True) if listed else None

    def _head(self, location: Location, options: S3Options) -> dict[str, Any] | None:
        from botocore.exceptions import ClientError

        from audioengine.storage.s3_client import mapped, s3_client

        with mapped(f"can't look for {str(location)!r}"):
            try:
                answer: dict[str, Any] = s3_client(options).head_object(
                    Bucket=location.bucket,
                    Key=location.key,
                    ChecksumMode="ENABLED",
                    **options.version_arguments,
                    **options.request_arguments,
                    **options.customer_key_arguments,
                )
            except ClientError as error:
                if error.response["Error"]["Code"] in _NOT_FOUND:
                    return None
                status = error.response["ResponseMetadata"]["HTTPStatusCode"]
                if status not in (_KEYLESS, _DENIED):
                    raise
                found = self._hidden(location)
                # S3 gives the same answer for a denied object as for another key.
                if status == _DENIED and not options.customer_key:
                    raise
                raise _HiddenError(str(location), found) from None
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
        from audioengine.storage.s3 import CONTENT_TYPE, UPLOAD_KEY, appearing, upload_of
        from audioengine.storage.s3_client import mapped, s3_client
        from audioengine.storage.s3_parts import send_in_parts

        own = replace(self._for(options), version=None)
        copy_id = uuid4().hex
        made: dict[str, Any] = {
            "ContentType": CONTENT_TYPE,
            "Metadata": {**own.metadata, UPLOAD_KEY: copy_id},
            **own.encryption_arguments,
            **own.customer_key_arguments,
        }
        copied = {"Bucket": source.bucket, "Key": source.key}
        if found.version is not None:
            copied["VersionId"] = found.version
        of: dict[str, Any] = {"CopySource": copied, "CopySourceIfMatch": found.etag}
        of |= {
            f"CopySource{name}": value
            for name, value in self._options.customer_key_arguments.items()
        }
        if self._options.bucket_owner:
            of["ExpectedSourceBucketOwner"] = self._options.bucket_owner

        def send(this: Mapping[str, Any], span: tuple[int, int]) -> Mapping[str, Any]:
            part = f"bytes={span[0]}-{span[1] - 1}"
            answer = s3_client(own).upload_part_copy(**this, **of, CopySourceRange=part)
            sent: Mapping[str, Any] = answer["CopyPartResult"]
            return sent

        def exists() -> bool:
            """Whether the copy exists already; if so, the source is what has changed."""
            found = self._head(destination, own)
            if found is not None and upload_of(found) == copy_id:
                return True
            if (found and found["ETag"]) == own.replaces:
                message = f"can't copy {str(source)!r}: it has changed in the meantime"
                raise StorageError(message, retryable=True)
            return False

        with (
            mapped(f"can't copy {str(source)!r} to {str(destination)!r}"),
            appearing(destination, own, exists),
        ):
            if found.size <= _MOST_COPIED_BYTES:
                s3_client(own).copy_object(
                    Bucket=destination.bucket,
                    Key=destination.key,
                    MetadataDirective="REPLACE",
                    ChecksumAlgorithm="SHA256",
                    **own.request_arguments,
                    **own.condition_arguments,
                    **made,
                    **of,
                )
            else:
                bounds = [*range(0, found.size, _COPIED_PART_BYTES), found.size]
                send_in_parts(s3_client(own), destination, own, made, pairwise(bounds), send)
        self._check_copy(source, destination, found, own, copy_id)

    def _check_copy(
        self,
        source: Location,
        destination: Location,
        found: Found,
        options: S3Options,
        copy_id: str,
    ) -> None:
        from audioengine.storage.s3 import upload_of

        answer = self._head(destination, options)
        copied = None if answer is None else _found(answer)
        if answer is not None and upload_of(answer) != copy_id:
            message = f"can't copy {str(source)!r}: another writer has replaced the copy"
            raise StorageError(message, retryable=True)
        if answer is None or copied is None or copied.size != found.size:
            copied_size = "nothing" if copied is None else f"{copied.size} bytes"
            message = f"can't copy {str(source)!r}: {copied_size} at {str(destination)!r}"
            raise StorageError(f"{message} for {found.size} bytes", retryable=True)
        encryption = options.encryption
        if encryption is not None and answer.get("ServerSideEncryption") != encryption:
            self.delete(destination, [copied.version or _NO_VERSION])
            message = f"can't copy {str(source)!r}: this store encrypts no copies; it is removed"
            raise StorageError(message)
        same_bytes = found.sha256 is not None and found.sha256 == copied.sha256
        if found.version is not None or found.etag == copied.etag or same_bytes:
            return
        # Not every store checks that the source is unchanged since it was found.
        now = self.find(source)
        if now is None or now.etag != found.etag:
            self.delete(destination, [copied.version or _NO_VERSION])
            message = f"can't copy {str(source)!r}: it has changed in the meantime;"
            message += " the copy is removed"
            raise StorageError(message, retryable=True)

    def versions(self, location: Location) -> tuple[str, ...]:
        found = tuple(version for version, _ in self._versions(location, "Versions"))
        # A single version without a name is not kept beside others.
        return () if found == (_NO_VERSION,) else found

    def _versions(self, location: Location, *kinds: str) -> Iterator[tuple[str, str]]:
        """The versions of an object, each with its kind."""
        from audioengine.storage.s3_client import mapped, s3_client

        page: dict[str, Any] = {"Bucket": location.bucket, "Prefix": location.key}
        page |= self._options.request_arguments
        while True:
            with mapped(f"can't list versions of {str(location)!r}"):
                answer = s3_client(self._options).list_object_versions(**page)
            for kind in kinds:
                for one in answer.get(kind, ()):
                    if one["Key"] == location.key:
                        yield one["VersionId"], kind
            # Keys are in order, so longer keys with this prefix come later.
            if not answer.get("IsTruncated") or answer["NextKeyMarker"] > location.key:
                return
            page["KeyMarker"] = answer["NextKeyMarker"]
            page["VersionIdMarker"] = answer.get("NextVersionIdMarker", "")

    def delete(
        self,
        location: Location,
        versions: Sequence[str] | None = None,
        *,
        judge: Judge | None = None,
    ) -> None:
        from audioengine.storage.s3_client import mapped, s3_client, s3_error

        if versions is None:
            listed = list(self._versions(location, "Versions", "DeleteMarkers"))
        else:
            listed = [(version, "Versions") for version in versions]
        names = [{"Key": location.key, "VersionId": version} for version, _ in listed]
        if judge is not None:
            objects = [
                name for name, (_, kind) in zip(names, listed, strict=True) if kind == "Versions"
            ]
            self._judge(location, objects, judge)
        doing = f"can't delete {str(location)!r}"
        for first in range(0, len(names), _MOST_DELETED):
            with mapped(doing):
                answer = s3_client(self._options).delete_objects(
                    Bucket=location.bucket,
                    Delete={"Objects": names[first : first + _MOST_DELETED], "Quiet": True},
                    **self._options.request_arguments,
                )
            for error in answer.get("Errors", ()):
                if error["Code"] not in _GONE:
                    raise s3_error(doing, error["Code"])

    def _judge(self, location: Location, names: Sequence[dict[str, str]], judge: Judge) -> None:
        """Judge each version; add the ETag to versions that may be replaced."""
        for name in names:
            is_alone = len(names) == 1 and name["VersionId"] == _NO_VERSION
            found = self.find(location, None if is_alone else S3Options(version=name["VersionId"]))
            if found is None:
                continue
            judge(found)
            # A version never changes, except in a bucket that is not versioned.
            if is_alone and found.version is None and found.etag:
                del name["VersionId"]
                name["ETag"] = found.etag

    def objects(self, bucket: str, prefix: str = "") -> Iterator[Listed]:
        for one in listed_in_s3(bucket, prefix, self._options):
            modified_ms = int(one["LastModified"].timestamp() * 1000)
            yield Listed(one["Key"], one["ETag"], modified_ms)

    def _for(self, options: S3Options | None) -> S3Options:
        """An object's options, with the storage's own for unset fields."""
        if options is None:
            return self._options
        default = self._options
        # One key or the other: an object under a customer key is under no KMS key.
        keyed = options if options.kms_key or options.customer_key else default
        return replace(
            options,
            region=options.region or default.region,
            endpoint_url=options.endpoint_url or default.endpoint_url,
            bucket_owner=options.bucket_owner or default.bucket_owner,
            kms_key=keyed.kms_key,
            customer_key=keyed.customer_key,
            dual_layer=options.dual_layer or default.dual_layer,
            request_payer=options.request_payer or default.request_payer,
            session=options.session or default.session,
            metadata={**default.metadata, **options.metadata},
            aborts_since=options.aborts_since or default.aborts_since,
        )


class _HiddenError(StorageError):
    """A store does not describe an object, because it needs another key.

    found: its listing; None if it does not exist.
    """

    def __init__(self, place: str, found: Found | None) -> None:
        self.found = found
        super().__init__(f"can't look for {place!r}: it is under another key, or denied")


def _found(answer: Mapping[str, Any]) -> Found:
    """An object in S3's description."""
    from audioengine.storage.s3 import metadata_of

    return Found(
        size=answer["ContentLength"],
        etag=answer["ETag"],
        version=answer.get("VersionId"),
        sha256=answer.get("ChecksumSHA256"),
        metadata=metadata_of(answer),
    )
