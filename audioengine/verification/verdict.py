# SPDX-License-Identifier: Apache-2.0
"""What is said of an output that was judged."""

from __future__ import annotations

from dataclasses import dataclass

from audioengine.report import Check, OmittedReport, Report


@dataclass(frozen=True, repr=False)
class Verification(Report):
    """Whether an output keeps its promises."""

    passed: bool
    """Whether all checks did."""
    checks: tuple[Check, ...]
    source_sha256: str
    output_sha256: str
    decoder: str
    """What decoded both; empty where nothing had to be decoded."""
    version: str
    wall_seconds: float

    @property
    def failures(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if not check.passed)

    def text(self, source: str | None = None, output: str | None = None) -> str:
        """The verdict as the command line prints it, with the names of the files if given."""
        names = [] if source is None else [_shown(source)]
        return _verdict_text(self, output, ("Source", [*names, f"sha256 {self.source_sha256}"]))

    def figures(self) -> list[str]:
        """The verdict, and which checks failed."""
        return _verdict_figures(self)


@dataclass(frozen=True, slots=True)
class VerifiedPart:
    """A recording that an output was judged against."""

    id: str
    sha256: str


@dataclass(frozen=True, repr=False)
class MergeVerification(Report):
    """Whether a merge's output keeps its promises."""

    passed: bool
    """Whether all checks did."""
    checks: tuple[Check, ...]
    parts: tuple[VerifiedPart, ...]
    """In order of start."""
    omitted: tuple[OmittedReport, ...]
    """Recordings that are not in the output, with ``missing="omit"``."""
    output_sha256: str
    decoder: str
    """What decoded all of them; empty where nothing had to be decoded."""
    version: str
    wall_seconds: float

    @property
    def failures(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if not check.passed)

    def text(self, output: str | None = None) -> str:
        """The verdict as the command line prints it, with the name of the output if given."""
        parts = [f"{part.id}: sha256 {part.sha256}" for part in self.parts]
        parts += [f"{one.id}: left out: {one.reason}" for one in self.omitted]
        return _verdict_text(self, output, ("Parts", parts))

    def figures(self) -> list[str]:
        """The verdict, which checks failed, and the recordings."""
        from audioengine.report.lines import number_of

        return [*_verdict_figures(self), number_of(len(self.parts), "part")]


def _verdict_text(
    verdict: Verification | MergeVerification, output: str | None, sources: tuple[str, list[str]]
) -> str:
    from audioengine.report import lines

    count = sum(check.passed for check in verdict.checks)
    passed = "VERIFIED" if verdict.passed else "NOT VERIFIED"
    names = [] if output is None else [_shown(output)]
    return lines.layout(
        ("Output", [*names, f"sha256 {verdict.output_sha256}"]),
        sources,
        ("Decoder", [verdict.decoder] if verdict.decoder else []),
        ("Checks", lines.check_lines(verdict.checks)),
        ("Verdict", [f"{passed}: {count} of {len(verdict.checks)} checks passed"]),
        ("Took", [lines.took_line(verdict.wall_seconds, verdict.version)]),
    )


def _shown(name: str) -> str:
    from click import format_filename

    return format_filename(name)


def _verdict_figures(verdict: Verification | MergeVerification) -> list[str]:
    count = sum(check.passed for check in verdict.checks)
    failed = ", ".join(check.name for check in verdict.failures)
    out = ["verified" if verdict.passed else f"not verified: {failed}"]
    return [*out, f"{count} of {len(verdict.checks)} checks passed"]
