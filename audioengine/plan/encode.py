# SPDX-License-Identifier: Apache-2.0
"""Plans the encoding of samples that come from no MP3: every frame is made."""

from __future__ import annotations

from audioengine.edits import Span
from audioengine.mp3.header import (
    SAMPLING_RATES_HZ,
    FrameHeader,
    Mode,
    StreamFormat,
    Version,
)
from audioengine.plan.grid import place
from audioengine.plan.rendering import Cause, RenderPlan

RATES_HZ = tuple(sorted(rate for rates in SAMPLING_RATES_HZ.values() for rate in rates))
"""The sampling rates of MP3."""


def plan_encode(format: StreamFormat, samples: int, bitrate_index: int) -> RenderPlan:
    """The plan of a file that plays raw samples 0 to `samples`."""
    kept = Span(0, samples)
    grid = place(format, kept)
    every = ((grid.frames,),) * format.channels
    return RenderPlan(
        format=format,
        kept=kept,
        grid=grid,
        masks=(),
        masked=((),) * format.channels,
        required=every,
        made=every,
        borders=((),) * format.channels,
        causes=(Cause("full", (grid.frames,)),),
        lost=(),
        clusters=(grid.frames,),
        silences=(),
        bitrate_index=bitrate_index,
        padded=True,
        full_band=False,
        keeps_start=True,
        render="full",
    )


def header_for(format: StreamFormat, bitrate_index: int) -> FrameHeader:
    """The header of frames in a file without a source MP3."""
    mode = Mode.SINGLE_CHANNEL if format.channels == 1 else Mode.JOINT_STEREO
    return FrameHeader(format, False, bitrate_index, 0, mode, 0, 0)


def format_for(rate_hz: int, channels: int) -> StreamFormat | None:
    """The stream format of a sampling rate; None if MP3 lacks that rate."""
    for version in Version:
        for rate_index in range(3):
            format = StreamFormat(version, rate_index, channels)
            if format.rate_hz == rate_hz:
                return format
    return None
