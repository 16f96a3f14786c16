# SPDX-License-Identifier: Apache-2.0
"""What recorders leave becomes a recording: exact in length and place in three decoders."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import audioengine as ae
from audioengine.choices import CallerChannel
from audioengine.sources import windows
from tests.operations.helpers import talk
from tests.sources.material import SNDFILE, Pcm, by_ffmpeg, decoded_by_ffmpeg, tones, written
from tests.strategies import examples
from tests.support import decode_miniaudio, decode_pyav, decode_soundfile, fixture

START_MS = 1_732_953_600_000


def decoded(data: bytes) -> dict[str, Pcm]:
    return {
        "libsndfile": decode_soundfile(data),
        "ffmpeg": decode_pyav(data),
        "minimp3": decode_miniaudio(data) / np.float32(32_768),
    }


def converted(
    source: ae.Legs | bytes, tmp_path: Path, **options: object
) -> tuple[ae.ConvertReport, bytes]:
    target = tmp_path / "out.mp3"
    report = ae.convert(source, target, **options)  # type: ignore[arg-type]
    return report, target.read_bytes()


def level(pcm: Pcm) -> float:
    return 20 * math.log10(float(np.sqrt(np.mean(pcm.astype(np.float64) ** 2))))


def snr(ours: Pcm, wanted: Pcm) -> float:
    return level(wanted) - level(ours - wanted)


def lag(ours: Pcm, wanted: Pcm, most: int = 64) -> int:
    """By how many samples `ours` is late, by the largest correlation."""
    size = 1 << (len(wanted) + 2 * most).bit_length()
    cross = np.fft.irfft(np.fft.rfft(ours, size) * np.fft.rfft(wanted, size).conj(), size)
    around = np.concatenate((cross[-most:], cross[: most + 1]))
    return int(np.argmax(around)) - most


def check_sound(data: bytes, wanted: Pcm, least_snr: float) -> None:
    """An output is as long as asked, in place, as loud, and near, in each decoder."""
    for name, ours in decoded(data).items():
        assert ours.shape == wanted.shape, name
        for channel in range(wanted.shape[1]):
            one, other = ours[:, channel], wanted[:, channel]
            if not other.any():
                assert np.abs(one).max() < 1e-3, name
                continue
            assert lag(one, other) == 0, name
            assert abs(level(one) - level(other)) < 0.3, name
            assert snr(one, other) > least_snr, name


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100])
@pytest.mark.parametrize("name", ["wav-pcm16", "wav-float", "flac", "wav-ulaw", "ogg-opus"])
def test_a_file_of_both_parties(name: str, rate: int, tmp_path: Path) -> None:
    if (name, rate) == ("ogg-opus", 44_100):
        pytest.skip("Opus has no such rate")
    pcm = talk(rate, 1.5)
    source = written(pcm, rate, *SNDFILE[name])
    report, data = converted(source, tmp_path)
    wanted = pcm if name == "ogg-opus" else decoded_by_ffmpeg(source)
    check_sound(data, wanted[: len(pcm)], 6 if name == "ogg-opus" else 12)
    assert report.output.samples == len(pcm)
    assert report.bitrates.nominal_kbps == {8000: 32, 16_000: 48, 44_100: 128}[rate]
    assert [one.party for one in report.parties] == ["caller", "callee"]
    assert report.render == "encoded"


@pytest.mark.parametrize("name", [n for n in SNDFILE if n not in ("wav-gsm", "ogg-opus")])
def test_every_kind_is_converted(name: str, tmp_path: Path) -> None:
    pcm = tones(8000, 5000, 2)
    report, data = converted(written(pcm, 8000, *SNDFILE[name]), tmp_path)
    check_sound(data, np.pad(pcm, ((0, report.output.samples - len(pcm)), (0, 0))), 15)


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100])
def test_mono_stays_mono(rate: int, tmp_path: Path) -> None:
    pcm = talk(rate, 1)[:, :1]
    report, data = converted(written(pcm, rate, "WAV", "PCM_16"), tmp_path)
    check_sound(data, pcm, 12)
    assert [(one.party, one.channel) for one in report.parties] == [("both", "mono")]
    assert report.bitrates.nominal_kbps == {8000: 16, 16_000: 32, 44_100: 64}[rate]


@pytest.mark.parametrize("rate", [6000, 96_000])
def test_rates_that_mp3_has_not_are_resampled(rate: int, tmp_path: Path) -> None:
    pcm = tones(rate, rate // 2, 2)
    report, data = converted(written(pcm, rate, "WAV", "PCM_24"), tmp_path)
    assert report.output.rate_hz == (8000 if rate == 6000 else 48_000)
    check_sound(data, tones(report.output.rate_hz, report.output.rate_hz // 2, 2), 15)


@given(
    st.integers(0, 900),
    st.integers(0, 900),
    st.integers(800, 6000),
    st.integers(800, 6000),
    st.booleans(),
)
@examples(8)
def test_legs_lie_where_their_starts_say(
    tmp_path_factory: pytest.TempPathFactory,
    first_ms: int,
    second_ms: int,
    first: int,
    second: int,
    right: bool,
) -> None:
    sounds = tones(8000, first, 1), tones(8000, second, 2)[:, 1:]
    legs = [
        ae.LegFile(written(pcm, 8000, "WAV", "PCM_16"), START_MS + ms)
        for pcm, ms in zip(sounds, (first_ms, second_ms), strict=True)
    ]
    target = tmp_path_factory.getbasetemp() / "legs.mp3"
    side: CallerChannel = "right" if right else "left"
    report = ae.convert(ae.Legs(*legs), target, caller_channel=side)
    earliest = min(first_ms, second_ms)
    offsets = [8 * (ms - earliest) for ms in (first_ms, second_ms)]
    length = max(at + len(pcm) for at, pcm in zip(offsets, sounds, strict=True))
    wanted = np.zeros((length, 2), dtype=np.float32)
    for channel, (at, pcm) in enumerate(zip(offsets, sounds, strict=True)):
        wanted[at : at + len(pcm), channel] = pcm[:, 0]
    check_sound(target.read_bytes(), wanted[:, ::-1] if right else wanted, 10)
    assert report.start_time_ms == START_MS + earliest
    assert [one.interval.samples for one in report.sources] == [
        (at, at + len(pcm)) for at, pcm in zip(offsets, sounds, strict=True)
    ]
    silent = [sum(b - a for a, b in (i.samples for i in one.silence)) for one in report.parties]
    assert silent == [length - first, length - second]
    overlap = sum(b - a for a, b in (one.samples for one in report.overlap))
    assert overlap == max(0, first + second - length if silent[0] + silent[1] <= length else 0) or (
        overlap == max(0, min(offsets[0] + first, offsets[1] + second) - max(offsets))
    )


def test_legs_of_different_rates_are_at_the_higher(tmp_path: Path) -> None:
    legs = ae.Legs(
        ae.LegFile(written(tones(8000, 8000, 1), 8000, "WAV", "ULAW"), START_MS),
        ae.LegFile(written(tones(16_000, 16_000, 2)[:, 1:], 16_000, "FLAC", "PCM_16"), START_MS),
    )
    report, data = converted(legs, tmp_path)
    assert (report.output.rate_hz, report.output.samples) == (16_000, 16_000)
    check_sound(data, tones(16_000, 16_000, 2), 15)


def test_swap_and_one_leg_alone(tmp_path: Path) -> None:
    pcm = tones(8000, 4000, 2)
    file = written(pcm, 8000, "WAV", "PCM_16")
    check_sound(converted(file, tmp_path, swap=True)[1], pcm[:, ::-1], 15)
    alone = ae.Legs(callee=written(pcm[:, :1], 8000, "WAV", "PCM_16"))
    report, data = converted(alone, tmp_path)
    check_sound(data, np.stack((np.zeros(4000), pcm[:, 0]), axis=1), 15)
    assert [one.level_dbfs is None for one in report.parties] == [True, False]


def test_the_same_for_any_number_of_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "_BLOCK_SAMPLES", 1000)
    monkeypatch.setattr("audioengine.render.section.SECTION_SAMPLES", 576 * 8)
    source = written(talk(8000, 4), 8000, "OGG", "VORBIS")
    monkeypatch.setattr("audioengine.operations.converting.SECTION_SAMPLES", 576)
    made = {converted(source, tmp_path, workers=count)[1] for count in (1, 2, 5)}
    assert len(made) == 1


def test_a_bitrate_may_be_asked(tmp_path: Path) -> None:
    pcm = talk(8000, 1)
    source = written(pcm, 8000, "WAV", "PCM_16")
    usual = decode_soundfile(converted(source, tmp_path)[1])
    report, data = converted(source, tmp_path, kbps=64)
    assert set(report.bitrates.frames) == {64}
    assert snr(decode_soundfile(data), pcm) > snr(usual, pcm) + 1
    with pytest.raises(ae.InvalidRequestError, match="kbps"):
        ae.convert(source, tmp_path / "x.mp3", kbps=33)


# what is refused, and warned of


def test_lengths_that_contradict_times_are_refused(tmp_path: Path) -> None:
    file = written(tones(8000, 8000, 1), 8000, "WAV", "PCM_16")
    right = ae.LegFile(file, START_MS, START_MS + 1400)
    ae.convert(ae.Legs(right), tmp_path / "a.mp3")
    wrong = ae.LegFile(file, START_MS, START_MS + 4000)
    with pytest.raises(ae.InvalidRequestError, match=r"lasts 1 s while the times give 4 s.*pauses"):
        ae.convert(ae.Legs(wrong), tmp_path / "b.mp3")
    assert not (tmp_path / "b.mp3").exists()
    ae.convert(ae.Legs(wrong), tmp_path / "b.mp3", max_apart_s=3)


def test_legs_that_end_apart_are_a_warning(tmp_path: Path) -> None:
    legs = ae.Legs(
        written(tones(8000, 8000, 1), 8000, "WAV", "PCM_16"),
        written(tones(8000, 32_000, 1), 8000, "WAV", "PCM_16"),
    )
    report, _ = converted(legs, tmp_path)
    assert [one.code for one in report.warnings] == ["legs_end_apart"]
    assert "3 s after the caller's" in report.warnings[0].message
    assert not converted(legs, tmp_path, max_apart_s=3)[0].warnings


def test_clipping_is_counted(tmp_path: Path) -> None:
    pcm = tones(8000, 4000, 2)
    pcm[1000:1010, 1] = 1
    report, _ = converted(written(pcm, 8000, "WAV", "PCM_16"), tmp_path)
    assert [one.clipped_samples for one in report.parties] == [0, 10]
    assert report.parties[1].peak_dbfs == pytest.approx(0, abs=0.001)


MONO = written(tones(8000, 800, 1), 8000, "WAV", "PCM_16")
STEREO = written(tones(8000, 800, 2), 8000, "WAV", "PCM_16")


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        (ae.Legs(), {}, "must have a file"),
        (ae.Legs(STEREO), {}, "one channel"),
        (ae.Legs(ae.LegFile(MONO, START_MS), MONO), {}, "callee.start_time_ms"),
        (ae.Legs(ae.LegFile(MONO, None, START_MS)), {}, "caller.start_time_ms"),
        (ae.Legs([ae.LegFile(MONO), ae.LegFile(MONO)]), {}, r"caller\[1\].start_time_ms"),
        (ae.Legs(ae.LegFile(MONO, 5)), {}, "epoch milliseconds"),
        (ae.Legs(MONO), {"swap": True}, "swap"),
        (ae.Legs(MONO), {"raw": "ulaw:8000:1"}, "raw"),
        (MONO, {"swap": True}, "one channel"),
        (STEREO, {"caller_channel": "both"}, "left or right"),
        (fixture("stereo-8k"), {}, "store"),
    ],
    ids=range(11),
)
def test_what_makes_no_sense_is_refused(
    source: ae.Legs | bytes, options: dict[str, object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ae.InvalidRequestError, match=message):
        converted(source, tmp_path, **options)
    assert not (tmp_path / "out.mp3").exists()


@pytest.mark.parametrize("ending", [".wav", ".FLAC", ".opus"])
def test_outputs_are_named_as_mp3(ending: str, tmp_path: Path) -> None:
    with pytest.raises(ae.InvalidRequestError, match="the output is an MP3"):
        ae.convert(STEREO, tmp_path / f"out{ending}")


def test_legs_of_mp3_are_decoded(tmp_path: Path) -> None:
    legs = ae.Legs(fixture("mono-8k"), fixture("mono-8k"))
    _, data = converted(legs, tmp_path)
    wanted = decode_soundfile(fixture("mono-8k"))
    check_sound(data, np.repeat(wanted, 2, axis=1), 10)


def test_a_cut_off_file_leaves_no_output(tmp_path: Path) -> None:
    flac = written(tones(8000, 40_000, 1), 8000, "FLAC", "PCM_16")
    with pytest.raises(ae.MalformedAudioError, match="cut off"):
        ae.convert(flac[: len(flac) // 2], tmp_path / "out.mp3")
    assert list(tmp_path.iterdir()) == []


def test_what_ffmpeg_reads_is_converted(tmp_path: Path) -> None:
    source = by_ffmpeg(tones(16_000, 8000, 2), 16_000, "ipod", "aac")
    report, data = converted(source, tmp_path)
    check_sound(data, decoded_by_ffmpeg(source), 12)
    assert report.sources[0].kind == "an M4A file"
