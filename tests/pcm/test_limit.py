# SPDX-License-Identifier: Apache-2.0
"""The limiter: never too loud, no further than needed, the same in any window."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioengine.pcm.limit import CEILING, Limiter
from tests.strategies import examples

Samples = npt.NDArray[np.float32]

RATES = (8000, 16000, 44100)
FAR = 10**9  # samples that the sum goes on for beyond a mix

limiters = st.builds(Limiter, st.sampled_from(RATES))
# How far the sum goes on: not at all, a few samples, so far that its border is out of reach.
beyond = st.sampled_from((0, 1, 7, 50, FAR))


@st.composite
def mixes(draw: st.DrawFn, *, least: int = 1) -> Samples:
    """Quiet noise with some short and some long loud places, a few of them at the ends."""
    length = draw(st.integers(least, 4000))
    mix = np.random.default_rng(length).uniform(-0.8, 0.8, length)
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.one_of(st.just(0), st.just(length - 1), st.integers(0, length - 1)))
        mix[at : at + draw(st.sampled_from((1, 1, 2, 30, 700)))] *= draw(st.floats(1.1, 8))
    return mix.astype(np.float32)


def gain_of(limiter: Limiter, mix: Samples, before: int = FAR, after: int = FAR) -> Samples:
    """The gain, ones where there is none to apply."""
    gain = limiter.gain(mix, before, after)
    return np.ones_like(mix) if gain is None else gain


def too_loud(mix: Samples) -> npt.NDArray[np.bool_]:
    loud: npt.NDArray[np.bool_] = np.abs(mix) > np.float32(CEILING)
    return loud


def single(length: int, at: int, level: float) -> Samples:
    """Silence with one sample in it."""
    mix = np.zeros(length, dtype=np.float32)
    mix[at] = level
    return mix


def test_the_ceiling_leaves_room_for_what_mp3_adds() -> None:
    assert 20 * np.log10(CEILING) == pytest.approx(-1.5)


@given(limiters, mixes(), beyond, beyond)
@examples(100)
def test_nothing_is_above_the_ceiling_and_nothing_gets_louder(
    limiter: Limiter, mix: Samples, before: int, after: int
) -> None:
    gain = gain_of(limiter, mix, before, after)
    assert gain.dtype == np.float32
    assert gain.shape == mix.shape
    assert (gain > 0).all()
    assert (gain <= 1).all()
    # Two roundings: of the gain and of the product.
    assert np.abs(mix * gain).max() <= CEILING * (1 + 2.0**-22)


@given(limiters, mixes(), beyond, beyond)
@examples(100)
def test_what_is_far_from_all_that_is_too_loud_keeps_its_level(
    limiter: Limiter, mix: Samples, before: int, after: int
) -> None:
    loud = np.flatnonzero(too_loud(mix))
    gain = gain_of(limiter, mix, before, after)
    count = np.arange(len(mix))
    distance = np.full(len(mix), FAR)
    for at in loud:
        distance = np.minimum(distance, np.abs(count - at))
    assert (gain[distance > limiter.reach] == 1).all()


@given(limiters, mixes(), beyond, beyond)
def test_there_is_a_gain_only_where_something_is_too_loud(
    limiter: Limiter, mix: Samples, before: int, after: int
) -> None:
    assert (limiter.gain(mix, before, after) is None) == (not too_loud(mix).any())


@given(limiters, mixes(least=1500), beyond, beyond, st.data())
@examples(100)
def test_the_gain_of_a_window_is_that_of_the_whole(
    limiter: Limiter, mix: Samples, before: int, after: int, data: st.DataObject
) -> None:
    """Bit for bit, apart from `reach` at ends where the sum goes on."""
    length = len(mix)
    start = data.draw(st.one_of(st.just(0), st.integers(0, length - 1)))
    end = data.draw(st.one_of(st.just(length), st.integers(start + 1, length)))
    whole = gain_of(limiter, mix, before, after)
    window = gain_of(limiter, mix[start:end], before + start, after + length - end)
    first = limiter.reach if start else 0
    last = max(first, end - start - (limiter.reach if end < length else 0))
    np.testing.assert_array_equal(window[first:last], whole[start:end][first:last])


@given(limiters, mixes(), beyond, beyond)
def test_before_and_after_are_alike(
    limiter: Limiter, mix: Samples, before: int, after: int
) -> None:
    """Reduced as early as late: the mix played backwards has the gain backwards."""
    backwards = gain_of(limiter, np.ascontiguousarray(mix[::-1]), after, before)
    np.testing.assert_array_equal(backwards[::-1], gain_of(limiter, mix, before, after))


@given(limiters, mixes(), st.booleans())
def test_at_a_border_only_that_sample_itself_is_reduced(
    limiter: Limiter, mix: Samples, at_start: bool
) -> None:
    """Where the sum ends a recording goes on alone, and is not to jump."""
    gain = gain_of(limiter, mix, 0 if at_start else FAR, FAR if at_start else 0)
    place = 0 if at_start else -1
    needed = min(1.0, CEILING / max(1e-9, abs(float(mix[place]))))
    assert gain[place] == pytest.approx(needed, rel=1e-6)
    if not too_loud(mix)[place]:
        assert gain[place] == 1


@given(limiters, mixes(), beyond, beyond)
def test_a_border_far_away_has_no_influence_and_a_near_one_reduces_less(
    limiter: Limiter, mix: Samples, before: int, after: int
) -> None:
    inside = gain_of(limiter, mix)
    np.testing.assert_array_equal(gain_of(limiter, mix, FAR + 1, FAR * 2), inside)
    assert (gain_of(limiter, mix, before, after) >= inside).all()


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("at", [0, 3])
def test_the_gain_returns_to_one_within_5_ms_of_a_border(rate: int, at: int) -> None:
    """Step by step after a sample too loud near the start of a sum."""
    limiter = Limiter(rate)
    mix = single(4 * limiter.reach, at, 2.0)
    gain = gain_of(limiter, mix, 0, FAR)
    inner = gain_of(limiter, mix, FAR, FAR)
    border = rate * 5 // 1000
    assert gain[0] == (np.float32(CEILING / 2) if at == 0 else 1)
    others = np.delete(np.arange(border), at)
    assert (gain[others] > inner[others]).all()
    np.testing.assert_array_equal(gain[border:], inner[border:])


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("level", [0.85, 1.0, 2.0, 10.0])
def test_one_loud_sample_is_reduced_to_the_ceiling_in_small_steps(rate: int, level: float) -> None:
    """No click: over 5 ms at least, evenly around the sample."""
    limiter = Limiter(rate)
    middle = 2 * limiter.reach
    gain = gain_of(limiter, single(2 * middle + 1, middle, -level), FAR, FAR).astype(float)
    needed = CEILING / level
    assert gain.min() == gain[middle] == pytest.approx(needed, rel=1e-6)
    assert np.abs(np.diff(gain)).max() <= (1 - needed) / (rate * 0.005 - 2) + 1e-7
    np.testing.assert_array_equal(gain, gain[::-1])
    falling = gain[: middle + 1]
    assert (np.diff(falling) <= 0).all()


@pytest.mark.parametrize("rate", RATES)
def test_a_gain_reaches_no_further_than_20_ms(rate: int) -> None:
    """What one loud sample changes stays a syllable's part."""
    limiter = Limiter(rate)
    assert 0 < limiter.reach <= rate * 0.02
    middle = 2 * limiter.reach
    gain = gain_of(limiter, single(2 * middle + 1, middle, 1.5), FAR, FAR)
    changed = np.flatnonzero(gain != 1)
    assert middle - limiter.reach <= changed[0] < middle - limiter.reach // 2
    assert changed[-1] == 2 * middle - changed[0]


def test_a_sample_at_the_ceiling_is_left_and_the_next_louder_one_is_not() -> None:
    limiter = Limiter(8000)
    ceiling = np.float32(CEILING)
    assert limiter.gain(single(100, 50, float(ceiling)), FAR, FAR) is None
    louder = float(np.nextafter(ceiling, np.float32(1)))
    gain = limiter.gain(single(100, 50, louder), FAR, FAR)
    assert gain is not None
    assert gain[50] < 1


@pytest.mark.parametrize("rate", RATES)
def test_a_long_sum_that_is_too_loud_throughout_has_a_steady_gain(rate: int) -> None:
    """No rounding adds up along it: 20 s at one level have one gain."""
    limiter = Limiter(rate)
    mix = np.full(20 * rate, 1.5, dtype=np.float32)
    gain = gain_of(limiter, mix, FAR, FAR)
    assert set(gain.tolist()) == {float(np.float32(CEILING) / np.float32(1.5))}


def test_an_empty_mix_has_no_gain() -> None:
    assert Limiter(8000).gain(np.zeros(0, dtype=np.float32), 5, 5) is None
