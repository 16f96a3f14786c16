# SPDX-License-Identifier: Apache-2.0
"""A tenant and a recorder that listen, and nobody who waits before the next attempt."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import tenacity

from tests.execution.service import TEMP
from tests.service.cloud import Cloud
from tests.service.recorder.servers import Host, host


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


@pytest.fixture
def temp_bucket(cloud: Cloud) -> Iterator[Any]:
    """An empty bucket of temporary recordings; gives a client of it."""
    client = cloud.client("s3")
    client.create_bucket(Bucket=TEMP)
    yield client
    for page in client.get_paginator("list_object_versions").paginate(Bucket=TEMP):
        for one in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
            client.delete_object(Bucket=TEMP, Key=one["Key"], VersionId=one["VersionId"])
    client.delete_bucket(Bucket=TEMP)
