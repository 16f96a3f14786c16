# SPDX-License-Identifier: Apache-2.0
"""What is found in a record, and in the files that it names."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from audioengine.report import Json


@dataclass(frozen=True, slots=True)
class RecordFinding:
    """One thing that is wrong."""

    code: str
    """Of an entry ``changed``, ``removed``, ``reordered``, ``broken``; of the record as a whole
    ``torn``, ``cut``, ``key``, ``head``; of files ``output_changed``, ``output_missing``,
    ``output_unreadable``, ``source_changed``."""
    message: str


@dataclass(frozen=True, slots=True)
class EntryVerdict:
    """What became of one line."""

    line: int
    """From 1."""
    output: str | None
    """Where the output is; None where it has no name."""
    files: str
    """``checked``; ``superseded``: a later entry is of the same place; ``unnamed``: nothing says
    where it is; ``unchecked``: it was not asked for, or the line can't be read."""
    sources_checked: int
    sources_unreachable: int
    """Sources that have no name, can't be read any more or were replaced by an output of this
    record: no failure."""
    findings: tuple[RecordFinding, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    def to_dict(self) -> dict[str, Any]:
        """The verdict as plain values."""
        return {"passed": self.passed, **asdict(self)}


@dataclass(frozen=True)
class RecordVerification(Json):
    """Whether a record and its files are what they were."""

    passed: bool
    record: str
    count: int
    """Lines that there are, one an output."""
    head: str
    """SHA-256 of the last one: to be published, for `head` of a later verification."""
    keyed: bool
    """Whether its entries have HMACs."""
    key_checked: bool
    """Whether these were checked."""
    head_line: int | None
    """The line whose digest is the head that was given: what comes after it is not covered by it;
    None where none was given or there is no such line."""
    findings: tuple[RecordFinding, ...]
    """What is wrong with the record as a whole."""
    failed: int
    """Entries with which something is wrong."""
    failures: tuple[EntryVerdict, ...]
    """The first thousand of them."""
    outputs_checked: int
    outputs_superseded: int
    """Outputs that a later entry of the same place replaced."""
    sources_checked: int
    sources_unreachable: int
    version: str
    wall_seconds: float
