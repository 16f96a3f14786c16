# SPDX-License-Identifier: Apache-2.0
"""Card numbers in words: found however they are said, with what is said near them."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import audioengine as ae
from audioengine.redaction.card_numbers import passes_luhn
from audioengine.redaction.number_words import ENGLISH, NumberWords, counted
from audioengine.redaction.transcripts.reading import find_in_transcript
from fixtures.transcripts import encoded
from tests.strategies import examples

VISA = "4012888888881881"
AMEX = "378282246310005"
DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
TENS = {20: "twenty", 30: "thirty", 40: "forty", 50: "fifty", 80: "eighty"}
# Of another tongue than English, as a user would write it down.
GERMAN = NumberWords(
    numbers={
        **counted("null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf", 0),
        "zwo": 2,
        "achtundachtzig": 88,
    },
    repeats={"doppel": 2},
)


def findings(text: str, step: float = 0.5, **options: Any) -> ae.Findings:
    """What is found in words that follow each other; a `|` is the other party's turn."""
    words: list[dict[str, Any]] = []
    channel = 0
    for word in text.split():
        if word == "|":
            channel = 1 - channel
            continue
        start = len(words) * step
        words.append({"word": word, "start": start, "end": start + step, "channel": channel})
    return find_in_transcript(encoded({"words": words}), **options)


def spoken(text: str, **options: Any) -> list[str]:
    """The kinds that are found, with the words of each."""
    found = findings(text, **options)
    plain = [word for word in text.split() if word != "|"]
    return [
        f"{one.kind}: {' '.join(plain[int(one.start * 2) : int((one.end or 0) * 2)])}"
        for one in found
    ]


def check_digit(digits: str) -> str:
    return next(last for last in "0123456789" if passes_luhn(digits + last))


def luhn_by_hand(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        total += sum(map(int, str(int(digit) * (2 if place % 2 else 1))))
    return total % 10 == 0


@given(st.text("0123456789", min_size=1, max_size=25))
def test_luhn_is_what_the_standard_says(digits: str) -> None:
    assert passes_luhn(digits) == luhn_by_hand(digits)


@st.composite
def sayings(draw: st.DrawFn) -> tuple[list[str], str]:
    """A card number in words, some of them fillers, and its digits."""
    length = draw(st.integers(13, 19))
    body = draw(st.text("0123456789", min_size=length - 1, max_size=length - 1))
    digits = body + check_digit(body)
    words: list[str] = []
    at = 0
    while at < len(digits):
        rest = digits[at:]
        way = draw(st.sampled_from(("word", "digit", "group", "double", "ten", "teen")))
        if way == "group":
            group = rest[: draw(st.integers(1, 8))]
            words.append("-".join((group[:2], group[2:])) if len(group) > 2 else group)
            at += len(group)
        elif way == "double" and rest[:2] == rest[:1] * 2:
            words += ["Double", DIGITS[int(rest[0])]]
            at += 2
        elif way == "ten" and int(rest[:2]) in TENS:
            words.append(TENS[int(rest[:2])])
            at += 2
        elif way == "ten" and rest[0] in "23458" and rest[1:2] not in ("", "0"):
            words += [f"{TENS[10 * int(rest[0])]}-{DIGITS[int(rest[1])]}"]
            at += 2
        elif way == "teen" and rest[:2] in ("11", "12"):
            words.append({"11": "eleven,", "12": "twelve."}[rest[:2]])
            at += 2
        else:
            words.append(rest[0] if way == "digit" else DIGITS[int(rest[0])])
            at += 1
        # A ten before a unit could be both numbers in one.
        words += draw(st.sampled_from(([], [], ["uh"], ["okay", "go", "on"])))
    return words, digits


@examples(60)
@given(sayings())
def test_a_card_number_is_found_however_it_is_said(saying: tuple[list[str], str]) -> None:
    words, _ = saying
    while words and words[-1] in ("uh", "okay", "go", "on"):
        words.pop()
    found = findings(" ".join(["hello", "it", "is", *words, "thanks", "a", "lot", "bye", "now"]))
    start, end = 3 * 0.5, (3 + len(words)) * 0.5
    cards = [one for one in found if one.kind == "CARD_NUMBER"]
    covered = [(float(one.start), float(one.end or 0)) for one in cards]
    assert any(a <= start and end <= b for a, b in covered), covered


@pytest.mark.parametrize(
    "said",
    [
        VISA,
        "4012 8888 8888 1881",
        "4012-8888-8888-1881.",
        "#4012-8888-8888-1881",
        "four oh one two eight eight eight eight eight eight eight eight one eight eight one",
        "forty twelve double eight double eight double eight double eight eighteen eighty-one",
        "for zero one to double eight double eight double eight double eight one eight eight one",
        "four thousand and twelve 8888 8888 one thousand eight hundred and eighty one",
        "forty hundred and twelve 8888 8888 eighteen eighty one",
        "4012 8888 sorry could you say that again 8888 1881",
        "4012 8888 | mhm | 8888 | okay go on please | 1881",
        "٤٠١٢ ٨٨٨٨ ٨٨٨٨ ١٨٨١",
    ],
)
def test_ways_to_say_one(said: str) -> None:
    found = findings(f"my number is {said} thank you very much indeed")
    (card,) = [one for one in found if one.kind == "CARD_NUMBER"]
    count = len([word for word in said.split() if word != "|"])
    assert (float(card.start), float(card.end or 0)) == (1.5, 1.5 + count * 0.5)
    assert card.party == "caller"


def test_speakers_of_one_channel_are_told_apart() -> None:
    """What the other one says between, digits too, breaks no number."""
    turns = [("a", "4012 8888"), ("b", "4012 8888 yes"), ("a", "8888 1881")]
    words = [{"word": word, "speaker": speaker} for speaker, text in turns for word in text.split()]
    for place, word in enumerate(words):
        word |= {"start": place, "end": place + 1}  # type: ignore[dict-item]
    found = find_in_transcript(encoded({"words": words}))
    assert any(one.start == 0 and one.end == 7 and one.party is None for one in found)


@pytest.mark.parametrize(
    "said",
    [
        "call me at 0171 555 0199 please",
        "one of the two is the one for you to go to at four or five",
        "4012 8888 8888 1882",
        "it costs 1,299 and there are 14 of them since 1999",
        "4012 8888 and so on and so forth until one day you find 8888 1881",
    ],
)
def test_what_is_none_is_not_found(said: str) -> None:
    assert spoken(said) == []


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("expiry 12/26 and the cvv 731", ["EXPIRY: 12/26", "EXPIRY: 731", "CVV: 731"]),
        ("it expires in December twenty six", ["EXPIRY: December twenty six"]),
        ("the code on the back is seven three one", ["CVV: seven three one"]),
        ("| and the security code ? | nine nine two", ["CVV: nine nine two"]),
        ("expires 03 2027", ["EXPIRY: 03 2027"]),
        ("valid thru three twenty six", ["EXPIRY: three twenty six"]),
        ("0526", ["EXPIRY: 0526", "CVV: 0526"]),
        ("the weather is fine today and it will be so for a few more days to come 731", []),
    ],
)
def test_codes_and_expiries_near_a_number(said: str, found: list[str]) -> None:
    """What may be either is both; without a word for it, it must follow at once."""
    text = f"number {VISA} thanks a lot indeed {said}"
    assert sorted(spoken(text)) == sorted([f"CARD_NUMBER: {VISA}", *found])


def test_a_code_without_a_number_is_none() -> None:
    assert spoken("the cvv is 731") == []


def test_other_languages_are_a_table() -> None:
    said = "vier null eins zwei acht acht achtundachtzig 8888 doppel eins"
    digits = "40128888888811"
    assert check_digit(digits[:-1]) != digits[-1]
    text = (
        "meine nummer ist vier null eins zwei doppel acht achtundachtzig 8888 eins acht acht eins"
    )
    assert spoken(text) == []
    assert spoken(text, numbers=GERMAN) == [f"CARD_NUMBER: {' '.join(text.split()[3:])}"]
    assert spoken(said, numbers=GERMAN) == []
    more = replace(ENGLISH, numbers={**ENGLISH.numbers, "jack": 4})
    jack = f"jack {VISA[1:]}"
    assert spoken(jack) != spoken(jack, numbers=more) == [f"CARD_NUMBER: {jack}"]


def test_american_express_has_fifteen_digits() -> None:
    assert spoken(f"{AMEX[:4]} {AMEX[4:10]} {AMEX[10:]}") == [
        f"CARD_NUMBER: {AMEX[:4]} {AMEX[4:10]} {AMEX[10:]}"
    ]


@pytest.mark.parametrize("said", ["cardis{}", "{}'s", "{}usd", "x{}\u200by"])
def test_a_word_with_a_number_glued_on_is_found(said: str) -> None:
    (found,) = findings(f"it is {said.format(VISA)} okay")
    assert found.kind == "CARD_NUMBER"
    assert (found.start, found.end) == (Fraction(1), Fraction(3, 2))


def test_marks_without_a_width_hide_no_digits() -> None:
    assert len(findings("4012\u200b8888 88\u200b88 1881")) == 1
