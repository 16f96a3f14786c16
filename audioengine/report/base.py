# SPDX-License-Identifier: Apache-2.0
"""What all reports have: plain values, JSON, text for people, and one line for debuggers."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from audioengine.notices import Notice
from audioengine.report.details import (
    BitratesReport,
    FramesReport,
    RecordedReport,
    RemadeReport,
    VerdictReport,
)


class Report(ABC):
    """A report of an operation: `str` is its text for people, `repr` one line of its figures."""

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values; `recorded` only if a custody record was asked for."""
        values: dict[str, Any] = asdict(self)  # type: ignore[call-overload]
        if values.get("recorded", ()) is None:
            del values["recorded"]
        return values

    def to_json(self, indent: int | None = None) -> str:
        """The report as one JSON object."""
        return json.dumps(self.to_dict(), indent=indent, ensure_ascii=False)

    @abstractmethod
    def text(self) -> str:
        """The report as the command line prints it, in seconds; without names of files."""

    @abstractmethod
    def figures(self) -> list[str]:
        """The most telling figures, a few words each."""

    def _repr_html_(self) -> str:
        """The report as tables, for notebooks."""
        from audioengine.report.tables import report_html

        return report_html(self.to_dict())

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {', '.join(self.figures())}>"


class MadeReport(Report):
    """A report of an output that frames were copied to and made for."""

    frames: FramesReport
    remade: tuple[RemadeReport, ...]
    seconds_reencoded: float
    bitrates: BitratesReport
    warnings: tuple[Notice, ...]
    verification: VerdictReport | None
    recorded: RecordedReport | None
    wall_seconds: float
    version: str

    def made_paragraphs(self) -> tuple[tuple[str, Sequence[str]], ...]:
        """How the output was made, from its frames to the time that it took."""
        from audioengine.report import lines

        return (
            ("Frames", lines.frame_lines(self.frames)),
            ("Re-made", lines.remade_lines(self.remade, self.seconds_reencoded)),
            ("Bitrate", lines.bitrate_lines(self.bitrates)),
            ("Warnings", lines.notice_lines(self.warnings)),
            ("Verified", lines.verified_line(self.verification)),
            ("Recorded", lines.recorded_lines(self.recorded)),
            ("Took", [lines.took_line(self.wall_seconds, self.version)]),
        )
