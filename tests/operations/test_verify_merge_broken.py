# SPDX-License-Identifier: Apache-2.0
"""Merges that are broken on purpose do not pass, and the check that fails says what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import audioengine as ae
from audioengine.edits import Span
from audioengine.pcm.limit import Limiter
from audioengine.pcm.tone import BeepTone
from audioengine.plan.conference import ConferenceSpan
from audioengine.plan.grid import FrameRange, Grid, frames_within
from audioengine.render.timeline import TimelinePcm
from fixtures import mpeg
from tests.operations import bits
from tests.operations.helpers import Cut, lame, masking, recorded, recording, talk
from tests.operations.merging import Merged, conversation, frames_of, merge
from tests.operations.test_verify_broken import painting, signed, with_byte
from tests.operations.timelines import EPOCH, Part, part
from tests.support import arguments

Floats = npt.NDArray[np.float32]
Heard = Callable[[TimelinePcm, ConferenceSpan, Span], Floats]

# The first and the last are copied, the second is mixed with the first and then made anew.
FIRST, SECOND = part("nores-8k"), part("stereo-8k", 3001)
PARTS = (FIRST, SECOND, part("telephone-8k", 15_005))


def verified(merged: Merged, **options: Any) -> ae.MergeVerification:
    """The verdict on an output for the request that it was made for."""
    asked = [one.asked for one in merged.parts]
    options = {"workers": 1, **merged.options, **options}
    return ae.verify_merge(asked, merged.data, **arguments(ae.MergeOptions, options))


def failures(merged: Merged, **options: Any) -> set[str]:
    verdict = verified(merged, **options)
    assert verdict.passed == (not verdict.failures)
    return {check.name for check in verdict.failures}


def asked_for(merged: Merged, *parts: Part) -> Merged:
    """An output as if it had been asked for otherwise."""
    return replace(merged, parts=parts)


def with_frames(merged: Merged, frames: Sequence[mpeg.Frame]) -> Merged:
    """The output with other audio frames, its tag's checksums put right."""
    body = mpeg.join(list(frames))
    (tag, *every) = mpeg.frames(merged.data)
    assert len(body) == len(mpeg.join(every))
    lame = 4 + tag.side_length + 120
    data = tag.data[: lame + 32] + bits.tag_crc(body).to_bytes(2, "big") + tag.data[lame + 34 :]
    return replace(merged, data=signed(data, lame) + body)


def with_trim_fields(merged: Merged, more_delay: int, more_padding: int) -> Merged:
    """The output with another delay and padding, its tag's checksum put right."""
    (tag, *every) = mpeg.frames(merged.data)
    at = 4 + tag.side_length + 141
    fields = int.from_bytes(tag.data[at : at + 3], "big")
    fields = (fields >> 12) + more_delay << 12 | (fields & 0xFFF) + more_padding
    data = tag.data[:at] + fields.to_bytes(3, "big") + tag.data[at + 3 :]
    return replace(merged, data=signed(data, at - 21) + mpeg.join(every))


def merge_heard(
    patch: pytest.MonkeyPatch, parts: Sequence[Part], heard: Heard, **options: Any
) -> Merged:
    """A merge in which what is not copied sounds as `heard` says."""
    with patch.context() as patched:
        patched.setattr(TimelinePcm, "_heard", heard)
        return merge(*parts, **options)


RIGHT = TimelinePcm._heard


def test_the_outputs_that_the_others_are_made_from_pass() -> None:
    """All that is broken below is broken by what is done to it."""
    assert not failures(merge(*PARTS))
    assert not failures(merge(*PARTS, render="full"))
    assert not failures(merge(*CONFERENCE))
    assert not failures(merge(*MASKED))


# Places


@pytest.mark.parametrize("samples", [-1, 1])
def test_a_part_moved_by_a_sample(samples: int) -> None:
    """Where it is heard alone, and where others are heard too."""
    out, start = BytesIO(), Decimal(EPOCH + SECOND.start_ms) + Decimal(samples) / 8
    moved = replace(SECOND.asked, start_time_ms=start)
    report = ae.merge([FIRST.asked, moved, PARTS[2].asked], out)
    verdict = verified(Merged(PARTS, out.getvalue(), report))
    found = {check.name: check.measured for check in verdict.failures}
    assert set(found) == {"kept_sound", "mixed"}
    assert found["kept_sound"]["late_samples"] == found["mixed"]["late_samples"] == samples


@pytest.mark.parametrize("frames", [-1, 1])
def test_a_part_moved_by_a_frame(frames: int) -> None:
    """Its frames are the right ones, and in the wrong place."""
    parts = part("nores-8k"), part("stereo-8k", 7200), part("mono-8k", 16_000)
    assert not failures(merge(*parts))
    moved = merge(parts[0], replace(parts[1], start_ms=7200 + 72 * frames), parts[2])
    assert "copied_frames" in failures(asked_for(moved, *parts))


def test_parts_in_each_other_s_place() -> None:
    parts = part("nores-8k"), part("stereo-8k", 7200)
    exchanged = merge(part("stereo-8k"), part("nores-8k", 7200))
    assert failures(asked_for(exchanged, *parts)) & {"length", "copied_frames"}


def test_a_sample_dropped_at_the_end_or_a_wrong_delay() -> None:
    good = merge(*PARTS)
    for more in (-1, 1):
        assert {"length", "clock"} <= failures(with_trim_fields(good, 0, more))
    assert "clock" in failures(with_trim_fields(good, 1, -1))
    assert "clock" in failures(with_trim_fields(good, -40, 40))


# Frames


def test_one_copied_frame_changed() -> None:
    """A single bit of main data."""
    good = merge(*PARTS)
    frames = [sound.frame for sound in good.sounds]
    place = frames_of(good, PARTS[2])[20][0]
    at = len(good.sounds[place].head) + 10
    frames[place] = with_byte(frames[place], at, frames[place].data[at] ^ 0x10)
    assert "copied_frames" in failures(with_frames(good, frames))


def test_one_more_frame_copied_at_a_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    """It knows of what is said when the word is another's, or not its alone."""
    first = part("nores-8k", 0, (4000, None))
    parts = first, part("stereo-8k", 144, (4000, None))
    copied = len(frames_of(merge(*parts), first))

    def one_more(format: Any, span: Span, grid: Grid) -> FrameRange:
        frames = frames_within(format, span, grid)
        return FrameRange(max(grid.frames.first, frames.first - 2), frames.last)

    with monkeypatch.context() as patch:
        patch.setattr("audioengine.plan.layout.frames_within", one_more)
        broken = merge(*parts)
    assert len(frames_of(broken, first)) > copied
    assert "removed_audio" in failures(broken)


def test_stale_reservoir_bytes() -> None:
    """A single byte in a slot that nobody reads any more."""
    good = merge(*PARTS)
    frames, owned = [sound.frame for sound in good.sounds], bits.owned_slots(good.sounds)
    copied = {place for one in PARTS for place, _ in frames_of(good, one)}
    for place, sound in enumerate(good.sounds):
        free = np.flatnonzero(~owned[slice(*sound.slot)])
        if place not in copied and sound.adu and len(free):
            frames[place] = with_byte(sound.frame, len(sound.head) + int(free[-1]), 0x5A)
            assert failures(with_frames(good, frames)) == {"leftovers"}
            return
    pytest.fail("no slot is free")


def test_a_gap_with_noise() -> None:
    """One frame of it, which somebody says elsewhere."""
    good = merge(*PARTS)
    frames = [sound.frame for sound in good.sounds]
    gap = (12_500 * 8) // 576
    assert not good.sounds[gap].adu
    said = next(
        sound.frame
        for sound in FIRST.source.sounds[30:]
        if sound.adu
        and len(sound.data) == len(frames[gap].data)
        and not sound.frame.main_data_begin
    )
    frames[gap] = mpeg.Frame(0, said.data)
    verdict = verified(with_frames(good, frames))
    found = {check.name: check.measured for check in verdict.failures}
    assert "gaps" in found
    assert found["gaps"]["not_silent_frames"] == 1


def test_metadata_and_what_is_no_recording() -> None:
    good = merge(*PARTS)
    id3v1 = b"TAG" + b"card 4012".ljust(124, b"\0") + b"\xff"
    assert failures(replace(good, data=good.data + id3v1)) == {"metadata"}
    assert failures(replace(good, data=b"not audio" * 1000)) == {"length"}
    assert failures(replace(good, data=recording("mpeg2-16k-48k").data)) == {"length"}
    copy = merge(FIRST)
    assert not failures(copy)
    assert failures(replace(copy, data=copy.data[:-1])) == {"copy"}


def test_everything_re_encoded_though_nobody_asked() -> None:
    assert "copied_frames" in failures(merge(*PARTS, render="full"), render="smart")


# Who is heard

CONFERENCE = (
    Part(conversation(0, 8.0), 0, ((1000, 6000),)),
    Part(conversation(1, 8.0), 503, ((1000, 6000),)),
)


def test_a_silenced_conference_left_audible() -> None:
    plain = [replace(one, segments=()) for one in CONFERENCE]
    found = failures(asked_for(merge(*plain), *CONFERENCE))
    assert {"copied_frames", "silenced"} <= found
    full = merge(*plain, render="full")
    assert {"silenced", "kept_sound"} & failures(asked_for(full, *CONFERENCE))
    assert failures(asked_for(merge(*CONFERENCE), *plain)) >= {"mixed"}


def test_the_wrong_one_of_a_conference_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second, and not who started first."""

    def heard(self: TimelinePcm, stretch: ConferenceSpan, span: Span) -> Floats:
        right = RIGHT(self, stretch, span)
        return self._voice(stretch.silenced[0], span) if stretch.silenced else right

    wrong = merge_heard(monkeypatch, CONFERENCE, heard, render="full")
    assert {"kept_sound", "silenced"} <= failures(wrong)


@pytest.mark.parametrize("gain", [0.3, 0.03])
def test_a_trace_of_a_silenced_voice(monkeypatch: pytest.MonkeyPatch, gain: float) -> None:
    """30 dB down it is below the coding noise, and is found all the same."""

    def heard(self: TimelinePcm, stretch: ConferenceSpan, span: Span) -> Floats:
        mix: Floats = RIGHT(self, stretch, span).copy()
        for number in stretch.silenced:
            mix += gain * self._voice(number, span)
        return mix

    found = failures(merge_heard(monkeypatch, CONFERENCE, heard, render="full"))
    assert "silenced" in found
    assert found <= {"silenced", "kept_sound", "mixed"}


def test_what_a_trim_takes_away_is_heard() -> None:
    """Beside another, and alone."""
    parts = Part(conversation(0, 8.0), 0, cut=Cut((0, 40_000))), part("stereo-8k", 3001)
    untrimmed = merge(replace(parts[0], cut=None), parts[1], render="full")
    assert "silenced" in failures(asked_for(untrimmed, *parts))
    apart = parts[0], part("stereo-8k", 12_001)
    untrimmed = merge(replace(parts[0], cut=None), apart[1])
    assert "gaps" in failures(asked_for(untrimmed, *apart))


# How sums sound


@pytest.mark.parametrize("gain", [0.5, 0.7, 1.3])
@pytest.mark.parametrize("of_all", [True, False])
def test_a_wrong_gain_in_an_overlap(
    monkeypatch: pytest.MonkeyPatch, gain: float, of_all: bool
) -> None:
    """Of the sum, as by mixers that take the mean, or of one recording in it."""

    def heard(self: TimelinePcm, stretch: ConferenceSpan, span: Span) -> Floats:
        if len(stretch.heard) == 1:
            return RIGHT(self, stretch, span)
        mix: Floats = RIGHT(self, stretch, span) * np.float32(gain if of_all else 1)
        if not of_all:
            mix += np.float32(gain - 1) * self._voice(stretch.heard[1], span)
        return mix

    assert failures(merge_heard(monkeypatch, PARTS, heard)) == {"mixed"}


def test_one_left_out_of_an_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    def heard(self: TimelinePcm, stretch: ConferenceSpan, span: Span) -> Floats:
        return self._voice(stretch.heard[0], span)

    # What only it has of the treble is missing too.
    assert failures(merge_heard(monkeypatch, PARTS, heard)) == {"kept_sound", "mixed"}


@pytest.mark.parametrize("overlap", [True, False])
def test_channels_swapped(monkeypatch: pytest.MonkeyPatch, overlap: bool) -> None:
    """The caller is heard as the callee."""

    def heard(self: TimelinePcm, stretch: ConferenceSpan, span: Span) -> Floats:
        mix = RIGHT(self, stretch, span)
        return mix[:, ::-1] if (len(stretch.heard) > 1) == overlap else mix

    found = failures(merge_heard(monkeypatch, PARTS, heard))
    assert ("mixed" if overlap else "kept_sound") in found


def loud(number: int) -> Part:
    """A recording as loud as can be."""
    pcm = np.clip(talk(8000, 5.0 + 8 * number)[64_000 * number :] * 9, -0.95, 0.95)
    return Part(recorded(f"loud {number}", lame(pcm, 8000, 64)), number)


@pytest.mark.parametrize("gain", [None, 0.5])
def test_a_loud_sum_turned_down_too_little_or_too_much(
    monkeypatch: pytest.MonkeyPatch, gain: float | None
) -> None:
    parts = loud(0), loud(1)
    assert (np.abs(merge(*parts).model.sum) > 1.1).sum() > 300
    right = Limiter.gain

    def wrong(self: Limiter, mix: Floats, before: int, after: int) -> Floats | None:
        found = right(self, mix, before, after)
        if found is None or gain is None:
            return None
        return np.where(found < 1, found * np.float32(gain), found)

    assert not failures(merge(*parts))
    with monkeypatch.context() as patch:
        patch.setattr(Limiter, "gain", wrong)
        assert "mixed" in failures(merge(*parts))


# Masks of parts

SECRET = Part(conversation(0, 10.0), 0, cut=masking("caller", (16_000, 40_000)))
# In the mask's second half, another is heard too.
MASKED = SECRET, Part(conversation(1, 8.0), 3503)


def test_a_mask_that_is_not_there() -> None:
    plain = merge(replace(SECRET, cut=None), MASKED[1])
    assert {"removed_audio", "beep", "voice_gone"} <= failures(asked_for(plain, *MASKED))


@pytest.mark.parametrize("ms", [-5, 5])
def test_a_mask_shifted_by_5_ms(ms: int) -> None:
    shifted = masking("caller", (16_000 + 8 * ms, 40_000 + 8 * ms))
    moved = merge(replace(SECRET, cut=shifted), MASKED[1])
    assert "mask_edges" in failures(asked_for(moved, *MASKED))


def test_the_wrong_party_masked() -> None:
    wrong = merge(replace(SECRET, cut=masking("callee", (16_000, 40_000))), MASKED[1])
    assert {"other_party", "beep", "voice_gone"} <= failures(asked_for(wrong, *MASKED))


@pytest.mark.parametrize("gain", [1.0, 0.1, 0.03])
def test_the_beep_over_the_voice(monkeypatch: pytest.MonkeyPatch, gain: float) -> None:
    """Where it alone is heard, and in a mix."""
    for other in (MASKED[1], replace(MASKED[1], start_ms=3)):
        with monkeypatch.context() as patch:
            patch.setattr(BeepTone, "paint", painting(lambda voice, _: gain * voice))
            patch.setattr("audioengine.render.tracks._MIN_FILL_FRAMES", 1 << 30)
            broken = merge(SECRET, other)
        assert "voice_gone" in failures(broken)


def test_a_mask_of_a_conference_on_one_recording_only() -> None:
    """`mask_scope` is part of the request."""
    first = part("stereo-8k", -1000, (1500, 4000))
    secret = Part(recording("nores-8k"), 0, ((1500, 4000),), cut=masking("both", (16_000, 40_000)))
    wide = merge(first, secret, mask_scope="conference")
    assert not failures(wide)
    narrow = merge(first, secret)
    assert not failures(narrow)
    assert {"beep", "voice_gone"} <= failures(narrow, mask_scope="conference")


def test_another_beep_than_asked_for() -> None:
    good = merge(*MASKED)
    for beep in (ae.Beep(1010), ae.Beep(level_dbfs=-22), ae.Beep(fill="silence")):
        assert "beep" in failures(good, beep=beep)
