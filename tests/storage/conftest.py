# SPDX-License-Identifier: Apache-2.0
"""Stores that speak like S3, and an environment in which boto3 finds them and nothing else."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import botocore.retries.adaptive
import botocore.retries.standard
import pytest
import tenacity
from botocore.config import Config

from audioengine.storage import s3_client
from audioengine.storage.options import S3Options
from tests.storage.servers import ENVIRONMENT, FaultyStore, faulty_store, moto_server


@dataclass
class Moto:
    """A bucket of moto's."""

    client: Any
    """The test's own."""
    bucket: str
    sent: list[Any] = field(default_factory=list)
    """The requests of the engine's client, as they went out."""

    @property
    def methods(self) -> list[str]:
        return [one.method for one in self.sent]

    def place(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"

    def put(self, key: str, data: bytes) -> str:
        self.client.put_object(Bucket=self.bucket, Key=key, Body=data)
        return self.place(key)

    def get(self, key: str) -> bytes:
        data: bytes = self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return data

    def keys(self) -> list[str]:
        found = self.client.list_objects_v2(Bucket=self.bucket).get("Contents", [])
        return sorted(one["Key"] for one in found)


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture(scope="session")
def session() -> boto3.Session:
    """One that has its credentials, so that nobody looks for others."""
    return boto3.Session(
        aws_access_key_id=ENVIRONMENT["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=ENVIRONMENT["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=ENVIRONMENT["AWS_SESSION_TOKEN"],
        region_name="us-east-1",
    )


@pytest.fixture(scope="session")
def moto_client(moto_url: str, session: boto3.Session) -> Any:
    return session.client("s3", endpoint_url=moto_url)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A fresh client that finds only what the test says; gives the folder of temporary files."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_ENDPOINT_URL_S3", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    s3_client._client.cache_clear()
    yield temporary
    assert list(temporary.iterdir()) == []
    s3_client._client.cache_clear()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits before the next attempt."""

    def at_once(*_: object, **__: object) -> tenacity.wait.wait_base:
        return tenacity.wait_none()

    monkeypatch.setattr(tenacity, "wait_random_exponential", at_once)
    backoff = botocore.retries.standard.ExponentialBackoff
    monkeypatch.setattr(backoff, "delay_amount", lambda *_: 0)
    limiter = botocore.retries.adaptive.ClientRateLimiter
    monkeypatch.setattr(limiter, "on_sending_request", lambda *_, **__: None)


@pytest.fixture
def moto(
    moto_url: str,
    moto_client: Any,
    session: boto3.Session,
    environment: Path,
    monkeypatch: pytest.MonkeyPatch,
    impatient: None,
) -> Moto:
    assert environment.exists()
    assert impatient is None
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_url)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", session)
    found = Moto(moto_client, f"test-{uuid4()}")
    moto_client.create_bucket(Bucket=found.bucket)
    client = s3_client.client(S3Options())
    client.meta.events.register("before-send.s3", lambda request, **_: found.sent.append(request))
    return found


@pytest.fixture
def faulty(
    environment: Path,
    session: boto3.Session,
    monkeypatch: pytest.MonkeyPatch,
    impatient: None,
) -> Iterator[FaultyStore]:
    assert environment.exists()
    assert impatient is None
    with faulty_store() as server:

        def config(**options: Any) -> Config:
            return Config(**{**options, "read_timeout": server.patience_s})

        monkeypatch.setattr(s3_client, "Config", config)
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", session)
        yield server
