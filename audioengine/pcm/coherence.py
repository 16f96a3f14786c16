# SPDX-License-Identifier: Apache-2.0
"""Measures how much of one channel is on the other: echo, side tone, crosstalk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

LEAST_MS = 50
"""Shorter stretches have too few samples to distinguish one voice on both channels from two."""

_Pcm: TypeAlias = npt.NDArray[np.float32]

_MAX_LAG_S = 0.25
_BLOCK_S = 4.0
_BAND_HZ = (200.0, 1900.0)
_SMOOTHED_HZ = 100.0
_LEAST_THRESHOLD = 0.2

# Voiced speech is strongest below 2 kHz; averaging neighbours filters well enough for that.
_WORKING_RATE_HZ = 4000

# Stretches transformed together: their transforms stay within a few megabytes.
_AT_ONCE = 16


class _Scale(NamedTuple):
    """How a sampling rate is reduced."""

    factor: int
    rate_hz: float
    lags: int

    @classmethod
    def of(cls, rate_hz: int) -> _Scale:
        factor = max(1, rate_hz // _WORKING_RATE_HZ)
        return cls(factor, rate_hz / factor, int(_MAX_LAG_S * rate_hz / factor))

    @property
    def block(self) -> int:
        """The most samples that are transformed at once."""
        return ((1 << int(_BLOCK_S * self.rate_hz).bit_length()) - self.lags) * self.factor

    def size(self, block: _Pcm) -> int:
        """The length of a block's transform.

        Silence as long as the largest lag is included: no lag wraps around.
        """
        return _fast_size(len(block) // self.factor + self.lags + 1)


class _Gathered(NamedTuple):
    """The contribution of one block."""

    samples: int
    energy: npt.NDArray[np.float64]
    """[shape=(2,)]"""
    cross: npt.NDArray[np.float64]
    """[shape=(2 * lags + 1,)]"""


class Coherence:
    """Gathers blocks of both channels; the largest correlation at any lag is the coherence.

    Blocks are first whitened inside the band of voiced speech, so that two voices with similar
    spectra are not taken for one, and quiet copies count like loud ones.
    """

    def __init__(self, rate_hz: int) -> None:
        self._scale = _Scale.of(rate_hz)
        self._lags = self._scale.lags
        self._cross: npt.NDArray[np.float64] = np.zeros(2 * self._lags + 1)
        self._energy: npt.NDArray[np.float64] = np.zeros(2)
        self._samples = 0
        self._value: float | None = None

    @property
    def block(self) -> int:
        """The most samples that `add` takes at once."""
        return self._scale.block

    def add(self, pcm: _Pcm) -> None:
        """Add a block: [shape=(n, 2)] consecutive samples of both channels, at most `block`."""
        for one in _gathered([pcm], self._scale.size(pcm), self._scale):
            self.take(one)

    def take(self, gathered: _Gathered) -> None:
        """Add the contribution of a block."""
        if not self._samples:
            self._samples, self._energy, self._cross = gathered
            return
        self._samples += gathered.samples
        self._energy += gathered.energy
        self._cross += gathered.cross

    def settle(self) -> None:
        """Keep only the value, in a thousandth of the memory; nothing can be added then."""
        self._value = self.value()
        self._cross = np.zeros(0)

    def merge(self, other: Coherence) -> None:
        """Add the contributions of another one at the same sampling rate."""
        self._samples += other._samples
        self._energy += other._energy
        self._cross += other._cross

    def threshold(self) -> float:
        """The value that two unrelated voices hardly ever reach."""
        values = 2 * (_BAND_HZ[1] - _BAND_HZ[0]) * max(self._samples, 1) / self._scale.rate_hz
        chance = np.sqrt(2 * np.log(2 * self._lags + 1) / values)
        return float(min(0.9, max(_LEAST_THRESHOLD, 2 * chance)))

    def value(self) -> float:
        """0 (nothing in common) to 1 (the same signal on both channels)."""
        if self._value is not None:
            return self._value
        scale = float(np.sqrt(self._energy[0] * self._energy[1]))
        return 0.0 if scale == 0 else min(1.0, float(np.abs(self._cross).max()) / scale)


def coherences_of(stretches: Iterable[_Pcm], rate_hz: int) -> list[Coherence]:
    """The coherence of each stretch, [shape=(n, 2)] both channels, of any length.

    Masks are many and short, so stretches with transforms of one size are transformed together.
    """
    scale = _Scale.of(rate_hz)
    out = []
    by_size: dict[int, list[tuple[Coherence, _Pcm]]] = {}
    for pcm in stretches:
        out.append(Coherence(rate_hz))
        for start in range(0, len(pcm), scale.block):
            block = pcm[start : start + scale.block]
            by_size.setdefault(scale.size(block), []).append((out[-1], block))
    for size, pairs in by_size.items():
        for start in range(0, len(pairs), _AT_ONCE):
            some = pairs[start : start + _AT_ONCE]
            found = _gathered([block for _, block in some], size, scale)
            for (one, _), gathered in zip(some, found, strict=True):
                one.take(gathered)
    return out


def _gathered(blocks: Sequence[_Pcm], size: int, scale: _Scale) -> Iterator[_Gathered]:
    """The contribution of each block; their transforms have one size."""
    factor, rate_hz, lags = scale
    # NumPy's single-precision transforms take three times as long at some sizes.
    channels = np.zeros((len(blocks), 2, size))
    counts = np.array([len(pcm) // factor for pcm in blocks])
    for pcm, count, both in zip(blocks, counts.tolist(), channels, strict=True):
        # Neighbours are added by strides, by channel: numpy is slow at means over few values.
        apart = pcm[: count * factor].T.astype(np.float64, order="C")
        mean = both[:, :count]
        for step in range(factor):
            mean += apart[:, step::factor]
    channels /= factor
    bin_hz = rate_hz / size
    band = slice(int(_BAND_HZ[0] / bin_hz), int(_BAND_HZ[1] / bin_hz))
    spectra = np.fft.rfft(channels)
    heard = spectra[..., band]
    gain = 1 / (_smoothed(np.abs(heard), int(_SMOOTHED_HZ / bin_hz) | 1) + 1e-9)
    # NumPy would multiply complex numbers, which takes ten times as long.
    heard.real *= gain
    heard.imag *= gain
    # Whitened blocks are all equally loud, so each counts by its length.
    energy = (np.abs(heard) ** 2).sum(axis=-1) * (counts / size)[:, np.newaxis]
    product = spectra[:, 0]
    product[:, band] *= heard[:, 1].conj()
    product[:, : band.start] = 0
    product[:, band.stop :] = 0
    cross = np.fft.irfft(product, size)
    around = np.concatenate((cross[:, -lags:], cross[:, : lags + 1]), axis=-1)
    around *= (counts / 2)[:, np.newaxis]
    return map(_Gathered, counts.tolist(), energy, around)


@lru_cache(maxsize=4096)
def _fast_size(least: int) -> int:
    """The smallest even number, at least `least`, with only the prime factors 2, 3 and 5."""
    odd: list[int] = [3**threes * 5**fives for threes in range(9) for fives in range(7)]
    return min(part << max(1, (-(-least // part) - 1).bit_length()) for part in odd)


def _smoothed(magnitude: npt.NDArray[np.floating], width: int) -> npt.NDArray[np.float64]:
    """Moving average along the last axis over `width` bins, an odd number."""
    half = width // 2
    bins = magnitude.shape[-1]
    # Half the width beyond either end repeats the value there.
    total = np.empty((*magnitude.shape[:-1], bins + 2 * half + 1))
    total[..., : half + 1] = magnitude[..., :1]
    total[..., half + 1 : half + 1 + bins] = magnitude
    total[..., half + 1 + bins :] = magnitude[..., -1:]
    np.cumsum(total, axis=-1, out=total)
    smooth: npt.NDArray[np.float64] = total[..., width:] - total[..., :-width]
    smooth /= width
    return smooth
