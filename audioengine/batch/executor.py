# SPDX-License-Identifier: Apache-2.0
"""What does jobs, wherever that is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from audioengine.batch.job_outcome import JobOutcome
from audioengine.batch.manifest_job import Job


class Executor(Protocol):
    """Does several jobs at a time; one caller hands them out and takes what came of them."""

    @property
    def room(self) -> int:
        """How many more jobs it takes now."""

    @property
    def busy(self) -> bool:
        """Whether a job that it took has not been given back."""

    def submit(self, job: Job) -> None:
        """Take a job."""

    def ended(self) -> Iterator[tuple[Job, JobOutcome]]:
        """Wait until something happens and give the jobs that ended, each once.

        There may be none, where what happened is that a job is done anew. Raises StorageError where
        what does the jobs is lost for good.
        """

    def cancel(self) -> None:
        """Give up the jobs that have not begun, and take no more."""

    def close(self) -> None:
        """Let go of processes and connections."""


def died(message: str, deaths: int) -> JobOutcome:
    """The outcome of a job that kills what works on it."""
    return JobOutcome(
        error={"type": "WorkerDied", "message": message, "retryable": True}, attempts=deaths
    )
