# SPDX-License-Identifier: Apache-2.0
"""Outputs that are broken on purpose do not pass, and the check that fails says what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import audioengine as ae
from audioengine.edits import Span
from audioengine.pcm.decode import decode_all
from audioengine.pcm.tone import BeepTone
from audioengine.plan import grid
from fixtures import mpeg
from tests.operations import bits
from tests.operations.helpers import (
    Cut,
    Recording,
    Result,
    call,
    masking,
    recorded,
    recording,
    store,
)
from tests.support import arguments

Paint = Callable[[BeepTone, npt.NDArray[np.float32], int, Iterable[Span]], None]

RATES = ((8000, 32), pytest.param(16_000, 48, marks=pytest.mark.slow), (44_100, 128))
rates = pytest.mark.parametrize(("rate", "kbps"), RATES)


def verified(result: Result, **options: Any) -> ae.Verification:
    """The verdict on an output for the request that it was made for."""
    source = result.source
    modification = result.cut.modification(source.rate)
    return ae.verify(source.data, result.data, modification, **arguments(ae.StoreOptions, options))


def failures(result: Result, **options: Any) -> set[str]:
    verdict = verified(result, **options)
    assert verdict.passed == (not verdict.failures)
    return {check.name for check in verdict.failures}


def talk(rate: int, kbps: int) -> Recording:
    return call(rate, 14, kbps)


def good(rate: int = 16_000, kbps: int = 48, party: str = "caller") -> Result:
    """An output that keeps its promises: a trim, and a mask of 3 s over speech."""
    source = talk(rate, kbps)
    cut = masking(party, (4 * rate, 7 * rate), trim=(rate, 13 * rate))
    return store(source, cut)


def with_data(result: Result, data: bytes) -> Result:
    return replace(result, data=data)


def with_frames(result: Result, frames: Sequence[mpeg.Frame]) -> Result:
    """The output with other audio frames, its tag's checksums and sizes put right."""
    body = mpeg.join(list(frames))
    assert len(body) == len(mpeg.join(result.every[1:]))
    tag = bytearray(result.every[0].data)
    lame = 4 + result.every[0].side_length + 120
    tag[lame + 32 : lame + 34] = bits.tag_crc(body).to_bytes(2, "big")
    return with_data(result, signed(bytes(tag), lame) + body)


def with_tag_fields(result: Result, at: int, fields: bytes) -> Result:
    """The output with bytes of its LAME extension replaced, its checksum put right."""
    tag = bytearray(result.every[0].data)
    lame = 4 + result.every[0].side_length + 120
    tag[lame + at : lame + at + len(fields)] = fields
    return with_data(result, signed(bytes(tag), lame) + mpeg.join(result.every[1:]))


def signed(tag: bytes, lame: int) -> bytes:
    crc = bits.tag_crc(tag[: lame + 34]).to_bytes(2, "big")
    return tag[: lame + 34] + crc + tag[lame + 36 :]


def with_byte(frame: mpeg.Frame, at: int, value: int) -> mpeg.Frame:
    data = bytearray(frame.data)
    data[at] = value
    return mpeg.Frame(frame.offset, bytes(data))


@rates
@pytest.mark.parametrize("party", ["caller", "callee", "both"])
def test_the_output_that_the_others_are_made_from_passes(rate: int, kbps: int, party: str) -> None:
    """All that is broken below is broken by what is done to it."""
    assert not failures(good(rate, kbps, party))


# What the request says and the output does not do


@rates
@pytest.mark.parametrize("ms", [-5, 5])
@pytest.mark.parametrize("fill", ["beep", "silence"])
def test_a_mask_shifted_by_5_ms(rate: int, kbps: int, ms: int, fill: Any) -> None:
    """A thousandth of a second of a voice is too much; at 1000 Hz the phase does not tell."""
    beep = ae.Beep(fill=fill)
    source, shift = talk(rate, kbps), rate * ms // 1000
    cut = masking("caller", (4 * rate, 7 * rate))
    moved = store(source, masking("caller", (4 * rate + shift, 7 * rate + shift)), beep=beep)
    found = failures(replace(moved, cut=cut), beep=beep)
    assert "mask_edges" in found


@rates
def test_the_wrong_channel_masked(rate: int, kbps: int) -> None:
    """The other party is changed, and the voice is all there."""
    wrong = good(rate, kbps, "callee")
    found = failures(replace(wrong, cut=masking("caller", *wrong.cut.callee, trim=wrong.cut.trim)))
    assert {"other_party", "removed_audio", "beep", "voice_gone"} <= found


def test_another_beep_than_asked_for() -> None:
    """Of another frequency, another level, or none at all."""
    result = good()
    for beep in (ae.Beep(1010), ae.Beep(level_dbfs=-21), ae.Beep(fill="silence")):
        assert failures(result, beep=beep) == {"beep"}


def test_a_mask_that_is_not_there() -> None:
    """Nor is a mask where none was asked for."""
    result = good()
    plain = store(result.source, Cut(result.cut.trim))
    assert {"removed_audio", "beep", "voice_gone"} <= failures(replace(plain, cut=result.cut))
    assert "copied_frames" in failures(replace(result, cut=plain.cut))


def test_everything_re_encoded_though_nobody_asked() -> None:
    """Untouched means untouched."""
    result = good()
    full = store(result.source, result.cut, render="full")
    assert "copied_frames" in failures(full)
    assert not failures(full, render="full")


# What is left of the source


@pytest.mark.parametrize("name", ["stereo-8k", "mpeg2-16k-48k", "stereo-44k", "mono-8k"])
@pytest.mark.parametrize("planner_is_right", [True, False])
def test_one_frame_less_re_encoded_before_a_mask(
    monkeypatch: pytest.MonkeyPatch, name: str, planner_is_right: bool
) -> None:
    """Also where the planner that verification uses has the same fault."""
    source = recording(name)
    right = grid.frames_touched

    def one_less(format: Any, changed: Span, on: grid.Grid) -> grid.FrameRange:
        frames = right(format, changed, on)
        return grid.FrameRange(min(frames.first + (changed.start > 0), frames.last), frames.last)

    caught = 0
    for number in range(4):
        # The mask begins where the first frame's window is wide open.
        start = (len(source.frames) // 3 + number) * source.spf - source.start
        cut = masking("both", (start, start + 6 * source.spf))
        with monkeypatch.context() as patch:
            patch.setattr("audioengine.plan.store.frames_touched", one_less)
            broken = store(source, cut)
            first = (source.start + start - source.ext) // source.spf + 1
            if not planner_is_right:
                found = failures(broken)
        if planner_is_right:
            found = failures(broken)
        if first not in broken.remade(0):
            assert "removed_audio" in found
            caught += 1
    assert caught


@rates
def test_stale_reservoir_bytes(rate: int, kbps: int) -> None:
    """A single byte of the source in a slot that nobody reads any more."""
    result = good(rate, kbps)
    originals = {frame.data for frame in result.source.frames}
    owned = bits.owned_slots(result.sounds)
    frames = [sound.frame for sound in result.sounds]
    for place, sound in enumerate(result.sounds):
        free = np.flatnonzero(~owned[slice(*sound.slot)])
        if sound.data not in originals and len(free):
            at = len(sound.head) + int(free[-1])
            broken = list(frames)
            broken[place] = with_byte(sound.frame, at, 0x5A)
            assert failures(with_frames(result, broken)) == {"leftovers"}
            return
    pytest.fail("no slot is free")


def stuffed(source: Recording) -> Recording:
    """With bytes of 0xAA, as LAME writes them, wherever no main data is."""
    frames = []
    owned = bits.owned_slots(source.sounds)
    for sound in source.sounds:
        data = bytearray(sound.data)
        for at in np.flatnonzero(~owned[slice(*sound.slot)]):
            data[len(sound.head) + int(at)] = 0xAA
        frames.append(mpeg.Frame(0, bytes(data)))
    return recorded(f"{source.name}, stuffed", mpeg.join(frames))


def test_stuffing_of_the_source_in_slots_that_are_rewritten() -> None:
    """What was never main data may stay beside what is laid there anew; nothing else may."""
    source = stuffed(recording("nores-16k"))
    start = source.samples // 4
    result = store(source, masking("caller", (start, start + 5 * source.spf)))
    assert result.first_frame is not None
    tried = 0
    for place, sound in enumerate(result.sounds):
        own = place + result.first_frame
        was = source.frames[own].data if 0 <= own < len(source.frames) else b""
        same = sound.head == was[: len(sound.head)] and sound.adu == source.sounds[own].adu
        emptied = [
            at
            for at, (a, b) in enumerate(zip(sound.data, was, strict=False))
            if not a and b == 0xAA
        ]
        if not same or len(emptied) < 2 or emptied[0] < len(sound.head):
            continue
        for value, found in ((0xAA, set()), (0xAB, {"leftovers"})):
            frames = [one.frame for one in result.sounds]
            frames[place] = with_byte(sound.frame, emptied[0], value)
            assert failures(with_frames(result, frames)) == found
        tried += 1
    assert tried


def test_all_slots_of_the_source_left_as_they_were() -> None:
    """What a splice leaves that writes main data only: the removed frames' own, beside it."""
    source = talk(8000, 32)
    cut = masking("both", (32_000, 56_000))
    result = store(source, cut)
    copied = {frame.data for frame in source.frames}
    frames = [sound.frame for sound in result.sounds]
    assert result.first_frame is not None
    owned = bits.owned_slots(result.sounds)
    stale = 0
    for place, sound in enumerate(result.sounds):
        original = source.frames[result.first_frame + place]
        if sound.data in copied or len(original.data) != len(sound.data):
            continue
        data = bytearray(sound.data)
        for i in np.flatnonzero(~owned[slice(*sound.slot)]).tolist():
            data[len(sound.head) + i] = original.data[len(sound.head) + i]
            stale += data[len(sound.head) + i] != 0
        frames[place] = mpeg.Frame(0, bytes(data))
    assert stale > 100
    verdict = verified(with_frames(result, frames))
    assert [check.name for check in verdict.failures] == ["leftovers"]
    assert verdict.failures[0].measured["stale_bytes"] == stale


def painting(add: Callable[[npt.NDArray[np.float64], BeepTone], npt.NDArray[np.float64]]) -> Paint:
    """A painter of masks that lets something of the voice through."""

    def paint(
        self: BeepTone, pcm: npt.NDArray[np.float32], first: int, masks: Iterable[Span]
    ) -> None:
        for mask in masks:
            start, end = max(mask.start, first), min(mask.end, first + len(pcm))
            if start < end:
                part = slice(start - first, end - first)
                voice = pcm[part].astype(np.float64)
                pcm[part] = self.sound(mask, start, end) + add(voice, self)

    return paint


def store_painted(
    patch: pytest.MonkeyPatch,
    add: Callable[[npt.NDArray[np.float64], BeepTone], npt.NDArray[np.float64]],
    rate: int,
    kbps: int,
) -> Result:
    with patch.context() as patched:
        patched.setattr(BeepTone, "paint", painting(add))
        patched.setattr("audioengine.render.tracks._MIN_FILL_FRAMES", 1 << 30)
        return good(rate, kbps)


@rates
@pytest.mark.parametrize("gain", [1.0, 0.1, 0.01])
def test_the_beep_over_the_voice(
    monkeypatch: pytest.MonkeyPatch, rate: int, kbps: int, gain: float
) -> None:
    """At full level, and 20 and 40 dB down."""
    mixed = store_painted(monkeypatch, lambda voice, _: gain * voice, rate, kbps)
    found = failures(mixed)
    assert "voice_gone" in found
    assert found <= {"voice_gone", "beep", "mask_edges"}


@rates
@pytest.mark.parametrize("under_the_beep_db", [20, 30, 40])
def test_a_noise_vocoded_trace_of_the_voice_under_the_beep(
    monkeypatch: pytest.MonkeyPatch, rate: int, kbps: int, under_the_beep_db: int
) -> None:
    """It has the voice's levels and nothing of its waveform."""
    random = np.random.default_rng(9)

    def vocoded(voice: npt.NDArray[np.float64], tone: BeepTone) -> npt.NDArray[np.float64]:
        width = tone.rate_hz // 50
        level = np.sqrt(np.convolve(voice**2, np.ones(width) / width, "same"))
        noise = random.standard_normal(len(voice)) * level
        scale = np.sqrt(np.mean(noise**2)) or 1.0
        traced: npt.NDArray[np.float64] = noise * (
            tone.amplitude / np.sqrt(2) * 10 ** (-under_the_beep_db / 20) / scale
        )
        return traced

    assert "voice_gone" in failures(store_painted(monkeypatch, vocoded, rate, kbps))


def test_metadata_of_the_source() -> None:
    """It may name what was removed."""
    result = good()
    id3v2 = b"ID3\x03\0\0\0\0\0\x14" + b"TIT2\0\0\0\x0a\0\0\0card 4012"
    id3v1 = b"TAG" + b"card 4012".ljust(124, b"\0") + b"\xff"
    assert "metadata" in failures(with_data(result, id3v2 + result.data))
    assert failures(with_data(result, result.data + id3v1)) == {"metadata"}
    assert "metadata" in failures(with_data(result, result.data + b"card 4012"))


@pytest.mark.parametrize(
    ("field", "at", "value"),
    [
        ("peak", 11, b"\x00\x40\x00\x00"),
        ("ReplayGain", 15, b"\x2c\x11"),
        ("low-pass", 10, b"\x27"),
        ("preset", 26, b"\x01\xf4"),
    ],
)
def test_what_the_source_s_tag_says_of_the_whole(field: str, at: int, value: bytes) -> None:
    """ReplayGain and peak describe removed audio too."""
    verdict = verified(with_tag_fields(good(), at, value))
    assert [check.name for check in verdict.failures] == ["tag"]
    assert field in verdict.failures[0].message


# What was to stay


@rates
def test_one_copied_frame_changed(rate: int, kbps: int) -> None:
    """A single bit of main data, far from all edits."""
    result = good(rate, kbps)
    frames = [sound.frame for sound in result.sounds]
    place = next(
        i for i in range(len(frames) * 3 // 4, len(frames)) if len(result.sounds[i].adu or b"") > 40
    )
    at = len(frames[place].data) - 20
    frames[place] = with_byte(frames[place], at, frames[place].data[at] ^ 0x10)
    found = failures(with_frames(result, frames))
    assert "copied_frames" in found
    assert not found & {"tag", "clock", "metadata", "beep"}


def test_a_copied_frame_s_header_changed() -> None:
    """Even where nobody hears it."""
    result = good()
    frames = [sound.frame for sound in result.sounds]
    place = len(frames) * 3 // 4
    frames[place] = with_byte(frames[place], 3, frames[place].data[3] ^ 0x04)
    assert "copied_frames" in failures(with_frames(result, frames))


# Length and clock


@pytest.mark.parametrize("more", [-1, 1])
def test_a_sample_dropped_or_added_at_the_end(more: int) -> None:
    """By the tag's padding."""
    result = good()
    delay, padding = result.tag_fields
    fields = (delay << 12 | padding - more).to_bytes(3, "big")
    assert {"length", "clock"} <= failures(with_tag_fields(result, 21, fields))


@rates
def test_a_sample_dropped_inside(monkeypatch: pytest.MonkeyPatch, rate: int, kbps: int) -> None:
    """All that follows is heard a sample early, where everything is coded anew."""
    source = talk(rate, kbps)
    cut = Cut((rate, 13 * rate))

    def one_less(file: Any, index: Any, spans: Sequence[Span]) -> list[npt.NDArray[np.float32]]:
        out = []
        for span in spans:
            places = np.arange(span.start, span.end)
            (pcm,) = decode_all(file, index, [Span(span.start, span.end + 1)])
            out.append(pcm[places + (places >= 6 * rate) - span.start])
        return out

    with monkeypatch.context() as patch:
        patch.setattr("audioengine.pcm.decode.decode_all", one_less)
        broken = store(source, cut, render="full")
    verdict = verified(broken, render="full")
    assert [check.name for check in verdict.failures] == ["kept_sound"]
    assert verdict.failures[0].measured["late_samples"] == -1


@pytest.mark.parametrize("late", [-1, 1, 40])
def test_a_wrong_delay_in_the_tag(late: int) -> None:
    """The length stays right, and everything is heard too early or too late."""
    result = good()
    delay, padding = result.tag_fields
    fields = (delay + late << 12 | padding - late).to_bytes(3, "big")
    assert padding >= late
    assert "clock" in failures(with_tag_fields(result, 21, fields))


def test_a_frame_lost_or_repeated() -> None:
    """Everything after it is elsewhere."""
    result = good()
    frames = [sound.frame for sound in result.sounds]
    place = len(frames) // 4
    for broken in (frames[:place] + frames[place + 1 :], frames[: place + 1] + frames[place:]):
        data = result.every[0].data + mpeg.join(broken)
        assert {"tag", "length", "copied_frames"} <= failures(with_data(result, data))


@pytest.mark.slow
def test_wrong_checksums_and_counts() -> None:
    """Each field of the tag is judged."""
    result = good()
    tag = result.every[0]
    for at in range(4 + tag.side_length, 4 + tag.side_length + 156):
        if at in range(4 + tag.side_length + 124, 4 + tag.side_length + 129):
            continue  # the encoder's name behind its first four letters
        broken = with_byte(tag, at, tag.data[at] ^ 0x01)
        assert "tag" in failures(with_data(result, broken.data + mpeg.join(result.every[1:]))), at


# Files that are no outputs


def test_what_is_no_recording() -> None:
    """Nor one of the same kind."""
    result = good()
    assert failures(with_data(result, b"not audio" * 1000)) == {"length"}
    assert failures(with_data(result, b"")) == {"length"}
    assert failures(with_data(result, talk(8000, 32).data)) == {"length"}
    assert {"tag", "metadata", "length"} <= failures(with_data(result, result.data[:-100]))


def test_a_copy_that_is_none() -> None:
    """A request that changes nothing is answered with the source, byte for byte."""
    source = recording("tags-id3-ape")
    assert ae.verify(source.data, source.data).passed
    for broken in (source.data[:-1], source.data[:-1] + b"\0", good().data):
        verdict = ae.verify(source.data, broken)
        assert [check.name for check in verdict.failures] == ["copy"]
