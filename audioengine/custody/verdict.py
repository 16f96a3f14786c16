# SPDX-License-Identifier: Apache-2.0
"""What is found in a record, and in the files that it names."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from audioengine.report import Report

_SHOWN_FAILURES = 20


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


@dataclass(frozen=True, repr=False)
class RecordVerification(Report):
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

    def text(self, *, files: bool = True) -> str:
        """The verdict as the command line prints it.

        `files` says whether the files that the record names were judged.
        """
        from click import format_filename

        from audioengine.report.lines import layout, took_line

        hmacs = "without HMACs"
        if self.keyed:
            hmacs = "HMACs checked" if self.key_checked else "HMACs not checked: no key is set"
        covered = []
        if self.head_line is not None:
            line = f"the one given is that of line {self.head_line:,}"
            covered = [f"{line}, and covers no later one"]
        failed = [f"{one.code}: {one.message}" for one in self.findings]
        for entry in self.failures[:_SHOWN_FAILURES]:
            failed += [
                f"line {entry.line}: {one.code}: {_printable(one.message)}"
                for one in entry.findings
            ]
        if self.failed > _SHOWN_FAILURES:
            failed.append(f"and {self.failed - _SHOWN_FAILURES:,} more entries; --json names all")
        outputs = f"{self.outputs_checked:,} checked, {self.outputs_superseded:,} superseded"
        sources = f"{self.sources_checked:,} checked, {self.sources_unreachable:,} unreachable"
        right = "VERIFIED" if self.passed else "NOT VERIFIED"
        count = f"{self.count - self.failed:,} of {self.count:,} entries are right"
        return layout(
            ("Record", [f"{format_filename(self.record)}: {self.count:,} entries, {hmacs}"]),
            ("Head", [self.head, *covered]),
            ("Outputs", [outputs] if files else ["not looked at"]),
            ("Sources", [sources] if files else []),
            ("Failed", failed),
            ("Verdict", [f"{right}: {count}"]),
            ("Took", [took_line(self.wall_seconds, self.version)]),
        )

    def figures(self) -> list[str]:
        """The verdict, and how many entries are right."""
        out = ["verified" if self.passed else "not verified"]
        out += [one.code for one in self.findings]
        return [*out, f"{self.count - self.failed:,} of {self.count:,} entries are right"]


def _printable(message: str) -> str:
    """A message without line ends and control characters: whoever wrote the record chose them."""
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in message
    )
