# SPDX-License-Identifier: Apache-2.0
"""Resamples any window of a recording; the result does not depend on where the window begins."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import numpy.typing as npt

# Extra samples on either side, so that the filter has settled.
_CONTEXT_MS = 100

Samples = npt.NDArray[np.float32]


def resample(
    read: Callable[[int, int], Samples], rate_hz: int, ratio: Fraction, start: int, end: int
) -> Samples:
    """[shape=(end - start, channels)] Samples `start` to `end` at `rate_hz` times `ratio`.

    Sample 0 is sample 0 of the recording. `read` returns any of its samples at `rate_hz`, zeros
    outside it.
    """
    import soxr  # only merges of different rates need it

    # The recording's and the resampled samples coincide every `down` samples.
    up, down = ratio.numerator, ratio.denominator
    context = -(-rate_hz * _CONTEXT_MS // (1000 * down))
    first, last = start // up - context, -(-end // up) + context
    source = read(first * down, last * down)
    out = soxr.resample(source, down, up, quality="VHQ")
    begin = start - first * up
    return np.ascontiguousarray(out[begin : begin + end - start], dtype=np.float32)
