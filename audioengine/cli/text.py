# SPDX-License-Identifier: Apache-2.0
"""Reports as text for people: a label a paragraph, in seconds as the options count them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from click import format_filename

from audioengine.notices import Notice
from audioengine.report import (
    BitratesReport,
    FileReport,
    FramesReport,
    IntervalReport,
    MaskReport,
    PlanReport,
    RecordingInfo,
    RemadeReport,
    StoreReport,
    TrimReport,
)

_Paragraph = tuple[str, Sequence[str]]

_LABEL_WIDTH = 10

_FRAMES = {
    "verbatim": "copied, every byte the source's",
    "slot_rewritten": "copied, bytes of removed frames in them replaced",
    "spliced": "one party copied bit for bit, the other re-made",
    "reencoded": "re-made",
    "silent": "silent",
}
_REASONS = {
    "mask": "under a mask or next to it",
    "trim": "at the start or the end",
    "shared": "coded together with the other party (mid/side)",
    "window": "up to the next legal window sequence",
    "full": "as everything is",
}
_HOW = {
    "copy": "a plain copy, byte for byte",
    "smart": "only what the edit changes is re-encoded",
    "full": "everything is re-encoded",
}


def stored(report: StoreReport, source: str, destination: str) -> str:
    """What `store` did."""
    return _text(
        ("Output", _file(report.output, destination)),
        ("Source", _file(report.source, source)),
        ("Kept", _kept(report.trim)),
        ("Masked", _masks(report.masks, report.trim)),
        ("Render", _render(report.render, report.fallbacks)),
        ("Frames", _frames(report.frames)),
        ("Re-made", _remade(report.remade, report.seconds_reencoded)),
        ("Bitrate", _bitrates(report.bitrates)),
        ("Warnings", _notices(report.warnings)),
        ("Took", [f"{report.wall_seconds:.3f} s (audioengine {report.version})"]),
    )


def planned(report: PlanReport, source: str) -> str:
    """What `store` would do."""
    return _text(
        ("Plan for", [f"{format_filename(source)}; nothing is written"]),
        ("Kept", _kept(report.trim)),
        ("Masked", _masks(report.masks, report.trim)),
        ("Render", _render(report.render, report.fallbacks)),
        ("Frames", [f"{report.frames:,}, of which at least {report.copied:,} are copied"]),
        ("Re-made", _remade(report.remade, report.seconds_reencoded)),
        ("Warnings", _notices(report.warnings)),
    )


def inspected(info: RecordingInfo, source: str) -> str:
    """What a recording is."""
    if info.free_format:
        bitrate = f"{info.bitrate_kbps:g} kbit/s, free format"
    elif info.constant_bitrate:
        bitrate = f"{info.bitrate_kbps:g} kbit/s constant"
    else:
        bitrate = f"{info.bitrate_kbps:g} kbit/s on average: {_counts(info.bitrates)}"
    clock = "no gapless tag: its clock starts with the first audio frame"
    if info.tagged:
        clock = f"gapless tag: encoder delay {info.encoder_delay}, padding {info.padding} samples"
    encoder = f"; written by {info.encoder}" if info.encoder else ""
    seconds = _seconds(info.duration_ms)
    return _text(
        ("Source", [f"{format_filename(source)}: {info.bytes:,} bytes"]),
        ("Format", [f"{info.version} Layer III, {info.rate_hz:,} Hz, {info.mode}"]),
        ("Length", [f"{seconds} s, {info.samples:,} samples, {info.frames:,} frames"]),
        ("Bitrate", [bitrate + ("; frames carry a CRC" if info.protected else "")]),
        ("Clock", [clock + encoder]),
        ("Tags", [", ".join(info.tags)] if info.tags else []),
        ("Warnings", _notices(info.warnings)),
    )


def _text(*paragraphs: _Paragraph) -> str:
    """Paragraphs below each other; one without lines is left out."""
    return "\n".join(
        f"{label if not number else '':<{_LABEL_WIDTH}}{line}"
        for label, lines in paragraphs
        for number, line in enumerate(lines)
    )


def _file(file: FileReport, name: str) -> list[str]:
    channels = "mono" if file.channels == 1 else "stereo"
    seconds = _seconds(file.samples * 1000 / file.rate_hz)
    sound = f"{seconds} s, {file.samples:,} samples, {file.rate_hz:,} Hz {channels}"
    return [f"{format_filename(name)}: {sound}, {file.bytes:,} bytes", f"sha256 {file.sha256}"]


def _kept(trim: TrimReport) -> list[str]:
    start, end = trim.applied.samples
    kept = f"{_stretch(trim.applied)}, {end - start:,} samples"
    if trim.asked is None:
        return [f"all of it: {kept}"]
    return [kept if trim.asked == trim.applied else f"{kept}; asked {_stretch(trim.asked)}"]


def _masks(masks: Sequence[MaskReport], trim: TrimReport) -> list[str]:
    out = []
    for mask in masks:
        line = f"{mask.party:<6}  {mask.channel:<5}  {_stretch(mask.asked)}"
        if mask.applied != mask.asked:
            line += f", applied {_stretch(mask.applied)}"
        (start, end), kept = mask.applied.samples, trim.applied.samples
        if end <= kept[0] or start >= kept[1]:
            line += "; cut away by the trim"
        out.append(line)
    return out


def _render(render: str, fallbacks: Iterable[Notice]) -> list[str]:
    how = [f"{render}: {_HOW[render]}"]
    return [*how, *(f"because: {notice.message}" for notice in fallbacks)]


def _frames(frames: FramesReport) -> list[str]:
    counts = {kind: getattr(frames, kind) for kind in _FRAMES}
    total = sum(counts.values())
    width = len(f"{total:,}")
    return [
        f"{count:>{width},}  {100 * count / total:5.1f} %  {_FRAMES[kind]}"
        for kind, count in counts.items()
        if count
    ]


def _remade(remade: Iterable[RemadeReport], seconds: float) -> list[str]:
    frames: dict[tuple[str, str], int] = defaultdict(int)
    for part in remade:
        frames[part.channel, part.reason] += part.frames[1] - part.frames[0]
    if not frames:
        return ["nothing"]
    width = len(f"{max(frames.values()):,}")
    return [f"{seconds:.3f} s of audio, in which"] + [
        f"{count:>{width},} {'frame' if count == 1 else 'frames':<6}  {channel:<5}  "
        f"{_REASONS.get(reason, reason)}"
        for (channel, reason), count in frames.items()
    ]


def _bitrates(bitrates: BitratesReport) -> list[str]:
    if bitrates.nominal_kbps is None:
        return [f"{_counts(bitrates.frames)} kbit/s"] if bitrates.frames else []
    out = [f"{_counts(bitrates.frames)} kbit/s; re-made at {bitrates.nominal_kbps} kbit/s"]
    if bitrates.raised:
        out.append(f"{bitrates.raised:,} re-made at more than that, to fit")
    if bitrates.lowered:
        out.append(f"{bitrates.lowered:,} re-made coarser than the source, to fit")
    return out


def _counts(frames_by_kbps: Mapping[int, int]) -> str:
    return ", ".join(
        f"{_number(count)} at {kbps}" for kbps, count in sorted(frames_by_kbps.items())
    )


def _number(frames: int) -> str:
    return f"{frames:,} {'frame' if frames == 1 else 'frames'}"


def _notices(notices: Iterable[Notice]) -> list[str]:
    return [f"{notice.code}: {notice.message}" for notice in notices]


def _stretch(interval: IntervalReport) -> str:
    return f"{_seconds(interval.ms[0])} to {_seconds(interval.ms[1])} s"


def _seconds(ms: float) -> str:
    return f"{ms / 1000:.3f}".rstrip("0").rstrip(".")
