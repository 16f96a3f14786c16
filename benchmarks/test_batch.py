# SPDX-License-Identifier: Apache-2.0
"""What it costs to read a manifest, in the process that hands its jobs out."""

from __future__ import annotations

import json
import time
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from audioengine.batch.manifest import jobs_of
from benchmarks import peers
from benchmarks.results import record

SUBJECT = "Reading a manifest"
LINES = 100_000
ROUNDS = 5
LEAST_LINES_A_SECOND = 50_000
FEW_LINES = 1000
MAX_EXTRA_MIB = 1
"""Between few lines and many: what is kept of a block, and what the allocator keeps."""

EPOCH_MS = 1_728_890_677_283


def plain(number: int) -> dict[str, Any]:
    """A job of some 250 bytes."""
    return {
        "source": f"s3://recordings/calls/2024/10/{number:08}-caller-callee.mp3",
        "destination": f"s3://archive/calls/2024/10/{number:08}.mp3",
        "modification": {"mask": {"caller": [{"from": 12.5, "to": 15}, {"from": 20, "to": 21}]}},
        "startTime": EPOCH_MS + number,
    }


def command(number: int) -> dict[str, Any]:
    """A command of some 700 bytes, most of them its token's."""
    stretch = {"from": EPOCH_MS + 1000, "to": EPOCH_MS + 3000}
    return {
        "method": "STORERECORDING",
        "destinationBucket": "archive",
        "destinationRegion": "us-west-2",
        "fileName": f"calls/2024/10/{number:08}.mp3",
        "modificationParams": {"absoluteTimes": True, "mask": {"caller": [stretch]}},
        "recordingId": f"{number:08x}-89f8-11ef-8888-0242ac120002",
        "replyId": "x" * 400,
    }


KINDS = {"plain jobs": plain, "STORERECORDING": command}
kinds = pytest.mark.parametrize("kind", list(KINDS))


def manifest(folder: Path, kind: str, lines: int) -> Path:
    path = folder / f"{lines}.jsonl"
    with path.open("w") as file:
        file.writelines(f"{json.dumps(KINDS[kind](number))}\n" for number in range(lines))
    return path


@kinds
def test_lines_a_second(kind: str, scratch: Path, benchmark: BenchmarkFixture) -> None:
    path = str(manifest(scratch, kind, LINES))
    seconds: list[float] = []

    def task() -> None:
        start = time.perf_counter()
        assert sum(1 for _ in jobs_of(path)) == LINES
        seconds.append(time.perf_counter() - start)

    benchmark.pedantic(task, rounds=ROUNDS)  # type: ignore[no-untyped-call]
    rate = LINES / median(seconds)
    bound = f"≥ {LEAST_LINES_A_SECOND:,} lines/s"
    size = Path(path).stat().st_size // LINES
    what, kept = f"{kind} of {size} bytes", rate >= LEAST_LINES_A_SECOND
    record(SUBJECT, what, "audioengine", f"{rate:,.0f} lines/s", bound, kept=kept)


@kinds
def test_memory_does_not_grow_with_lines(kind: str, scratch: Path) -> None:
    few, many = (
        peers.lone_manifest(manifest(scratch, kind, lines), lines) for lines in (FEW_LINES, LINES)
    )
    extra = many["peak_mib"] - few["peak_mib"]
    record(
        SUBJECT,
        f"{kind}: peak resident memory",
        "audioengine",
        f"{many['peak_mib']:.0f} MiB, {extra:.1f} over that of {FEW_LINES:,} lines",
        f"≤ {MAX_EXTRA_MIB} MiB over",
        kept=extra <= MAX_EXTRA_MIB,
    )
