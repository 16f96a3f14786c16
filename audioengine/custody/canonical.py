# SPDX-License-Identifier: Apache-2.0
"""Documents in the one form in which they are hashed, whoever writes them.

JSON in ASCII, keys sorted, no white space, no number but integers: what is not whole is text, its
exact decimal. A document has one such form, and a line that isn't in it was not written here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from fractions import Fraction
from typing import Any

from audioengine.times import Interval, exact

# Longer than the decimal of any number that a request may hold.
_MOST_DECIMALS = 1000


def canonical(document: Mapping[str, Any]) -> bytes:
    """Return the form of a document that holds texts, integers, booleans, None, lists, objects."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("ascii")


def parsed(line: bytes) -> dict[str, Any] | None:
    """Return the document of a line; None where the line is not the form of one."""
    try:
        document = json.loads(line, parse_float=_refused)
        if isinstance(document, dict) and canonical(document) == line:
            return document
    except (ValueError, RecursionError):
        pass
    return None


def _refused(text: str) -> float:
    raise ValueError(f"{text}: documents hold no floats")


def plain_values(value: object) -> Any:
    """Return a request as a document holds it; an interval is a list of its bounds.

    Raises InvalidRequestError for numbers that a request may not hold.
    """
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, Interval):
        return [plain_values(value.start), plain_values(value.end)]
    if is_dataclass(value):
        return {field.name: plain_values(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain_values(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_values(inner) for inner in value]
    number = exact(value, "request")
    return number.numerator if number.denominator == 1 else _decimal(number)


def _decimal(number: Fraction) -> str:
    """The exact decimal of a number that is not whole; of a third, which has none, the fraction."""
    decimals, scaled = 0, abs(number)
    while scaled.denominator != 1:
        if decimals == _MOST_DECIMALS:
            return str(number)
        decimals, scaled = decimals + 1, scaled * 10
    digits = f"{scaled.numerator:0{decimals + 1}d}"
    return f"{'-' if number < 0 else ''}{digits[:-decimals]}.{digits[-decimals:]}"
