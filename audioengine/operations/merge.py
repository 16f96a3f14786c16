# SPDX-License-Identifier: Apache-2.0
"""`merge` puts several recordings on one clock; `plan_merge` says what `merge` would do."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace

from audioengine.custody.writer import CustodyWriter
from audioengine.errors import InvalidRequestError, Problem
from audioengine.operations import merge_reporting as reporting
from audioengine.operations.coherence import MeasuredCoherence
from audioengine.operations.copying import copy_whole
from audioengine.operations.facts import facts_of
from audioengine.operations.gathering import (
    Member,
    Omitted,
    UndecodablePartError,
    check_not_all,
    named,
    opened_parts,
)
from audioengine.operations.hashing import sha256_hex
from audioengine.operations.merge_rendering import render_merge
from audioengine.operations.merge_request import MergeMaterial, gather
from audioengine.operations.options import MergeOptions, options_of
from audioengine.operations.outputs import open_output
from audioengine.operations.recording import Recording
from audioengine.operations.recording_custody import merge_entry, recorded, require_record
from audioengine.operations.refusing import refuse_warnings
from audioengine.operations.store_rendering import no_room as no_room_notice
from audioengine.operations.workers import worker_count
from audioengine.parts import MergePart, TimedPart
from audioengine.render.execute import Progress
from audioengine.render.weave import NoRoomError
from audioengine.render.workers import executor_of
from audioengine.report import MergePlanReport, MergeReport
from audioengine.storage import DestinationLike, S3Options, Staging


def merge(
    parts: Sequence[MergePart],
    destination: DestinationLike,
    options: MergeOptions = MergeOptions(),  # noqa: B008 - frozen
    *,
    record: CustodyWriter | None = None,
    s3: S3Options | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> MergeReport:
    """Put several recordings on one clock, copying frames where one recording alone is heard.

    The timeline begins with the earliest start. At each instant every recording with audio is
    heard; of those that list a conference segment there, only the one that started first. Where
    several are heard, caller is added to caller and callee to callee; gaps are silent. The output
    appears at `destination` whole or not at all; it may replace one of the sources. A single
    recording without edits is copied, byte for byte.

    parts: the recordings, when each began and what to mask in it.
    destination: a path, s3://bucket/key, a writable binary file object, or an object of a storage.
    options: how to merge; see `MergeOptions`.
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
    options = options_of(options, MergeOptions)
    workers = worker_count(workers)
    require_record(record)
    with opened_parts(parts, options, s3) as (there, omitted):
        gathered = gather(there, options)
        if options.verify:
            # A fifth of all imports, and few calls need it.
            from audioengine.operations import merge_verification, verification

            merge_verification.require_decoder_for_merge(gathered)
        with (
            closing(open_output(destination, s3)) as staging,
            executor_of(min(workers, 2)) as beside,
        ):
            digests = {
                part.path: beside.submit(sha256_hex, recording.file) for part, recording in there
            }
            no_room = None
            done = None
            while done is None:
                try:
                    done = _try(gathered, options, there, omitted, staging, workers, progress)
                except NoRoomError as error:
                    if gathered.plan.render == "full":
                        raise
                    no_room = no_room_notice(error)
                    staging.restart()
                if done is None:
                    gathered = gather(there, options, no_room)
            members = gathered.members
            if options.fail_on_crosstalk:
                _refuse_crosstalk(members, done.coherence)
            verdict = None
            if options.verify:
                checks = merge_verification.judged_merge(gathered, options, staging, workers)
                verdict = verification.kept_promises(checks)
            output_digest = sha256_hex(staging)
            source_digests = [digests[member.timed.path].result() for member in members]
            report = reporting.merge_report(
                done,
                members,
                omitted,
                options,
                source_digests,
                output_digest,
                staging.size,
                time.perf_counter() - started,
            )
            refuse_warnings(report.warnings, options.refuse)
            entry = {}
            if record is not None:
                timed = [member.timed for member in members]
                entry = merge_entry(
                    record, report, timed, destination, staging, options, verdict, s3
                )
            for member in members:
                member.recording.source.check_unchanged()
            staging.publish(facts_of(source_digests))
    report = replace(report, verification=verdict)
    return report if record is None else replace(report, recorded=recorded(record, entry))


def plan_merge(
    parts: Sequence[MergePart],
    options: MergeOptions = MergeOptions(),  # noqa: B008 - frozen
    *,
    s3: S3Options | None = None,
) -> MergePlanReport:
    """Say what `merge` would do with the same arguments, without decoding or writing anything.

    Whether re-made frames have room beside copied ones at a stream's highest bitrate shows only in
    rendering. If not, nothing is copied, and the report's parts have `not_copied` with `no_room`.

    Raises what `merge` would raise before it renders.
    """
    options = options_of(options, MergeOptions)
    with opened_parts(parts, options, s3) as (there, omitted):
        gathered = gather(there, options)
        return reporting.merge_plan_report(
            gathered.plan, gathered.members, omitted, options, is_copy=gathered.is_copy
        )


def _try(
    gathered: MergeMaterial,
    options: MergeOptions,
    there: list[tuple[TimedPart, Recording]],
    omitted: list[Omitted],
    staging: Staging,
    workers: int,
    progress: Progress | None,
) -> reporting.Merged | None:
    """Merge; None, with a recording moved to `omitted`, if that recording can't be decoded."""
    recordings = [member.recording for member in gathered.members]
    if gathered.is_copy:
        copy_whole(recordings[0].source, staging)
        return reporting.Merged(gathered.plan, None, None, {})
    try:
        return render_merge(
            gathered.plan,
            recordings,
            beep=options.beep,
            staging=staging,
            workers=workers,
            progress=progress,
        )
    except UndecodablePartError as undecodable:
        part, _ = there.pop(undecodable.number)
        if options.missing == "fail":
            raise named(undecodable.error, part.name) from undecodable
        omitted.append(Omitted(part.name, str(undecodable.error)))
        check_not_all(there, omitted)
        staging.restart()
        return None


def _refuse_crosstalk(
    members: Sequence[Member], coherence: Mapping[tuple[int, int], MeasuredCoherence]
) -> None:
    problems = []
    for (number, place), measured in coherence.items():
        member = members[number]
        mask = member.placed.masks[place]
        notice = measured.notice(mask)
        if notice is not None:
            applied = mask.mask.applied
            value = f"samples {applied.start} to {applied.end}"
            path = f"{member.timed.path}.modification.mask.{mask.mask.party}"
            problems.append(Problem(path, value, notice.message))
    if problems:
        raise InvalidRequestError(problems)
