# SPDX-License-Identifier: Apache-2.0
"""What all formats of labels have in common: whose a label is, and when."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from audioengine.edits import MaskParty, Party
from audioengine.errors import InvalidRequestError, Problem
from audioengine.redaction.finding import Finding, Origin, is_kind
from audioengine.redaction.parties import PARTIES
from audioengine.redaction.table_rows import HIDDEN
from audioengine.times import Interval, Number, read_time

_UNKNOWN_PARTY = "must name a party, one of caller, callee, both"
_NAMED_AT_MOST = 20


@dataclass(frozen=True, slots=True)
class Label:
    """A stretch to write into a label track."""

    party: MaskParty
    start: Fraction
    """In seconds."""
    end: Fraction
    """In seconds, not before the start."""
    kind: str | None = None

    @property
    def text(self) -> str:
        """Party and kind, as `party_and_kind` reads them."""
        return f"{self.party}: {self.kind}" if self.kind else f"{self.party}:"

    def rounded(self, digits: int) -> tuple[Decimal, Decimal]:
        """Start and end to so many decimals, outward: never less is labelled."""
        scale = 10**digits
        start, end = math.floor(self.start * scale), math.ceil(self.end * scale)
        return Decimal(start).scaleb(-digits), Decimal(end).scaleb(-digits)


class Gathering:
    """Gathers the findings of a file, and everything that is wrong with it."""

    def __init__(self, format: str, sha256: str) -> None:
        self._format = format
        self._sha256 = sha256
        self._findings: list[Finding] = []
        self.problems: list[Problem] = []
        """What is wrong with the file."""

    def add(
        self, path: str, party: Party | None, start: Number, end: Number, text: str | None
    ) -> None:
        """Add a label. What of its text is no name of a kind is not kept."""
        kind = (text or "").strip()
        origin = Origin(self._format, self._sha256, path)
        try:
            self._findings.append(
                Finding(party, Interval(start, end), kind if is_kind(kind) else None, None, origin)
            )
        except InvalidRequestError as error:
            self.problems += error.problems

    def add_named(self, path: str, name: str, start: Number, end: Number, text: str | None) -> None:
        """Add a label whose party has a name; it is wrong where nobody is called so."""
        party = name.strip().lower()
        if party in PARTIES:
            self.add(path, PARTIES[party], start, end, text)
        else:
            self.wrong(path, _UNKNOWN_PARTY)

    def add_text(self, path: str, start: Number, end: Number, text: str) -> None:
        """Add a label whose text may begin with a party and a colon; else it is of both."""
        name, colon, kind = text.partition(":")
        if colon:
            self.add_named(path, name, start, end, kind)
        else:
            self.add(path, None, start, end, text)

    def wrong(self, path: str, rule: str) -> None:
        """Say what is wrong in a place. What stands there may be a secret, and is not told."""
        self.problems.append(Problem(path, HIDDEN, rule))

    def time(self, path: str, text: str) -> Decimal | None:
        """Return the seconds of a text; None, and it is wrong, where it is no time."""
        seconds = read_time(text.strip())
        if seconds is None:
            self.wrong(path, "must be a time, in seconds or as hh:mm:ss.mmm")
        return seconds

    def findings(self) -> tuple[Finding, ...]:
        """Return the findings. Raises InvalidRequestError where something is wrong."""
        if self.problems:
            raise InvalidRequestError(self.problems[:_NAMED_AT_MOST])
        return tuple(self._findings)


def without_overlap(labels: Iterable[Label]) -> list[Sequence[Label]]:
    """The labels on as few tracks as needed, on each of which no two overlap."""
    tracks: list[list[Label]] = []
    for label in sorted(labels, key=lambda one: (one.start, one.end)):
        for track in tracks:
            if track[-1].end <= label.start:
                track.append(label)
                break
        else:
            tracks.append([label])
    return list(tracks)
