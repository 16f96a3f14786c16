# SPDX-License-Identifier: Apache-2.0
"""Lines of merges' reports, in seconds of the timeline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from audioengine.report.details import (
    MixedReport,
    OmittedReport,
    PartReport,
    StretchReport,
)
from audioengine.report.lines import HOW, finding_lines, in_seconds, stretch


def merge_render_line(render: str, owner: str | None) -> str:
    """How the merge was made."""
    how = {**HOW, "smart": "only what no recording alone has is re-encoded"}[render]
    return f"{render}: {how}" + (f"; frames lie as in {owner}" if owner else "")


def part_lines(parts: Iterable[PartReport], omitted: Iterable[OmittedReport]) -> list[str]:
    """The recordings, and those that were left out."""
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


def heard_lines(timeline: Iterable[StretchReport]) -> list[str]:
    """Who is heard when."""
    out = []
    for part in timeline:
        line = f"{stretch(part.interval)}: {' + '.join(part.heard) or 'silence'}"
        if part.silenced:
            line += f" (conference; silenced: {', '.join(part.silenced)})"
        out.append(line)
    return out


def part_finding_lines(parts: Iterable[PartReport]) -> list[str]:
    """What was found in each recording's files."""
    return [f"{part.id}  {line}" for part in parts for line in finding_lines(part.findings)]


def part_mask_lines(parts: Iterable[PartReport]) -> list[str]:
    """One line a mask of a recording."""
    return [
        f"{part.id}  {mask.party:<6}  {mask.channel:<5}  {stretch(mask.applied)} of its own clock, "
        f"{stretch(mask.timeline)} of the timeline"
        for part in parts
        for mask in part.masks
    ]


def mixed_lines(mixed: Sequence[MixedReport]) -> list[str]:
    """Where recordings are summed."""
    out = []
    for part in mixed:
        line = f"{stretch(part.interval)}: {' + '.join(part.heard)}"
        if part.limited_ms:
            line += (
                f"; turned down for {in_seconds(part.limited_ms)} s, {part.limiter_db} dB at most"
            )
        out.append(line)
    return out
