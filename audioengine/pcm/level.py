# SPDX-License-Identifier: Apache-2.0
"""The level of granules that few bits hold.

Steps of many sizes give the same small numbers, which cost the same bits, and LAME takes the finest
of them: noise at 8 kbit/s came out up to 4.5 dB quieter than it was given. The numbers stay; the
step becomes the one that is nearest to what was given.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from audioengine.mp3.header import StreamFormat
from audioengine.mp3.side_info import granule_layout
from audioengine.mp3.splice import ChannelFrame

_FEW_BITS = 500
"""For a granule of a channel on the average. 8 kHz has 1,068 in stereo of 32 kbit/s, and 204 in
that of 8; 16 kHz has 780 and 60, 44.1 kHz 763 in stereo of 128 kbit/s."""

_MOST_STEPS = 4
"""Of 1.5 dB each; 3 were seen."""

_GRANULE = 576
_WINDOW, _WINDOW_LATE = 1152, 240
"""A granule's window, and the samples by which the filters in front of it delay it."""
_WEIGHTS = np.sin(np.pi / _WINDOW * (np.arange(_WINDOW) + 0.5)).astype(np.float32) ** 2


def is_coarse(format: StreamFormat, bitrate_index: int) -> bool:
    """Whether a bitrate has few bits for each granule of a channel."""
    return format.granule_bits(bitrate_index) < _FEW_BITS


def with_level(
    unit: ChannelFrame,
    format: StreamFormat,
    given: npt.NDArray[np.float32],
    coded: npt.NDArray[np.float32],
) -> ChannelFrame:
    """The frame, louder where that brings it nearer to what was given.

    given, coded: [shape=(n,)] What was encoded, and what the frame and its neighbours decode to,
    from the frame's first sample on; what is missing at the end counts as silence.
    """
    layout = granule_layout(format.lsf)
    granules = list(unit.granules)
    for number, granule in enumerate(granules):
        start = number * _GRANULE + _WINDOW_LATE
        here = slice(start, start + _WINDOW)
        theirs, ours = given[here], coded[here]
        count = min(len(theirs), len(ours))
        weighted = ours[:count] * _WEIGHTS[:count]
        power = float(weighted @ ours[:count])
        along = float(weighted @ theirs[:count])
        if not layout.part2_3_length(granule) or along <= power or not power:
            continue
        gain = layout.global_gain(granule)
        steps = min(_MOST_STEPS, round(4 * math.log2(along / power)), 255 - gain)
        granules[number] = layout.with_global_gain(granule, gain + steps)
    return unit._replace(granules=tuple(granules))
