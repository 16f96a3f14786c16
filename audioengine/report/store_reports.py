# SPDX-License-Identifier: Apache-2.0
"""What `store` did, and what it would do."""

from __future__ import annotations

from dataclasses import dataclass

from audioengine.edits import FindingsFile
from audioengine.notices import Notice
from audioengine.report.base import MadeReport, Report
from audioengine.report.details import (
    BitratesReport,
    FileReport,
    FramesReport,
    MaskReport,
    RecordedReport,
    RemadeReport,
    TrimReport,
    VerdictReport,
)


@dataclass(frozen=True, repr=False)
class StoreReport(MadeReport):
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
            *self.made_paragraphs(),
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
