# SPDX-License-Identifier: Apache-2.0
"""Processor time, which tells more than the clock where a machine does other things too.

`store` as a command beside FFmpeg's `-c copy`, the list of verbs beside bare Python, and what a
full render takes.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pytest

import audioengine
from benchmarks import peers
from benchmarks.material import FORMATS, hour, talk_of
from benchmarks.results import Row, duration, record, rows
from benchmarks.test_store import EDIT

COMMAND_SUBJECT = "Processor time: one hour edited by the command, only trimmed by ffmpeg"
HELP_SUBJECT = "Processor time: audioengine --help"
FULL_SUBJECT = "Processor time: ten minutes decoded and encoded anew"

ROUNDS = 9
FULL_ROUNDS = 3
MOST_OF_COPY = {"8k": 3.0, "16k": 2.5, "44k": 2.2}
MOST_OF_HELP_S = 0.080

formats = pytest.mark.parametrize("kind", list(FORMATS))


def spent(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def processor_seconds(*tasks: Callable[[], object], who: int, rounds: int = ROUNDS) -> list[float]:
    """By task, the median of its processor seconds; they have turns."""
    taken: list[list[float]] = [[] for _ in tasks]
    for _ in range(rounds):
        for task, times in zip(tasks, taken, strict=True):
            before = spent(who)
            task()
            times.append(spent(who) - before)
    return [median(times) for times in taken]


@formats
def test_command(scratch: Path, kind: str) -> None:
    call = hour(FORMATS[kind])
    ours, theirs = str(scratch / "ours.mp3"), scratch / "theirs.mp3"
    command = [sys.executable, "-m", "audioengine", "store", str(call.path), ours]
    command += ["--trim", "-".join(map(str, EDIT.keep))]
    for party, masks in EDIT.masks.items():
        for start, end in masks:
            command += ["--mask", f"{party}={start}-{end}"]
    ffmpeg = next((one for one in peers.ffmpegs() if one.origin == "PATH"), peers.ffmpegs()[0])
    taken, copy = processor_seconds(
        lambda: peers.run(*command),
        lambda: ffmpeg.copy_trim(call, EDIT, theirs),
        who=resource.RUSAGE_CHILDREN,
    )
    value = f"{duration(taken)}, {taken / copy:.2f}× {ffmpeg}'s {duration(copy)}"
    most = MOST_OF_COPY[kind]
    kept = taken <= most * copy
    record(COMMAND_SUBJECT, str(call.format), "audioengine", value, f"≤ {most}×", kept=kept)


def test_help() -> None:
    taken, bare = processor_seconds(
        lambda: peers.run(sys.executable, "-m", "audioengine", "--help"),
        lambda: peers.run(sys.executable, "-c", "pass"),
        who=resource.RUSAGE_CHILDREN,
    )
    value = f"{duration(taken - bare)} over bare Python's {duration(bare)}"
    wanted, kept = f"≤ {duration(MOST_OF_HELP_S)} over", taken - bare <= MOST_OF_HELP_S
    record(HELP_SUBJECT, "--help", "audioengine", value, wanted, kept=kept)


@formats
def test_full(scratch: Path, kind: str) -> None:
    call = talk_of(FORMATS[kind], 600, 0)
    edit = audioengine.Modification(trim=audioengine.Interval(5, 595))
    full = audioengine.StoreOptions(render="full")
    target = str(scratch / "out.mp3")
    theirs = peers.ffmpegs()[0]
    (taken,) = processor_seconds(
        lambda: audioengine.store(str(call.path), target, edit, full, workers=1),
        who=resource.RUSAGE_SELF,
        rounds=FULL_ROUNDS,
    )
    (whole,) = processor_seconds(
        lambda: theirs.reencode(call, scratch / "theirs.mp3"),
        who=resource.RUSAGE_CHILDREN,
        rounds=FULL_ROUNDS,
    )
    value = f"{duration(taken)}, {taken / whole:.2f}× {theirs}'s {duration(whole)}"
    rows.append(Row(FULL_SUBJECT, str(call.format), "audioengine, one thread", value))
