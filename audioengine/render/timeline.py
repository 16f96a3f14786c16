# SPDX-License-Identifier: Apache-2.0
"""The PCM of a merge: each recording where it is heard, sums of several, and silence."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from threading import Lock
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from audioengine.edits import Span
from audioengine.pcm.limit import CEILING, Limiter
from audioengine.pcm.resample import resampled
from audioengine.pcm.tone import Tone
from audioengine.plan.conference import Stretch
from audioengine.plan.merge import MergePlan
from audioengine.plan.placing import PlacedPart

_BLOCK_MS = 10
_PAGE = 4096

Samples = npt.NDArray[np.float32]

ReadRaw: TypeAlias = Callable[[int, int], Samples]
"""Gives a recording's raw samples from one number to before another, shape (n, channels)."""


@dataclass(frozen=True)
class Voice:
    """One recording as it sounds in the output."""

    part: PlacedPart
    read_raw: ReadRaw
    tone: Tone
    heard: tuple[Span, ...]
    """Where on the timeline, no two touching."""

    def samples(self, span: Span) -> Samples:
        """[shape=(span.length, its channels)] Its samples there, which it is heard throughout."""
        part = self.part
        if not part.resampled:
            first = span.start - part.offset + part.zero
            return self._edited(Span(first, first + span.length))
        heard = self.heard[bisect_right(self.heard, Span(span.start, 1 << 62)) - 1]
        # Of what is not heard, nothing may come in through the filter.
        there = part.samples_of(heard)
        return resampled(
            partial(self._from_zero, there),
            part.index.format.rate_hz,
            part.ratio,
            span.start - part.offset,
            span.end - part.offset,
        )

    def _from_zero(self, there: Span, start: int, end: int) -> Samples:
        """Samples counted from the start time; those outside `there` are silent."""
        wanted = Span(start + self.part.zero, end + self.part.zero)
        out = np.zeros((wanted.length, self.part.index.format.channels), dtype=np.float32)
        some = there.clipped(wanted)
        if some.length:
            out[some.start - wanted.start : some.end - wanted.start] = self._edited(some)
        return out

    def _edited(self, span: Span) -> Samples:
        """Samples of its clock, the beep in place of what is masked."""
        start = self.part.index.start + span.start
        pcm = self.read_raw(start, start + span.length)
        for channel, masked in enumerate(self.part.masked):
            if not masked:
                continue
            column = np.ascontiguousarray(pcm[:, channel])
            self.tone.paint(column, start, masked)
            pcm[:, channel] = column
        return pcm


class LimiterLog:
    """How far the limiter went, by short blocks of the timeline: the same in any order."""

    def __init__(self, rate_hz: int) -> None:
        self._block = max(1, rate_hz * _BLOCK_MS // 1000)
        self._gain: dict[int, npt.NDArray[np.float16]] = {}
        self._lock = Lock()

    def add(self, first: int, gain: Samples) -> None:
        """Note the gain of the samples from `first`."""
        low = np.flatnonzero(gain < 1)
        if not len(low):
            return
        blocks = (first + low) // self._block
        with self._lock:
            for page in range(int(blocks[0]) // _PAGE, int(blocks[-1]) // _PAGE + 1):
                here = blocks // _PAGE == page
                gains = self._gain.setdefault(page, np.ones(_PAGE, dtype=np.float16))
                np.minimum.at(gains, blocks[here] % _PAGE, gain[low[here]].astype(np.float16))

    def least(self, span: Span) -> tuple[float, int]:
        """The lowest gain in a span, and in how many of its samples, by blocks, it was below 1."""
        first, last = span.start // self._block, -(-span.end // self._block)
        lowest, limited = 1.0, 0
        for page, gains in self._gain.items():
            here = gains[max(0, first - page * _PAGE) : max(0, last - page * _PAGE)]
            lowest = min(lowest, float(here.min(initial=1)))
            limited += int(np.count_nonzero(here < 1)) * self._block
        return lowest, min(limited, span.length)


class TimelinePcm:
    """Reads the output's raw samples; may be called from many threads."""

    def __init__(
        self, plan: MergePlan, read_raw: Sequence[ReadRaw], tone: Callable[[int], Tone]
    ) -> None:
        """`read_raw`: by part, its raw samples; `tone`: the beep at a sampling rate."""
        self._plan = plan
        self.read_raw = tuple(read_raw)
        self._voices = [
            Voice(part, read, tone(part.index.format.rate_hz), plan.hearing.heard[number])
            for number, (part, read) in enumerate(zip(plan.parts, read_raw, strict=True))
        ]
        self._limiter = Limiter(plan.format.rate_hz)
        self.log = LimiterLog(plan.format.rate_hz)

    @cached_property
    def _starts(self) -> list[int]:
        return [stretch.span.start for stretch in self._plan.stretches]

    def __call__(self, spans: Sequence[Span]) -> list[Samples]:
        """[shape=(span.length, channels)] Raw samples of the output's frames, of each span."""
        return [self._samples(span) for span in spans]

    def _samples(self, span: Span) -> Samples:
        window = Span(span.start - self._plan.origin, span.end - self._plan.origin)
        out = np.zeros((window.length, self._plan.format.channels), dtype=np.float32)
        first = max(0, bisect_right(self._starts, window.start) - 1)
        for stretch in self._plan.stretches[first:]:
            if stretch.span.start >= window.end:
                break
            part = stretch.span.clipped(window)
            if part.length and stretch.heard:
                out[part.start - window.start : part.end - window.start] = self._heard(
                    stretch, part
                )
        return out

    def _heard(self, stretch: Stretch, span: Span) -> Samples:
        if len(stretch.heard) == 1:
            return self._voice(stretch.heard[0], span)
        reach = self._limiter.reach
        around = Span(span.start - reach, span.end + reach).clipped(stretch.span)
        mix = self._voice(stretch.heard[0], around)
        for number in stretch.heard[1:]:
            mix += self._voice(number, around)
        inside = slice(span.start - around.start, span.end - around.start)
        before, after = around.start - stretch.span.start, stretch.span.end - around.end
        if max(mix.max(), -mix.min()) <= CEILING:
            return mix[inside]
        for channel in range(mix.shape[1]):
            gain = self._limiter.gain(mix[:, channel], before, after)
            if gain is not None:
                self.log.add(span.start, gain[inside])
                mix[:, channel] *= gain
        return mix[inside]

    def _voice(self, number: int, span: Span) -> Samples:
        """[shape=(span.length, the output's channels)] A recording; mono is both parties."""
        pcm = self._voices[number].samples(span)
        channels = self._plan.format.channels
        return pcm if pcm.shape[1] == channels else np.repeat(pcm, channels, axis=1)
