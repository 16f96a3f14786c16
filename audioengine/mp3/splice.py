# SPDX-License-Identifier: Apache-2.0
"""Splits a frame into channels and joins channels into a frame, bit for bit.

Main data runs granule by granule, channel by channel, each exactly part2_3_length bits with no
alignment between (ISO/IEC 11172-3, 2.4.1.7); only the start of a frame's main data is byte
aligned. In a frame coded left/right, neither channel depends on the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from audioengine.mp3.header import StreamFormat
from audioengine.mp3.side_info import (
    BlockType,
    SideInfo,
    granule_layout,
    main_data_bits,
)


class ChannelFrame(NamedTuple):
    """One channel's part of one frame, independent of its position in a file."""

    scfsi: int
    granules: tuple[int, ...]
    """Packed granules of the side information, one or two."""
    data: tuple[int, ...]
    """Main data of each granule: part2_3_length bits as an integer, first bit highest."""

    def block_types(self, format: StreamFormat) -> tuple[BlockType, ...]:
        """The windows of the granules in order."""
        layout = granule_layout(format.lsf)
        return tuple(layout.block_type(granule) for granule in self.granules)

    def bits(self, format: StreamFormat) -> int:
        """Main data bits of the channel in this frame."""
        shift = granule_layout(format.lsf).length_shift
        return sum([granule >> shift for granule in self.granules])


def silent_channel(
    format: StreamFormat, before: BlockType = BlockType.LONG, after: BlockType = BlockType.LONG
) -> ChannelFrame:
    """A channel with empty main data: digital silence, plus the overlap of its neighbours.

    before, after: the windows of the neighbours; its own are legal between them.
    """
    starts_short = before in (BlockType.START, BlockType.SHORT)
    ends_short = after in (BlockType.SHORT, BlockType.STOP)
    if format.granules == 1 and starts_short and ends_short:
        types = [BlockType.SHORT]
    else:
        types = [BlockType.LONG] * format.granules
        if starts_short:
            types[0] = BlockType.STOP
        if ends_short:
            types[-1] = BlockType.START
    layout = granule_layout(format.lsf)
    granules = tuple(
        (4 | block) << layout.window_shift if block is not BlockType.LONG else 0 for block in types
    )
    return ChannelFrame(0, granules, (0,) * format.granules)


def split_channels(info: SideInfo, adu: bytes, format: StreamFormat) -> tuple[ChannelFrame, ...]:
    """The channels of the frame whose own main data is `adu`.

    The channels are those of the stream: mid and side for a mid/side frame.
    """
    shift = granule_layout(format.lsf).length_shift
    left = main_data_bits(info, format)
    word = int.from_bytes(adu, "big") >> (8 * len(adu) - left)
    if format.lsf and format.channels == 2:
        # Nearly all calls are coded so: worth a way of its own.
        ((first, second),) = info.granules
        length = second >> shift
        return (
            ChannelFrame(info.scfsi[0], (first,), (word >> length,)),
            ChannelFrame(info.scfsi[1], (second,), (word & (1 << length) - 1,)),
        )
    data: list[tuple[int, ...]] = []
    for granule in info.granules:
        parts = []
        for packed in granule:
            length = packed >> shift
            left -= length
            parts.append(word >> left & ((1 << length) - 1))
        data.append(tuple(parts))
    return tuple(
        map(ChannelFrame, info.scfsi, zip(*info.granules, strict=True), zip(*data, strict=True))
    )


def separate_channels(
    frames: Iterable[tuple[bytes, int]], main_data: bytes, format: StreamFormat, quarter_steps: int
) -> list[list[ChannelFrame]]:
    """Split consecutive frames, coded left/right or mono, into channels, and amplify them.

    frames: the side information of each, and the offset of its own slot in `main_data`.

    The result equals parsing, splitting and amplifying frame by frame; one step is faster, and all
    encoded frames pass through here. `quarter_steps` must not be negative.
    """
    layout = granule_layout(format.lsf)
    width, shift = layout.bits, layout.length_shift
    mask = (1 << width) - 1
    gain_shift, most = layout.gain_shift, 255 - quarter_steps
    louder = quarter_steps << gain_shift
    channels = format.channels
    # As in the stream, granule by granule, channel by channel.
    places = range(width * (format.granules * channels - 1), -1, -width)
    # Above them MPEG-1 has scfsi; then come private bits, and main_data_begin.
    scfsi_shift = width * format.granules * channels
    begin_shift = 8 * format.side_info_bytes - (8 if format.lsf else 9)
    out: list[list[ChannelFrame]] = [[] for _ in range(channels)]
    if format.lsf and channels == 1:
        # What is encoded beside masks is nearly all so: worth a way of its own.
        for side_info, position in frames:
            word = int.from_bytes(side_info, "big")
            begin = position - (word >> begin_shift)
            granule = word & mask
            left = granule >> shift
            data = int.from_bytes(main_data[begin : begin + (left + 7 >> 3)], "big") >> (-left & 7)
            if granule >> gain_shift & 0xFF > most:
                raise ValueError(f"a global_gain has no room for {quarter_steps}")
            out[0].append(ChannelFrame(0, (granule + louder if left else granule,), (data,)))
        return out
    for side_info, position in frames:
        word = int.from_bytes(side_info, "big")
        begin = position - (word >> begin_shift)
        granules = [word >> place & mask for place in places]
        lengths = [granule >> shift for granule in granules]
        left = sum(lengths)
        data = int.from_bytes(main_data[begin : begin + (left + 7 >> 3)], "big") >> (-left & 7)
        parts = []
        for length in lengths:
            left -= length
            parts.append(data >> left & (1 << length) - 1)
        if max(granule >> gain_shift & 0xFF for granule in granules) > most:
            raise ValueError(f"a global_gain has no room for {quarter_steps}")
        granules = [granule + louder if granule >> shift else granule for granule in granules]
        for channel, units in enumerate(out):
            scfsi = 0 if format.lsf else word >> scfsi_shift + 4 * (channels - 1 - channel) & 15
            ours = slice(channel, None, channels)
            units.append(ChannelFrame(scfsi, tuple(granules[ours]), tuple(parts[ours])))
    return out


def join_channels(
    channels: Sequence[ChannelFrame], format: StreamFormat, main_data_begin: int = 0
) -> tuple[SideInfo, bytes]:
    """The side information and main data of a frame of these channels, coded left/right."""
    shift = granule_layout(format.lsf).length_shift
    if format.lsf and len(channels) == 2:
        # Nearly all calls are coded this way, so it has a faster path.
        left, right = channels
        (first,), (second,) = left.granules, right.granules
        length = second >> shift
        total = (first >> shift) + length
        word = left.data[0] << length | right.data[0]
        info = SideInfo(main_data_begin, (left.scfsi, right.scfsi), ((first, second),))
    else:
        word = total = 0
        granules = []
        for number in range(format.granules):
            packed = [channel.granules[number] for channel in channels]
            for channel, granule in zip(channels, packed, strict=True):
                length = granule >> shift
                word = word << length | channel.data[number]
                total += length
            granules.append(tuple(packed))
        scfsi = tuple([channel.scfsi for channel in channels])
        info = SideInfo(main_data_begin, scfsi, tuple(granules))
    size = (total + 7) >> 3
    return info, (word << (8 * size - total)).to_bytes(size, "big")


def amplified(channel: ChannelFrame, quarter_steps: int, format: StreamFormat) -> ChannelFrame:
    """The channel with its level multiplied by 2^(quarter_steps / 4), exactly.

    Raises ValueError if global_gain can't hold the result.
    """
    layout = granule_layout(format.lsf)
    granules = []
    for granule in channel.granules:
        steps = quarter_steps if granule >> layout.length_shift else 0
        gain = (granule >> layout.gain_shift & 0xFF) + steps
        if not 0 <= gain <= 255:
            raise ValueError(f"global_gain {gain} is outside 0 to 255")
        granules.append(granule + (steps << layout.gain_shift))
    return ChannelFrame(channel.scfsi, tuple(granules), channel.data)


# Mid/side decoding divides by the square root of two: two quarter steps of global_gain.
MID_TO_EACH_SIDE = -2
