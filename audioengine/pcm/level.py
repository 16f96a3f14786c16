# SPDX-License-Identifier: Apache-2.0
"""Corrects the level of granules with few bits.

Quantiser steps of many sizes give the same small numbers, which cost the same bits, and LAME takes
the finest step: noise at 8 kbit/s became up to 4.5 dB too quiet. The numbers stay; the step is
replaced by the one that brings the level closest to the input's.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from audioengine.mp3.header import StreamFormat
from audioengine.mp3.side_info import granule_layout
from audioengine.mp3.splice import ChannelFrame

_FEW_BITS = 500
"""On average for a granule of a channel. Stereo at 8 kHz has 1,068 bits at 32 kbit/s and 204 at 8;
at 16 kHz 780 and 60; at 44.1 kHz 763 at 128 kbit/s."""

_MOST_STEPS = 4
"""The most steps of 1.5 dB; 3 were observed."""

_GRANULE = 576
_WINDOW, _WINDOW_LATE = 1152, 240
"""A granule's window, and its delay by the filters in front of it, in samples."""
_WEIGHTS = np.sin(np.pi / _WINDOW * (np.arange(_WINDOW) + 0.5)).astype(np.float32) ** 2


def is_coarse(format: StreamFormat, bitrate_index: int) -> bool:
    """Whether a bitrate leaves few bits for each granule of a channel."""
    return format.granule_bits(bitrate_index) < _FEW_BITS


def with_level(
    unit: ChannelFrame,
    format: StreamFormat,
    given: npt.NDArray[np.float32],
    coded: npt.NDArray[np.float32],
) -> ChannelFrame:
    """The frame, made louder if that brings it closer to the input.

    given, coded: [shape=(n,)] The encoder's input, and the decoded frame and its neighbours, from
    the frame's first sample on; samples missing at the end count as silence.
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
