# SPDX-License-Identifier: Apache-2.0
"""Measures the level of each channel of a sound while it is read."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from audioengine.sources.leg import FULL_SCALE, Block, Samples, Sound, as_float

_CLIPPED = np.float32((FULL_SCALE - 1) / FULL_SCALE)


@dataclass(frozen=True, slots=True)
class Level:
    """The level of one channel."""

    power: float
    """Sum of the squares, full scale being 1."""
    peak: float
    clipped: int
    """Samples at full scale or beyond."""

    def rms_dbfs(self, samples: int) -> float | None:
        """Root mean square over `samples` samples; None: digital silence."""
        return _decibels(math.sqrt(self.power / samples)) if self.power and samples else None

    @property
    def peak_dbfs(self) -> float | None:
        """The highest sample; None: digital silence."""
        return _decibels(self.peak) if self.peak else None


def _decibels(amplitude: float) -> float:
    return round(20 * math.log10(amplitude), 2)


class Metered:
    """A sound that measures its samples once, even if they are read several times."""

    def __init__(self, sound: Sound) -> None:
        self._sound = sound
        self._measured = 0
        self._power = np.zeros(sound.channels)
        self._peak = np.zeros(sound.channels)
        self._clipped = np.zeros(sound.channels, dtype=np.int64)

    @property
    def rate(self) -> int:
        """Sampling rate in Hz."""
        return self._sound.rate

    @property
    def channels(self) -> int:
        """1 or 2."""
        return self._sound.channels

    @property
    def length(self) -> int:
        """Samples per channel."""
        return self._sound.length

    @property
    def seeks(self) -> bool:
        """As the sound."""
        return self._sound.seeks

    def blocks(self, size: int, start: int = 0) -> Iterator[Block]:
        """The samples in order, as `Sound.blocks` says."""
        position = start
        for block in self._sound.blocks(size, start):
            new: Block = block[max(0, self._measured - position) :]
            position += len(block)
            if len(new):
                self._measured = position
                for channel in range(self.channels):
                    self._add(channel, np.ascontiguousarray(as_float(new[:, channel])))
            yield block

    def _add(self, channel: int, pcm: Samples) -> None:
        peak = max(float(pcm.max()), -float(pcm.min()))
        self._power[channel] += np.dot(pcm, pcm)
        self._peak[channel] = max(self._peak[channel], peak)
        if peak >= _CLIPPED:
            self._clipped[channel] += np.count_nonzero(np.abs(pcm) >= _CLIPPED)

    def levels(self) -> Sequence[Level]:
        """The levels of the samples read so far, by channel."""
        return [
            Level(float(power), float(peak), int(clipped))
            for power, peak, clipped in zip(self._power, self._peak, self._clipped, strict=True)
        ]
