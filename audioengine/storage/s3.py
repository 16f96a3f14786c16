# SPDX-License-Identifier: Apache-2.0
"""S3 and stores that speak like it: objects read by ranges, written whole.

Importing this module imports boto3, so it happens where a place begins with ``s3://``. Credentials
come from boto3's usual chain, and so do region and endpoint where the options name none.
"""

from __future__ import annotations

import base64
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import Any, TypeVar
from uuid import uuid4

import boto3
import tenacity
from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    IncompleteReadError,
)
from urllib3.exceptions import HTTPError

from audioengine.errors import InvalidRequestError, StorageError
from audioengine.storage.base import Source
from audioengine.storage.options import S3Options
from audioengine.storage.spool import SpooledStaging

SCHEME = "s3://"

# One request brings a call of half an hour; of longer ones a few blocks are kept.
_BLOCK_BYTES = 8 << 20
_BLOCKS_KEPT = 3

_ATTEMPTS = 5
_TIMEOUT_S = 30
_MULTIPART_BYTES = 64 << 20
_PART_BYTES = 16 << 20
_CONTENT_TYPE = "audio/mpeg"

# In an object's metadata: tells our own upload from one that replaced it meanwhile.
_UPLOAD_KEY = "audioengine-upload"

_PASSING_CODES = frozenset(
    {
        "BadDigest",
        "IncompleteBody",
        "InternalError",
        "KMS.ThrottlingException",
        "OperationAborted",
        "RequestLimitExceeded",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "XAmzContentSHA256Mismatch",
    }
)
_CHANGED_CODES = frozenset({"412", "PreconditionFailed"})

_Result = TypeVar("_Result")

_making = Lock()


@dataclass(frozen=True, slots=True)
class Location:
    """An object's place."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.key}"

    @classmethod
    def parse(cls, text: str, field: str) -> Location:
        """Read ``s3://bucket/key``.

        Raises InvalidRequestError.
        """
        bucket, _, key = text.removeprefix(SCHEME).partition("/")
        if not text.startswith(SCHEME) or not bucket or not key:
            raise InvalidRequestError.of(field, text, "must be s3://bucket/key")
        return cls(bucket, key)


class S3Source(Source):
    """One object, as it is when it is opened: where it changes, reading fails."""

    def __init__(self, place: str, options: S3Options) -> None:
        self._location = Location.parse(place, "source")
        self._doing = f"can't read source {str(self._location)!r}"
        self._client = client(options)
        self._options = options
        self._lock = Lock()
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._etag: str | None = None
        try:
            first, answer = self._retried(0, _BLOCK_BYTES)
        except _EmptyObjectError:
            self.size = 0
            return
        self._etag = answer["ETag"]
        total = answer.get("ContentRange", "").rpartition("/")[2]
        self.size = int(total) if total.isdigit() else len(first)
        if len(first) < min(_BLOCK_BYTES, self.size):
            raise self._incomplete()
        self._blocks[0] = first

    def read(self, offset: int, length: int) -> bytes:
        end = min(offset + length, self.size)
        parts = []
        while offset < end:
            number, start = divmod(offset, _BLOCK_BYTES)
            part = self._block(number)[start : start + end - offset]
            parts.append(part)
            offset += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _block(self, number: int) -> bytes:
        with self._lock:
            block = self._blocks.get(number)
            if block is None:
                wanted = min(_BLOCK_BYTES, self.size - number * _BLOCK_BYTES)
                block, _ = self._retried(number * _BLOCK_BYTES, wanted)
                if len(block) != wanted:
                    raise self._incomplete()
                self._blocks[number] = block
                if len(self._blocks) > _BLOCKS_KEPT:
                    self._blocks.popitem(last=False)
            self._blocks.move_to_end(number)
            return block

    def _incomplete(self) -> StorageError:
        return StorageError(f"{self._doing}: it gave less than it has", retryable=True)

    def _retried(self, offset: int, length: int) -> tuple[bytes, dict[str, Any]]:
        # What breaks off in the middle of a body is not retried by boto3.
        return retrying(lambda: self._get(offset, length), self._doing)

    def _get(self, offset: int, length: int) -> tuple[bytes, dict[str, Any]]:
        match = {} if self._etag is None else {"IfMatch": self._etag}
        try:
            answer = self._client.get_object(
                Bucket=self._location.bucket,
                Key=self._location.key,
                Range=f"bytes={offset}-{offset + length - 1}",
                **match,
                **self._options.owner_arguments,
                **self._options.customer_key_arguments,
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "InvalidRange" and not offset:
                raise _EmptyObjectError from None
            raise
        with answer["Body"] as body:
            return body.read(), answer

    def check_unchanged(self) -> None:
        """Each request asked for the object as it was: what was read is of one piece."""

    def close(self) -> None:
        self._blocks.clear()


class S3Staging(SpooledStaging):
    """An object that appears when it is whole; large ones are sent in parts."""

    def __init__(self, place: str, options: S3Options) -> None:
        self._location = Location.parse(place, "destination")
        self._doing = f"can't write destination {str(self._location)!r}"
        self._client = client(options)
        self._options = options
        self._upload_id = uuid4().hex
        super().__init__()

    def publish(self) -> None:
        try:
            digest = self._digest()
            self._spool.seek(0)
            retrying(self._upload, self._doing, attempts=1)
            self._check(digest)
        finally:
            self.close()

    def _digest(self) -> str:
        sha256 = hashlib.sha256()
        self._spool.seek(0)
        while block := self._spool.read(1 << 20):
            sha256.update(block)
        return base64.b64encode(sha256.digest()).decode()

    def _upload(self) -> None:
        encryption = dict(self._options.encryption_arguments)
        # upload_fileobj refuses this one: `_with_bucket_key` adds it.
        encryption.pop("BucketKeyEnabled", None)
        # boto3 sends a checksum with each part, and aborts an upload that fails.
        self._client.upload_fileobj(
            self._spool,
            self._location.bucket,
            self._location.key,
            ExtraArgs={
                "ContentType": _CONTENT_TYPE,
                "ChecksumAlgorithm": "SHA256",
                "Metadata": {**self._options.metadata, _UPLOAD_KEY: self._upload_id},
                **self._options.owner_arguments,
                **encryption,
                **self._options.customer_key_arguments,
            },
            Config=TransferConfig(
                multipart_threshold=_MULTIPART_BYTES, multipart_chunksize=_PART_BYTES
            ),
        )

    def _check(self, digest: str) -> None:
        """Compare what the store says that it has: not every store checks what it is sent."""
        found = retrying(
            lambda: self._client.head_object(
                Bucket=self._location.bucket,
                Key=self._location.key,
                ChecksumMode="ENABLED",
                **self._options.owner_arguments,
                **self._options.customer_key_arguments,
            ),
            self._doing,
        )
        if found.get("Metadata", {}).get(_UPLOAD_KEY) != self._upload_id:
            message = f"{self._doing}: another writer has replaced it"
            raise StorageError(message, retryable=True)
        stored = found.get("ChecksumSHA256", "")
        # The checksum of parts is one of checksums; not every store says so.
        whole = self.size < _MULTIPART_BYTES and "-" not in stored
        wrong = whole and stored not in ("", digest)
        if wrong or found["ContentLength"] != self.size:
            retrying(lambda: self._remove(found.get("VersionId")), self._doing)
            message = f"{self._doing}: what is stored is not what was sent; it is removed"
            raise StorageError(message, retryable=True)

    def _remove(self, version: str | None) -> None:
        self._client.delete_object(
            Bucket=self._location.bucket,
            Key=self._location.key,
            **({"VersionId": version} if version else {}),
            **self._options.owner_arguments,
        )


class _EmptyObjectError(Exception):
    """The object has no bytes, of which a range could be asked."""


@lru_cache(maxsize=16)
def _client(region: str | None, endpoint_url: str | None) -> Any:
    config = Config(
        retries={"mode": "adaptive", "total_max_attempts": _ATTEMPTS},
        connect_timeout=_TIMEOUT_S,
        read_timeout=_TIMEOUT_S,
        # Older stores know none of the newer checksums; ours are asked for by name.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    made = boto3.client("s3", region_name=region, endpoint_url=endpoint_url, config=config)
    for operation in ("PutObject", "CreateMultipartUpload"):
        made.meta.events.register(f"provide-client-params.s3.{operation}", _with_bucket_key)
    return made


def _with_bucket_key(params: dict[str, Any], **_: object) -> dict[str, Any]:
    """What is encrypted with a KMS key, with its bucket key: fewer requests to KMS."""
    if params.get("ServerSideEncryption") != "aws:kms":
        return params
    return {**params, "BucketKeyEnabled": True}


def client(options: S3Options) -> Any:
    """The client for a region and an endpoint, made once.

    Raises StorageError where none can be made.
    """
    # boto3 makes no clients in several threads at once.
    with _mapped("can't reach S3"), _making:
        try:
            return _client(options.region, options.endpoint_url)
        except ValueError:
            raise StorageError("can't reach S3: there is no such region or endpoint") from None


def retrying(ask: Callable[[], _Result], doing: str, attempts: int = _ATTEMPTS) -> _Result:
    """Ask, again after a while where the connection broke in the middle.

    Raises StorageError.
    """
    with _mapped(doing):
        return tenacity.Retrying(
            stop=tenacity.stop_after_attempt(attempts),
            wait=tenacity.wait_random_exponential(multiplier=0.1, max=5),
            retry=tenacity.retry_if_exception_type(_BROKEN),
            reraise=True,
        )(ask)


_BROKEN = (HTTPClientError, IncompleteReadError, HTTPError, ConnectionError)
# boto3 has tried these often enough, but they may pass.
_UNREACHABLE = (EndpointConnectionError, ConnectTimeoutError)


@contextmanager
def _mapped(doing: str) -> Iterator[None]:
    """Turn what boto3 raises into StorageError, without what it says of the request."""
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", "unknown"))
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        changed = code in _CHANGED_CODES
        passing = changed or code in _PASSING_CODES or status >= 500 or status == 429
        message = "it was changed while it was read" if changed else code
        raise StorageError(f"{doing}: {message}", retryable=passing) from None
    except (*_BROKEN, *_UNREACHABLE) as error:
        raise StorageError(f"{doing}: {type(error).__name__}", retryable=True) from None
    except (BotoCoreError, Boto3Error) as error:
        cause = error.__cause__ or error.__context__
        if isinstance(cause, ClientError):
            with _mapped(doing):
                raise cause from None
        raise StorageError(f"{doing}: {type(error).__name__}") from None
