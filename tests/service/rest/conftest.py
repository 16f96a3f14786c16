# SPDX-License-Identifier: Apache-2.0
"""A service for the tests of a file, and an empty queue for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.service.rest.deployment import Served, served


@pytest.fixture(scope="module")
def running() -> Iterator[Served]:
    with served() as service:
        yield service


@pytest.fixture
def service(running: Served) -> Iterator[Served]:
    running.queue.sent.clear()
    yield running
    running.queue.fault = None
    running.queue.delay_s = 0.0
