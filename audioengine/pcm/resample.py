# SPDX-License-Identifier: Apache-2.0
"""Any window of a recording at another sampling rate, the same wherever the window begins."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import numpy.typing as npt

# Resampled beside what is wanted, so that the filter has settled.
_CONTEXT_MS = 100

Samples = npt.NDArray[np.float32]


def resample(
    read: Callable[[int, int], Samples], rate_hz: int, ratio: Fraction, start: int, end: int
) -> Samples:
    """[shape=(end - start, channels)] Samples `start` to `end` at `rate_hz` times `ratio`.

    Sample 0 is sample 0 of the recording, of which `read` gives any samples at `rate_hz`; those
    that it has not are zero.
    """
    import soxr  # only merges of different rates need it

    # Every `down` samples, the recording's and the resampled ones coincide.
    up, down = ratio.numerator, ratio.denominator
    context = -(-rate_hz * _CONTEXT_MS // (1000 * down))
    first, last = start // up - context, -(-end // up) + context
    source = read(first * down, last * down)
    out = soxr.resample(source, down, up, quality="VHQ")
    begin = start - first * up
    return np.ascontiguousarray(out[begin : begin + end - start], dtype=np.float32)
