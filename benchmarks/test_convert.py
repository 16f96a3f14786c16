# SPDX-License-Identifier: Apache-2.0
"""What it costs to make an MP3 of what recorders leave, beside FFmpeg and SoX."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import soundfile as sf
from pytest_benchmark.fixture import BenchmarkFixture

import audioengine
from benchmarks import peers
from benchmarks.material import FORMATS, HOUR_S, Call, cache_folder, talk
from benchmarks.peers import EPOCH_MS, Job
from benchmarks.results import Contest, record
from benchmarks.test_store import (
    EDIT,
    MAX_EXTRA_MIB,
    MEMORY_SUBJECT,
    Task,
    compete,
    ffmpeg_tasks,
    modification,
)

CONVERT_SUBJECT = "One hour of WAV (8 kHz) to MP3, LAME quality 5"
LEAST_RATIO = 1.6
ROUNDS = 3
LONG_H = 10

FORM = FORMATS["8k"]
MASKS = Job((0.0, float(HOUR_S)), EDIT.masks)


@cache
def material() -> tuple[Path, Path, Path]:
    """An hour of both parties, of the caller alone, and of the callee alone."""
    paths = [cache_folder() / f"wav-{FORM.rate}-{name}.wav" for name in ("both", "r", "t")]
    if not all(path.exists() for path in paths):
        cache_folder().mkdir(parents=True, exist_ok=True)
        files = [
            sf.SoundFile(path, "w", FORM.rate, channels, "PCM_16")
            for path, channels in zip(paths, (2, 1, 1), strict=True)
        ]
        for block in talk(FORM.rate, HOUR_S):
            for file, part in zip(files, (block, block[:, 0], block[:, 1]), strict=True):
                file.write(part)
        for file in files:
            file.close()
    both, caller, callee = paths
    return both, caller, callee


def contest(
    benchmark: BenchmarkFixture, what: str, ours: Task, others: dict[str, Task], target: Path
) -> None:
    """Compete, and ask for LEAST_RATIO of whoever is fastest."""
    found = Contest(CONVERT_SUBJECT, what)
    compete(benchmark, found, ours, others, ROUNDS)
    assert sf.info(target).frames == HOUR_S * FORM.rate
    found.record({found.fastest(others): LEAST_RATIO})


def with_sox(others: dict[str, Task], *arguments: str) -> dict[str, Task]:
    version = peers.sox_version()
    if version is None:
        return others
    return {**others, f"SoX {version}": lambda: peers.run("sox", *arguments)}


def test_a_file_of_both_parties(benchmark: BenchmarkFixture, scratch: Path) -> None:
    both, _, _ = material()
    ours, theirs = scratch / "ours.mp3", scratch / "theirs.mp3"
    call = Call(both, FORM, HOUR_S)
    others = ffmpeg_tasks(lambda ffmpeg: ffmpeg.reencode(call, theirs))
    quality = f"{FORM.kbps}.{peers.LAME_QUALITY}"
    others = with_sox(others, str(both), "-C", quality, str(theirs))
    contest(benchmark, "stereo", lambda: audioengine.convert(str(both), str(ours)), others, ours)


def test_two_legs(benchmark: BenchmarkFixture, scratch: Path) -> None:
    _, caller, callee = material()
    ours, theirs = scratch / "ours.mp3", scratch / "theirs.mp3"
    legs = audioengine.Legs(
        audioengine.LegFile(str(caller), EPOCH_MS), audioengine.LegFile(str(callee), EPOCH_MS)
    )
    others = ffmpeg_tasks(lambda ffmpeg: ffmpeg.join(caller, callee, FORM, theirs))
    quality = f"{FORM.kbps}.{peers.LAME_QUALITY}"
    others = with_sox(others, "-M", str(caller), str(callee), "-C", quality, str(theirs))
    contest(benchmark, "two legs", lambda: audioengine.convert(legs, str(ours)), others, ours)


def test_masks(benchmark: BenchmarkFixture, scratch: Path) -> None:
    both, _, _ = material()
    ours, theirs = scratch / "ours.mp3", scratch / "theirs.mp3"
    call = Call(both, FORM, HOUR_S)
    edits = modification(MASKS)
    others = ffmpeg_tasks(lambda ffmpeg: ffmpeg.edit(call, MASKS, theirs))
    if version := peers.sox_version():
        others[f"SoX {version}"] = lambda: peers.sox_edit(call, MASKS, theirs)
    task = lambda: audioengine.store(str(both), str(ours), edits)  # noqa: E731
    contest(benchmark, "stereo, 3 masks", task, others, ours)


@pytest.mark.parametrize("what", ["stereo", "two legs"])
def test_memory_at_ten_hours(scratch: Path, what: str) -> None:
    """Peak over that of an import, in a process of its own."""
    both, caller, callee = material()
    sources = [both] if what == "stereo" else [caller, callee]
    long = [repeated(path, scratch / path.name) for path in sources]
    cost = peers.lone_convert(long, scratch / "out.mp3")
    assert sf.info(scratch / "out.mp3").frames == LONG_H * HOUR_S * FORM.rate
    extra = cost["peak_mib"] - cost["imported_mib"]
    record(
        MEMORY_SUBJECT,
        f"WAV to MP3, {what}, {FORM}, {LONG_H} h",
        "audioengine",
        f"{cost['peak_mib']:.0f} MiB, {extra:.0f} over an import",
        f"≤ {MAX_EXTRA_MIB} MiB over",
        kept=extra <= MAX_EXTRA_MIB,
    )


def repeated(path: Path, target: Path) -> Path:
    """The same file LONG_H times over."""
    with sf.SoundFile(path) as source:
        pcm = source.read(dtype="int16")
        with sf.SoundFile(target, "w", source.samplerate, source.channels, "PCM_16") as out:
            for _ in range(LONG_H):
                out.write(pcm)
    return target
