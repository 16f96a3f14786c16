# SPDX-License-Identifier: Apache-2.0
"""What `merge` did, and what it would do."""

from __future__ import annotations

from dataclasses import dataclass

from audioengine.notices import Notice
from audioengine.report.base import MadeReport, Report
from audioengine.report.details import (
    BitratesReport,
    FileReport,
    FramesReport,
    IntervalReport,
    MixedReport,
    OmittedReport,
    PartReport,
    RecordedReport,
    RemadeReport,
    StretchReport,
    VerdictReport,
)


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
class MergeReport(_Merging, MadeReport):
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
            *self.made_paragraphs(),
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
