# SPDX-License-Identifier: Apache-2.0
"""What boto3 raises, as errors of ours that tell whether it may pass and nothing of the request."""

from __future__ import annotations

import boto3.exceptions
import pytest
from botocore import exceptions
from hypothesis import given
from hypothesis import strategies as st

import audioengine as ae
from audioengine.storage.s3_client import mapped

URL = "http://user:canary@127.0.0.1/bucket/in.mp3?X-Amz-Signature=canary"


def raised(error: Exception) -> ae.StorageError:
    """What becomes of an error."""
    with pytest.raises(ae.StorageError) as caught, mapped("can't do it"):
        raise error
    assert "canary" not in f"{caught.value!s} {caught.value!r} {caught.value.args}"
    return caught.value


def refused(code: str, status: int) -> exceptions.ClientError:
    """What boto3 makes of an answer."""
    return exceptions.ClientError(
        {
            "Error": {"Code": code, "Message": f"canary at {URL}"},
            "ResponseMetadata": {"HTTPStatusCode": status},
        },
        "GetObject",
    )


@given(
    code=st.text("abcdefghijklmnopqrstuvwxyz", min_size=1).map(lambda name: f"X{name}"),
    status=st.integers(400, 599) | st.just(429),
)
def test_of_an_unknown_code_the_status_tells_whether_it_may_pass(code: str, status: int) -> None:
    error = raised(refused(code, status))
    assert str(error) == f"can't do it: {code}"
    assert error.retryable is (status == 429 or status >= 500)


@pytest.mark.parametrize(
    "code", ["SlowDown", "KMS.ThrottlingException", "RequestTimeout", "InternalError"]
)
def test_known_codes_may_pass_whatever_the_status(code: str) -> None:
    assert raised(refused(code, 400)).retryable


@pytest.mark.parametrize("code", ["412", "PreconditionFailed"])
def test_what_is_no_longer_as_it_was_was_changed(code: str) -> None:
    error = raised(refused(code, 412))
    assert error.retryable
    assert "changed" in str(error)


def test_an_answer_that_says_nothing_is_an_error_all_the_same() -> None:
    error = raised(exceptions.ClientError({}, "GetObject"))
    assert str(error) == "can't do it: unknown"
    assert not error.retryable


@pytest.mark.parametrize(
    "error",
    [
        exceptions.EndpointConnectionError(endpoint_url=URL, error=f"canary at {URL}"),
        exceptions.ConnectTimeoutError(endpoint_url=URL),
        exceptions.ReadTimeoutError(endpoint_url=URL),
        exceptions.ConnectionClosedError(endpoint_url=URL),
        exceptions.ProxyConnectionError(proxy_url=URL),
        ConnectionResetError(104, f"canary at {URL}"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_of_a_broken_connection_only_its_kind_is_told(error: Exception) -> None:
    told = raised(error)
    assert str(told) == f"can't do it: {type(error).__name__}"
    assert told.retryable


@pytest.mark.parametrize(
    "error",
    [
        exceptions.ParamValidationError(report=f"canary at {URL}"),
        exceptions.InvalidEndpointDiscoveryConfigurationError(config_value=URL),
        boto3.exceptions.S3UploadFailedError(f"canary at {URL}"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_of_what_can_t_pass_only_its_kind_is_told(error: Exception) -> None:
    told = raised(error)
    assert str(told) == f"can't do it: {type(error).__name__}"
    assert not told.retryable


@pytest.mark.parametrize(
    "error",
    [
        exceptions.NoCredentialsError(),
        exceptions.PartialCredentialsError(provider="canary", cred_var="canary"),
        exceptions.CredentialRetrievalError(provider="canary", error_msg=f"canary at {URL}"),
        exceptions.MetadataRetrievalError(error_msg=f"canary at {URL}"),
        exceptions.TokenRetrievalError(provider="canary", error_msg=f"canary at {URL}"),
        exceptions.UnauthorizedSSOTokenError(),
        exceptions.SSOTokenLoadError(error_msg=f"canary at {URL}"),
        exceptions.LoginRefreshRequired(),
        refused("ExpiredToken", 400),
        refused("ExpiredTokenException", 403),
        refused("RequestExpired", 403),
        refused("TokenRefreshRequired", 400),
    ],
    ids=lambda error: str(error.response if hasattr(error, "response") else type(error).__name__),
)
def test_missing_and_expired_credentials_may_pass_and_say_what_to_set(error: Exception) -> None:
    told = raised(error)
    assert told.retryable
    assert "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in str(told)


def test_a_wrong_clock_may_be_set() -> None:
    told = raised(refused("RequestTimeTooSkewed", 403))
    assert told.retryable
    assert "this machine's clock is wrong" in str(told)
    assert "AWS_ACCESS_KEY_ID" not in str(told)


def test_what_is_archived_says_how_to_get_it_back() -> None:
    told = raised(refused("InvalidObjectState", 403))
    assert not told.retryable
    assert "it is archived" in str(told)
    assert "restore-object" in str(told)


def test_a_store_without_conditional_writes_is_named() -> None:
    told = raised(refused("NotImplemented", 501))
    assert not told.retryable
    assert "If-None-Match" in str(told)
