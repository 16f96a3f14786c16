# SPDX-License-Identifier: Apache-2.0
"""The plan of encoding samples that come from no MP3: everything is made, exactly tagged."""

from __future__ import annotations

import numpy as np

from audioengine.edits import Edits, Span
from audioengine.mp3.header import FrameHeader, Mode, StreamFormat, Version
from audioengine.mp3.index import FrameIndex
from audioengine.plan.grid import place
from audioengine.plan.store import StorePlan


def plan_encode(format: StreamFormat, samples: int, bitrate_index: int) -> StorePlan:
    """The plan of a file that plays raw samples 0 to `samples`."""
    kept = Span(0, samples)
    grid = place(format, kept)
    return StorePlan(
        format=format,
        edits=Edits(samples, kept),
        kept=kept,
        grid=grid,
        masks=(),
        masked=((),) * format.channels,
        required=((grid.frames,),) * format.channels,
        trimmed=(),
        lost=(),
        clusters=(grid.frames,),
        bitrate_index=bitrate_index,
        padded=True,
        render="full",
        fallbacks=(),
        warnings=(),
    )


def empty_index(format: StreamFormat, bitrate_index: int) -> FrameIndex:
    """The index of a source without frames; its header is what the new frames share."""
    mode = Mode.SINGLE_CHANNEL if format.channels == 1 else Mode.JOINT_STEREO
    return FrameIndex(
        header=FrameHeader(format, False, bitrate_index, 0, mode, 0, 0),
        byte2=np.empty(0, dtype=np.uint8),
        segments=(),
        sizes=np.array(format.frame_sizes, dtype=np.uint16),
        info_tag=None,
        tags=(),
        junk=(),
        incomplete_last=None,
        lost=(),
        inner_tags=(),
        free_format=False,
    )


def format_for(rate_hz: int, channels: int) -> StreamFormat | None:
    """The stream format of a sampling rate; None where MP3 has no such rate."""
    for version in Version:
        for rate_index in range(3):
            format = StreamFormat(version, rate_index, channels)
            if format.rate_hz == rate_hz:
                return format
    return None
