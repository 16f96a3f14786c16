# SPDX-License-Identifier: Apache-2.0
"""How much of one channel is heard on the other: echo, side tone, crosstalk."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_MAX_LAG_S = 0.25
_BLOCK_S = 4.0
_BAND_HZ = (200.0, 3400.0)
_LEAST_THRESHOLD = 0.2


class Coherence:
    """Gathers blocks of both channels; the largest correlation at any lag is the coherence.

    Blocks are whitened inside the speech band first, so that two voices with alike spectra do
    not pass for one, and quiet copies count like loud ones.
    """

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._lags = int(_MAX_LAG_S * rate_hz)
        self._cross: npt.NDArray[np.float64] = np.zeros(2 * self._lags + 1)
        self._energy = np.zeros(2)
        self._samples = 0

    @property
    def block(self) -> int:
        """Samples that are best added at once."""
        return int(_BLOCK_S * self._rate_hz)

    def add(self, pcm: npt.NDArray[np.float32]) -> None:
        """pcm: [shape=(n, 2)] consecutive samples of both channels."""
        self._samples += len(pcm)
        size = 1 << (len(pcm) + self._lags).bit_length()
        spectra = np.fft.rfft(pcm, size, axis=0)
        frequency = np.fft.rfftfreq(size, 1 / self._rate_hz)
        spectra[(frequency < _BAND_HZ[0]) | (frequency > _BAND_HZ[1])] = 0
        spectra /= _smoothed(np.abs(spectra), size * 100 // self._rate_hz) + 1e-9
        self._energy += (np.abs(spectra) ** 2).sum(axis=0)
        cross = np.fft.irfft(spectra[:, 0] * spectra[:, 1].conj(), size) * size / 2
        self._cross += np.concatenate((cross[-self._lags :], cross[: self._lags + 1]))

    def threshold(self) -> float:
        """What two voices that have nothing in common hardly reach."""
        values = 2 * (_BAND_HZ[1] - _BAND_HZ[0]) * max(self._samples, 1) / self._rate_hz
        chance = np.sqrt(2 * np.log(2 * self._lags + 1) / values)
        return float(min(0.9, max(_LEAST_THRESHOLD, 1.5 * chance)))

    def value(self) -> float:
        """0 (nothing in common) to 1 (the same signal on both channels)."""
        scale = float(np.sqrt(self._energy[0] * self._energy[1]))
        return 0.0 if scale == 0 else min(1.0, float(np.abs(self._cross).max()) / scale)


def _smoothed(magnitude: npt.NDArray[np.float64], width: int) -> npt.NDArray[np.float64]:
    """Moving average along axis 0 over about `width` bins."""
    width = max(1, width) | 1
    padded = np.pad(magnitude, ((width // 2 + 1, width // 2), (0, 0)), mode="edge")
    total = np.cumsum(padded, axis=0)
    smooth: npt.NDArray[np.float64] = (total[width:] - total[:-width]) / width
    return smooth
