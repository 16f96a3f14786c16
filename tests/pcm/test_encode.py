# SPDX-License-Identifier: Apache-2.0
"""Encoding on a given frame grid, at the level of what was given."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioengine.mp3.header import StreamFormat, Version
from audioengine.mp3.side_info import BlockType
from audioengine.mp3.splice import ChannelFrame, silent_channel
from audioengine.pcm import lame
from audioengine.pcm.encode import (
    GRID_OFFSET,
    LOOK_AHEAD_FRAMES,
    WARM_UP_FRAMES,
    Stretch,
    encode_channel,
    lame_bitrate_index,
)
from tests.strategies import examples, formats
from tests.support import decode_pyav, fixture, stream

Samples = npt.NDArray[np.float32]

SPEECH = (
    "mpeg25-8k-32k",
    "mpeg25-11k-32k",
    "mpeg25-12k-40k",
    "mpeg2-16k-48k",
    "mpeg2-22k-64k",
    "mpeg2-24k-160k",
    "mpeg1-32k-96k",
    "mpeg1-44k-320k",
    "mpeg1-48k-128k",
)
MONO = {
    StreamFormat(version, rate_index, 1).rate_hz: StreamFormat(version, rate_index, 1)
    for version in Version
    for rate_index in range(3)
}


@cache
def caller(name: str) -> Samples:
    """Two seconds of the caller's voice."""
    rate = {"8k": 8000, "11k": 11025, "12k": 12000, "16k": 16000, "22k": 22050, "24k": 24000}
    rate |= {"32k": 32000, "44k": 44100, "48k": 48000}
    voice = decode_pyav(fixture(name))[:, 0]
    return np.ascontiguousarray(voice[: 2 * rate[name.split("-")[1]]])


def rate_of(name: str) -> int:
    return len(caller(name)) // 2


def decoded(units: list[ChannelFrame], format: StreamFormat) -> Samples:
    """[shape=(n,)] What frames standing alone play, raw sample 0 first."""
    return decode_pyav(stream(format, [(unit,) for unit in units]))[:, 0]


def encoded(
    pcm: Samples, format: StreamFormat, bitrate_index: int, skip: int, count: int
) -> list[ChannelFrame]:
    """One stretch, alone."""
    return encode_channel([Stretch(pcm, skip, count)], format, bitrate_index)[0]


def coded(pcm: Samples, format: StreamFormat, bitrate_index: int) -> Samples:
    """[shape=(n,)] The samples as they come back, in place."""
    spf = format.samples_per_frame
    count = -(-(len(pcm) + GRID_OFFSET) // spf)
    padded = np.pad(pcm, (0, (count + LOOK_AHEAD_FRAMES) * spf - len(pcm)))
    units = encoded(padded, format, bitrate_index, 0, count)
    assert len(units) == count
    return decoded(units, format)[GRID_OFFSET : GRID_OFFSET + len(pcm)]


def db(ratio: float) -> float:
    return float(20 * np.log10(ratio))


def tones(rate: int, amplitude: float, length: int) -> Samples:
    """Two tones that every bitrate keeps."""
    at = np.arange(length) / rate
    wave = np.sin(2 * np.pi * 437 * at) + np.sin(2 * np.pi * 911 * at + 1)
    return (amplitude / 2 * wave).astype(np.float32)


@pytest.mark.parametrize("name", SPEECH)
def test_speech_lands_at_the_right_sample_at_its_own_level(name: str) -> None:
    voice, format = caller(name), MONO[rate_of(name)]
    got = coded(voice, format, lame_bitrate_index(format, 320))
    lags = range(-40, 41)
    middle = slice(100, len(voice) - 100)
    match = [float(np.dot(np.roll(got, lag)[middle], voice[middle])) for lag in lags]
    assert lags[int(np.argmax(match))] == 0
    gain = float(np.dot(got, voice) / np.dot(voice, voice))
    assert abs(db(gain)) < 0.1
    assert np.sqrt(np.mean((got - voice) ** 2)) < 0.05 * np.sqrt(np.mean(voice**2))


@pytest.mark.parametrize("rate", sorted(MONO))
def test_an_impulse_lands_at_its_sample(rate: int) -> None:
    format = MONO[rate]
    pcm = np.zeros(12_000, dtype=np.float32)
    places = [2000, 4111, 6223, 9007]
    pcm[places] = 0.9
    got = np.abs(coded(pcm, format, lame_bitrate_index(format, 320)))
    for place in places:
        assert int(np.argmax(got[place - 500 : place + 500])) == 500


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@pytest.mark.parametrize("index", range(1, 15))
def test_lames_input_gain_is_undone_at_every_bitrate(rate: int, index: int) -> None:
    format = MONO[rate]
    if lame_bitrate_index(format, format.bitrates_kbps[index]) != index:
        return
    # Behind LAME's cold start, before its end.
    steady = slice(4 * format.samples_per_frame, -2 * format.samples_per_frame)
    gains = []
    # At 8 kbit/s, single ones come back up to 0.13 dB off: coding noise.
    for amplitude in (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9):
        pcm = tones(rate, amplitude, 20 * format.samples_per_frame)
        got = coded(pcm, format, index)[steady]
        gains.append(db(float(np.dot(got, pcm[steady]) / np.dot(pcm[steady], pcm[steady]))))
    assert abs(np.mean(gains)) < 0.05


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_full_scale_is_not_clipped(rate: int) -> None:
    """Nor what decoders overshoot: there is headroom of 6 dB."""
    format = MONO[rate]
    pcm = tones(rate, 1.95, 30 * format.samples_per_frame)
    assert np.abs(pcm).max() > 1.9
    got = coded(pcm, format, lame_bitrate_index(format, 320))
    steady = slice(4 * format.samples_per_frame, -2 * format.samples_per_frame)
    assert np.abs(got[steady] - pcm[steady]).max() < 0.045


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_silence_codes_to_silence(rate: int) -> None:
    format = MONO[rate]
    count = 10
    pcm = np.zeros((count + LOOK_AHEAD_FRAMES) * format.samples_per_frame, dtype=np.float32)
    units = encoded(pcm, format, lame_bitrate_index(format, 48), 0, count)
    assert not decoded(units, format).any()
    assert all(unit.bits(format) == silent_channel(format).bits(format) for unit in units)


@pytest.mark.parametrize("name", ["mpeg25-8k-32k", "mpeg2-16k-48k", "mpeg1-44k-320k"])
@given(st.data())
@examples(8)
def test_frames_are_skipped_and_counted(name: str, data: st.DataObject) -> None:
    """They are the same frames, whichever of them are asked for."""
    voice, format = caller(name), MONO[rate_of(name)]
    spf = format.samples_per_frame
    index = lame_bitrate_index(format, data.draw(st.sampled_from((8, 24, 32, 64, 128))))
    frames = data.draw(st.integers(1, len(voice) // spf - LOOK_AHEAD_FRAMES))
    pcm = voice[: (frames + LOOK_AHEAD_FRAMES) * spf]
    every = encoded(pcm, format, index, 0, frames)
    assert len(every) == frames
    skip = data.draw(st.integers(0, frames))
    count = data.draw(st.integers(0, frames - skip))
    assert encoded(pcm, format, index, skip, count) == every[skip : skip + count]


@pytest.mark.parametrize("name", ["mpeg25-8k-32k", "mpeg2-16k-48k", "mpeg1-44k-320k"])
def test_a_stereo_streams_channel_is_coded_like_a_mono_streams(name: str) -> None:
    voice, mono = caller(name), MONO[rate_of(name)]
    stereo = StreamFormat(mono.version, mono.rate_index, 2)
    index = lame_bitrate_index(stereo, 32)
    assert encoded(voice, stereo, index, 2, 9) == encoded(voice, mono, index, 2, 9)


@pytest.mark.parametrize("name", ["mpeg25-8k-32k", "mpeg2-16k-48k", "mpeg1-44k-320k"])
def test_the_grid_is_that_of_the_first_sample(name: str) -> None:
    """PCM that begins n frames later gives frames that sound like those n frames later."""
    voice, format = caller(name), MONO[rate_of(name)]
    spf = format.samples_per_frame
    index = lame_bitrate_index(format, 320)
    every = encoded(voice, format, index, 0, 12 + WARM_UP_FRAMES)
    later = encoded(voice[6 * spf :], format, index, WARM_UP_FRAMES, 6)
    whole = decoded(every, format)
    # Behind the overlap with the frames that the shorter encode doesn't have.
    start = (6 + WARM_UP_FRAMES) * spf + 1056
    got = decoded(later, format)[1056:]
    expected = whole[start : start + len(got)]
    assert len(expected) == len(got) > spf
    assert np.abs(expected).max() > 0.05
    assert np.sqrt(np.mean((got - expected) ** 2)) < 0.1 * np.sqrt(np.mean(expected**2))


def test_windows_come_in_legal_order_and_short_ones_at_attacks() -> None:
    format = MONO[8000]
    pcm = np.zeros(30 * 576, dtype=np.float32)
    random = np.random.default_rng(0)
    pcm[9000:9400] = random.uniform(-0.9, 0.9, 400).astype(np.float32)
    units = encoded(pcm, format, lame_bitrate_index(format, 24), 0, 26)
    assert BlockType.SHORT in {block for unit in units for block in unit.block_types(format)}


@given(formats, st.floats(0, 400))
def test_the_mono_bitrate_is_no_less_than_asked_where_lame_has_one(
    format: StreamFormat, kbps: float
) -> None:
    rates = format.bitrates_kbps
    most = 64 if format.version is Version.MPEG_2_5 else rates[14]
    index = lame_bitrate_index(format, kbps)
    assert rates[index] <= most
    assert rates[index] >= min(kbps, most)
    assert index == 1 or rates[index - 1] < kbps


def test_the_same_samples_give_the_same_frames() -> None:
    voice, format = caller("mpeg2-16k-48k"), MONO[16000]
    first = encoded(voice, format, 5, 0, 30)
    assert encoded(voice.copy(), format, 5, 0, 30) == first


@pytest.mark.parametrize("name", ["mpeg25-8k-32k", "mpeg2-16k-48k", "mpeg1-44k-320k"])
@given(st.data())
@examples(8)
def test_nothing_that_follows_a_stretch_is_in_its_frames(name: str, data: st.DataObject) -> None:
    voice, format = caller(name), MONO[rate_of(name)]
    spf = format.samples_per_frame
    stretches = []
    for _ in range(2):
        count = data.draw(st.integers(1, 6))
        length = (WARM_UP_FRAMES + count + LOOK_AHEAD_FRAMES) * spf
        start = data.draw(st.integers(0, len(voice) - length))
        pcm = voice[start : start + length]
        if data.draw(st.booleans()):
            pcm = np.sign(pcm) * np.float32(0.9)
        stretches.append(Stretch(pcm, WARM_UP_FRAMES, count))
    both = encode_channel(stretches, format, 5)
    assert [len(units) for units in both] == [stretch.count for stretch in stretches]
    assert both[0] == encode_channel(stretches[:1], format, 5)[0]


@pytest.mark.parametrize("name", ["mpeg25-8k-32k", "mpeg2-16k-48k", "mpeg1-44k-320k"])
@pytest.mark.parametrize("before", ["voice", "noise", "silence"])
def test_a_stretch_sounds_as_it_does_alone(name: str, before: str) -> None:
    """Whatever went through the encoder before it."""
    voice, format = caller(name), MONO[rate_of(name)]
    spf = format.samples_per_frame
    index = lame_bitrate_index(format, 24)  # what calls have for each channel
    count = 8
    length = (WARM_UP_FRAMES + count + LOOK_AHEAD_FRAMES) * spf
    pcm = voice[4 * spf : 4 * spf + length]
    other = {
        "voice": voice[:length],
        "noise": np.random.default_rng(0).uniform(-0.9, 0.9, length).astype(np.float32),
        "silence": np.zeros(length, dtype=np.float32),
    }[before]
    stretches = [Stretch(other, WARM_UP_FRAMES, 1), Stretch(pcm, WARM_UP_FRAMES, count)]
    later = decoded(encode_channel(stretches, format, index)[1], format)
    alone = decoded(encoded(pcm, format, index, WARM_UP_FRAMES, count), format)
    # The first frame overlaps with one that neither has; the last has no successor.
    inside = slice(2 * spf, (count - 1) * spf)
    start = WARM_UP_FRAMES * spf - GRID_OFFSET
    source = pcm[start + inside.start : start + inside.stop]
    errors = [np.sqrt(np.mean((got[inside] - source) ** 2)) for got in (later, alone)]
    assert np.abs(source).max() > 0.05
    assert db(errors[0] / errors[1]) < 1.5


@pytest.mark.parametrize("name", ["mpeg25-8k-32k", "mpeg2-16k-48k", "mpeg1-44k-128k"])
def test_voices_are_coded_nearer_than_by_lames_own_choice(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice, format = caller(name), MONO[rate_of(name)]
    index = lame_bitrate_index(format, {8000: 16, 16000: 24, 44100: 64}[format.rate_hz])

    def noise() -> float:
        made = coded(voice, format, index)
        return db(float(np.sqrt(np.mean((made - voice[: len(made)]) ** 2))))

    ours = noise()
    monkeypatch.setattr(lame, "_FEWEST_BANDS", 9)
    assert ours < noise() - 0.1
