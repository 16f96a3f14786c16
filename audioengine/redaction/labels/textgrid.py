# SPDX-License-Identifier: Apache-2.0
"""Praat's TextGrid: a tier for each party, in the long or the short text format.

Praat takes as values only numbers, quoted texts and <flags> that stand free, and leaves out the
words around them; so does this.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from audioengine.redaction.labels.label import Gathering, Label, without_overlap
from audioengine.times import NUMBER

_DIGITS = 6
_ANY_KIND = "*"
"""Stands for no kind: an empty text marks what lies between labels."""
_VALUES = re.compile(
    rf"""
    (?P<comment>![^\n]*) | "(?P<text>(?:[^"]|"")*)" | (?<![^\s])(?P<number>{NUMBER})(?=\s|$)
    | (?P<flag><\w+>)
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class _Value:
    line: int
    text: str
    is_text: bool


class _End(Exception):  # noqa: N818 - no error of its own
    """There are no more values, or one of another kind."""

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line


def is_textgrid(text: str) -> bool:
    """Whether a text is a TextGrid."""
    return re.match(r'\s*(?:File type = )?"ooTextFile', text) is not None


def read(text: str, found: Gathering) -> None:
    """Each interval and point that has a text; a tier is called as the party."""
    values = _Values(text)
    try:
        values.text()
        if values.text() != "TextGrid":
            found.wrong(f"line {values.line}", "must be a TextGrid")
            return
        values.number()
        values.number()
        if values.flag() != "<exists>":
            return
        for _ in range(values.count()):
            _tier(values, found)
    except _End as end:
        found.wrong(f"line {end.line}", "must go on as a TextGrid does")


def _tier(values: _Values, found: Gathering) -> None:
    kind, name = values.text(), values.text()
    values.number()
    values.number()
    for _ in range(values.count()):
        line = values.next_line
        start = values.number()
        end = values.number() if kind == "IntervalTier" else start
        label = values.text().strip()
        seconds = [found.time(f"line {line}", time) for time in (start, end)]
        if label and seconds[0] is not None and seconds[1] is not None:
            found.add_named(f"line {line}", name, seconds[0], seconds[1], label)


class _Values:
    """The values of a file, one after the other."""

    def __init__(self, text: str) -> None:
        self._coming = _values(text)
        self._next = next(self._coming, None)
        self.line = 1

    @property
    def next_line(self) -> int:
        """The line of the next value."""
        return self.line if self._next is None else self._next.line

    def text(self) -> str:
        """The next value, which is a quoted text."""
        return self._take(is_text=True)

    def number(self) -> str:
        """The next value, which is a number."""
        return self._take(is_text=False)

    flag = number

    def count(self) -> int:
        """The next value, which counts what follows."""
        number = self.number()
        if not number.isdecimal():
            raise _End(self.line)
        return int(number)

    def _take(self, *, is_text: bool) -> str:
        value = self._next
        if value is None or value.is_text != is_text:
            raise _End(self.next_line)
        self.line = value.line
        self._next = next(self._coming, None)
        return value.text


def _values(text: str) -> Iterator[_Value]:
    line, position = 1, 0
    for match in _VALUES.finditer(text):
        line += text.count("\n", position, match.start())
        position = match.start()
        if match["text"] is not None:
            yield _Value(line, match["text"].replace('""', '"'), True)
        elif match["comment"] is None:
            yield _Value(line, match[0], False)


def write(labels: Iterable[Label], end: Fraction = Fraction(0)) -> str:
    """The labels in the long format, on as many tiers of a party as overlapping ones take.

    end: of the recording, in seconds; the last label's where that is later.
    """
    given = list(labels)
    total = max([end, *(label.end for label in given)])
    last = Label("both", Fraction(0), total).rounded(_DIGITS)[1]
    tiers = [
        (kind, party, track)
        for party in ("caller", "callee", "both")
        for kind, is_point in (("IntervalTier", False), ("TextTier", True))
        for track in without_overlap(
            label
            for label in given
            if label.party == party and (label.start == label.end) == is_point
        )
    ]
    lines = [
        'File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {last:f}",
        "tiers? <exists>", f"size = {len(tiers)}", "item []:",
    ]  # fmt: skip
    for number, (kind, party, track) in enumerate(tiers, start=1):
        is_point = kind == "TextTier"
        rows = _points(track) if is_point else _intervals(track, last)
        lines += [
            f"    item [{number}]:",
            f'        class = "{kind}"',
            f'        name = "{party}"',
            "        xmin = 0",
            f"        xmax = {last:f}",
            f"        {'points' if is_point else 'intervals'}: size = {len(rows)}",
        ]
        for place, row in enumerate(rows, start=1):
            lines.append(f"        {'points' if is_point else 'intervals'} [{place}]:")
            lines += [f"            {field}" for field in row]
    return "\n".join(lines) + "\n"


def _points(track: Iterable[Label]) -> list[list[str]]:
    return [
        [f"number = {label.rounded(_DIGITS)[0]:f}", f'mark = "{label.kind or _ANY_KIND}"']
        for label in track
    ]


def _intervals(track: Iterable[Label], last: Decimal) -> list[list[str]]:
    """The labels, and empty intervals between: a tier covers all of the recording."""
    rows = []
    now = Decimal(0)
    for label in track:
        start, end = label.rounded(_DIGITS)
        if start > now:
            rows.append((now, start, ""))
        rows.append((start, end, label.kind or _ANY_KIND))
        now = end
    if last > now:
        rows.append((now, last, ""))
    return [[f"xmin = {start}", f"xmax = {end}", f'text = "{text}"'] for start, end, text in rows]
