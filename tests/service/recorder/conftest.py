# SPDX-License-Identifier: Apache-2.0
"""A tenant and a recorder that listen, and nobody who waits before the next attempt."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
import tenacity

from audioengine.storage import s3_client
from tests.execution.service import TEMP
from tests.service.recorder.servers import Host, host
from tests.storage.servers import ENVIRONMENT, moto_server


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AUDIOENGINE_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def tenant() -> Iterator[Host]:
    with host() as server:
        yield server


@pytest.fixture
def recorder() -> Iterator[Host]:
    with host() as server:
        yield server


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    def at_once(*_: object, **__: object) -> tenacity.wait.wait_base:
        return tenacity.wait_none()

    monkeypatch.setattr(tenacity, "wait_random_exponential", at_once)


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture
def moto_sqs(moto_url: str) -> Any:
    return boto3.client(
        "sqs",
        endpoint_url=moto_url,
        region_name="eu-west-1",
        aws_access_key_id="tests",
        aws_secret_access_key="tests",
    )


@pytest.fixture
def moto_bucket(moto_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Moto's S3 where the engine looks for S3, with an empty bucket of temporary recordings."""
    for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": moto_url}.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_ENDPOINT_URL_S3", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    session = boto3.Session(
        aws_access_key_id=ENVIRONMENT["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=ENVIRONMENT["AWS_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
    )
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", session)
    s3_client._client.cache_clear()
    client = session.client("s3", endpoint_url=moto_url)
    client.create_bucket(Bucket=TEMP)
    yield client
    for page in client.get_paginator("list_object_versions").paginate(Bucket=TEMP):
        for one in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
            client.delete_object(Bucket=TEMP, Key=one["Key"], VersionId=one["VersionId"])
    client.delete_bucket(Bucket=TEMP)
    s3_client._client.cache_clear()
