# SPDX-License-Identifier: Apache-2.0
"""What the tests of `merge` share: timelines of recordings, and a plain model of their sum.

The model knows nothing of audioengine: it takes what a decoder that isn't ours plays of each
recording, puts it where its start time says, silences sample by sample, and adds up. A `Part` has
its times in ms from `EPOCH`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache, cached_property, lru_cache
from io import BytesIO
from math import floor
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st
from hypothesis.vendor.pretty import RepresentationPrinter

import audioengine as ae
from audioengine.report import PartReport
from fixtures import mpeg
from tests.operations import bits
from tests.operations.bits import Sound, sounds
from tests.operations.helpers import (
    DECODERS,
    Cut,
    Flags,
    Pcm,
    Recording,
    lame,
    recorded,
    recording,
    talk,
)

EPOCH = 1_728_890_677_283
LOUDEST = 10 ** (-1.5 / 20)
"""Sums beyond this are turned down."""
NEAR_LOUD_MS = 25
"""How near to one the limiter may be at work."""
LEAST_SNR_DB = 12
"""Of what is encoded anew; 15 dB is the least seen, where four voices share 32 kbit/s."""
MOST_DB_OFF = 0.15
"""Of its level; 0.08 dB is the most seen."""

Run = tuple[int, int]


@dataclass(frozen=True, repr=False)
class Part:
    """A recording of a merge."""

    source: Recording
    start_ms: int = 0
    segments: tuple[tuple[int, int | None], ...] = ()
    delay: int = 0
    cut: Cut | None = None

    def __repr__(self) -> str:
        """Without the recording's bytes: hypothesis shows what fails."""
        return f"Part({self.name}, {self.start_ms}, {self.segments}, {self.delay}, {self.cut})"

    def _repr_pretty_(self, printer: RepresentationPrinter, _: bool) -> None:
        printer.text(repr(self))

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def asked(self) -> ae.MergePart:
        return ae.MergePart(
            self.source.data,
            EPOCH + self.start_ms,
            [
                ae.ConferenceSegment(EPOCH + start, None if end is None else EPOCH + end)
                for start, end in self.segments
            ],
            self.cut.modification(self.source.rate) if self.cut else None,
            self.name,
            encoder_delay=self.delay,
        )

    @property
    def played(self) -> Run:
        """The samples of its clock that have a place in the merge."""
        start, end = self.cut.trim if self.cut and self.cut.trim else (0, self.source.samples)
        return max(start, self.delay), max(end, self.delay)


def part(name: str, start_ms: int = 0, *segments: tuple[int, int | None]) -> Part:
    """A fixture as part of a merge."""
    return Part(recording(name), start_ms, segments)


def half_up(value: Fraction) -> int:
    return floor(value + Fraction(1, 2))


def runs(there: Flags) -> list[Run]:
    """The stretches in which a flag is set."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], there, [False])).astype(np.int8)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


@dataclass(frozen=True)
class Timeline:
    """Who has audio, and who is heard, at each sample of the output."""

    parts: tuple[Part, ...]
    """In order of start."""

    @property
    def rate(self) -> int:
        return max(one.source.rate for one in self.parts)

    @property
    def channels(self) -> int:
        return max(one.source.channels for one in self.parts)

    def sample(self, ms: int) -> int:
        return half_up(Fraction((ms - self.parts[0].start_ms) * self.rate, 1000))

    def ratio(self, number: int) -> Fraction:
        return Fraction(self.rate, self.parts[number].source.rate)

    def place(self, number: int, sample: int) -> int:
        """Where a sample of a recording's clock lies."""
        one = self.parts[number]
        return self.sample(one.start_ms) + half_up((sample - one.delay) * self.ratio(number))

    def audio(self, number: int) -> Run:
        start, end = self.parts[number].played
        return self.place(number, start), self.place(number, end)

    @cached_property
    def length(self) -> int:
        return max(self.audio(number)[1] for number in range(len(self.parts)))

    @cached_property
    def there(self) -> Flags:
        """[shape=(parts, length)] Where each has audio."""
        out = np.zeros((len(self.parts), self.length), dtype=bool)
        for number in range(len(self.parts)):
            out[number, slice(*self.audio(number))] = True
        return out

    @cached_property
    def heard(self) -> Flags:
        """[shape=(parts, length)] Where each is heard: a conference only from the first."""
        confers = np.zeros_like(self.there)
        for number, one in enumerate(self.parts):
            for start, end in one.segments:
                last = self.length if end is None else max(0, self.sample(end))
                confers[number, max(0, self.sample(start)) : last] = True
        confers &= self.there
        out: Flags = self.there.copy()
        for number in range(len(self.parts)):
            out[number] &= ~(confers[number] & confers[:number].any(axis=0))
        return out

    @property
    def silenced(self) -> Flags:
        out: Flags = self.there & ~self.heard
        return out

    @property
    def alone(self) -> Flags:
        out: Flags = self.heard & (self.heard.sum(axis=0) == 1)
        return out

    @cached_property
    def somebody(self) -> Flags:
        """[shape=(length,)] Where anyone is heard."""
        out: Flags = np.any(self.heard, axis=0)
        return out

    def raw_zero(self, number: int) -> int:
        """Where the first raw sample of one that isn't resampled lies."""
        one = self.parts[number]
        return self.sample(one.start_ms) - one.delay - one.source.start

    def copied(self, owner: str) -> list[tuple[int, Run]]:
        """Stretches that must be the recording's own, when the output has this one's frames.

        They begin and end as far from any other as `reach` says.
        """
        names = [one.name for one in self.parts]
        grid = names.index(owner)
        first = self.parts[grid].source
        out = []
        for number, one in enumerate(self.parts):
            source = one.source
            late = (self.raw_zero(number) - self.raw_zero(grid)) % first.spf
            if late or _kind(source) != _kind(first):
                continue
            for start, end in runs(self.alone[number]):
                # Nothing is hidden before an untagged recording's start.
                begins = not start and not self.raw_zero(number)
                low = 0 if begins else start + reach(source)
                if low < end - reach(source):
                    out.append((number, (low, end - reach(source))))
        return out

    def own(self, number: int, decoder: str) -> Pcm:
        """[shape=(length, its channels)] One that isn't resampled, heard throughout."""
        one = self.parts[number]
        pcm = one.source.decoded(decoder)[slice(*one.played)]
        out = np.zeros((self.length, pcm.shape[1]), dtype=pcm.dtype)
        out[slice(*self.audio(number))] = pcm
        return out

    def voice(self, number: int) -> npt.NDArray[np.float64]:
        """[shape=(length, channels)] One, where it is heard."""
        ratio, heard = self.ratio(number), self.heard[number]
        if ratio == 1:
            pcm = self.own(number, "pyav") * heard[:, None]
        else:
            pcm = np.zeros((self.length, self.parts[number].source.channels))
            for run in runs(heard):
                pcm[slice(*run)] = self._resampled(number, run)
        return np.repeat(pcm, self.channels // pcm.shape[1], axis=1).astype(float)

    def _resampled(self, number: int, run: Run) -> Pcm:
        """One in a stretch, nothing of what is outside it coming in."""
        one, ratio = self.parts[number], self.ratio(number)
        offset = self.sample(one.start_ms)
        first, last = one.played
        times = np.arange(first, last) - one.delay
        inside = times * ratio.numerator >= (run[0] - offset) * ratio.denominator
        inside &= times * ratio.numerator < (run[1] - offset) * ratio.denominator
        pcm = one.source.decoded("pyav")[first:last] * inside[:, None]
        out = stretched(pcm.astype(float), ratio)
        start = self.audio(number)[0]
        room = np.zeros((run[1] - run[0], out.shape[1]))
        some = out[run[0] - start : run[1] - start]
        room[: len(some)] = some
        return room

    @cached_property
    def sum(self) -> npt.NDArray[np.float64]:
        """[shape=(length, channels)] What the merge is to sound like."""
        out: npt.NDArray[np.float64] = np.sum(
            [self.voice(number) for number in range(len(self.parts))], axis=0
        )
        return out

    @cached_property
    def not_loud(self) -> Flags:
        """[shape=(length,)] Far from where the limiter may be at work."""
        loud = (np.abs(self.sum) > LOUDEST - 0.01).any(axis=1)
        near = self.rate * NEAR_LOUD_MS // 1000
        totals = np.concatenate(([0], np.cumsum(np.pad(loud, near))))
        quiet: Flags = totals[2 * near + 1 :] == totals[: -2 * near - 1]
        return quiet


def _kind(source: Recording) -> tuple[int, int, int]:
    """What copied frames must have in common."""
    return source.rate, source.channels, source.frames[0].mode


def reach(source: Recording) -> int:
    """How far from a switch every decoded sample is the recording's own again."""
    return source.ext + 3 * source.spf


def stretched(pcm: npt.NDArray[np.float64], ratio: Fraction) -> npt.NDArray[np.float64]:
    """[shape=(n, channels)] At another rate, by the Fourier transform of the whole."""
    step = ratio.denominator
    lead = -(-500 // step) * step
    total = lead + len(pcm) + 500
    total += -total % step
    padded = np.zeros((total, pcm.shape[1]))
    padded[lead : lead + len(pcm)] = pcm
    out_total = int(total * ratio)
    wide = np.fft.irfft(np.fft.rfft(padded, axis=0), out_total, axis=0) * float(ratio)
    start = int(lead * ratio)
    out: npt.NDArray[np.float64] = wide[start : start + half_up(len(pcm) * ratio)]
    return out


def timeline(parts: Iterable[Part]) -> Timeline:
    return Timeline(tuple(sorted(parts, key=lambda one: one.start_ms)))


@lru_cache(maxsize=4)
def _decoded(data: bytes, decoder: str) -> Pcm:
    return DECODERS[decoder](data)


@dataclass(frozen=True)
class Merged:
    """What `merge` made of recordings."""

    parts: tuple[Part, ...]
    """As they were given."""
    data: bytes
    report: ae.MergeReport
    options: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def model(self) -> Timeline:
        return timeline(self.parts)

    def decoded(self, decoder: str) -> Pcm:
        return _decoded(self.data, decoder)

    @cached_property
    def sounds(self) -> list[Sound]:
        """Its audio frames."""
        frames = list(mpeg.frames(self.data))
        assert mpeg.join(frames) == self.data
        return sounds(frames[1:])

    def part(self, name: str) -> PartReport:
        return next(one for one in self.report.parts if one.id == name)

    @property
    def codes(self) -> list[str]:
        return [notice.code for notice in self.report.warnings]


def merge(*parts: Part, **options: Any) -> Merged:
    """Merge recordings in memory."""
    out = BytesIO()
    report = ae.merge([one.asked for one in parts], out, **options)
    return Merged(parts, out.getvalue(), report, options)


def frames_of(merged: Merged, one: Part) -> list[tuple[int, int]]:
    """Frames of the output that are the recording's: their numbers there and in the recording.

    Frames are told by what they hold: their header, side information and main data.
    """
    source = one.source
    known: dict[tuple[bytes, bytes], list[int]] = {}
    for number, sound in enumerate(source.sounds):
        if sound.adu:
            known.setdefault((_essence(sound), sound.adu), []).append(number)
    out = []
    for place, sound in enumerate(merged.sounds):
        numbers = known.get((_essence(sound), sound.adu or b""), ())
        out += [(place, number) for number in numbers]
    return out


def _essence(sound: Sound) -> bytes:
    """Header and side information without what says where its main data and slots are."""
    frame = sound.frame
    side = bytearray(sound.data[frame.side_offset : frame.side_offset + frame.side_length])
    side[0] = 0
    if frame.version == 3:
        side[1] &= 0x7F
    return bytes([sound.data[1] | 1, sound.data[3]]) + bytes(side)


@cache
def conversation(number: int, seconds: float, rate: int = 8000, kbps: int = 32) -> Recording:
    """One of many different calls, tagged as recorders do."""
    start = 8 * number
    pcm = talk(rate, start + seconds)[start * rate :]
    frames = list(mpeg.frames(lame(pcm, rate, kbps)))
    padding = len(frames) * (576 if rate < 32_000 else 1152) - 576 - len(pcm)
    return recorded(f"conversation {number}", bits.with_tag(frames, 576, padding))


# What holds for every merge


def assert_merged(merged: Merged) -> None:
    """All of the following."""
    assert_clock(merged)
    assert_heard(merged)
    assert_copies(merged)
    assert_gaps(merged)
    if merged.report.render != "copy":
        assert_faithful(merged)


def assert_clock(merged: Merged) -> None:
    """The output has exactly the samples of the timeline, in every decoder."""
    model, output = merged.model, merged.report.output
    assert (output.samples, output.rate_hz, output.channels) == (
        model.length,
        model.rate,
        model.channels,
    )
    if merged.report.render == "copy":
        # Not every decoder reads the tag of every source.
        assert merged.data == merged.parts[0].source.data
        return
    for decoder in DECODERS:
        assert merged.decoded(decoder).shape == (model.length, model.channels), decoder


def assert_heard(merged: Merged) -> None:
    """The report tells the timeline as the model has it, sample by sample."""
    model, report = merged.model, merged.report
    names = [one.name for one in model.parts]
    assert [one.id for one in report.parts] == names
    end = 0
    heard, silenced = np.zeros_like(model.heard), np.zeros_like(model.heard)
    for stretch in report.timeline:
        first, last = stretch.interval.samples
        assert first == end < last
        end = last
        for flags, ids in ((heard, stretch.heard), (silenced, stretch.silenced)):
            for name in ids:
                flags[names.index(name), first:last] = True
    assert end == model.length
    assert (heard == model.heard).all()
    assert (silenced == model.silenced).all()
    for number, one in enumerate(report.parts):
        assert one.offset.samples == model.sample(model.parts[number].start_ms)
        assert one.interval.samples == model.audio(number)
        assert [x.samples for x in one.heard] == runs(model.heard[number])
        assert [x.samples for x in one.silenced] == runs(model.silenced[number])
    assert [x.samples for x in report.gaps] == runs(~model.somebody)
    mixed = np.zeros(model.length, dtype=bool)
    for sum_ in report.mixed:
        mixed[slice(*sum_.interval.samples)] = True
    assert (mixed == (model.heard.sum(axis=0) > 1)).all()


def assert_copies(merged: Merged) -> None:
    """What one says alone on the output's frames is that recording bit for bit."""
    owner = merged.report.grid_owner
    if owner is None or merged.report.render == "copy":
        return
    model = merged.model
    for number, (start, end) in model.copied(owner):
        for decoder in ("miniaudio", "pyav"):
            want = model.own(number, decoder)[start:end]
            got = merged.decoded(decoder)[start:end]
            different = np.flatnonzero((got != want).any(axis=1))
            assert not len(different), (decoder, model.parts[number].name, start + different[:1])
        spf = model.parts[number].source.spf
        # What is copied is at least what lies here, but for the frames it overlaps.
        copied = merged.part(model.parts[number].name).copied_frames
        assert copied >= (end - start) // spf - 1


def assert_gaps(merged: Merged) -> None:
    """Where nobody is heard, and nothing rings on, there is silence."""
    model = merged.model
    spf = 1152 if model.rate >= 32_000 else 576
    for start, end in runs(~model.somebody):
        for decoder in ("miniaudio", "pyav"):
            got = merged.decoded(decoder)
            inside = got[start + 3 * spf + 1056 : end - 3 * spf - 1056]
            assert not np.any(inside), decoder


def rendered(merged: Merged) -> Flags:
    """[shape=(length,)] Where somebody is heard who isn't copied, away from the limiter."""
    model, owner = merged.model, merged.report.grid_owner
    out: Flags = model.somebody.copy()
    if owner is not None and merged.report.render == "smart":
        for _, run in model.copied(owner):
            out[slice(*run)] = False
    out &= model.not_loud
    return out


def fidelity(merged: Merged) -> tuple[float, float, int]:
    """SNR and level of what was rendered, in dB against the model, and how late it is."""
    there = rendered(merged)
    want = merged.model.sum * there[:, None]
    got = merged.decoded("pyav").astype(float) * there[:, None]
    return snr_db(got, want), level(got, want), lag(got, want)


def snr_db(got: npt.NDArray[np.float64], want: npt.NDArray[np.float64]) -> float:
    return float(10 * np.log10((want**2).sum() / max(1e-12, ((got - want) ** 2).sum())))


def assert_faithful(merged: Merged) -> None:
    """What was rendered is the model's sum but for coding noise, where there is enough of it."""
    there = rendered(merged)
    heard = merged.model.sum[there]
    if len(heard) < 0.3 * merged.model.rate or (heard**2).mean() < 1e-5:
        return
    snr, louder, late = fidelity(merged)
    assert late == 0
    assert snr >= LEAST_SNR_DB
    assert abs(louder) <= MOST_DB_OFF


def level(got: npt.NDArray[np.float64], want: npt.NDArray[np.float64]) -> float:
    """How much louder it is, in dB, below half of what LAME lets through: a fifth of the rate."""
    powers = []
    size = 1 << len(want).bit_length()
    for pcm in (got, want):
        power = np.abs(np.fft.rfft(pcm, size, axis=0)) ** 2
        powers.append(power[: len(power) * 2 // 5].sum())
    return float(10 * np.log10(powers[0] / powers[1]))


def lag(got: npt.NDArray[np.float64], want: npt.NDArray[np.float64]) -> int:
    """How many samples late `got` is where it is most like `want`."""
    size = 2 << len(want).bit_length()
    spectra = np.fft.rfft(got, size, axis=0) * np.fft.rfft(want, size, axis=0).conj()
    likeness = np.fft.irfft(spectra.sum(axis=1), size)
    best = int(np.argmax(likeness))
    return best if best < len(want) else best - size


# Timelines

AT_8K = (
    "mpeg25-8k-32k",
    "stereo-8k",
    "telephone-8k",
    "vbr-8k",
    "untagged-8k",
    "nores-8k",
    "mono-8k",
)
AT_16K = ("mpeg2-16k-48k", "vbr-16k", "midside-16k", "crc-16k", "nores-16k", "untagged-16k")
AT_44K = ("stereo-44k", "mono-44k", "nores-44k")
# Recordings of one rate, of two, and what is slow to decode seldom.
POOLS = (AT_8K, AT_8K, AT_8K, AT_16K, AT_8K + AT_16K, AT_8K + AT_16K, AT_8K + AT_44K)
LATEST_MS = 11_000

starts_ms = st.one_of(
    st.just(0),
    st.integers(0, LATEST_MS),
    # Frames at 8 and 16 kHz last 72 and 36 ms: these fall on one another's.
    st.integers(0, LATEST_MS // 72).map(lambda frames: 72 * frames),
)
segments_ms = st.builds(
    lambda start, length: (start, None if length is None else start + length),
    st.integers(-2000, LATEST_MS + 4000),
    st.one_of(st.none(), st.integers(1, 9000), st.integers(1, 9000)),
)


@st.composite
def merges(draw: st.DrawFn, *, most: int = 4) -> tuple[Part, ...]:
    """One to four recordings, in any order, with conferences or without."""
    names = draw(
        st.lists(
            st.sampled_from(draw(st.sampled_from(POOLS))), min_size=1, max_size=most, unique=True
        )
    )
    first = draw(st.one_of(st.just(0), st.integers(-5000, 5000)))
    confers = draw(st.booleans())
    every = st.lists(segments_ms, max_size=3) if confers else st.just([])
    return tuple(
        Part(
            recording(name),
            first + draw(starts_ms),
            tuple((first + a, None if b is None else first + b) for a, b in draw(every)),
        )
        for name in names
    )
