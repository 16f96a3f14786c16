# SPDX-License-Identifier: Apache-2.0
"""Renders a planned merge."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from audioengine.edits import Beep
from audioengine.mp3.info_tag import OWN_ENCODER
from audioengine.operations.coherence import coherence_under
from audioengine.operations.gathering import decoded_or_named
from audioengine.operations.merge_reporting import Merged
from audioengine.operations.recording import Recording
from audioengine.operations.store_rendering import Restartable
from audioengine.pcm.tone import BeepTone
from audioengine.plan.encode import header_for
from audioengine.plan.merge import MergePlan
from audioengine.render.execute import Progress, Rendered, render_plan
from audioengine.render.stream import CopiedRun, PatchedStream, RecordingStream
from audioengine.render.timeline import TimelinePcm


def render_merge(
    plan: MergePlan,
    recordings: Sequence[Recording],
    *,
    beep: Beep,
    staging: Restartable,
    workers: int,
    progress: Progress | None = None,
) -> Merged:
    """Write the planned merge of these recordings to an empty `staging`.

    Raises UndecodablePartError for a recording that can't be decoded, NoRoomError if re-made frames
    do not fit beside copied ones, and StorageError.
    """
    pcm = TimelinePcm(
        plan,
        [
            partial(decoded_or_named, number, recording)
            for number, recording in enumerate(recordings)
        ],
        partial(BeepTone, beep),
    )
    rendered = _execute(
        plan, recordings, pcm, BeepTone(beep, plan.format.rate_hz), staging, workers, progress
    )
    coherence = {
        (number, place): measured
        for number, (part, read) in enumerate(zip(plan.parts, pcm.read_raw, strict=True))
        for place, mask in enumerate(part.masks)
        if (measured := coherence_under(mask, read, part.index.format)) is not None
    }
    return Merged(plan, rendered, pcm.log, coherence)


def _execute(
    plan: MergePlan,
    recordings: Sequence[Recording],
    pcm: TimelinePcm,
    tone: BeepTone,
    staging: Restartable,
    workers: int,
    progress: Progress | None,
) -> Rendered:
    header, encoder = header_for(plan.format, plan.bitrate_index), OWN_ENCODER
    streams = {
        (one.part, one.shift): RecordingStream(
            recordings[one.part].source, plan.parts[one.part].index, one.shift
        )
        for one in plan.copied
    }
    if plan.owner is not None:
        own = RecordingStream(recordings[plan.owner].source, plan.parts[plan.owner].index)
        header, encoder = own.header, own.encoder
    patches = [CopiedRun(one.frames, streams[one.part, one.shift]) for one in plan.copied]
    return render_plan(
        PatchedStream(header, encoder, patches),
        plan,
        tone,
        staging,
        pcm,
        workers=workers,
        progress=progress,
    )
