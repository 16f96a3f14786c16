# SPDX-License-Identifier: Apache-2.0
"""Pauses between attempts: they double, have an end, and differ from client to client."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

import audioengine as ae
from audioengine import retries
from audioengine.retries import Backoff, is_retryable

TABLE = {name: one for name, one in vars(retries).items() if isinstance(one, Backoff)}


@given(
    st.floats(0.01, 100),
    st.floats(0.01, 1000),
    st.floats(0, 1),
    st.integers(1, 10**6),
)
def test_a_pause_doubles_up_to_the_longest(
    first_s: float, longest_s: float, spread: float, failures: int
) -> None:
    full_s = min(first_s * 2.0 ** min(failures - 1, 40), longest_s)
    pause_s = Backoff(first_s, longest_s, spread).pause_s(failures)
    assert full_s * (1 - spread) * 0.999 <= pause_s <= full_s * 1.001
    exact = Backoff(first_s, longest_s, 0)
    assert exact.pause_s(failures + 1) == pytest.approx(min(2 * full_s, longest_s))


@pytest.mark.parametrize("name", TABLE)
def test_each_kind_of_work_backs_off(name: str) -> None:
    """From a first pause to one many times as long, and no further."""
    backoff = TABLE[name]
    longest = [max(backoff.pause_s(failures) for _ in range(200)) for failures in (1, 3, 60)]
    assert longest[0] <= backoff.first_s < longest[1] <= 4 * backoff.first_s
    assert longest[1] < longest[2] <= backoff.longest_s


def test_clients_that_failed_together_come_back_apart() -> None:
    for backoff in TABLE.values():
        pauses = {backoff.pause_s(3) for _ in range(20)}
        assert (len(pauses) > 10) is (backoff.spread > 0)


def test_only_errors_that_say_so_are_retried() -> None:
    assert is_retryable(ae.StorageError("down", retryable=True))
    assert not is_retryable(ae.StorageError("gone"))
    assert not is_retryable(ae.InvalidRequestError.of("a", 1, "must be 2"))
    assert not is_retryable(OSError("of somebody else"))
    sent: ae.StorageError = pickle.loads(pickle.dumps(ae.StorageError("down", retryable=True)))
    assert is_retryable(sent)
