# SPDX-License-Identifier: Apache-2.0
"""`verify_merge` checks a merge's output against its promises, from the files alone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from audioengine.errors import MalformedAudioError, UnsupportedAudioError
from audioengine.mp3.bytesource import ByteSource
from audioengine.mp3.scan import scan
from audioengine.operations.gathering import opened_parts
from audioengine.operations.hashing import sha256_hex
from audioengine.operations.merge_rendering import render_merge
from audioengine.operations.merge_request import MergeMaterial, gather
from audioengine.operations.options import MergeOptions, options_of
from audioengine.operations.store_rendering import Nowhere, no_room
from audioengine.operations.verification import decoder_of, may_have_had_no_room
from audioengine.operations.workers import worker_count
from audioengine.parts import MergePart
from audioengine.render.weave import NoRoomError
from audioengine.report import Check, OmittedReport
from audioengine.storage import S3Options, SourceLike, open_source
from audioengine.verification.case import merge_case
from audioengine.verification.decoder import decoder_name
from audioengine.verification.judge import judge_copy, judge_merge, judge_unreadable
from audioengine.verification.verdict import MergeVerification, VerifiedPart
from audioengine.version import VERSION


def verify_merge(
    parts: Sequence[MergePart],
    output: SourceLike,
    options: MergeOptions = MergeOptions(),  # noqa: B008 - frozen
    *,
    s3: S3Options | None = None,
    workers: int | None = None,
) -> MergeVerification:
    """Check whether `output` is what `merge` promises to make of `parts` for this request.

    Everything is measured from the files; the report of `merge` is not used. The arguments are
    those of `merge`; `output` is a path, s3://bucket/key, bytes, or a readable binary file object.
    An output that breaks a promise raises no error: see `passed`, and `checks` for the figures.

    workers: threads that decode, by default one per processor; the verdict is the same for any
        number.

    Raises VerificationError if the decoder (miniaudio, in audioengine[verify]) is not installed,
    InvalidRequestError, MalformedAudioError, UnsupportedAudioError and LimitError where `merge`
    raises them, and StorageError.
    """
    started = time.perf_counter()
    options = options_of(options, MergeOptions)
    workers = worker_count(workers)
    with (
        opened_parts(parts, options, s3) as (there, omitted),
        closing(open_source(output, s3)) as made,
        ThreadPoolExecutor(2) as beside,
    ):
        gathered = gather(there, options)
        sources = [recording.file for _, recording in there]
        digests = [beside.submit(sha256_hex, place) for place in (*sources, made)]
        checks = judged_merge(gathered, options, made, workers)
        return MergeVerification(
            passed=all(check.passed for check in checks),
            checks=checks,
            parts=tuple(
                VerifiedPart(part.name, digest.result())
                for (part, _), digest in zip(there, digests, strict=False)
            ),
            omitted=tuple(OmittedReport(one.name, one.reason) for one in omitted),
            output_sha256=digests[-1].result(),
            decoder=decoder_of(checks),
            version=VERSION,
            wall_seconds=time.perf_counter() - started,
        )


def judged_merge(
    gathered: MergeMaterial, options: MergeOptions, output: ByteSource, workers: int
) -> tuple[Check, ...]:
    """Check an output of gathered recordings.

    Raises VerificationError if no decoder is installed.
    """
    require_decoder_for_merge(gathered)
    sources = [member.recording.source for member in gathered.members]
    read_samples = [member.recording.read_samples for member in gathered.members]
    if gathered.is_copy:
        return (judge_copy(sources[0], output),)
    try:
        index = scan(output)
    except (MalformedAudioError, UnsupportedAudioError) as error:
        return (judge_unreadable(str(error)),)
    case = merge_case(sources, read_samples, output, index, gathered.plan, options.beep)
    checks = judge_merge(case, workers)
    if may_have_had_no_room(checks, gathered.plan):
        full = _without_copies(gathered, options, workers)
        if full is not None:
            case = merge_case(sources, read_samples, output, index, full.plan, options.beep)
            checks = judge_merge(case, workers)
    return checks


def _without_copies(
    gathered: MergeMaterial, options: MergeOptions, workers: int
) -> MergeMaterial | None:
    """The plan that copies nothing, if the other has no room beside copied frames; else None."""
    members = gathered.members
    recordings = [member.recording for member in members]
    try:
        render_merge(
            gathered.plan, recordings, beep=options.beep, staging=Nowhere(), workers=workers
        )
    except NoRoomError as error:
        there = [(member.timed, member.recording) for member in members]
        return gather(there, options, no_room(error))
    return None


def require_decoder_for_merge(gathered: MergeMaterial) -> None:
    """Raise VerificationError if a decoder is needed and none is installed."""
    if not gathered.is_copy:
        decoder_name()
