# SPDX-License-Identifier: Apache-2.0
"""Converts times of requests: exact numbers in, positions on a recording's sample clock out.

Inside the package the only clock is integer samples. A number of a request becomes an exact
fraction once, here, and is rounded once: floats are never added.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from numbers import Rational, Real
from typing import Literal, TypeAlias, cast

from audioengine.errors import InvalidRequestError, LimitError, Problem

Number: TypeAlias = int | float | Decimal
"""A number of a request. A float stands for its shortest decimal: 0.1 is one tenth."""

MIN_EPOCH_MS = 10**11  # March 1973; as a relative time, three years in milliseconds
MAX_EPOCH_MS = 10**14  # the year 5138; more are microseconds
MAX_MASKS = 10_000
"""The most masks of one recording."""
_MAX_RELATIVE_S = 10**9  # no recording lasts 31 years; an epoch in ms is more

# Far beyond any time or level, yet small enough that exact arithmetic stays instant.
_MAX_POWER_OF_TEN = 400


@dataclass(frozen=True, slots=True)
class Interval:
    """A half-open stretch of time ``[start, end)`` as a request gives it.

    Seconds from the recording's start, or epoch milliseconds where the request says so. None stands
    for the recording's own start or end; a mask must have at least one bound.
    """

    start: Number | None
    """The first instant inside."""
    end: Number | None
    """The first instant after it."""
    origin: str = field(default="", compare=False, repr=False)
    """The request's name for this interval, for messages; empty: its path in the request."""


def exact(value: object, path: str) -> Fraction:
    """Return the exact value of a number of a request.

    A float is read as its shortest decimal. `path` names the field in errors.

    Raises InvalidRequestError for anything that is no number, booleans and strings included, for
    NaN, infinities and numbers of absurd size.
    """
    if type(value) is float and math.isfinite(value):
        # Most are, and asking for abstract classes takes time. So does a way without Decimal.
        return Fraction(Decimal(float.__repr__(value)))
    if isinstance(value, bool) or not isinstance(value, (Rational, float, Decimal)):
        narrow = _narrow_float(value)
        if narrow is None:
            raise InvalidRequestError.of(path, value, "must be a number")
        value = narrow
    if isinstance(value, Rational):  # also NumPy's integers, whose own arithmetic would overflow
        numerator, denominator = int(value.numerator), int(value.denominator)
        if max(numerator.bit_length(), denominator.bit_length()) > _MAX_POWER_OF_TEN * 10 // 3:
            # Python refuses to print an integer of thousands of digits.
            raise InvalidRequestError.of(path, "a huge number", "must be of a sensible size")
        return Fraction(numerator, denominator)
    if not (math.isfinite(value) if isinstance(value, float) else value.is_finite()):
        raise InvalidRequestError.of(path, value, "must be finite")
    if isinstance(value, float):
        return Fraction(Decimal(float.__repr__(value)))
    parts = value.as_tuple()
    if abs(int(parts.exponent)) + len(parts.digits) > _MAX_POWER_OF_TEN:
        raise InvalidRequestError.of(path, value, "must be of a sensible size")
    return Fraction(value)


def _narrow_float(value: object) -> float | Decimal | None:
    """A NumPy float other than float64 as its own shortest decimal; None for anything else.

    NumPy registers its floats as Real, but only float64 is a Python float.
    """
    if not isinstance(value, Real) or isinstance(value, (Rational, float)):
        return None
    if not math.isfinite(value):
        return float(value)
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None


NUMBER = r"-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
"""A number as text. Signs are read, so that a negative time is refused as one."""
CLOCK_TIME = r"(?:[0-9]+:)?[0-5]?[0-9]:[0-5]?[0-9](?:\.[0-9]+)?"
"""``hh:mm:ss.mmm`` as text; hours and the fraction may be left out."""
TIME = rf"{CLOCK_TIME}|{NUMBER}"
"""A time as text, in seconds or as on a clock."""


def read_time(text: str) -> Decimal | None:
    """Return the exact seconds of a number or ``hh:mm:ss.mmm`` as text; None for other text."""
    try:
        if re.fullmatch(NUMBER, text):
            return Decimal(text)
        if re.fullmatch(CLOCK_TIME, text):
            return sum(
                (Decimal(part) * 60**place for place, part in enumerate(text.split(":")[::-1])),
                start=Decimal(0),
            )
    except (InvalidOperation, ValueError):  # of absurd size
        return None
    return None


def clock_time(seconds: Fraction) -> str:
    """Return seconds as ``hh:mm:ss.mmm`` for people, with up to three more digits if needed."""
    whole, fraction = divmod(seconds, 1)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    digits = f"{round(fraction * 10**6):06d}"
    digits = digits[:3] + digits[3:].rstrip("0")
    return f"{hours:02d}:{minute:02d}:{second:02d}.{digits}"


def check_mask_count(count: int) -> None:
    """Raise LimitError for more than MAX_MASKS masks of a recording."""
    if count > MAX_MASKS:
        raise LimitError(f"mask has {count} intervals, at most {MAX_MASKS} are allowed")


def exact_or_none(value: object, path: str, problems: list[Problem]) -> Fraction | None:
    """Return what `exact` returns; None, with a problem added, where it raises."""
    try:
        return exact(value, path)
    except InvalidRequestError as error:
        problems += error.problems
        return None


_ISO_8601 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(\.\d{1,9})?(?:([Zz])|([+-])(\d\d):?(\d\d))"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def epoch_ms(text: str, path: str) -> Decimal:
    """Return epoch milliseconds of a text, which is such a number or an ISO 8601 time.

    Raises InvalidRequestError if it is neither, or has no time zone.
    """
    if re.fullmatch(r"\d{1,20}(\.\d{1,20})?", text):
        return Decimal(text)
    found = _ISO_8601.fullmatch(text)
    since = None
    if found is not None:
        date, clock, fraction, _, sign, hours, minutes = found.groups()
        zone = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
        with suppress(ValueError):  # the 31st of February
            since = datetime.fromisoformat(f"{date}T{clock}+00:00") - _EPOCH
            since -= -zone if sign == "-" else zone
    if since is None:
        rule = (
            "must be epoch milliseconds, or a time in ISO 8601 with its zone: "
            "2026-11-30T08:00:00.250Z"
        )
        raise InvalidRequestError.of(path, text, rule)
    return 1000 * (since // timedelta(seconds=1) + Decimal(f"0{fraction or ''}"))


def seconds_to_samples(seconds: Fraction, rate_hz: int) -> Fraction:
    """Return the exact position, in samples, of an instant in seconds."""
    return Fraction(seconds.numerator * rate_hz, seconds.denominator)


def ms_to_samples(ms: Fraction, rate_hz: int) -> Fraction:
    """Return a position or length in milliseconds in exact samples."""
    return ms * rate_hz / 1000


def epoch_ms_to_samples(epoch_ms: Fraction, start_time_ms: Fraction, rate_hz: int) -> Fraction:
    """Return the exact position, in samples, of an epoch time in a recording."""
    return ms_to_samples(epoch_ms - start_time_ms, rate_hz)


def samples_to_ms(samples: int, rate_hz: int) -> float:
    """Return samples as milliseconds, to the nearest float: for reports, never to compute with."""
    return samples * 1000 / rate_hz


def round_half_up(position: Fraction) -> int:
    """Return the nearest sample, the later of two equally near ones: floor(x + 1/2)."""
    return math.floor(position + Fraction(1, 2))


def round_outward(start: Fraction, end: Fraction) -> tuple[int, int]:
    """Return the smallest range of whole samples that covers ``[start, end)``."""
    return math.floor(start), math.ceil(end)


def plain(value: Fraction) -> str:
    """Return the value with at most three decimals, for people."""
    return f"{float(value):.3f}".rstrip("0").rstrip(".")


def grouped(value: Fraction) -> str:
    """Return what `plain` returns, with a comma between thousands."""
    text = f"{float(value):,.3f}"
    return text.rstrip("0").rstrip(".")


@dataclass(frozen=True, slots=True)
class Bounds:
    """An interval in exact samples, with its path and request for messages."""

    path: str
    asked: Interval
    start: Fraction | None
    end: Fraction | None


# Units that a number may have been meant in, with the factor to the clock's own unit.
_OTHER_UNITS: Mapping[str, tuple[tuple[str, Fraction], ...]] = {
    "s": (("milliseconds", Fraction(1, 1000)), ("microseconds", Fraction(1, 1_000_000))),
    "ms": (("microseconds", Fraction(1, 1000)), ("seconds", Fraction(1000))),
    "epoch ms": (("microseconds", Fraction(1, 1000)), ("seconds", Fraction(1000))),
}


@dataclass(frozen=True, slots=True)
class Clock:
    """Converts the numbers of a request to samples of the recording."""

    rate_hz: int
    unit: Literal["s", "ms", "epoch ms"]
    start_ms: Fraction | None
    """Epoch time of the recording's start; None: unknown or not needed."""
    zero: int
    """The sample at that time."""

    def bounds(self, interval: Interval, path: str, problems: list[Problem]) -> Bounds | None:
        """Return the interval in exact samples; None, with problems added, if it is wrong."""
        path = interval.origin or path
        before = len(problems)
        start = self._exact(interval.start, f"{path}.from", problems)
        end = self._exact(interval.end, f"{path}.to", problems)
        if start is not None and end is not None and start >= end:
            rule = f"must be more than from, {interval.start}"
            problems.append(Problem(f"{path}.to", interval.end, rule))
        if len(problems) > before or (self.unit == "epoch ms" and self.start_ms is None):
            return None
        if start is None and end is None:
            return None
        return Bounds(path, interval, self._samples(start), self._samples(end))

    def _exact(self, value: Number | None, path: str, problems: list[Problem]) -> Fraction | None:
        if value is None:
            return None
        number = exact_or_none(value, path, problems)
        rule = None if number is None else self._broken_rule(number)
        if rule is None:
            return number
        problems.append(Problem(path, value, rule))
        return None

    def _broken_rule(self, number: Fraction) -> str | None:
        if self.unit == "epoch ms":
            if number > MIN_EPOCH_MS:
                return None
            rule = "must be more than 10^11 with absolute times, which are epoch milliseconds"
            if MIN_EPOCH_MS < number * 1000 < MAX_EPOCH_MS:
                rule += f"; if it is in seconds, {plain(number * 1000)} is right"
            return rule
        # Comparing a fraction with a number of another type takes ten times as long.
        numerator, denominator = number.as_integer_ratio()
        if numerator < 0:
            return "must be at least 0: relative times count from the recording's start"
        if self.unit == "ms" and denominator != 1:
            return (
                "must be whole: relative times are milliseconds here; if it is in seconds, "
                f"{plain(number * 1000)} is right"
            )
        limit = _MAX_RELATIVE_S * (1000 if self.unit == "ms" else 1)
        if numerator < limit * denominator:
            return None
        return (
            f"must be less than {limit} {self.unit}; "
            "epoch milliseconds need absoluteTimes to be true"
        )

    def other_reading(self, value: Number, samples: int) -> str:
        """Return, for messages, the time that a number would be in another unit.

        Empty if that would lie outside a recording of `samples` samples too.
        """
        number = exact(value, "")
        for unit, factor in _OTHER_UNITS[self.unit]:
            position = self._samples(number * factor)
            if position is not None and 0 <= position <= samples:
                return f"; in {unit} it would be {grouped(position / self.rate_hz)} s"
        return ""

    def _samples(self, number: Fraction | None) -> Fraction | None:
        if number is None:
            return None
        if self.unit == "epoch ms":
            start_ms = cast(Fraction, self.start_ms)  # bounds() has seen to it
            return epoch_ms_to_samples(number, start_ms, self.rate_hz) + self.zero
        if self.unit == "ms":
            return ms_to_samples(number, self.rate_hz)
        return seconds_to_samples(number, self.rate_hz)

    def describe(self, first: int, last: int) -> str:
        """Return a range of samples in the request's own unit, for people."""
        start, end = Fraction(first, self.rate_hz), Fraction(last, self.rate_hz)
        if self.unit == "epoch ms":
            offset = cast(Fraction, self.start_ms) - Fraction(self.zero * 1000, self.rate_hz)
            return f"{plain(offset + start * 1000)} to {plain(offset + end * 1000)} epoch ms"
        if self.unit == "ms":
            return f"{plain(start * 1000)} to {plain(end * 1000)} ms"
        return f"{plain(start)} to {plain(end)} s"
