# SPDX-License-Identifier: Apache-2.0
"""What `merge` costs, beside FFmpeg at the same job."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Literal

import pytest
import soundfile as sf
from pytest_benchmark.fixture import BenchmarkFixture

import audioengine
from benchmarks import peers
from benchmarks.material import FORMATS, MINUTE_S, Call, Format, hour, repeated, talk_of
from benchmarks.peers import EPOCH_MS, Piece
from benchmarks.results import Contest, duration, record
from benchmarks.test_store import (
    MAX_EXTRA_MIB,
    QUICK_ROUNDS,
    SLOW_ROUNDS,
    compete,
    ffmpeg_tasks,
    measure,
    seconds,
)

Align = Literal["sample", "frame"]
MakeCalls = Callable[[Format], list[Call]]
Place = Callable[[Sequence[Call]], list[Piece]]

CONFERENCE_SUBJECT = "Merge: one hour that covers a conference in two others"
TRANSFER_SUBJECT = "Merge: 30 min, then 30 min off the first one's grid"
OVERLAPS_SUBJECT = "Merge: 3 × 20 min that overlap by 8 and 6 min"
FULL_OVERLAP_SUBJECT = "Merge: one hour, all of it two recordings"
LENGTH_SUBJECT = "Merge: length of the recordings"
MEMORY_SUBJECT = "Merge: peak resident memory"

formats = pytest.mark.parametrize("kind", ["8k", "16k"])


# --- What is merged ---


def talks(form: Format, minutes: int, *numbers: int) -> list[Call]:
    """Calls of one length that have nothing in common."""
    return [talk_of(form, minutes * MINUTE_S, number) for number in numbers]


def lengthened(calls: Sequence[Call], count: int, folder: Path) -> list[Call]:
    """Each call `count` times on end."""
    return [repeated(call, count, folder / f"long-{i}.mp3") for i, call in enumerate(calls)]


def conference_calls(form: Format) -> list[Call]:
    return [hour(form), *talks(form, 20, 1, 2)]


def conference(calls: Sequence[Call]) -> list[Piece]:
    """The first has all of a conference; the others, a third as long, lie wholly inside it."""
    first, *others = calls
    all_ms = first.seconds * 1000
    held = (round(all_ms / 6), round(all_ms * 5 / 6))
    starts = (round(all_ms / 5) + 123, round(all_ms * 9 / 20) + 457)
    return [
        Piece(first, 0, held),
        *(
            Piece(call, start, held, silent=(0.0, call.seconds))
            for call, start in zip(others, starts, strict=True)
        ),
    ]


def transfer_calls(form: Format) -> list[Call]:
    return talks(form, 30, 3, 4)


def transfer(calls: Sequence[Call]) -> list[Piece]:
    """One after the other; 1.234 s between them is no whole number of frames."""
    first, second = calls
    return [Piece(first, 0), Piece(second, round(first.seconds * 1000) + 1234)]


def overlaps_calls(form: Format) -> list[Call]:
    return talks(form, 20, 1, 2, 5)


def overlaps(calls: Sequence[Call]) -> list[Piece]:
    """Each goes on for a while after the next one has begun: 8 of 20 min, then 6 of 20 min."""
    first, second, third = calls
    second_ms = round(first.seconds * 1000 * 12 / 20) + 123
    third_ms = second_ms + round(second.seconds * 1000 * 14 / 20) + 457
    return [Piece(first, 0), Piece(second, second_ms), Piece(third, third_ms)]


def full_overlap(form: Format) -> list[Piece]:
    return [Piece(hour(form), 0), *(Piece(call, 0) for call in talks(form, 60, 6))]


# --- How it is measured ---


def segments(piece: Piece) -> list[audioengine.ConferenceSegment]:
    if piece.conference_ms is None:
        return []
    start, end = piece.conference_ms
    return [audioengine.ConferenceSegment(EPOCH_MS + start, EPOCH_MS + end)]


class Ours:
    """Our side of a contest: a task that keeps its report."""

    def __init__(self, pieces: Sequence[Piece], target: Path, align: Align = "sample") -> None:
        self.pieces = pieces
        self.target = target
        self.align: Align = align
        self.report: audioengine.MergeReport | None = None
        self.parts = [
            audioengine.MergePart(
                str(piece.call.path),
                EPOCH_MS + piece.start_ms,
                segments(piece),
            )
            for piece in pieces
        ]

    def __call__(self) -> None:
        self.report = audioengine.merge(
            self.parts, str(self.target), audioengine.MergeOptions(align=self.align)
        )

    def check(self) -> None:
        """A fast wrong answer is no answer: not a sample too long or too short."""
        assert self.report
        moved = [part.moved_samples for part in self.report.parts]
        if self.align == "sample":
            assert not any(moved)
        assert all(abs(by) < samples_per_frame(self.pieces[0].call.format) for by in moved)
        assert sf.info(self.target).frames == samples(self.pieces, moved)


def samples_per_frame(form: Format) -> int:
    return 1152 if form.rate >= 32000 else 576


def samples(pieces: Sequence[Piece], moved: Sequence[int]) -> int:
    """How long the timeline is; `moved` says by how much each piece starts later than asked."""
    rate = pieces[0].call.format.rate
    return max(
        round(piece.start_ms * rate / 1000) + by + round(piece.call.seconds * rate)
        for piece, by in zip(pieces, moved, strict=True)
    )


def merge_contest(
    benchmark: BenchmarkFixture,
    scratch: Path,
    contest: Contest,
    pieces: Sequence[Piece],
    least: float,
    *,
    align: Align = "sample",
    rounds: int = QUICK_ROUNDS,
    other_rounds: int,
) -> None:
    """Against the faster FFmpeg. What takes us seconds is not warmed up either."""
    ours, theirs = Ours(pieces, scratch / "ours.mp3", align), scratch / "theirs.mp3"
    tasks = ffmpeg_tasks(lambda ffmpeg: ffmpeg.merge(pieces, theirs))
    compete(benchmark, contest, ours, tasks, rounds, other_rounds, warm=rounds > other_rounds)
    ours.check()
    difference = sf.info(theirs).frames - samples(pieces, [0] * len(pieces))
    assert abs(difference) < samples_per_frame(pieces[0].call.format), "not the same job"
    contest.record({contest.fastest(tasks): least})


@formats
def test_conference(benchmark: BenchmarkFixture, scratch: Path, kind: str) -> None:
    """Nothing of it is made anew: one recording has all that is heard."""
    form = FORMATS[kind]
    pieces = conference(conference_calls(form))
    contest = Contest(CONFERENCE_SUBJECT, str(form))
    merge_contest(benchmark, scratch, contest, pieces, 100, other_rounds=SLOW_ROUNDS[kind])


@formats
def test_transfer(benchmark: BenchmarkFixture, scratch: Path, kind: str) -> None:
    """With exact alignment one of the two has to be encoded anew."""
    form, rounds = FORMATS[kind], SLOW_ROUNDS[kind]
    pieces = transfer(transfer_calls(form))
    contest = Contest(TRANSFER_SUBJECT, f'{form}, align="sample"')
    merge_contest(benchmark, scratch, contest, pieces, 2.5, rounds=rounds, other_rounds=rounds)


@formats
def test_transfer_by_frames(benchmark: BenchmarkFixture, scratch: Path, kind: str) -> None:
    form = FORMATS[kind]
    pieces = transfer(transfer_calls(form))
    contest = Contest(TRANSFER_SUBJECT, f'{form}, align="frame"')
    merge_contest(
        benchmark, scratch, contest, pieces, 80, align="frame", other_rounds=SLOW_ROUNDS[kind]
    )


@formats
def test_overlaps(benchmark: BenchmarkFixture, scratch: Path, kind: str) -> None:
    form, rounds = FORMATS[kind], SLOW_ROUNDS[kind]
    pieces = overlaps(overlaps_calls(form))
    contest = Contest(OVERLAPS_SUBJECT, str(form))
    merge_contest(benchmark, scratch, contest, pieces, 2, rounds=rounds, other_rounds=rounds)


@formats
def test_full_overlap(benchmark: BenchmarkFixture, scratch: Path, kind: str) -> None:
    form, rounds = FORMATS[kind], SLOW_ROUNDS[kind]
    contest = Contest(FULL_OVERLAP_SUBJECT, str(form))
    merge_contest(
        benchmark, scratch, contest, full_overlap(form), 1.5, rounds=rounds, other_rounds=rounds
    )


LENGTHS: dict[str, tuple[MakeCalls, Place, Align]] = {
    "conference": (conference_calls, conference, "sample"),
    "transfer": (transfer_calls, transfer, "frame"),
}


@formats
@pytest.mark.parametrize("case", ["conference", "transfer"])
def test_ten_times_the_length(
    benchmark: BenchmarkFixture, scratch: Path, kind: str, case: str
) -> None:
    form = FORMATS[kind]
    calls, placed, align = LENGTHS[case]
    short = calls(form)
    one_hour = Ours(placed(short), scratch / "short-out.mp3", align)
    ten_hours = Ours(placed(lengthened(short, 10, scratch)), scratch / "long-out.mp3", align)
    one_hour()
    ten_hours()
    one: list[float] = []
    benchmark.group = LENGTH_SUBJECT
    ten = measure(benchmark, ten_hours, lambda: one.append(seconds(one_hour)), rounds=5)
    one_hour.check()
    ten_hours.check()
    ratio = median(ten) / median(one)
    value = f"{duration(median(one))}, then {duration(median(ten))}: {ratio:.1f}×"
    what = f'{form}, {case}, align="{align}", 1 h, then 10 h'
    record(LENGTH_SUBJECT, what, "audioengine", value, "≤ 12×", kept=ratio <= 12)


@pytest.mark.parametrize(("kind", "count"), [("8k", 1), ("16k", 1), ("8k", 10)])
def test_memory_of_mixing(scratch: Path, kind: str, count: int) -> None:
    calls = lengthened(overlaps_calls(FORMATS[kind]), count, scratch)
    check_memory(overlaps(calls), scratch / "out.mp3", f"overlaps, 3 × {20 * count} min")


@pytest.mark.parametrize("kind", ["8k", "16k"])
def test_memory_of_copying(scratch: Path, kind: str) -> None:
    calls = lengthened(conference_calls(FORMATS[kind]), 20, scratch)
    check_memory(conference(calls), scratch / "out.mp3", "conference, 20 h")


def check_memory(pieces: Sequence[Piece], target: Path, what: str) -> None:
    """Peak over that of an import, in a process of its own."""
    cost = peers.lone_merge(pieces, target, "sample")
    assert sf.info(target).frames == samples(pieces, [0] * len(pieces))
    extra = cost["peak_mib"] - cost["imported_mib"]
    record(
        MEMORY_SUBJECT,
        f"{pieces[0].call.format}, {what}",
        "audioengine",
        f"{cost['peak_mib']:.0f} MiB, {extra:.0f} over an import",
        f"≤ {MAX_EXTRA_MIB} MiB over",
        kept=extra <= MAX_EXTRA_MIB,
    )
