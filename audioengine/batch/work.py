# SPDX-License-Identifier: Apache-2.0
"""One job of a batch, in a process of its own: what comes back is plain values."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from dataclasses import dataclass, replace
from typing import Any

import tenacity

from audioengine.batch.manifest_job import CommandJob, Job, parse_job
from audioengine.errors import AudioEngineError, InvalidRequestError
from audioengine.operations.options import StoreOptions
from audioengine.operations.store import store
from audioengine.storage import S3Options
from audioengine.storage.files import make_folders


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended."""

    report: dict[str, Any] | None
    error: dict[str, Any] | None
    attempts: int


def become_worker() -> None:
    """Leave Ctrl-C to the parent, which lets running jobs come to their end; end when it does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # A parent that is killed tells nobody; its queue looks merely empty. Its id is no sign: it may
    # have been killed before this process could ask for it.
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)


def do(job: Job, options: StoreOptions, s3: S3Options | None, retries: int) -> Outcome:
    """Do a job, again after a while where it failed for what may pass."""
    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(retries + 1),
        wait=tenacity.wait_random_exponential(multiplier=0.5, max=30),
        retry=tenacity.retry_if_exception(_passing),
        reraise=True,
    )
    try:
        report = retrying(_store, job, options, s3)
    except AudioEngineError as error:
        return Outcome(None, error_entry(error), _attempts(retrying))
    except Exception as error:  # noqa: BLE001 - one job's bug must not stop the others
        details = {"type": "InternalError", "message": _text(f"{type(error).__name__}: {error}")}
        return Outcome(None, {**details, "retryable": False}, _attempts(retrying))
    return Outcome(report, None, _attempts(retrying))


def _store(line: Job, options: StoreOptions, s3: S3Options | None) -> dict[str, Any]:
    job = parse_job(line)
    if isinstance(job, CommandJob):
        rule = "must not be given: a batch does jobs with source and destination"
        raise InvalidRequestError.of("method", job.command.method, rule)
    if job.makes_folders:
        make_folders(job.destination)
    modification = job.modification
    if job.guard_ms is None:
        modification = replace(modification, guard_ms=options.guard_ms)
    report = store(
        job.source,
        job.destination,
        modification,
        start_time_ms=job.start_time_ms,
        render=options.render,
        beep=options.beep,
        caller_channel=options.caller_channel,
        shared_frames=options.shared_frames,
        fallback=options.fallback,
        allow_truncated=options.allow_truncated,
        fail_on_crosstalk=options.fail_on_crosstalk,
        encoder_delay=options.encoder_delay,
        s3=s3,
        workers=1,
    )
    return report.to_dict()


def _passing(error: BaseException) -> bool:
    return isinstance(error, AudioEngineError) and error.retryable


def _attempts(retrying: tenacity.Retrying) -> int:
    return int(retrying.statistics.get("attempt_number", 1))


def error_entry(error: AudioEngineError) -> dict[str, Any]:
    """An error as plain values."""
    entry: dict[str, Any] = {
        "type": type(error).__name__,
        "message": _text(error),
        "retryable": error.retryable,
    }
    if isinstance(error, InvalidRequestError):
        entry["problems"] = [
            {"path": _text(problem.path), "value": _text(problem.value)[:200], "rule": problem.rule}
            for problem in error.problems
        ]
    return entry


def _text(value: object) -> str:
    """Text that can be encoded: JSON may hold half a character, a surrogate."""
    return str(value).encode(errors="backslashreplace").decode()
