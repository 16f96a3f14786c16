# SPDX-License-Identifier: Apache-2.0
"""How much of one channel is heard on the other: echo, side tone, crosstalk."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

LEAST_MS = 50
"""Shorter stretches have too few samples to tell one voice on both channels from two."""

_MAX_LAG_S = 0.25
_BLOCK_S = 4.0
_BAND_HZ = (200.0, 1900.0)
_SMOOTHED_HZ = 100.0
_LEAST_THRESHOLD = 0.2

# Voiced speech is strongest below 2 kHz; averaging neighbours is filter enough to get there.
_WORKING_RATE_HZ = 4000


class Coherence:
    """Gathers blocks of both channels; the largest correlation at any lag is the coherence.

    Blocks are whitened inside the band of voiced speech first, so that two voices with alike
    spectra do not pass for one, and quiet copies count like loud ones.
    """

    def __init__(self, rate_hz: int) -> None:
        self._factor = max(1, rate_hz // _WORKING_RATE_HZ)
        self._rate_hz = rate_hz / self._factor
        self._lags = int(_MAX_LAG_S * self._rate_hz)
        self._cross: npt.NDArray[np.float64] = np.zeros(2 * self._lags + 1)
        self._energy: npt.NDArray[np.float64] = np.zeros(2)
        self._samples = 0

    @property
    def block(self) -> int:
        """The most samples that `add` takes at once."""
        return ((1 << int(_BLOCK_S * self._rate_hz).bit_length()) - self._lags) * self._factor

    def add(self, pcm: npt.NDArray[np.float32]) -> None:
        """pcm: [shape=(n, 2)] consecutive samples of both channels, at most `block`."""
        count = len(pcm) // self._factor
        self._samples += count
        # Neighbours are added by strides: numpy is slow at means over so few.
        steps = (pcm[step : count * self._factor : self._factor] for step in range(self._factor))
        channels = np.ascontiguousarray(sum(steps, np.zeros((), np.float32)).T) / self._factor
        # Silence as long as the largest lag included: no lag wraps around.
        size = _fast_size(count + self._lags + 1)
        bin_hz = self._rate_hz / size
        band = slice(int(_BAND_HZ[0] / bin_hz), int(_BAND_HZ[1] / bin_hz))
        spectra = np.fft.rfft(channels, size)
        heard = spectra[:, band]
        heard /= _smoothed(np.abs(heard), int(_SMOOTHED_HZ / bin_hz) | 1) + 1e-9
        # Whitened, all blocks are equally loud: each counts by its length.
        self._energy += (np.abs(heard) ** 2).sum(axis=1) * (count / size)
        product = np.zeros(size // 2 + 1, dtype=heard.dtype)
        product[band] = heard[0] * heard[1].conj()
        cross = np.fft.irfft(product, size) * (count / 2)
        self._cross += np.concatenate((cross[-self._lags :], cross[: self._lags + 1]))

    def merge(self, other: Coherence) -> None:
        """Add what another one gathered at the same sampling rate."""
        self._samples += other._samples
        self._energy += other._energy
        self._cross += other._cross

    def threshold(self) -> float:
        """What two voices that have nothing in common hardly reach."""
        values = 2 * (_BAND_HZ[1] - _BAND_HZ[0]) * max(self._samples, 1) / self._rate_hz
        chance = np.sqrt(2 * np.log(2 * self._lags + 1) / values)
        return float(min(0.9, max(_LEAST_THRESHOLD, 2 * chance)))

    def value(self) -> float:
        """0 (nothing in common) to 1 (the same signal on both channels)."""
        scale = float(np.sqrt(self._energy[0] * self._energy[1]))
        return 0.0 if scale == 0 else min(1.0, float(np.abs(self._cross).max()) / scale)


def coherence_of(pcm: npt.NDArray[np.float32], rate_hz: int) -> Coherence:
    """pcm: [shape=(n, 2)] a stretch of both channels of any length."""
    coherence = Coherence(rate_hz)
    for start in range(0, len(pcm), coherence.block):
        coherence.add(pcm[start : start + coherence.block])
    return coherence


@lru_cache(maxsize=64)
def _fast_size(least: int) -> int:
    """The least even number, not below, that is quick to transform: of the factors 2, 3 and 5."""
    odd: list[int] = [3**threes * 5**fives for threes in range(9) for fives in range(7)]
    return min(part << max(1, (-(-least // part) - 1).bit_length()) for part in odd)


def _smoothed(magnitude: npt.NDArray[np.floating], width: int) -> npt.NDArray[np.float64]:
    """Moving average along the last axis over `width` bins, an odd number."""
    bins = magnitude.shape[-1]
    # As far as half the width beyond either end, its last value.
    places = np.arange(-(width // 2) - 1, bins + width // 2).clip(0, bins - 1)
    total = np.cumsum(magnitude[:, places], axis=-1, dtype=np.float64)
    smooth: npt.NDArray[np.float64] = (total[:, width:] - total[:, :-width]) / width
    return smooth
