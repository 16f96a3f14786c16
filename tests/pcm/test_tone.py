# SPDX-License-Identifier: Apache-2.0
"""The beep: frequency, level, phase, edges, and that it repeats exactly."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioengine.edits import Beep, Span
from audioengine.pcm.tone import BeepTone

rates = st.sampled_from((8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000))
frequencies = st.one_of(
    st.sampled_from((1000, 440, 800, 1004)),
    st.integers(200, 2800),
    st.decimals(200, 2800, places=2),
    st.decimals(200, 2800, places=4),
    st.floats(200, 2800),
)
tones = st.builds(
    lambda rate, frequency, level: BeepTone(Beep(frequency, level), rate),
    rates,
    frequencies,
    st.one_of(st.integers(-60, -3), st.floats(-60, -3)),
)
masks = st.builds(
    lambda start, length: Span(start, start + length),
    st.integers(0, 10**9),
    st.integers(1, 5000),
)


def ideal(tone: BeepTone, length: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """The beep of a mask without its ramps: a sine from phase 0."""
    level = 10 ** (float(tone.beep.level_dbfs) / 20)
    cycles = np.array(
        [float(Fraction(tone.beep.frequency_hz) * n / tone.rate_hz % 1) for n in range(length)]
    )
    return level * np.sin(2 * np.pi * cycles)


@given(tones, masks)
def test_a_mask_sounds_like_a_sine_with_raised_cosine_edges(tone: BeepTone, mask: Span) -> None:
    """5 ms long, or half of a shorter mask; phase 0 is at the mask's start."""
    got = tone.sound(mask, mask.start, mask.end)
    assert got.dtype == np.float32
    ramp = min(tone.rate_hz * 5 // 1000, mask.length // 2)
    assert tone.ramp(mask) == ramp
    envelope = np.ones(mask.length)
    for n in range(ramp):
        envelope[n] = envelope[-1 - n] = np.sin(np.pi / 2 * (n + 0.5) / ramp) ** 2
    np.testing.assert_allclose(got, ideal(tone, mask.length) * envelope, rtol=0, atol=1e-6)


@given(tones, masks, st.data())
def test_a_part_sounds_like_that_part_of_the_whole(
    tone: BeepTone, mask: Span, data: st.DataObject
) -> None:
    start = data.draw(st.integers(mask.start, mask.end))
    end = data.draw(st.integers(start, mask.end))
    whole = tone.sound(mask, mask.start, mask.end)
    got = tone.sound(mask, start, end)
    np.testing.assert_array_equal(got, whole[start - mask.start : end - mask.start])


@given(tones, masks)
def test_the_steady_part_has_the_full_level(tone: BeepTone, mask: Span) -> None:
    steady = tone.steady_part(mask)
    assert mask.start <= steady.start <= steady.end <= mask.end
    got = tone.sound(mask, steady.start, steady.end)
    phase = (steady.start - mask.start) * tone.step
    np.testing.assert_array_equal(got, tone.steady(phase % tone.cycle, steady.length))


@given(tones, st.integers(-(10**12), 10**12), st.integers(1, 300))
def test_a_phase_means_the_same_after_full_turns(tone: BeepTone, phase: int, count: int) -> None:
    """However far away a mask is, nothing is rounded."""
    expected = tone.steady(phase % tone.cycle, count)
    np.testing.assert_array_equal(tone.steady(phase, count), expected)
    later = tone.steady(phase + tone.step, count)
    np.testing.assert_array_equal(later[: count - 1], expected[1:])


@given(tones, st.sampled_from((576, 1152)))
def test_the_period_is_the_first_number_of_frames_that_are_whole_turns(
    tone: BeepTone, spf: int
) -> None:
    turns = Fraction(tone.beep.frequency_hz) * spf / tone.rate_hz
    whole = [frames for frames in range(1, 257) if (turns * frames).denominator == 1]
    period = tone.period_frames(spf)
    assert period == (whole[0] if whole else None)
    if period is not None and period <= 20:
        wave = tone.steady(17, (period + 1) * spf)
        np.testing.assert_array_equal(wave[period * spf :], wave[:spf])


@pytest.mark.parametrize(
    ("rate", "spf", "period"),
    [
        (8000, 576, 1),
        (16000, 576, 1),
        (24000, 576, 1),
        (32000, 1152, 1),
        (48000, 1152, 1),
        (44100, 1152, 49),
    ],
)
def test_1000_hz_repeats_per_frame_at_most_rates(rate: int, spf: int, period: int) -> None:
    assert BeepTone(Beep(), rate).period_frames(spf) == period


def test_level_and_frequency_are_those_asked_for() -> None:
    tone = BeepTone(Beep(Decimal("812.5"), -23.5), 16000)
    assert tone.amplitude == pytest.approx(10 ** (-23.5 / 20), rel=1e-12)
    wave = tone.steady(0, 32000)
    assert np.abs(wave).max() == pytest.approx(tone.amplitude, rel=1e-4)
    spectrum = np.abs(np.fft.rfft(wave))
    assert int(np.argmax(spectrum)) / 2 == 812.5


@given(tones, st.lists(masks, max_size=4), st.integers(-3000, 3000), st.integers(0, 4000))
def test_painting_replaces_masked_samples_and_no_others(
    tone: BeepTone, spans: list[Span], shift: int, length: int
) -> None:
    spans = [Span(span.start % 6000, span.start % 6000 + span.length) for span in spans]
    pcm = np.random.default_rng(length).uniform(2, 3, length).astype(np.float32)
    before = pcm.copy()
    tone.paint(pcm, shift, spans)
    inside = np.zeros(length, dtype=bool)
    for span in spans:
        inside[max(0, span.start - shift) : max(0, span.end - shift)] = True
    np.testing.assert_array_equal(pcm[~inside], before[~inside])
    # A beep stays below full scale, the noise is above.
    assert (np.abs(pcm[inside]) <= 1).all()
    if len(spans) == 1:
        start, end = max(spans[0].start, shift), min(spans[0].end, shift + length)
        if start < end:
            expected = tone.sound(spans[0], start, end)
            np.testing.assert_array_equal(pcm[start - shift : end - shift], expected)


@given(rates, masks)
def test_silence_is_silent_from_edge_to_edge(rate: int, mask: Span) -> None:
    tone = BeepTone(Beep(fill="silence"), rate)
    assert tone.silent
    assert not tone.sound(mask, mask.start, mask.end).any()
    assert tone.steady_part(mask) == mask
    pcm = np.ones(mask.length + 2, dtype=np.float32)
    tone.paint(pcm, mask.start - 1, [mask])
    assert pcm.tolist() == [1, *[0] * mask.length, 1]
