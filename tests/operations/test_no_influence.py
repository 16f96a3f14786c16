# SPDX-License-Identifier: Apache-2.0
"""Masked and trimmed audio has no influence on an output, and nothing of it is left there.

Sources that differ only in coded data whose whole support an edit removes must give the same
bytes. Such pairs are made by exchanging frames, or one party's granules, in streams without
reservoir: re-encoding changed samples would change the frames around as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import audioengine as ae
from fixtures import mpeg
from tests.operations import bits
from tests.operations.helpers import (
    PARTIES,
    Cut,
    Pcm,
    Recording,
    Result,
    call,
    masking,
    number,
    recorded,
    recording,
    spans,
    store,
)

ALONE = ("nores-8k", "nores-16k", "nores-44k", "nores-vbr-16k")
BEEPS = (ae.Beep(), ae.Beep(fill="silence"), ae.Beep(frequency_hz=777.7))


# Pairs of sources


def with_junk(frame: mpeg.Frame, random: np.random.Generator) -> mpeg.Frame:
    """A frame that stands alone, with random bytes where none of its data is."""
    used = frame.side_offset + frame.side_length
    used += (sum(map(sum, frame.part2_3_lengths)) + 7) // 8
    return mpeg.Frame(frame.offset, frame.data[:used] + random.bytes(len(frame.data) - used))


def exchanged(source: Recording, numbers: Sequence[int], seed: int) -> Recording:
    """The recording with other frames of its own, from anywhere, in these places."""
    random = np.random.default_rng(seed)
    variable = len({frame.kbps for frame in source.frames}) > 1
    frames = list(source.frames)
    for place in numbers:
        size = len(frames[place].data)
        others = [frame for frame in source.frames if variable or len(frame.data) == size]
        frames[place] = with_junk(others[random.integers(len(others))], random)
    return with_frames(source, frames)


def exchanged_party(
    source: Recording, numbers: Sequence[int], channel: int, seed: int
) -> Recording:
    """The recording with other granules of one channel in these frames, where they fit."""
    random = np.random.default_rng(seed)
    frames = list(source.frames)
    for place in numbers:
        parts = list(source.sounds[place].channels)
        other = int(random.integers(len(frames)))
        parts[channel] = source.sounds[other].channels[channel]
        frame = bits.joined(frames[place], parts)
        if frame is not None:
            frames[place] = with_junk(frame, random)
    return with_frames(source, frames)


def with_frames(source: Recording, frames: Sequence[mpeg.Frame]) -> Recording:
    tag = next(mpeg.frames(source.data))
    data = mpeg.join([tag, *frames])
    return replace(source, data=data, frames=tuple(frames), playable=data)


def changed(one: Recording, other: Recording) -> int:
    """How many frames differ."""
    return sum(a.data != b.data for a, b in zip(one.frames, other.frames, strict=True))


def removed_frames(source: Recording, trim: tuple[int, int]) -> list[int]:
    """The frames of which a trim leaves nothing."""
    start, end = source.start + trim[0], source.start + trim[1]
    return [
        frame
        for frame in range(len(source.frames))
        if frame * source.spf + source.ext <= start or frame * source.spf >= end
    ]


@st.composite
def removals(draw: st.DrawFn, source: Recording) -> tuple[Cut, str, list[int], dict[str, object]]:
    """An edit, what it removes (of whom), the frames it removes wholly, and options."""
    what = draw(st.sampled_from(("both", "caller", "callee", "trim")))
    shortest = 4 * source.ext
    if what == "trim":
        trim = draw(spans(source.samples - shortest))
        cut, numbers = Cut(trim), removed_frames(source, trim)
    else:
        start, end = draw(spans(source.samples, shortest))
        trims = st.sampled_from((None, (3, source.samples), (0, source.samples - 3)))
        cut = masking(what, (start, end), trim=draw(trims))
        numbers = list(source.frames_within(start, end))
    options = {
        "render": draw(st.sampled_from(("smart", "smart", "full"))),
        "beep": draw(st.sampled_from(BEEPS)),
    }
    return cut, what, numbers, options


def assert_no_influence(
    source: Recording,
    cut: Cut,
    what: str,
    numbers: Sequence[int],
    seed: int,
    options: dict[str, object],
) -> None:
    """With other data in these frames, the output has the same bytes."""
    if what in PARTIES:
        other = exchanged_party(source, numbers, PARTIES.index(what), seed)
    else:
        other = exchanged(source, numbers, seed)
    assert changed(source, other) >= len(numbers) // 3
    assert store(source, cut, **options).data == store(other, cut, **options).data


@pytest.mark.parametrize("name", ALONE)
@given(st.data())
@settings(max_examples=12)
def test_what_is_removed_has_no_influence(name: str, data: st.DataObject) -> None:
    """Masks of both, masks of one, trims; smart and full; CBR and VBR."""
    source = recording(name)
    assert all(frame.main_data_begin == 0 for frame in source.frames)
    cut, what, numbers, options = data.draw(removals(source))
    assert_no_influence(source, cut, what, numbers, data.draw(st.integers(0, 999)), options)


@pytest.mark.parametrize("render", ["smart", "full"])
@pytest.mark.parametrize("what", ["both", "caller", "callee"])
@pytest.mark.parametrize("name", ALONE)
def test_a_mask_over_everything_leaves_no_influence(name: str, what: str, render: str) -> None:
    """Not even of sizes, bitrates or the hidden start and end."""
    source = recording(name)
    cut = masking(what, (0, source.samples))
    numbers = range(len(source.frames))
    assert_no_influence(source, cut, what, numbers, 1, {"render": render})


@pytest.mark.parametrize("render", ["smart", "full"])
@pytest.mark.parametrize("name", ["nores-16k", "nores-44k"])
def test_what_another_tool_hid_does_not_survive_any_edit(name: str, render: str) -> None:
    """Frames behind a large encoder delay and padding are rendered from silence."""
    fields = (4000 << 12 | 4000).to_bytes(3, "big")
    source = recorded(name, mpeg.patch_tag(recording(name).data, 141, fields))
    assert source.start == 4529
    trim = (0, source.samples)
    numbers = removed_frames(source, trim)
    assert min(numbers) == 0
    assert max(numbers) == len(source.frames) - 1
    assert len(numbers) >= 4
    for cut in (Cut(caller=((30_000, 40_000),)), Cut((20, source.samples))):
        assert_no_influence(source, cut, "trim", numbers, 2, {"render": render})


@pytest.mark.parametrize("what", ["both", "caller"])
def test_sizes_of_masked_frames_have_no_influence_in_vbr(what: str) -> None:
    """Loud and quiet frames under a mask differ in bitrate; the frames re-made don't."""
    source = recording("nores-vbr-16k")
    start, end = 20_000, 60_000
    numbers = source.frames_within(start, end)
    smallest = min(source.frames, key=lambda frame: len(frame.data))
    largest = max(source.frames, key=lambda frame: len(frame.data))
    assert len(largest.data) > 2 * len(smallest.data)
    cut = masking(what, (start, end))
    outputs = set()
    for frame in (smallest, largest):
        frames = list(source.frames)
        for place in numbers:
            parts = bits.sounds([frame])[0].channels
            if what == "caller":
                # Into a frame of the highest bitrate everything fits.
                roomy = bits.repacked([frames[place]])[0]
                joined = bits.joined(roomy, (parts[0], source.sounds[place].channels[1]))
                assert joined is not None
                frames[place] = joined
            else:
                frames[place] = frame
        outputs.add(store(with_frames(source, frames), cut).data)
    assert len(outputs) == 1


def test_the_source_s_figures_of_the_whole_recording_are_not_carried_over() -> None:
    """Peak, ReplayGain, low-pass, quality, gain and preset of a tag know removed audio."""
    source = recording("nores-16k")
    cut = Cut(both=((20_000, 60_000),))
    data = mpeg.patch_tag(source.data, 116, b"\x12\x34\x56\x78")  # quality
    data = mpeg.patch_tag(data, 129, bytes(range(1, 13)))  # method, low-pass, peak, gains, flags
    data = mpeg.patch_tag(data, 144, bytes(range(1, 5)))  # misc, gain, preset
    assert data != source.data
    assert store(replace(source, data=data), cut).data == store(source, cut).data


def test_metadata_and_junk_around_the_frames_have_no_influence() -> None:
    """They may name what was removed."""
    source = recording("nores-16k")
    cut = Cut((1000, 90_000), both=((20_000, 60_000),))
    id3v2 = b"ID3\x03\0\0\0\0\0\x14" + b"TIT2\0\0\0\x0a\0\0\0card 4012"
    id3v1 = b"TAG" + b"card 4012".ljust(124, b"\0") + b"\xff"
    dressed = replace(source, data=id3v2 + source.data + id3v1)
    result = store(dressed, cut)
    assert result.data == store(source, cut).data
    assert b"4012" not in result.data


def test_junk_between_frames_is_never_copied() -> None:
    """Nor an incomplete last frame."""
    for name in ("junk-in-middle", "junk-at-start", "id3v1-in-middle", "truncated-last-frame"):
        source = recording(name)
        result = store(source, Cut(caller=((2000, 3000),)))
        # `every` holds all bytes of the output: they are frames.
        assert len(result.every) >= len(source.frames) + 1
        assert result.report.output.bytes == sum(len(frame.data) for frame in result.every)


def test_a_tag_frame_inside_is_not_copied() -> None:
    """Of the second of two joined files, it holds ReplayGain and checksums."""
    source = recording("naive-concat")
    inner = next(frame for frame in source.frames if frame.is_tag)
    at = 4 + inner.side_length
    assert number(inner, at + 152, 2)
    result = store(source, Cut(caller=((2000, 3000),)))
    assert inner.data not in result.data
    assert inner.data[at : at + 4] not in mpeg.join(result.every[1:])


# What is left of the removed voice


def envelopes(pcm: Pcm, spf: int) -> npt.NDArray[np.float64]:
    """[shape=(frames, 12)] Level in dB of 12 bands in each stretch of a frame's length."""
    count = len(pcm) // spf
    blocks = np.hanning(spf) * pcm[: count * spf].reshape(count, spf).astype(float)
    power = np.abs(np.fft.rfft(blocks, axis=1)) ** 2
    edges = np.geomspace(2, power.shape[1], 13).astype(int)
    bands = np.add.reduceat(power[:, : edges[-1]], edges[:-1], axis=1)
    levels: npt.NDArray[np.float64] = 10 * np.log10(bands + 1e-10)
    return levels


def likeness(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
    """Correlation of two sets of values, the mean of each column taken off."""
    first, second = (x - x.mean(axis=0) for x in (one, other))
    scale = np.sqrt((first**2).sum() * (second**2).sum())
    return float((first * second).sum() / scale) if scale else 0.0


def waveform_chance(voice: npt.NDArray[np.float64], heard: npt.NDArray[np.float64]) -> list[float]:
    """Correlations of `heard` with the voice at wrong times."""
    shifts = np.linspace(len(voice) // 8, 7 * len(voice) // 8, 60).astype(int)
    return [abs(likeness(np.roll(voice, shift), heard)) for shift in shifts]


def envelope_chance(voice: npt.NDArray[np.float64], heard: npt.NDArray[np.float64]) -> list[float]:
    """Correlations of `heard` envelopes with those of the voice at wrong times."""
    shifts = range(4, len(voice) - 4)
    return [abs(likeness(np.roll(voice, shift, axis=0), heard)) for shift in shifts]


def assert_nothing_heard(voice: Pcm, heard: Pcm, spf: int) -> None:
    """`heard` tells no more of the voice than of the same voice at other times."""
    wave = likeness(voice.astype(float), heard.astype(float))
    assert abs(wave) <= max(waveform_chance(voice.astype(float), heard.astype(float))) + 0.01
    bands, other = envelopes(voice, spf), envelopes(heard, spf)
    assert abs(likeness(bands, other)) <= max(envelope_chance(bands, other)) + 0.01


CALLS = ((8000, 32), (16000, 48), (44100, 128))


def masked_call(rate: int, kbps: int, party: str) -> Result:
    """A call of 14 s in which one party is masked for 8 s."""
    source = call(rate, 14, kbps)
    return store(source, masking(party, (3 * rate, 11 * rate)))


@pytest.mark.parametrize("party", PARTIES)
@pytest.mark.parametrize(("rate", "kbps"), CALLS)
def test_nothing_of_the_voice_is_heard_under_a_mask(rate: int, kbps: int, party: str) -> None:
    """Neither in the beep, nor in the other party's channel outside mid/side frames.

    Waveform and band envelopes correlate with the removed voice no more than they do with it at
    other times.
    """
    result = masked_call(rate, kbps, party)
    source, spf = result.source, result.source.spf
    channel = PARTIES.index(party)
    voice = source.decoded("pyav")[3 * rate : 11 * rate, channel]
    heard = result.decoded("pyav")[3 * rate : 11 * rate]
    assert_nothing_heard(voice, heard[:, channel], spf)
    # In mid/side frames the kept party's noise has the shape of both voices.
    shared = result.remade(1 - channel)
    kept = np.ones(8 * rate, dtype=bool)
    for frame in shared:
        at = frame * spf - source.start - 3 * rate
        kept[max(0, at) : max(0, at + spf + 1056)] = False
    blocks = [i for i in range(len(kept) // spf) if kept[i * spf : (i + 1) * spf].all()]
    assert len(blocks) > 30

    def chosen(pcm: Pcm) -> Pcm:
        return np.concatenate([pcm[i * spf : (i + 1) * spf] for i in blocks])

    before = source.decoded("pyav")[3 * rate : 11 * rate, 1 - channel]
    assert (chosen(heard[:, 1 - channel]) == chosen(before)).all()


def test_the_measure_of_what_is_heard_notices_a_voice() -> None:
    """A voice 20 dB down in a beep, or its envelope in noise, would be found."""
    rate = 16_000
    source = call(rate, 14, 48)
    voice = source.decoded("pyav")[3 * rate : 11 * rate, 0].astype(float)
    beep = masked_call(rate, 48, "caller").decoded("pyav")[3 * rate : 11 * rate, 0].astype(float)
    with pytest.raises(AssertionError):
        assert_nothing_heard(voice, beep + 0.1 * voice, source.spf)
    noise = np.random.default_rng(3).standard_normal(len(voice))
    shape = np.convolve(np.abs(voice), np.ones(200) / 200, "same")
    with pytest.raises(AssertionError):
        assert_nothing_heard(voice, noise * shape, source.spf)


def strings_of(digits: Sequence[str]) -> set[bytes]:
    """All stretches of 16 bytes with at least ten different ones, of strings of ones and zeros."""
    out = set()
    for part in digits:
        data = int(part or "0", 2).to_bytes(-(-len(part) // 8), "big") if part else b""
        windows = (data[i : i + 16] for i in range(len(data) - 15))
        out |= {window for window in windows if len(set(window)) >= 10}
    return out


def found_in(data: bytes, strings: set[bytes]) -> int:
    """How many of the strings are in the data, beginning at any bit."""
    word = int.from_bytes(data, "big")
    found = set()
    for shift in range(8):
        shifted = (word << shift).to_bytes(len(data) + 1, "big")
        found |= strings & {shifted[i : i + 16] for i in range(len(shifted) - 15)}
    return len(found)


@pytest.mark.parametrize("render", ["smart", "full"])
@pytest.mark.parametrize("party", [*PARTIES, "both"])
@pytest.mark.parametrize("name", ["mpeg25-8k-32k", "mpeg2-16k-48k", "mpeg1-44k-128k", "vbr-16k"])
def test_no_coded_data_of_the_masked_party_is_left(name: str, party: str, render: str) -> None:
    """Not in the reservoir either, at any bit shift."""
    source = recording(name)
    start, end = source.samples // 8, source.samples * 7 // 8
    result = store(source, masking(party, (start, end)), render=render)
    channels = (0, 1) if party == "both" else (PARTIES.index(party),)
    digits = [
        part
        for frame in source.frames_within(start, end)
        for channel, bits_of in enumerate(source.sounds[frame].channels)
        if channel in channels or source.sounds[frame].coupled
        for part in bits_of.data
    ]
    strings = strings_of(digits)
    assert len(strings) > 2000
    assert found_in(source.data, strings) > len(strings) // 4
    assert not found_in(result.data, strings)


@pytest.mark.parametrize("name", ["mpeg25-8k-32k", "mpeg1-44k-128k", "mpeg1-44k-320k"])
def test_no_coded_data_of_what_a_trim_removes_is_left(name: str) -> None:
    source = recording(name)
    trim = (source.samples // 3, source.samples // 2)
    result = store(source, Cut(trim))
    strings = strings_of([
        part
        for frame in removed_frames(source, trim)
        for bits_of in source.sounds[frame].channels
        for part in bits_of.data
    ])  # fmt: skip
    assert len(strings) > 2000
    assert found_in(source.data, strings) > len(strings) // 4
    assert not found_in(result.data, strings)
