# SPDX-License-Identifier: Apache-2.0
"""Card numbers that nobody marked: digits in words, spoken or written, that pass Luhn's check.

ISO/IEC 7812-1 gives a card number its last digit by that check (annex B), and 19 digits at most;
13 is the shortest in use. One in ten other numbers passes too and is masked with them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from operator import itemgetter
from typing import TypeVar

from audioengine.redaction.finding import Finding
from audioengine.redaction.number_words import (
    ENGLISH,
    NumberWords,
    Token,
    Vocabulary,
    is_strong,
    tokens,
)
from audioengine.redaction.transcripts.model import Reading, WordStream

CARD_NUMBER = "CARD_NUMBER"
CVV = "CVV"
EXPIRY = "EXPIRY"

LEAST_DIGITS = 13
MOST_DIGITS = 19
_GAPS_WORDS = (3, 6)
"""Other words between digits of one number: "okay, go on", and "sorry, could you say that again".
More of them count only where fewer give no number: what follows is mostly another one."""
_STRONG_DIGITS = 8
"""Digits that a number must have beside words that only sound like some."""
_LONG_DIGITS = 60
"""Written in one, nearly every number of so many digits holds one that passes."""
_NEAR_BEFORE_S, _NEAR_AFTER_S = 30, 60
"""How far from a card number its code and its expiry are said."""
_CUE_S = 15
"""How long after the word for it a code is said: the other one asks for it, one looks for it."""
_FOLLOWS_S = 10
"""How long after a card number what follows is of the card, without a word for it."""

_Place = TypeVar("_Place", int, Fraction)
"""A word, or an instant in seconds."""

_DOUBLED = dict(zip("0123456789", (0, 2, 4, 6, 8, 1, 3, 5, 7, 9), strict=True))


def passes_luhn(digits: str) -> bool:
    """Return whether a number's last digit is the check digit of ISO/IEC 7812-1, annex B."""
    backwards = digits[::-1]
    doubled = sum(_DOUBLED[digit] for digit in backwards[1::2])
    return (sum(map(int, backwards[::2])) + doubled) % 10 == 0


def find_card_numbers(
    streams: Sequence[WordStream], reading: Reading, table: NumberWords = ENGLISH
) -> tuple[Finding, ...]:
    """Return the card numbers that words say, and codes and expiries near them.

    Fillers, other words and turns may lie between digits, and are of the finding. A code or an
    expiry that may be either is found as both.
    """
    vocabulary = Vocabulary(table)
    heard = [_heard(stream, vocabulary) for stream in streams]
    cards = [
        _Said(one, hit, CARD_NUMBER) for one in heard for hit in _card_numbers(one, vocabulary)
    ]
    said = [*cards, *_near(heard, cards, vocabulary)] if cards else []
    found: dict[tuple[object, ...], Finding] = {}
    for one in said:
        stream = one.heard.stream
        path = stream.path_of(one.words[0])
        finding = reading.finding(stream.party, stream.interval(*one.words), one.kind, None, path)
        found.setdefault((finding.party, finding.start, finding.end, finding.kind), finding)
    return tuple(found.values())


@dataclass(frozen=True, slots=True)
class _Heard:
    stream: WordStream
    texts: list[str]
    numeric: list[int]
    """The words that say digits by themselves, or how often one is said."""

    def where(self, wanted: set[str]) -> list[int]:
        """Return the places of words."""
        return [place for place, text in enumerate(self.texts) if text in wanted] if wanted else []

    def span(self, first: int, last: int) -> tuple[Fraction, Fraction]:
        interval = self.stream.interval(first, last)
        start = Fraction(interval.start or 0)
        return start, start if interval.end is None else Fraction(interval.end)


def _heard(stream: WordStream, vocabulary: Vocabulary) -> _Heard:
    # Each word is judged once, however often it is said: an hour has some thousand different ones.
    texts = [word.text for word in stream.words]
    numeric = {
        text
        for text in set(texts)
        if (atoms := vocabulary.atoms(text)) and (is_strong(atoms) or atoms[0].kind == "repeat")
    }
    one = _Heard(stream, texts, [])
    one.numeric.extend(one.where(numeric))
    return one


@dataclass(frozen=True, slots=True)
class _Said:
    heard: _Heard
    words: tuple[int, int]
    """The first and the last word, both inclusive."""
    kind: str


def _card_numbers(one: _Heard, vocabulary: Vocabulary) -> list[tuple[int, int]]:
    """The words of card numbers, first and last; none overlap."""
    hits: list[tuple[int, int]] = []
    known: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for gap in _GAPS_WORDS:
        more: list[tuple[int, int]] = []
        for run in _runs(one, vocabulary, gap):
            if run not in known:
                known[run] = _hits(one.texts, run, vocabulary)
                more += known[run]
        hits += [hit for hit in more if not _overlaps(hit, hits)]
    return _joined(hits)


def _overlaps(one: tuple[_Place, _Place], sorted_hits: Sequence[tuple[_Place, _Place]]) -> bool:
    """Whether it has a word or an instant in common with one of some that do not overlap."""
    at = bisect_left(sorted_hits, one[0], key=itemgetter(1))
    return at < len(sorted_hits) and sorted_hits[at][0] <= one[1]


def _hits(
    texts: Sequence[str], run: tuple[int, int], vocabulary: Vocabulary
) -> list[tuple[int, int]]:
    """The numbers in a run of digits, in each way in which words may be read as digits."""
    plain = tokens(vocabulary, texts, *run, combine=True, sound_alikes=False)
    if sum(len(token.digits) for token in plain) < _STRONG_DIGITS:
        return []
    hits = list(_windows(plain))
    for combine, sound_alikes in ((False, False), (True, True)):
        said = tokens(vocabulary, texts, *run, combine=combine, sound_alikes=sound_alikes)
        if said != plain:
            hits += _windows(said)
    return _joined(hits)


def _runs(one: _Heard, vocabulary: Vocabulary, max_gap: int) -> Iterator[tuple[int, int]]:
    """Stretches of words between digits of which at most so many say none."""
    first = last = -1
    for place in one.numeric:
        if first >= 0 and place - last - 1 > max_gap:
            yield _with_sound_alikes(one.texts, vocabulary, first, last)
            first = -1
        if first < 0:
            first = place
        last = place
    if first >= 0:
        yield _with_sound_alikes(one.texts, vocabulary, first, last)


def _with_sound_alikes(
    texts: Sequence[str], vocabulary: Vocabulary, first: int, last: int
) -> tuple[int, int]:
    """The stretch with what sounds like a digit at its ends, or belongs to its last number."""
    if first > 0 and vocabulary.atoms(texts[first - 1]):
        first -= 1
    while last + 1 < len(texts) and vocabulary.atoms(texts[last + 1]):
        last += 1
    return first, last


def _windows(said: Sequence[Token]) -> Iterator[tuple[int, int]]:
    """The words of each succession of whole tokens that is a card number by its check."""
    offsets = [0, *accumulate(len(token.digits) for token in said)]
    sums = _luhn_sums("".join(token.digits for token in said))
    for start, first in enumerate(said):
        begin = offsets[start]
        for after in range(start + 1, len(offsets)):
            end = offsets[after]
            if end - begin > MOST_DIGITS:
                break
            own = sums[end % 2]
            if end - begin >= LEAST_DIGITS and (own[end] - own[begin]) % 10 == 0:
                yield first.first, said[after - 1].last
        if len(first.digits) > MOST_DIGITS and _holds_one(first.digits):
            yield first.first, first.last


def _luhn_sums(digits: str) -> tuple[list[int], list[int]]:
    """Sums of all digits before each place, for numbers that end before an even or an odd place.

    The difference of two of them is the sum of Luhn's check, of any number in the digits.
    """
    plain, doubled = list(map(int, digits)), [_DOUBLED[digit] for digit in digits]
    even, odd = list(doubled), list(doubled)
    even[1::2], odd[::2] = plain[1::2], plain[::2]
    return [0, *accumulate(even)], [0, *accumulate(odd)]


def _holds_one(digits: str) -> bool:
    """Whether a number that is too long holds one that is not: what follows may be glued on."""
    return len(digits) > _LONG_DIGITS or any(
        passes_luhn(digits[start : start + length])
        for length in range(LEAST_DIGITS, MOST_DIGITS + 1)
        for start in range(len(digits) - length + 1)
    )


def _joined(hits: list[tuple[_Place, _Place]]) -> list[tuple[_Place, _Place]]:
    out: list[tuple[_Place, _Place]] = []
    for first, last in sorted(hits):
        if out and first <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], last))
        else:
            out.append((first, last))
    return out


def _near(
    heard: Sequence[_Heard], cards: Sequence[_Said], vocabulary: Vocabulary
) -> Iterator[_Said]:
    """Codes and expiries near card numbers, whoever says them."""
    spans = sorted(card.heard.span(*card.words) for card in cards)
    near = [(begin - _NEAR_BEFORE_S, end + _NEAR_AFTER_S) for begin, end in spans]
    zones = _joined(near)
    ends = sorted(end for _, end in spans)
    cvv, expiry = (
        sorted(_cues(heard, vocabulary, words))
        for words in (vocabulary.table.cvv_cues, vocabulary.table.expiry_cues)
    )
    for one in heard:
        taken = [card.words for card in cards if card.heard is one]
        for first, last, digits in _groups(one, taken, vocabulary):
            start, _ = one.span(first, last)
            if not _overlaps((start, start), zones):
                continue
            after_month = _month_before(one, first, vocabulary)
            if after_month is not None and len(digits) in (1, 2, 4):
                yield _Said(one, (after_month, last), EXPIRY)
                continue
            after_cvv, after_expiry = (_is_soon_after(start, _CUE_S, cue) for cue in (cvv, expiry))
            follows = not (after_cvv or after_expiry) and _is_soon_after(start, _FOLLOWS_S, ends)
            if _is_expiry(digits) and (after_expiry or follows):
                yield _Said(one, (first, last), EXPIRY)
            if len(digits) in (3, 4) and (after_cvv or follows):
                yield _Said(one, (first, last), CVV)


def _is_soon_after(start: Fraction, seconds: int, instants: Sequence[Fraction]) -> bool:
    """Whether one of some sorted instants is at most so many seconds before."""
    at = bisect_right(instants, start)
    return at > 0 and start - instants[at - 1] <= seconds


def _cues(
    heard: Sequence[_Heard], vocabulary: Vocabulary, words: frozenset[str]
) -> Iterator[Fraction]:
    """When a word of some is said."""
    for one in heard:
        cues = {text for text in set(one.texts) if vocabulary.plain(text) in words}
        for place in one.where(cues):
            yield one.span(place, place)[0]


def _groups(
    one: _Heard, taken: Sequence[tuple[int, int]], vocabulary: Vocabulary
) -> Iterator[tuple[int, int, str]]:
    """Short numbers that are not of a card number: their first and last words, and digits."""
    for first, last in _runs(one, vocabulary, 1):
        said = [
            token
            for token in tokens(vocabulary, one.texts, first, last, combine=True, sound_alikes=True)
            if not _overlaps((token.first, token.last), taken)
        ]
        if said:
            yield said[0].first, said[-1].last, "".join(token.digits for token in said)


def _month_before(one: _Heard, place: int, vocabulary: Vocabulary) -> int | None:
    """The month's name just before a year: "december 26", "december of 26"."""
    for before in (place - 1, place - 2):
        if before >= 0 and vocabulary.plain(one.texts[before]) in vocabulary.table.months:
            return before
    return None


def _is_expiry(digits: str) -> bool:
    """Whether digits may be a month and a year: 326, 1226, 32026, 122026."""
    if not 3 <= len(digits) <= 6:
        return False
    year_digits = 2 if len(digits) < 5 else 4
    month, year = digits[:-year_digits], digits[-year_digits:]
    return 1 <= int(month) <= 12 and (year_digits == 2 or year.startswith("20"))
