# SPDX-License-Identifier: Apache-2.0
"""Taking a frame apart by channel and joining channels into a frame, bit for bit.

Main data runs granule by granule, channel by channel, each exactly part2_3_length bits with no
alignment between (ISO/IEC 11172-3, 2.4.1.7); only the start of a frame's main data is byte
aligned. Where a frame is coded left/right, nothing of one channel depends on the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from audioengine.mp3.header import StreamFormat
from audioengine.mp3.side_info import (
    BlockType,
    SideInfo,
    granule_layout,
    main_data_bits,
)


@dataclass(frozen=True, slots=True)
class ChannelFrame:
    """One channel's part of one frame, free of any place in a file."""

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
        layout = granule_layout(format.lsf)
        return sum(layout.part2_3_length(granule) for granule in self.granules)


def silent_channel(format: StreamFormat) -> ChannelFrame:
    """A channel with empty main data: digital silence, plus what the neighbours overlap."""
    return ChannelFrame(0, (0,) * format.granules, (0,) * format.granules)


def split_channels(info: SideInfo, adu: bytes, format: StreamFormat) -> tuple[ChannelFrame, ...]:
    """The channels of the frame whose own main data is `adu`.

    The parts are what stands in the stream: of a mid/side frame they are mid and side.
    """
    shift = granule_layout(format.lsf).bits - 12
    total = main_data_bits(info, format)
    word = int.from_bytes(adu, "big") >> (8 * len(adu) - total)
    left = total
    data: list[list[int]] = [[] for _ in range(format.channels)]
    for granule in info.granules:
        for channel, packed in enumerate(granule):
            length = packed >> shift
            left -= length
            data[channel].append(word >> left & ((1 << length) - 1))
    return tuple(
        ChannelFrame(
            info.scfsi[channel],
            tuple(granule[channel] for granule in info.granules),
            tuple(data[channel]),
        )
        for channel in range(format.channels)
    )


def join_channels(
    channels: Sequence[ChannelFrame], format: StreamFormat, main_data_begin: int = 0
) -> tuple[SideInfo, bytes]:
    """The side information and main data of a frame of these channels, coded left/right."""
    shift = granule_layout(format.lsf).bits - 12
    word = 0
    total = 0
    for granule in range(format.granules):
        for channel in channels:
            length = channel.granules[granule] >> shift
            word = word << length | channel.data[granule]
            total += length
    size = (total + 7) // 8
    info = SideInfo(
        main_data_begin,
        tuple(channel.scfsi for channel in channels),
        tuple(
            tuple(channel.granules[granule] for channel in channels)
            for granule in range(format.granules)
        ),
    )
    return info, (word << (8 * size - total)).to_bytes(size, "big")


def amplified(channel: ChannelFrame, quarter_steps: int, format: StreamFormat) -> ChannelFrame:
    """The channel with its level multiplied by 2^(quarter_steps / 4), exactly.

    Raises ValueError where global_gain can't hold the result.
    """
    layout = granule_layout(format.lsf)

    def louder(granule: int) -> int:
        if not layout.part2_3_length(granule):
            return granule
        gain = layout.global_gain(granule) + quarter_steps
        if not 0 <= gain <= 255:
            raise ValueError(f"global_gain {gain} is outside 0 to 255")
        return layout.with_global_gain(granule, gain)

    return ChannelFrame(channel.scfsi, tuple(map(louder, channel.granules)), channel.data)


# Mid/side decoding divides by the square root of two: two quarter steps of global_gain.
MID_TO_EACH_SIDE = -2
