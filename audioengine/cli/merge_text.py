# SPDX-License-Identifier: Apache-2.0
"""Reports of merges as text for people, in seconds of the timeline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from audioengine.cli.text import (
    HOW,
    bitrate_lines,
    file_lines,
    finding_lines,
    frame_lines,
    in_seconds,
    layout,
    notice_lines,
    recorded_lines,
    remade_lines,
    stretch,
    verdict_text,
    verified_line,
)
from audioengine.report import (
    MergePlanReport,
    MergeReport,
    MixedReport,
    OmittedReport,
    PartReport,
    StretchReport,
)
from audioengine.verification.verdict import MergeVerification


def merge_text(report: MergeReport, destination: str) -> str:
    """What `merge` did."""
    return layout(
        ("Output", file_lines(report.output, destination)),
        ("Parts", _parts(report.parts, report.omitted)),
        ("Heard", _heard(report.timeline)),
        ("Found", _found(report.parts)),
        ("Masked", _masks(report.parts)),
        ("Mixed", _mixed(report.mixed)),
        ("Render", [_render(report.render, report.grid_owner)]),
        ("Frames", frame_lines(report.frames)),
        ("Re-made", remade_lines(report.remade, report.seconds_reencoded)),
        ("Bitrate", bitrate_lines(report.bitrates)),
        ("Warnings", notice_lines(report.warnings)),
        ("Verified", verified_line(report.verification)),
        ("Recorded", recorded_lines(report.recorded)),
        ("Took", [f"{report.wall_seconds:.3f} s (audioengine {report.version})"]),
    )


def merge_verdict_text(verdict: MergeVerification, output: str) -> str:
    """Whether an output keeps its promises."""
    parts = [f"{part.id}: sha256 {part.sha256}" for part in verdict.parts]
    parts += [f"{one.id}: left out: {one.reason}" for one in verdict.omitted]
    return verdict_text(verdict, output, ("Parts", parts))


def merge_plan_text(report: MergePlanReport) -> str:
    """What `merge` would do."""
    length = in_seconds(report.output_samples * 1000 / report.rate_hz)
    sound = f"{report.rate_hz:,} Hz {'mono' if report.channels == 1 else 'stereo'}"
    return layout(
        ("Plan for", [f"{length} s, {sound}; nothing is written"]),
        ("Parts", _parts(report.parts, report.omitted)),
        ("Heard", _heard(report.timeline)),
        ("Found", _found(report.parts)),
        ("Masked", _masks(report.parts)),
        ("Mixed", _mixed(report.mixed)),
        ("Render", [_render(report.render, report.grid_owner)]),
        ("Frames", [f"{report.frame_count:,}, of which at least {report.copied:,} are copied"]),
        ("Re-made", remade_lines(report.remade, report.seconds_reencoded)),
        ("Bitrate", [f"{report.nominal_kbps} kbit/s"] if report.nominal_kbps else []),
        ("Warnings", notice_lines(report.warnings)),
    )


def _render(render: str, owner: str | None) -> str:
    how = {**HOW, "smart": "only what no recording alone has is re-encoded"}[render]
    return f"{render}: {how}" + (f"; frames lie as in {owner}" if owner else "")


def _parts(parts: Iterable[PartReport], omitted: Iterable[OmittedReport]) -> list[str]:
    out = []
    for part in parts:
        line = f"{part.id}: from {in_seconds(part.offset.ms)} s on, {stretch(part.interval)}"
        if part.moved_samples:
            line += f", moved by {part.moved_samples:+} samples"
        if part.resampled_from_hz:
            line += f", resampled from {part.resampled_from_hz:,} Hz"
        out.append(f"{line}; {part.copied_frames:,} frames to copy")
        if part.not_copied:
            out.append(f"  {part.not_copied.code}: {part.not_copied.message}")
    return out + [f"{one.id}: left out: {one.reason}" for one in omitted]


def _heard(timeline: Iterable[StretchReport]) -> list[str]:
    out = []
    for part in timeline:
        line = f"{stretch(part.interval)}: {' + '.join(part.heard) or 'silence'}"
        if part.silenced:
            line += f" (conference; silenced: {', '.join(part.silenced)})"
        out.append(line)
    return out


def _found(parts: Iterable[PartReport]) -> list[str]:
    return [f"{part.id}  {line}" for part in parts for line in finding_lines(part.findings)]


def _masks(parts: Iterable[PartReport]) -> list[str]:
    return [
        f"{part.id}  {mask.party:<6}  {mask.channel:<5}  {stretch(mask.applied)} of its own clock, "
        f"{stretch(mask.timeline)} of the timeline"
        for part in parts
        for mask in part.masks
    ]


def _mixed(mixed: Sequence[MixedReport]) -> list[str]:
    out = []
    for part in mixed:
        line = f"{stretch(part.interval)}: {' + '.join(part.heard)}"
        if part.limited_ms:
            line += (
                f"; turned down for {in_seconds(part.limited_ms)} s, {part.limiter_db} dB at most"
            )
        out.append(line)
    return out
