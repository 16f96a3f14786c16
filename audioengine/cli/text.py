# SPDX-License-Identifier: Apache-2.0
"""Reports as text for people: a label a paragraph, in seconds as the options count them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from click import format_filename

from audioengine.edits import FindingsFile
from audioengine.notices import Notice
from audioengine.report import (
    BitratesReport,
    Check,
    FileReport,
    FramesReport,
    IntervalReport,
    MaskReport,
    PlanReport,
    RecordedReport,
    RecordingInfo,
    RemadeReport,
    StoreReport,
    TrimReport,
    VerdictReport,
)

if TYPE_CHECKING:
    from audioengine.verification.verdict import MergeVerification, Verification

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
    "mixed": "where several recordings are heard",
    "off_grid": "where the recording heard can't be copied",
    "switch": "where who is heard changes",
}
HOW = {
    "copy": "a plain copy, byte for byte",
    "smart": "only what the edit changes is re-encoded",
    "full": "everything is re-encoded",
    "encoded": "edited as samples, and encoded once",
}


def stored(report: StoreReport, source: str, destination: str) -> str:
    """What `store` did."""
    return layout(
        ("Output", file_lines(report.output, destination)),
        ("Source", file_lines(report.source, source)),
        ("Kept", _kept(report.trim)),
        ("Found", finding_lines(report.findings)),
        ("Masked", _masks(report.masks, report.trim)),
        ("Render", _render(report.render, report.fallbacks)),
        ("Frames", frame_lines(report.frames)),
        ("Re-made", remade_lines(report.remade, report.seconds_reencoded)),
        ("Bitrate", bitrate_lines(report.bitrates)),
        ("Warnings", notice_lines(report.warnings)),
        ("Verified", verified_line(report.verification)),
        ("Recorded", recorded_lines(report.recorded)),
        ("Took", [f"{report.wall_seconds:.3f} s (audioengine {report.version})"]),
    )


def store_plan_text(report: PlanReport, source: str) -> str:
    """What `store` would do."""
    return layout(
        ("Plan for", [f"{format_filename(source)}; nothing is written"]),
        ("Kept", _kept(report.trim)),
        ("Found", finding_lines(report.findings)),
        ("Masked", _masks(report.masks, report.trim)),
        ("Render", _render(report.render, report.fallbacks)),
        ("Frames", [f"{report.frames:,}, of which at least {report.copied:,} are copied"]),
        ("Re-made", remade_lines(report.remade, report.seconds_reencoded)),
        ("Warnings", notice_lines(report.warnings)),
    )


def store_verdict_text(verdict: Verification, source: str, output: str) -> str:
    """Whether an output keeps its promises."""
    sources = [format_filename(source), f"sha256 {verdict.source_sha256}"]
    return verdict_text(verdict, output, ("Source", sources))


def verdict_text(
    verdict: Verification | MergeVerification, output: str, sources: tuple[str, Sequence[str]]
) -> str:
    """The verdict on an output of such sources."""
    count = sum(check.passed for check in verdict.checks)
    passed = "VERIFIED" if verdict.passed else "NOT VERIFIED"
    took = f"{verdict.wall_seconds:.3f} s (audioengine {verdict.version})"
    return layout(
        ("Output", [format_filename(output), f"sha256 {verdict.output_sha256}"]),
        sources,
        ("Decoder", [verdict.decoder] if verdict.decoder else []),
        ("Checks", check_lines(verdict.checks)),
        ("Verdict", [f"{passed}: {count} of {len(verdict.checks)} checks passed"]),
        ("Took", [took]),
    )


def verified_line(verification: VerdictReport | None) -> list[str]:
    """That an output was verified before it was published."""
    if verification is None:
        return []
    by = f", heard by {verification.decoder}" if verification.decoder else ""
    return [f"{len(verification.checks)} checks passed{by}"]


def check_lines(checks: Iterable[Check]) -> list[str]:
    """One line a check; one that failed has a second one, with its figures."""
    out = []
    for check in checks:
        out.append(f"{'ok' if check.passed else 'FAILED':<6}  {check.name}: {check.message}")
        if not check.passed and check.measured:
            figures = ", ".join(f"{name} {figure}" for name, figure in check.measured.items())
            out.append(f"{'':<8}{figures}")
    return out


def inspected(info: RecordingInfo, source: str) -> str:
    """What a recording is."""
    if not info.frames:
        seconds = in_seconds(info.duration_ms)
        return layout(
            ("Source", [f"{format_filename(source)}: {info.bytes:,} bytes"]),
            ("Format", [f"{info.kind}, {info.rate_hz:,} Hz, {info.mode}"]),
            ("Length", [f"{seconds} s, {info.samples:,} samples"]),
            ("Warnings", notice_lines(info.warnings)),
        )
    if info.free_format:
        bitrate = f"{info.bitrate_kbps:g} kbit/s, free format"
    elif info.constant_bitrate:
        bitrate = f"{info.bitrate_kbps:g} kbit/s constant"
    else:
        bitrate = f"{info.bitrate_kbps:g} kbit/s on average: {_counts(info.bitrates)}"
    clock = "no gapless tag: its clock starts with the first audio frame"
    if info.tagged:
        clock = f"gapless tag: encoder delay {info.encoder_delay}, padding {info.padding} samples"
    if info.encoder_delay == 0:
        clock = "a tag that tells no delay: when the audio begins is not known"
    encoder = f"; written by {info.encoder}" if info.encoder else ""
    seconds = in_seconds(info.duration_ms)
    return layout(
        ("Source", [f"{format_filename(source)}: {info.bytes:,} bytes"]),
        ("Format", [f"{info.version} Layer III, {info.rate_hz:,} Hz, {info.mode}"]),
        ("Length", [f"{seconds} s, {info.samples:,} samples, {info.frames:,} frames"]),
        ("Bitrate", [bitrate + ("; frames carry a CRC" if info.protected else "")]),
        ("Clock", [clock + encoder]),
        ("Tags", [", ".join(info.tags)] if info.tags else []),
        ("Warnings", notice_lines(info.warnings)),
    )


def layout(*paragraphs: _Paragraph) -> str:
    """Paragraphs below each other; one without lines is left out."""
    return "\n".join(
        f"{label if not number else '':<{_LABEL_WIDTH}}{line}"
        for label, lines in paragraphs
        for number, line in enumerate(lines)
    )


def file_lines(file: FileReport, name: str) -> list[str]:
    """What a file is."""
    channels = "mono" if file.channels == 1 else "stereo"
    seconds = in_seconds(file.samples * 1000 / file.rate_hz)
    sound = f"{seconds} s, {file.samples:,} samples, {file.rate_hz:,} Hz {channels}"
    return [f"{format_filename(name)}: {sound}, {file.bytes:,} bytes", f"sha256 {file.sha256}"]


def _kept(trim: TrimReport) -> list[str]:
    start, end = trim.applied.samples
    kept = f"{stretch(trim.applied)}, {end - start:,} samples"
    if trim.asked is None:
        return [f"all of it: {kept}"]
    return [kept if trim.asked == trim.applied else f"{kept}; asked {stretch(trim.asked)}"]


def finding_lines(files: Iterable[FindingsFile]) -> list[str]:
    """How much of which kind was found in each file that masks come from."""
    lines = []
    for one in files:
        kinds = Counter(found.kind or "of no known kind" for found in one.stretches)
        counts = ", ".join(f"{count:,} {kind}" for kind, count in sorted(kinds.items()))
        lines += [f"{counts or 'nothing'}, by {one.format}", f"sha256 {one.sha256}"]
    return lines


def _masks(masks: Sequence[MaskReport], trim: TrimReport) -> list[str]:
    out = []
    for mask in masks:
        line = f"{mask.party:<6}  {mask.channel:<5}  {stretch(mask.asked)}"
        if mask.applied != mask.asked:
            line += f", applied {stretch(mask.applied)}"
        (start, end), kept = mask.applied.samples, trim.applied.samples
        if end <= kept[0] or start >= kept[1]:
            line += "; cut away by the trim"
        out.append(line)
    return out


def _render(render: str, fallbacks: Iterable[Notice]) -> list[str]:
    how = [f"{render}: {HOW[render]}"]
    return [*how, *(f"because: {notice.message}" for notice in fallbacks)]


def frame_lines(frames: FramesReport) -> list[str]:
    """How many frames came to be in which way."""
    counts = {kind: getattr(frames, kind) for kind in _FRAMES}
    total = sum(counts.values())
    width = len(f"{total:,}")
    return [
        f"{count:>{width},}  {100 * count / total:5.1f} %  {_FRAMES[kind]}"
        for kind, count in counts.items()
        if count
    ]


def remade_lines(remade: Iterable[RemadeReport], seconds: float) -> list[str]:
    """What was made anew, and why."""
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


def bitrate_lines(bitrates: BitratesReport) -> list[str]:
    """Bitrates of the output."""
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


def recorded_lines(recorded: RecordedReport | None) -> list[str]:
    """What has become of a custody record."""
    if recorded is None:
        return []
    return [
        f"{format_filename(recorded.record)}: entry {recorded.count:,}",
        f"head {recorded.head}",
    ]


def notice_lines(notices: Iterable[Notice]) -> list[str]:
    """One line a notice."""
    return [f"{notice.code}: {notice.message}" for notice in notices]


def stretch(interval: IntervalReport) -> str:
    """From when to when, in seconds."""
    return f"{in_seconds(interval.ms[0])} to {in_seconds(interval.ms[1])} s"


def in_seconds(ms: float) -> str:
    """Milliseconds as seconds, without trailing zeros."""
    return f"{ms / 1000:.3f}".rstrip("0").rstrip(".")
