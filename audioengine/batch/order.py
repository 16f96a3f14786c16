# SPDX-License-Identifier: Apache-2.0
"""The order of jobs: those on one recording, or with one destination, run one after another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import TypeAlias

from audioengine.batch.manifest_job import BadLine, Job
from audioengine.errors import InvalidRequestError
from audioengine.key_order import KeyOrder, Slot


@dataclass(frozen=True, slots=True)
class Skipped:
    """A delete that is not done: something that should have been kept from the recording wasn't."""

    job: Job
    cause_line: int
    """The first line on that recording that failed."""
    recording: str

    @property
    def error(self) -> InvalidRequestError:
        """Why it is not done."""
        rule = f"must not be deleted: line {self.cause_line}, on the same recording, failed"
        return InvalidRequestError.of("recordingId", self.recording, rule)


Taken: TypeAlias = Job | BadLine | Skipped
"""What comes next: a job to begin, or one that is over before it began."""


class Schedule:
    """Gives jobs of a manifest out as they may begin.

    Jobs that name the same recording or the same destination run in the manifest's order, one at a
    time. Only so many are read ahead of those that wait; beyond them, memory holds the recordings
    on which a job failed.
    """

    def __init__(self, jobs: Iterator[Job | BadLine], most_waiting: int = 1000) -> None:
        """Take jobs, in the order of their lines; `most_waiting` (>= 1) may be held back."""
        self._jobs = jobs
        self._most_waiting = most_waiting
        self._over = False
        self._waiting = 0
        self._ready: list[tuple[int, Job]] = []
        self._begun: set[int] = set()
        # By recording and by destination, what is begun or waits; slots by line.
        self._order: KeyOrder[Job] = KeyOrder()
        self._slots: dict[int, Slot[Job]] = {}
        self._failed: dict[str, int] = {}

    def take(self) -> Taken | None:
        """The next job that may begin, by its line; None: none before another ends, or at all.

        Bad lines and deletes that are skipped are given too, and have ended. A delete is skipped
        where an earlier line on its recording failed.
        """
        while not self._ready:
            if self._over or self._waiting >= self._most_waiting:
                return None
            following = next(self._jobs, None)
            if following is None:
                self._over = True
            elif isinstance(following, BadLine):
                self._note_failure(following)
                return following
            else:
                self._queue(following)
        _, job = heappop(self._ready)
        self._waiting -= 1
        if (skipped := self._skipped(job)) is not None:
            self._release(job)
            return skipped
        self._begun.add(job.line)
        return job

    def ended(self, job: Job, *, failed: bool) -> None:
        """Say that a job that was taken has come to its end.

        Raises KeyError where it does not run.
        """
        self._begun.remove(job.line)
        if failed:
            self._note_failure(job)
        self._release(job)

    def _queue(self, job: Job) -> None:
        self._waiting += 1
        slot = self._slots[job.line] = self._order.add(job, job.order_keys)
        if slot.is_first:
            heappush(self._ready, (job.line, job))

    def _release(self, job: Job) -> None:
        for freed in self._order.remove(self._slots.pop(job.line)):
            heappush(self._ready, (freed.line, freed))

    def _note_failure(self, failed: Job | BadLine) -> None:
        for recording in failed.recordings:
            # A bad line may be met before an earlier job fails.
            first = self._failed.get(recording, failed.line)
            self._failed[recording] = min(first, failed.line)

    def _skipped(self, job: Job) -> Skipped | None:
        if job.deletes:
            for recording in sorted(job.recordings):
                # What was read ahead may have failed, and comes later all the same.
                if self._failed.get(recording, job.line) < job.line:
                    return Skipped(job, self._failed[recording], recording)
        return None
