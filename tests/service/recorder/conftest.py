# SPDX-License-Identifier: Apache-2.0
"""A tenant and a recorder that listen, and nobody who waits before the next attempt."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import tenacity

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
