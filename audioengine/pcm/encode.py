# SPDX-License-Identifier: Apache-2.0
"""Encoding one channel so that the encoder's frames fall on a given frame grid.

LAME is fed mono: a channel's frames then depend on nothing of the other one. Its own frames are
taken apart at once; what leaves here is free of LAME's headers and reservoir.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from audioengine.mp3.header import StreamFormat, parse_header
from audioengine.mp3.splice import ChannelFrame, mono_channels
from audioengine.pcm.lame import encoder

GRID_OFFSET = 1105
"""LAME codes its input sample n where raw sample n + 1105 of its output is: 576 + 529."""

WARM_UP_FRAMES = 4
"""Frames after which LAME's window decisions no longer show its cold start."""

LOOK_AHEAD_FRAMES = 2
"""Frames of input behind the last wanted one, for LAME's analysis of what comes next."""

QUALITY = 5
"""LAME's noise shaping: 2 is best, 7 fastest."""

# What stays in the processor's cache on its way to LAME.
_BLOCK_SAMPLES = 1 << 17


def mono_bitrate_index(format: StreamFormat, kbps: float) -> int:
    """The bitrate_index at which LAME codes mono at no less than `kbps`, where it can."""
    index = format.bitrate_index_at_least(kbps)
    # LAME takes at most 64 kbit/s in MPEG-2.5.
    return min(index, 8) if format.version.value == 0 else index


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive frames of a channel to be coded, and the samples that this takes."""

    pcm: npt.NDArray[np.float32]
    """[shape=(n,)] At the format's rate, full scale ±1. The first sample belongs at raw sample
    GRID_OFFSET of the first frame, the last at least LOOK_AHEAD_FRAMES behind the last frame
    wanted."""
    skip: int
    """Frames before the first one wanted."""
    count: int
    """Frames wanted."""


def encode_channel(
    stretches: Sequence[Stretch],
    format: StreamFormat,
    bitrate_index: int,
    *,
    lowpass_hz: int | None = None,
    short_blocks: bool = True,
    windows_of: int | None = None,
) -> list[list[ChannelFrame]]:
    """The frames of each stretch of one channel, coded in mono.

    All go through one encoder, whose start costs as much as a dozen frames, in the order given:
    a stretch's first frames, to be skipped, wipe out what the one before has left in it. Each
    stretch but the last must be whole frames long.

    lowpass_hz, short_blocks: as `audioengine.pcm.lame.encoder` takes them.
    windows_of: the bitrate_index whose windows are taken; LAME's depend on the bitrate.
    """
    mono = StreamFormat(format.version, format.rate_index, 1)
    kbps = mono.bitrates_kbps[bitrate_index]
    with encoder(
        mono.rate_hz,
        kbps,
        QUALITY,
        lowpass_hz=lowpass_hz,
        short_blocks=short_blocks,
        attacks_as_kbps=None if windows_of is None else mono.bitrates_kbps[windows_of],
    ) as lame:
        coded = [
            lame.encode(stretch.pcm[start : start + _BLOCK_SAMPLES])
            for stretch in stretches
            for start in range(0, len(stretch.pcm), _BLOCK_SAMPLES)
        ]
        stream = b"".join((*coded, lame.flush()))
    wanted = []
    start = 0
    for stretch in stretches:
        first = start + stretch.skip
        wanted.append(range(first, first + stretch.count))
        start += len(stretch.pcm) // mono.samples_per_frame
    return _take_apart(stream, mono, wanted)


def _take_apart(
    stream: bytes, mono: StreamFormat, wanted: Sequence[range]
) -> list[list[ChannelFrame]]:
    head = parse_header(stream)
    if head is None or head.format != mono:
        raise RuntimeError(f"LAME wrote no {mono.rate_hz} Hz mono frame")
    sync, sizes = stream[:2], mono.frame_sizes
    info_offset, data_offset = head.side_info_offset, head.main_data_offset
    infos: list[bytes] = []
    slots: list[bytes] = []
    position = 0
    for _ in range(wanted[-1].stop):
        size = sizes[stream[position + 2]] if stream[position : position + 2] == sync else 0
        if not size:
            raise RuntimeError(f"LAME wrote no {mono.rate_hz} Hz mono frame at byte {position}")
        infos.append(stream[position + info_offset : position + data_offset])
        slots.append(stream[position + data_offset : position + size])
        position += size
    main_data = b"".join(slots)
    frames = list(zip(infos, accumulate(map(len, slots), initial=0), strict=False))
    return [mono_channels(frames[part.start : part.stop], main_data, mono) for part in wanted]
