# SPDX-License-Identifier: Apache-2.0
"""The measures by which sound is judged."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioengine.edits import Beep, Span
from audioengine.pcm.limit import Limiter
from audioengine.pcm.tone import BeepTone
from audioengine.verification.waves import (
    Masked,
    Wave,
    beep_wave,
    decibels,
    envelope_likeness,
    is_alike,
    likeness,
    loudest,
    painted,
    power_in_bands,
    resampled,
    rms,
    share_of,
    tone_in,
    turned_down,
)
from tests.operations import beeps
from tests.strategies import examples

RATE = 8000
BEEPS = (Beep(), Beep(777.7, -26), Beep(fill="silence"), Beep(2500, -3))


def noise(count: int, seed: int = 0) -> Wave:
    return np.random.default_rng(seed).standard_normal(count)


@given(st.sampled_from(BEEPS), st.integers(1, 3000), st.data())
@examples(40)
def test_the_beep_that_is_expected_is_the_contract_s(
    beep: Beep, length: int, data: st.DataObject
) -> None:
    """And that which is painted, of which this is written apart."""
    mask = Span(1000, 1000 + length)
    start = data.draw(st.integers(mask.start, mask.end - 1))
    window = Span(start, data.draw(st.integers(start, mask.end)))
    wave = beep_wave(beep, RATE, Masked(mask), window)
    np.testing.assert_allclose(wave, BeepTone(beep, RATE).sound(mask, *_bounds(window)), atol=2e-5)
    if beep.fill == "beep":
        level = float(beep.level_dbfs)
        whole = beeps.beep(length, RATE, float(beep.frequency_hz), level)
        part = whole[window.start - mask.start : window.end - mask.start]
        np.testing.assert_allclose(wave, part, atol=1e-9)


def _bounds(window: Span) -> tuple[int, int]:
    return window.start, window.end


def test_masks_are_painted_where_they_are() -> None:
    """Also those that a window cuts."""
    source, window = np.ones(100), Span(500, 600)
    spans = (Span(450, 510), Span(550, 560), Span(590, 700), Span(800, 900))
    masks = [Masked(span) for span in spans]
    heard = painted(source, window, masks, Beep(fill="silence"), RATE)
    assert np.flatnonzero(heard == 0).tolist() == [*range(10), *range(50, 60), *range(90, 100)]
    assert (source == 1).all()


@given(st.floats(-6, 6), st.floats(-3, 3), st.integers(0, 5000))
@examples(20)
def test_a_tone_is_measured(gain_db: float, phase: float, since: int) -> None:
    """Its level and phase beside those expected, and what is left without it."""
    beep = Beep(440, -20)
    turns = 2 * np.pi * 440 / RATE * np.arange(since, since + 2000) + phase
    beside = noise(2000) * 1e-4
    tone = tone_in(0.1 * 10 ** (gain_db / 20) * np.sin(turns) + beside, beep, RATE, since)
    assert tone.gain_db == pytest.approx(gain_db, abs=0.01)
    assert tone.phase == pytest.approx(phase, abs=0.01)
    np.testing.assert_allclose(tone.rest, beside, atol=2e-5)


@pytest.mark.parametrize("lag", [-30, -1, 0, 1, 30])
@pytest.mark.parametrize("level", [1.0, 0.03])
def test_a_sound_is_found_in_noise_whatever_its_level(lag: int, level: float) -> None:
    """At its lag; sounds with nothing in common reach chance and no more."""
    voice = noise(4000, 1)
    found = likeness(level * np.roll(voice, lag) + 0.02 * noise(4000, 2), voice, RATE)
    assert found.lag == lag
    assert found.best > 3 * found.chance
    assert (found.at_zero == found.best) == (lag == 0)
    for seed in range(20):
        other = likeness(noise(4000, 100 + seed), voice, RATE)
        assert other.best < 1.5 * other.chance


def test_silence_is_like_nothing() -> None:
    """And raises no warning."""
    assert likeness(np.zeros(1000), noise(1000), RATE).best == 0
    assert envelope_likeness(np.zeros(RATE), noise(RATE), RATE).now == 0
    assert envelope_likeness(noise(100), noise(100), RATE).now == 0
    assert rms(np.zeros(0)) == 0
    assert decibels(0) == -120
    assert loudest(np.array([0.5]), 10) == 0.5


def test_levels_over_time_are_found_without_the_waveform() -> None:
    """Another noise that rises and falls alike; not the same at another time."""
    count = 4 * RATE
    level = 10 ** np.repeat(noise(100, 5), count // 100)
    voice, trace = level * noise(count, 6), level * noise(count, 7)
    found = envelope_likeness(trace, voice, RATE)
    assert found.now > 0.8
    assert found.now > 2 * found.chance
    apart = envelope_likeness(np.roll(trace, RATE), voice, RATE)
    assert apart.now < 0.35
    assert envelope_likeness(noise(count, 8), voice, RATE).now < 0.35


@pytest.mark.parametrize("ratio", [Fraction(2), Fraction(441, 80), Fraction(160, 147)])
def test_a_tone_at_another_rate_is_the_same_tone(ratio: Fraction) -> None:
    """Wherever the window begins."""
    rate = 44_100 if ratio < 2 else RATE

    def read(start: int, end: int) -> npt.NDArray[np.float64]:
        wave: npt.NDArray[np.float64] = np.sin(2 * np.pi * 700 / rate * np.arange(start, end))
        return wave[:, None]

    for start in (0, 1234, 77_777):
        heard = resampled(read, rate, ratio, start, start + 5000)[:, 0]
        wanted = np.sin(2 * np.pi * 700 / float(rate * ratio) * np.arange(start, start + 5000))
        assert np.abs(heard - wanted).max() < 1e-3


@given(st.integers(0, 1 << 30), st.floats(0.5, 3), st.booleans())
def test_a_limiter_s_gain_is_between_the_least_and_the_most(
    seed: int, loudness: float, starts: bool
) -> None:
    """That of rendering, for one."""
    random = np.random.default_rng(seed)
    mix = (random.standard_normal(4000) * np.hanning(4000) * loudness / 2).astype(np.float32)
    before, after = (0, 5000) if starts else (5000, 0)
    gain = Limiter(RATE).gain(mix, before, after)
    least, most = turned_down(mix.astype(np.float64), RATE)
    reach = Limiter(RATE).reach
    inside = slice(0 if starts else reach, len(mix) if not starts else -reach)
    wanted = np.ones(len(mix)) if gain is None else gain
    assert (wanted[inside] >= least[inside] - 1e-3).all()
    assert (wanted[inside] <= most[inside] + 1e-3).all()


def test_what_is_alike() -> None:
    """Whatever the level, and not where there is nothing."""
    random = np.random.default_rng(4)
    first, second = random.standard_normal((2, RATE))
    assert is_alike(first, 0.01 * first + 0.002 * second, RATE)
    assert not is_alike(first, second, RATE)
    assert not is_alike(first, np.zeros(RATE), RATE)


def test_what_is_below_the_rounding_of_16_bits_is_no_sound() -> None:
    """As what resampling leaves above a recording's band."""
    low = np.fft.rfftfreq(2 * RATE) < 0.1
    first, second = (np.fft.irfft(np.fft.rfft(noise(2 * RATE, n)) * low) for n in (1, 2))
    common = 1e-7 * noise(2 * RATE, 3)
    found = likeness(first + common, second + common, RATE)
    assert found.best < 1.5 * found.chance
    assert is_alike(first + 1e4 * common, second + 1e4 * common, RATE)


def test_a_voice_s_share_is_measured_at_any_lag() -> None:
    voice = noise(2 * RATE, 1)
    heard = 0.1 * np.roll(voice, 40) + 0.5 * noise(2 * RATE, 2)
    assert share_of(heard, voice, RATE) == pytest.approx(0.1, abs=0.02)
    assert share_of(0.5 * noise(2 * RATE, 2), voice, RATE) < 0.02


@pytest.mark.parametrize(("seconds", "least", "most"), [(0.8, 0.0, 3.0), (4.0, 3.5, 20.0)])
def test_few_events_spread_the_likeness_of_levels(
    seconds: float, least: float, most: float
) -> None:
    """Of one burst in each, that they come together may be chance; of many, it is not."""
    count = round(seconds * RATE)
    level = 10 ** np.repeat(noise(100, 5), count // 100)
    if seconds < 1:
        level = np.where(np.arange(count) < 0.8 * count, 1.0, 30.0)
    found = envelope_likeness(level * noise(count, 6), level * noise(count, 7), RATE)
    assert found.now > 0.35
    assert least < found.now / found.spread < most


@pytest.mark.parametrize("hz", [1000, 2000, 3000])
def test_a_tone_in_common_is_not_much_in_common(hz: int) -> None:
    """What rings on of a tone that goes on in what is masked, rising."""
    random = np.random.default_rng(1)
    at = np.arange(RATE * 7 // 5) / RATE
    voice = 0.3 * np.sin(2 * np.pi * (hz * at + 600 * at**2))
    ring = 0.05 * np.sin(2 * np.pi * hz * at + 1) * np.maximum(0, 1 - 25 * at) ** 2
    heard = np.round(ring * 32768 + random.uniform(-0.5, 0.5, len(at))) / 32768
    assert not is_alike(heard, np.round(voice * 32768) / 32768, RATE)


def test_bands_hold_the_power_of_a_wave() -> None:
    """All of it, each in its place."""
    wave = noise(2 * RATE, 8)
    powers = power_in_bands(wave, 480, 32).mean(axis=0)
    assert powers.sum() == pytest.approx(np.mean(wave**2), rel=0.02)
    tone = np.sin(2 * np.pi * 0.25 * RATE * np.arange(RATE) / RATE)
    powers = power_in_bands(tone, 480, 32).mean(axis=0)
    assert powers[15:17].sum() == pytest.approx(0.5, rel=0.02)


@pytest.mark.parametrize("length", [100, 319, 320, 321, 500, 639, 640, 700])
def test_the_loudest_block_may_be_at_the_end(length: int) -> None:
    """Whatever is left of the wave behind the last whole block."""
    wave = np.zeros(length)
    wave[-50:] = 0.5
    block = min(length, 320)
    assert loudest(wave, 320) == pytest.approx(0.5 * np.sqrt(50 / block))
