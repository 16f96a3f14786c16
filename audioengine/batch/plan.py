# SPDX-License-Identifier: Apache-2.0
"""What a manifest asks for, without doing it."""

from __future__ import annotations

import os
from collections import Counter
from fractions import Fraction

from audioengine.batch.job_outcome import SHOWN_FAILURES, batch_options, error_entry, failed_job
from audioengine.batch.manifest import jobs_of
from audioengine.batch.manifest_all import ForAll, Tally
from audioengine.batch.manifest_job import BadLine, CommandJob, Job, PlainJob, parse_job
from audioengine.choices import UnknownKeys
from audioengine.commands.requests import MergeRecordings, StoreRecording
from audioengine.edits import Modification
from audioengine.errors import InvalidRequestError, Problem
from audioengine.operations.options import StoreOptions
from audioengine.report import BatchPlanReport, FailedJobReport
from audioengine.settings import Settings
from audioengine.storage import S3Options
from audioengine.times import exact_or_none
from audioengine.version import VERSION


def plan_batch(
    manifest: str | os.PathLike[str],
    *,
    for_all: ForAll | None = None,
    s3: S3Options | None = None,
    options: StoreOptions | None = None,
    settings: Settings | None = None,
) -> BatchPlanReport:
    """Say what a manifest asks for: nothing but the manifest is read.

    manifest, for_all, s3, options, settings: as in `run_batch`.

    Raises InvalidRequestError, StorageError, LimitError.
    """
    unknown: UnknownKeys = "refuse"
    options = batch_options(options, settings)
    if settings is not None:
        unknown = settings.unknown_keys
    counts: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    masked_s = Fraction(0)
    failures: list[FailedJobReport] = []
    tally = Tally()
    for job in jobs_of(os.fspath(manifest), s3, for_all, tally):
        try:
            if isinstance(job, BadLine):
                raise job.error
            parsed = parse_job(job, unknown)
            edits = _edits(parsed)
            for edit in edits:
                options.check_masks(edit)
        except InvalidRequestError as error:
            counts["invalid"] += 1
            if len(failures) < SHOWN_FAILURES:
                failures.append(failed_job(job, error_entry(error)))
            continue
        masks = sum(len(intervals) for edit in edits for intervals in edit.mask.values())
        trims = sum(edit.trim is not None for edit in edits)
        masked_s += sum(map(_masked_s, edits))
        counts["masks"] += masks
        counts["trims"] += trims
        counts["copies"] += bool(edits) and not any(edit.asks for edit in edits)
        assert isinstance(job, Job)
        counts["bytes"] += job.source_bytes or 0
        counts["unsized"] += bool(edits) and job.source_bytes is None
        kinds[parsed.command.method if isinstance(parsed, CommandJob) else "store"] += 1
    return BatchPlanReport(
        jobs=kinds.total(),
        kinds=dict(sorted(kinds.items())),
        masks=counts["masks"],
        trims=counts["trims"],
        copies=counts["copies"],
        masked_seconds=float(masked_s),
        source_bytes=counts["bytes"],
        unsized=counts["unsized"],
        invalid=counts["invalid"],
        failures=tuple(failures),
        version=VERSION,
        left_out=tally.left_out,
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


def _masked_s(edit: Modification) -> Fraction:
    """Seconds that are masked, before guards; what is no stretch counts nothing."""
    total = Fraction(0)
    ignored: list[Problem] = []
    for interval in (one for intervals in edit.mask.values() for one in intervals):
        start = exact_or_none(interval.start, "", ignored)
        end = exact_or_none(interval.end, "", ignored)
        if start is not None and end is not None:
            total += max(end - start, Fraction(0))
    return total / 1000 if edit.absolute_times or edit.relative_unit == "ms" else total
