# SPDX-License-Identifier: Apache-2.0
"""What is said of an output that was judged."""

from __future__ import annotations

from dataclasses import dataclass

from audioengine.report import Check, Json, OmittedReport


@dataclass(frozen=True)
class Verification(Json):
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


@dataclass(frozen=True, slots=True)
class VerifiedPart:
    """A recording that an output was judged against."""

    id: str
    sha256: str


@dataclass(frozen=True)
class MergeVerification(Json):
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
