# SPDX-License-Identifier: Apache-2.0
"""Stores that speak like S3, and an environment in which boto3 finds them and nothing else.

And all kinds of storage behind the same doors: `doors` is each of them, `versioned` those that keep
versions.
"""

from __future__ import annotations

import io
import os
import random
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing
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

import audioengine as ae
from audioengine.storage import Storage, s3, s3_client
from audioengine.storage.buckets import Location
from audioengine.storage.folder import FolderStorage
from audioengine.storage.memory import MemoryStorage
from audioengine.storage.options import S3Options
from audioengine.storage.s3_storage import S3Storage
from tests.storage.calls import DATA, EDIT, MIB
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
    client = s3_client.s3_client(S3Options())
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


@pytest.fixture(scope="module")
def wanted() -> bytes:
    """What the edit makes of the recording."""
    out = io.BytesIO()
    ae.store(DATA, out, EDIT)
    return out.getvalue()


@pytest.fixture
def in_parts(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Data that is sent in two parts."""
    monkeypatch.setattr(s3, "_MULTIPART_BYTES", 5 * MIB)
    monkeypatch.setattr(s3, "_PART_BYTES", 5 * MIB)
    return random.Random(4).randbytes(6 * MIB)


@dataclass(frozen=True)
class Doors:
    """A bucket of a storage, used through its doors alone."""

    storage: Storage
    bucket: str

    def at(self, key: str) -> Location:
        return Location(self.bucket, key)

    def put(
        self,
        key: str,
        data: bytes,
        metadata: Mapping[str, str] | None = None,
        facts: Mapping[str, str] | None = None,
    ) -> Location:
        options = None if metadata is None else S3Options(metadata=metadata)
        with closing(self.storage.staging(self.at(key), options)) as staging:
            staging.write(data)
            staging.publish(facts)
        return self.at(key)

    def get(self, key: str, version: str | None = None) -> bytes:
        options = None if version is None else S3Options(version=version)
        with closing(self.storage.source(self.at(key), options)) as source:
            return source.read(0, source.size)


@dataclass(frozen=True)
class RealS3:
    """A bucket of the store that the environment names."""

    client: Any
    bucket: str


_NAMED = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


@pytest.fixture
def real_s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[RealS3]:
    """A bucket of its own for each test, removed with all that is in it."""
    missing = [name for name in _NAMED if not os.environ.get(name)]
    if missing:
        pytest.skip(f"no S3 to test against: {', '.join(missing)} not set")
    session = boto3.Session()
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", session)
    s3_client._client.cache_clear()
    found = RealS3(session.client("s3"), f"audioengine-test-{uuid4()}")
    found.client.create_bucket(Bucket=found.bucket)
    yield found
    for page in found.client.get_paginator("list_object_versions").paginate(Bucket=found.bucket):
        for one in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
            found.client.delete_object(
                Bucket=found.bucket, Key=one["Key"], VersionId=one["VersionId"]
            )
    found.client.delete_bucket(Bucket=found.bucket)
    s3_client._client.cache_clear()


_S3 = ["moto", pytest.param("real_s3", marks=pytest.mark.real_s3)]


@pytest.fixture(name="s3", params=_S3)
def any_s3(request: pytest.FixtureRequest) -> Moto | RealS3:
    """A bucket of moto's, and one of a real S3."""
    found: Moto | RealS3 = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=["folder", "memory", *_S3])
def doors(request: pytest.FixtureRequest, tmp_path: Path) -> Doors:
    """An empty bucket of each kind, which keeps no versions."""
    if request.param == "folder":
        (tmp_path / "root" / "bucket").mkdir(parents=True)
        return Doors(FolderStorage(tmp_path / "root"), "bucket")
    if request.param == "memory":
        return Doors(MemoryStorage("bucket"), "bucket")
    return Doors(S3Storage(), request.getfixturevalue(request.param).bucket)


@pytest.fixture(params=["memory", *_S3])
def versioned(request: pytest.FixtureRequest) -> Doors:
    """An empty bucket that keeps versions, of each kind that can."""
    if request.param == "memory":
        return Doors(MemoryStorage("bucket", versioned=True), "bucket")
    kept: Moto | RealS3 = request.getfixturevalue(request.param)
    kept.client.put_bucket_versioning(
        Bucket=kept.bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    return Doors(S3Storage(), kept.bucket)
