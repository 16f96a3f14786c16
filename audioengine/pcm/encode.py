# SPDX-License-Identifier: Apache-2.0
"""Encodes audio so that the encoder's frames fall on a given frame grid.

A channel coded alone does not depend on the other one; channels coded together share the bits.
LAME's frames are split into channels at once, without its headers and reservoir.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from audioengine.mp3.header import StreamFormat, Version, parse_header
from audioengine.mp3.splice import ChannelFrame, separate_channels
from audioengine.pcm.decode import decode_stream
from audioengine.pcm.lame import encoder
from audioengine.pcm.level import is_coarse, with_level

GRID_OFFSET = 1105
"""LAME's input sample n becomes raw sample n + 1105 of its output: 576 + 529."""

WARM_UP_FRAMES = 4
"""Frames after which LAME's window decisions no longer show its cold start."""

LOOK_AHEAD_FRAMES = 2
"""Frames of input after the last wanted one, for LAME's look-ahead."""

QUALITY = 5
"""LAME's noise shaping: 2 is best, 7 fastest."""

FINE_QUALITY = 4
"""The same, with the best division of each granule into Huffman tables. Two channels are 0.3 to
0.6 dB closer to the source at 8 kHz, and 0.1 to 0.3 dB at 16 and 44.1 kHz, for 11 to 13 % more of
LAME's time. 3 and 2 are 0.2 to 1.8 dB worse."""

# LAME's input is lowered by these quarter steps of global_gain, 3 dB, and the coded gain is raised
# by exactly as much. Where a voice begins beside a beep, this lowers the noise that spreads into
# the beep by up to 6 dB (8 kHz, 16 kbit/s).
_HEADROOM_STEPS = 2

# A block that stays in the processor's cache on its way to LAME.
_BLOCK_SAMPLES = 1 << 17


def lame_bitrate_index(format: StreamFormat, kbps: float) -> int:
    """The bitrate_index at which LAME codes with at least `kbps`, or its highest."""
    return min(format.bitrate_index_at_least(kbps), highest_bitrate_index(format))


def highest_bitrate_index(format: StreamFormat) -> int:
    """LAME's highest bitrate_index: in MPEG-2.5 it codes at most 64 kbit/s, mono or stereo."""
    return 8 if format.version is Version.MPEG_2_5 else 14


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive frames of a channel to encode, with the samples that they need."""

    pcm: npt.NDArray[np.float32]
    """[shape=(n,)] At the format's rate, full scale ±1. The first sample is raw sample GRID_OFFSET
    of the first frame, the last at least LOOK_AHEAD_FRAMES after the last wanted frame."""
    skip: int
    """Frames before the first wanted one."""
    count: int
    """Wanted frames."""


def encode_channel(
    stretches: Sequence[Stretch],
    format: StreamFormat,
    bitrate_index: int,
    *,
    lowpass_hz: int | None = None,
    short_blocks: bool = True,
    windows_of: int | None = None,
) -> list[list[ChannelFrame]]:
    """Encode each stretch of one channel, in mono.

    All stretches pass through one encoder in the given order, because starting one costs as much as
    a dozen frames. The skipped frames of a stretch clear the encoder's state from the one before.
    Each stretch except the last must be whole frames long.

    lowpass_hz, short_blocks: as for `audioengine.pcm.lame.encoder`.
    windows_of: the bitrate_index by which windows are chosen; LAME's depend on the bitrate.
    """
    mono = StreamFormat(format.version, format.rate_index, 1)
    parts = [(stretch,) for stretch in stretches]
    made = _encode(parts, mono, bitrate_index, QUALITY, lowpass_hz, short_blocks, windows_of)
    return [units for (units,) in made]


def encode_pair(
    pairs: Sequence[tuple[Stretch, Stretch]],
    format: StreamFormat,
    bitrate_index: int,
    *,
    quality: int = QUALITY,
    lowpass_hz: int | None = None,
    short_blocks: bool = True,
    windows_of: int | None = None,
) -> list[list[list[ChannelFrame]]]:
    """Encode both channels of each stretch, left/right with shared bits.

    Works as `encode_channel`, at the bitrate of both channels together: the channel that needs more
    bits gets more. Both stretches of a pair must have the same length.
    """
    return _encode(pairs, format, bitrate_index, quality, lowpass_hz, short_blocks, windows_of)


def _encode(
    parts: Sequence[tuple[Stretch, ...]],
    format: StreamFormat,
    bitrate_index: int,
    quality: int,
    lowpass_hz: int | None,
    short_blocks: bool,
    windows_of: int | None,
) -> list[list[list[ChannelFrame]]]:
    """The frames by stretch and channel."""
    with encoder(
        format.rate_hz,
        format.channels,
        format.bitrates_kbps[bitrate_index],
        quality,
        lowpass_hz=lowpass_hz,
        short_blocks=short_blocks,
        attacks_as_kbps=None if windows_of is None else format.bitrates_kbps[windows_of],
    ) as lame:
        stream = b"".join((*map(lame.encode, _blocks(parts)), lame.flush()))
    wanted = []
    start = 0
    for part in parts:
        first = start + part[0].skip
        wanted.append(range(first, first + part[0].count))
        start += len(part[0].pcm) // format.samples_per_frame
    made = _take_apart(stream, format, wanted)
    if is_coarse(format, bitrate_index):
        return _at_level(made, parts, format, stream, wanted)
    return made


def _blocks(parts: Sequence[tuple[Stretch, ...]]) -> Iterator[npt.NDArray[np.float32]]:
    """All stretches in a row, [shape=(channels, n)], as LAME is given them."""
    scale = np.float32(2 ** (-_HEADROOM_STEPS / 4))
    block = np.empty((len(parts[0]), _BLOCK_SAMPLES), np.float32)
    filled = 0
    for part in parts:
        length = len(part[0].pcm)
        start = 0
        while start < length:
            count = min(length - start, _BLOCK_SAMPLES - filled)
            for row, one in zip(block, part, strict=True):
                # Masks are many and short: a call of LAME for each takes longer than copying.
                np.multiply(one.pcm[start : start + count], scale, row[filled : filled + count])
            start += count
            filled += count
            if filled == _BLOCK_SAMPLES:
                yield block
                filled = 0
    if filled:
        yield block[:, :filled]


def _at_level(
    made: Sequence[Sequence[Sequence[ChannelFrame]]],
    parts: Sequence[tuple[Stretch, ...]],
    format: StreamFormat,
    stream: bytes,
    wanted: Sequence[range],
) -> list[list[list[ChannelFrame]]]:
    """The frames, made louder where LAME coded them too quietly; see `audioengine.pcm.level`."""
    scale, spf = np.float32(2 ** (-_HEADROOM_STEPS / 4)), format.samples_per_frame
    decoded = decode_stream(stream)
    out = []
    for part, channels, frames in zip(parts, made, wanted, strict=True):
        zero = (frames.start - part[0].skip) * spf
        louder = []
        for channel, (stretch, units) in enumerate(zip(part, channels, strict=True)):
            given = np.concatenate((np.zeros(GRID_OFFSET, np.float32), scale * stretch.pcm))
            coded = decoded[zero:, channel]
            starts = range(stretch.skip * spf, (stretch.skip + stretch.count) * spf, spf)
            louder.append(
                [
                    with_level(
                        unit, format, given[start : start + 4 * spf], coded[start : start + 4 * spf]
                    )
                    for unit, start in zip(units, starts, strict=True)
                ]
            )
        out.append(louder)
    return out


def _take_apart(
    stream: bytes, format: StreamFormat, wanted: Sequence[range]
) -> list[list[list[ChannelFrame]]]:
    head = parse_header(stream)
    if head is None or head.format != format:
        raise RuntimeError(f"LAME wrote no frame of {format}")
    sync, sizes = stream[:2], format.frame_sizes
    info_offset, data_offset = head.side_info_offset, head.main_data_offset
    infos: list[bytes] = []
    slots: list[bytes] = []
    position = 0
    for _ in range(wanted[-1].stop):
        size = sizes[stream[position + 2]] if stream[position : position + 2] == sync else 0
        if not size:
            raise RuntimeError(f"LAME wrote no frame of {format} at byte {position}")
        infos.append(stream[position + info_offset : position + data_offset])
        slots.append(stream[position + data_offset : position + size])
        position += size
    main_data = b"".join(slots)
    frames = list(zip(infos, accumulate(map(len, slots), initial=0), strict=False))
    return [
        separate_channels(frames[part.start : part.stop], main_data, format, _HEADROOM_STEPS)
        for part in wanted
    ]
