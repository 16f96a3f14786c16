# SPDX-License-Identifier: Apache-2.0
"""Encoding one channel so that the encoder's frames fall on a given frame grid.

LAME is fed mono: a channel's frames then depend on nothing of the other one. Its own frames are
taken apart at once; what leaves here is free of LAME's headers and reservoir.
"""

from __future__ import annotations

import lameenc
import numpy as np
import numpy.typing as npt

from audioengine.mp3.header import StreamFormat, parse_header
from audioengine.mp3.splice import ChannelFrame, mono_channel

GRID_OFFSET = 1105
"""LAME codes its input sample n where raw sample n + 1105 of its output is: 576 + 529."""

WARM_UP_FRAMES = 4
"""Frames after which LAME's window decisions no longer show its cold start."""

LOOK_AHEAD_FRAMES = 2
"""Frames of input behind the last wanted one, for LAME's analysis of what comes next."""

QUALITY = 5
"""LAME's noise shaping: 2 is best, 7 fastest."""

# Half of full scale in quarter steps of global_gain: room for sums and decoder overshoot in
# the 16 bits that LAME takes, given back exactly in the coded gain.
_HEADROOM_STEPS = 2


def input_gain(kbps: int) -> float:
    """The factor that LAME applies to its input at constant bitrate, measured on 3.100."""
    if kbps >= 256:
        return 1.0
    if kbps >= 224:
        return 0.98
    return 0.97 if kbps >= 192 else 0.95


def mono_bitrate_index(format: StreamFormat, kbps: float) -> int:
    """The bitrate_index at which LAME codes mono at no less than `kbps`, where it can."""
    index = format.bitrate_index_at_least(kbps)
    # LAME takes at most 64 kbit/s in MPEG-2.5.
    return min(index, 8) if format.version.value == 0 else index


def encode_channel(
    pcm: npt.NDArray[np.float32], format: StreamFormat, bitrate_index: int, skip: int, count: int
) -> list[ChannelFrame]:
    """`count` frames of `pcm` behind the first `skip`, coded in mono.

    pcm: [shape=(n,)] samples at `format.rate_hz`, full scale ±1; its first sample belongs at
    raw sample GRID_OFFSET of the first frame, its last at least LOOK_AHEAD_FRAMES behind the
    last frame wanted.
    """
    mono = StreamFormat(format.version, format.rate_index, 1)
    kbps = mono.bitrates_kbps[bitrate_index]
    encoder = lameenc.Encoder()
    encoder.silence()
    encoder.set_channels(1)
    encoder.set_in_sample_rate(mono.rate_hz)
    encoder.set_out_sample_rate(mono.rate_hz)
    encoder.set_bit_rate(kbps)
    encoder.set_quality(QUALITY)
    scaled = pcm * np.float32(32_768 * 2 ** (-_HEADROOM_STEPS / 4) / input_gain(kbps))
    np.rint(scaled, out=scaled)
    integers = np.clip(scaled, -32_768, 32_767, out=scaled).astype("<i2")
    stream = bytes(encoder.encode(integers.tobytes()) + encoder.flush())
    return _take_apart(stream, mono, skip, count)


def _take_apart(stream: bytes, mono: StreamFormat, skip: int, count: int) -> list[ChannelFrame]:
    heads: list[bytes] = []
    slots: list[bytes] = []
    position = 0
    while len(heads) < skip + count:
        header = parse_header(stream, position)
        if header is None or header.format != mono:
            raise RuntimeError(f"LAME wrote no {mono.rate_hz} Hz mono frame at byte {position}")
        end = position + mono.frame_sizes[stream[position + 2]]
        main_data = position + header.main_data_offset
        heads.append(stream[position + header.side_info_offset : main_data])
        slots.append(stream[main_data:end])
        position = end
    stream_slots = b"".join(slots)
    position = sum(map(len, slots[:skip]))
    out: list[ChannelFrame] = []
    for head, slot in zip(heads[skip:], slots[skip:], strict=True):
        out.append(mono_channel(head, stream_slots, position, mono, _HEADROOM_STEPS))
        position += len(slot)
    return out
