# SPDX-License-Identifier: Apache-2.0
"""The PCM of a merge: single recordings, sums of several, and silence."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import groupby
from threading import Lock
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from audioengine.edits import Span
from audioengine.pcm.limit import CEILING, Limiter
from audioengine.pcm.resample import resample
from audioengine.pcm.tone import BeepTone
from audioengine.plan.conference import ConferenceSpan
from audioengine.plan.merge import MergePlan
from audioengine.plan.placing import PlacedPart

_BLOCK_MS = 10
_PAGE = 4096

# The distance of a border that the limiter need not observe.
_FAR = 1 << 60

Samples = npt.NDArray[np.float32]

ReadRaw: TypeAlias = Callable[[int, int], Samples]
"""Returns a recording's raw samples [start, end), shape (n, channels)."""


@dataclass(frozen=True)
class PlacedVoice:
    """One recording as it sounds in the output."""

    part: PlacedPart
    read_raw: ReadRaw
    tone: BeepTone
    heard: tuple[Span, ...]
    """Where it is heard on the timeline, in spans that do not touch."""

    def samples(self, span: Span) -> Samples:
        """[shape=(span.length, its channels)] Its samples in a span in which it is heard."""
        part = self.part
        if not part.resampled:
            first = span.start - part.offset + part.zero
            return self._edited(Span(first, first + span.length))
        heard = self.heard[bisect_right(self.heard, Span(span.start, 1 << 62)) - 1]
        # The resampling filter must not let in samples that are not heard.
        there = part.samples_of(heard)
        return resample(
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
        """Samples of its clock, with the beep in place of masked ones."""
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
    """The limiter's lowest gain, by short blocks of the timeline, independent of their order."""

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
        """The lowest gain in a span, and the number of samples, by blocks, with a gain below 1."""
        first, last = span.start // self._block, -(-span.end // self._block)
        lowest, limited = 1.0, 0
        for page in range(first // _PAGE, -(-last // _PAGE)):
            gains = self._gain.get(page)
            if gains is None:
                continue
            here = gains[max(0, first - page * _PAGE) : last - page * _PAGE]
            lowest = min(lowest, float(here.min(initial=1)))
            limited += int(np.count_nonzero(here < 1)) * self._block
        return lowest, min(limited, span.length)


@dataclass(frozen=True, slots=True)
class _Sum:
    """A stretch without a break in which several recordings are heard at once."""

    span: Span
    follows_one: bool
    precedes_one: bool
    """These say whether one recording alone is heard just before or after. Its samples do not
    change, so the gain must be 1 at that border; beside silence it need not be."""


def _start(mixed: _Sum) -> int:
    return mixed.span.start


class TimelinePcm:
    """Reads the output's raw samples; thread-safe."""

    def __init__(
        self, plan: MergePlan, read_raw: Sequence[ReadRaw], tone: Callable[[int], BeepTone]
    ) -> None:
        """`read_raw`: by part, its raw samples; `tone`: the beep at a sampling rate."""
        self._plan = plan
        self.read_raw = tuple(read_raw)
        self._voices = [
            PlacedVoice(part, read, tone(part.index.format.rate_hz), plan.hearing.heard[number])
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

    @cached_property
    def _sums(self) -> list[_Sum]:
        """The stretches in which several recordings are heard without a break."""
        sums = []
        before = 0
        for is_mixed, group in groupby(self._plan.stretches, lambda one: len(one.heard) > 1):
            stretches = tuple(group)
            after = before + len(stretches)
            if is_mixed:
                sums.append(
                    _Sum(
                        Span(stretches[0].span.start, stretches[-1].span.end),
                        self._is_one_heard(before - 1),
                        self._is_one_heard(after),
                    )
                )
            before = after
        return sums

    def _is_one_heard(self, number: int) -> bool:
        """Whether one recording alone is heard in a stretch; none is before the first."""
        stretches = self._plan.stretches
        return 0 <= number < len(stretches) and len(stretches[number].heard) == 1

    def _samples(self, span: Span) -> Samples:
        window = Span(span.start - self._plan.origin, span.end - self._plan.origin)
        out = self._added(window)
        first = max(0, bisect_right(self._sums, window.start, key=_start) - 1)
        for mixed in self._sums[first : bisect_left(self._sums, window.end, key=_start)]:
            part = mixed.span.clipped(window)
            if part.length:
                self._limit(out[part.start - window.start : part.end - window.start], part, mixed)
        return out

    def _added(self, window: Span) -> Samples:
        """The sum of all heard recordings, before the limiter."""
        out = np.zeros((window.length, self._plan.format.channels), dtype=np.float32)
        first = max(0, bisect_right(self._starts, window.start) - 1)
        for stretch in self._plan.stretches[first : bisect_left(self._starts, window.end)]:
            part = stretch.span.clipped(window)
            if part.length and stretch.heard:
                inside = slice(part.start - window.start, part.end - window.start)
                out[inside] = self._heard(stretch, part)
        return out

    def _heard(self, stretch: ConferenceSpan, span: Span) -> Samples:
        mix = self._voice(stretch.heard[0], span)
        for number in stretch.heard[1:]:
            mix += self._voice(number, span)
        return mix

    def _limit(self, out: Samples, span: Span, mixed: _Sum) -> None:
        """Apply the limiter to the part of `out` that lies in a sum."""
        reach = self._limiter.reach
        around = Span(span.start - reach, span.end + reach).clipped(mixed.span)
        mix = out if around == span else self._added(around)
        inside = slice(span.start - around.start, span.end - around.start)
        before = around.start - mixed.span.start if mixed.follows_one else _FAR
        after = mixed.span.end - around.end if mixed.precedes_one else _FAR
        if max(mix.max(), -mix.min()) <= CEILING:
            return
        for channel in range(mix.shape[1]):
            gain = self._limiter.gain(mix[:, channel], before, after)
            if gain is not None:
                self.log.add(span.start, gain[inside])
                out[:, channel] *= gain[inside]

    def _voice(self, number: int, span: Span) -> Samples:
        """[shape=(span.length, the output's channels)] A recording; mono counts as both parties."""
        pcm = self._voices[number].samples(span)
        channels = self._plan.format.channels
        return pcm if pcm.shape[1] == channels else np.repeat(pcm, channels, axis=1)
