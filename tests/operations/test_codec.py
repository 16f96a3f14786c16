# SPDX-License-Identifier: Apache-2.0
"""`decode` gives any window of a recording exactly; `encode` writes what decodes to as many."""

from __future__ import annotations

import io
import warnings
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import audioengine as ae
from fixtures import mpeg
from tests.operations import bits
from tests.operations.beeps import db
from tests.operations.helpers import (
    DECODERS,
    EDITABLE,
    Pcm,
    number,
    recorded,
    recording,
    spans,
    talk,
)
from tests.support import DAMAGED, fixture

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of old Python, and of an ffmpeg that it does not find
    from pydub import AudioSegment

RATES = (8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
USUAL_KBPS = {8000: 32, 16_000: 48, 44_100: 128}


# Where decoders differ by themselves: in broken frames, in windows that don't follow one another
# beside frames that are lost, in intensity stereo.
UNLIKE = {
    (name, decoder)
    for name in (*DAMAGED, "intensity-16k", "intensity-44k")
    for decoder in ("pyav", "miniaudio")
}
STEREO = tuple(name for name in EDITABLE if recording(name).channels == 2)
# mpg123's float samples by another phase of its synthesis.
ROUNDING = 1.2e-7


def stacked(audio: ae.Audio) -> Pcm:
    return np.stack([audio.caller, audio.callee], axis=1)


# decode


@pytest.mark.parametrize("name", EDITABLE)
def test_decode_gives_what_other_decoders_play(name: str) -> None:
    """As many samples from the same one on, within what 16 bits or another's rounding leave."""
    source = recording(name)
    audio = ae.decode(source.data)
    assert audio.rate_hz == source.rate
    assert audio.caller.dtype == audio.callee.dtype == np.float32
    mine = stacked(audio)
    assert mine.shape == (source.samples, 2)
    for decoder, close in (("soundfile", 2e-6), ("pyav", 4e-6), ("miniaudio", 1e-4)):
        if (name, decoder) in UNLIKE:
            continue
        theirs = source.decoded(decoder).astype(float)
        if decoder == "miniaudio":
            theirs /= 32768
        assert np.abs(mine - theirs).max() <= close, decoder


@pytest.mark.parametrize("name", [name for name in STEREO if name not in DAMAGED])
def test_decode_gives_soundfile_s_own_samples(name: str) -> None:
    """Bit for bit: it is the decoder inside."""
    assert (stacked(_whole(name)) == recording(name).decoded("soundfile")).all()


@pytest.mark.parametrize("name", EDITABLE)
@given(st.data())
@settings(max_examples=4)
def test_any_window_equals_the_whole_s(name: str, data: st.DataObject) -> None:
    source = recording(name)
    whole = stacked(_whole(name))
    start, end = data.draw(spans(source.samples))
    part = stacked(ae.decode(source.data, start / source.rate, end / source.rate))
    assert part.shape == (end - start, 2)
    assert np.abs(part - whole[start:end]).max() <= ROUNDING
    if source.channels == 2 and name not in DAMAGED:
        assert (part == whole[start:end]).all()


def _whole(name: str) -> ae.Audio:
    if name not in _WHOLE:
        _WHOLE[name] = ae.decode(recording(name).data)
    return _WHOLE[name]


_WHOLE: dict[str, ae.Audio] = {}


def test_bounds_of_a_window() -> None:
    """Nearest samples, clipped to the recording; open ends are its own."""
    source = recording("mpeg2-16k-48k")
    whole = stacked(_whole(source.name))
    cases: list[tuple[Any, Any, slice]] = [
        (None, None, slice(0, 96_000)),
        (None, 1, slice(0, 16_000)),
        (5.5, None, slice(88_000, 96_000)),
        (5, 100, slice(80_000, 96_000)),
        (Decimal("1.00002"), Decimal("1.00004"), slice(16_000, 16_001)),
        (0, 1 / 16_000, slice(0, 1)),
    ]
    for start, end, wanted in cases:
        assert (stacked(ae.decode(source.data, start, end)) == whole[wanted]).all()


@pytest.mark.parametrize(
    ("start", "end"),
    [(2, 1), (1, 1), (-1, 1), (6, 7), (float("nan"), 1), ("1", 2), (1, 1.00001), (True, 2)],
)
def test_windows_without_samples_are_refused(start: Any, end: Any) -> None:
    with pytest.raises(ae.InvalidRequestError, match="window"):
        ae.decode(recording("mpeg2-16k-48k").data, start, end)


def test_the_caller_may_be_on_the_right() -> None:
    source = recording("mpeg2-16k-48k")
    left = ae.decode(source.data, 1, 2)
    right = ae.decode(source.data, 1, 2, caller_channel="right")
    assert (left.caller == right.callee).all()
    assert (left.callee == right.caller).all()
    assert (left.caller != left.callee).any()
    with pytest.raises(ae.InvalidRequestError, match="caller_channel"):
        ae.decode(source.data, caller_channel="middle")  # type: ignore[arg-type]


def test_both_parties_of_a_mono_recording_are_one() -> None:
    audio = ae.decode(recording("mono-8k").data)
    assert (audio.caller == audio.callee).all()


def test_a_window_costs_what_it_holds() -> None:
    """Of a long recording, hardly more than its index is read."""

    class Counting(io.BytesIO):
        count = 0

        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            self.count += len(data)
            return data

    frames = mpeg.sound(recording("nores-16k").data)
    long = mpeg.join(frames * 200)
    once = Counting(long)
    ae.decode(once, 600, 601)
    assert once.count <= len(long) * 1.2 + 300_000


# encode


def audio_of(pcm: Pcm, rate: int) -> ae.Audio:
    return ae.Audio(pcm[:, 0].astype(np.float32), pcm[:, 1].astype(np.float32), rate)


@pytest.mark.parametrize("rate", RATES)
def test_encode_writes_as_many_samples_in_place(rate: int) -> None:
    """In every decoder; close to what was given, each party on its own channel."""
    pcm = talk(rate, 2.5)[: 2 * rate + 17]
    out = io.BytesIO()
    report = ae.encode(audio_of(pcm, rate), out)
    data = out.getvalue()
    assert report.output.samples == len(pcm)
    assert report.output.bytes == len(data)
    if rate in USUAL_KBPS:
        assert report.bitrates.nominal_kbps == USUAL_KBPS[rate]
    for decoder, decode in DECODERS.items():
        heard = decode(data).astype(float) / (32768 if decoder == "miniaudio" else 1)
        assert heard.shape == pcm.shape, decoder
        assert db(np.mean((heard - pcm) ** 2) / np.mean(pcm**2)) <= -10, decoder
        for shift in (-1, 1):
            late = np.roll(pcm, shift, axis=0)
            assert np.mean((heard - pcm) ** 2) < np.mean((heard - late) ** 2), decoder


@given(st.integers(1, 5000), st.sampled_from(RATES))
@settings(max_examples=25)
def test_encode_of_any_length(length: int, rate: int) -> None:
    """Down to one sample; the tag is right, and inspect and decode agree."""
    pcm = np.random.default_rng(length).uniform(-0.3, 0.3, (length, 2))
    out = io.BytesIO()
    report = ae.encode(audio_of(pcm, rate), out)
    data = out.getvalue()
    for decoder, decode in DECODERS.items():
        assert decode(data).shape == (length, 2), decoder
    info = ae.inspect(data)
    assert (info.samples, info.warnings, info.tagged) == (length, (), True)
    assert (info.encoder_delay, info.padding) == (
        report.output.encoder_delay,
        report.output.padding,
    )
    assert len(ae.decode(data).caller) == length
    tag = next(mpeg.frames(data))
    at = 4 + tag.side_length + 120
    assert number(tag, at + 32, 2) == bits.tag_crc(data[len(tag.data) :])
    assert number(tag, at + 34, 2) == bits.tag_crc(tag.data[: at + 34])


def test_an_encoded_recording_is_a_source_like_any_other(tmp_path: Path) -> None:
    """Its parties are apart: no frame is mid/side, so masks of one leave the other exact."""
    rate = 16_000
    path = tmp_path / "call.mp3"
    ae.encode(audio_of(talk(rate, 3), rate), path)
    source = recorded("encoded", path.read_bytes())
    assert not any(sound.coupled for sound in source.sounds)
    modification = ae.Modification(mask={"caller": [ae.Interval(1, 2)]})
    ae.store(path, path, modification)
    before, after = (DECODERS["pyav"](data) for data in (source.data, path.read_bytes()))
    middle = slice(8000, 40_000)
    assert (before[middle, 1] == after[middle, 1]).all()


@pytest.mark.parametrize("kbps", [32, 40, 48, 64, 160])
def test_encode_at_an_asked_bitrate(kbps: int) -> None:
    out = io.BytesIO()
    report = ae.encode(audio_of(talk(16_000, 1), 16_000), out, kbps)
    assert report.bitrates.nominal_kbps == kbps
    assert {frame.kbps for frame in mpeg.sound(out.getvalue())} == set(report.bitrates.frames)
    assert kbps in report.bitrates.frames


@pytest.mark.parametrize("kbps", [0, 33, 320, -8, 1000])
def test_bitrates_that_mp3_does_not_have_are_refused(kbps: int) -> None:
    out = io.BytesIO()
    with pytest.raises(ae.InvalidRequestError, match="bitrate_kbps"):
        ae.encode(audio_of(talk(16_000, 1), 16_000), out, kbps)
    assert out.getvalue() == b""


@pytest.mark.parametrize("rate", [0, 7999, 96_000, -8000])
def test_rates_that_mp3_does_not_have_are_refused(rate: int) -> None:
    with pytest.raises(ae.InvalidRequestError, match="rate_hz"):
        ae.encode(audio_of(talk(8000, 1), rate), io.BytesIO())


def test_no_samples_are_no_recording() -> None:
    with pytest.raises(ae.InvalidRequestError, match="at least one sample"):
        ae.encode(ae.Audio(np.zeros(0, np.float32), np.zeros(0, np.float32), 8000), io.BytesIO())


@pytest.mark.parametrize(
    ("caller", "callee", "field"),
    [
        (np.zeros((4, 2)), np.zeros(4), "caller"),
        (np.zeros(4), np.zeros(5), "callee"),
        (np.zeros(4), np.array([0, np.nan, 0, 0]), "callee"),
        (np.array([np.inf, 0, 0, 0]), np.zeros(4), "caller"),
        (np.zeros(4, complex), np.zeros(4), "caller"),
        (np.array(["a", "b", "c", "d"]), np.zeros(4), "caller"),
        (np.array([0, 0, 2.001, 0]), np.zeros(4), "caller = 'a peak of 2.001': must be within ±2"),
        (np.zeros(4), np.array([0.0, -32768.0, 1, 2]), "callee = 'a peak of 32768'"),
    ],
)
def test_what_are_no_samples_is_refused(caller: Any, callee: Any, field: str) -> None:
    with pytest.raises(ae.InvalidRequestError, match=field):
        ae.Audio(caller, callee, 8000)


@pytest.mark.parametrize("kind", ["int8", "int16", "int32", "int64", "uint8", "uint16"])
@given(data=st.data())
def test_integers_are_scaled_by_their_type(kind: str, data: st.DataObject) -> None:
    """As `scipy.io.wavfile.read` gives them; uint8 is silent at 128."""
    info = np.iinfo(kind)
    values = data.draw(st.lists(st.integers(int(info.min), int(info.max)), min_size=1, max_size=9))
    if info.bits == 64:  # without a sample of more than 32 bits it would be refused
        values.append(1 << 33)
    audio = ae.Audio(np.array(values, kind), np.array(values, kind), 8000)
    half = 2.0 ** (info.bits - 1)
    wanted = [(value - (half if kind.startswith("u") else 0)) / half for value in values]
    assert audio.caller.dtype == np.float32
    assert np.abs(audio.caller).max() <= 1
    assert np.allclose(audio.caller, wanted, atol=1e-6)


@pytest.mark.parametrize("kind", ["int64", "uint64"])
@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=9).filter(any))
def test_fewer_bits_in_64_are_refused(kind: str, values: list[int]) -> None:
    """As NumPy makes them of lists; they would be silence."""
    with pytest.raises(ae.InvalidRequestError, match=r"caller = .* of at most 32 bits"):
        ae.Audio(np.array(values, kind), np.array(values, kind), 8000)
    if kind == "int64" and max(values) < 1 << 31:
        as_they_are: Any = [-value for value in values]
        with pytest.raises(ae.InvalidRequestError, match="would be silence"):
            ae.Audio(as_they_are, as_they_are, 8000)
    assert not ae.Audio(np.zeros(3, "int64"), np.zeros(3, "int64"), 8000).caller.any()


def test_int16_of_a_wav_is_no_noise() -> None:
    """A tone at half of full scale stays one."""
    tone = np.sin(np.arange(8000) * 2 * np.pi * 440 / 8000) / 2
    out = io.BytesIO()
    whole: Any = (tone * 32767).astype(np.int16)
    ae.encode(ae.Audio(whole, whole, 8000), out, 64)
    heard = ae.decode(out.getvalue()).caller[1000:7000]
    assert 0.45 < np.abs(heard).max() < 0.55
    assert np.abs(heard - tone[1000:7000]).max() < 0.05


def test_samples_beyond_full_scale_are_kept_in_range() -> None:
    """Silently wrapped samples would be noise at full level."""
    rate = 16_000
    wave = 2.0 * np.sin(2 * np.pi * 300 / rate * np.arange(rate))
    out = io.BytesIO()
    ae.encode(audio_of(np.stack([wave, 0 * wave], axis=1), rate), out)
    heard = DECODERS["pyav"](out.getvalue())[2000:-2000, 0]
    kept = np.clip(wave, -1.42, 1.42)[2000:-2000]
    assert np.corrcoef(heard, kept)[0, 1] >= 0.98


def test_encode_is_the_same_for_any_number_of_workers() -> None:
    """Also over more than one section: 40 s at 16 kHz are two."""
    rate = 16_000
    audio = audio_of(talk(rate, 40), rate)
    outputs = []
    for workers in (1, 4):
        out = io.BytesIO()
        ae.encode(audio, out, workers=workers)
        outputs.append(out.getvalue())
    assert outputs[0] == outputs[1]


def test_encode_leaves_nothing_on_errors(tmp_path: Path) -> None:
    def stop(*_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ae.encode(audio_of(talk(8000, 1), 8000), tmp_path / "out.mp3", progress=stop)
    assert list(tmp_path.iterdir()) == []


# pydub


def test_a_recording_goes_to_pydub_and_comes_back() -> None:
    """In 16 bits: within half a step."""
    audio = ae.decode(recording("mpeg2-16k-48k").data, 1, 2)
    segment = audio.to_pydub()
    assert (segment.frame_rate, segment.channels, segment.sample_width) == (16_000, 2, 2)
    assert len(segment) == 1000
    back = ae.Audio.from_pydub(segment)
    assert back.rate_hz == 16_000
    assert np.abs(stacked(back) - stacked(audio)).max() <= 0.51 / 32768
    again = ae.Audio.from_pydub(back.to_pydub())
    assert (stacked(again) == stacked(back)).all()


def test_samples_beyond_full_scale_are_clipped_for_pydub() -> None:
    audio = ae.Audio(np.array([2, -2, 1, 0], np.float32), np.zeros(4, np.float32), 8000)
    samples = list(audio.to_pydub().get_array_of_samples())[::2]
    assert samples == [32767, -32768, 32767, 0]


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 2])
def test_pydub_segments_of_any_width_are_taken(width: int, channels: int) -> None:
    wave = (np.sin(np.arange(800) / 7) * 0.5).astype(np.float64)
    scale = 1 << (8 * width - 1)
    integers = np.repeat(np.round(wave * scale).astype("<i8")[:, None], channels, axis=1)
    raw = integers.reshape(-1, 1).view(np.uint8)[:, :width]
    segment = AudioSegment(raw.tobytes(), frame_rate=8000, sample_width=width, channels=channels)
    audio = ae.Audio.from_pydub(segment)
    assert len(audio.caller) == len(audio.callee) == 800
    for party in (audio.caller, audio.callee):
        assert np.abs(party - wave).max() <= 1 / scale + 1e-6


def test_more_than_two_channels_are_refused() -> None:
    segment = AudioSegment(bytes(80), frame_rate=8000, sample_width=2, channels=4)
    with pytest.raises(ae.InvalidRequestError, match="channels"):
        ae.Audio.from_pydub(segment)


def test_pydub_material_can_be_stored(tmp_path: Path) -> None:
    """What an AudioSegment becomes by `encode` is edited like any recording."""
    segment = ae.decode(recording("mpeg25-8k-32k").data).to_pydub()[1000:4000]
    path = tmp_path / "out.mp3"
    ae.encode(ae.Audio.from_pydub(segment), path)
    assert ae.inspect(path).samples == 24_000
    report = ae.store(path, path, ae.Modification(trim=ae.Interval(1, 2)))
    assert report.output.samples == 8000


@given(st.integers(0, 3000), st.integers(-3000, 3000), st.integers(-3000, 3000))
def test_a_stretch_of_audio_is_that_of_its_samples(length: int, start: int, end: int) -> None:
    """In seconds, rounded to the nearest sample and clipped; negative bounds count from the end."""
    values = (np.arange(length) / 4096).astype(np.float32)
    audio = ae.Audio(values, -values, 1000)
    assert len(audio) == length
    assert audio.duration == length / 1000
    assert f"{length:,} samples at 1000 Hz" in repr(audio)
    assert "\n" not in repr(audio)
    for bounds in ((start, end), (None, end), (start, None)):
        part = audio[slice(*(None if one is None else Decimal(one) / 1000 for one in bounds))]
        np.testing.assert_array_equal(part.caller, values[slice(*bounds)])
        np.testing.assert_array_equal(np.asarray(part), np.stack((part.caller, -part.caller), 1))


def test_audio_as_an_array() -> None:
    audio = ae.decode(fixture("mono-8k"), 1, 2)
    part = audio[0.25:0.5]
    assert part.callee is part.caller
    assert np.asarray(part).shape == (2000, 2)
    assert np.asarray(part, dtype=np.float64).dtype == np.float64
    wrong: Any
    for wrong in (1, slice(0, 1, 2), slice("a", None), (slice(None), 0)):
        with pytest.raises(ae.InvalidRequestError, match="stretch = "):
            audio[wrong]
