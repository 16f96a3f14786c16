# SPDX-License-Identifier: Apache-2.0
"""What is said of an output that was judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from audioengine.report import Json, OmittedReport

Figure: TypeAlias = float | int | str


@dataclass(frozen=True, slots=True)
class Check:
    """One promise, and whether the output keeps it."""

    name: str
    """``copy``; or ``tag``, ``metadata``, ``length``, ``clock``, ``copied_frames``,
    ``other_party``, ``removed_audio``, ``leftovers``, ``beep``, ``mask_edges``, ``voice_gone``,
    ``kept_sound``; of a merge also ``mixed``, ``silenced``, ``gaps``."""
    passed: bool
    measured: Mapping[str, Figure]
    """The figures by which it was decided; units are in their names."""
    message: str
    """What was found, in a sentence."""


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
