# SPDX-License-Identifier: Apache-2.0
"""What the tests of the promises share: recordings, edits, and what `store` makes of them.

A `Recording` is a fixture as these tests know it, apart from audioengine: its frames and its clock
read with `fixtures.mpeg`, and the same audio in a file that every decoder reads alike. Edits are
written in samples, as `Cut`, and given to `store` in seconds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
from tests.operations.successions import longest_short
from tests.support import (
    FIXTURES,
    READABLE,
    arguments,
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

    @cached_property
    def most_moved(self) -> int:
        """Frames by which an end of what is re-made may lie beyond what must be."""
        return longest_short(self.frames, self.silent)

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
        promised = int.from_bytes(tag.data[at + 8 : at + 12], "big")
        believed = promised == len(frames)
        if tag.data[at + 120 : at + 124] in (b"LAME", b"Lavf", b"Lavc"):
            fields = int.from_bytes(tag.data[at + 141 : at + 144], "big")
            start, padding = (fields >> 12) + 529, max(0, (fields & 0xFFF) - 529)
            # The padding is that of the end which the tag promises.
            end = min(raw, max(promised, len(frames)) * spf - padding)
    silent = _silent_frames(frames, after_gap)
    heard = bits.emptied(frames, silent)
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
        # What a tag holds is no main data.
        available += len(frame.data) - frame.side_offset - frame.side_length
        available *= not frame.is_tag
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
    report = ae.store(
        source.data, out, cut.modification(source.rate), **arguments(ae.StoreOptions, options)
    )
    return Result(source, cut, out.getvalue(), report)


def number(frame: mpeg.Frame, at: int, length: int) -> int:
    """A number in a frame, most significant byte first."""
    return int.from_bytes(frame.data[at : at + length], "big")


def decode_lengths(data: bytes) -> set[int]:
    """The numbers of samples that decoders play of it."""
    return {len(decode(data)) for decode in DECODERS.values()}
