# SPDX-License-Identifier: Apache-2.0
"""Doing the jobs of a manifest on all processors, and going on where a batch was stopped."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeAlias

from audioengine.batch.journal import Journal
from audioengine.batch.manifest import jobs_of
from audioengine.batch.manifest_job import BadLine, CommandJob, Job, PlainJob, parse_job
from audioengine.batch.work import Outcome, become_worker, do, error_entry
from audioengine.commands.requests import MergeRecordings, StoreRecording
from audioengine.edits import Modification
from audioengine.errors import InvalidRequestError
from audioengine.operations.options import StoreOptions
from audioengine.operations.workers import worker_count
from audioengine.report import BatchPlanReport, BatchReport, FailedJobReport
from audioengine.storage import S3Options
from audioengine.version import VERSION

BatchProgress: TypeAlias = Callable[[int, int, int], None]
"""Told how many jobs are done, how many failed of them, and at which line the manifest is."""

# Jobs handed out beyond those that run, so that no process waits.
_AHEAD = 2

# A job whose process dies this often is what kills it.
_MOST_DEATHS = 3

_SHOWN_FAILURES = 1000


def run_batch(
    manifest: str | os.PathLike[str],
    journal: str | os.PathLike[str],
    *,
    options: StoreOptions | None = None,
    s3: S3Options | None = None,
    resume: bool = False,
    concurrency: int | None = None,
    retries: int = 2,
    max_failures: int | None = None,
    progress: BatchProgress | None = None,
) -> BatchReport:
    """Do all jobs of a manifest, each on its own: one that fails does not stop the others.

    A job is done when its output is published and its outcome is in the journal, on the disk. A
    batch that was stopped, however, goes on with `resume`: what is in the journal as done is
    passed over, what failed is tried again.

    manifest: JSON Lines with `source`, `destination` and, where something is to be edited,
        `modification` (as `modificationParams`, relative times in seconds), `startTime` (epoch ms)
        and `guardMs`. A path or s3://bucket/key.
    s3: how places that begin with s3:// are reached and encrypted.
    journal: the path of a JSON Lines file, new unless the batch is resumed.
    concurrency: processes, default one a processor.
    retries: how often a job is tried again that failed for what may pass.
    max_failures: stop when more jobs than that have failed.
    progress: called after each job.

    Raises InvalidRequestError, StorageError for manifest and journal, LimitError. KeyboardInterrupt
    lets running jobs come to their end first.
    """
    started = time.perf_counter()
    processes = worker_count(concurrency)
    for name, value in (("retries", retries), ("max_failures", max_failures or 0)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise InvalidRequestError.of(name, value, "must be a whole number, >= 0")
    with closing(Journal(journal, resume=resume)) as open_journal:
        done = Counter(
            entry["key"] for entry in open_journal.finished() if entry.get("status") == "done"
        )
        options = options or StoreOptions()
        batch = _Batch(open_journal, options, s3, retries, max_failures, progress)
        source = os.fspath(manifest)
        batch.run(_left(jobs_of(source, s3), done, batch), processes)
    return BatchReport(
        jobs=batch.done + batch.failed + batch.skipped,
        done=batch.done,
        failed=batch.failed,
        skipped=batch.skipped,
        stopped=batch.full,
        failures=tuple(batch.failures),
        version=VERSION,
        wall_seconds=time.perf_counter() - started,
    )


def plan_batch(manifest: str | os.PathLike[str], *, s3: S3Options | None = None) -> BatchPlanReport:
    """Say what a manifest asks for: nothing but the manifest is read.

    Raises StorageError, LimitError.
    """
    counts: Counter[str] = Counter()
    failures: list[FailedJobReport] = []
    for job in jobs_of(os.fspath(manifest), s3):
        try:
            if isinstance(job, BadLine):
                raise job.error
            edits = _edits(parse_job(job))
        except InvalidRequestError as error:
            counts["invalid"] += 1
            if len(failures) < _SHOWN_FAILURES:
                failures.append(_failure(job, error_entry(error)))
            continue
        masks = sum(len(intervals) for edit in edits for intervals in edit.mask.values())
        trims = sum(edit.trim is not None for edit in edits)
        counts["masks"] += masks
        counts["trims"] += trims
        counts["copies"] += bool(edits) and not trims and not masks
        counts["jobs"] += 1
    return BatchPlanReport(
        jobs=counts["jobs"],
        masks=counts["masks"],
        trims=counts["trims"],
        copies=counts["copies"],
        invalid=counts["invalid"],
        failures=tuple(failures),
        version=VERSION,
    )


def _edits(job: PlainJob | CommandJob) -> list[Modification]:
    """What a job does to recordings that it stores; a merge as it is has none."""
    if isinstance(job, PlainJob):
        return [job.modification]
    if isinstance(job.command, StoreRecording):
        return [job.command.modification or Modification()]
    if isinstance(job.command, MergeRecordings):
        return [one.modification for one in job.command.to_merge if one.modification is not None]
    return []


def _failure(job: Job | BadLine, error: dict[str, Any]) -> FailedJobReport:
    told = job.told() if isinstance(job, Job) else {}
    return FailedJobReport(
        line=job.line,
        source=told.get("source"),
        destination=told.get("destination"),
        type=error["type"],
        message=error["message"],
        retryable=error["retryable"],
    )


def _left(
    jobs: Iterable[Job | BadLine], done: Counter[str], batch: _Batch
) -> Iterator[Job | BadLine]:
    """The jobs that no earlier run has done."""
    for job in jobs:
        if done[job.key]:
            done[job.key] -= 1
            batch.skipped += 1
        else:
            yield job


@contextmanager
def _sigint_held() -> Iterator[None]:
    """Let processes begin deaf to Ctrl-C, which a terminal sends to them too."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@dataclass
class _Batch:
    """One run, and what it counts."""

    journal: Journal
    options: StoreOptions
    s3: S3Options | None
    retries: int
    max_failures: int | None
    progress: BatchProgress | None
    done: int = 0
    failed: int = 0
    skipped: int = 0
    failures: list[FailedJobReport] = field(default_factory=list)
    _deaths: Counter[str] = field(default_factory=Counter)

    @property
    def full(self) -> bool:
        """Whether as many jobs failed as may."""
        return self.max_failures is not None and self.failed > self.max_failures

    def run(self, jobs: Iterator[Job | BadLine], processes: int) -> None:
        """Do the jobs; processes that die are replaced, and their jobs done again."""
        lost: list[Job] = []
        while not self.full:
            # Spawned, not forked: the parent has threads of libraries.
            context = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(processes, context, become_worker) as pool:
                # One at a time: if its process dies again, nothing else can have killed it.
                lost = self._feed(pool, iter(lost), 1) or self._feed(pool, jobs, processes * _AHEAD)
            if not lost:
                return

    def _feed(
        self, pool: ProcessPoolExecutor, jobs: Iterator[Job | BadLine], most: int
    ) -> list[Job]:
        """Keep the pool busy; give the jobs that were lost with it.

        Where there is one at a time, the one that was lost is to blame, and those left are few.
        """
        running: dict[Future[Outcome], Job] = {}
        handing: list[Job] = []
        try:
            while not self.full:
                for job in islice(self._next(jobs), most - len(running)):
                    # A pool that broke does not take what it is handed.
                    handing.append(job)
                    with _sigint_held():
                        running[pool.submit(do, job, self.options, self.s3, self.retries)] = job
                    handing.clear()
                if not running:
                    return []
                self._collect(running)
        except BrokenProcessPool:
            lost = [*running.values(), *handing]
            if most > 1:
                return lost
            return [*(job for job in lost if not self._gave_up(job)), *self._next(jobs)]
        except KeyboardInterrupt:
            self._finish(running)
            raise
        self._finish(running)
        return []

    def _next(self, jobs: Iterator[Job | BadLine]) -> Iterator[Job]:
        for job in jobs:
            if isinstance(job, Job):
                yield job
            else:
                self._end(job, Outcome(None, error_entry(job.error), 0))
                if self.full:
                    return

    def _collect(self, running: dict[Future[Outcome], Job]) -> None:
        finished, _ = wait(running, return_when=FIRST_COMPLETED)
        broken: BaseException | None = None
        for future in finished:
            # Taken out only once it has come to an end: a lost one is done again.
            if isinstance(error := future.exception(), BrokenProcessPool):
                broken = error
            else:
                outcome = future.result()
                self._end(running.pop(future), outcome)
        if broken is not None:
            raise broken

    def _finish(self, running: dict[Future[Outcome], Job]) -> None:
        """Let what runs come to its end; what has not begun is left."""
        for future in list(running):
            if future.cancel():
                del running[future]
        # What is lost now is left too.
        with suppress(BrokenProcessPool):
            while running:
                self._collect(running)

    def _gave_up(self, job: Job) -> bool:
        self._deaths[job.key] += 1
        if self._deaths[job.key] < _MOST_DEATHS:
            return False
        message = f"the process that worked on it died {_MOST_DEATHS} times"
        error = {"type": "WorkerDied", "message": message, "retryable": True}
        self._end(job, Outcome(None, error, _MOST_DEATHS))
        return True

    def _end(self, job: Job | BadLine, outcome: Outcome) -> None:
        entry = {
            "line": job.line,
            "key": job.key,
            "status": "failed" if outcome.error else "done",
            "attempts": outcome.attempts,
        }
        if isinstance(job, Job):
            entry |= job.told()
        outcome_of = {"error": outcome.error} if outcome.error else {"report": outcome.report}
        self.journal.add({**entry, **outcome_of})
        if outcome.error:
            self.failed += 1
            if len(self.failures) < _SHOWN_FAILURES:
                self.failures.append(_failure(job, outcome.error))
        else:
            self.done += 1
        if self.progress is not None:
            self.progress(self.done + self.failed, self.failed, job.line)
