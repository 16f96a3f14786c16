# SPDX-License-Identifier: Apache-2.0
"""Findings: where something was said that must go, and the modification that masks it.

A finding holds no text. What was said there stays in the file that told of it, whose digest the
finding names.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import TypeAlias, overload

from audioengine.edits import FindingsFile, FoundStretch, Modification, Party
from audioengine.errors import InvalidRequestError, Problem
from audioengine.notices import Notice
from audioengine.redaction.number_words import ENGLISH
from audioengine.times import Interval, Number, exact, exact_or_none

Guard: TypeAlias = Number | tuple[Number, Number]
"""Milliseconds on both sides, or (before, after)."""

_ALSO: Mapping[str, tuple[str, ...]] = {
    "CARD_NUMBER": ("CREDIT_DEBIT_NUMBER", "CREDIT_CARD*", "CREDITCARD*", "*CARD_NUMBER"),
    "CVV": ("*CVV", "*CVC"),
    "EXPIRY": ("*EXPIRY", "*EXPIRATION", "*EXPIRATION_DATE"),
}
"""What vendors call the kinds that are found in words: who asks for these wants those too."""

ALL_KINDS = "ALL"
"""Stands for every kind, also for one that a file does not tell."""
MAX_SECONDS = 10**9
"""No recording lasts 31 years; an epoch time is more."""

# A name, not what was said: no number that matters has so few digits.
_KIND = re.compile(r"[^\W\d_][\w .:/-]{0,63}")
_KIND_DIGITS = 3
# Captions and tiers of transcripts hold sentences where labels hold names, and "seven three one".
_KIND_WORDS = 3
_KIND_SPOKEN_NUMBERS = 1
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SEPARATORS = re.compile(r"[\s.:/_-]+")


@dataclass(frozen=True, slots=True)
class Origin:
    """The file that told of a finding, and where in it."""

    format: str
    """What the file is, for instance ``amazon-transcribe`` or ``audacity``."""
    sha256: str
    """Of the file's bytes, in hexadecimal."""
    path: str = ""
    """Where in the file: a path of keys and places, or a line."""

    def __post_init__(self) -> None:
        if not isinstance(self.sha256, str) or not _SHA256.fullmatch(self.sha256):
            rule = "must be a SHA-256 as 64 hexadecimal digits in lower case"
            raise InvalidRequestError.of("origin.sha256", self.sha256, rule)


@dataclass(frozen=True, slots=True)
class Finding:
    """A stretch of a recording that holds something of a kind.

    Raises InvalidRequestError, which names the origin's path, where the interval is none: a bound
    that is no number, negative or 10^9 s or more, or a start after the end. A kind that is no name
    is refused too: it could be what was said.
    """

    party: Party | None
    """Who is heard; None: nobody knows, so both are masked."""
    interval: Interval
    """In seconds from the recording's start. A bound that is None is the recording's own; start and
    end may be equal, which masks nothing without a guard, and is refused then."""
    kind: str | None = None
    """What it is, for instance ``CREDIT_DEBIT_NUMBER``: a name of at most 64 letters, digits and
    separators, at most 3 of them digits, in at most 3 words, at most one of them a number; None:
    the file does not tell."""
    confidence: Number | None = None
    """0 to 1; None: the file does not tell."""
    origin: Origin | None = None
    """None: it was made by hand."""

    def __post_init__(self) -> None:
        problems: list[Problem] = []
        at = self.path
        if self.party not in ("caller", "callee", None):
            rule = 'must be "caller", "callee" or None'
            problems.append(Problem(f"{at}.party", f"<{type(self.party).__name__}>", rule))
        if isinstance(self.interval, Interval):
            _check_interval(self.interval, at, problems)
        else:
            problems.append(Problem(at, f"<{type(self.interval).__name__}>", "must be an Interval"))
        if self.kind is not None and not is_kind(self.kind):
            rule = (
                "must be a name of at most 64 letters, digits and separators, "
                f"at most {_KIND_DIGITS} of them digits, in at most {_KIND_WORDS} words, at most "
                f"{_KIND_SPOKEN_NUMBERS} of them a number"
            )
            problems.append(Problem(f"{at}.kind", f"<{type(self.kind).__name__}>", rule))
        if self.confidence is not None:
            _check_confidence(self.confidence, f"{at}.confidence", problems)
        if problems:
            raise InvalidRequestError(problems)

    @property
    def path(self) -> str:
        """How messages name it: where it is in its file."""
        return (self.origin.path if self.origin else "") or "finding"

    @property
    def start(self) -> Fraction:
        """First instant, in exact seconds; 0 where it is open."""
        return _seconds(self.interval.start, self.path) or Fraction(0)

    @property
    def end(self) -> Fraction | None:
        """First instant after it, in exact seconds; None where it is open."""
        return _seconds(self.interval.end, self.path)

    def is_of(self, file: Origin) -> bool:
        """Return whether a file told of it."""
        return self.origin is not None and self.origin.sha256 == file.sha256


@dataclass(frozen=True)
class Findings(Sequence[Finding]):
    """What files tell of one recording, in the order of the files."""

    items: tuple[Finding, ...] = ()
    origins: tuple[Origin, ...] = ()
    """The files, also those that tell of nothing; their paths are empty."""
    guard_ms: Guard = 0
    """By how much `modification` widens findings unless it is told: how far edges may be off."""
    join_ms: Number = 0
    """Up to which gap `modification` joins findings unless it is told."""
    warnings: tuple[Notice, ...] = field(default=())
    """What the files left open, and how it was taken."""
    told_kinds: tuple[str, ...] | None = None
    """The only kinds that the files can tell of; None: whatever there is, they tell of it."""

    def __len__(self) -> int:
        return len(self.items)

    @overload
    def __getitem__(self, place: int) -> Finding: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Finding, ...]: ...
    def __getitem__(self, place: int | slice) -> Finding | tuple[Finding, ...]:
        """Return one finding, or a tuple of some."""
        return self.items[place]

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.items)

    def selected(
        self, kinds: Iterable[str] | None = None, min_confidence: Number | None = None
    ) -> tuple[Finding, ...]:
        """Return the findings of these kinds whose confidence is not below.

        kinds: names, in which ``*`` and ``?`` stand for others and case and separators do not
        count; ``ALL`` or None: all of them. ``CARD_NUMBER``, ``CVV`` and ``EXPIRY`` are also what
        vendors call so.
        min_confidence: 0 to 1. A finding whose confidence is unknown stays.

        Raises InvalidRequestError where kinds are chosen and a finding's file does not tell its
        kind, or the files can't tell of one: nothing is left out silently.
        """
        asked = kinds if kinds is None or isinstance(kinds, str) else list(kinds)
        wanted = _patterns(asked)
        least = None
        if min_confidence is not None:
            problems: list[Problem] = []
            least = _check_confidence(min_confidence, "min_confidence", problems)
            if problems:
                raise InvalidRequestError(problems)
        if wanted is not None:
            rule = f"must have a kind, to choose by kinds: only {ALL_KINDS} can be masked here"
            unknown = [Problem(one.path, None, rule) for one in self.items if one.kind is None]
            if unknown:
                raise InvalidRequestError(unknown[:20])
            self._check_known_kinds(asked or ())
        return tuple(
            one
            for one in self.items
            if (wanted is None or any(fnmatchcase(_plain(one.kind), each) for each in wanted))
            and (
                least is None or one.confidence is None or exact(one.confidence, one.path) >= least
            )
        )

    def _check_known_kinds(self, wanted: Iterable[str]) -> None:
        if self.told_kinds is None:
            return
        for one in wanted:
            if not any(fnmatchcase(_plain(kind), _plain(one)) for kind in self.told_kinds):
                told = ", ".join(self.told_kinds)
                rule = f"must be of what the file can tell, {told}: it marks nothing of other kinds"
                raise InvalidRequestError.of("kinds", one, rule)

    def modification(
        self,
        kinds: Iterable[str] | None = None,
        min_confidence: Number | None = None,
        guard_ms: Guard | None = None,
        join_ms: Number | None = None,
        *,
        require_match: bool = False,
    ) -> Modification:
        """Return the modification that masks the findings which `selected` returns.

        Masked is never less than the findings: bounds round outward, to microseconds.

        guard_ms: by how much each is widened on both sides, or (before, after); the guard of the
        modification, for what coding smears, comes on top.
        join_ms: findings of one party with a gap of so much or less become one mask.

        Raises InvalidRequestError as `selected` does, with `require_match` also where no finding is
        selected, and LimitError for more masks than a recording may have.
        """
        problems: list[Problem] = []
        before, after = _guards(self.guard_ms if guard_ms is None else guard_ms, problems)
        gap_ms = self.join_ms if join_ms is None else join_ms
        gap = _milliseconds(gap_ms, "join_ms", problems)
        if problems:
            raise InvalidRequestError(problems)
        chosen = self.selected(kinds, min_confidence)
        if require_match and not chosen:
            rule = "must tell of something that is to be masked, as require_match asks"
            raise InvalidRequestError.of("findings", "none", rule)
        mask: dict[str, list[Interval]] = {}
        for party in ("caller", "callee", "both"):
            own = [one for one in chosen if (one.party or "both") == party]
            if own:
                mask[party] = [_widened(each, before, after) for each in _joined(own, gap)]
        notices = list(self.warnings)
        if not chosen:
            told = ", ".join(one.format for one in self.origins) or "The findings"
            notices.append(Notice("no_findings", f"{told}: nothing says what to mask."))
        files = tuple(
            FindingsFile(one.format, one.sha256, tuple(_stretch(f) for f in chosen if f.is_of(one)))
            for one in self.origins
        )
        return Modification(mask=mask, findings=files, notices=tuple(notices))


def _stretch(finding: Finding) -> FoundStretch:
    """What a report says of a finding."""
    return FoundStretch(
        finding.party or "both",
        None if finding.interval.start is None else float(finding.start),
        None if finding.end is None else float(finding.end),
        finding.kind,
        None if finding.confidence is None else float(finding.confidence),
    )


def is_kind(kind: object) -> bool:
    """Return whether something may be a kind: a name, and no number that was said."""
    return (
        isinstance(kind, str)
        and _KIND.fullmatch(kind) is not None
        and sum(map(str.isdigit, kind)) <= _KIND_DIGITS
        and len(kind.split()) <= _KIND_WORDS
        and sum(word in ENGLISH.numbers for word in _SEPARATORS.split(kind.lower()))
        <= _KIND_SPOKEN_NUMBERS
    )


def _patterns(kinds: Iterable[str] | None) -> list[str] | None:
    """The patterns in plain form; None: everything."""
    if kinds is None:
        return None
    given = list(kinds)
    if (
        isinstance(kinds, str)
        or not given
        or not all(isinstance(one, str) and one for one in given)
    ):
        rule = f"must be a list of names of kinds, or of {ALL_KINDS}"
        raise InvalidRequestError.of("kinds", kinds if isinstance(kinds, str) else given, rule)
    plain = [_plain(one) for one in given]
    if {ALL_KINDS, "*"} & set(plain):
        return None
    return plain + [also for one in plain for also in _ALSO.get(one, ())]


def _plain(kind: str | None) -> str:
    """A kind without its case and its kinds of separators."""
    return _SEPARATORS.sub("_", kind or "").upper()


def _check_interval(interval: Interval, at: str, problems: list[Problem]) -> None:
    bounds = []
    for name, value in (("from", interval.start), ("to", interval.end)):
        bound = None if value is None else exact_or_none(value, f"{at}.{name}", problems)
        if bound is not None and not 0 <= bound < MAX_SECONDS:
            rule = f"must be at least 0 and less than {MAX_SECONDS} s from the recording's start"
            problems.append(Problem(f"{at}.{name}", value, rule))
        bounds.append(bound)
    start, end = bounds
    if start is not None and end is not None and start > end:
        rule = f"must be at least from, {interval.start}"
        problems.append(Problem(f"{at}.to", interval.end, rule))


def _check_confidence(value: Number, path: str, problems: list[Problem]) -> Fraction | None:
    confidence = exact_or_none(value, path, problems)
    if confidence is not None and not 0 <= confidence <= 1:
        problems.append(Problem(path, value, "must be 0 to 1"))
    return confidence


def _seconds(value: Number | None, path: str) -> Fraction | None:
    return None if value is None else exact(value, path)


def _guards(guard_ms: Guard, problems: list[Problem]) -> tuple[Fraction, Fraction]:
    values = guard_ms if isinstance(guard_ms, tuple) else (guard_ms, guard_ms)
    if len(values) != 2:
        problems.append(Problem("guard_ms", guard_ms, "must be one number or (before, after)"))
        return Fraction(0), Fraction(0)
    before, after = (_milliseconds(value, "guard_ms", problems) for value in values)
    return before, after


def _milliseconds(value: Number, path: str, problems: list[Problem]) -> Fraction:
    """Seconds of a length in milliseconds; 0, with `problems` added to, where it is none."""
    ms = exact_or_none(value, path, problems) or Fraction(0)
    if ms < 0:
        problems.append(Problem(path, value, "must be at least 0 ms"))
    return ms / 1000


@dataclass(frozen=True, slots=True)
class _Stretch:
    start: Fraction
    end: Fraction | None
    path: str


def _joined(findings: Sequence[Finding], gap: Fraction) -> list[_Stretch]:
    """The findings in order of time, those with a gap of at most `gap` seconds as one."""
    out: list[_Stretch] = []
    for one in sorted(findings, key=lambda finding: finding.start):
        last = out[-1] if out else None
        if last and (last.end is None or one.start - last.end <= gap):
            end = None if last.end is None or one.end is None else max(last.end, one.end)
            out[-1] = _Stretch(last.start, end, last.path)
        else:
            out.append(_Stretch(one.start, one.end, one.path))
    return out


def _widened(stretch: _Stretch, before: Fraction, after: Fraction) -> Interval:
    start = max(stretch.start - before, Fraction(0))
    end = None if stretch.end is None else _decimal(math.ceil((stretch.end + after) * 10**6))
    return Interval(_decimal(math.floor(start * 10**6)), end, stretch.path)


def _decimal(microseconds: int) -> Decimal:
    return Decimal(microseconds).scaleb(-6)
