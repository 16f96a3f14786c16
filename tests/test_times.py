# SPDX-License-Identifier: Apache-2.0
"""Numbers of a request become samples exactly."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioengine.errors import InvalidRequestError
from audioengine.times import (
    clock_time,
    epoch_ms_to_samples,
    exact,
    ms_to_samples,
    read_time,
    round_half_up,
    round_outward,
    samples_to_ms,
    seconds_to_samples,
)

RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)

rates = st.sampled_from(RATES)
positions = st.fractions(min_value=-(10**12), max_value=10**12)


@given(st.integers(min_value=-(10**18), max_value=10**18), st.integers(min_value=0, max_value=9))
def test_decimals_are_exact(digits: int, places: int) -> None:
    """A decimal stands for itself, whichever way it is written."""
    value = Fraction(digits, 10**places)
    assert exact(Decimal(digits).scaleb(-places), "x") == value
    assert exact(value, "x") == value


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_are_their_shortest_decimal(value: float) -> None:
    """The exact value is within the float's own rounding, and prints as the float does."""
    result = exact(value, "x")
    assert float(result) == value
    assert result == Fraction(Decimal(repr(value)))


def test_a_tenth_is_a_tenth() -> None:
    """0.1 is not the binary fraction next to it."""
    assert exact(0.1, "x") == Fraction(1, 10)
    assert exact(np.float64(0.1), "x") == Fraction(1, 10)


def test_numpy_integers_do_not_overflow() -> None:
    """An integer out of an array computes like any other."""
    assert exact(np.int64(2**62), "x") * 8000 == 2**62 * 8000


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(True, id="bool"),
        pytest.param(np.True_, id="numpy-bool"),
        pytest.param("1", id="str"),
        pytest.param(b"1", id="bytes"),
        pytest.param(None, id="none"),
        pytest.param([1], id="list"),
        pytest.param(1j, id="complex"),
        pytest.param(math.nan, id="nan"),
        pytest.param(math.inf, id="infinity"),
        pytest.param(-math.inf, id="minus-infinity"),
        pytest.param(Decimal("NaN"), id="decimal-nan"),
        pytest.param(Decimal("sNaN"), id="decimal-signalling-nan"),
        pytest.param(Decimal("-Infinity"), id="decimal-infinity"),
        pytest.param(Decimal("1e999999999"), id="decimal-huge"),
        pytest.param(Decimal("1e-999999999"), id="decimal-tiny"),
        pytest.param(10**5000, id="int-huge"),
        pytest.param(Fraction(1, 10**5000), id="fraction-tiny"),
    ],
)
def test_what_is_no_number_is_refused(value: object) -> None:
    """One problem, at the given path, that can be printed."""
    with pytest.raises(InvalidRequestError) as caught:
        exact(value, "trim.from")
    assert [problem.path for problem in caught.value.problems] == ["trim.from"]
    assert "trim.from" in str(caught.value)


@given(st.decimals(-(10**9), 10**9, places=6), rates)
def test_units_agree(seconds: Decimal, rate_hz: int) -> None:
    """Seconds, milliseconds and epoch milliseconds put one instant at one position."""
    value = exact(seconds, "x")
    start_ms = Fraction(1561988732565)
    assert seconds_to_samples(value, rate_hz) == value * rate_hz
    assert ms_to_samples(value * 1000, rate_hz) == value * rate_hz
    assert epoch_ms_to_samples(start_ms + value * 1000, start_ms, rate_hz) == value * rate_hz


@given(positions)
def test_half_up_is_the_nearest_sample(position: Fraction) -> None:
    """No sample is nearer, and of two that are as near the later one is taken."""
    assert Fraction(-1, 2) < round_half_up(position) - position <= Fraction(1, 2)


@given(positions, positions)
def test_outward_is_the_smallest_cover(start: Fraction, end: Fraction) -> None:
    """The range covers the interval, and would not if either end moved in by a sample."""
    first, last = round_outward(start, end)
    assert first <= start < first + 1
    assert last - 1 < end <= last


@given(st.integers(0, 10**10), rates)
def test_reported_ms_lead_back_to_the_sample(samples: int, rate_hz: int) -> None:
    """A report's milliseconds name the sample they came from."""
    assert round_half_up(ms_to_samples(exact(samples_to_ms(samples, rate_hz), "x"), rate_hz)) == (
        samples
    )


@given(st.integers(0, 360_000), st.integers(0, 10**6 - 1))
def test_clock_times_read_as_they_were(seconds: int, microseconds: int) -> None:
    """Both as on a clock and as a number, to the microsecond."""
    exactly = seconds + Fraction(microseconds, 10**6)
    text = clock_time(exactly)
    assert read_time(text) == exactly
    assert read_time(f"{seconds}.{microseconds:06d}") == exactly
    assert len(text.partition(".")[2]) >= 3


@pytest.mark.parametrize(
    "text",
    ["", "1:2:3:4", "1:60", "61:00:61", "-1:00", "1:", ":5", "1:00,5", "one", f"1e{'9' * 20}"],
)  # fmt: skip
def test_what_is_no_time(text: str) -> None:
    assert read_time(text) is None
