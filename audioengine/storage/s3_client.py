# SPDX-License-Identifier: Apache-2.0
"""Clients for S3 and compatible stores, with boto3's exceptions turned into StorageError.

This module imports boto3, so it is imported only for places that begin with ``s3://``. Credentials
come from boto3's usual chain, as do region and endpoint if the options name none.
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
    CredentialRetrievalError,
    EndpointConnectionError,
    HTTPClientError,
    IncompleteReadError,
    LoginError,
    MetadataRetrievalError,
    NoAuthTokenError,
    NoCredentialsError,
    PartialCredentialsError,
    ProxyConnectionError,
    SSOError,
    TokenRetrievalError,
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
        "NoSuchUpload",
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

# Other answers to a condition that no longer holds: another writer is writing, or the object to
# replace is gone.
_CONDITION_CODES = _CHANGED_CODES | {"ConditionalRequestConflict", "NoSuchKey"}

# Errors that are retryable, because the next credentials may be valid, and what helps until then.
_CREDENTIAL_CODES = {
    "ExpiredToken": "the AWS credentials have expired",
    "ExpiredTokenException": "the AWS credentials have expired",
    "RequestExpired": "the AWS credentials have expired, or this machine's clock is wrong",
    "RequestTimeTooSkewed": "this machine's clock is wrong",
    "TokenRefreshRequired": "the AWS credentials must be renewed",
}
_NO_CREDENTIALS = (
    CredentialRetrievalError,
    LoginError,
    MetadataRetrievalError,
    NoAuthTokenError,
    NoCredentialsError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)
_HELP = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (with AWS_SESSION_TOKEN if they are"
    " temporary), or AWS_PROFILE (after `aws sso login` if it needs that), or give the machine"
    " a role"
)
_CLOCK_HELP = "set the clock, for instance by NTP"

_making = Lock()


# The debug logs of these hold keys, tokens and signatures, or a store's answers about them.
_TELLTALES = ("botocore.auth", "botocore.endpoint", "botocore.parsers")


def _withheld(record: logging.LogRecord) -> bool:
    if record.levelno <= logging.DEBUG:
        record.msg, record.args = "a request; its contents are withheld", ()
    return True


def withhold() -> None:
    """Keep boto3 from logging the contents of requests and answers, even when debugging."""
    for name in _TELLTALES:
        logging.getLogger(name).addFilter(_withheld)


@lru_cache(maxsize=16)
def _client(region: str | None, endpoint_url: str | None, session: boto3.Session | None) -> Any:
    config = Config(
        retries={"mode": "adaptive", "total_max_attempts": _ATTEMPTS},
        connect_timeout=_TIMEOUT_S,
        read_timeout=_TIMEOUT_S,
        # Older stores lack the newer checksums; ours are requested by name.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    withhold()
    return made_by(session, "s3", region_name=region, endpoint_url=endpoint_url, config=config)


def made_by(session: boto3.Session | None, service: str, **arguments: Any) -> Any:
    """Return a client with credentials of the session, or of boto3's usual chain.

    Raises NoCredentialsError without credentials: a client made without them never gets any.
    """
    if session is None:
        if boto3.DEFAULT_SESSION is None:
            boto3.setup_default_session()
        session = boto3.DEFAULT_SESSION
    if session.get_credentials() is None:
        raise NoCredentialsError
    return session.client(service, **arguments)


def s3_client(options: S3Options) -> Any:
    """The client for a region and an endpoint, made once.

    Raises StorageError if none can be made.
    """
    # boto3 can't make clients in several threads at once.
    with mapped("can't reach S3"), _making:
        try:
            return _client(options.region, options.endpoint_url, options.session)
        except ValueError:
            raise StorageError("can't reach S3: there is no such region or endpoint") from None


BROKEN = (HTTPClientError, IncompleteReadError, HTTPError, ConnectionError)
"""The exceptions of a broken connection."""

# boto3 has retried these often enough, but they are retryable later.
_UNREACHABLE = (EndpointConnectionError, ConnectTimeoutError, ProxyConnectionError)


def s3_error(doing: str, code: str, status: int = 0) -> StorageError:
    """The StorageError for a refusal of S3.

    doing: what could not be done. status: the HTTP status, if the answer has one.
    """
    if code in _CHANGED_CODES:
        return StorageError(f"{doing}: it has changed in the meantime", retryable=True)
    if code in _CREDENTIAL_CODES:
        why = _CREDENTIAL_CODES[code]
        helping = _CLOCK_HELP if code == "RequestTimeTooSkewed" else _HELP
        return StorageError(f"{doing}: {why} ({code}): {helping}", retryable=True)
    if code == "InvalidObjectState":
        message = "it is archived (InvalidObjectState): restore it first, with `aws s3api"
        return StorageError(f"{doing}: {message} restore-object`, and try again when it is ready")
    if code == "NotImplemented":
        message = "the store can't do that (NotImplemented); it must support conditional writes"
        return StorageError(f"{doing}: {message}: If-Match, If-None-Match")
    passing = code in _PASSING_CODES or status >= 500 or status == 429
    return StorageError(f"{doing}: {code}", retryable=passing)


def is_changed(error: ClientError, options: S3Options) -> bool:
    """Whether a store may refuse a write because the present object must not be replaced."""
    code = error.response.get("Error", {}).get("Code")
    # A missing upload may have succeeded, with its answer lost.
    return code == "NoSuchUpload" or (options.is_conditional and code in _CONDITION_CODES)


@contextmanager
def mapped(doing: str) -> Iterator[None]:
    """Turn boto3's exceptions into StorageError, without their details of the request."""
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", "unknown"))
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        raise s3_error(doing, code, status) from None
    except (*BROKEN, *_UNREACHABLE) as error:
        raise StorageError(f"{doing}: {type(error).__name__}", retryable=True) from None
    except _NO_CREDENTIALS as error:
        message = f"there are no AWS credentials ({type(error).__name__}): {_HELP}"
        raise StorageError(f"{doing}: {message}", retryable=True) from None
    except (BotoCoreError, Boto3Error) as error:
        raise StorageError(f"{doing}: {type(error).__name__}") from None
