# SPDX-License-Identifier: Apache-2.0
"""How often a command is tried, and the pauses between attempts, which grow."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioengine.service.queues.embedded import EmbeddedQueue
from audioengine.service.queues.queue import Message
from audioengine.service.worker.retry_policy import MOST_RECEIVES, RetryPolicy
from tests.service.rest.deployment import MemoryQueue

MESSAGE = Message(message_id="m", body="{}", receipt="r", receives=1, sent_ms=0)


@given(st.integers(1, 900), st.integers(1, 100))
def test_each_pause_is_twice_the_one_before_up_to_a_quarter_of_an_hour(
    first_s: int, receives: int
) -> None:
    policy = RetryPolicy(MemoryQueue(), backoff_s=first_s)
    full_s = min(first_s * 2 ** (receives - 1), 900)
    pause_s = policy.backoff_s(replace(MESSAGE, receives=receives))
    assert full_s * 0.8 - 0.5 <= pause_s <= full_s


def test_the_first_pauses_of_a_worker_grow() -> None:
    policy = RetryPolicy(MemoryQueue())
    pauses = [policy.backoff_s(replace(MESSAGE, receives=receives)) for receives in range(1, 7)]
    assert pauses == sorted(set(pauses))
    assert 4 <= pauses[0] <= 5
    assert 128 <= pauses[-1] <= 160


@pytest.mark.parametrize(
    ("setting", "redrive", "wanted"),
    [(None, None, MOST_RECEIVES), (3, None, 3), (None, 4, 4), (3, 4, 3), (5, 4, 4)],
)
def test_the_final_attempt_is_the_lower_limit_s(
    tmp_path: Path, setting: int | None, redrive: int | None, wanted: int
) -> None:
    queue = EmbeddedQueue(tmp_path / "queue.db", max_receives=redrive)
    policy = RetryPolicy(queue, max_receives=setting)
    assert policy.max_receives() == wanted
    assert not policy.is_final(replace(MESSAGE, receives=wanted - 1))
    assert policy.is_final(replace(MESSAGE, receives=wanted))
