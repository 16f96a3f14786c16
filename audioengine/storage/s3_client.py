# SPDX-License-Identifier: Apache-2.0
"""Clients for S3 and stores that speak like it, and what boto3 raises, as StorageError.

Importing this module imports boto3, so it happens where a place begins with ``s3://``. Credentials
come from boto3's usual chain, and so do region and endpoint where the options name none.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from threading import Lock
from typing import Any

import boto3
from boto3.exceptions import Boto3Error
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    IncompleteReadError,
    ProxyConnectionError,
)
from urllib3.exceptions import HTTPError

from audioengine.errors import StorageError
from audioengine.storage.options import S3Options

_ATTEMPTS = 5
_TIMEOUT_S = 30

_PASSING_CODES = frozenset(
    {
        "BadDigest",
        "ConditionalRequestConflict",
        "IncompleteBody",
        "InternalError",
        "InternalFailure",
        "KMS.ThrottlingException",
        "KMSThrottling",
        "KmsThrottled",
        "OperationAborted",
        "OverLimit",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "Throttled",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "XAmzContentSHA256Mismatch",
    }
)
_CHANGED_CODES = frozenset({"412", "PreconditionFailed"})

_making = Lock()


# What these write while debugging holds keys, tokens and signatures, or what a store says of them.
_TELLTALES = ("botocore.auth", "botocore.endpoint", "botocore.parsers")


def _withheld(record: logging.LogRecord) -> bool:
    if record.levelno <= logging.DEBUG:
        record.msg, record.args = "a request; what is in it is withheld", ()
    return True


def withhold() -> None:
    """Let boto3 log nothing of what is in requests and answers, also while debugging."""
    for name in _TELLTALES:
        logging.getLogger(name).addFilter(_withheld)


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
    withhold()
    made = boto3.client("s3", region_name=region, endpoint_url=endpoint_url, config=config)
    for operation in ("PutObject", "CreateMultipartUpload", "CopyObject"):
        made.meta.events.register(f"provide-client-params.s3.{operation}", _with_bucket_key)
    return made


def _with_bucket_key(params: dict[str, Any], **_: object) -> dict[str, Any]:
    """What is encrypted with a KMS key, with its bucket key: fewer requests to KMS.

    boto3's uploads take no such argument, so it is added to their requests.
    """
    if params.get("ServerSideEncryption") != "aws:kms":
        return params
    return {**params, "BucketKeyEnabled": True}


def client(options: S3Options) -> Any:
    """The client for a region and an endpoint, made once.

    Raises StorageError where none can be made.
    """
    # boto3 makes no clients in several threads at once.
    with mapped("can't reach S3"), _making:
        try:
            return _client(options.region, options.endpoint_url)
        except ValueError:
            raise StorageError("can't reach S3: there is no such region or endpoint") from None


BROKEN = (HTTPClientError, IncompleteReadError, HTTPError, ConnectionError)
"""What is raised where a connection breaks."""

# boto3 has tried these often enough, but they may pass.
_UNREACHABLE = (EndpointConnectionError, ConnectTimeoutError, ProxyConnectionError)


def refusal(doing: str, code: str, status: int = 0) -> StorageError:
    """What S3 refuses, as an error of ours.

    doing: what could not be done. status: HTTP's, where the answer has one of its own.
    """
    changed = code in _CHANGED_CODES
    passing = changed or code in _PASSING_CODES or status >= 500 or status == 429
    message = "it was changed meanwhile" if changed else code
    return StorageError(f"{doing}: {message}", retryable=passing)


@contextmanager
def mapped(doing: str) -> Iterator[None]:
    """Turn what boto3 raises into StorageError, without what it says of the request."""
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", "unknown"))
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        raise refusal(doing, code, status) from None
    except (*BROKEN, *_UNREACHABLE) as error:
        raise StorageError(f"{doing}: {type(error).__name__}", retryable=True) from None
    except (BotoCoreError, Boto3Error) as error:
        cause = error.__cause__ or error.__context__
        if isinstance(cause, ClientError):
            with mapped(doing):
                raise cause from None
        raise StorageError(f"{doing}: {type(error).__name__}") from None
