# SPDX-License-Identifier: Apache-2.0
"""The reports of operations. Those of verification and of custody records are with these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from audioengine.edits import FindingsFile
from audioengine.notices import Notice
from audioengine.report.base import Report
from audioengine.report.details import (
    BitratesReport,
    FailedJobReport,
    FileReport,
    FramesReport,
    IntervalReport,
    KeysReport,
    LegReport,
    MaskReport,
    MixedReport,
    OmittedReport,
    PartReport,
    PartyReport,
    RecordedReport,
    RemadeReport,
    StreamReport,
    StretchReport,
    TrimReport,
    VerdictReport,
)


@dataclass(frozen=True, repr=False)
class StoreReport(Report):
    """What `store` did."""

    source: FileReport
    output: FileReport
    trim: TrimReport
    masks: tuple[MaskReport, ...]
    frames: FramesReport
    remade: tuple[RemadeReport, ...]
    render: str
    """``copy``, ``smart``, ``full``, or ``encoded`` if the source is no MP3."""
    bitrates: BitratesReport
    seconds_reencoded: float
    """Seconds of audio in frames with a re-made channel."""
    fallbacks: tuple[Notice, ...]
    """Why the full path was taken."""
    warnings: tuple[Notice, ...]
    version: str
    wall_seconds: float
    recorded: RecordedReport | None = None
    """None where no custody record was asked for."""
    verification: VerdictReport | None = None
    """None: it was not asked for."""
    findings: tuple[FindingsFile, ...] = ()
    """The files that masks come from, and what was found there: no text."""

    def text(self, source: str | None = None, destination: str | None = None) -> str:
        """The report as the command line prints it, with the names of the files if given."""
        from audioengine.report import lines

        return lines.layout(
            ("Output", lines.file_lines(self.output, destination)),
            ("Source", lines.file_lines(self.source, source)),
            ("Kept", lines.kept_lines(self.trim)),
            ("Found", lines.finding_lines(self.findings)),
            ("Masked", lines.mask_lines(self.masks, self.trim)),
            ("Render", lines.render_lines(self.render, self.fallbacks)),
            ("Frames", lines.frame_lines(self.frames)),
            ("Re-made", lines.remade_lines(self.remade, self.seconds_reencoded)),
            ("Bitrate", lines.bitrate_lines(self.bitrates)),
            ("Warnings", lines.notice_lines(self.warnings)),
            ("Verified", lines.verified_line(self.verification)),
            ("Recorded", lines.recorded_lines(self.recorded)),
            ("Took", [lines.took_line(self.wall_seconds, self.version)]),
        )

    def figures(self) -> list[str]:
        """How it was rendered, the output, its frames, masks, and whether it was verified."""
        from audioengine.report import lines

        return [
            self.render,
            lines.file_figures(self.output),
            lines.frame_figures(self.frames),
            lines.number_of(len(self.masks), "mask"),
            lines.number_of(len(self.warnings), "warning"),
            lines.verification_figure(self.verification),
        ]


@dataclass(frozen=True, repr=False)
class PlanReport(Report):
    """What `store` would do."""

    trim: TrimReport
    masks: tuple[MaskReport, ...]
    render: str
    frames: int
    """Frames of the output, without the silent lead-in that it may need."""
    copied: int
    """Frames that are certainly copied; up to three at each end of a run may be too."""
    remade: tuple[RemadeReport, ...]
    seconds_reencoded: float
    output_samples: int
    fallbacks: tuple[Notice, ...]
    warnings: tuple[Notice, ...]
    version: str
    findings: tuple[FindingsFile, ...] = ()
    """The files that masks come from, and what was found there: no text."""

    def text(self, source: str | None = None) -> str:
        """The plan as the command line prints it, with the name of the source if given."""
        from audioengine.report import lines

        frames = f"{self.frames:,}, of which at least {self.copied:,} are copied"
        return lines.layout(
            lines.plan_paragraph(source),
            ("Kept", lines.kept_lines(self.trim)),
            ("Found", lines.finding_lines(self.findings)),
            ("Masked", lines.mask_lines(self.masks, self.trim)),
            ("Render", lines.render_lines(self.render, self.fallbacks)),
            ("Frames", [frames]),
            ("Re-made", lines.remade_lines(self.remade, self.seconds_reencoded)),
            ("Warnings", lines.notice_lines(self.warnings)),
        )

    def figures(self) -> list[str]:
        """How it would be rendered, the frames and masks."""
        from audioengine.report import lines

        return [
            self.render,
            f"{lines.number_of(self.frames, 'frame')} ({self.copied:,} copied)",
            lines.number_of(len(self.masks), "mask"),
            lines.number_of(len(self.warnings), "warning"),
        ]


@dataclass(frozen=True, repr=False)
class _Merging(Report):
    """What the reports of a merge and of its plan share."""

    parts: tuple[PartReport, ...]
    """In order of start."""
    timeline: tuple[StretchReport, ...]
    """The recordings heard at each time, without a break from the first sample to the last."""
    gaps: tuple[IntervalReport, ...]
    """Where no recording is heard."""
    mixed: tuple[MixedReport, ...]
    grid_owner: str | None
    """The recording that sets the output's frame grid; None if none is copied."""
    align: str
    omitted: tuple[OmittedReport, ...]
    render: str
    """``copy``, ``smart``, ``full``, or ``encoded`` if no recording is an MP3."""
    remade: tuple[RemadeReport, ...]
    seconds_reencoded: float
    """Seconds of audio in frames with a re-made channel."""
    warnings: tuple[Notice, ...]
    version: str

    def _paragraphs(self) -> tuple[tuple[str, list[str]], ...]:
        """The recordings, and what is done with them."""
        from audioengine.report import merge_lines

        return (
            ("Parts", merge_lines.part_lines(self.parts, self.omitted)),
            ("Heard", merge_lines.heard_lines(self.timeline)),
            ("Found", merge_lines.part_finding_lines(self.parts)),
            ("Masked", merge_lines.part_mask_lines(self.parts)),
            ("Mixed", merge_lines.mixed_lines(self.mixed)),
            ("Render", [merge_lines.merge_render_line(self.render, self.grid_owner)]),
        )


@dataclass(frozen=True, repr=False)
class MergePlanReport(_Merging):
    """What `merge` would do."""

    output_samples: int
    rate_hz: int
    channels: int
    frame_count: int
    """Frames of the output, without the silent lead-in that it may need."""
    copied: int
    """Frames that are certainly copied; up to three at each end of a run may be too."""
    nominal_kbps: int | None
    """Bitrate of re-made frames; None in a plain copy."""

    def text(self) -> str:
        """The plan as the command line prints it."""
        from audioengine.report import lines

        length = lines.in_seconds(self.output_samples * 1000 / self.rate_hz)
        sound = f"{self.rate_hz:,} Hz {'mono' if self.channels == 1 else 'stereo'}"
        frames = f"{self.frame_count:,}, of which at least {self.copied:,} are copied"
        return lines.layout(
            ("Plan for", [f"{length} s, {sound}; nothing is written"]),
            *self._paragraphs(),
            ("Frames", [frames]),
            ("Re-made", lines.remade_lines(self.remade, self.seconds_reencoded)),
            ("Bitrate", [f"{self.nominal_kbps} kbit/s"] if self.nominal_kbps else []),
            ("Warnings", lines.notice_lines(self.warnings)),
        )

    def figures(self) -> list[str]:
        """How it would be rendered, the recordings, output, frames and masks."""
        from audioengine.report import lines

        return [
            self.render,
            lines.number_of(len(self.parts), "part"),
            f"output {lines.in_seconds(self.output_samples * 1000 / self.rate_hz)} s",
            f"{lines.number_of(self.frame_count, 'frame')} ({self.copied:,} copied)",
            lines.number_of(sum(len(part.masks) for part in self.parts), "mask"),
            lines.number_of(len(self.warnings), "warning"),
        ]


@dataclass(frozen=True, repr=False)
class MergeReport(_Merging):
    """What `merge` did."""

    output: FileReport
    frames: FramesReport
    bitrates: BitratesReport
    wall_seconds: float
    recorded: RecordedReport | None = None
    """None where no custody record was asked for."""
    verification: VerdictReport | None = None
    """None: it was not asked for."""

    def text(self, destination: str | None = None) -> str:
        """The report as the command line prints it, with the name of the output if given."""
        from audioengine.report import lines

        return lines.layout(
            ("Output", lines.file_lines(self.output, destination)),
            *self._paragraphs(),
            ("Frames", lines.frame_lines(self.frames)),
            ("Re-made", lines.remade_lines(self.remade, self.seconds_reencoded)),
            ("Bitrate", lines.bitrate_lines(self.bitrates)),
            ("Warnings", lines.notice_lines(self.warnings)),
            ("Verified", lines.verified_line(self.verification)),
            ("Recorded", lines.recorded_lines(self.recorded)),
            ("Took", [lines.took_line(self.wall_seconds, self.version)]),
        )

    def figures(self) -> list[str]:
        """How it was rendered, the recordings, output, frames, masks, and whether verified."""
        from audioengine.report import lines

        return [
            self.render,
            lines.number_of(len(self.parts), "part"),
            lines.file_figures(self.output),
            lines.frame_figures(self.frames),
            lines.number_of(sum(len(part.masks) for part in self.parts), "mask"),
            lines.number_of(len(self.warnings), "warning"),
            lines.verification_figure(self.verification),
        ]


@dataclass(frozen=True, repr=False)
class BatchReport(Report):
    """What `run_batch` did."""

    jobs: int
    """Lines of the manifest that this run reached."""
    done: int
    failed: int
    skipped: int
    """Done by an earlier run of the same batch."""
    stopped: bool
    """Whether it ended early because too many jobs failed."""
    failures: tuple[FailedJobReport, ...]
    """The first thousand; the journal has all."""
    version: str
    wall_seconds: float
    recorded: RecordedReport | None = None
    """The custody record after this run's last entry; None if the run made none."""
    left_out: int = 0
    """Files in a folder, under a prefix or in a list that are no recordings; they make no jobs."""

    def text(self) -> str:
        """The report as the command line prints it."""
        from audioengine.report import batch_lines, lines

        rate = self.done / self.wall_seconds if self.wall_seconds else 0
        counts = f"{self.done:,} done, {self.failed:,} failed, {self.skipped:,} done before"
        took = f"{self.wall_seconds:.1f} s, {rate:.1f} jobs a second (audioengine {self.version})"
        stopped = ["too many jobs failed; --resume goes on"] if self.stopped else []
        return lines.layout(
            ("Jobs", [f"{self.jobs:,}: {counts}"]),
            ("Took", [took]),
            ("Left out", batch_lines.left_out_lines(self.left_out)),
            ("Recorded", lines.batch_recorded_lines(self.recorded)),
            ("Stopped", stopped),
            *batch_lines.failed_paragraphs(self.failures, self.failed),
        )

    def figures(self) -> list[str]:
        """How many jobs were done, failed and were done before."""
        counts = [f"{self.done:,} done", f"{self.failed:,} failed", f"{self.skipped:,} done before"]
        return [*counts, "stopped"] if self.stopped else counts


@dataclass(frozen=True, repr=False)
class BatchPlanReport(Report):
    """What a manifest asks for."""

    jobs: int
    """Valid lines."""
    kinds: Mapping[str, int]
    """Valid lines by the command's method; a line that is no command counts as ``store``."""
    masks: int
    trims: int
    copies: int
    """Jobs that edit nothing."""
    masked_seconds: float
    """The length of all masks as asked, without guards."""
    source_bytes: int
    """The size of sources if the manifest states it: a folder, a prefix, an inventory with Size."""
    unsized: int
    """Jobs whose source size the manifest does not state."""
    invalid: int
    failures: tuple[FailedJobReport, ...]
    """The first thousand invalid lines."""
    version: str
    left_out: int = 0
    """As in `BatchReport`."""

    def text(self) -> str:
        """The plan as the command line prints it."""
        from audioengine.report import batch_lines, lines

        kinds = ", ".join(f"{count:,} {kind}" for kind, count in self.kinds.items())
        masks = f"{self.masks:,} masks of {self.masked_seconds:,.1f} s in all"
        return lines.layout(
            ("Jobs", [f"{self.jobs:,}" + (f": {kinds}" if kinds else "")]),
            ("Work", [f"{masks}, {self.trims:,} trims, {self.copies:,} plain copies"]),
            ("Sources", [batch_lines.size_line(self.source_bytes, self.unsized)]),
            ("Invalid", [f"{self.invalid:,} lines can't be done"]),
            ("Left out", batch_lines.left_out_lines(self.left_out)),
            *batch_lines.failed_paragraphs(self.failures, self.invalid),
        )

    def figures(self) -> list[str]:
        """How many jobs, masks, trims and invalid lines there are."""
        from audioengine.report import lines

        counts = {"job": self.jobs, "mask": self.masks, "trim": self.trims}
        counts["invalid line"] = self.invalid
        return [lines.number_of(count, noun) for noun, count in counts.items()]


@dataclass(frozen=True, repr=False)
class EncodeReport(Report):
    """What `encode` wrote."""

    output: FileReport
    bitrates: BitratesReport
    version: str
    wall_seconds: float

    def text(self, destination: str | None = None) -> str:
        """The report as text for people, with the name of the output if given."""
        from audioengine.report import lines

        return lines.layout(
            ("Output", lines.file_lines(self.output, destination)),
            ("Bitrate", lines.bitrate_lines(self.bitrates)),
            ("Took", [lines.took_line(self.wall_seconds, self.version)]),
        )

    def figures(self) -> list[str]:
        """The output."""
        from audioengine.report import lines

        return [lines.file_figures(self.output)]


@dataclass(frozen=True, repr=False)
class DtmfReport(Report):
    """The strings of telephone keys (DTMF) in a recording."""

    strings: tuple[KeysReport, ...]
    """In order of start."""
    samples: int
    """Samples of the recording; all were decoded."""
    rate_hz: int
    warnings: tuple[Notice, ...]
    version: str
    wall_seconds: float

    def text(self, *, show_digits: bool = False) -> str:
        """The report as the command line prints it; with the keys only if asked for: a secret."""
        from audioengine.report import lines

        length = self.samples / self.rate_hz
        return "\n".join(
            (
                *(lines.keys_line(one, show_digits=show_digits) for one in self.strings),
                f"{length:.1f} s heard in {self.wall_seconds:.2f} s",
                *(f"Warning: {one.message}" for one in self.warnings),
            )
        )

    def figures(self) -> list[str]:
        """How many strings and keys are heard, and how much was listened to."""
        from audioengine.report import lines

        return [
            lines.number_of(len(self.strings), "string"),
            lines.number_of(sum(one.keys for one in self.strings), "key"),
            f"{lines.in_seconds(self.samples * 1000 / self.rate_hz)} s heard",
        ]


@dataclass(frozen=True, repr=False)
class ConvertReport(Report):
    """What `convert` wrote."""

    sources: tuple[LegReport, ...]
    output: FileReport
    start_time_ms: float | None
    """Epoch time of the output's first sample, the earliest start; None: not known."""
    parties: tuple[PartyReport, ...]
    overlap: tuple[IntervalReport, ...]
    """Where both parties have files."""
    render: str
    """``encoded``."""
    bitrates: BitratesReport
    warnings: tuple[Notice, ...]
    version: str
    wall_seconds: float
    streams: tuple[StreamReport, ...] = ()
    """The streams of a capture, by party and start."""
    meta: str | None = None
    """For a capture: when each part of a stream began, as `meta` of RECORDINGREADY has it."""

    def text(self, destination: str | None = None) -> str:
        """The report as the command line prints it, with the name of the output if given."""
        from audioengine.report import convert_lines, lines

        start, overlap = self.start_time_ms, self.overlap if len(self.sources) > 1 else ()
        starts = [] if start is None else [f"{convert_lines.clock_line(start)} ({start:.3f} ms)"]
        return lines.layout(
            ("Output", lines.file_lines(self.output, destination)),
            ("Starts", starts),
            ("Sources", [line for one in self.sources for line in convert_lines.leg_lines(one)]),
            ("Streams", [line for one in self.streams for line in convert_lines.stream_lines(one)]),
            ("Parties", [convert_lines.party_line(one) for one in self.parties]),
            ("Both", [lines.stretch(one) for one in overlap]),
            ("Silent", [line for one in self.parties for line in convert_lines.silence_lines(one)]),
            ("Render", lines.render_lines(self.render, ())),
            ("Bitrate", lines.bitrate_lines(self.bitrates)),
            ("Warnings", lines.notice_lines(self.warnings)),
            ("Took", [lines.took_line(self.wall_seconds, self.version)]),
        )

    def figures(self) -> list[str]:
        """The sources, the output and the warnings."""
        from audioengine.report import lines

        return [
            lines.number_of(len(self.sources), "source"),
            lines.file_figures(self.output),
            lines.number_of(len(self.warnings), "warning"),
        ]


@dataclass(frozen=True, repr=False)
class RecordingInfo(Report):
    """A recording described by its frames, or by its header if it is no MP3."""

    kind: str
    """The kind of file: ``an MP3 recording``, ``a WAV file with 16-bit PCM``."""
    bytes: int
    version: str
    """``MPEG-1``, ``MPEG-2`` or ``MPEG-2.5``, always Layer III; empty if it is no MP3."""
    rate_hz: int
    channels: int
    mode: str
    samples: int
    """Per channel, as players play them."""
    duration_ms: float
    frames: int
    bitrate_kbps: float
    """Mean over the audio frames, or over the file if it is no MP3."""
    bitrates: Mapping[int, int]
    """Frames by bitrate in kbit/s; empty in free format."""
    constant_bitrate: bool
    free_format: bool
    protected: bool
    """Whether frames carry a CRC."""
    tagged: bool
    """Whether an Info/Xing tag tells decoders what to trim."""
    encoder: str | None
    encoder_delay: int | None
    padding: int | None
    tags: tuple[str, ...]
    """Metadata around the frames: ``id3v1``, ``id3v2``, ``ape``, ``lyrics3``."""
    warnings: tuple[Notice, ...]

    def text(self, source: str | None = None) -> str:
        """The description as the command line prints it, with the name of the file if given."""
        from audioengine.report import lines

        seconds = lines.in_seconds(self.duration_ms)
        file = ("Source", [lines.of_file(source, f"{self.bytes:,} bytes")])
        warnings = ("Warnings", lines.notice_lines(self.warnings))
        if not self.frames:
            return lines.layout(
                file,
                ("Format", [f"{self.kind}, {self.rate_hz:,} Hz, {self.mode}"]),
                ("Length", [f"{seconds} s, {self.samples:,} samples"]),
                warnings,
            )
        if self.free_format:
            bitrate = f"{self.bitrate_kbps:g} kbit/s, free format"
        elif self.constant_bitrate:
            bitrate = f"{self.bitrate_kbps:g} kbit/s constant"
        else:
            counts = lines.bitrate_counts(self.bitrates)
            bitrate = f"{self.bitrate_kbps:g} kbit/s on average: {counts}"
        clock = "no gapless tag: its clock starts with the first audio frame"
        if self.tagged:
            delay = f"encoder delay {self.encoder_delay}, padding {self.padding} samples"
            clock = f"gapless tag: {delay}"
        if self.encoder_delay == 0:
            clock = "a tag that tells no delay: when the audio begins is not known"
        encoder = f"; written by {self.encoder}" if self.encoder else ""
        return lines.layout(
            file,
            ("Format", [f"{self.version} Layer III, {self.rate_hz:,} Hz, {self.mode}"]),
            ("Length", [f"{seconds} s, {self.samples:,} samples, {self.frames:,} frames"]),
            ("Bitrate", [bitrate + ("; frames carry a CRC" if self.protected else "")]),
            ("Clock", [clock + encoder]),
            ("Tags", [", ".join(self.tags)] if self.tags else []),
            warnings,
        )

    def figures(self) -> list[str]:
        """What it is, its length, rate, channels and bitrate."""
        from audioengine.report import lines

        return [
            self.kind,
            f"{lines.in_seconds(self.duration_ms)} s",
            f"{self.rate_hz:,} Hz {self.mode}",
            lines.number_of(self.frames, "frame"),
            f"{self.bitrate_kbps:g} kbit/s",
            lines.number_of(len(self.warnings), "warning"),
        ]
