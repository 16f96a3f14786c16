# SPDX-License-Identifier: Apache-2.0
"""Doing the jobs of a manifest on all processors, and going on where a batch was stopped."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import Literal, TypeAlias

from audioengine.batch.batch_custody import BatchRecord
from audioengine.batch.completed_jobs import DoneJobs
from audioengine.batch.executor import Executor
from audioengine.batch.job_outcome import (
    SHOWN_FAILURES,
    How,
    JobOutcome,
    batch_options,
    error_entry,
    failed_job,
)
from audioengine.batch.journal import Journal, started_at
from audioengine.batch.manifest import jobs_of
from audioengine.batch.manifest_all import ForAll, Tally
from audioengine.batch.manifest_job import BadLine, Job
from audioengine.batch.order import Schedule, Skipped
from audioengine.batch.processes import Processes
from audioengine.custody.record import CustodyRecord
from audioengine.errors import InvalidRequestError
from audioengine.operations.options import StoreOptions, texts
from audioengine.operations.workers import worker_count
from audioengine.report import BatchReport, FailedJobReport
from audioengine.settings import Settings
from audioengine.storage import S3Options
from audioengine.version import VERSION

ExecutorName: TypeAlias = Literal["processes", "dask"]

# So many jobs say where a manifest's recordings are.
_LOOKED_AT = 100

# Jobs at once in a process where recordings are in S3. A call of minutes takes 50 ms to render, and
# two requests, each of which may take as long or twice that before its first byte comes.
_AT_ONCE = 6


# A store's clock may be so much behind ours.
_CLOCKS_DIFFER_S = 60


@dataclass(frozen=True, slots=True)
class BatchState:
    """How far a batch has come."""

    done: int
    """Jobs that this run ended, those that failed among them."""
    failed: int
    skipped: int
    """Jobs that an earlier run did."""
    line: int
    """The line of the job that ended last; jobs of earlier lines may still run."""


BatchProgress: TypeAlias = Callable[[BatchState], None]
"""Told of each job as it ends or is passed over."""


def run_batch(
    manifest: str | os.PathLike[str],
    journal: str | os.PathLike[str],
    *,
    for_all: ForAll | None = None,
    options: StoreOptions | None = None,
    s3: S3Options | None = None,
    settings: Settings | None = None,
    resume: bool = False,
    concurrency: int | None = None,
    retries: int = 2,
    max_failures: int | None = None,
    record: CustodyRecord | None = None,
    executor: ExecutorName = "processes",
    scheduler: str | None = None,
    progress: BatchProgress | None = None,
) -> BatchReport:
    """Do all jobs of a manifest, each on its own: one that fails does not stop the others.

    A job is done when its output is published and its outcome is in the journal, on the disk. A
    batch that was stopped, however, goes on with `resume`: what is in the journal as done is
    passed over, what failed is tried again. That takes 20 bytes of memory for each job that is
    done; nothing else grows with the manifest.

    Jobs that name the same `recordingId` are done in the manifest's order, one at a time; a
    DELETERECORDING is not done, and fails as EarlierJobFailed, where one before it failed.

    manifest: JSON Lines with `source`, `destination` and, where something is to be edited,
        `modification` (as `modificationParams`, relative times in seconds), `startTime` (epoch ms),
        `guardMs` and `clipToleranceS`, or with commands; or what `for_all` needs: a CSV or an S3
        Inventory that names recordings, a prefix or a folder. A path or s3://bucket/key.
    journal: the path of a JSON Lines file, new unless the batch is resumed.
    for_all: what is done to each recording of a manifest that only names them.
    options: how recordings are edited, of commands too; by default as `settings` say.
    s3: how places that begin with s3:// are reached and encrypted, and buckets of commands where
        these are in S3; by default as `settings` say.
    settings: of the deployment; commands need them. Of jobs that are no commands only `store` and
        how S3 is reached count: what begins with s3:// is in S3, whatever the storage's root, and
        an output replaces what is there.
    concurrency: processes, by default one for each processor; where recordings are in S3, each has
        several jobs at once, so that one renders while others load and send. Of a cluster, jobs at
        once, by default two for each of its threads: let it have more of them than processors
        where recordings are in S3.
    retries: how often a job is tried again that failed for what may pass.
    max_failures: stop when more jobs than that have failed.
    record: gets an entry for each output, before the journal does; several batches may share one.
    executor: "processes" of this machine, or "dask", a cluster that must see the same places.
    scheduler: of the cluster, for instance tcp://host:8786.
    progress: called after each job.

    Raises InvalidRequestError, LimitError, StorageError for manifest, journal, record and
    scheduler, and VerificationError for a record that was cut or changed at its end, and where
    outputs are to be verified and nothing here can.
    KeyboardInterrupt lets running jobs come to their end first.
    """
    started = time.perf_counter()
    processes = worker_count(concurrency)
    for name, value in (("retries", retries), ("max_failures", max_failures or 0)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise InvalidRequestError.of(name, value, "must be a whole number, >= 0")
    if executor not in ("processes", "dask"):
        raise InvalidRequestError.of("executor", executor, "must be one of processes, dask")
    if bool(scheduler) != (executor == "dask"):
        rule = "must be given with the executor dask, and with it alone: tcp://host:8786"
        raise InvalidRequestError.of("scheduler", scheduler, rule)
    if record is not None:
        _check_record(record, journal)
    options = batch_options(options, settings)
    if settings is not None:
        s3 = s3 or settings.storage.s3
        settings = settings.model_copy(update={"store": options})
    if s3 is not None and s3.session is not None:
        rule = "must be None in a batch: its processes find credentials of their own"
        raise InvalidRequestError.of("s3.session", "<Session>", rule)
    if options.verify and executor == "processes":
        from audioengine.verification.decoder import decoder_name

        decoder_name()
    tally = Tally()
    jobs = jobs_of(os.fspath(manifest), s3, for_all, tally)
    # What this batch has begun to send in parts when it was killed, the same job aborts.
    begun = started_at(journal) - _CLOCKS_DIFFER_S
    s3 = replace(s3 or S3Options(), aborts_since=begun)
    with_pcm = record is not None and record.pcm_digest
    how = How(options, s3, settings, retries, record is not None, with_pcm)
    first = list(islice(jobs, _LOOKED_AT))
    at_once = _AT_ONCE if any(_is_in_s3(job, settings) for job in first) else 1
    with (
        closing(_executor(how, scheduler, (processes, at_once), concurrency)) as does,
        closing(Journal(journal, resume=resume, options=texts(options, ["heard"]))) as open_journal,
    ):
        kept = None if record is None else BatchRecord(record, open_journal)
        batch = _Batch(open_journal, does, max_failures, progress, kept)
        batch.run(chain(first, jobs))
    return BatchReport(
        jobs=batch.done + batch.failed + batch.skipped,
        done=batch.done,
        failed=batch.failed,
        skipped=batch.skipped,
        stopped=batch.full,
        failures=tuple(batch.failures),
        version=VERSION,
        wall_seconds=time.perf_counter() - started,
        recorded=None if kept is None else kept.recorded,
        left_out=tally.left_out,
    )


def _check_record(record: CustodyRecord, journal: str | os.PathLike[str]) -> None:
    if not isinstance(record, CustodyRecord):
        raise InvalidRequestError.of("record", record, "must be a CustodyRecord or None")
    if Path(record.path).resolve() == Path(journal).resolve():
        rule = "must be another file than the journal"
        raise InvalidRequestError.of("record", os.fspath(record.path), rule)
    record.check()


def _executor(
    how: How, scheduler: str | None, local: tuple[int, int], concurrency: int | None
) -> Executor:
    if not scheduler:
        return Processes(how, *local)
    from audioengine.batch.cluster import Cluster

    return Cluster(how, scheduler, concurrency)


def _is_in_s3(job: Job | BadLine, settings: Settings | None) -> bool:
    """Whether a job seems to wait for S3: it names a place there, or a command's bucket is."""
    if not isinstance(job, Job):
        return False
    if b'"method"' in job.data and (settings is None or settings.storage.root is None):
        return True
    return b'"s3://' in job.data


@dataclass
class _Batch:
    """One run, and what it counts."""

    journal: Journal
    executor: Executor
    max_failures: int | None
    progress: BatchProgress | None
    record: BatchRecord | None = None
    done: int = 0
    failed: int = 0
    skipped: int = 0
    failures: list[FailedJobReport] = field(default_factory=list)
    recorded_line: int = 0
    written_line: int = 0
    """Of the last jobs in record and journal: one whose end Ctrl-C broke off comes again."""

    @property
    def full(self) -> bool:
        """Whether as many jobs failed as may."""
        return self.max_failures is not None and self.failed > self.max_failures

    def run(self, jobs: Iterable[Job | BadLine]) -> None:
        """Do the jobs that no earlier run has done; where that is broken off, what runs ends."""
        schedule = Schedule(self._left(jobs))
        try:
            while not self.full:
                self._hand_out(schedule)
                if not self.executor.busy:
                    break
                for job, outcome in self.executor.ended():
                    self._end(job, outcome)
                    schedule.ended(job, failed=outcome.error is not None)
        finally:
            self.executor.cancel()
            while self.executor.busy:
                for job, outcome in self.executor.ended():
                    self._end(job, outcome)

    def _left(self, jobs: Iterable[Job | BadLine]) -> Iterator[Job | BadLine]:
        finished = self.journal.finished()
        done = DoneJobs(entry["key"] for entry in finished if entry.get("status") == "done")
        for job in jobs:
            if done.take(job.key):
                self.skipped += 1
                self._tell(job.line)
            else:
                yield job

    def _hand_out(self, schedule: Schedule) -> None:
        while self.executor.room > 0 and not self.full:
            taken = schedule.take()
            if taken is None:
                return
            if isinstance(taken, Job):
                self.executor.submit(taken)
            elif isinstance(taken, Skipped):
                error = {**error_entry(taken.error), "type": "EarlierJobFailed", "retryable": True}
                self._end(taken.job, JobOutcome(error=error, attempts=0))
            else:
                self._end(taken, JobOutcome(error=error_entry(taken.error), attempts=0))

    def _end(self, job: Job | BadLine, outcome: JobOutcome) -> None:
        if job.line == self.written_line:
            return
        entry = {
            "line": job.line,
            "key": job.key,
            "status": "failed" if outcome.error else "done",
            "attempts": outcome.attempts,
        }
        entry |= job.journal_fields()
        entry |= {"error": outcome.error} if outcome.error else {"report": outcome.report}
        for name, value in (("event", outcome.event), ("alarm", outcome.alarm)):
            if value is not None:
                entry[name] = value
        if self.record is not None and outcome.custody is not None:
            if job.line != self.recorded_line:
                self.record.add(job, outcome.custody)
            self.recorded_line = job.line
        self.journal.add(entry)
        self.written_line = job.line
        if outcome.error:
            self.failed += 1
            if len(self.failures) < SHOWN_FAILURES:
                self.failures.append(failed_job(job, outcome.error))
        else:
            self.done += 1
        self._tell(job.line)

    def _tell(self, line: int) -> None:
        if self.progress is not None:
            state = BatchState(self.done + self.failed, self.failed, self.skipped, line)
            self.progress(state)
