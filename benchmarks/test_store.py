# SPDX-License-Identifier: Apache-2.0
"""What `store` costs, beside FFmpeg, SoX and pydub at the same job."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import pytest
import soundfile as sf
from pytest_benchmark.fixture import BenchmarkFixture

import audioengine
from benchmarks import peers
from benchmarks.material import FORMATS, PARTIES, Call, hour, hours
from benchmarks.peers import Job
from benchmarks.results import Contest, duration, record

Task = Callable[[], object]

EDIT = Job((10.0, 3590.0), {"caller": [(600.0, 605.0), (1800.0, 1805.0), (3000.0, 3005.0)]})

EDIT_SUBJECT = "One hour: trim 10 s off both ends, mask 3 × 5 s"
MANY_SUBJECT = "One hour: trim 10 s off both ends, 20 masks of 1 to 6 s"
COPY_SUBJECT = "One hour, edited by audioengine, only trimmed by others"
PROCESS_SUBJECT = "One hour, whole process: edited by audioengine, only trimmed by others"
FULL_SUBJECT = "One hour: everything decoded and encoded anew"
LENGTH_SUBJECT = "Length of the recording"
MEMORY_SUBJECT = "Peak resident memory"
IMPORT_SUBJECT = "Import"

# A machine that does other things too may stall one run: medians of several, where they are short.
QUICK_ROUNDS = 9
SLOW_ROUNDS = {"8k": 3, "16k": 3, "44k": 1}
"""Of jobs that take the others half a minute."""
MAX_EXTRA_MIB = 64
MAX_IMPORT_S = 0.150

formats = pytest.mark.parametrize("kind", list(FORMATS))


def many_masks() -> Job:
    """20 masks of 1 to 6 s, of both parties in turn, spread over the hour."""
    draw = random.Random(20)
    masks: dict[str, list[peers.Stretch]] = {"caller": [], "callee": []}
    for i in range(20):
        start = 60 + 174 * i + round(draw.uniform(0, 150), 3)
        masks[PARTIES[i % 2]].append((start, round(start + draw.uniform(1, 6), 3)))
    return Job(EDIT.keep, masks)


def modification(job: Job) -> audioengine.Modification:
    return audioengine.Modification(
        trim=audioengine.Interval(*job.keep),
        mask={
            party: [audioengine.Interval(*mask) for mask in masks]
            for party, masks in job.masks.items()
        },
    )


def store(call: Call, job: Job, target: Path, **options: Any) -> Task:
    """Our side of a contest."""
    edits = modification(job)

    def task() -> None:
        audioengine.store(str(call.path), str(target), edits, audioengine.StoreOptions(**options))

    return task


def seconds(task: Task) -> float:
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def measure(benchmark: BenchmarkFixture, task: Task, before: Task, rounds: int) -> list[float]:
    """Seconds of `task`, with `before` done before each round."""
    taken: list[float] = []

    def setup() -> None:
        before()

    def timed() -> None:
        taken.append(seconds(task))

    benchmark.pedantic(timed, setup=setup, rounds=rounds)  # type: ignore[no-untyped-call]
    return taken


def compete(
    benchmark: BenchmarkFixture,
    contest: Contest,
    ours: Task,
    others: Mapping[str, Task],
    rounds: int = QUICK_ROUNDS,
    other_rounds: int | None = None,
    *,
    warm: bool = True,
) -> None:
    """Measure in turns: before each round of ours the others have theirs.

    With fewer rounds of the others these are spread evenly.
    """
    every = other_rounds or rounds
    if warm:
        ours()  # what is only done once (lazy imports, first use of codecs) is not measured
    done = 0

    def turn_of_others() -> None:
        nonlocal done
        if done * every // rounds != (done - 1) * every // rounds:
            for tool, task in others.items():
                contest.others.setdefault(tool, []).append(seconds(task))
        done += 1

    benchmark.group = contest.subject
    contest.ours = measure(benchmark, ours, turn_of_others, rounds)
    benchmark.extra_info["ratios"] = {tool: contest.ratio(tool) for tool in others}


def check_length(target: Path, call: Call, job: Job) -> None:
    """A fast wrong answer is no answer."""
    samples = round((job.keep[1] - job.keep[0]) * call.format.rate)
    assert sf.info(target).frames == samples


def ffmpeg_tasks(do: Callable[[peers.Ffmpeg], None]) -> dict[str, Task]:
    return {str(one): partial(do, one) for one in peers.ffmpegs()}


def edit_contest(
    benchmark: BenchmarkFixture, scratch: Path, kind: str, subject: str, job: Job, least: float
) -> None:
    call = hour(FORMATS[kind])
    ours, theirs = scratch / "ours.mp3", scratch / "theirs.mp3"
    tasks = ffmpeg_tasks(lambda ffmpeg: ffmpeg.edit(call, job, theirs))
    contest = Contest(subject, str(call.format))
    rounds = SLOW_ROUNDS[kind]
    compete(benchmark, contest, store(call, job, ours), tasks, QUICK_ROUNDS, rounds)
    check_length(ours, call, job)
    if version := peers.sox_version():
        contest.others[f"SoX {version}"] = [seconds(lambda: peers.sox_edit(call, job, theirs))]
    if version := peers.pydub_version():
        cost = peers.pydub_edit(call, job, theirs)
        name = f"pydub {version}, {cost['peak_mib']:.0f} MiB resident"
        contest.others[name] = [cost["seconds"]]
    contest.record({contest.fastest(tasks): least})


@formats
def test_edit(benchmark: BenchmarkFixture, scratch: Path, kind: str) -> None:
    least = 80 if kind == "8k" else 100
    edit_contest(benchmark, scratch, kind, EDIT_SUBJECT, EDIT, least)


@formats
def test_many_masks(benchmark: BenchmarkFixture, scratch: Path, kind: str) -> None:
    edit_contest(benchmark, scratch, kind, MANY_SUBJECT, many_masks(), 30)


@formats
def test_copy(benchmark: BenchmarkFixture, scratch: Path, kind: str) -> None:
    """The whole edit, against FFmpeg's trim without coding."""
    call = hour(FORMATS[kind])
    tasks = ffmpeg_tasks(lambda ffmpeg: ffmpeg.copy_trim(call, EDIT, scratch / "theirs.mp3"))
    contest = Contest(COPY_SUBJECT, str(call.format))
    compete(benchmark, contest, store(call, EDIT, scratch / "ours.mp3"), tasks)
    contest.record({contest.fastest(tasks): 1})


@formats
def test_process(benchmark: BenchmarkFixture, scratch: Path, kind: str) -> None:
    """`audioengine store`, started anew each time."""
    call = hour(FORMATS[kind])
    command = [sys.executable, "-m", "audioengine", "store", str(call.path), str(scratch / "o.mp3")]
    command += ["--trim", "-".join(map(str, EDIT.keep))]
    for party, masks in EDIT.masks.items():
        for start, end in masks:
            command += ["--mask", f"{party}={start}-{end}"]
    tasks = ffmpeg_tasks(lambda ffmpeg: ffmpeg.copy_trim(call, EDIT, scratch / "theirs.mp3"))
    contest = Contest(PROCESS_SUBJECT, str(call.format))
    compete(benchmark, contest, lambda: peers.run(*command), tasks)
    check_length(scratch / "o.mp3", call, EDIT)
    slack = {"wheel": 2, "PATH": 3}
    contest.record({str(one): 1 / slack[one.origin] for one in peers.ffmpegs()})


@formats
def test_full(benchmark: BenchmarkFixture, scratch: Path, kind: str) -> None:
    call = hour(FORMATS[kind])
    tasks = ffmpeg_tasks(lambda ffmpeg: ffmpeg.reencode(call, scratch / "theirs.mp3"))
    ours = store(call, EDIT, scratch / "ours.mp3", render="full")
    contest = Contest(FULL_SUBJECT, str(call.format))
    rounds = SLOW_ROUNDS[kind]
    compete(benchmark, contest, ours, tasks, rounds, warm=False)
    check_length(scratch / "ours.mp3", call, EDIT)
    contest.record({contest.fastest(tasks): 1.5})


def long_edit(call: Call) -> Job:
    """The usual edit, spread over a recording of any length."""
    starts = [round(call.seconds * share) for share in (1 / 6, 1 / 2, 5 / 6)]
    return Job(
        (10.0, float(int(call.seconds) - 10)),
        {"caller": [(start, start + 5.0) for start in starts]},
    )


@formats
def test_ten_hours(benchmark: BenchmarkFixture, scratch: Path, kind: str) -> None:
    short = hour(FORMATS[kind])
    long = hours(FORMATS[kind], 10, scratch / "long.mp3")
    job = long_edit(long)
    one_hour = store(short, long_edit(short), scratch / "short-out.mp3")
    ten_hours = store(long, job, scratch / "long-out.mp3")
    one_hour()
    ten_hours()
    one: list[float] = []
    benchmark.group = LENGTH_SUBJECT
    ten = measure(benchmark, ten_hours, lambda: one.append(seconds(one_hour)), rounds=5)
    check_length(scratch / "long-out.mp3", long, job)
    ratio = median(ten) / median(one)
    value = f"{duration(median(one))}, then {duration(median(ten))}: {ratio:.1f}×"
    what = f"{short.format}, 1 h, then 10 h"
    record(LENGTH_SUBJECT, what, "audioengine", value, "≤ 12×", kept=ratio <= 12)


@pytest.mark.parametrize(("kind", "count"), [("8k", 1), ("44k", 1), ("8k", 24), ("44k", 24)])
def test_memory(scratch: Path, kind: str, count: int) -> None:
    """Peak over that of an import, in a process of its own."""
    call = hours(FORMATS[kind], count, scratch / "long.mp3")
    job = long_edit(call)
    cost = peers.lone("audioengine", call, job, scratch / "out.mp3")
    check_length(scratch / "out.mp3", call, job)
    extra = cost["peak_mib"] - cost["imported_mib"]
    record(
        MEMORY_SUBJECT,
        f"{call.format}, {count} h",
        "audioengine",
        f"{cost['peak_mib']:.0f} MiB, {extra:.0f} over an import",
        f"≤ {MAX_EXTRA_MIB} MiB over",
        kept=extra <= MAX_EXTRA_MIB,
    )


def test_import(benchmark: BenchmarkFixture) -> None:
    bare_python = partial(peers.run, sys.executable, "-c", "pass")
    importing = partial(peers.run, sys.executable, "-c", "import audioengine")
    importing()
    bare: list[float] = []
    benchmark.group = IMPORT_SUBJECT
    ours = measure(benchmark, importing, lambda: bare.append(seconds(bare_python)), rounds=15)
    extra = median(ours) - median(bare)
    value = f"{extra * 1000:.0f} ms over bare Python's {median(bare) * 1000:.0f} ms"
    what, wanted = "import audioengine", f"< {MAX_IMPORT_S * 1000:.0f} ms over"
    record(IMPORT_SUBJECT, what, "audioengine", value, wanted, kept=extra < MAX_IMPORT_S)
