# SPDX-License-Identifier: Apache-2.0
"""Numbers as they are spoken: a table for a language, and what digits words of it stand for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

# Digits as a recogniser groups them: "4111-1111", "12/26", "4,111".
_SIGNS = "-–—./, \u00a0\u202f"
_WRITTEN = re.compile(rf"\d(?:[{_SIGNS}]*\d)*")
_EDGES = re.compile(r"^[^\w]+|[^\w]+$")
_PARTS = re.compile(r"[\s\-–]+")
_GLUED_DIGITS = 4
"""A word with so many digits says them, whatever else is in it: a group of a card number's."""


@dataclass(frozen=True, slots=True)
class NumberWords:
    """How a language says numbers; all words are in lower case.

    Another language is another one of these, and ``dataclasses.replace`` extends one.
    """

    numbers: Mapping[str, int]
    """0 to 99. A word for 20, 30 … 90 takes the next one to it: forty one is 41."""
    scales: Mapping[str, int] = field(default_factory=dict)
    """What the number before is multiplied by: hundred, thousand."""
    repeats: Mapping[str, int] = field(default_factory=dict)
    """How often the next digit counts: double, triple."""
    joins: frozenset[str] = frozenset()
    """What may stand after a scale: four hundred and eleven."""
    sound_alikes: Mapping[str, int] = field(default_factory=dict)
    """Words that recognisers write for digits: for, to. They count only beside digits."""
    months: Mapping[str, int] = field(default_factory=dict)
    cvv_cues: frozenset[str] = frozenset()
    """Words after which a number of 3 or 4 digits is a card's security code."""
    expiry_cues: frozenset[str] = frozenset()
    """Words after which a month and a year are a card's expiry."""


def counted(words: str, first: int, step: int = 1) -> dict[str, int]:
    """Return words with their values, which begin at `first` and grow by `step`."""
    return {word: first + step * place for place, word in enumerate(words.split())}


ENGLISH = NumberWords(
    numbers=MappingProxyType(
        {
            **counted("zero one two three four five six seven eight nine ten eleven twelve", 0),
            **counted("thirteen fourteen fifteen sixteen seventeen eighteen nineteen", 13),
            **counted("twenty thirty forty fifty sixty seventy eighty ninety", 20, 10),
            **dict.fromkeys(("oh", "o", "nought", "naught", "nil"), 0),
            "niner": 9,
            "fourty": 40,
        }
    ),
    scales=MappingProxyType({"hundred": 100, "thousand": 1000}),
    repeats=MappingProxyType({"double": 2, "triple": 3, "treble": 3, "quadruple": 4}),
    joins=frozenset({"and"}),
    sound_alikes=MappingProxyType(
        {"to": 2, "too": 2, "for": 4, "fore": 4, "ate": 8, "won": 1, "tree": 3, "sex": 6, "owe": 0}
    ),
    months=MappingProxyType(
        {
            **counted("january february march april may june july august september", 1),
            **counted("october november december", 10),
            **counted("jan feb mar apr may jun jul aug sep oct nov dec", 1),
            "sept": 9,
        }
    ),
    cvv_cues=frozenset(
        {"cvv", "cvv2", "cvc", "cvc2", "csc", "cid", "security", "verification", "code", "back"}
    ),
    expiry_cues=frozenset(
        {"expiry", "expires", "expire", "expiring", "expiration", "exp", "valid", "thru"}
    ),
)


class _Atom(NamedTuple):
    """What a word, or a part of it, has to do with numbers."""

    kind: str
    """``digits``, ``number``, ``scale``, ``repeat``, ``join`` or ``alike``."""
    digits: str = ""
    value: int = 0


class Token(NamedTuple):
    """Digits that belong together, and the words that say them."""

    first: int
    last: int
    digits: str


@dataclass(slots=True)
class Vocabulary:
    """What words mean, looked up once each."""

    table: NumberWords
    _known: dict[str, tuple[_Atom, ...]] = field(default_factory=dict)
    _plain: dict[str, str] = field(default_factory=dict)

    def atoms(self, text: str) -> tuple[_Atom, ...]:
        """Return what a word has to do with numbers; nothing for most."""
        found = self._known.get(text)
        if found is None:
            found = self._known[text] = self._read(text)
        return found

    def plain(self, text: str) -> str:
        """Return a word in lower case, without signs around it."""
        found = self._plain.get(text)
        if found is None:
            found = self._plain[text] = _EDGES.sub("", text).casefold()
        return found

    def _read(self, text: str) -> tuple[_Atom, ...]:
        bare = self.plain(text)
        if _WRITTEN.fullmatch(bare):
            return (_Atom("digits", "".join(str(int(one)) for one in bare if one.isdecimal())),)
        atoms = [self._part(part) for part in _PARTS.split(bare)]
        known = [atom for atom in atoms if atom is not None]
        if len(known) == len(atoms):
            return tuple(known)
        glued = "".join(str(int(one)) for one in bare if one.isdecimal())
        return (_Atom("digits", glued),) if len(glued) >= _GLUED_DIGITS else ()

    def _part(self, part: str) -> _Atom | None:
        table = self.table
        if part.isdecimal():
            return _Atom("digits", "".join(str(int(one)) for one in part))
        if part in table.numbers:
            return _Atom("number", str(table.numbers[part]), table.numbers[part])
        if part in table.scales:
            return _Atom("scale", "", table.scales[part])
        if part in table.repeats:
            return _Atom("repeat", "", table.repeats[part])
        if part in table.joins:
            return _Atom("join")
        if part in table.sound_alikes:
            return _Atom("alike", str(table.sound_alikes[part]), table.sound_alikes[part])
        return None


def is_strong(atoms: tuple[_Atom, ...]) -> bool:
    """Return whether a word says digits by itself."""
    return any(atom.kind in ("digits", "number") for atom in atoms)


def tokens(
    vocabulary: Vocabulary,
    texts: Sequence[str],
    first: int,
    last: int,
    *,
    combine: bool,
    sound_alikes: bool,
) -> list[Token]:
    """Return the digits that the words `first` to `last`, both inclusive, say.

    combine: forty one is 41, else 40 and 1: both are said.
    sound_alikes: whether these count, beside words that say digits.
    """
    flat: list[tuple[int, _Atom]] = []
    for place in range(first, last + 1):
        for atom in vocabulary.atoms(texts[place]):
            if atom.kind == "alike":
                beside = [one for one in (place - 1, place + 1) if first <= one <= last]
                if not sound_alikes or not any(
                    is_strong(vocabulary.atoms(texts[one])) for one in beside
                ):
                    continue
                atom = _Atom("number", atom.digits, atom.value)  # noqa: PLW2901
            flat.append((place, atom))
    out: list[Token] = []
    at = 0
    while at < len(flat):
        token, at = _token(flat, at, combine=combine)
        if token is not None:
            out.append(token)
    return out


def _token(
    flat: Sequence[tuple[int, _Atom]], at: int, *, combine: bool
) -> tuple[Token | None, int]:
    place, atom = flat[at]
    if atom.kind == "digits":
        return Token(place, place, atom.digits), at + 1
    if atom.kind == "repeat":
        following = _adjacent(flat, at)
        if following is not None and len(following.digits) == 1:
            return Token(place, flat[at + 1][0], following.digits * atom.value), at + 2
        return None, at + 1
    if atom.kind != "number":
        return None, at + 1
    value, after = _number(flat, at, combine=combine)
    return Token(place, flat[after - 1][0], str(value)), after


def _number(flat: Sequence[tuple[int, _Atom]], at: int, *, combine: bool) -> tuple[int, int]:
    """The value of a spoken number, and what comes after it."""
    value = flat[at][1].value
    following = _adjacent(flat, at)
    is_ten = value >= 20 and value % 10 == 0
    if (
        combine
        and is_ten
        and following
        and following.kind == "number"
        and 1 <= following.value <= 9
    ):
        value += following.value
        at += 1
        following = _adjacent(flat, at)
    least = 0
    while following and following.kind == "scale" and value > 0:
        value *= following.value
        least = following.value
        at += 1
        following = _adjacent(flat, at)
    if least:
        if following and following.kind == "join":
            at += 1
            following = _adjacent(flat, at)
        if following and following.kind == "number":
            rest, after = _number(flat, at + 1, combine=combine)
            if rest < least:
                return value + rest, after
        elif flat[at][1].kind == "join":
            at -= 1
    return value, at + 1


def _adjacent(flat: Sequence[tuple[int, _Atom]], at: int) -> _Atom | None:
    """What the next word says, unless other words are between."""
    if at + 1 < len(flat) and flat[at + 1][0] - flat[at][0] <= 1:
        return flat[at + 1][1]
    return None
