# SPDX-License-Identifier: Apache-2.0
"""What findings are right, and what are not: where coding leaves something out, and where not."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import audioengine as ae
from audioengine.edits import Span
from audioengine.verification.bands import BANDS, lost_bands
from audioengine.verification.findings import Heard, HeardBands, HeardHidden, HeardMask, HeardSum
from audioengine.verification.hearing import beep_check, hidden_check
from audioengine.verification.hearing_merges import mixed_check

RATE = 16_000
CASE: Any = SimpleNamespace(beep=ae.Beep(), format=SimpleNamespace(rate_hz=RATE))
SPAN = Span(0, RATE)


def bands(lost: dict[int, float], sounding: int, *, blocks: int = 60, top: int = 12) -> HeardBands:
    """Bands up to `top` at -40 dBFS in some of the blocks, some of them quieter in the output.

    lost: by how many dB.
    """
    power = np.where(np.arange(BANDS) <= top, 1e-4 * blocks / sounding, 0)
    wanted = sounding * power
    ours = wanted.copy()
    for band, loss in lost.items():
        ours[band] *= 10 ** (-loss / 10)
    return HeardBands(0, SPAN, np.full(BANDS, blocks), ours, wanted, sounding * power**2, 1.0)


@pytest.mark.parametrize(("sounding", "judged"), [(1, False), (2, False), (4, True), (60, True)])
def test_a_band_of_a_short_effect_may_be_left_out(sounding: int, judged: bool) -> None:
    """Of steady sound it may not."""
    lost, largest = lost_bands([bands({5: 40}, sounding)], RATE)
    assert bool(lost) == judged
    assert (largest > 30) == judged


def test_bands_lose_less_the_longer_they_sound() -> None:
    for sounding, least in ((4, 11), (16, 8.5), (60, 7.3)):
        assert not lost_bands([bands({5: least - 0.2}, sounding)], RATE)[0]
        assert lost_bands([bands({5: least + 0.2}, sounding)], RATE)[0]


def test_the_slope_of_a_low_pass_is_not_asked_for() -> None:
    """It is in the highest band alone, and below the one beside it."""
    sound = bands({12: 30}, 60)
    assert lost_bands([sound], RATE)[0]
    slope = np.ones(BANDS)
    slope[12] = 0.2
    sloping = replace(
        sound,
        ours=sound.ours * slope,
        wanted=sound.wanted * slope,
        squares=sound.squares * slope**2,
    )
    assert not lost_bands([sloping], RATE)[0]


@pytest.mark.parametrize(
    ("band", "two_off_db", "judged"), [(16, 11, False), (16, 8, True), (5, 11, True)]
)
def test_a_gap_that_a_scale_factor_band_spans_may_be_left_out(
    band: int, two_off_db: float, judged: bool
) -> None:
    """It has one step, which its loudest lines set; low ones are narrower than two bands."""
    sound = bands({band: 40}, 60, top=24)
    off = np.abs(np.arange(BANDS) - band)
    below = 10 ** (-np.choose(np.minimum(off, 2), (two_off_db, two_off_db - 8, 0)) / 10)
    gap = replace(
        sound,
        ours=sound.ours * below,
        wanted=sound.wanted * below,
        squares=sound.squares * below**2,
    )
    assert bool(lost_bands([gap], RATE)[0]) == judged


@pytest.mark.parametrize("least", [1.0, 0.9])
def test_a_sum_is_as_loud_as_its_coding_leaves_it(least: float) -> None:
    """Noise that few bits hold correlates less with what it was, and is quieter for it."""

    def right(resemblance: float, gain: float) -> bool:
        total = HeardSum(0, SPAN, resemblance, gain, least, 1.0)
        return mixed_check(CASE, Heard(sums=[total])).passed

    assert right(0.83, 0.69 * least)
    assert right(1.0, least)
    assert not right(1.0, 0.69 * least)
    assert not right(0.83, 0.5 * least)
    assert not right(0.83, 1.2)


def mask(rest_dbfs: float, **figures: Any) -> HeardMask:
    """A mask of 50 ms beside audio at -20 dBFS, with coding noise at -60 dBFS."""
    found = HeardMask(
        channel=0,
        span=Span(0, RATE // 20),
        alone=False,
        tone_db=0.0,
        phase=0.0,
        edge_rest_dbfs=rest_dbfs,
        edge_limit_dbfs=-20.0,
        edge_noise_dbfs=-60.0,
        deep=False,
        core_rest_dbfs=-120.0,
        core_bits=0.0,
        likeness=0.0,
        likeness_chance=1.0,
        envelope=0.0,
        envelope_chance=0.0,
        envelope_spread=0.0,
    )
    return replace(found, **figures)


@pytest.mark.parametrize(
    ("found", "passes"),
    [
        (mask(-24.0), True),
        (mask(-22.0), False),
        (mask(-24.0, alone=True), False),
        (mask(-27.0, alone=True), True),
        (mask(-24.0, edge_limit_dbfs=-50.0), False),
        (mask(-24.0, edge_limit_dbfs=-50.0, edge_noise_dbfs=-26.0), True),
        (mask(-24.0, edge_limit_dbfs=-50.0, edge_noise_dbfs=-28.0), False),
    ],
)
def test_coding_noise_of_others_under_a_mask(found: HeardMask, passes: bool) -> None:
    """3 dB below others who are heard over it, or 3 dB above the noise beside it."""
    assert beep_check(CASE, Heard(masks=[found])).passed == passes


@pytest.mark.parametrize(("bits", "passes"), [(120.0, True), (300.0, False)])
def test_a_beep_s_own_noise_depends_on_its_bits(bits: float, passes: bool) -> None:
    found = mask(-120.0, deep=True, core_rest_dbfs=-40.0, core_bits=bits)
    assert beep_check(CASE, Heard(masks=[replace(found, edge_limit_dbfs=-60.0)])).passed == passes


@pytest.mark.parametrize(("level", "passes"), [(-40.0, True), (-38.0, False)])
def test_noise_of_a_granule_behind_the_end(level: float, passes: bool) -> None:
    found = HeardHidden(0, Span(RATE, RATE + 500), level, -30.0, -42.2, 0.0, 1.0)
    assert hidden_check(CASE, Heard(hidden=[found])).passed == passes
