# SPDX-License-Identifier: Apache-2.0
"""What `verify` costs, beside decoding and encoding everything with FFmpeg."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import audioengine
from benchmarks.material import FORMATS, hour
from benchmarks.results import Contest
from benchmarks.test_merge import Ours, conference, conference_calls, overlaps, overlaps_calls
from benchmarks.test_store import (
    EDIT,
    QUICK_ROUNDS,
    SLOW_ROUNDS,
    compete,
    ffmpeg_tasks,
    modification,
    store,
)

VERIFY_SUBJECT = "One hour, trimmed and masked 3 × 5 s: verified, and decoded and encoded anew"


@pytest.mark.parametrize("kind", ["8k", "16k"])
def test_verify(benchmark: BenchmarkFixture, scratch: Path, kind: str) -> None:
    """The output is decoded whole, by another decoder; what is copied is compared as bytes."""
    call = hour(FORMATS[kind])
    output, theirs = scratch / "ours.mp3", scratch / "theirs.mp3"
    store(call, EDIT, output)()

    def ours() -> None:
        assert audioengine.verify(call.path, output, modification(EDIT)).passed

    tasks = ffmpeg_tasks(lambda ffmpeg: ffmpeg.reencode(call, theirs))
    contest = Contest(VERIFY_SUBJECT, str(call.format))
    compete(benchmark, contest, ours, tasks, QUICK_ROUNDS, SLOW_ROUNDS[kind])
    contest.record({contest.fastest(tasks): 10})


MERGE_SUBJECTS = {
    "conference": "One hour that covers the conference of two others: verified, and merged",
    "overlaps": "3 × 20 min that overlap by 8 and 6 min: verified, and merged",
}
# Where much is mixed, the sources are decoded too, and taken apart.
MERGE_LEAST = {"conference": 10, "overlaps": 2}


@pytest.mark.parametrize("case", ["conference", "overlaps"])
@pytest.mark.parametrize("kind", ["8k", "16k"])
def test_verify_merge(benchmark: BenchmarkFixture, scratch: Path, kind: str, case: str) -> None:
    """Beside FFmpeg's decoding all parts, mixing them and encoding the whole."""
    form = FORMATS[kind]
    held = case == "conference"
    pieces = conference(conference_calls(form)) if held else overlaps(overlaps_calls(form))
    output, theirs = scratch / "ours.mp3", scratch / "theirs.mp3"
    made = Ours(pieces, output)
    made()

    def ours() -> None:
        assert audioengine.verify_merge(made.parts, output).passed

    tasks = ffmpeg_tasks(lambda ffmpeg: ffmpeg.merge(pieces, theirs))
    contest = Contest(MERGE_SUBJECTS[case], str(form))
    compete(benchmark, contest, ours, tasks, QUICK_ROUNDS, SLOW_ROUNDS[kind])
    contest.record({contest.fastest(tasks): MERGE_LEAST[case]})
