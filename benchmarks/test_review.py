# SPDX-License-Identifier: Apache-2.0
"""A page to review an hour with: how long it takes to make, and how large it is."""

from __future__ import annotations

from pathlib import Path

from pytest_benchmark.fixture import BenchmarkFixture

import audioengine
from benchmarks.material import FORMATS, hour
from benchmarks.results import duration, record
from benchmarks.test_store import QUICK_ROUNDS, many_masks, measure, modification

SUBJECT = "A review page of one hour with 20 masks of 1 to 6 s"
MOST_S = 1.5
MOST_BYTES = 3_000_000


def test_review(benchmark: BenchmarkFixture, scratch: Path) -> None:
    """At 8 kHz; without the whole sound."""
    call, place = hour(FORMATS["8k"]), scratch / "review.html"
    edit = modification(many_masks())

    def task() -> None:
        audioengine.review(call.path, modification=edit).write(place)

    task()
    best = min(measure(benchmark, task, lambda: None, QUICK_ROUNDS))
    what, size = str(call.format), place.stat().st_size
    record(SUBJECT, what, "size", f"{size / 1e6:.2f} MB", "< 3 MB", kept=size < MOST_BYTES)
    record(SUBJECT, what, "time", duration(best), f"≤ {MOST_S} s", kept=best <= MOST_S)
