# SPDX-License-Identifier: Apache-2.0
"""Objects in S3: read by ranges, written whole.

This module imports boto3, so it is imported only for places that begin with ``s3://``.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from threading import Lock
from typing import Any
from uuid import uuid4

import tenacity
from botocore.exceptions import ClientError

from audioengine.errors import StorageError
from audioengine.retries import S3_BODY
from audioengine.storage.base import DestinationChangedError, Source
from audioengine.storage.block_cache import Block, BlockCache
from audioengine.storage.buckets import Location
from audioengine.storage.options import S3Options
from audioengine.storage.s3_client import BROKEN, is_changed, mapped, s3_client
from audioengine.storage.s3_parts import send_in_parts
from audioengine.storage.spool import SpooledStaging

CONTENT_TYPE = "audio/mpeg"

# One request reads half an hour of a call.
_BLOCK_BYTES = 8 << 20

# All sources of a process share this, so a merge of a thousand recordings takes no more memory.
_BLOCKS = BlockCache(64 << 20)

_BODY_ATTEMPTS = 4
_MULTIPART_BYTES = 64 << 20
_PART_BYTES = 16 << 20

UPLOAD_KEY = "audioengine-upload"
"""The metadata key that distinguishes one writer's object from all others under its name."""


class S3Source(Source):
    """One object as of when it was opened; reading fails if it changes."""

    def __init__(self, location: Location, options: S3Options) -> None:
        self._location = location
        self._doing = f"can't read source {str(self._location)!r}"
        self._client = s3_client(options)
        self._options = options
        self._loading = Lock()
        self._etag: str | None = None
        try:
            first, answer = self._retried(0, _BLOCK_BYTES)
        except _EmptyObjectError:
            self.size = 0
            return
        self._etag = answer["ETag"]
        self.metadata = metadata_of(answer)
        total = answer.get("ContentRange", "").rpartition("/")[2]
        self.size = int(total) if total.isdigit() else len(first)
        if len(first) < min(_BLOCK_BYTES, self.size):
            raise self._incomplete()
        _BLOCKS.put(self, 0, first)

    def read(self, offset: int, length: int) -> bytes:
        end = min(offset + length, self.size)
        parts = []
        while offset < end:
            number, start = divmod(offset, _BLOCK_BYTES)
            part = self._block(number)[start : start + end - offset]
            parts.append(part)
            offset += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _block(self, number: int) -> Block:
        # One thread loads a block; others that want the same block wait for it.
        with self._loading:
            return _BLOCKS.get(self, number, partial(self._load, number))

    def _load(self, number: int) -> bytes:
        wanted = min(_BLOCK_BYTES, self.size - number * _BLOCK_BYTES)
        block, _ = self._retried(number * _BLOCK_BYTES, wanted)
        if len(block) != wanted:
            raise self._incomplete()
        return block

    def _incomplete(self) -> StorageError:
        return StorageError(f"{self._doing}: the store sent too few bytes", retryable=True)

    def _retried(self, offset: int, length: int) -> tuple[bytes, dict[str, Any]]:
        # boto3 retries everything except a body that breaks off in the middle.
        try:
            with mapped(self._doing):
                return tenacity.Retrying(
                    stop=tenacity.stop_after_attempt(_BODY_ATTEMPTS),
                    wait=S3_BODY.wait,
                    retry=tenacity.retry_if_exception_type(_BrokenBodyError),
                    reraise=True,
                )(self._get, offset, length)
        except _BrokenBodyError as broken:
            raise StorageError(f"{self._doing}: {broken}", retryable=True) from None

    def _get(self, offset: int, length: int) -> tuple[bytes, dict[str, Any]]:
        match = {} if self._etag is None else {"IfMatch": self._etag}
        try:
            answer = self._client.get_object(
                Bucket=self._location.bucket,
                Key=self._location.key,
                Range=f"bytes={offset}-{offset + length - 1}",
                **match,
                **self._options.version_arguments,
                **self._options.request_arguments,
                **self._options.customer_key_arguments,
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "InvalidRange" and not offset:
                raise _EmptyObjectError from None
            raise
        try:
            with answer["Body"] as body:
                return body.read(), answer
        except BROKEN as error:
            raise _BrokenBodyError(type(error).__name__) from None

    def check_unchanged(self) -> None:
        """Do nothing: each request required the object to be unchanged."""

    def close(self) -> None:
        _BLOCKS.drop(self)


class S3Staging(SpooledStaging):
    """An object that appears when it is whole; a large one is sent in parts."""

    def __init__(self, location: Location, options: S3Options) -> None:
        self._location = location
        self._doing = f"can't write destination {str(self._location)!r}"
        self._client = s3_client(options)
        self._options = options
        self._upload_id = uuid4().hex
        super().__init__()

    def publish(self, facts: Mapping[str, str] | None = None) -> None:
        arguments = {
            "ContentType": CONTENT_TYPE,
            "Metadata": {**self._options.metadata, **(facts or {}), UPLOAD_KEY: self._upload_id},
            **self._options.encryption_arguments,
            **self._options.customer_key_arguments,
        }
        try:
            in_parts = self.size >= _MULTIPART_BYTES
            digest = self._digest_of_parts() if in_parts else _base64(_sha256(self._blocks()))
            self._spool.seek(0)
            answer: Mapping[str, Any] = {}
            with mapped(self._doing), appearing(self._location, self._options, self._exists):
                if in_parts:
                    self._upload(arguments)
                else:
                    answer = self._put(arguments, digest)
            # If the answer already confirms the object, no request is needed to check it.
            if not self._is_confirmed(answer, digest):
                self._check(digest)
        finally:
            self.close()

    def _blocks(self) -> Iterator[bytes]:
        """The written bytes, part by part."""
        self._spool.seek(0)
        while block := self._spool.read(_PART_BYTES):
            yield block

    def _digest_of_parts(self) -> str:
        """The checksum of an object that is sent in parts: the digest of its parts' digests."""
        digests = [_sha256([block]) for block in self._blocks()]
        return f"{_base64(_sha256(digests))}-{len(digests)}"

    def _is_confirmed(self, answer: Mapping[str, Any], digest: str) -> bool:
        wanted = self._options.encryption
        encrypted = wanted is None or answer.get("ServerSideEncryption") == wanted
        return encrypted and answer.get("ChecksumSHA256") == digest

    def _put(self, arguments: Mapping[str, Any], digest: str) -> Mapping[str, Any]:
        """Send the object in one request; return the store's answer."""
        answer: Mapping[str, Any] = self._client.put_object(
            Bucket=self._location.bucket,
            Key=self._location.key,
            Body=self._spool,
            ChecksumAlgorithm="SHA256",
            ChecksumSHA256=digest,
            **self._options.request_arguments,
            **self._options.condition_arguments,
            **arguments,
        )
        return answer

    def _abort_left(self, since: float) -> None:
        """Abort unfinished uploads that a killed process left; the store would keep them."""
        place = {"Bucket": self._location.bucket, **self._options.request_arguments}
        pages = self._client.get_paginator("list_multipart_uploads")
        # Credentials that may not list or abort uploads may still write.
        with suppress(ClientError):
            for page in pages.paginate(Prefix=self._location.key, **place):
                for one in page.get("Uploads", ()):
                    if one["Key"] == self._location.key and one["Initiated"].timestamp() >= since:
                        self._client.abort_multipart_upload(
                            Key=one["Key"], UploadId=one["UploadId"], **place
                        )

    def _upload(self, arguments: Mapping[str, Any]) -> None:
        if self._options.aborts_since is not None:
            self._abort_left(self._options.aborts_since)

        def send(this: Mapping[str, Any], block: bytes) -> Mapping[str, Any]:
            digest = _base64(_sha256([block]))
            sent: Mapping[str, Any] = self._client.upload_part(
                **this, Body=block, ChecksumAlgorithm="SHA256", ChecksumSHA256=digest
            )
            return {**sent, "ChecksumSHA256": digest}

        place, options = self._location, self._options
        send_in_parts(self._client, place, options, arguments, self._blocks(), send)

    def _exists(self) -> bool:
        """Whether the object is this output although the store refused to write it."""
        return upload_of(self._head()) == self._upload_id

    def _head(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._client.head_object(
            Bucket=self._location.bucket,
            Key=self._location.key,
            ChecksumMode="ENABLED",
            **self._options.request_arguments,
            **self._options.customer_key_arguments,
        )
        return found

    def _check(self, digest: str) -> None:
        """Check the stored object's digest: not every store verifies what it receives."""
        with mapped(self._doing):
            found = self._head()
        if upload_of(found) != self._upload_id:
            message = f"{self._doing}: another writer has replaced it"
            raise StorageError(message, retryable=True)
        encryption = self._options.encryption
        if encryption is not None and found.get("ServerSideEncryption") != encryption:
            with mapped(self._doing):
                self._remove(found.get("VersionId"))
            raise StorageError(f"{self._doing}: this store does not encrypt it; it is removed")
        stored = found.get("ChecksumSHA256", "")
        # Not every store adds the number of parts to a digest of digests.
        alike = ("-" in stored) == ("-" in digest)
        wrong = alike and stored not in ("", digest)
        if wrong or found["ContentLength"] != self.size:
            with mapped(self._doing):
                self._remove(found.get("VersionId"))
            message = f"{self._doing}: the stored object differs from what was sent; it is removed"
            raise StorageError(message, retryable=True)

    def _remove(self, version: str | None) -> None:
        self._client.delete_object(
            Bucket=self._location.bucket,
            Key=self._location.key,
            **({"VersionId": version} if version else {}),
            **self._options.request_arguments,
        )


def metadata_of(answer: Mapping[str, Any]) -> Mapping[str, str]:
    """A user's metadata of an object in an answer of S3, by names in lower case."""
    found = {name.lower(): value for name, value in answer.get("Metadata", {}).items()}
    found.pop(UPLOAD_KEY, None)
    return found


@contextmanager
def appearing(location: Location, options: S3Options, exists: Callable[[], bool]) -> Iterator[None]:
    """Raise DestinationChangedError if an object can't appear because its destination changed.

    exists: whether the new object exists, because the answer to an earlier attempt of boto3 may
        have been lost.

    Raises DestinationChangedError.
    """
    try:
        yield
    except ClientError as error:
        if not is_changed(error, options):
            raise
        with suppress(ClientError):
            if exists():
                return
        if options.is_conditional:
            raise DestinationChangedError(str(location)) from None
        raise


def upload_of(answer: Mapping[str, Any]) -> str | None:
    """The writer's own mark of an object in an answer of S3; None for objects of others."""
    key: str | None = answer.get("Metadata", {}).get(UPLOAD_KEY)
    return key


class _EmptyObjectError(Exception):
    """The object is empty, so no range of it can be read."""


class _BrokenBodyError(Exception):
    """A body broke off in the middle."""


def _sha256(blocks: Iterable[bytes]) -> bytes:
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block)
    return digest.digest()


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
