# SPDX-License-Identifier: Apache-2.0
"""What the tests of the promises share: recordings, edits, and what holds for each of them.

A `Recording` is a fixture as these tests know it, apart from audioengine: its frames and its clock
read with `fixtures.mpeg`, and the same audio in a file that every decoder reads alike. Edits are
written in samples, as `Cut`, and given to `store` in seconds. What `assert_*` demand is promised
for every edit.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cache, cached_property, lru_cache
from io import BytesIO
from typing import Any, TypeAlias

import lameenc
import numpy as np
import numpy.typing as npt
import soundfile
from hypothesis import strategies as st

import audioengine as ae
from fixtures import mpeg, speech
from tests.operations import bits
from tests.operations.bits import Sound, sounds
from tests.support import (
    DAMAGED,
    FIXTURES,
    READABLE,
    decode_miniaudio,
    decode_pyav,
    decode_soundfile,
    fixture,
)

Pcm: TypeAlias = npt.NDArray[Any]
Flags: TypeAlias = npt.NDArray[np.bool_]
Ranges: TypeAlias = Sequence[tuple[int, int]]

DECODERS: dict[str, Callable[[bytes], Pcm]] = {
    "miniaudio": decode_miniaudio,
    "pyav": decode_pyav,
    "soundfile": decode_soundfile,
}
OVERLAP = 1056
"""Samples after a frame in which decoders still use what it holds."""
MAX_MOVED = 3
PARTIES = ("caller", "callee")
# The tag of one promises frames that are not there: test_sources.py has it.
EDITABLE = tuple(name for name in READABLE if name != "tag-promises-more")
SMART = tuple(name for name in EDITABLE if not name.startswith("freeformat"))
BIG = ("demo-call",)


# Recordings


@dataclass(frozen=True)
class Recording:
    """A recording as the tests know it."""

    name: str
    data: bytes
    """The file."""
    frames: tuple[mpeg.Frame, ...]
    """Its audio frames."""
    start: int
    """Decoded samples before sample 0 of its clock."""
    samples: int
    playable: bytes
    """The same samples, in a file that all decoders read alike."""
    silent: frozenset[int]
    """Frames that play as silence: their main data is lost, or they are tags."""

    @property
    def rate(self) -> int:
        return self.frames[0].rate

    @property
    def channels(self) -> int:
        return self.frames[0].channels

    @property
    def lsf(self) -> bool:
        return self.frames[0].version != 3

    @property
    def spf(self) -> int:
        return 576 if self.lsf else 1152

    @property
    def ext(self) -> int:
        """Samples from a frame's first decoded one that its coded data depends on."""
        return 1632 if self.lsf else 2208

    @cached_property
    def sounds(self) -> list[Sound]:
        return sounds(self.frames)

    def decoded(self, decoder: str) -> Pcm:
        """[shape=(samples, channels)] What a decoder that isn't ours plays of it."""
        return _decoded_source(self.playable, decoder)

    def frames_within(self, start: int, end: int) -> range:
        """The frames whose coded data depends only on samples from `start` to `end`.

        What is hidden before sample 0 and behind the last one counts as theirs.
        """
        low = -(-(self.start + start) // self.spf) if start > 0 else 0
        high = (self.start + end - self.ext) // self.spf + 1
        return range(low, high if end < self.samples else len(self.frames))


@lru_cache(maxsize=64)
def _decoded_source(data: bytes, decoder: str) -> Pcm:
    pcm = DECODERS[decoder](data)
    pcm.setflags(write=False)
    return pcm


@lru_cache(maxsize=8)
def _decoded_output(data: bytes, decoder: str) -> Pcm:
    return DECODERS[decoder](data)


def recorded(name: str, data: bytes) -> Recording:
    """Any file as a recording."""
    every, after_gap = bits.all_frames(data)
    tag = every[0] if every[0].is_tag else None
    frames = every[1:] if tag else every
    spf = 1152 if frames[0].version == 3 else 576
    raw = len(frames) * spf
    start, end = 0, raw
    believed = False
    if tag is not None:
        at = 4 + tag.side_length
        believed = int.from_bytes(tag.data[at + 8 : at + 12], "big") == len(frames)
        if tag.data[at + 120 : at + 124] in (b"LAME", b"Lavf", b"Lavc"):
            fields = int.from_bytes(tag.data[at + 141 : at + 144], "big")
            start, end = (fields >> 12) + 529, raw - (fields & 0xFFF) + 529
    silent = _silent_frames(frames, after_gap)
    heard = [bits.emptied(frame) if i in silent else frame for i, frame in enumerate(frames)]
    if silent or after_gap:
        heard = bits.without_leftovers(heard)
    if not frames[0].kbps:
        heard = bits.repacked(heard)
    playable = data
    if not start:
        # Enough silent frames that the tag can hide what decoders have before the first sample.
        lead = 1 if spf == 1152 else 2
        quiet = [bits.silent_frame(frames[0])] * lead
        playable = bits.with_tag([*quiet, *heard], lead * spf - 529, 529)
    elif tag is None or tag.protected or not believed or mpeg.join([tag, *heard]) != data:
        playable = bits.with_tag(heard, start - 529, raw - end + 529)
    return Recording(name, data, tuple(frames), start, end - start, playable, silent)


def _silent_frames(frames: Sequence[mpeg.Frame], after_gap: set[int]) -> frozenset[int]:
    silent = set()
    available = 0
    for number, frame in enumerate(frames):
        # Main data that began before the file, or before a gap, is lost.
        if number in after_gap:
            available = 0
        if frame.main_data_begin > available or frame.is_tag:
            silent.add(number)
        available += len(frame.data) - frame.side_offset - frame.side_length
    return frozenset(silent)


@cache
def recording(name: str) -> Recording:
    """A fixture."""
    return recorded(name, fixture(name))


@cache
def call(rate: int, seconds: float, kbps: int) -> Recording:
    """A two-party call as LAME writes it: joint stereo, untagged."""
    return recorded(f"{rate} Hz, {kbps} kbit/s", lame(talk(rate, seconds), rate, kbps))


@cache
def quiet(rate: int, seconds: float, kbps: int) -> Recording:
    """Noise at -80 dBFS on both channels."""
    noise = np.random.default_rng(1).standard_normal((round(rate * seconds), 2)) * 1e-4
    return recorded(f"quiet, {rate} Hz", lame(noise, rate, kbps))


@cache
def _clips(party: str, rate: int) -> list[Pcm]:
    """The party's sentences."""
    samples, source = soundfile.read(FIXTURES / "voices" / f"{party}.ogg")
    marks = json.loads((FIXTURES / "voices" / "sentences.json").read_text())[party]
    return [
        speech.resample(samples[round(start * source) : round(end * source)], source, rate)
        for start, end in marks.values()
    ]


def talk(rate: int, seconds: float) -> Pcm:
    """[shape=(n, 2)] Both parties talking all the time, over noise at -60 dBFS."""
    random = np.random.default_rng(5)
    parts = []
    for party in PARTIES:
        clips = _clips(party, rate)
        now = 0.2
        while now < seconds:
            clip = clips[random.integers(len(clips))]
            parts.append((party, clip, rate, now))
            now += len(clip) / rate + random.uniform(0.1, 0.5)
    return speech.place(parts, rate, seconds)


def lame(pcm: Pcm, rate: int, kbps: int) -> bytes:
    """What lameenc makes of samples in ±1: no tag, 1105 samples late."""
    encoder = lameenc.Encoder()
    encoder.silence()
    encoder.set_channels(pcm.shape[1])
    encoder.set_in_sample_rate(rate)
    encoder.set_out_sample_rate(rate)
    encoder.set_bit_rate(kbps)
    encoder.set_quality(5)
    integers = np.clip(np.rint(pcm * 32767), -32768, 32767).astype("<i2")
    return bytes(encoder.encode(integers.tobytes()) + encoder.flush())


# Edits


@dataclass(frozen=True)
class Cut:
    """Edits in samples of the recording's clock."""

    trim: tuple[int, int] | None = None
    caller: Ranges = ()
    callee: Ranges = ()
    both: Ranges = ()

    @property
    def masks(self) -> dict[str, Ranges]:
        """The masks there are, by party."""
        every = {"caller": self.caller, "callee": self.callee, "both": self.both}
        return {party: ranges for party, ranges in every.items() if ranges}

    def modification(self, rate: int) -> ae.Modification:
        trim = ae.Interval(self.trim[0] / rate, self.trim[1] / rate) if self.trim else None
        masks = {
            party: [masked(start, end, rate) for start, end in ranges]
            for party, ranges in self.masks.items()
        }
        return ae.Modification(trim=trim, mask=masks)


def masking(party: str, *spans: tuple[int, int], trim: tuple[int, int] | None = None) -> Cut:
    """Masks of the caller, the callee or both."""
    masks = {name: spans if name == party else () for name in ("caller", "callee", "both")}
    return Cut(trim, masks["caller"], masks["callee"], masks["both"])


def masked(start: int, end: int, rate: int) -> ae.Interval:
    """The times of samples, as masks round them outward."""
    first, last = Fraction(start, rate), Fraction(end, rate)
    if rate % 3 and rate % 7:
        exact = [Decimal(x.numerator) / x.denominator for x in (first, last)]
        return ae.Interval(exact[0], exact[1])
    # These samples have no exact decimal times.
    quarter = Fraction(1, 4 * rate)
    return ae.Interval(float(first + quarter), float(last - quarter))


def lengths(longest: int) -> st.SearchStrategy[int]:
    """Lengths in samples, short ones as often as long ones."""
    powers = st.integers(0, max(0, longest.bit_length() - 1))
    return powers.flatmap(lambda power: st.integers(1 << power, min(longest, (2 << power) - 1)))


@st.composite
def spans(draw: st.DrawFn, samples: int, shortest: int = 1) -> tuple[int, int]:
    """A stretch of a recording, often at its start or end."""
    length = max(min(samples, shortest), draw(lengths(samples)))
    last = samples - length
    start = draw(st.one_of(st.just(0), st.just(last), st.integers(0, last), st.integers(0, last)))
    return start, start + length


@st.composite
def cuts(draw: st.DrawFn, source: Recording) -> Cut:
    """Any legal set of edits that changes something."""
    ranges = st.lists(spans(source.samples, 2), max_size=3)
    trim = draw(st.one_of(st.none(), spans(source.samples)))
    masks = [tuple(draw(ranges)) for _ in range(3)]
    if not any(masks) and trim in (None, (0, source.samples)):
        trim = None
        masks[draw(st.integers(0, 2))] = (draw(spans(source.samples, 2)),)
    return Cut(trim, *masks)


# What became of them


@dataclass(frozen=True)
class Result:
    """What `store` made of a recording."""

    source: Recording
    cut: Cut
    data: bytes
    report: ae.StoreReport

    @property
    def kept(self) -> tuple[int, int]:
        """The samples kept, on the source's clock."""
        return self.report.trim.applied.samples

    @property
    def length(self) -> int:
        return self.kept[1] - self.kept[0]

    @cached_property
    def every(self) -> list[mpeg.Frame]:
        """All frames of the output, its tag first."""
        frames = list(mpeg.frames(self.data))
        assert mpeg.join(frames) == self.data
        return frames

    @cached_property
    def sounds(self) -> list[Sound]:
        return sounds(self.every[1:])

    @property
    def tag_fields(self) -> tuple[int, int]:
        """Encoder delay and padding, as the output's tag has them."""
        fields = number(self.every[0], 4 + self.every[0].side_length + 141, 3)
        return fields >> 12, fields & 0xFFF

    @cached_property
    def first_frame(self) -> int | None:
        """The source's number of the output's first frame; None on a grid of its own."""
        before = self.source.start + self.kept[0] - self.tag_fields[0] - 529
        return None if before % self.source.spf else before // self.source.spf

    def decoded(self, decoder: str) -> Pcm:
        """[shape=(n, channels)] What a decoder that isn't ours plays of the output."""
        return _decoded_output(self.data, decoder)

    def expected(self, decoder: str) -> Pcm:
        """[shape=(n, channels)] What it plays of the source there."""
        return self.source.decoded(decoder)[slice(*self.kept)]

    def remade(self, channel: int) -> set[int]:
        """The source's frames in which the report says a channel was re-made."""
        name = "mono" if self.source.channels == 1 else ("left", "right")[channel]
        return {
            frame
            for part in self.report.remade
            if part.channel == name
            for frame in range(*part.frames)
        }


def store(source: Recording, cut: Cut, **options: Any) -> Result:
    """Edit a recording in memory."""
    out = BytesIO()
    report = ae.store(source.data, out, cut.modification(source.rate), **options)
    return Result(source, cut, out.getvalue(), report)


def number(frame: mpeg.Frame, at: int, length: int) -> int:
    """A number in a frame, most significant byte first."""
    return int.from_bytes(frame.data[at : at + length], "big")


# What holds for every edit


def assert_promises(result: Result) -> None:
    """All of the following."""
    assert_clock(result)
    assert_tag(result)
    if result.report.render == "smart":
        assert_untouched(result)
        assert_kept_outside_remade(result)
        assert_copied(result)
    assert_no_leftovers(result)


def assert_clock(result: Result) -> None:
    """The output has exactly the samples asked for, in every decoder."""
    assert result.kept == (result.cut.trim or (0, result.source.samples))
    assert result.report.output.samples == result.length
    for decoder in DECODERS:
        assert result.decoded(decoder).shape == (result.length, result.source.channels), decoder


def assert_untouched(result: Result) -> None:
    """Outside what the edits reach, every decoded sample is the source's."""
    assert result.report.render == "smart"
    _assert_equal(result, [~reached(result)] * result.source.channels)


def assert_kept_outside_remade(result: Result) -> None:
    """Each channel is the source's outside the frames re-made for it and what they overlap."""
    source = result.source
    zero = source.start + result.kept[0]
    assert result.report.render == "smart"
    same = []
    for channel in range(source.channels):
        ranges = [
            (frame * source.spf - zero, (frame + 1) * source.spf + OVERLAP - zero)
            for frame in result.remade(channel)
        ]
        same.append(~flags(result.length, ranges))
    _assert_equal(result, same)


def flags(length: int, ranges: Iterable[tuple[int, int]]) -> Flags:
    """[shape=(length,)] Whether a sample is in any of the ranges."""
    out = np.zeros(length, dtype=bool)
    for start, end in ranges:
        out[max(0, start) : max(0, end)] = True
    return out


def reached(result: Result) -> Flags:
    """[shape=(length,)] Which samples of the output may differ from the source's."""
    source = result.source
    ext, spf = source.ext, source.spf
    start, end = result.kept
    ranges = []
    for mask in result.report.masks:
        (low, high), (before, after) = mask.applied.samples, mask.moved_frames
        assert 0 <= before <= MAX_MOVED
        assert 0 <= after <= MAX_MOVED
        ranges.append((low - ext - before * spf - start, high + ext + after * spf - start))
    before, after = _cut_moves(result)
    if source.start + start > 0:
        ranges.append((0, ext + after * spf))
    if source.start + end < len(source.frames) * spf:
        ranges.append((end - start - ext - before * spf, end - start))
    return flags(end - start, ranges)


def _cut_moves(result: Result) -> tuple[int, int]:
    """Frames by which what a cut re-makes reaches further in: before the end, after the start."""
    source = result.source
    moved = {
        frame
        for part in result.report.remade
        if part.reason in ("window", "shared")
        for frame in range(*part.frames)
    }
    start, end = (source.start + at for at in result.kept)
    first, last = (start - 1) // source.spf + 1, (end - source.ext) // source.spf
    steps = range(MAX_MOVED + 1)
    after = next((n for n in steps if first + n not in moved), MAX_MOVED)
    before = next((n for n in steps if last - n not in moved), MAX_MOVED)
    return before, after


def same_phase(result: Result) -> bool:
    """Whether mpg123 rounds the output's samples as it rounds the source's.

    Its synthesis goes round in 8 slots of 32 samples (stereo: 4) from the first audible frame.
    """
    source = result.source
    if source.name in DAMAGED or result.first_frame is None:
        return False  # of a broken frame, it may leave out the synthesis
    moved = (source.start + result.kept[0]) // source.spf - source.start // source.spf
    return moved * source.spf // 32 % (8 if source.channels == 1 else 4) == 0


def _assert_equal(result: Result, same: Sequence[Flags]) -> None:
    """Where `same`, by channel, decoders play of the output what they play of the source."""
    for decoder in DECODERS:
        got, want = result.decoded(decoder), result.expected(decoder)
        assert got.shape == want.shape, decoder
        for channel, there in enumerate(same):
            different = there & (got[:, channel] != want[:, channel])
            if decoder == "soundfile" and not same_phase(result):
                different[different] = (np.abs(got - want)[different, channel]) > 6e-8
            places = np.flatnonzero(different)
            message = f"{decoder}, channel {channel}: {len(places)} samples, from {places[:1]}"
            assert not len(places), message


def assert_tag(result: Result) -> None:
    """The output begins with an Info frame that is right, and has no other metadata."""
    data, every = result.data, result.every
    tag, frames = every[0], every[1:]
    assert tag.is_tag
    assert not any(frame.is_tag for frame in frames)
    assert not tag.protected
    assert (tag.version, tag.rate, tag.mode) == (frames[0].version, frames[0].rate, frames[0].mode)
    at = 4 + tag.side_length
    assert not any(tag.data[4:at])
    constant = len({frame.kbps for frame in frames}) == 1
    assert tag.data[at : at + 4] == (b"Info" if constant else b"Xing")
    assert number(tag, at + 4, 4) == 15
    assert number(tag, at + 8, 4) == len(frames)
    assert number(tag, at + 12, 4) == len(data)
    ends = np.cumsum([len(frame.data) for frame in every])
    for percent, entry in enumerate(tag.data[at + 16 : at + 116]):
        assert entry == min(255, 256 * ends[len(frames) * percent // 100] // len(data)), percent
    lame = at + 120
    assert tag.data[lame : lame + 4] in (b"LAME", b"Lavf", b"Lavc")
    assert (tag.data[lame + 9] & 15 == 1) == constant
    assert not any(tag.data[lame + 11 : lame + 19])  # peak and ReplayGain
    assert number(tag, lame + 28, 4) == len(data)
    assert number(tag, lame + 32, 2) == bits.tag_crc(mpeg.join(frames))
    assert number(tag, lame + 34, 2) == bits.tag_crc(tag.data[: lame + 34])
    assert not any(tag.data[lame + 36 :])
    delay, padding = result.tag_fields
    assert (delay, padding) == (result.report.output.encoder_delay, result.report.output.padding)
    assert len(frames) * result.source.spf - delay - padding == result.length


def assert_copied(result: Result) -> None:
    """Frames that the report does not call re-made are the source's; it counts all right."""
    source, first = result.source, result.first_frame
    assert first is not None
    remade = [result.remade(channel) for channel in range(source.channels)]
    # The first frame that sample 0 of the output depends on; before it is only lead-in.
    begun = (source.start + result.kept[0] - source.ext) // source.spf + 1
    counts = dict.fromkeys(asdict(result.report.frames), 0)
    for place, sound in enumerate(result.sounds):
        frame = first + place
        assert sound.adu is not None
        kept = [frame not in frames for frames in remade]
        if frame < max(begun, 0) or frame in source.silent:
            # There is nothing of the source to keep.
            for channel, keep in zip(sound.channels, kept, strict=True):
                assert not keep or not any(channel.data), frame
            kept = [False] * len(kept)
        counts[_how(sound, source, frame, kept)] += 1
    assert counts == asdict(result.report.frames)


def _how(sound: Sound, source: Recording, frame: int, kept: Sequence[bool]) -> str:
    """How the frame came to be, what is kept of the source's checked."""
    if all(kept):
        original = source.sounds[frame]
        assert sound.head == original.head, frame
        assert sound.adu == original.adu, frame
        return "verbatim" if sound.data == original.data else "slot_rewritten"
    assert not sound.coupled
    if sound.frame.protected:
        assert sound.data[4:6] == bits.frame_crc(sound.frame)
    if not any(kept):
        return "reencoded" if sound.adu else "silent"
    original = source.sounds[frame]
    channel = kept.index(True)
    if original.equal:
        assert sound.channels[channel] == original.channels[0].halved, frame
    else:
        assert not original.coupled
        assert sound.channels[channel] == original.channels[channel], frame
    return "spliced"


def assert_no_leftovers(result: Result) -> None:
    """Every slot byte of a changed frame that belongs to no main data is zero."""
    owned = bits.owned_slots(result.sounds)
    originals = {frame.data for frame in result.source.frames}
    for place, sound in enumerate(result.sounds):
        if sound.data not in originals:
            slots = np.frombuffer(sound.data[len(sound.head) :], dtype=np.uint8)
            assert not slots[~owned[slice(*sound.slot)]].any(), place


# The beep


def join(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same samples, no two ranges overlapping or touching."""
    out: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], end))
        else:
            out.append((start, end))
    return out


def beep(
    length: int, rate: int, frequency_hz: float = 1000, level_dbfs: float = -20
) -> npt.NDArray[np.float64]:
    """[shape=(length,)] What a mask should sound like, by the contract."""
    position = np.arange(length)
    edge = np.minimum(position, length - 1 - position) + 0.5
    ramp = min(rate * 5 // 1000, length // 2)
    gain = 0.5 - 0.5 * np.cos(np.pi * np.minimum(edge / max(ramp, 1), 1))
    tone = np.sin(2 * np.pi * frequency_hz / rate * position)
    wave: npt.NDArray[np.float64] = 10 ** (level_dbfs / 20) * gain * tone
    return wave


def db(ratio: float) -> float:
    """A ratio of powers in decibels."""
    return float(10 * np.log10(max(ratio, 1e-30)))


def decode_lengths(data: bytes) -> set[int]:
    """The numbers of samples that decoders play of it."""
    return {len(decode(data)) for decode in DECODERS.values()}
