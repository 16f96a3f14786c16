# SPDX-License-Identifier: Apache-2.0
"""A job that is a command of the queue."""

from __future__ import annotations

from audioengine.batch.manifest_job import CommandJob
from audioengine.batch.outcome import How, Outcome
from audioengine.errors import InvalidRequestError


def do_command(job: CommandJob, how: How) -> Outcome:  # noqa: ARG001 - the form that `do` calls
    """Refuse a command.

    Raises InvalidRequestError.
    """
    rule = "must not be given: a batch does jobs with source and destination"
    raise InvalidRequestError.of("method", job.command.method, rule)
