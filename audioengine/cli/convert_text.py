# SPDX-License-Identifier: Apache-2.0
"""What `convert` did, as text for people."""

from __future__ import annotations

from datetime import datetime, timezone

from audioengine.cli.text import (
    HOW,
    bitrate_lines,
    file_lines,
    in_seconds,
    layout,
    notice_lines,
    stretch,
)
from audioengine.report import (
    ConvertReport,
    IntervalReport,
    LegReport,
    PartyReport,
    StreamPartReport,
    StreamReport,
)


def converted(report: ConvertReport, destination: str) -> str:
    """What `convert` did."""
    start = report.start_time_ms
    return layout(
        ("Output", file_lines(report.output, destination)),
        ("Starts", [] if start is None else [f"{_clock(start)} ({start:.3f} ms)"]),
        ("Sources", [line for one in report.sources for line in _source(one)]),
        ("Streams", [line for one in report.streams for line in _stream(one)]),
        ("Parties", [_party(one) for one in report.parties]),
        ("Both", [stretch(one) for one in report.overlap] if len(report.sources) > 1 else []),
        ("Silent", [line for one in report.parties for line in _silence(one)]),
        ("Render", [f"{report.render}: {HOW[report.render]}"]),
        ("Bitrate", bitrate_lines(report.bitrates)),
        ("Warnings", notice_lines(report.warnings)),
        ("Took", [f"{report.wall_seconds:.3f} s (audioengine {report.version})"]),
    )


def _source(one: LegReport) -> list[str]:
    seconds = in_seconds(one.samples * 1000 / one.rate_hz)
    at = f"{seconds} s, {one.samples:,} samples, {one.rate_hz:,} Hz, at {stretch(one.interval)}"
    return [f"{one.party}: {one.kind}, {at}", f"sha256 {one.sha256}"]


def _stream(one: StreamReport) -> list[str]:
    packets = f"{one.packets:,} packets of {one.codec} to port {one.to_port}"
    keys = f", {one.events:,} of keys" if one.events else ""
    noise = f", {one.comfort_noise:,} of comfort noise" if one.comfort_noise else ""
    return [
        f"{one.party}: SSRC {one.ssrc}, {packets}{keys}{noise}",
        *(_stream_part(part) for part in one.parts),
    ]


def _stream_part(part: StreamPartReport) -> str:
    drift = f", drift {part.drift_ppm:+.1f} ppm" if part.drift_ppm else ""
    taken_out = " taken out" if part.resampled else ""
    return (
        f"  from {_clock(part.start_time_ms)} at {stretch(part.interval)}: {part.lost:,} lost, "
        f"{part.repeated:,} repeated, {part.late:,} late{drift}{taken_out}"
    )


def _party(one: PartyReport) -> str:
    if one.level_dbfs is None:
        return f"{one.party} ({one.channel}): digital silence"
    line = f"{one.party} ({one.channel}): {one.level_dbfs:.1f} dBFS, peak {one.peak_dbfs:.1f} dBFS"
    return line + (
        f", {one.clipped_samples:,} samples at full scale" if one.clipped_samples else ""
    )


def _silence(one: PartyReport) -> list[str]:
    return [f"{one.party}: {_where(part)}" for part in one.silence]


def _where(part: IntervalReport) -> str:
    return f"no file from {stretch(part)}"


def _clock(start_ms: float) -> str:
    return datetime.fromtimestamp(start_ms / 1000, timezone.utc).isoformat(timespec="milliseconds")
