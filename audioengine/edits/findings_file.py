# SPDX-License-Identifier: Apache-2.0
"""The files that masks come from: enough to answer for a mask, and nothing that was said."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FoundStretch:
    """A stretch that was found in such a file."""

    party: str
    """``caller``, ``callee``, or ``both``: nobody knows which."""
    start_s: float | None
    """As the file has it, without any guard; None: from the recording's start."""
    end_s: float | None
    """None: to the recording's end."""
    kind: str | None
    """None: the file does not tell."""
    confidence: float | None
    """None: the file does not tell."""


@dataclass(frozen=True, slots=True)
class FindingsFile:
    """A file that says where to mask, such as a transcript, or the recording itself."""

    format: str
    """What it is, for instance ``amazon-transcribe``; ``audio`` is the recording."""
    sha256: str
    stretches: tuple[FoundStretch, ...]
    """Those that were chosen."""
    wall_seconds: float | None = None
    """What it cost to hear the recording; None: a file was read."""
