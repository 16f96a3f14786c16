# SPDX-License-Identifier: Apache-2.0
"""Traces of what was removed that somebody has hidden do not pass; nor what is kept, otherwise."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pytest

import audioengine as ae
from audioengine.edits import Span
from audioengine.pcm.tone import BeepTone
from audioengine.render.edited import EditedPcm
from audioengine.render.timeline import TimelinePcm
from fixtures import mpeg
from tests.operations.helpers import Cut, Recording, Result, masking, recording, store
from tests.operations.merging import merge
from tests.operations.test_verify_broken import (
    failures,
    good,
    rates,
    signed,
    store_painted,
    talk,
    with_byte,
    with_data,
    with_frames,
    with_tag_fields,
)
from tests.operations.test_verify_merge_broken import PARTS
from tests.operations.test_verify_merge_broken import failures as merge_failures

Wave: TypeAlias = npt.NDArray[np.float64]
Channel: TypeAlias = Callable[[EditedPcm, int, Span, npt.NDArray[np.float32]], npt.NDArray[Any]]


def store_edited(
    patch: pytest.MonkeyPatch, source: Recording, cut: Cut, wrong: Channel, **options: Any
) -> Result:
    """An output made of other samples than `store` would encode: what `wrong` makes of those."""
    right = EditedPcm.channel

    def channel(self: EditedPcm, number: int, span: Span) -> npt.NDArray[np.float32]:
        return wrong(self, number, span, right(self, number, span)).astype(np.float32)

    with patch.context() as patched:
        patched.setattr(EditedPcm, "channel", channel)
        patched.setattr("audioengine.render.tracks._MIN_FILL_FRAMES", 1 << 30)
        return store(source, cut, **options)


def cut_of(rate: int) -> Cut:
    return masking("caller", (4 * rate, 7 * rate), trim=(rate, 13 * rate))


# Where nobody plays it


@rates
@pytest.mark.parametrize("tiny", [False, True])
def test_trimmed_audio_in_what_the_tag_hides(
    monkeypatch: pytest.MonkeyPatch, rate: int, kbps: int, tiny: bool
) -> None:
    """Before the first sample and after the last, on the source's frames and on others."""

    def untrimmed(
        pcm: EditedPcm, number: int, span: Span, edited: npt.NDArray[np.float32]
    ) -> npt.NDArray[Any]:
        kept = pcm._plan.kept
        out: npt.NDArray[Any] = pcm.unedited(span)[:, number].copy()
        inside = slice(max(0, kept.start - span.start), max(0, kept.end - span.start))
        out[inside] = edited[inside]
        return out

    cut = Cut((5 * rate, 5 * rate + rate // 50)) if tiny else Cut((rate, 13 * rate))
    source = talk(rate, kbps)
    assert not failures(store(source, cut))
    found = failures(store_edited(monkeypatch, source, cut, untrimmed))
    # A frame that is made of the same samples may come out as it was.
    assert "hidden" in found
    assert found <= {"hidden", "removed_audio"}


# Where it was not said


def moved(gain: float) -> Channel:
    """The caller's masked voice on the callee's channel."""

    def wrong(
        pcm: EditedPcm, number: int, span: Span, edited: npt.NDArray[np.float32]
    ) -> npt.NDArray[Any]:
        out: npt.NDArray[Any] = edited.copy()
        for mask in pcm._plan.masked[0] if number == 1 else ():
            part = mask.clipped(span)
            cut = slice(part.start - span.start, part.end - span.start)
            if part.length:
                out[cut] += np.float32(gain) * pcm.unedited(span)[cut, 0]
        return out

    return wrong


@rates
@pytest.mark.parametrize("gain", [1.0, 0.1])
def test_the_voice_on_the_other_channel(
    monkeypatch: pytest.MonkeyPatch, rate: int, kbps: int, gain: float
) -> None:
    """Where all is made anew."""
    source = talk(rate, kbps)
    broken = store_edited(monkeypatch, source, cut_of(rate), moved(gain), render="full")
    assert "voice_gone" in failures(broken, render="full")


def test_the_voice_on_the_other_channel_of_mid_side_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the other party is made anew because the source codes both at once."""
    source = recording("midside-44k")
    cut = masking("caller", (source.samples // 3, source.samples * 2 // 3))
    assert not failures(store(source, cut))
    assert "voice_gone" in failures(store_edited(monkeypatch, source, cut, moved(0.1)))


@rates
def test_somebody_speaks_where_the_source_is_silent(
    monkeypatch: pytest.MonkeyPatch, rate: int, kbps: int
) -> None:
    """In a pause of kept audio."""
    source = talk(rate, kbps)
    cut = Cut((rate // 2, 13 * rate))
    quiet = source.decoded("miniaudio")[:, 0].astype(np.float64) / 32768
    blocks = quiet[: len(quiet) // (rate // 5) * (rate // 5)].reshape(-1, rate // 5)
    level = np.sqrt((blocks**2).mean(axis=1))
    pause = int(np.argmin(level[10:50]) + 10) * (rate // 5) + source.start
    noise = np.random.default_rng(3).standard_normal(rate // 5) * 0.5

    def wrong(
        _: EditedPcm, number: int, span: Span, edited: npt.NDArray[np.float32]
    ) -> npt.NDArray[Any]:
        part = Span(pause, pause + rate // 5).clipped(span)
        out: npt.NDArray[Any] = edited.copy()
        if number == 0 and part.length:
            out[part.start - span.start : part.end - span.start] += noise[
                part.start - pause : part.end - pause
            ]
        return out

    broken = store_edited(monkeypatch, source, cut, wrong, render="full")
    assert failures(broken, render="full") == {"kept_sound"}


# Under the beep, but not as it was said


@rates
@pytest.mark.parametrize("ms", [5, 10])
def test_the_voice_left_at_the_ends_of_a_mask(
    monkeypatch: pytest.MonkeyPatch, rate: int, kbps: int, ms: int
) -> None:
    """Under the beep's first and last milliseconds."""
    source = talk(rate, kbps)

    def wrong(
        pcm: EditedPcm, number: int, span: Span, edited: npt.NDArray[np.float32]
    ) -> npt.NDArray[Any]:
        out: npt.NDArray[Any] = edited.copy()
        length = rate * ms // 1000
        for mask in pcm._plan.masked[number]:
            for end in (
                Span(mask.start, mask.start + length),
                Span(mask.end - length, mask.end),
            ):
                part = end.clipped(span)
                cut = slice(part.start - span.start, part.end - span.start)
                if part.length:
                    out[cut] += pcm.unedited(span)[cut, number]
        return out

    assert failures(store_edited(monkeypatch, source, cut_of(rate), wrong)) == {"mask_edges"}


@rates
@pytest.mark.parametrize("late_ms", [60, 700])
def test_a_trace_that_is_late(
    monkeypatch: pytest.MonkeyPatch, rate: int, kbps: int, late_ms: int
) -> None:
    """40 dB below the beep."""

    def late(voice: Wave, tone: BeepTone) -> Wave:
        level = np.sqrt(np.mean(voice**2)) or 1.0
        return np.roll(voice, rate * late_ms // 1000) * (0.007 * tone.amplitude / level)

    assert "voice_gone" in failures(store_painted(monkeypatch, late, rate, kbps))


@rates
def test_a_voice_that_is_turned_round(
    monkeypatch: pytest.MonkeyPatch, rate: int, kbps: int
) -> None:
    """It has neither waveform nor levels of the voice, and is louder than coding noise."""

    def reversed_voice(voice: Wave, tone: BeepTone) -> Wave:
        level = np.sqrt(np.mean(voice**2)) or 1.0
        return voice[::-1] * (0.02 * tone.amplitude / level)

    assert "beep" in failures(store_painted(monkeypatch, reversed_voice, rate, kbps))


# What is kept, at another level


@rates
@pytest.mark.parametrize("gain", [0.8, 1.25])
def test_a_party_at_another_level(
    monkeypatch: pytest.MonkeyPatch, rate: int, kbps: int, gain: float
) -> None:
    def wrong(
        _: EditedPcm, number: int, _span: Span, edited: npt.NDArray[np.float32]
    ) -> npt.NDArray[Any]:
        out: npt.NDArray[Any] = edited * np.float32(gain if number else 1)
        return out

    broken = store_edited(monkeypatch, talk(rate, kbps), cut_of(rate), wrong, render="full")
    assert failures(broken, render="full") == {"kept_sound"}


@pytest.mark.parametrize("gain", [0.8, 1.25])
def test_a_recording_at_another_level_in_a_mix(
    monkeypatch: pytest.MonkeyPatch, gain: float
) -> None:
    right = TimelinePcm._voice

    def voice(self: TimelinePcm, number: int, span: Span) -> npt.NDArray[np.float32]:
        out: npt.NDArray[np.float32] = right(self, number, span)
        return out * np.float32(gain) if number == 1 else out

    with monkeypatch.context() as patch:
        patch.setattr(TimelinePcm, "_voice", voice)
        broken = merge(*PARTS)
    assert "mixed" in merge_failures(broken)


# What bytes may say beside the sound


@pytest.mark.parametrize("bit", [0, 1, 2, 3])
def test_flags_of_frames_that_are_made(bit: int) -> None:
    """Emphasis, original and copyright are those of the source in all of them."""
    result = good()
    frames = [sound.frame for sound in result.sounds]
    assert result.first_frame is not None
    remade = sorted(result.remade(0) & result.remade(1)) or sorted(result.remade(0))
    place = remade[len(remade) // 2] - result.first_frame
    frames[place] = with_byte(frames[place], 3, frames[place].data[3] ^ 1 << bit)
    assert "leftovers" in failures(with_frames(result, frames))
    tag, lame = bytearray(result.every[0].data), 4 + result.every[0].side_length + 120
    tag[3] ^= 1 << bit
    assert failures(with_data(result, signed(bytes(tag), lame) + mpeg.join(result.every[1:]))) == {
        "tag"
    }


def test_an_encoder_s_name_that_nobody_gave() -> None:
    """There is room for a card's last digits."""
    assert failures(with_tag_fields(good(), 4, b"-4012")) == {"tag"}


# What is right, though it seemed not to be


def test_a_silence_shorter_than_its_coding_can_show() -> None:
    """Low bitrates smooth over 5 ms."""
    source = recording("tag-version-zero").data
    mask = {"callee": [ae.Interval(2.326897106215566, 2.332323150717133)]}
    assert_right(source, ae.Modification(mask=mask), ae.Beep(fill="silence"))


def test_a_burst_of_noise_while_one_word_is_said() -> None:
    """Of one event each, that they come together says nothing."""
    source = edited(
        recording("lavf-16k").data,
        ae.Modification(trim=ae.Interval(0.8232238995133772, 6.0)),
        ae.Beep(fill="silence"),
    )
    modification = ae.Modification(
        trim=ae.Interval(0.2999047243971796, 3.47759340951444),
        mask={
            "caller": [
                ae.Interval(0.21789120445076904, 1.4018980132978962),
                ae.Interval(1.8605769504712206, 5.17675),
            ],
            "both": [ae.Interval(2.4675540847688118, 3.3714941198070814)],
        },
        guard_ms=(10, 40),
    )
    beep = ae.Beep(339.02475438941053, -25.073175376194826)
    assert_right(source, modification, beep, caller_channel="right")


def edited(source: bytes, modification: ae.Modification, beep: ae.Beep, **options: Any) -> bytes:
    out = BytesIO()
    ae.store(source, out, modification, ae.StoreOptions(beep=beep, **options))
    return out.getvalue()


def assert_right(
    source: bytes, modification: ae.Modification, beep: ae.Beep, **options: Any
) -> None:
    output = edited(source, modification, beep, **options)
    verdict = ae.verify(
        source, output, modification, ae.StoreOptions(beep=beep, **options), workers=1
    )
    assert verdict.passed, verdict.failures
