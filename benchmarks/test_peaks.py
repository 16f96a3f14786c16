# SPDX-License-Identifier: Apache-2.0
"""The waveform of an hour, beside audiowaveform and what it decodes with."""

from __future__ import annotations

import shutil
import subprocess
from functools import partial
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import audioengine
from benchmarks.material import FORMATS, hour
from benchmarks.results import Contest
from benchmarks.test_store import SLOW_ROUNDS, compete

SUBJECT = "Peaks of one hour, 100 pixels a second"
LEAST = 1.5


@pytest.mark.parametrize("kind", FORMATS)
def test_peaks(benchmark: BenchmarkFixture, scratch: Path, kind: str) -> None:
    """Audiowaveform decodes MP3 with libmad, so decoding alone with libmad is less than it does."""
    call = hour(FORMATS[kind])
    ours, theirs = scratch / "ours.dat", scratch / "theirs.dat"
    commands = {
        "audiowaveform": ["-i", call.path, "-o", theirs, "--pixels-per-second", "100", "-q"],
        "madplay": ["-Q", "-o", "null:", call.path],
    }
    tasks = {
        tool: partial(subprocess.run, [tool, *map(str, args)], check=True, capture_output=True)
        for tool, args in commands.items()
        if shutil.which(tool)
    }
    if not tasks:
        pytest.skip("neither audiowaveform nor madplay is installed")

    def task() -> None:
        ours.write_bytes(audioengine.peaks(call.path).to_dat())

    contest = Contest(SUBJECT, str(call.format))
    compete(benchmark, contest, task, tasks, SLOW_ROUNDS[kind])
    contest.record(dict.fromkeys(tasks, LEAST))
