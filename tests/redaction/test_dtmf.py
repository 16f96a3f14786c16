# SPDX-License-Identifier: Apache-2.0
"""Keys of a telephone: found after MP3 and under voices, and nowhere else."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

import audioengine as ae
from audioengine.edits import Span
from audioengine.pcm.tone import BeepTone
from audioengine.redaction.dtmf import (
    KEYS,
    LONGEST_ECHO_S,
    PAUSE_S,
    Frames,
    Key,
    KeyString,
    ToneScan,
    echo_lags,
    keys_of,
    strings,
)
from fixtures.tones import LEVEL, VOICES, covered, key_tone, keyed, voice

TELEPHONE = "0123456789*#"
GUARD_S = 0.06


def after_mp3(
    samples: npt.NDArray[np.floating], rate_hz: int, kbps: int
) -> npt.NDArray[np.float32]:
    """The samples on the left of a stereo MP3, a voice on its right."""
    other = np.resize(voice("callee", rate_hz), len(samples))
    out = BytesIO()
    ae.encode(ae.Audio(samples, other, rate_hz), out, kbps, workers=1)
    out.seek(0)
    decoded: npt.NDArray[np.float32] = soundfile.read(out, dtype="float32")[0][:, 0]
    return decoded


def spans(found: tuple[KeyString, ...]) -> list[tuple[float, float]]:
    return [(one.start_s - GUARD_S, one.end_s + GUARD_S) for one in found]


@pytest.mark.parametrize(
    ("rate_hz", "kbps"),
    [(8000, 16), (8000, 64), (11025, 16), (16000, 16), (22050, 32), (32000, 48), (44100, 64)],
)
@pytest.mark.parametrize(("twist_db", "off"), [(0, 0), (6, 0.015), (-6, 0.015)])
def test_every_key_is_found_after_mp3(rate_hz: int, kbps: int, twist_db: float, off: float) -> None:
    samples, places = keyed(
        TELEPHONE, rate_hz, ms=(40, 60), twist_db=twist_db, off=off, seed=rate_hz + kbps
    )
    found = strings(keys_of(after_mp3(samples, rate_hz, kbps), rate_hz))
    assert [[key.key for key in one.keys] for one in found] == [list(TELEPHONE)]
    assert all(covered(places, spans(found)))
    for key, place in zip(found[0].keys, places, strict=True):
        assert abs(key.start_s - place.start_s) < 0.02
        assert abs(key.end_s - place.end_s) < 0.02


@pytest.mark.parametrize(("rate_hz", "kbps"), [(8000, 16), (16000, 48)])
def test_keys_under_a_voice_as_loud_are_covered(rate_hz: int, kbps: int) -> None:
    heard = []
    for seed, (twist_db, off) in enumerate(((0, 0.0), (6, 0.015), (-6, 0.015)) * 2):
        samples, places = keyed(TELEPHONE, rate_hz, ms=40, twist_db=twist_db, off=off, seed=seed)
        speech = np.roll(voice("caller", rate_hz), -seed * 4 * rate_hz)[: len(samples)]
        decoded = after_mp3(samples + speech, rate_hz, kbps)
        heard += covered(places, spans(strings(keys_of(decoded, rate_hz))))
    assert np.mean(heard) >= 0.98, f"{heard.count(False)} of {len(heard)} keys are not covered"


@pytest.mark.parametrize("party", ["caller", "callee", "prompts"])
def test_voices_have_no_keys(party: str) -> None:
    samples, rate_hz = soundfile.read(VOICES / f"{party}.ogg", dtype="float32")
    assert strings(keys_of(samples, rate_hz), 1) == ()


@settings(max_examples=30)
@given(
    st.sampled_from((8000, 11025, 16000, 44100)),
    st.integers(200, 2790),
    st.integers(-60, -3),
    st.integers(40, 1500),
)
def test_no_beep_of_ours_is_a_key(rate_hz: int, hertz: int, dbfs: int, ms: int) -> None:
    mask = Span(rate_hz // 2, rate_hz // 2 + ms * rate_hz // 1000)
    tone = BeepTone(ae.Beep(hertz, dbfs), rate_hz)
    samples = np.zeros(mask.end + rate_hz // 2, dtype=np.float32)
    samples[mask.start : mask.end] = tone.sound(mask, mask.start, mask.end)
    assert keys_of(samples, rate_hz) == ()


@pytest.mark.parametrize("pair", [(350, 440), (440, 480), (480, 620), (425, 425), (1400, 2060)])
def test_tones_of_networks_are_no_keys(pair: tuple[int, int]) -> None:
    """Dial tone, ringing, busy, and a fax's; of North America and Europe."""
    time = np.arange(4 * 8000) / 8000
    tone = sum(LEVEL * np.sin(2 * np.pi * hertz * time) for hertz in pair)
    cadence = tone * (np.floor(time / 0.25) % 2)
    assert keys_of(cadence.astype(np.float32), 8000) == ()


@pytest.mark.parametrize("off", [(0.035, 0), (0, 0.035), (-0.035, 0), (0, -0.035)])
def test_frequencies_that_receivers_refuse_are_no_keys(off: tuple[float, float]) -> None:
    samples = np.concatenate(
        [np.pad(key_tone(key, 8000, 100, off=off), 800) for key in "1590"]
    ).astype(np.float32)
    assert not any(key.clear for key in keys_of(samples, 8000))


@settings(max_examples=20)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=12))
def test_the_size_of_blocks_makes_no_difference(sizes: list[int]) -> None:
    samples, _ = keyed("0123", 8000, ms=(40, 300), seed=3)
    pcm = samples.astype(np.float32)
    frames = Frames(8000)
    scan, first, count = ToneScan(frames.hop_s), 0, frames.count(len(pcm))
    while first < count:
        last = min(count, first + sizes[first % len(sizes)])
        begin, end = frames.span(first, last)
        block = np.pad(pcm[max(0, begin) : end], (max(0, -begin), max(0, end - len(pcm))))
        scan.add(frames.of(block))
        first = last
    keys, whole = scan.finish(), keys_of(pcm, 8000)
    assert [times_of(one) for one in keys] == [times_of(one) for one in whole]
    # The order of sums in a product of matrices hangs on its size.
    assert [one.row_db for one in keys] == pytest.approx([one.row_db for one in whole], abs=1e-3)


def times_of(one: Key) -> tuple[str, float, float, bool]:
    return one.key, one.start_s, one.end_s, one.clear


def key(
    at: float, name: str = "5", level: float = -20, *, share: float = 0.9, clear: bool = True
) -> Key:
    return Key(name, at, at + 0.1, level, level, share, clear)


def test_a_pause_parts_strings() -> None:
    keys = [key(at) for at in (1, 2, 3, 3.1 + PAUSE_S + 0.1, 7.5, 8)]
    assert [one.keys for one in strings(keys)] == [tuple(keys[:3]), tuple(keys[3:])]


def test_keys_that_no_telephone_has_make_no_string() -> None:
    keys = [key(at, name) for at, name in enumerate("ABCD")]
    assert strings(keys) == ()
    assert strings([*keys[:2], key(2.0), key(2.5)]) != ()


def test_weak_keys_belong_to_clear_ones_as_loud() -> None:
    clear = [key(1), key(1.5)]
    assert strings([*clear, key(2, clear=False)]) != ()
    assert strings([*clear, key(2, level=-26, clear=False)]) == ()
    assert strings([key(at, clear=False) for at in (1, 2, 3)]) == ()


def test_one_key_must_be_heard_nearly_alone() -> None:
    crowded = [key(at, share=0.7) for at in (1, 2, 3)]
    assert strings(crowded) == ()
    assert strings([*crowded, key(4)]) != ()


def test_notes_that_fade_are_no_clear_keys() -> None:
    tone = key_tone("5", 8000, 200)
    steady = np.pad(tone, 800).astype(np.float32)
    fading = np.pad(tone * np.exp(-np.arange(len(tone)) / 400), 800).astype(np.float32)
    assert [one.clear for one in keys_of(steady, 8000)] == [True]
    assert not any(one.clear for one in keys_of(fading, 8000))


def test_an_echo_is_heard_and_a_voice_is_none() -> None:
    samples, places = keyed("80512", 8000, seed=5)
    string = strings(keys_of(samples.astype(np.float32), 8000))[0]
    window = slice(round(string.start_s * 8000), round((string.end_s + LONGEST_ECHO_S) * 8000))
    late = np.roll(samples, 960) * 0.05
    other = np.roll(voice("callee", 8000), 4000)[: len(samples)]
    lags = echo_lags(string, late[window].astype(np.float32), 8000)
    assert lags is not None
    assert lags[0] - 0.01 < 0.12 < lags[1] + 0.01
    assert lags[1] - lags[0] < 0.1
    assert echo_lags(string, (late + 0.05 * other)[window].astype(np.float32), 8000) is not None
    assert echo_lags(string, other[window].astype(np.float32), 8000) is None
    assert echo_lags(string, np.zeros(window.stop - window.start, np.float32), 8000) is None
    assert len(places) == 5


def test_nothing_shows_a_digit_by_accident() -> None:
    found = strings([key(at, "7") for at in (1, 2, 3)])
    assert "'7'" not in repr(found) + str(found[0].keys[0])
    assert KEYS.count("7") == 1
