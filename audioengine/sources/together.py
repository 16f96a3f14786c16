# SPDX-License-Identifier: Apache-2.0
"""Lays legs on one clock, as the two channels of a recording."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from audioengine.edits import Span
from audioengine.sources.leg import Block, Leg, Samples, as_float
from audioengine.sources.resampling import Resampled
from audioengine.times import ms_to_samples, round_half_up


@dataclass(frozen=True, slots=True)
class PlacedLeg:
    """A leg at the common rate, and the position of its first sample."""

    leg: Leg
    offset: int

    @property
    def span(self) -> Span:
        """Its position on the clock."""
        return Span(self.offset, self.offset + self.leg.length)


@dataclass(frozen=True, slots=True)
class Together:
    """A sound made of legs: sample k of a leg is sample k + offset; the rest is silent.

    Overlapping legs of one channel are added.
    """

    rate: int
    legs: tuple[tuple[PlacedLeg, ...], ...]
    """By channel, in order."""

    @property
    def channels(self) -> int:
        """The number of channels."""
        return len(self.legs)

    @property
    def length(self) -> int:
        """Samples to the end of the last leg."""
        return max(one.span.end for channel in self.legs for one in channel)

    @property
    def seeks(self) -> bool:
        """No: legs are read from front to back."""
        return False

    def blocks(self, size: int, start: int = 0) -> Iterator[Block]:
        """The samples in order, as `Sound.blocks` says."""
        running = [[_Running(one) for one in channel] for channel in self.legs]
        for first in range(0, self.length, size):
            block: Samples = np.zeros(
                (min(size, self.length - first), self.channels), dtype=np.float32
            )
            for channel, legs in enumerate(running):
                for leg in legs:
                    leg.add_to(block[:, channel], first)
            if first + len(block) > start:
                yield block[max(0, start - first) :]


class _Running:
    """A leg that is being read."""

    def __init__(self, placed: PlacedLeg) -> None:
        self._blocks: Iterator[Block] | None = None
        self._placed = placed
        self._rest: Samples = np.zeros(0, dtype=np.float32)

    def add_to(self, out: Samples, first: int) -> None:
        """Add its samples from `first` on, which must follow the samples added before."""
        span = self._placed.span
        low, high = max(span.start, first), min(span.end, first + len(out))
        if self._blocks is None:
            self._blocks = self._placed.leg.blocks(len(out))
        while low < high:
            if not len(self._rest):
                self._rest = as_float(next(self._blocks))
            count = min(len(self._rest), high - low)
            out[low - first : low - first + count] += self._rest[:count]
            self._rest = self._rest[count:]
            low += count


def lay_together(channels: Sequence[Sequence[Leg]], rate: int) -> Together:
    """Lay legs on one clock, at one sampling rate, from the earliest start.

    channels: the legs of each channel; at least one leg in all. If no start is known, all legs
    begin at the same time.
    """
    legs = [leg for channel in channels for leg in channel]
    earliest = min((leg.starts_at for leg in legs if leg.starts_at is not None), default=None)
    return Together(
        rate,
        tuple(tuple(_placed(leg, rate, earliest) for leg in channel) for channel in channels),
    )


def _placed(leg: Leg, rate: int, earliest: Fraction | None) -> PlacedLeg:
    offset = 0
    if earliest is not None and leg.starts_at is not None:
        offset = round_half_up(ms_to_samples(leg.starts_at - earliest, rate))
    return PlacedLeg(leg if leg.rate == rate else Resampled(leg, rate), offset)
