# SPDX-License-Identifier: Apache-2.0
"""What a batch did, and what it would do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from audioengine.report.base import Report
from audioengine.report.details import (
    FailedJobReport,
    RecordedReport,
)


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
