# SPDX-License-Identifier: Apache-2.0
"""Nothing grows faster than the work: processor time of much beside that of little.

Processor time, not the clock's: of one thread, so that what else the machine does counts little.
"""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

import pytest

import audioengine
from benchmarks.material import FORMATS, HOUR_S, PARTIES, hour, hours, talk_of
from benchmarks.peers import EPOCH_MS
from benchmarks.results import duration, record
from benchmarks.test_merge import Align

SUBJECT = "Growth: processor time"
ROUNDS = 3
MOST_TIMES = 12
"""Of ten times as much."""
MOST_TIMES_OF_FULL = 1.2
MOST_TIMES_OF_AN_EMPTY_FOLDER = 1.1
MOST_TIMES_OF_AN_HOUR = 10
FILES = 100_000

Task = Callable[[], object]
Parties = Literal["either", "both"]


def compare(what: str, little: Task, much: Task, most: float, rounds: int = ROUNDS) -> None:
    """Record how many times as much the second takes, measured in turns."""
    little()  # what is only done once is not measured
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for task, times in zip((little, much), taken, strict=True):
            start = time.process_time()
            task()
            times.append(time.process_time() - start)
    # What disturbs a run only adds to it.
    less, more = map(min, taken)
    value = f"{duration(less)}, {duration(more)}: {more / less:.2f} times"
    record(SUBJECT, what, "audioengine", value, f"≤ {most:g} times", kept=more <= most * less)


@pytest.mark.parametrize("align", ["sample", "frame"])
def test_parts_with_gaps(scratch: Path, align: Align) -> None:
    """2.5 to 3.4 s each, 0.2 to 2 s of silence between them."""
    call = talk_of(FORMATS["8k"], 60, 0)
    draw = random.Random(1)
    sources: list[Path] = []
    for number in range(1000):
        path = scratch / f"{number}.mp3"
        if number < 4:
            keep = audioengine.Interval(7 * number, 7 * number + 2.5 + 0.3 * number)
            audioengine.store(call.path, path, audioengine.Modification(trim=keep))
        else:
            shutil.copy(sources[number % 4], path)
        sources.append(path)
    starts = [EPOCH_MS + 3600 * number + draw.randrange(900) for number in range(1000)]

    def merge(count: int) -> Task:
        pairs = zip(sources[:count], starts[:count], strict=True)
        parts = [audioengine.MergePart(source, start) for source, start in pairs]
        options = audioengine.MergeOptions(align=align)
        return lambda: audioengine.merge(parts, scratch / "out.mp3", options, workers=1)

    compare(f"1,000 parts with gaps beside 100, align={align}", merge(100), merge(1000), MOST_TIMES)


def masking(
    count: int, target: Path, of: Parties = "either", render: Literal["smart", "full"] = "smart"
) -> Task:
    """Masks of 0.1 s or a little less, of one party or the other or of both, all over the hour."""
    draw = random.Random(2)
    step = HOUR_S / count
    masks: dict[str, list[audioengine.Interval]] = {party: [] for party in (*PARTIES, "both")}
    for number in range(count):
        start = number * step + draw.uniform(0, 0.3) * step
        end = start + min(0.1, draw.uniform(0.2, 0.5) * step)
        party = "both" if of == "both" else draw.choice(PARTIES)
        masks[party].append(audioengine.Interval(round(start, 3), round(end, 3)))
    modification = audioengine.Modification(mask=masks)
    options = audioengine.StoreOptions(render=render)
    source = hour(FORMATS["8k"]).path
    return lambda: audioengine.store(source, target, modification, options, workers=1)


def test_masks(scratch: Path) -> None:
    target = scratch / "out.mp3"
    few, many = masking(100, target), masking(1000, target)
    compare("an hour with 1,000 masks beside 100", few, many, MOST_TIMES)


@pytest.mark.parametrize("of", get_args(Parties))
def test_masks_all_over(scratch: Path, of: Parties) -> None:
    """Most frames are re-made: as if all were."""
    source, target = hour(FORMATS["8k"]).path, scratch / "out.mp3"

    def full() -> None:
        trim = audioengine.Modification(trim=audioengine.Interval(0, HOUR_S - 0.1))
        options = audioengine.StoreOptions(render="full")
        audioengine.store(source, target, trim, options, workers=1)

    what = f"an hour with 10,000 masks of {of} beside all of it re-encoded without a mask"
    compare(what, full, masking(10_000, target, of), MOST_TIMES_OF_FULL)


@pytest.mark.parametrize("of", get_args(Parties))
def test_masks_and_full(scratch: Path, of: Parties) -> None:
    """Whether re-encoding everything would be worth it."""
    target = scratch / "out.mp3"
    what = f"an hour with 10,000 masks of {of} beside the same by render=full"
    full = masking(10_000, target, of, "full")
    compare(what, full, masking(10_000, target, of), MOST_TIMES_OF_FULL)


def test_a_full_folder(scratch: Path) -> None:
    """The destination's folder has many other files."""
    folders = [scratch / "empty", scratch / "full"]
    for folder in folders:
        folder.mkdir()
    for number in range(FILES):
        (folders[1] / f"{number}.mp3").touch()
    source = talk_of(FORMATS["8k"], 60, 0).path
    mask = audioengine.Modification(mask={"caller": [audioengine.Interval(10, 11)]})

    def store(folder: Path) -> Task:
        return lambda: audioengine.store(source, folder / "out.mp3", mask, workers=1)

    what = f"a minute stored beside {FILES:,} files"
    empty, full = map(store, folders)
    compare(what, empty, full, MOST_TIMES_OF_AN_EMPTY_FOLDER, rounds=15)


def test_a_day(scratch: Path) -> None:
    """Three masks and a trim: reading and copying is what there is more of."""
    day = hours(FORMATS["8k"], 24, scratch / "day.mp3")
    masks = [audioengine.Interval(600 * k, 600 * k + 5) for k in (1, 3, 5)]

    def store(source: Path, end: float) -> Task:
        trim = audioengine.Interval(10, end - 10)
        modification = audioengine.Modification(trim=trim, mask={"caller": masks})
        return lambda: audioengine.store(source, scratch / "out.mp3", modification, workers=1)

    call = hour(FORMATS["8k"])
    one, many = store(call.path, call.seconds), store(day.path, day.seconds)
    compare("24 hours beside one", one, many, MOST_TIMES_OF_AN_HOUR, rounds=5)
