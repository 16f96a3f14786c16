# SPDX-License-Identifier: Apache-2.0
"""`store` trims and masks one recording; `plan_store` says what `store` would do."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace

from audioengine.custody.writer import CustodyWriter
from audioengine.declaration import values
from audioengine.edits import Edits, Modification
from audioengine.errors import InvalidRequestError, Problem
from audioengine.operations import reporting
from audioengine.operations.coherence import MeasuredCoherence, measured_coherence
from audioengine.operations.copying import copy_whole
from audioengine.operations.facts import facts_of
from audioengine.operations.hashing import sha256_hex
from audioengine.operations.options import StoreOptions, options_of
from audioengine.operations.outputs import open_output
from audioengine.operations.recording import Recording, open_recording
from audioengine.operations.refusing import refuse_warnings
from audioengine.operations.store_rendering import render_store
from audioengine.operations.store_request import is_copy, resolved, store_plan
from audioengine.operations.transcripts import with_transcripts
from audioengine.operations.workers import worker_count
from audioengine.plan.masks import PlannedMask
from audioengine.render.execute import Progress
from audioengine.render.workers import executor_of
from audioengine.report import PlanReport, StoreReport
from audioengine.sources.raw import RawFormat, raw_format
from audioengine.storage import (
    DestinationLike,
    S3Options,
    SourceLike,
    Staging,
)
from audioengine.times import Number


def store(
    source: SourceLike,
    destination: DestinationLike,
    modification: Modification | None = None,
    options: StoreOptions = StoreOptions(),  # noqa: B008 - frozen
    *,
    start_time_ms: Number | None = None,
    raw: RawFormat | str | None = None,
    record: CustodyWriter | None = None,
    s3: S3Options | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> StoreReport:
    """Trim and mask a recording, copying every frame that the edit does not touch.

    The output appears at `destination` whole or not at all; it may replace the source. Without an
    edit the output is a copy, byte for byte.

    source: a path, s3://bucket/key, bytes, a readable binary file object, or an object of a
        storage.
    destination: a path, s3://bucket/key, a writable binary file object, or an object of a storage.
    modification: what to keep and what to mask; None copies the recording.
    options: how to edit; see `StoreOptions`.
    start_time_ms: epoch time of the recording's start, for absolute times.
    raw: what a source without a header holds: ``ulaw:8000:2``.
    record: a CustodyRecord that gets an entry once the output is published.
    s3: how s3:// paths are reached and encrypted.
    workers: threads that decode and encode, by default one per processor; the output is the same
        for any number.
    progress: called with the number of frames done and of all frames.

    Raises InvalidRequestError, MalformedAudioError, UnsupportedAudioError, LimitError and
    StorageError; with the option `verify` or with `record` also VerificationError. Nothing is
    published then, unless only the custody entry can't be written; the message says so.
    """
    started = time.perf_counter()
    options = options_of(options, StoreOptions)
    workers = worker_count(workers)
    if record is not None:
        # Its imports take time, and few calls need it.
        from audioengine.operations import recording_custody

        recording_custody.require_record(record)
    modification = with_transcripts(modification, options, s3)
    with open_recording(
        source, allow_truncated=options.allow_truncated, s3=s3, raw=raw
    ) as recording:
        edits = resolved(recording, modification, options, start_time_ms, workers)
        if options.verify:
            # A fifth of all imports, and few calls need it.
            from audioengine.operations import verification

            verification.require_decoder(recording, edits)
        with (
            closing(open_output(destination, s3)) as staging,
            executor_of(min(workers, 2)) as beside,
        ):
            source_digest = beside.submit(sha256_hex, recording.file)
            if is_copy(recording, edits):
                copy_whole(recording.source, staging)
                done = reporting.StoreWork(recording.index, edits, None, None, ())
            else:
                done = _edit(recording, edits, options, staging, workers, progress)
            verdict = None
            if options.verify:
                checks = verification.output_checks(recording, edits, options, staging, workers)
                verdict = verification.kept_promises(checks)
            output_digest = sha256_hex(staging)
            report = reporting.store_report(
                done,
                recording,
                source_digest.result(),
                output_digest,
                staging.size,
                time.perf_counter() - started,
            )
            refuse_warnings(report.warnings, options.refuse)
            entry = {}
            if record is not None:
                # With the guard and the tolerance that were used.
                request = {
                    **values(options),
                    "modification": modification and options.completed(modification),
                    "start_time_ms": start_time_ms,
                }
                if (format := raw_format(raw)) is not None:
                    request["raw"] = format.text
                entry = recording_custody.store_entry(
                    record, report, source, destination, staging, request, verdict, s3
                )
            recording.source.check_unchanged()
            staging.publish(facts_of([report.source.sha256]))
    report = replace(report, verification=verdict)
    if record is None:
        return report
    return replace(report, recorded=recording_custody.recorded(record, entry))


def plan_store(
    source: SourceLike,
    modification: Modification | None = None,
    options: StoreOptions = StoreOptions(),  # noqa: B008 - frozen
    *,
    start_time_ms: Number | None = None,
    raw: RawFormat | str | None = None,
    s3: S3Options | None = None,
) -> PlanReport:
    """Say what `store` would do with the same arguments, without decoding or writing anything.

    Two things show only in rendering: how many frames beside a run are re-made too
    (`moved_frames`), and, at a stream's highest bitrate, whether re-made frames have room beside
    copied ones. If not, everything is re-made, and the report's `fallbacks` has `no_room`.

    Raises what `store` would raise before it renders.
    """
    options = options_of(options, StoreOptions)
    modification = with_transcripts(modification, options, s3)
    with open_recording(
        source, allow_truncated=options.allow_truncated, s3=s3, raw=raw
    ) as recording:
        edits = resolved(recording, modification, options, start_time_ms)
        plan = None if is_copy(recording, edits) else store_plan(recording, edits, options)
        return reporting.plan_report(recording, edits, plan)


def _edit(
    recording: Recording,
    edits: Edits,
    options: StoreOptions,
    staging: Staging,
    workers: int,
    progress: Progress | None,
) -> reporting.StoreWork:
    plan, rendered = render_store(recording, edits, options, staging, workers, progress)
    coherence = measured_coherence(plan.masks, rendered.coherence)
    if options.fail_on_crosstalk:
        _refuse_crosstalk(plan.masks, coherence)
    return reporting.StoreWork(recording.index, edits, plan, rendered, coherence)


def _refuse_crosstalk(
    masks: Sequence[PlannedMask], coherence: Sequence[MeasuredCoherence | None]
) -> None:
    problems = []
    for mask, measured in zip(masks, coherence, strict=True):
        notice = measured.notice(mask) if measured else None
        if notice is not None:
            applied = mask.mask.applied
            value = f"samples {applied.start} to {applied.end}"
            problems.append(Problem(f"mask.{mask.mask.party}", value, notice.message))
    if problems:
        raise InvalidRequestError(problems)
