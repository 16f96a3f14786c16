# SPDX-License-Identifier: Apache-2.0
"""The order of jobs: one after another on a recording, all that can run, deletes last or never."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioengine.batch.manifest_job import BadLine, Job, job_of
from audioengine.batch.order import Schedule, Skipped
from audioengine.errors import InvalidRequestError

_NAMES = st.frozensets(st.sampled_from("abcd"), max_size=3)


def job(line: int, recordings: str = "", *, deletes: bool = False) -> Job:
    return Job(line, f"key {line}", frozenset(recordings), deletes, b"{}")


def bad(line: int, recordings: str = "") -> BadLine:
    error = InvalidRequestError.of("job", line, "must be a job")
    return BadLine(line, f"key {line}", frozenset(recordings), error)


@st.composite
def streams(draw: st.DrawFn) -> list[Job | BadLine]:
    """Jobs in order; a delete names one recording."""
    out: list[Job | BadLine] = []
    line = 0
    for kind in draw(st.lists(st.sampled_from(["job", "job", "delete", "bad"]), max_size=25)):
        line += draw(st.integers(1, 3))
        if kind == "delete":
            out.append(job(line, draw(st.sampled_from("abcd")), deletes=True))
        else:
            names = "".join(draw(_NAMES))
            out.append(job(line, names) if kind == "job" else bad(line, names))
    return out


@given(streams(), st.integers(1, 30), st.integers(1, 4), st.data())
def test_order_is_kept_on_each_recording_and_all_that_can_run_runs(
    jobs: list[Job | BadLine], most_waiting: int, room: int, data: st.DataObject
) -> None:
    """Whatever ends first and fails; nothing is lost or done twice."""
    schedule = Schedule(iter(jobs), most_waiting)
    running: list[Job] = []
    over: dict[int, bool] = {}  # by line, whether it failed
    while True:
        taken = schedule.take() if len(running) < room else None
        if taken is None:
            left = [one for one in jobs if one.line not in over and one not in running]
            if len(running) < room:
                # What is within the look-ahead and free has been taken.
                free = [one for one in left[:most_waiting] if not blockers(one, jobs, over)]
                assert not free
            if not running:
                break
            ended = running.pop(data.draw(st.integers(0, len(running) - 1)))
            over[ended.line] = data.draw(st.booleans())
            schedule.ended(ended, failed=over[ended.line])
            continue
        line = taken.job.line if isinstance(taken, Skipped) else taken.line
        assert line not in over
        if isinstance(taken, BadLine):
            over[line] = True
            continue
        one = taken.job if isinstance(taken, Skipped) else taken
        assert not blockers(one, jobs, over)
        failed = [
            other.line
            for other in jobs
            if other.line < line
            and over.get(other.line) is True
            and other.recordings & one.recordings
        ]
        assert isinstance(taken, Skipped) == (one.deletes and bool(failed))
        if isinstance(taken, Skipped):
            assert taken.cause_line == min(failed)
            assert taken.recording in one.recordings
            assert f"line {taken.cause_line}," in str(taken.error)
            over[line] = False  # it is no cause itself: the first one is named
        else:
            running.append(one)
    assert over.keys() == {one.line for one in jobs}
    assert schedule.take() is None


def blockers(
    one: Job | BadLine, jobs: list[Job | BadLine], over: dict[int, bool]
) -> list[Job | BadLine]:
    """Jobs that must end before this one may begin; a bad line waits for none."""
    if isinstance(one, BadLine):
        return []
    return [
        other
        for other in jobs
        if other.line < one.line
        and other.line not in over
        and isinstance(other, Job)
        and other.recordings & one.recordings
    ]


def test_a_bad_line_after_a_delete_does_not_stop_it() -> None:
    """Though it is met before."""
    lines: list[Job | BadLine] = [job(1, "a"), job(2, "a", deletes=True), bad(3, "a"), bad(4)]
    schedule = Schedule(iter(lines))
    assert [schedule.take() for _ in lines] == [lines[0], lines[2], lines[3], None]
    schedule.ended(job(1, "a"), failed=False)
    assert schedule.take() == lines[1]


def test_the_first_failure_counts_though_a_later_line_was_known_to_be_bad_before() -> None:
    lines: list[Job | BadLine] = [job(1, "a"), job(2, "a", deletes=True), bad(3, "a")]
    schedule = Schedule(iter(lines))
    assert [schedule.take(), schedule.take(), schedule.take()] == [lines[0], lines[2], None]
    schedule.ended(job(1, "a"), failed=True)
    assert schedule.take() == Skipped(job(2, "a", deletes=True), 1, "a")
    assert schedule.take() is None


def test_a_manifest_without_end_is_not_read_ahead() -> None:
    """Of one recording's million jobs only so many wait."""
    read = 0

    def endless() -> Iterator[Job]:
        nonlocal read
        while True:
            read += 1
            yield job(read, "a")

    schedule = Schedule(endless(), 10)
    for line in range(1, 100):
        taken = schedule.take()
        assert taken == job(line, "a")
        assert schedule.take() is None
        assert read == line + 10
        schedule.ended(job(line, "a"), failed=False)
    assert len(schedule._order) == 1


def test_what_does_not_run_can_not_end() -> None:
    with pytest.raises(KeyError):
        Schedule(iter([])).ended(job(1), failed=False)


def to(line: int, destination: str, recordings: str = "") -> Job:
    return job(line, recordings)._replace(destination=destination)


def test_jobs_with_one_destination_run_in_order_and_are_no_cause_to_keep_a_recording() -> None:
    """So the last one's output stays; a destination is no recording, whatever they are called."""
    schedule = Schedule(
        iter([to(1, "a"), to(2, "a"), to(3, "b"), to(4, "c", "a"), to(5, "a", "b")])
    )
    begun = [schedule.take() for _ in range(3)]
    assert [one.line for one in begun if isinstance(one, Job)] == [1, 3, 4]
    assert schedule.take() is None
    assert isinstance(begun[0], Job)
    schedule.ended(begun[0], failed=True)
    second = schedule.take()
    assert isinstance(second, Job)
    assert second.line == 2
    assert schedule.take() is None
    schedule.ended(second, failed=False)
    last = schedule.take()
    assert isinstance(last, Job)
    assert last.line == 5
    # Nothing is kept of where a job failed that names no recording.
    assert schedule._failed == {}


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ({"source": "a", "destination": "b"}, "b"),
        ({"source": "a", "destination": ["b"]}, None),
        ({"method": "STORERECORDING", "destinationBucket": "b", "fileName": "a/c"}, "s3://b/a/c"),
        ({"method": "STORERECORDING", "destinationBucket": "b"}, None),
        ({"method": "MERGERECORDINGS", "destinationBucket": 7, "fileName": ["a"]}, "s3://7/['a']"),
        ({}, None),
    ],
)
def test_where_an_output_goes_is_told_without_reading_the_job(line: object, place: object) -> None:
    found = job_of(1, json.dumps(line).encode())
    assert isinstance(found, Job)
    assert found.destination == place
