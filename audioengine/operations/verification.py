# SPDX-License-Identifier: Apache-2.0
"""`verify` checks an output against the promises of its request, from the files alone."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

from audioengine.edits import Edits, Modification
from audioengine.errors import MalformedAudioError, UnsupportedAudioError, VerificationError
from audioengine.mp3.bytesource import ByteSource
from audioengine.mp3.scan import scan
from audioengine.operations.hashing import sha256_hex
from audioengine.operations.options import StoreOptions, options_of
from audioengine.operations.recording import Recording, open_recording
from audioengine.operations.store_rendering import plan_of_rendering
from audioengine.operations.store_request import is_copy, resolved, store_plan
from audioengine.operations.transcripts import transcript_check, with_transcripts
from audioengine.operations.workers import worker_count
from audioengine.plan.rendering import RenderPlan
from audioengine.report import Check, VerdictReport
from audioengine.sources.raw import RawFormat
from audioengine.storage import S3Options, SourceLike, open_source
from audioengine.times import Number
from audioengine.verification.case import store_case
from audioengine.verification.decoder import decoder_name
from audioengine.verification.judge import judge, judge_copy, judge_unreadable
from audioengine.verification.verdict import Verification
from audioengine.version import VERSION

# The checks that fail if frames were re-made that could have been copied, or left out in gaps.
_COPY_CHECKS = {"copied_frames", "other_party", "gaps"}


def verify(
    source: SourceLike,
    output: SourceLike,
    modification: Modification | None = None,
    options: StoreOptions = StoreOptions(),  # noqa: B008 - frozen
    *,
    start_time_ms: Number | None = None,
    output_transcript: SourceLike | None = None,
    raw: RawFormat | str | None = None,
    s3: S3Options | None = None,
    workers: int | None = None,
) -> Verification:
    """Check whether `output` is what `store` promises to make of `source` for this request.

    Everything is measured from the files; the report of `store` is not used. The arguments are
    those of `store`; `output` is a path, s3://bucket/key, bytes, or a readable binary file object.
    An output that breaks a promise raises no error: see `passed`, and `checks` for the figures.

    output_transcript: a transcript of the output, read as the option `transcript` says. The check
        `transcript` fails if it still has a word inside a mask, or a card number.
    workers: threads that decode, by default one per processor; the verdict is the same for any
        number.

    Raises VerificationError if the decoder (miniaudio, in audioengine[verify]) is not installed,
    InvalidRequestError, MalformedAudioError and UnsupportedAudioError where `store` raises them,
    and StorageError.
    """
    started = time.perf_counter()
    options = options_of(options, StoreOptions)
    workers = worker_count(workers)
    modification = with_transcripts(modification, options, s3)
    with (
        open_recording(
            source, allow_truncated=options.allow_truncated, s3=s3, raw=raw
        ) as recording,
        closing(open_source(output, s3)) as made,
        ThreadPoolExecutor(2) as beside,
    ):
        edits = resolved(recording, modification, options, start_time_ms, workers)
        digests = [beside.submit(sha256_hex, place) for place in (recording.file, made)]
        checks = output_checks(recording, edits, options, made, workers)
        if output_transcript is not None:
            rate_hz = recording.index.format.rate_hz
            checks += (transcript_check(output_transcript, options, edits, rate_hz, s3),)
        return verification(
            checks, digests[0].result(), digests[1].result(), time.perf_counter() - started
        )


def output_checks(
    recording: Recording, edits: Edits, options: StoreOptions, output: ByteSource, workers: int
) -> tuple[Check, ...]:
    """Check an output of edits of a recording.

    Raises VerificationError if no decoder is installed, UnsupportedAudioError where `store` would.
    """
    require_decoder(recording, edits)
    if is_copy(recording, edits):
        return (judge_copy(recording.source, output),)
    plan = store_plan(recording, edits, options)
    try:
        index = scan(output)
    except (MalformedAudioError, UnsupportedAudioError) as error:
        return (judge_unreadable(str(error)),)
    case = store_case(
        recording.source,
        recording.index,
        output,
        index,
        plan,
        options.beep,
        recording.read_samples,
    )
    checks = judge(case, workers)
    if may_have_had_no_room(checks, plan):
        plan = plan_of_rendering(recording, edits, options, workers)
        if plan.render == "full":
            checks = judge(replace(case, plan=plan), workers)
    return checks


def may_have_had_no_room(checks: tuple[Check, ...], plan: RenderPlan) -> bool:
    """Whether everything may have been re-made for lack of room; only rendering can confirm it."""
    failed = {check.name for check in checks if not check.passed}
    return bool(failed) and failed <= _COPY_CHECKS and plan.render == "smart"


def require_decoder(recording: Recording, edits: Edits) -> None:
    """Raise VerificationError if a decoder is needed and none is installed."""
    if not is_copy(recording, edits):
        decoder_name()


def kept_promises(checks: tuple[Check, ...]) -> VerdictReport:
    """The verdict on an output that may be published.

    Raises VerificationError with every check that failed.
    """
    failed = [f"{check.name}: {check.message}" for check in checks if not check.passed]
    if failed:
        raise VerificationError(
            f"the output breaks a promise and is not published; {' '.join(failed)}"
        )
    return VerdictReport(True, checks, decoder_of(checks))


def decoder_of(checks: Iterable[Check]) -> str:
    """The decoder that these checks used; empty if none was needed."""
    return "" if any(check.name == "copy" for check in checks) else decoder_name()


def verification(
    checks: tuple[Check, ...], source_sha256: str, output_sha256: str, wall_seconds: float
) -> Verification:
    """The verdict of the checks."""
    return Verification(
        passed=all(check.passed for check in checks),
        checks=checks,
        source_sha256=source_sha256,
        output_sha256=output_sha256,
        decoder=decoder_of(checks),
        version=VERSION,
        wall_seconds=wall_seconds,
    )
