# SPDX-License-Identifier: Apache-2.0
"""Reports of plans and of what became of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from audioengine.edits import Edits, Span
from audioengine.mp3.index import FrameIndex
from audioengine.operations.coherence import MeasuredCoherence
from audioengine.operations.inspection import bitrates_of
from audioengine.operations.recording import Recording, source_warnings
from audioengine.plan.grid import Flags, FrameRange, flags_of, merged, ranges_of
from audioengine.plan.store import MAX_MOVED_FRAMES, PlannedMask, StorePlan
from audioengine.render.execute import Reason, RemadeFrames, Rendered
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
class Done:
    """What a store did; without a plan, a plain copy."""

    index: FrameIndex
    edits: Edits
    plan: StorePlan | None
    rendered: Rendered | None
    coherence: tuple[MeasuredCoherence | None, ...]


def store_report(
    done: Done,
    recording: Recording,
    source_sha256: str,
    output_sha256: str,
    output_bytes: int,
    wall_seconds: float,
) -> StoreReport:
    """The report of a finished store."""
    index, edits, plan, rendered = done.index, done.edits, done.plan, done.rendered
    source = _source_file(recording, source_sha256)
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
            trim=_trim(edits, index),
            masks=(),
            frames=FramesReport(index.frames, 0, 0, 0, 0),
            remade=(),
            render="copy",
            bitrates=BitratesReport(None, bitrates_of(index), 0, 0),
            seconds_reencoded=0.0,
            fallbacks=(),
            warnings=(*source_warnings(index), *edits.warnings),
            version=VERSION,
            wall_seconds=wall_seconds,
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
        trim=_trim(edits, index),
        masks=tuple(
            _mask(mask, measured, _moved(mask, plan, rendered), index)
            for mask, measured in zip(plan.masks, done.coherence, strict=True)
        ),
        frames=FramesReport(**rendered.counts),
        remade=tuple(_remade(part, plan, index) for part in rendered.remade),
        render=plan.render,
        bitrates=BitratesReport(
            index.format.bitrates_kbps[plan.bitrate_index],
            rendered.bitrates,
            rendered.raised,
            rendered.lowered,
        ),
        seconds_reencoded=_seconds((part.frames for part in rendered.remade), index),
        fallbacks=plan.fallbacks,
        warnings=(
            *source_warnings(index),
            *edits.warnings,
            *plan.warnings,
            *(notice for notice in crosstalk if notice is not None),
        ),
        version=VERSION,
        wall_seconds=wall_seconds,
    )


def plan_report(recording: Recording, edits: Edits, plan: StorePlan | None) -> PlanReport:
    """The report of a plan; without one, of a plain copy."""
    index = recording.index
    remade = _to_remake(plan) if plan else []
    return PlanReport(
        trim=_trim(edits, index),
        masks=tuple(_mask(mask, None, (0, 0), index) for mask in plan.masks) if plan else (),
        render=plan.render if plan else "copy",
        frames=plan.grid.frames.count if plan else index.frames,
        copied=plan.copied_frames if plan else index.frames,
        remade=tuple(_remade(part, plan, index) for part in remade) if plan else (),
        seconds_reencoded=_seconds((part.frames for part in remade), index),
        output_samples=edits.trim.length,
        fallbacks=plan.fallbacks if plan else (),
        warnings=(*recording.warnings, *edits.warnings, *(plan.warnings if plan else ())),
        version=VERSION,
    )


def _to_remake(plan: StorePlan) -> list[RemadeFrames]:
    """What a plan requires, by reason."""
    out = []
    for channel, parts in enumerate(plan.required):
        for part in parts:
            if plan.render == "full":
                out.append(RemadeFrames(channel, part, "full"))
                continue
            trimmed = flags_of(plan.trimmed, part)
            reasons: tuple[tuple[Reason, Flags], ...] = (("trim", trimmed), ("mask", ~trimmed))
            out += [
                RemadeFrames(channel, frames, reason)
                for reason, flags in reasons
                for frames in ranges_of(flags, part.first)
            ]
    return sorted(out, key=lambda part: (part.channel, part.frames))


def _source_file(recording: Recording, sha256: str) -> FileReport:
    index, tag = recording.index, recording.index.info_tag
    return FileReport(
        sha256,
        recording.source.size,
        index.samples,
        index.format.rate_hz,
        index.format.channels,
        index.tagged,
        tag.encoder_delay if tag and index.tagged else None,
        tag.padding if tag and index.tagged else None,
    )


def _trim(edits: Edits, index: FrameIndex) -> TrimReport:
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
    if index.format.channels == 1:
        channel = "mono"
    else:
        channel = "both" if len(planned.channels) == 2 else _channel(planned.channels[0], index)
    return MaskReport(
        party=planned.mask.party,
        channel=channel,
        asked=IntervalReport.of(planned.mask.asked, rate),
        applied=IntervalReport.of(planned.mask.applied, rate),
        moved_frames=moved,
        coherence=round(measured.value, 4) if measured else None,
        shared_frames=planned.shared_frames,
    )


def _channel(channel: int, index: FrameIndex) -> str:
    return "mono" if index.format.channels == 1 else ("left", "right")[channel]


def _moved(planned: PlannedMask, plan: StorePlan, rendered: Rendered) -> tuple[int, int]:
    """Frames that were re-made just before and after those that the mask requires."""
    core = planned.core
    if not core.count or plan.render == "full":
        return 0, 0
    required = merged(part for channel in plan.required for part in channel)
    extra = [part.frames for part in rendered.remade]

    def was_moved(frame: int) -> bool:
        return any(frame in part for part in extra) and not any(frame in part for part in required)

    before = after = 0
    while before < MAX_MOVED_FRAMES and was_moved(core.first - 1 - before):
        before += 1
    while after < MAX_MOVED_FRAMES and was_moved(core.last + after):
        after += 1
    return before, after


def _remade(part: RemadeFrames, plan: StorePlan, index: FrameIndex) -> RemadeReport:
    spf = index.format.samples_per_frame
    zero = plan.grid.origin - index.start
    played = Span(zero + part.frames.first * spf, zero + part.frames.last * spf)
    return RemadeReport(
        channel=_channel(part.channel, index),
        reason=part.reason,
        frames=(part.frames.first, part.frames.last),
        interval=IntervalReport.of(played.clipped(Span(0, index.samples)), index.format.rate_hz),
    )


def _seconds(ranges: Iterable[FrameRange], index: FrameIndex) -> float:
    frames = sum(part.count for part in merged(ranges))
    return frames * index.format.samples_per_frame / index.format.rate_hz
