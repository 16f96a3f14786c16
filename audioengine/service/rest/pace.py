# SPDX-License-Identifier: Apache-2.0
"""How many commands of a domain are taken: a bucket of tokens each, in this process alone."""

from __future__ import annotations

import time
from collections.abc import Callable

_MOST_BUCKETS = 10_000


class Pace:
    """Takes `burst` at once, and `rate_per_s` in the long run, of each name."""

    def __init__(
        self, rate_per_s: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}  # tokens left, and when that was

    def wait_s(self, name: str) -> float:
        """Take one of a name: 0.0, or how many seconds until there is one."""
        now = self._clock()
        left, then = self._buckets.get(name, (float(self._burst), now))
        left = min(float(self._burst), left + (now - then) * self._rate_per_s)
        wait_s = 0.0 if left >= 1 else (1 - left) / self._rate_per_s
        self._buckets[name] = (left if wait_s else left - 1, now)
        if len(self._buckets) > _MOST_BUCKETS:
            self._forget_the_full(now)
        return wait_s

    def _forget_the_full(self, now: float) -> None:
        """A full bucket is as good as none."""
        self._buckets = {
            name: (left, then)
            for name, (left, then) in self._buckets.items()
            if left + (now - then) * self._rate_per_s < self._burst
        }
