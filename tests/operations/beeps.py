# SPDX-License-Identifier: Apache-2.0
"""What masks should sound like, by the contract, and where they are."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt


def join(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same samples, no two ranges overlapping or touching."""
    out: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], end))
        else:
            out.append((start, end))
    return out


def beep(
    length: int, rate: int, frequency_hz: float = 1000, level_dbfs: float = -20
) -> npt.NDArray[np.float64]:
    """[shape=(length,)] What a mask should sound like, by the contract."""
    position = np.arange(length)
    edge = np.minimum(position, length - 1 - position) + 0.5
    ramp = min(rate * 5 // 1000, length // 2)
    gain = 0.5 - 0.5 * np.cos(np.pi * np.minimum(edge / max(ramp, 1), 1))
    tone = np.sin(2 * np.pi * frequency_hz / rate * position)
    wave: npt.NDArray[np.float64] = 10 ** (level_dbfs / 20) * gain * tone
    return wave


def db(ratio: float) -> float:
    """A ratio of powers in decibels."""
    return float(10 * np.log10(max(ratio, 1e-30)))
