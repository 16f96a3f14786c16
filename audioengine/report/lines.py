# SPDX-License-Identifier: Apache-2.0
"""Lines of reports as text for people, in seconds as the options count them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from click import format_filename

from audioengine.edits import FindingsFile
from audioengine.notices import Notice
from audioengine.report.details import (
    BitratesReport,
    Check,
    FileReport,
    FramesReport,
    IntervalReport,
    KeysReport,
    MaskReport,
    RecordedReport,
    RemadeReport,
    TrimReport,
    VerdictReport,
)

Paragraph = tuple[str, Sequence[str]]

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


def layout(*paragraphs: Paragraph) -> str:
    """Paragraphs below each other; one without lines is left out."""
    return "\n".join(
        f"{label if not number else '':<{_LABEL_WIDTH}}{line}"
        for label, lines in paragraphs
        for number, line in enumerate(lines)
    )


def of_file(name: str | None, text: str) -> str:
    """A text about a file, after the file's name if it is known."""
    return text if name is None else f"{format_filename(name)}: {text}"


def file_lines(file: FileReport, name: str | None) -> list[str]:
    """What a file is."""
    channels = "mono" if file.channels == 1 else "stereo"
    seconds = in_seconds(file.samples * 1000 / file.rate_hz)
    sound = f"{seconds} s, {file.samples:,} samples, {file.rate_hz:,} Hz {channels}"
    return [of_file(name, f"{sound}, {file.bytes:,} bytes"), f"sha256 {file.sha256}"]


def file_figures(file: FileReport) -> str:
    """An output in a few words."""
    return f"output {in_seconds(file.samples * 1000 / file.rate_hz)} s, {file.bytes:,} bytes"


def frame_figures(frames: FramesReport) -> str:
    """How many frames there are, and how many of them are the source's as they were."""
    total = sum(getattr(frames, kind) for kind in _FRAMES)
    return f"{number_of(total, 'frame')} ({frames.verbatim:,} verbatim)"


def verification_figure(verification: VerdictReport | None) -> str:
    """Whether an output was verified."""
    if verification is None:
        return "not verified"
    return f"verified by {number_of(len(verification.checks), 'check')}"


def plan_paragraph(source: str | None) -> Paragraph:
    """Of what it is a plan."""
    if source is None:
        return "Plan", ["nothing is written"]
    return "Plan for", [f"{format_filename(source)}; nothing is written"]


def kept_lines(trim: TrimReport) -> list[str]:
    """What the trim left."""
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


def mask_lines(masks: Iterable[MaskReport], trim: TrimReport) -> list[str]:
    """One line a mask."""
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


def render_lines(render: str, fallbacks: Iterable[Notice]) -> list[str]:
    """How the output was made, and why not otherwise."""
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
        return [f"{bitrate_counts(bitrates.frames)} kbit/s"] if bitrates.frames else []
    out = [f"{bitrate_counts(bitrates.frames)} kbit/s; re-made at {bitrates.nominal_kbps} kbit/s"]
    if bitrates.raised:
        out.append(f"{bitrates.raised:,} re-made at more than that, to fit")
    if bitrates.lowered:
        out.append(f"{bitrates.lowered:,} re-made coarser than the source, to fit")
    return out


def bitrate_counts(frames_by_kbps: Mapping[int, int]) -> str:
    """How many frames have which bitrate."""
    return ", ".join(
        f"{number_of(count, 'frame')} at {kbps}" for kbps, count in sorted(frames_by_kbps.items())
    )


def number_of(count: int, noun: str) -> str:
    """A count of things, in the singular or the plural."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def recorded_lines(recorded: RecordedReport | None) -> list[str]:
    """What has become of a custody record."""
    if recorded is None:
        return []
    return [
        f"{format_filename(recorded.record)}: entry {recorded.count:,}",
        f"head {recorded.head}",
    ]


def batch_recorded_lines(recorded: RecordedReport | None) -> list[str]:
    """What has become of a batch's custody record."""
    if recorded is None:
        return []
    return [
        f"{format_filename(recorded.record)}: {recorded.count:,} entries",
        f"head {recorded.head}",
    ]


def took_line(wall_seconds: float, version: str) -> str:
    """How long it took, and with which version."""
    return f"{wall_seconds:.3f} s (audioengine {version})"


def keys_line(one: KeysReport, *, show_digits: bool) -> str:
    """Where keys of a telephone are heard, and how many."""
    start, end = (ms / 1000 for ms in one.interval.ms)
    what = number_of(one.keys, "key") + (", an echo" if one.echo else "")
    digits = f"  {one.digits}" if show_digits and one.digits is not None else ""
    return f"{one.party:<7} {start:>9.3f} to {end:.3f} s  {what}{digits}"


def notice_lines(notices: Iterable[Notice]) -> list[str]:
    """One line a notice."""
    return [f"{notice.code}: {notice.message}" for notice in notices]


def stretch(interval: IntervalReport) -> str:
    """From when to when, in seconds."""
    return f"{in_seconds(interval.ms[0])} to {in_seconds(interval.ms[1])} s"


def in_seconds(ms: float) -> str:
    """Milliseconds as seconds, without trailing zeros."""
    return f"{ms / 1000:.3f}".rstrip("0").rstrip(".")
