# SPDX-License-Identifier: Apache-2.0
"""The pace of domains: a burst, then no more than the rate, and each for itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioengine.service.rest import pace
from audioengine.service.rest.pace import Pace


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@given(
    st.integers(1, 5),
    st.sampled_from([0.5, 1.0, 4.0]),
    st.lists(st.sampled_from([0.0, 0.25, 1.0, 3.0])),
)
def test_never_more_than_burst_and_rate(burst: int, rate_per_s: float, pauses: list[float]) -> None:
    """In no stretch of time."""
    clock = Clock()
    tried = Pace(rate_per_s, burst, clock)
    taken = []
    for pause in pauses:
        clock.now += pause
        if tried.wait_s("domain") == 0:
            taken.append(clock.now)
    for first in range(len(taken)):
        for last in range(first, len(taken)):
            lasted = taken[last] - taken[first]
            assert last - first + 1 <= burst + lasted * rate_per_s + 1e-6


def test_a_wait_is_long_enough_and_no_longer() -> None:
    clock = Clock()
    tried = Pace(0.5, 2, clock)
    assert [tried.wait_s("a") for _ in range(3)] == [0.0, 0.0, 2.0]
    clock.now += 1.5
    assert tried.wait_s("a") == 0.5
    clock.now += 0.5
    assert tried.wait_s("a") == 0.0
    assert tried.wait_s("b") == 0.0


def test_full_buckets_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "_MOST_BUCKETS", 10)
    clock = Clock()
    tried = Pace(1.0, 1, clock)
    assert tried.wait_s("kept") == 0.0
    for name in range(1000):
        clock.now += 0.1
        tried.wait_s(str(name))
    assert len(tried._buckets) <= 11
    clock = Clock()
    tried = Pace(1e-9, 1, clock)
    tried.wait_s("empty")
    for name in range(20):
        tried.wait_s(str(name))
    assert tried.wait_s("empty") > 0
