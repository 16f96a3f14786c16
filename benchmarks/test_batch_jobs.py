# SPDX-License-Identifier: Apache-2.0
"""Batches on two processors: against FFmpeg, beside a store, and what is spent around the engine.

One recording in ten is another; as many as there are jobs would only measure the disk.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

import boto3
import pytest

from benchmarks import peers
from benchmarks.material import FORMATS, Call, talk_of
from benchmarks.results import duration, record
from tests.storage.servers import ENVIRONMENT, moto_server

SUBJECT = "Batches of 5 minutes at 8 kHz, a trim and two masks of 2 s"
RECORDINGS = 300
TURNS = 3
"""Of which the median counts."""
FFMPEG_RECORDINGS = 10
"""FFmpeg's time for all is projected from as many, each turn others."""
DIFFERENT = 10
SECONDS = 300
PROCESSORS = 2
LEAST_RATIO = 20
LEAST_SHARE_BESIDE_A_STORE = 0.5
"""The rest is for moto, which has the same two processors, and for HTTP."""
MAX_OVERHEAD_MS = 10
FEW_JOBS, MANY_JOBS = 500, 10_000
MAX_EXTRA_MIB = 4
"""Between few jobs and many: buffers, and what the allocator keeps."""


def edit_of(number: int) -> peers.Job:
    """Another one for each recording."""
    at = 30 + number % 200
    return peers.Job((5, 290), {"caller": [(at, at + 2)], "callee": [(at + 20, at + 22)]})


def call_of(number: int) -> Call:
    return talk_of(FORMATS["8k"], SECONDS, 100 + number % DIFFERENT)


def manifest(path: Path, source: str, target: str) -> Path:
    """All jobs; `source` and `target` are places, of which a number makes names."""
    with path.open("w") as file:
        for number in range(RECORDINGS):
            edit = edit_of(number)
            masks = {
                party: [{"from": start, "to": end} for start, end in of]
                for party, of in edit.masks.items()
            }
            trim = dict(zip(("from", "to"), edit.keep, strict=True))
            line = {
                "source": source.format(call_of(number).path.name),
                "destination": target.format(number),
                "modification": {"trim": trim, "mask": masks},
            }
            file.write(f"{json.dumps(line)}\n")
    return path


@dataclass(frozen=True, slots=True)
class Run:
    """One batch in a process of its own."""

    seconds: float
    engine_seconds: float
    """Of all jobs together, as their reports say."""
    steady_seconds: float
    """Between the first outcome and the last: without the start of processes."""

    def overhead_ms(self, processes: int) -> float:
        """Of a processor, for each job."""
        spent = self.steady_seconds * processes / (RECORDINGS - 1)
        return 1000 * (spent - self.engine_seconds / RECORDINGS)


def batch(path: Path, *options: str) -> Run:
    journal = path.with_suffix(".journal")
    journal.unlink(missing_ok=True)
    command = [sys.executable, "-m", "audioengine", "batch", str(path), "--journal", str(journal)]
    root = Path(__file__).parent.parent
    start = time.perf_counter()
    done = subprocess.run(
        [*command, "--json", *options], capture_output=True, text=True, check=False, cwd=root
    )
    seconds = time.perf_counter() - start
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]
    assert json.loads(done.stdout)["done"] == RECORDINGS
    entries = [json.loads(line) for line in journal.read_text().splitlines()[1:]]
    times = [datetime.fromisoformat(entry["time"]) for entry in entries]
    engine = sum(entry["report"]["wall_seconds"] for entry in entries)
    return Run(seconds, engine, (times[-1] - times[0]).total_seconds())


@pytest.fixture
def folder(scratch: Path) -> Path:
    for number in range(DIFFERENT):
        call_of(number)
    (scratch / "out").mkdir()
    return scratch


def local(folder: Path) -> Path:
    return manifest(folder / "jobs.jsonl", f"{call_of(0).path.parent}/{{}}", f"{folder}/out/{{}}")


def test_against_ffmpeg(folder: Path) -> None:
    """As `xargs -P2 ffmpeg` does it: so many at a time; by turns, for the machine is not alone."""
    manifest = local(folder)
    ours: list[float] = []
    theirs: dict[str, list[float]] = {}
    for turn in range(TURNS):
        ours.append(RECORDINGS / batch(manifest, "--concurrency", str(PROCESSORS)).seconds)
        numbers = range(turn * FFMPEG_RECORDINGS, (turn + 1) * FFMPEG_RECORDINGS)
        for ffmpeg in peers.ffmpegs():

            def edit(number: int, ffmpeg: peers.Ffmpeg = ffmpeg) -> None:
                ffmpeg.edit(call_of(number), edit_of(number), folder / f"{number}.mp3")

            start = time.perf_counter()
            with ThreadPoolExecutor(PROCESSORS) as pool:
                list(pool.map(edit, numbers))
            seconds = time.perf_counter() - start
            theirs.setdefault(str(ffmpeg), []).append(FFMPEG_RECORDINGS / seconds)
    rate = median(ours)
    rates = {tool: median(turns) for tool, turns in theirs.items()}
    tool = max(rates, key=rates.__getitem__)
    value = f"{rate:.0f} recordings/s, {tool} {rates[tool]:.2f}: {rate / rates[tool]:.1f}×"
    kept = rate >= LEAST_RATIO * rates[tool]
    what = f"{RECORDINGS} in local folders, two at a time"
    record(SUBJECT, what, "audioengine", value, f"≥ {LEAST_RATIO}×", kept=kept)


def test_beside_a_store(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store, moto, takes its part of the two processors; more jobs than those wait for it.

    The engine's time is that of the same jobs in local folders, where they wait for nothing.
    """
    engine_seconds = batch(local(folder), "--concurrency", str(PROCESSORS)).engine_seconds
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    with moto_server() as url:
        client = boto3.client("s3", endpoint_url=url)
        client.create_bucket(Bucket="calls")
        for number in range(DIFFERENT):
            path = call_of(number).path
            client.upload_file(str(path), "calls", path.name)
        path = manifest(folder / "jobs.jsonl", "s3://calls/{}", "s3://calls/out/{}")
        run = batch(path, "--s3-endpoint", url)
    rate = RECORDINGS / run.seconds
    share = engine_seconds / (run.seconds * PROCESSORS)
    value = f"{rate:.0f} recordings/s; {share:.0%} of the processors' time in the engine"
    bound = f"≥ {LEAST_SHARE_BESIDE_A_STORE:.0%}"
    kept = share >= LEAST_SHARE_BESIDE_A_STORE
    record(SUBJECT, f"{RECORDINGS} in S3 (moto)", "audioengine", value, bound, kept=kept)


@contextmanager
def dask_cluster() -> Iterator[str]:
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=PROCESSORS, threads_per_worker=1, processes=True, dashboard_address=":0"
    ) as cluster:
        yield cluster.scheduler_address


@pytest.mark.parametrize("processes", [1, PROCESSORS])
def test_overhead_of_processes(processes: int, folder: Path) -> None:
    run = batch(local(folder), "--concurrency", str(processes))
    overhead(f"{processes} processes", run, processes)


def test_overhead_of_a_cluster(folder: Path) -> None:
    with dask_cluster() as scheduler:
        run = batch(local(folder), "--executor", "dask", "--scheduler", scheduler)
    overhead(f"Dask, {PROCESSORS} workers", run, PROCESSORS)


def overhead(what: str, run: Run, processes: int) -> None:
    spent = run.overhead_ms(processes)
    value = f"{spent:.1f} ms over {duration(run.engine_seconds / RECORDINGS)} of the engine"
    bound = f"≤ {MAX_OVERHEAD_MS} ms"
    kept = spent <= MAX_OVERHEAD_MS
    record(SUBJECT, f"{what}: overhead a job", "audioengine", value, bound, kept=kept)


def test_memory_of_who_hands_out_does_not_grow_with_jobs(folder: Path) -> None:
    source = str(Path(__file__).parent.parent / "fixtures" / "one-frame.mp3")

    def peak(jobs: int) -> float:
        path = folder / f"{jobs}.jsonl"
        with path.open("w") as file:
            for number in range(jobs):
                line: dict[str, Any] = {"source": source, "destination": f"{folder}/out/{number}"}
                file.write(f"{json.dumps(line)}\n")
        return peers.lone_batch(path, jobs, min(PROCESSORS, os.cpu_count() or 1))["peak_mib"]

    few, many = peak(FEW_JOBS), peak(MANY_JOBS)
    record(
        SUBJECT,
        f"{MANY_JOBS:,} plain copies: peak resident memory of the parent",
        "audioengine",
        f"{many:.0f} MiB, {many - few:.1f} over that of {FEW_JOBS:,}",
        f"≤ {MAX_EXTRA_MIB} MiB over",
        kept=many - few <= MAX_EXTRA_MIB,
    )
