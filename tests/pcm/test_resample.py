# SPDX-License-Identifier: Apache-2.0
"""Windows of a recording at another rate: the same as the whole, and to the sample in place."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioengine.pcm.resample import resample
from tests.strategies import examples

Samples = npt.NDArray[np.float32]
Wave = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]

PAIRS = (
    (8000, 16000),
    (8000, 44100),
    (8000, 48000),
    (11025, 48000),
    (16000, 24000),
    (16000, 44100),
    (44100, 48000),
)


def reader(pcm: Samples) -> Callable[[int, int], Samples]:
    """Any samples of a recording, zeros around it."""

    def read(start: int, end: int) -> Samples:
        assert start <= end
        out = np.zeros((end - start, pcm.shape[1]), dtype=np.float32)
        first, last = max(start, 0), min(end, len(pcm))
        if first < last:
            out[first - start : last - start] = pcm[first:last]
        return out

    return read


def noise(rate: int, *, channels: int = 2) -> Samples:
    """A quarter of a second, at its loudest where it begins and ends."""
    shape = (rate // 4, channels)
    return np.random.default_rng(rate).uniform(-1, 1, shape).astype(np.float32)


def at_rate(wave: Wave, rate: int, start: int, end: int) -> Samples:
    """[shape=(end - start, 1)] Its samples, sample 0 at the time 0."""
    return wave(np.arange(start, end) / rate).astype(np.float32)[:, None]


def of_wave(wave: Wave, pair: tuple[int, int], start: int, end: int) -> Samples:
    """The window of an endless wave sampled at the first rate, at the second."""
    low, high = pair

    def read(first: int, last: int) -> Samples:
        return at_rate(wave, low, first, last)

    return resample(read, low, Fraction(high, low), start, end)


@pytest.mark.parametrize(("low", "high"), PAIRS)
@given(data=st.data())
@examples(12)
def test_a_window_is_that_part_of_the_whole(low: int, high: int, data: st.DataObject) -> None:
    """Also windows that begin before the recording, or end after it."""
    ratio = Fraction(high, low)
    read = reader(noise(low))
    ends = -high // 10, high // 4 + high // 10
    whole = resample(read, low, ratio, *ends)
    assert len(whole) == ends[1] - ends[0]
    start = data.draw(st.integers(*ends))
    length = data.draw(st.one_of(st.integers(0, 5), st.integers(0, ends[1] - start)))
    end = min(ends[1], start + length)
    window = resample(read, low, ratio, start, end)
    assert window.dtype == np.float32
    assert window.flags.c_contiguous
    assert window.shape == (end - start, 2)
    expected = whole[start - ends[0] : end - ends[0]]
    np.testing.assert_allclose(window, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize(("part", "apart"), [(0.01, 2e-5), (0.1, 2e-5), (0.4, 2e-5), (0.85, 2e-4)])
def test_a_sine_keeps_its_frequency_level_and_phase(
    pair: tuple[int, int], part: float, apart: float
) -> None:
    """Sample by sample that of the same sine at the other rate, wherever the window is.

    Near the top of the band a filter takes 0.003 dB.
    """
    hz = part * pair[0] / 2

    def sine(seconds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.asarray(0.5 * np.sin(2 * np.pi * hz * seconds + 0.3))

    for start in (0, 1, 12_345, 1_000_003):
        got = of_wave(sine, pair, start, start + 1000)
        expected = at_rate(sine, pair[1], start, start + 1000)
        np.testing.assert_allclose(got, expected, rtol=0, atol=apart)


def lag(got: Samples, wanted: Samples) -> int:
    """How many samples late `got` is where it is most like `wanted`."""
    size = 2 * len(wanted)
    spectra = np.fft.rfft([got[:, 0].astype(float), wanted[:, 0].astype(float)], size)
    likeness = np.fft.irfft(spectra[0] * spectra[1].conj(), size)
    best = int(np.argmax(likeness))
    return best if best < len(wanted) else best - size


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("at", [0.05, 0.0731, 3.2])
def test_a_burst_is_neither_early_nor_late(pair: tuple[int, int], at: float) -> None:
    """Most like the same burst at the other rate where neither is shifted by a sample."""

    def burst(seconds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        envelope = np.exp(-(((seconds - at) / 0.002) ** 2))
        return np.asarray(envelope * np.cos(2 * np.pi * 0.2 * pair[0] * (seconds - at)))

    start = round((at - 0.05) * pair[1])
    end = start + pair[1] // 10
    got, wanted = of_wave(burst, pair, start, end), at_rate(burst, pair[1], start, end)
    assert lag(got, wanted) == 0
    np.testing.assert_allclose(got, wanted, rtol=0, atol=2e-5)


@pytest.mark.parametrize(("low", "high"), PAIRS)
def test_outside_the_recording_nothing_sounds(low: int, high: int) -> None:
    """Beside its ends a filter rings, 50 ms away no longer."""
    ratio = Fraction(high, low)
    read = reader(noise(low))
    away = high // 20
    before = resample(read, low, ratio, -high, -away)
    end = int(low // 4 * ratio)
    after = resample(read, low, ratio, end + away, end + high)
    assert np.abs(before).max() < 1e-6
    assert np.abs(after).max() < 1e-6
    assert not resample(read, low, ratio, -100 * high, -99 * high).any()


@pytest.mark.parametrize(("low", "high"), PAIRS)
def test_channels_stay_apart(low: int, high: int) -> None:
    pcm = noise(low)
    ratio = Fraction(high, low)
    both = resample(reader(pcm), low, ratio, 100, 2000)
    for channel in (0, 1):
        alone = resample(reader(pcm[:, channel : channel + 1]), low, ratio, 100, 2000)
        np.testing.assert_allclose(both[:, channel : channel + 1], alone, rtol=0, atol=1e-6)
    pcm[:, 1] = 0
    half_silent = resample(reader(pcm), low, ratio, 100, 2000)
    assert not half_silent[:, 1].any()
    assert half_silent[:, 0].any()


@pytest.mark.parametrize(("low", "high"), PAIRS)
@pytest.mark.parametrize("start", [-5000, 0, 777, 10**9 + 7])
def test_no_more_is_read_than_the_window_and_a_quarter_of_a_second(
    low: int, high: int, start: int
) -> None:
    """However far into a recording it lies."""
    asked: list[tuple[int, int]] = []

    def read(first: int, last: int) -> Samples:
        asked.append((first, last))
        return np.zeros((last - first, 1), dtype=np.float32)

    ratio = Fraction(high, low)
    assert len(resample(read, low, ratio, start, start + 1000)) == 1000
    ((first, last),) = asked
    assert first <= start / ratio < last
    assert last - first <= 1000 / ratio + low / 4
