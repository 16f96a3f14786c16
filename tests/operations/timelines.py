# SPDX-License-Identifier: Apache-2.0
"""Timelines of recordings, and a plain model of what a merge of them sounds like.

The model knows nothing of audioengine: it takes what a decoder that isn't ours plays of each
recording, puts it where its start time says, silences sample by sample, and adds up. A `Part` has
its times in ms from `EPOCH`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import floor

import numpy as np
import numpy.typing as npt
from hypothesis.vendor.pretty import RepresentationPrinter

import audioengine as ae
from tests.operations.helpers import Cut, Flags, Pcm, Recording, recording

EPOCH = 1_728_890_677_283
LOUDEST = 10 ** (-1.5 / 20)
"""Sums beyond this are turned down."""
NEAR_LOUD_MS = 25
"""How near to one the limiter may be at work."""

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
    return source.ext + source.most_moved * source.spf


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
