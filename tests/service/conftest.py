# SPDX-License-Identifier: Apache-2.0
"""moto's server, and an environment in which boto3 finds it and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import boto3
import pytest

from audioengine.service import aws_clients as aws
from audioengine.storage import s3_client
from tests.service.cloud import Cloud
from tests.storage.servers import ENVIRONMENT, moto_server


@pytest.fixture(scope="session")
def emulator() -> Iterator[str]:
    with moto_server() as url:
        yield url


@cache
def _session() -> boto3.Session:
    """One for all: each reads the descriptions of services anew."""
    return boto3.Session(
        aws_access_key_id=ENVIRONMENT["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=ENVIRONMENT["AWS_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
    )


@pytest.fixture
def cloud(emulator: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", emulator)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", _session())
    for cached in (aws._client, s3_client._client):
        cached.cache_clear()
    yield Cloud(emulator, _session())
    for cached in (aws._client, s3_client._client):
        cached.cache_clear()
