# SPDX-License-Identifier: Apache-2.0
"""A job that is a command of the queue."""

from __future__ import annotations

from audioengine.batch.batch_custody import entry_holder
from audioengine.batch.job_outcome import How, JobOutcome, error_entry
from audioengine.batch.manifest_job import Job
from audioengine.errors import InvalidRequestError


def do_command(job: Job, how: How) -> JobOutcome:
    """Carry out a command; its event, and of a failure its alarm, come back with it.

    Raises InvalidRequestError where there are no settings, without which nobody may do anything.
    """
    from audioengine.execution.execute import execute, storage_of
    from audioengine.storage.s3_storage import S3Storage

    if how.settings is None:
        rule = "must be given for commands: they say whose tokens count, and what each may do"
        raise InvalidRequestError.of("settings", None, rule)
    storage = storage_of(how.settings)
    if how.s3 is not None and how.settings.storage.root is None:
        storage = S3Storage(how.s3)
    record = entry_holder(how)
    outcome = execute(job.data, storage, how.settings, record=record, workers=1)
    report = outcome.to_dict()
    event, alarm = report.pop("event"), report.pop("alarm")
    if outcome.error is not None:
        return JobOutcome(error=error_entry(outcome.error), event=event, alarm=alarm)
    entry = None if record is None else record.entry
    return JobOutcome(report=report, event=event, custody=entry)
