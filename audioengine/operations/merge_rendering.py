# SPDX-License-Identifier: Apache-2.0
"""Rendering a planned merge, and planning it anew around damage that only decoding finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from audioengine.choices import Align
from audioengine.edits import Beep
from audioengine.mp3.index import FrameIndex
from audioengine.mp3.info_tag import OWN_ENCODER
from audioengine.mp3.main_data import damaged_frames
from audioengine.notices import Notice
from audioengine.operations.coherence import coherence_under
from audioengine.operations.gathering import decoded_or_named
from audioengine.operations.merge_reporting import Merged
from audioengine.pcm.tone import Tone
from audioengine.plan.encode import header_for
from audioengine.plan.merge import MergePlan, plan_merge
from audioengine.render.execute import Progress, Rendered, execute
from audioengine.render.section import DamagedFrameError
from audioengine.render.stream import Patch, PatchedStream, RecordingStream
from audioengine.render.timeline import TimelinePcm
from audioengine.storage import Source, Staging


def render_merge(
    plan: MergePlan,
    sources: Sequence[Source],
    *,
    align: Align,
    beep: Beep,
    staging: Staging,
    workers: int,
    progress: Progress | None,
) -> Merged:
    """Write what the plan says, of which `sources` are the recordings, to an empty `staging`.

    align: how the plan was made, for another one without copies of a recording that turns out to
    be damaged; what was done in the end is in the result.

    Raises UndecodableError for a recording that can't be decoded, and StorageError.
    """
    while True:
        indexes = _readable(plan, sources)
        pcm = TimelinePcm(
            plan,
            [
                partial(decoded_or_named, number, source, index)
                for number, (source, index) in enumerate(zip(sources, indexes, strict=True))
            ],
            partial(Tone, beep),
        )
        tone = Tone(beep, plan.format.rate_hz)
        try:
            rendered = _execute(plan, sources, pcm, tone, staging, workers, progress)
        except DamagedFrameError as error:
            plan = _without_copies_of(plan, error.frame, align)
            staging.restart()
            continue
        coherence = {
            (number, place): measured
            for number, (part, read) in enumerate(zip(plan.parts, pcm.read_raw, strict=True))
            for place, mask in enumerate(part.masks)
            if (measured := coherence_under(mask, read, part.index.format)) is not None
        }
        return Merged(plan, rendered, pcm.log, coherence)


def _readable(plan: MergePlan, sources: Sequence[Source]) -> list[FrameIndex]:
    """The indexes to decode by: of damaged recordings, with all their lost frames named."""
    return [
        replace(part.index, lost=damaged_frames(source, part.index))
        if (notice := plan.obstacles.get(number)) is not None and notice.code == "damage"
        else part.index
        for number, (part, source) in enumerate(zip(plan.parts, sources, strict=True))
    ]


def _execute(
    plan: MergePlan,
    sources: Sequence[Source],
    pcm: TimelinePcm,
    tone: Tone,
    staging: Staging,
    workers: int,
    progress: Progress | None,
) -> Rendered:
    header, encoder = header_for(plan.format, plan.bitrate_index), OWN_ENCODER
    streams = {
        (one.part, one.shift): RecordingStream(
            sources[one.part], plan.parts[one.part].index, one.shift
        )
        for one in plan.copied
    }
    if plan.owner is not None:
        own = RecordingStream(sources[plan.owner], plan.parts[plan.owner].index)
        header, encoder = own.header, own.encoder
    patches = [Patch(one.frames, streams[one.part, one.shift]) for one in plan.copied]
    return execute(
        PatchedStream(header, encoder, patches),
        plan,
        tone,
        staging,
        pcm,
        workers=workers,
        progress=progress,
    )


def _without_copies_of(plan: MergePlan, frame: int, align: Align) -> MergePlan:
    """The plan with the recording that has this damaged frame made anew throughout."""
    one = next(one for one in plan.copied if frame in one.frames)
    part = plan.parts[one.part]
    number = frame - one.shift
    message = f"It is damaged near what is made anew, at frame {number}"
    notice = Notice("damage", f"{message} (byte {part.index.offset(number)})")
    parts = [
        replace(part.moved_by(-part.moved), obstacle=notice if at == one.part else part.obstacle)
        for at, part in enumerate(plan.parts)
    ]
    return plan_merge(parts, plan.format, align=align, render=plan.render)
