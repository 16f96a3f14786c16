# SPDX-License-Identifier: Apache-2.0
"""What Ctrl-C breaks off between a batch and its processes is not lost, and not waited for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

import audioengine as ae
from audioengine.batch import processes
from audioengine.batch.job_outcome import How, JobOutcome
from audioengine.batch.manifest_job import Job, job_of
from audioengine.batch.processes import Processes
from tests.batch.helpers import tell_environment

HOW = How(ae.StoreOptions())


def a_job(line: int) -> Job:
    made = job_of(line, b'{"source": "a", "destination": "b"}')
    assert isinstance(made, Job)
    return made


@pytest.fixture
def one(monkeypatch: pytest.MonkeyPatch) -> Iterator[Processes]:
    monkeypatch.setattr(processes, "do_in_process", tell_environment)
    with closing(Processes(HOW, 1)) as made:
        yield made


def test_an_outcome_that_nobody_could_take_is_given_again(one: Processes) -> None:
    one.submit(a_job(1))
    broken_off = one.ended()
    first = next(broken_off)
    broken_off.close()  # type: ignore[attr-defined] # as an exception in the caller's loop does
    assert one.busy
    assert list(one.ended()) == [first]
    assert not one.busy


def test_a_job_that_was_taken_and_not_sent_is_dropped(one: Processes) -> None:
    one.submit(a_job(1))
    assert [job.line for job, _ in one.ended()] == [1]
    (process,) = one._working
    process.jobs[2] = a_job(2)
    assert one.busy
    one.cancel()
    assert list(one.ended()) == []
    assert not one.busy


def test_processes_have_the_environment_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not that of the process which they are forked from, which began with the first batch."""
    monkeypatch.setattr(processes, "do_in_process", tell_environment)

    def told(line: int) -> JobOutcome:
        with closing(Processes(HOW, 1)) as made:
            made.submit(a_job(line))
            ((_, outcome),) = made.ended()
        return outcome

    monkeypatch.delenv("AUDIOENGINE_TOLD", raising=False)
    assert told(1).report == {"told": None}
    monkeypatch.setenv("AUDIOENGINE_TOLD", "now")
    assert told(2).report == {"told": "now"}
