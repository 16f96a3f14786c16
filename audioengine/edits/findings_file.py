# SPDX-License-Identifier: Apache-2.0
"""The files that masks come from: enough to account for a mask, but no text."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FoundStretch:
    """A stretch to mask in such a file."""

    party: str
    """``caller``, ``callee``, or ``both`` if the party is unknown."""
    start_s: float | None
    """As in the file, without a guard; None: from the recording's start."""
    end_s: float | None
    """None: to the recording's end."""
    kind: str | None
    """None: the file does not state it."""
    confidence: float | None
    """None: the file does not state it."""


@dataclass(frozen=True, slots=True)
class FindingsFile:
    """A file that says where to mask, such as a transcript, or the recording itself."""

    format: str
    """The format, for instance ``amazon-transcribe``; ``audio`` is the recording."""
    sha256: str
    stretches: tuple[FoundStretch, ...]
    """The chosen ones."""
    wall_seconds: float | None = None
    """What it cost to hear the recording; None: a file was read."""
