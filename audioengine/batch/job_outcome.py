# SPDX-License-Identifier: Apache-2.0
"""How the jobs of a batch are done, and how one ended: values that any process can be sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from audioengine.batch.manifest_job import BadLine, Job
from audioengine.commands.names import HIDDEN
from audioengine.commands.redaction import is_secret_key, redacted
from audioengine.errors import UNKNOWN_KEY, AudioEngineError, InvalidRequestError, Problem
from audioengine.operations.options import StoreOptions, options_of
from audioengine.report import FailedJobReport
from audioengine.storage import S3Options

if TYPE_CHECKING:
    from audioengine.settings import Settings

SHOWN_FAILURES = 1000
"""How many failures a report names; the journal has all."""

_SHOWN_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class How:
    """What is the same for all jobs of a batch."""

    options: StoreOptions
    s3: S3Options | None = None
    """Of buckets of commands too, where these are in S3."""
    settings: Settings | None = None
    retries: int = 0
    """How often a job is tried again that failed for what may pass."""
    record: bool = False
    """Whether outcomes contain the custody entries of outputs."""
    pcm_digest: bool = False
    """Whether that is the digest of their samples too."""


def batch_options(given: StoreOptions | None, settings: Settings | None) -> StoreOptions:
    """The options of a batch: those given, else those of the settings, else the defaults.

    Raises InvalidRequestError where what is given is none.
    """
    if given is not None:
        return options_of(given, StoreOptions)
    return StoreOptions() if settings is None else settings.store


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """How a job ended: it failed where there is an error."""

    report: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    attempts: int = 1
    event: dict[str, Any] | None = None
    """The final event of a command."""
    alarm: dict[str, Any] | None = None
    custody: dict[str, Any] | None = None
    """The output's entry for a custody record."""

    @property
    def retryable(self) -> bool:
        """Whether the same job may succeed later."""
        return self.error is not None and bool(self.error["retryable"])


def error_entry(error: AudioEngineError) -> dict[str, Any]:
    """An error as plain values, without secrets."""
    if isinstance(error, InvalidRequestError):
        error = InvalidRequestError([_without_secrets(problem) for problem in error.problems])
    entry: dict[str, Any] = {
        "type": type(error).__name__,
        "message": encodable(error),
        "retryable": error.retryable,
    }
    if isinstance(error, InvalidRequestError):
        entry["problems"] = [
            {
                "path": encodable(problem.path),
                "value": encodable(problem.value)[:_SHOWN_CHARACTERS],
                "rule": problem.rule,
            }
            for problem in error.problems
        ]
    return entry


def failed_job(job: Job | BadLine, error: dict[str, Any]) -> FailedJobReport:
    """A failure as reports name it; `error` as `error_entry` gives it."""
    fields: Mapping[str, str | None] = job.journal_fields()
    return FailedJobReport(
        line=job.line,
        source=fields.get("source"),
        destination=fields.get("destination"),
        type=error["type"],
        message=error["message"],
        retryable=error["retryable"],
    )


def _without_secrets(problem: Problem) -> Problem:
    if is_secret_key(problem.path) or problem.rule.startswith(UNKNOWN_KEY):
        return Problem(problem.path, HIDDEN, problem.rule)
    if isinstance(problem.value, (str, dict, list)):
        return Problem(problem.path, redacted(problem.value), problem.rule)
    return problem


def encodable(value: object) -> str:
    """Text that can be encoded: JSON may hold half a character, a surrogate."""
    return str(value).encode(errors="backslashreplace").decode()
