# SPDX-License-Identifier: Apache-2.0
"""Reports of merges and of their plans."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from fractions import Fraction
from operator import attrgetter
from typing import Any

from audioengine.edits import Span, join
from audioengine.notices import Notice
from audioengine.operations.coherence import MeasuredCoherence
from audioengine.operations.gathering import Member, Omitted
from audioengine.operations.inspection import bitrates_of
from audioengine.operations.options import MergeOptions
from audioengine.operations.reporting import (
    channels_of,
    remade_report,
    rendering_of,
    seconds_of,
    source_file,
    to_remake,
    trim_report,
)
from audioengine.plan.conference import ConferenceSpan
from audioengine.plan.masks import PlannedMask
from audioengine.plan.merge import MergePlan
from audioengine.plan.placing import PlacedPart, apart
from audioengine.render.execute import Rendered
from audioengine.render.timeline import LimiterLog
from audioengine.report import (
    BitratesReport,
    FileReport,
    FramesReport,
    IntervalReport,
    MergePlanReport,
    MergeReport,
    MixedReport,
    OmittedReport,
    PartMaskReport,
    PartReport,
    PlaceReport,
    StretchReport,
)
from audioengine.times import Number, exact, ms_to_samples, plain
from audioengine.version import VERSION


@dataclass(frozen=True)
class Merged:
    """The result of a merge; without `rendered`, a plain copy."""

    plan: MergePlan
    rendered: Rendered | None
    limited: LimiterLog | None
    coherence: Mapping[tuple[int, int], MeasuredCoherence]
    """By the numbers of a part and of its mask, if measured."""


def merge_report(
    done: Merged,
    members: Sequence[Member],
    omitted: Sequence[Omitted],
    options: MergeOptions,
    source_digests: Sequence[str],
    output_sha256: str,
    output_bytes: int,
    wall_seconds: float,
) -> MergeReport:
    """The report of a finished merge."""
    plan, rendered, format = done.plan, done.rendered, done.plan.format
    sources = [
        source_file(member.recording, digest)
        for member, digest in zip(members, source_digests, strict=True)
    ]
    common = _common(plan, members, omitted, options, sources, done, copied=rendered is None)
    if rendered is None:
        index = members[0].recording.index
        alone = sources[0]
        return MergeReport(
            **common,
            output=FileReport(
                output_sha256,
                output_bytes,
                alone.samples,
                alone.rate_hz,
                alone.channels,
                alone.tagged,
                alone.encoder_delay,
                alone.padding,
            ),
            frames=FramesReport(index.frames, 0, 0, 0, 0),
            remade=(),
            bitrates=BitratesReport(None, bitrates_of(index), 0, 0),
            seconds_reencoded=0.0,
            wall_seconds=wall_seconds,
        )
    samples = plan.kept.length
    return MergeReport(
        **common,
        output=FileReport(
            output_sha256,
            output_bytes,
            samples,
            format.rate_hz,
            format.channels,
            True,
            rendered.encoder_delay,
            rendered.padding,
        ),
        frames=FramesReport(**rendered.counts),
        remade=tuple(remade_report(part, plan, plan.origin, samples) for part in rendered.remade),
        bitrates=BitratesReport(
            format.bitrates_kbps[plan.bitrate_index],
            rendered.bitrates,
            rendered.raised,
            rendered.lowered,
        ),
        seconds_reencoded=seconds_of((part.frames for part in rendered.remade), format),
        wall_seconds=wall_seconds,
    )


def merge_plan_report(
    plan: MergePlan,
    members: Sequence[Member],
    omitted: Sequence[Omitted],
    options: MergeOptions,
    *,
    is_copy: bool,
) -> MergePlanReport:
    """The report of a plan."""
    remade = () if is_copy else to_remake(plan)
    format = plan.format
    done = Merged(plan, None, None, {})
    frames = members[0].recording.index.frames if is_copy else plan.grid.frames.count
    return MergePlanReport(
        **_common(plan, members, omitted, options, None, done, copied=is_copy),
        output_samples=members[0].recording.index.samples if is_copy else plan.kept.length,
        rate_hz=format.rate_hz,
        channels=format.channels,
        frame_count=frames,
        copied=frames if is_copy else plan.copied_frames,
        remade=tuple(remade_report(part, plan, plan.origin, plan.kept.length) for part in remade),
        nominal_kbps=None if is_copy else format.bitrates_kbps[plan.bitrate_index],
        seconds_reencoded=seconds_of((part.frames for part in remade), format),
    )


def _common(
    plan: MergePlan,
    members: Sequence[Member],
    omitted: Sequence[Omitted],
    options: MergeOptions,
    sources: Sequence[FileReport] | None,
    done: Merged,
    *,
    copied: bool,
) -> dict[str, Any]:
    """The fields that both reports share."""
    rate = plan.format.rate_hz
    names = [member.name for member in members]
    masks = [_masks(number, plan, names, done.coherence) for number in range(len(members))]
    copied_frames = Counter[int]()
    for one in plan.copied:
        copied_frames[one.part] += one.frames.count
    is_apart = apart(plan.parts)
    return {
        "parts": tuple(
            _part(
                number,
                member,
                plan,
                sources[number] if sources else None,
                masks[number],
                copied_frames[number],
                is_apart=is_apart[number],
                copied=copied,
            )
            for number, member in enumerate(members)
        ),
        "timeline": tuple(
            StretchReport(
                IntervalReport.of(stretch.span, rate),
                tuple(names[n] for n in stretch.heard),
                tuple(names[n] for n in stretch.silenced),
            )
            for stretch in plan.stretches
        ),
        "gaps": _intervals((s.span for s in plan.stretches if not s.heard), rate),
        "mixed": tuple(
            _mixed(stretch, names, done.limited, rate)
            for stretch in plan.stretches
            if len(stretch.heard) > 1
        ),
        "grid_owner": None if plan.owner is None else names[plan.owner],
        "align": options.align,
        "omitted": tuple(OmittedReport(one.name, one.reason) for one in omitted),
        "render": "copy" if copied else rendering_of(plan, [part.index for part in plan.parts]),
        "warnings": (
            *_warnings(plan, members, masks, done.coherence, sources),
            *_long_gaps(plan, members, options.max_gap_s),
        ),
        "version": VERSION,
    }


def _part(
    number: int,
    member: Member,
    plan: MergePlan,
    source: FileReport | None,
    masks: tuple[PartMaskReport, ...],
    frames: int,
    *,
    is_apart: bool,
    copied: bool,
) -> PartReport:
    """frames: the number copied from it; is_apart: whether it overlaps no other recording."""
    placed, rate = plan.parts[number], plan.format.rate_hz
    heard = plan.hearing.heard[number]
    own = placed.index.format.rate_hz
    return PartReport(
        id=member.name,
        start_time_ms=float(member.timed.start_ms),
        offset=PlaceReport(placed.offset - placed.moved, float(member.offset_ms)),
        moved_samples=placed.moved,
        source=source,
        interval=IntervalReport.of(placed.audio, rate),
        trim=trim_report(placed.edits, placed.index),
        masks=masks,
        heard=_intervals(heard, rate),
        silenced=_intervals(plan.hearing.silenced[number], rate),
        copied_frames=placed.index.frames if copied else frames,
        resampled_from_hz=own if own != rate and heard else None,
        not_copied=None if copied or frames else _why_not(number, plan, is_apart=is_apart),
        findings=placed.edits.findings,
    )


def _why_not(number: int, plan: MergePlan, *, is_apart: bool) -> Notice | None:
    """Why no frame of a recording is copied although it is heard alone somewhere."""
    if number in plan.obstacles or not plan.hearing.alone[number]:
        return plan.obstacles.get(number)
    if plan.render == "full":
        return None
    message = "Its frames do not fall on the output's frame grid"
    if is_apart:
        message += '; align="frame" may move it there'
    return Notice("off_grid", message)


def _intervals(spans: Iterable[Span], rate: int) -> tuple[IntervalReport, ...]:
    return tuple(IntervalReport.of(span, rate) for span in join(spans))


def _masks(
    number: int,
    plan: MergePlan,
    names: Sequence[str],
    coherence: Mapping[tuple[int, int], MeasuredCoherence],
) -> tuple[PartMaskReport, ...]:
    placed = plan.parts[number]
    rate = placed.index.format.rate_hz
    out = []
    for place, mask in enumerate(placed.masks):
        measured = coherence.get((number, place))
        there = _there(mask, placed)
        first = max(0, bisect_right(plan.stretches, there.start, key=_start) - 1)
        others = {
            other
            for stretch in plan.stretches[
                first : bisect_left(plan.stretches, there.end, key=_start)
            ]
            for other in stretch.heard
            if other != number
            and _still_heard(plan.parts[other], mask, placed, there.clipped(stretch.span))
        }
        out.append(
            PartMaskReport(
                party=mask.mask.party,
                channel=channels_of(mask, placed.index.format),
                asked=IntervalReport.of(mask.mask.asked, rate),
                applied=IntervalReport.of(mask.mask.applied, rate),
                timeline=IntervalReport.of(there, plan.format.rate_hz),
                coherence=round(measured.value, 4) if measured else None,
                also_heard=tuple(names[other] for other in sorted(others)),
            )
        )
    return tuple(out)


def _start(stretch: ConferenceSpan) -> int:
    return stretch.span.start


def _still_heard(other: PlacedPart, mask: PlannedMask, placed: PlacedPart, span: Span) -> bool:
    """Whether a masked party may be heard there in another recording, despite its own masks."""
    masked = other.masked_on_timeline
    alike = len(masked) == len(placed.masked)
    channels = mask.channels if alike else range(len(masked))
    return not all(_covered(span, masked[channel]) for channel in channels)


def _covered(span: Span, spans: Sequence[Span]) -> bool:
    """Whether one of the sorted `spans` covers all of `span`."""
    at = bisect_right(spans, span.start, key=attrgetter("start")) - 1
    return at >= 0 and spans[at].end >= span.end


def _there(mask: PlannedMask, placed: PlacedPart) -> Span:
    """A mask on the timeline."""
    start, end = placed.time_of(mask.mask.applied)
    return Span(math.floor(start), math.ceil(end))


def _mixed(
    stretch: ConferenceSpan, names: Sequence[str], limited: LimiterLog | None, rate: int
) -> MixedReport:
    milliseconds = decibels = None
    if limited is not None:
        gain, samples = limited.least(stretch.span)
        milliseconds = samples * 1000 / rate
        decibels = round(20 * math.log10(gain), 2) if gain < 1 else 0.0
    return MixedReport(
        IntervalReport.of(stretch.span, rate),
        tuple(names[number] for number in stretch.heard),
        milliseconds,
        decibels,
    )


def _long_gaps(plan: MergePlan, members: Sequence[Member], most_s: Number) -> Iterator[Notice]:
    """Warnings of gaps that are long for a conversation: a start time may be wrong."""
    rate = plan.format.rate_hz
    most = ms_to_samples(exact(most_s, "max_gap_s") * 1000, rate)
    for before, gap, after in zip(
        plan.stretches, plan.stretches[1:], plan.stretches[2:], strict=False
    ):
        if gap.heard or gap.span.length <= most:
            continue
        # The nearest recording before the gap, and the nearest after it.
        last, first = before.heard[-1], after.heard[0]
        hours = plain(Fraction(round(gap.span.length * 100 / (rate * 3600)), 100))
        yield Notice(
            "long_gap",
            f"Nobody is heard for {hours} h between {_dated(members[last])} and "
            f"{_dated(members[first])}. If one of these starts is wrong, so is the merge; "
            "if both are right, raise max_gap_s.",
        )


def _dated(member: Member) -> str:
    start = datetime.fromtimestamp(float(member.timed.start_ms) / 1000, timezone.utc)
    return f"{member.name}, which starts {start.isoformat(' ', 'seconds')[:-6]} UTC,"


def _warnings(
    plan: MergePlan,
    members: Sequence[Member],
    masks: Sequence[tuple[PartMaskReport, ...]],
    coherence: Mapping[tuple[int, int], MeasuredCoherence],
    sources: Sequence[FileReport] | None,
) -> list[Notice]:
    out = []
    for number, member in enumerate(members):
        about = [*member.warnings]
        for place, mask in enumerate(masks[number]):
            measured = coherence.get((number, place))
            crosstalk = measured.notice(plan.parts[number].masks[place]) if measured else None
            about += [crosstalk] if crosstalk else []
            if mask.also_heard:
                start, end = mask.timeline.ms
                message = (
                    f"Under the mask of {mask.party} at {start:.0f} to {end:.0f} ms of the "
                    f"timeline, {', '.join(mask.also_heard)} can be heard too and may hold the "
                    'same words; mask_scope="conference" masks them too if they list a conference '
                    "there."
                )
                about.append(Notice("mask_heard_elsewhere", message))
        out += [Notice(notice.code, f"{member.name}: {notice.message}") for notice in about]
    seen: dict[str, str] = {}
    for member, source in zip(members, sources or (), strict=False):
        twin = seen.setdefault(source.sha256, member.name)
        if twin != member.name:
            message = f"{member.name} is identical, byte for byte, to {twin}."
            out.append(Notice("same_content", message))
    return out
