# SPDX-License-Identifier: Apache-2.0
"""Lines of the reports of `convert`."""

from __future__ import annotations

from datetime import datetime, timezone

from audioengine.report.details import (
    IntervalReport,
    LegReport,
    PartyReport,
    StreamPartReport,
    StreamReport,
)
from audioengine.report.lines import in_seconds, stretch


def leg_lines(one: LegReport) -> list[str]:
    """What a source is, and where it lies."""
    seconds = in_seconds(one.samples * 1000 / one.rate_hz)
    at = f"{seconds} s, {one.samples:,} samples, {one.rate_hz:,} Hz, at {stretch(one.interval)}"
    return [f"{one.party}: {one.kind}, {at}", f"sha256 {one.sha256}"]


def stream_lines(one: StreamReport) -> list[str]:
    """What an RTP stream brought."""
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
        f"  from {clock_line(part.start_time_ms)} at {stretch(part.interval)}: {part.lost:,} lost, "
        f"{part.repeated:,} repeated, {part.late:,} late{drift}{taken_out}"
    )


def party_line(one: PartyReport) -> str:
    """How loud a party is."""
    if one.level_dbfs is None:
        return f"{one.party} ({one.channel}): digital silence"
    line = f"{one.party} ({one.channel}): {one.level_dbfs:.1f} dBFS, peak {one.peak_dbfs:.1f} dBFS"
    return line + (
        f", {one.clipped_samples:,} samples at full scale" if one.clipped_samples else ""
    )


def silence_lines(one: PartyReport) -> list[str]:
    """Where a party has no file."""
    return [f"{one.party}: {_where(part)}" for part in one.silence]


def _where(part: IntervalReport) -> str:
    return f"no file from {stretch(part)}"


def clock_line(start_ms: float) -> str:
    """An epoch time in UTC."""
    return datetime.fromtimestamp(start_ms / 1000, timezone.utc).isoformat(timespec="milliseconds")
