# SPDX-License-Identifier: Apache-2.0
"""What a recording is, what is heard in it, and what was made of samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from audioengine.notices import Notice
from audioengine.report.base import Report
from audioengine.report.details import (
    BitratesReport,
    FileReport,
    IntervalReport,
    KeysReport,
    LegReport,
    PartyReport,
    StreamReport,
)


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
