# SPDX-License-Identifier: Apache-2.0
"""Builds the reports of `store` and `plan_store`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from audioengine.edits import Edits, Span
from audioengine.mp3.header import StreamFormat
from audioengine.mp3.index import FrameIndex
from audioengine.operations.coherence import MeasuredCoherence
from audioengine.operations.inspection import bitrates_of
from audioengine.operations.recording import Recording
from audioengine.plan.grid import FrameRange, flags_of, is_in, merged, ranges_of
from audioengine.plan.masks import PlannedMask
from audioengine.plan.rendering import RenderPlan
from audioengine.plan.store import StorePlan
from audioengine.render.execute import RemadeFrames, Rendered
from audioengine.report import (
    BitratesReport,
    FileReport,
    FramesReport,
    IntervalReport,
    MaskReport,
    PlanReport,
    RemadeReport,
    StoreReport,
    TrimReport,
)
from audioengine.version import VERSION


@dataclass(frozen=True, slots=True)
class StoreWork:
    """The result of a store; without a plan, a plain copy."""

    index: FrameIndex
    edits: Edits
    plan: StorePlan | None
    rendered: Rendered | None
    coherence: tuple[MeasuredCoherence | None, ...]


def store_report(
    done: StoreWork,
    recording: Recording,
    source_sha256: str,
    output_sha256: str,
    output_bytes: int,
    wall_seconds: float,
) -> StoreReport:
    """The report of a finished store."""
    index, edits, plan, rendered = done.index, done.edits, done.plan, done.rendered
    source = source_file(recording, source_sha256)
    if plan is None or rendered is None:
        output = FileReport(
            output_sha256,
            output_bytes,
            source.samples,
            source.rate_hz,
            source.channels,
            source.tagged,
            source.encoder_delay,
            source.padding,
        )
        return StoreReport(
            source=source,
            output=output,
            trim=trim_report(edits, index),
            masks=(),
            frames=FramesReport(index.frames, 0, 0, 0, 0),
            remade=(),
            render="copy",
            bitrates=BitratesReport(None, bitrates_of(index), 0, 0),
            seconds_reencoded=0.0,
            fallbacks=(),
            warnings=(*recording.warnings, *edits.warnings),
            version=VERSION,
            wall_seconds=wall_seconds,
            findings=edits.findings,
        )
    output = FileReport(
        output_sha256,
        output_bytes,
        plan.kept.length,
        source.rate_hz,
        source.channels,
        True,
        rendered.encoder_delay,
        rendered.padding,
    )
    crosstalk = (
        measured.notice(mask)
        for mask, measured in zip(plan.masks, done.coherence, strict=True)
        if measured is not None
    )
    return StoreReport(
        source=source,
        output=output,
        trim=trim_report(edits, index),
        masks=tuple(
            _mask(mask, measured, moved, index)
            for mask, measured, moved in zip(
                plan.masks, done.coherence, _moved(plan, rendered), strict=True
            )
        ),
        frames=FramesReport(**rendered.counts),
        remade=tuple(
            remade_report(part, plan, index.start, index.samples) for part in rendered.remade
        ),
        render=rendering_of(plan, [index]),
        bitrates=BitratesReport(
            index.format.bitrates_kbps[plan.bitrate_index],
            rendered.bitrates,
            rendered.raised,
            rendered.lowered,
        ),
        seconds_reencoded=seconds_of((part.frames for part in rendered.remade), plan.format),
        fallbacks=plan.fallbacks,
        warnings=(
            *recording.warnings,
            *edits.warnings,
            *plan.warnings,
            *(notice for notice in crosstalk if notice is not None),
        ),
        version=VERSION,
        wall_seconds=wall_seconds,
        findings=edits.findings,
    )


def plan_report(recording: Recording, edits: Edits, plan: StorePlan | None) -> PlanReport:
    """The report of a plan; without one, of a plain copy."""
    index = recording.index
    remade = to_remake(plan) if plan else []
    return PlanReport(
        trim=trim_report(edits, index),
        masks=tuple(_mask(mask, None, (0, 0), index) for mask in plan.masks) if plan else (),
        render=rendering_of(plan, [index]) if plan else "copy",
        frames=plan.grid.frames.count if plan else index.frames,
        copied=plan.copied_frames if plan else index.frames,
        remade=tuple(remade_report(part, plan, index.start, index.samples) for part in remade)
        if plan
        else (),
        seconds_reencoded=seconds_of((part.frames for part in remade), index.format),
        output_samples=edits.trim.length,
        fallbacks=plan.fallbacks if plan else (),
        warnings=(*recording.warnings, *edits.warnings, *(plan.warnings if plan else ())),
        version=VERSION,
        findings=edits.findings,
    )


def rendering_of(plan: RenderPlan, sources: Iterable[FrameIndex]) -> str:
    """The report's `render` of a plan; sources without frames are ``encoded``."""
    return plan.render if any(index.frames for index in sources) else "encoded"


def to_remake(plan: RenderPlan) -> list[RemadeFrames]:
    """The frames that a plan re-makes, by reason."""
    out = []
    for channel, parts in enumerate(plan.required):
        for part in parts:
            rest = np.ones(part.count, dtype=bool)
            for cause in plan.causes:
                flags = rest & flags_of(cause.frames, part)
                rest &= ~flags
                ranges = ranges_of(flags, part.first)
                out += [RemadeFrames(channel, frames, cause.reason) for frames in ranges]
            ranges = ranges_of(rest, part.first)
            out += [RemadeFrames(channel, frames, "mask") for frames in ranges]
    return sorted(out, key=lambda part: (part.channel, part.frames))


def source_file(recording: Recording, sha256: str) -> FileReport:
    """The report of a source."""
    index, tag = recording.index, recording.index.info_tag
    return FileReport(
        sha256,
        recording.file.size,
        index.samples,
        index.format.rate_hz,
        index.format.channels,
        index.tagged,
        tag.encoder_delay if tag and index.tagged else None,
        tag.padding if tag and index.tagged else None,
    )


def trim_report(edits: Edits, index: FrameIndex) -> TrimReport:
    """The report of a trim."""
    rate = index.format.rate_hz
    asked = IntervalReport.of(edits.trim_asked, rate) if edits.trim_asked else None
    return TrimReport(asked, IntervalReport.of(edits.trim, rate))


def _mask(
    planned: PlannedMask,
    measured: MeasuredCoherence | None,
    moved: tuple[int, int],
    index: FrameIndex,
) -> MaskReport:
    rate = index.format.rate_hz
    return MaskReport(
        party=planned.mask.party,
        channel=channels_of(planned, index.format),
        asked=IntervalReport.of(planned.mask.asked, rate),
        applied=IntervalReport.of(planned.mask.applied, rate),
        moved_frames=moved,
        coherence=round(measured.value, 4) if measured else None,
        shared_frames=planned.shared_frames,
    )


def _channel(channel: int, format: StreamFormat) -> str:
    return "mono" if format.channels == 1 else ("left", "right")[channel]


def channels_of(planned: PlannedMask, format: StreamFormat) -> str:
    """The channels of a source that a mask covers."""
    if len(planned.channels) == 2:
        return "both"
    return _channel(planned.channels[0], format)


def _moved(plan: StorePlan, rendered: Rendered) -> Iterator[tuple[int, int]]:
    """For each mask, the number of frames re-made just before and after those that it requires."""
    required = merged(part for channel in plan.required for part in channel)
    remade = merged(part.frames for part in rendered.remade)

    def was_moved(frame: int) -> bool:
        return is_in(frame, remade) and not is_in(frame, required)

    for mask in plan.masks:
        before = after = 0
        if mask.core.count and plan.render != "full":
            while was_moved(mask.core.first - 1 - before):
                before += 1
            while was_moved(mask.core.last + after):
                after += 1
        yield before, after


def remade_report(part: RemadeFrames, plan: RenderPlan, start: int, samples: int) -> RemadeReport:
    """The report of re-made frames, on a clock of `samples` samples from raw sample `start`."""
    spf, rate = plan.format.samples_per_frame, plan.format.rate_hz
    zero = plan.grid.origin - start
    played = Span(zero + part.frames.first * spf, zero + part.frames.last * spf)
    return RemadeReport(
        channel=_channel(part.channel, plan.format),
        reason=part.reason,
        frames=(part.frames.first, part.frames.last),
        interval=IntervalReport.of(played.clipped(Span(0, samples)), rate),
    )


def seconds_of(ranges: Iterable[FrameRange], format: StreamFormat) -> float:
    """The duration of the frames; a frame in several ranges counts once."""
    frames = sum(part.count for part in merged(ranges))
    return frames * format.samples_per_frame / format.rate_hz
