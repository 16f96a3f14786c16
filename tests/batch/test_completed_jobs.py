# SPDX-License-Identifier: Apache-2.0
"""What is done is known by its key, as often as it was done, in little memory."""

from __future__ import annotations

import tracemalloc
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from audioengine.batch.completed_jobs import DoneJobs
from audioengine.batch.manifest_job import digest

_KEYS = st.sampled_from(
    [f"{number:032x}" for number in (0, 1, 2, 1 << 8, 1 << 120, (1 << 120) + 1, (1 << 128) - 1)]
)


@given(st.lists(_KEYS), st.lists(_KEYS))
def test_a_key_is_taken_as_often_as_it_was_done(done: list[str], asked: list[str]) -> None:
    left = Counter(done)
    jobs = DoneJobs(done)
    for key in asked:
        assert jobs.take(key) == (left[key] > 0)
        left[key] -= 1


def test_what_is_no_key_is_nobodys() -> None:
    jobs = DoneJobs(["", "0", "xyz", "00", f"{5:032x}"])
    assert not jobs.take(f"{0:032x}")
    assert jobs.take(f"{5:032x}")


def test_a_job_takes_20_bytes() -> None:
    count = 200_000
    keys = [digest(b"%d" % number) for number in range(count)]
    tracemalloc.start()
    jobs = DoneJobs(keys)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < count * 20 * 1.2  # a growing array has room to grow
    assert all(jobs.take(key) for key in keys[:1000])
