# SPDX-License-Identifier: Apache-2.0
"""Resamples a leg, in order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from audioengine.sources.leg import Block, Leg, Samples, as_float
from audioengine.times import round_half_up

# Samples passed to soxr at once, so that the result does not depend on the reader's blocks.
_AT_ONCE = 1 << 16


@dataclass(frozen=True, slots=True)
class Resampled:
    """A leg at another rate; its sample k is heard k / rate after its start."""

    leg: Leg
    rate: int

    @property
    def length(self) -> int:
        """The number of samples."""
        return round_half_up(Fraction(self.leg.length * self.rate, self.leg.rate))

    @property
    def starts_at(self) -> Fraction | None:
        """The leg's own start."""
        return self.leg.starts_at

    def blocks(self, size: int) -> Iterator[Block]:
        """The samples in order, as `Leg.blocks` says."""
        left = self.length
        for whole in self._resampled():
            for first in range(0, len(whole), size):
                block = whole[first : min(first + size, left)]
                if len(block):
                    yield block
            left -= len(whole)
            if left <= 0:
                return
        if left:
            yield np.zeros(left, dtype=np.float32)

    def _resampled(self) -> Iterator[Samples]:
        import soxr  # only legs of other rates need it

        stream = soxr.ResampleStream(self.leg.rate, self.rate, 1, dtype="float32", quality="VHQ")
        for block in self.leg.blocks(_AT_ONCE):
            yield stream.resample_chunk(as_float(block))
        yield stream.resample_chunk(np.zeros(0, dtype=np.float32), last=True)
