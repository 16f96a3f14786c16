# SPDX-License-Identifier: Apache-2.0
"""A look-ahead limiter for the sum of several recordings.

Its gain depends only on nearby samples, so every window of a sum gives the same result. The gain
that a sample needs is spread by a sliding minimum and smoothed by two running means that are not
longer, so the gain is never higher than any sample needs. It is exactly 1 if no nearby sample is
too loud, and returns to 1 at the borders of the sum, where samples that are too loud are clipped.
A sum continues when its recordings change.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

CEILING = 10 ** (-1.5 / 20)
"""Full scale ±1; MP3 may add up to 1.3 dB of peak."""

_SMOOTHING_MS = 5
_BORDER_MS = 5

# Gains are summed as integers: sums of floats would depend on where a window begins.
_ONE = 1 << 30

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Limiter:
    """A limiter at a sampling rate."""

    rate_hz: int

    @property
    def _half(self) -> int:
        """Half the length of a running mean, in samples."""
        return self.rate_hz * _SMOOTHING_MS // 2000

    @property
    def reach(self) -> int:
        """The number of samples on either side that affect a sample's gain."""
        return 4 * self._half

    def gain(self, mix: Samples, before: int, after: int) -> Samples | None:
        """[shape=mix.shape] The gain of each sample of one channel; None where it is 1 throughout.

        mix: [shape=(n,)] A window of a sum; `before` samples of the sum precede it, `after` follow.
        Within `reach` of an end of the window that is no end of the sum, the gain is not right.
        """
        peak = np.abs(mix)
        loud = np.flatnonzero(peak > CEILING)
        if not len(loud):
            return None
        gain: Samples = np.ones(len(mix), dtype=np.float32)
        # Far from samples that are too loud, nothing needs computing.
        apart = np.flatnonzero(np.diff(loud) > 2 * self.reach)
        for first, last in zip(
            loud[np.concatenate(([0], apart + 1))], loud[np.concatenate((apart, [-1]))], strict=True
        ):
            start, end = max(0, int(first) - self.reach), min(len(mix), int(last) + self.reach + 1)
            near = self._near(peak[start:end], before + start, after + len(mix) - end)
            gain[start:end] = near
        return gain

    def _near(self, peak: Samples, before: int, after: int) -> Samples:
        """The gain around samples that are too loud, from the magnitudes of nearby samples."""
        needed = np.minimum(1, CEILING / np.maximum(peak, np.float32(1e-9)))
        reduction = np.ceil((1 - needed) * _ONE).astype(np.int64)
        half = self._half
        spread = _sliding_maximum(reduction, 2 * half)
        smooth = _running_sum(_running_sum(spread, half), half) / float(_ONE * (2 * half + 1) ** 2)
        count = np.arange(len(peak))
        border = max(1, self.rate_hz * _BORDER_MS // 1000)
        nearest = np.minimum(before + count, after + len(peak) - 1 - count)
        gain = 1 - smooth * np.minimum(1, nearest / border)
        least: Samples = np.minimum(gain, needed).astype(np.float32)
        return least


def _padded(values: npt.NDArray[np.int64], reach: int) -> npt.NDArray[np.int64]:
    return np.pad(values, reach)


def _sliding_maximum(values: npt.NDArray[np.int64], reach: int) -> npt.NDArray[np.int64]:
    """The maximum over `reach` samples on either side."""
    wide, length = _padded(values, reach), 1
    while length < 2 * reach + 1:
        step = min(length, 2 * reach + 1 - length)
        wide = np.maximum(wide[:-step], wide[step:])
        length += step
    return wide


def _running_sum(values: npt.NDArray[np.int64], reach: int) -> npt.NDArray[np.int64]:
    """The sum over `reach` samples on either side."""
    total = np.concatenate(([0], np.cumsum(_padded(values, reach))))
    sums: npt.NDArray[np.int64] = total[2 * reach + 1 :] - total[: -2 * reach - 1]
    return sums
