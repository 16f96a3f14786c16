# SPDX-License-Identifier: Apache-2.0
"""The beep in place of a masked party."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import gcd

import numpy as np
import numpy.typing as npt

from audioengine.edits import Beep, Span
from audioengine.times import exact

_RAMP_MS = 5

# A tone with a longer period than this, in frames, is cheaper to encode directly.
_MAX_PERIOD_FRAMES = 256

# A tone with more phases is computed directly: a decimal frequency may have any number of them.
_MAX_TABLE = 1 << 20


@lru_cache(maxsize=64)
def _rising(ramp: int) -> npt.NDArray[np.float32]:
    """[shape=(ramp,)] What the samples of a rising tone are multiplied by: a raised cosine."""
    edge = np.arange(ramp) + 0.5
    gain: npt.NDArray[np.float32] = (0.5 - 0.5 * np.cos(np.pi * edge / ramp)).astype(np.float32)
    return gain


@dataclass(frozen=True)
class BeepTone:
    """A beep at a sampling rate; its phase counts whole steps, so it repeats exactly."""

    beep: Beep
    rate_hz: int

    @property
    def silent(self) -> bool:
        """Whether masks are filled with silence."""
        return self.beep.fill == "silence"

    @cached_property
    def cycle(self) -> int:
        """Phase steps in a full turn."""
        return self.rate_hz * exact(self.beep.frequency_hz, "beep.frequency_hz").denominator

    @cached_property
    def step(self) -> int:
        """Phase steps per sample."""
        return exact(self.beep.frequency_hz, "beep.frequency_hz").numerator

    @cached_property
    def amplitude(self) -> float:
        """Peak, full scale 1."""
        return float(10 ** (exact(self.beep.level_dbfs, "beep.level_dbfs") / 20))

    @cached_property
    def _turn(self) -> npt.NDArray[np.float32]:
        """The tone at every reachable phase."""
        phases = np.arange(self.cycle)
        wave: npt.NDArray[np.float32] = (
            self.amplitude * np.sin(2 * np.pi / self.cycle * phases)
        ).astype(np.float32)
        return wave

    def steady(self, phase: int, count: int) -> npt.NDArray[np.float32]:
        """[shape=(count,)] The tone at full level, from a phase in steps."""
        if self.cycle > _MAX_TABLE:
            return self._computed(phase, count)
        step = self.step % self.cycle
        period = self.cycle // gcd(step, self.cycle)
        phases = (phase + np.arange(min(count, period), dtype=np.int64) * step) % self.cycle
        once = self._turn[phases]
        return np.tile(once, -(-count // period))[:count] if count > period else once

    def _computed(self, phase: int, count: int) -> npt.NDArray[np.float32]:
        """[shape=(count,)] The same, computed in units of 2^-64 turns, which wrap as phases do."""
        start, step = (np.uint64((x % self.cycle << 64) // self.cycle) for x in (phase, self.step))
        phases = start + step * np.arange(count, dtype=np.uint64)
        wave: npt.NDArray[np.float32] = (
            self.amplitude * np.sin(2 * np.pi / 2**64 * phases.astype(np.float64))
        ).astype(np.float32)
        return wave

    def ramp(self, mask: Span) -> int:
        """Samples at each end of a mask in which the tone rises or falls."""
        if self.silent:
            return 0
        return min(self.rate_hz * _RAMP_MS // 1000, mask.length // 2)

    def steady_part(self, mask: Span) -> Span:
        """The samples of a mask in which the tone has its full level."""
        ramp = self.ramp(mask)
        return Span(mask.start + ramp, mask.end - ramp)

    def sound(self, mask: Span, start: int, end: int) -> npt.NDArray[np.float32]:
        """[shape=(end - start,)] The sound of a mask from `start` to `end`, inside it."""
        if self.silent:
            return np.zeros(end - start, dtype=np.float32)
        first, last = start - mask.start, end - mask.start
        wave = self.steady(first * self.step % self.cycle, last - first)
        ramp = self.ramp(mask)
        # Raised cosine, symmetric: sample i of the mask and sample i from its end are equal.
        if first < ramp:
            wave[: ramp - first] *= _rising(ramp)[first:last]
        fall = mask.length - ramp
        if last > fall:
            wave[max(0, fall - first) :] *= _rising(ramp)[::-1][max(0, first - fall) : last - fall]
        return wave

    def paint(self, pcm: npt.NDArray[np.float32], first: int, masks: Iterable[Span]) -> None:
        """Replace the masked samples of one channel in place; pcm[0] is raw sample `first`."""
        for mask in masks:
            start, end = max(mask.start, first), min(mask.end, first + len(pcm))
            if start < end:
                pcm[start - first : end - first] = self.sound(mask, start, end)

    def period_frames(self, samples_per_frame: int) -> int | None:
        """The number of frames after which the steady tone repeats; None if that is too long."""
        turn = samples_per_frame * self.step
        period = self.cycle // gcd(turn, self.cycle)
        return period if period <= _MAX_PERIOD_FRAMES else None
