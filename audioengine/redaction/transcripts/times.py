# SPDX-License-Identifier: Apache-2.0
"""Times as vendors write them, as exact seconds."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Context, Decimal
from typing import Any, TypeAlias

from audioengine.errors import InvalidRequestError
from audioengine.redaction.finding import MAX_SECONDS

Reader: TypeAlias = Callable[[Any, str], Decimal]
"""Makes seconds of a value; the text is its path, for errors."""

_NUMBER = re.compile(r"[0-9]{1,12}(?:\.[0-9]{0,20})?", re.ASCII)
_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)s", re.ASCII)
_ISO = re.compile(
    r"PT(?:([0-9]{1,6})H)?(?:([0-9]{1,8})M)?(?:([0-9]{1,12}(?:\.[0-9]{1,12})?)S)?", re.ASCII
)
_EXACT = Context(prec=100)
_MOST_DIGITS = 60


def seconds(value: Any, path: str) -> Decimal:
    """Return a number of seconds, or one in text, as Amazon Transcribe writes it."""
    if isinstance(value, str):
        return _checked(_decimal(value, path, _NUMBER, "a number of seconds"), path)
    return _checked(value, path)


def milliseconds(value: Any, path: str) -> Decimal:
    """Return the seconds of a number of milliseconds."""
    return _scaled(value, -3, path)


def ticks(value: Any, path: str) -> Decimal:
    """Return the seconds of a number of ticks of 100 ns."""
    return _scaled(value, -7, path)


def duration(value: Any, path: str) -> Decimal:
    """Return the seconds of a Duration in the JSON of protobuf, for instance ``"1.300s"``."""
    if not isinstance(value, str):
        raise InvalidRequestError.of(path, _shown(value), 'must be text such as "1.300s"')
    return _checked(_decimal(value, path, _DURATION, 'text such as "1.300s"'), path)


def iso_duration(value: Any, path: str) -> Decimal:
    """Return the seconds of a duration of ISO 8601 in hours, minutes and seconds."""
    found = _ISO.fullmatch(value) if isinstance(value, str) else None
    if found is None or not any(found.groups()):
        raise InvalidRequestError.of(path, _shown(value), 'must be text such as "PT1.2S"')
    hours, minutes, rest = (Decimal(one or 0) for one in found.groups())
    return _checked(_EXACT.add(hours * 3600 + minutes * 60, rest), path)


def confidence(value: Any) -> Decimal | int | None:
    """Return a confidence, also one in text; None where the file tells none that can be used.

    A finding without one is never left out.
    """
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = Decimal(value)
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        return None
    return value if 0 <= value <= 1 else None


def _decimal(text: str, path: str, form: re.Pattern[str], what: str) -> Decimal:
    found = form.fullmatch(text)
    if found is None:
        raise InvalidRequestError.of(path, _shown(text), f"must be {what}")
    return Decimal(found[found.lastindex or 0])


def _scaled(value: Any, power: int, path: str) -> Decimal:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**20:
        return _checked(Decimal(value).scaleb(power), path)
    number = _checked(value, path, MAX_SECONDS * 10**-power)
    return _checked(_EXACT.scaleb(number, power), path)


def _checked(value: Any, path: str, limit: int = MAX_SECONDS) -> Decimal:
    """The value as a decimal.

    Raises InvalidRequestError unless it is a number from 0 to the limit.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        value = Decimal(value)
    if not isinstance(value, Decimal):
        # NaN and infinities are floats here.
        raise InvalidRequestError.of(path, _shown(value), "must be a number")
    digits = value.as_tuple()
    exponent = digits.exponent
    if (
        not isinstance(exponent, int)
        or not 0 <= value < limit
        or len(digits.digits) + abs(exponent) > _MOST_DIGITS
    ):
        rule = "must be a time in the recording: at least 0, and less than 10^9 s"
        raise InvalidRequestError.of(path, "<number>", rule)
    return value


def _shown(value: object) -> str:
    """What a message may show of what is no time: it could be what was said."""
    return f"<{type(value).__name__}>"
