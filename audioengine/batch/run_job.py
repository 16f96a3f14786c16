# SPDX-License-Identifier: Apache-2.0
"""One job of a batch, in a process of its own: what comes back is plain values."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, repeat

from audioengine.batch.batch_custody import entry_holder
from audioengine.batch.command_work import do_command
from audioengine.batch.job_outcome import How, JobOutcome, encodable, error_entry
from audioengine.batch.manifest_job import Job, PlainJob, parse_job
from audioengine.errors import AudioEngineError
from audioengine.operations.store import store
from audioengine.storage import S3Options
from audioengine.storage.files import make_folders


def do_job(job: Job, how: How) -> JobOutcome:
    """Do a job, and retry it where its failure is retryable; nothing is raised."""
    outcome = _tried(job, how)
    if how.retries and outcome.retryable:
        return _tried_again(outcome, job, how)
    return outcome


def _tried_again(first: JobOutcome, job: Job, how: How) -> JobOutcome:
    import tenacity  # imports asyncio: not for jobs that end well

    from audioengine.retries import BATCH_JOB

    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(how.retries + 1),
        wait=BATCH_JOB.wait,
        retry=tenacity.retry_if_result(lambda outcome: outcome.retryable),
        retry_error_callback=lambda state: state.outcome and state.outcome.result(),
    )
    tries = chain((first,), (_tried(job, how) for _ in repeat(None)))
    outcome: JobOutcome = retrying(next, tries)
    return replace(outcome, attempts=int(retrying.statistics["attempt_number"]))


def _tried(job: Job, how: How) -> JobOutcome:
    try:
        return _do(job, how)
    except AudioEngineError as error:
        return JobOutcome(error=error_entry(error))
    except Exception as error:  # noqa: BLE001 - one job's bug must not stop the others
        message = encodable(f"{type(error).__name__}: {error}")
        failed = {"type": "InternalError", "message": message, "retryable": False}
        return JobOutcome(error=failed)


def _do(line: Job, how: How) -> JobOutcome:
    # A command's failure, be it only its form, has an event.
    if line.is_command:
        return do_command(line, how)
    job = parse_job(line)
    assert isinstance(job, PlainJob)
    return _store(job, how)


def _store(job: PlainJob, how: How) -> JobOutcome:
    options = replace(how.options, **job.options)
    if job.makes_folders:
        make_folders(job.destination)
    options.check_masks(job.modification)
    record = entry_holder(how)
    report = store(
        job.source,
        job.destination,
        job.modification,
        options.for_many(),
        start_time_ms=job.start_time_ms,
        s3=how.s3 if job.version is None else replace(how.s3 or S3Options(), version=job.version),
        record=record,
        workers=1,
    )
    entry = None if record is None else record.entry
    return JobOutcome(report=report.to_dict(), custody=entry)
