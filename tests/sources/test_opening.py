# SPDX-License-Identifier: Apache-2.0
"""Files are known by their bytes, and read to the sample; what can't be read is named."""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st

import audioengine as ae
from audioengine.edits import Span
from audioengine.mp3.bytesource import ByteSource
from audioengine.sources import pyav
from audioengine.sources.leg import Sound, as_float
from audioengine.sources.opening import Opened, open_sound
from audioengine.sources.raw import RawFormat
from audioengine.sources.windows import SoundWindows
from tests.sources.material import (
    BY_FFMPEG,
    RAW,
    SNDFILE,
    Pcm,
    amr,
    by_ffmpeg,
    decoded_by_ffmpeg,
    g729_wav,
    tones,
    wav,
    written,
)
from tests.strategies import examples
from tests.support import Bytes, fixture

SAMPLES = 8123


def opened(data: bytes, raw: str | None = None, **options: bool) -> Opened:
    source: ByteSource = Bytes(data)
    return open_sound(source, None if raw is None else RawFormat.of(raw), **options)


def whole(sound: Sound, size: int = 1000, start: int = 0) -> Pcm:
    blocks = [as_float(block) for block in sound.blocks(size, start)]
    assert all(len(block) <= size for block in blocks)
    return np.concatenate(blocks)


def can_hold(name: str, rate: int, channels: int) -> bool:
    return (channels == 1 or name != "wav-gsm") and (rate != 44_100 or name != "ogg-opus")


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("name", SNDFILE)
def test_what_is_read_is_what_ffmpeg_reads(name: str, channels: int, rate: int) -> None:
    if not can_hold(name, rate, channels):
        pytest.skip("no such file")
    pcm = tones(rate, SAMPLES, channels)
    data = written(pcm, rate, *SNDFILE[name])
    sound = opened(data).sound
    assert (sound.rate, sound.channels) == (rate, channels)
    ours = whole(sound)
    assert ours.shape == (sound.length, channels)
    if not name.endswith(("-ima", "-ms", "-gsm")):
        assert sound.length == SAMPLES
    theirs = decoded_by_ffmpeg(data)
    if name == "ogg-opus":
        # FFmpeg plays all Opus at 48 kHz.
        assert len(theirs) * rate == pytest.approx(SAMPLES * 48_000, abs=2 * 48_000)
        theirs = pcm
    assert abs(len(theirs) - len(ours)) < 1024
    both = min(len(ours), len(theirs))
    noise = ours[:both] - theirs[:both]
    # Predictors of ADPCM are rounded in different ways.
    most = {"ogg-opus": 0.05, "ogg-vorbis": 2e-4, "wav-ms": 2e-3}.get(name, 1e-4)
    assert float(np.sqrt(np.mean(noise**2))) < most


def test_gsm_ends_where_its_header_says() -> None:
    data = written(tones(8000, SAMPLES, 1), 8000, "WAV", "GSM610")
    there = sf.SoundFile(io.BytesIO(data)).frames
    assert there % 320 == 0
    fact = data.index(b"fact") + 8
    assert opened(data[:fact] + struct.pack("<I", SAMPLES) + data[fact + 4 :]).sound.length == 8123


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("codec", RAW)
def test_headerless_files_are_what_is_said(codec: str, channels: int) -> None:
    pcm = tones(8000, 1000, channels)
    one_byte = channels == 1 and codec in ("ulaw", "alaw", "s8")
    data = written(pcm, 8000, "RAW", RAW[codec])
    found = opened(data + b"\0" * (not one_byte), f"{codec}:8000:{channels}")
    assert found.sound.length == 1000
    assert np.abs(whole(found.sound) - pcm).max() < 0.02
    assert [one.code for one in found.warnings] == ["incomplete_last_sample"] * (not one_byte)


@pytest.mark.parametrize(
    "text",
    ["", "ulaw", "ulaw:8000", "ulaw:8000:3", "mp3:8000:1", "ulaw:1:1", "ulaw:8e3:1", "u:²:1"],
)
def test_other_formats_are_refused(text: str) -> None:
    with pytest.raises(ae.InvalidRequestError, match="CODEC:RATE:CHANNELS"):
        RawFormat.of(text)


@pytest.mark.parametrize("name", BY_FFMPEG)
def test_the_extra_reads_what_libsndfile_does_not(name: str) -> None:
    container, codec, rate = BY_FFMPEG[name]
    pcm = tones(rate, rate // 2, 2)
    data = by_ffmpeg(pcm, rate, container, codec)
    sound = opened(data).sound
    theirs = decoded_by_ffmpeg(data)
    assert (sound.rate, sound.channels, sound.length) == (rate, 2, len(theirs))
    assert np.abs(whole(sound) - theirs).max() < 1e-4
    assert np.corrcoef(theirs[: len(pcm), 0], pcm[: len(theirs), 0])[0, 1] > 0.97
    assert (whole(sound, 777, 5000) == whole(sound)[5000:]).all()


@pytest.mark.parametrize(
    ("data", "rate", "samples", "kind"),
    [
        (g729_wav(), 8000, 8000, "a WAV file with G.729"),
        (amr(), 8000, 8000, "an AMR file with AMR-NB"),
    ],
    ids=["g729", "amr"],
)
def test_speech_of_telephones_is_read(data: bytes, rate: int, samples: int, kind: str) -> None:
    found = opened(data)
    assert (found.sound.rate, found.sound.length, found.kind) == (rate, samples, kind)
    assert len(whole(found.sound)) == samples


def test_the_extra_and_the_kind_are_named_where_it_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pyav, "find_spec", lambda _: None)
    with pytest.raises(ae.UnsupportedAudioError, match=r"WAV file with G\.729.*audioengine\[av\]"):
        opened(g729_wav())


def test_webm_that_is_cut_off_is_refused_unless_that_is_allowed() -> None:
    """FFmpeg reads what is there without a word."""
    whole = by_ffmpeg(tones(48_000, 4 * 48_000, 1), 48_000, "webm", "libopus")
    assert not opened(whole).warnings
    cut = whole[: len(whole) // 2]
    with pytest.raises(
        ae.MalformedAudioError, match=r"cut off: its header promises [12]\.\d s more"
    ):
        opened(cut)
    taken = opened(cut, allow_truncated=True)
    assert [notice.code for notice in taken.warnings] == ["truncated"]
    assert 48_000 < taken.sound.length < 3 * 48_000


def test_gaps_between_time_stamps_are_silence() -> None:
    container, codec, rate = BY_FFMPEG["webm"]
    pcm = tones(rate, rate, 1)
    out = io.BytesIO()
    with av.open(out, "w", format=container) as file:
        stream = file.add_stream(codec, rate=rate, layout="mono")
        for number in range(50):
            part = np.ascontiguousarray(pcm[number * 960 : (number + 1) * 960].T)
            frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
            frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
            frame.pts = number * 960 + (rate if number >= 25 else 0)
            resampler = av.AudioResampler(stream.format, "mono", rate)
            for one in resampler.resample(frame):
                one.pts = frame.pts
                file.mux(stream.encode(one))
        file.mux(stream.encode(None))
    sound = opened(out.getvalue()).sound
    assert sound.length == pytest.approx(2 * rate, abs=1000)
    heard = whole(sound)[:, 0]
    assert np.abs(heard[round(0.6 * rate) : round(1.4 * rate)]).max() == 0
    assert np.abs(heard[round(1.6 * rate) : round(1.9 * rate)]).max() > 0.1


@pytest.mark.parametrize("name", ["wav-pcm16", "wav-gsm", "flac", "ogg-vorbis", "ogg-opus"])
def test_reading_may_start_anywhere(name: str) -> None:
    pcm = tones(8000, SAMPLES, 1)
    sound = opened(written(pcm, 8000, *SNDFILE[name])).sound
    everything = whole(sound)
    for start, size in ((1, 64), (3001, 5000), (sound.length - 1, 7)):
        assert (whole(sound, size, start) == everything[start:]).all()


@given(st.lists(st.tuples(st.integers(-50, 9000), st.integers(1, 4000)), min_size=1, max_size=8))
@examples(30)
def test_any_windows_are_the_sound(asked: list[tuple[int, int]]) -> None:
    pcm = tones(8000, SAMPLES, 2)
    data = written(pcm, 8000, "OGG", "VORBIS")
    sound = opened(data).sound
    everything = np.concatenate((np.zeros((50, 2)), whole(sound), np.zeros((5000, 2))))
    windows = SoundWindows(sound, 1000, 2)
    spans = [Span(start, start + length) for start, length in asked]
    for span, found in zip(spans, windows(spans), strict=True):
        assert (found == everything[span.start + 50 : span.end + 50]).all()


def test_a_wav_file_with_mp3_is_that_recording() -> None:
    mp3 = fixture("stereo-8k")
    found = opened(wav(0x55, 2, 8000, 0, mp3))
    assert found.kind == "a WAV file with MP3"
    assert (whole(found.sound) == whole(opened(mp3).sound)).all()


KINDS = {
    b"PK\x03\x04 and more": "a ZIP file",
    b"%PDF-1.7": "a PDF file",
    b"\xd4\xc3\xb2\xa1" + bytes(20): "a packet capture",
    b"\x0a\x0d\x0d\x0a" + bytes(40): "a packet capture",
    b"RIFF\0\0\0\0AVI " + bytes(40): "a RIFF file",
    b"\0\0\0\x20ftypisom" + bytes(40): "an MP4 file",
}


@pytest.mark.parametrize("data", KINDS, ids=range(len(KINDS)))
def test_other_files_are_refused_by_what_they_are(data: bytes) -> None:
    with pytest.raises(
        (ae.UnsupportedAudioError, ae.MalformedAudioError), match=f"this is {KINDS[data]}"
    ):
        opened(data)


# hostile


def headed(**fields: int) -> bytes:
    return wav(1, fields.get("channels", 1), fields.get("rate", 8000), 16, bytes(800))


def with_size(data: bytes, size: int) -> bytes:
    at = data.index(b"data") + 4
    return data[:at] + struct.pack("<I", size) + data[at + 4 :]


@pytest.mark.parametrize("size", [4_000_000_000, 802, 0])
def test_files_that_are_cut_off_are_refused_unless_allowed(size: int) -> None:
    data = with_size(headed(), size)
    with pytest.raises(ae.MalformedAudioError, match="cut off"):
        opened(data)
    found = opened(data, allow_truncated=True)
    assert found.sound.length == len(whole(found.sound)) == 400
    assert [one.code for one in found.warnings] == ["truncated"]


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000])
def test_headers_that_do_not_know_are_no_promise(size: int) -> None:
    assert opened(with_size(headed(), size)).sound.length == 400


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (headed(channels=0), "0 channels"),
        (headed(channels=6), "6 channels"),
        (headed(rate=1), "1 Hz"),
        (headed(rate=0), "WAV file"),
        (headed(rate=2_000_000_000), "Hz"),
        (wav(1, 1, 8000, 16, b""), "without samples"),
        (b"RIFF" + struct.pack("<I", 900) + b"WAVE" + headed(), "WAV file"),
        (headed()[:30], "WAV file"),
    ],
    ids=range(8),
)
def test_headers_that_lie_are_refused(data: bytes, message: str) -> None:
    with pytest.raises((ae.UnsupportedAudioError, ae.MalformedAudioError), match=message):
        opened(data)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 32_000.0])
def test_floats_that_are_no_samples_are_refused(value: float) -> None:
    pcm = tones(8000, 1000, 1)
    pcm[500] = value
    with pytest.raises(ae.MalformedAudioError, match="floats must be within"):
        whole(opened(written(pcm, 8000, "WAV", "FLOAT")).sound)


def test_chained_ogg_is_refused() -> None:
    one = written(tones(8000, 2000, 1), 8000, "OGG", "VORBIS")
    assert opened(one).sound.length == 2000
    with pytest.raises(ae.UnsupportedAudioError, match="several streams"):
        opened(one + one)


@pytest.mark.parametrize("codec", ["VORBIS", "OPUS"])
def test_ogg_that_is_cut_off_is_refused_unless_allowed(codec: str) -> None:
    data = written(tones(8000, 200_000, 1), 8000, "OGG", codec)
    last = data.rindex(b"OggS")
    for end in (last + 3, last + 26, last + 27, len(data) - 1):
        with pytest.raises(ae.MalformedAudioError, match="cut off inside its last page"):
            opened(data[:end])
        found = opened(data[:end], allow_truncated=True)
        assert [one.code for one in found.warnings] == ["truncated"]
        assert len(whole(found.sound)) == found.sound.length
    assert [one.code for one in opened(data[:last]).warnings] == ["truncated"]
    assert opened(data).warnings == opened(data + b"more").warnings == ()


def test_a_codec_that_nobody_has_is_named_once() -> None:
    with pytest.raises(ae.UnsupportedAudioError) as caught:
        opened(wav(0x7777, 1, 8000, 16, bytes(1000)))
    assert str(caught.value).count("WAV file") == 1


def test_a_gap_of_years_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit counts seconds, not samples at the highest rate."""
    monkeypatch.setattr("audioengine.sources.opening.MOST_SECONDS", 1)
    with pytest.raises(ae.LimitError, match="longer than 1 s"):
        opened(by_ffmpeg(tones(48_000, 60_000, 1), 48_000, "webm", "libopus"))


def test_flac_that_promises_years_is_refused() -> None:
    data = bytearray(written(tones(8000, 2000, 1), 8000, "FLAC", "PCM_16"))
    data[21:26] = bytes((data[21] | 0x0F, 255, 255, 255, 255))
    with pytest.raises((ae.LimitError, ae.MalformedAudioError)):
        whole(opened(bytes(data)).sound)


def test_flac_that_is_cut_off_is_taken_to_its_end_if_allowed() -> None:
    data = written(tones(8000, 40_000, 1), 8000, "FLAC", "PCM_16")
    cut = data[: len(data) // 2]
    with pytest.raises(ae.MalformedAudioError, match="cut off"):
        whole(opened(cut).sound)
    sound = opened(cut, allow_truncated=True).sound
    assert 0 < sound.length < 40_000
    assert len(whole(sound)) == sound.length


@given(st.sampled_from(sorted(SNDFILE)), st.data())
@examples(60)
def test_broken_files_raise_typed_errors_alone(name: str, data: st.DataObject) -> None:
    good = bytearray(written(tones(8000, 700, 1), 8000, *SNDFILE[name]))
    for _ in range(data.draw(st.integers(1, 8))):
        good[data.draw(st.integers(0, min(len(good), 200) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(good)))
    try:
        sound = opened(bytes(good[:cut] if data.draw(st.booleans()) else good)).sound
        count = 0
        for block in sound.blocks(1 << 16):
            count += len(block)
        assert count == sound.length
    except ae.AudioEngineError:
        pass


def test_a_data_offset_that_lies_is_the_same_wherever_reading_starts() -> None:
    data = bytearray(written(tones(8000, 300, 2), 8000, "AU", "ALAW"))
    data[4:8] = bytes(4)
    sound = opened(bytes(data)).sound
    assert (whole(sound, 64, 100) == whole(sound)[100:]).all()


def test_blocks_are_in_order() -> None:
    sound = opened(written(tones(8000, 100, 1), 8000, "WAV", "PCM_16")).sound
    blocks = list(sound.blocks(30))
    assert [len(block) for block in blocks] == [30, 30, 30, 10]
    assert all(len(one) >= len(two) for one, two in pairwise(blocks))
