# SPDX-License-Identifier: Apache-2.0
"""What is re-made holds all that its source holds, up to the top of the source's band."""

from __future__ import annotations

from functools import cache
from io import BytesIO

import numpy as np
import pytest

import audioengine as ae
from tests.operations import bits
from tests.operations.helpers import (
    DECODERS,
    Cut,
    Pcm,
    Recording,
    Result,
    lame,
    masking,
    recorded,
    recording,
    store,
)
from tests.operations.test_no_influence import changed, with_frames

# Rate, bitrate, and where LAME's low-pass for joint stereo at that bitrate begins, measured at
# -3 dB. Half the bitrate in mono ended at 2.9, 5.8, 8.3, 8.3, 10.6, 8.3 and 11.1 kHz.
BANDS = (
    (8000, 16, 3600),
    (16000, 48, 7300),
    (22050, 64, 10000),
    (24000, 64, 10900),
    (32000, 80, 13500),
    (44100, 64, 10500),
    (44100, 96, 15100),
)
SECONDS = 4
WITHIN_DB = 1.5


def tones(rate: int, hertz: list[float], amplitude: float = 0.02) -> Pcm:
    """[shape=(n,)] Steady tones, and noise at -70 dBFS."""
    at = np.arange(SECONDS * rate) / rate
    wave = sum(amplitude * np.sin(2 * np.pi * one * at + n) for n, one in enumerate(hertz))
    return np.asarray(wave + 3e-4 * np.random.default_rng(1).standard_normal(len(at)))


def places(top: float) -> list[float]:
    """Where the tones are: the highest just inside the band."""
    return [0.3 * top, 0.6 * top, 0.9 * top, 0.96 * top]


@cache
def parties(rate: int, kbps: int, top: float, *, alike: bool) -> Recording:
    """A call of tones up to the band's top; `alike` makes LAME code it as mid/side."""
    caller = tones(rate, places(top))
    callee = 0.7 * caller if alike else tones(rate, [0.98 * one for one in places(top)])
    return recorded(f"{rate}/{kbps}", lame(np.stack([caller, callee], axis=1), rate, kbps))


def level(pcm: Pcm, rate: int, hertz: float) -> float:
    """That of a tone, in dB."""
    window = np.hanning(len(pcm))
    wave = np.exp(-2j * np.pi * hertz * np.arange(len(pcm)) / rate)
    return float(20 * np.log10(abs(np.sum(pcm * window * wave)) / np.sum(window) + 1e-9))


def assert_kept(result: Result, channel: int, hertz: list[float], within: slice) -> None:
    rate = result.source.rate
    for decoder in DECODERS:
        was = result.source.decoded(decoder)[within, channel]
        now = result.decoded(decoder)[within, channel]
        for one in hertz:
            assert level(was, rate, one) > -50
            assert abs(level(now, rate, one) - level(was, rate, one)) < WITHIN_DB


@pytest.mark.parametrize(("rate", "kbps", "top"), BANDS)
def test_a_full_render_keeps_the_band(rate: int, kbps: int, top: float) -> None:
    source = parties(rate, kbps, top, alike=False)
    result = store(source, Cut(both=((0, rate // 20),)), render="full")
    assert result.report.bitrates.raised == 0
    within = slice(rate // 2, source.samples - rate // 2)
    assert_kept(result, 0, places(top), within)
    assert_kept(result, 1, [0.98 * one for one in places(top)], within)


@pytest.mark.parametrize(("rate", "kbps", "top"), BANDS)
def test_the_kept_party_keeps_its_band_in_mid_side_frames(rate: int, kbps: int, top: float) -> None:
    source = parties(rate, kbps, top, alike=True)
    result = store(source, masking("caller", (rate, 3 * rate)))
    shared = [part for part in result.report.remade if part.reason == "shared"]
    seconds = sum(len(range(*part.frames)) for part in shared) * source.spf / rate
    assert seconds > 1
    assert_kept(result, 1, places(top), slice(5 * rate // 4, 11 * rate // 4))


@pytest.mark.parametrize("render", ["smart", "full"])
def test_a_tone_at_10_khz_survives(render: str) -> None:
    """At 44.1 kHz and 96 kbit/s, within 1 dB, under masks of the other party and re-encoded."""
    rate = 44100
    voice = tones(rate, [440, 10_000], 0.1)
    source = recorded("10 kHz", lame(np.stack([voice, 0.7 * voice], axis=1), rate, 96))
    result = store(source, masking("caller", (rate, 3 * rate)), render=render)
    within = slice(5 * rate // 4, 11 * rate // 4)
    for decoder in DECODERS:
        was, now = source.decoded(decoder), result.decoded(decoder)
        difference = level(now[within, 1], rate, 10_000) - level(was[within, 1], rate, 10_000)
        assert abs(difference) < 1


@pytest.mark.parametrize(("rate", "kbps", "top"), BANDS)
def test_encoding_samples_keeps_what_the_bitrate_holds(rate: int, kbps: int, top: float) -> None:
    """The band is that of the whole bitrate; what lies above is left out."""
    voice = tones(rate, places(top)).astype(np.float32)
    noise = 0.01 * np.random.default_rng(3).standard_normal(len(voice)).astype(np.float32)
    out = BytesIO()
    ae.encode(ae.Audio(voice, voice + noise, rate), out, kbps)
    pcm = DECODERS["pyav"](out.getvalue())
    within = slice(rate // 2, -rate // 2)
    for one in places(top):
        assert abs(level(pcm[within, 0], rate, one) - level(voice[within], rate, one)) < WITHIN_DB
    spectrum = np.abs(np.fft.rfft(pcm[within, 1]))
    hertz = np.fft.rfftfreq(len(pcm[within]), 1 / rate)
    above = spectrum[(hertz > top + rate / 16) & (hertz < rate / 2)]
    if len(above):
        below = spectrum[(hertz > 200) & (hertz < 0.9 * top)]
        assert np.mean(above**2) < 1e-3 * np.mean(below**2)


@pytest.mark.parametrize("render", ["smart", "full"])
@pytest.mark.parametrize("name", ["nores-8k", "nores-16k", "nores-44k"])
def test_masked_sound_has_no_say_in_the_band(name: str, render: str) -> None:
    """Where masked frames hold nothing at all, the rest comes out the same, to the byte."""
    source = recording(name)
    start, end = source.samples // 4, source.samples // 2
    frames = bits.emptied(source.frames, source.frames_within(start, end))
    other = with_frames(source, frames)
    assert changed(source, other) > 10
    cut = masking("both", (start, end))
    assert store(source, cut, render=render).data == store(other, cut, render=render).data
