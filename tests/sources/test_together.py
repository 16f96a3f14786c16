# SPDX-License-Identifier: Apache-2.0
"""Legs on one clock, held against a plain model of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import floor

import numpy as np
import pytest
import soxr
from hypothesis import given
from hypothesis import strategies as st

from audioengine.sources.leg import Block, as_float
from audioengine.sources.meter import Metered
from audioengine.sources.together import Together, lay_together
from tests.strategies import examples

RATES = (8000, 16_000, 48_000)


@dataclass(frozen=True)
class Spoken:
    """A leg of numbers, given in blocks that are not those asked for."""

    rate: int
    pcm: Block
    starts_at: Fraction | None
    step: int = 1000

    @property
    def length(self) -> int:
        return len(self.pcm)

    def blocks(self, size: int) -> Iterator[Block]:
        step = min(size, self.step)
        return (self.pcm[first : first + step] for first in range(0, len(self.pcm), step))


def noise(seed: int, samples: int, *, integers: bool = False) -> Block:
    random = np.random.default_rng(seed)
    if integers:
        return random.integers(-32768, 32768, samples).astype(np.int16)
    return random.uniform(-0.4, 0.4, samples).astype(np.float32)


@st.composite
def legs(draw: st.DrawFn, rates: tuple[int, ...] = RATES[:1]) -> Spoken:
    start = draw(st.decimals(0, 2000, places=draw(st.integers(0, 6))))
    return Spoken(
        draw(st.sampled_from(rates)),
        noise(draw(st.integers(0, 9)), draw(st.integers(1, 4000)), integers=draw(st.booleans())),
        Fraction(10**12) + Fraction(start),
        draw(st.integers(1, 3000)),
    )


def whole(sound: Together | Metered, size: int, start: int = 0) -> Block:
    return np.concatenate([np.zeros((0, sound.channels)), *sound.blocks(size, start)])


@given(
    st.lists(st.lists(legs(), max_size=3), min_size=2, max_size=2).filter(any),
    st.integers(200, 5000),
    st.integers(0, 3000),
)
@examples(40)
def test_each_sample_is_where_its_start_says(
    channels: list[list[Spoken]], size: int, start: int
) -> None:
    found = lay_together(channels, 8000)
    starts = [leg.starts_at or Fraction(0) for channel in channels for leg in channel]
    places = [
        [floor((leg.starts_at - min(starts)) * 8 + Fraction(1, 2)) for leg in channel]  # type: ignore[operator]
        for channel in channels
    ]
    length = max(
        at + leg.length
        for channel, ats in zip(channels, places, strict=True)
        for leg, at in zip(channel, ats, strict=True)
    )
    wanted = np.zeros((length, 2), dtype=np.float32)
    for number, (channel, ats) in enumerate(zip(channels, places, strict=True)):
        for leg, at in zip(channel, ats, strict=True):
            wanted[at : at + leg.length, number] += as_float(leg.pcm)
    assert found.length == length
    assert (whole(found, size, min(start, length)) == wanted[start:]).all()


@pytest.mark.parametrize(("rate", "to"), [(8000, 16_000), (8000, 48_000), (44_100, 48_000)])
def test_other_rates_keep_the_clock(rate: int, to: int) -> None:
    """A resampled leg is what soxr makes of it at once, as long as it lasts."""
    pcm = noise(3, rate + 7)
    late = Spoken(to, noise(4, 50), Fraction(10**12) + Fraction(250))
    found = lay_together([[Spoken(rate, pcm, Fraction(10**12))], [late]], to)
    wanted = soxr.resample(pcm, rate, to, quality="VHQ")
    ours = whole(found, 4096)
    assert found.length == round(len(pcm) * to / rate)
    common = min(len(wanted), len(ours))
    assert abs(len(wanted) - len(ours)) <= 1
    assert np.abs(ours[:common, 0] - wanted[:common]).max() < 1e-5
    at = to // 4
    assert (ours[at : at + 50, 1] == late.pcm).all()
    assert not ours[:at, 1].any()


def test_legs_without_a_start_begin_together() -> None:
    pcm = noise(1, 100)
    found = whole(
        lay_together([[Spoken(8000, pcm, None)], [Spoken(8000, pcm[:50], None)]], 8000), 30
    )
    assert (found[:, 0] == pcm).all()
    assert (found[:50, 1] == pcm[:50]).all()
    assert not found[50:, 1].any()


@given(st.lists(st.tuples(st.integers(0, 900), st.integers(1, 500)), max_size=5))
@examples(30)
def test_levels_count_each_sample_once(again: list[tuple[int, int]]) -> None:
    pcm = noise(2, 1000, integers=True)
    pcm[[3, 500]] = 32767, -32768
    sound = Metered(lay_together([[Spoken(8000, pcm, None)], []], 8000))
    for start, size in again:
        next(iter(sound.blocks(size, start)))
    if any(start for start, _ in again):
        sound = Metered(sound)
    whole(sound, 128)
    whole(sound, 64, 10)
    level, silent = sound.levels()
    wanted = as_float(pcm).astype(np.float64)
    assert level.rms_dbfs(1000) == pytest.approx(10 * np.log10(np.mean(wanted**2)), abs=0.01)
    assert (level.peak_dbfs, level.clipped) == (0.0, int((np.abs(pcm.astype(int)) >= 32767).sum()))
    assert (silent.rms_dbfs(1000), silent.peak_dbfs, silent.clipped) == (None, None, 0)
