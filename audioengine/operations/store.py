# SPDX-License-Identifier: Apache-2.0
"""`store`: one recording, trimmed and masked; `plan_store`: the same without doing it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from functools import partial

from audioengine.edits import Beep, Edits, Modification
from audioengine.errors import InvalidRequestError, Problem, UnsupportedAudioError
from audioengine.mp3.index import FrameIndex
from audioengine.mp3.main_data import damaged_frames
from audioengine.notices import Notice
from audioengine.operations import reporting
from audioengine.operations.coherence import MeasuredCoherence, measured_coherence
from audioengine.operations.copying import copy_whole
from audioengine.operations.facts import facts_of
from audioengine.operations.hashing import sha256_hex
from audioengine.operations.recording import Recording, open_recording
from audioengine.operations.store_request import StoreChoices, planned, resolved
from audioengine.operations.verification import judged, kept_promises, require_decoder
from audioengine.operations.workers import worker_count
from audioengine.pcm.decode import decode_raw
from audioengine.pcm.tone import Tone
from audioengine.plan.masks import CallerChannel, PlannedMask, SharedFrames
from audioengine.plan.rendering import Render
from audioengine.plan.store import Fallback, StorePlan
from audioengine.render.execute import Progress, Rendered, execute
from audioengine.render.section import DamagedFrameError
from audioengine.render.stream import RecordingStream
from audioengine.report import PlanReport, StoreReport
from audioengine.storage import (
    DestinationLike,
    S3Options,
    SourceLike,
    Staging,
    open_destination,
)
from audioengine.times import Number


def store(
    source: SourceLike,
    destination: DestinationLike,
    modification: Modification | None = None,
    *,
    start_time_ms: Number | None = None,
    render: Render = "smart",
    beep: Beep = Beep(),  # noqa: B008 - frozen
    caller_channel: CallerChannel = "left",
    encoder_delay: int = 0,
    shared_frames: SharedFrames = "keep",
    fallback: Fallback = "full",
    allow_truncated: bool = False,
    fail_on_crosstalk: bool = False,
    verify: bool = False,
    s3: S3Options | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> StoreReport:
    """Trim and mask a recording; every frame that the edit does not touch stays as it is.

    The output appears at `destination` whole or not at all; it may be the source. Without an
    edit it is a copy, byte for byte.

    source: a path, s3://bucket/key, bytes, a readable binary file object, or an object of a
        storage.
    destination: a path, s3://bucket/key, a writable binary file object, or an object of a storage.
    start_time_ms: epoch time of the recording's start, for absolute times.
    render: "smart", or "full" to re-encode everything.
    caller_channel: "left", or "right" where the recorder has the parties the other way round.
    encoder_delay: samples by which an untagged source holds its audio late (absolute times).
    shared_frames: what becomes of the other party in frames coded as mid/side under a mask of
        one: "keep" re-encodes it, "mask_both" masks it too.
    fallback: where the smart path can't go, re-encode everything ("full") or raise ("refuse").
    allow_truncated: take a recording that its tag says is cut off.
    fail_on_crosstalk: raise where a masked voice seems to be on the other channel too.
    verify: publish the output only where it passes what `verify` checks.
    s3: how places that begin with s3:// are reached and encrypted.
    workers: threads that decode and encode, default one a processor; no influence on the output.
    progress: called with frames done and frames in all.

    Raises InvalidRequestError, MalformedAudioError, UnsupportedAudioError, LimitError and
    StorageError, with `verify` also VerificationError; there is no output then.
    """
    started = time.perf_counter()
    options = StoreChoices(render, beep, caller_channel, shared_frames, fallback)
    workers = worker_count(workers)
    with open_recording(source, allow_truncated=allow_truncated, s3=s3) as recording:
        edits = resolved(recording, modification, options, start_time_ms, encoder_delay)
        if verify:
            require_decoder(edits)
        with (
            closing(open_destination(destination, s3)) as staging,
            ThreadPoolExecutor(1) as beside,
        ):
            source_digest = beside.submit(sha256_hex, recording.source)
            if edits.is_identity:
                copy_whole(recording.source, staging)
                done = reporting.Done(recording.index, edits, None, None, ())
            else:
                done = _edit(
                    recording,
                    edits,
                    options,
                    staging,
                    workers,
                    progress,
                    fail_on_crosstalk=fail_on_crosstalk,
                )
            verdict = None
            if verify:
                verdict = kept_promises(judged(recording, edits, options, staging, workers))
            output_digest = sha256_hex(staging)
            report = reporting.store_report(
                done,
                recording,
                source_digest.result(),
                output_digest,
                staging.size,
                time.perf_counter() - started,
            )
            recording.source.check_unchanged()
            staging.publish(facts_of([report.source.sha256]))
    return replace(report, verification=verdict)


def plan_store(
    source: SourceLike,
    modification: Modification | None = None,
    *,
    start_time_ms: Number | None = None,
    render: Render = "smart",
    beep: Beep = Beep(),  # noqa: B008 - frozen
    caller_channel: CallerChannel = "left",
    encoder_delay: int = 0,
    shared_frames: SharedFrames = "keep",
    fallback: Fallback = "full",
    allow_truncated: bool = False,
    s3: S3Options | None = None,
) -> PlanReport:
    """Say what `store` would do with the same arguments, without decoding or writing anything.

    Raises what `store` would raise before it renders.
    """
    options = StoreChoices(render, beep, caller_channel, shared_frames, fallback)
    with open_recording(source, allow_truncated=allow_truncated, s3=s3) as recording:
        edits = resolved(recording, modification, options, start_time_ms, encoder_delay)
        plan = None if edits.is_identity else planned(recording, recording.index, edits, options)
        return reporting.plan_report(recording, edits, plan)


def _edit(
    recording: Recording,
    edits: Edits,
    options: StoreChoices,
    staging: Staging,
    workers: int,
    progress: Progress | None,
    *,
    fail_on_crosstalk: bool,
) -> reporting.Done:
    index = recording.index
    plan = planned(recording, index, edits, options)
    if any(notice.code == "damage" for notice in plan.fallbacks):
        index = replace(index, lost=damaged_frames(recording.source, index))
    tone = Tone(options.beep, index.format.rate_hz)
    try:
        rendered = _execute(recording, index, plan, tone, staging, workers, progress)
    except DamagedFrameError as error:
        plan, index = _around_damage(recording, edits, options, error.frame)
        staging.restart()
        rendered = _execute(recording, index, plan, tone, staging, workers, progress)
    coherence = measured_coherence(plan.masks, rendered.coherence)
    if fail_on_crosstalk:
        _refuse_crosstalk(plan.masks, coherence)
    return reporting.Done(index, edits, plan, rendered, coherence)


def _execute(
    recording: Recording,
    index: FrameIndex,
    plan: StorePlan,
    tone: Tone,
    staging: Staging,
    workers: int,
    progress: Progress | None,
) -> Rendered:
    return execute(
        RecordingStream(recording.source, index),
        plan,
        tone,
        staging,
        partial(decode_raw, recording.source, index),
        workers=workers,
        progress=progress,
    )


def _around_damage(
    recording: Recording, edits: Edits, options: StoreChoices, frame: int
) -> tuple[StorePlan, FrameIndex]:
    """The full plan for a source that turned out to be damaged where the smart one went."""
    place = f"frame {frame} (byte {recording.index.offset(frame)})"
    notice = Notice("damage", f"The recording is damaged near an edit, at {place}")
    if options.fallback == "refuse":
        raise UnsupportedAudioError(
            f'{notice.message}; fallback="full" re-encodes the whole recording instead',
            recording.index.offset(frame),
        )
    lost = damaged_frames(recording.source, recording.index)
    index = replace(recording.index, lost=lost)
    plan = planned(recording, index, edits, replace(options, render="full"))
    return replace(plan, fallbacks=(*plan.fallbacks, notice)), index


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
