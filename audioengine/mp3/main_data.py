# SPDX-License-Identifier: Apache-2.0
"""Frames with their own main data: the ADU view of RFC 5219.

The main data of a frame may begin in the slots of frames before it (ISO/IEC 11172-3, 2.4.3.4.2).
This module gathers each frame's own bytes, so that the layers above never deal with the reservoir.
"""

from __future__ import annotations

from typing import NamedTuple

from audioengine.mp3.bytesource import ByteSource
from audioengine.mp3.header import FrameHeader, parse_header
from audioengine.mp3.index import FrameIndex
from audioengine.mp3.side_info import (
    SideInfo,
    main_data_bits,
    pack_side_info,
    parse_side_info,
    side_is_empty,
)
from audioengine.mp3.splice import (
    MID_TO_EACH_SIDE,
    ChannelFrame,
    amplified,
    silent_channel,
    split_channels,
)


class Frame(NamedTuple):
    """One frame of a source, with its own main data."""

    number: int
    data: bytes
    """The whole frame, header first."""
    header: FrameHeader
    side_info: SideInfo
    adu: bytes
    """The frame's own main data; empty if not `intact`."""
    intact: bool
    """Whether its main data is not lost, by the index."""

    @property
    def slot_bytes(self) -> int:
        """Bytes in the frame's slot, for main data of this and later frames."""
        return len(self.data) - self.header.main_data_offset

    @property
    def equal_channels(self) -> bool:
        """Whether left and right are equal: mid/side with an empty side."""
        return (
            self.header.mid_side
            and not self.header.intensity
            and side_is_empty(self.side_info, self.header.format)
        )

    def silenced(self, main_data_begin: int) -> bytes:
        """The whole frame with empty main data and its slot kept.

        main_data_begin: how far the frame reaches back, because decoders keep no more main data
        than that for the next frame.
        """
        format = self.header.format
        nothing = ((0,) * format.channels,) * format.granules
        side = pack_side_info(SideInfo(main_data_begin, (0,) * format.channels, nothing), format)
        start, end = self.header.side_info_offset, self.header.main_data_offset
        return self.data[:start] + side + self.data[end:]

    def channels(self) -> tuple[ChannelFrame, ...] | None:
        """The frame by channel; None if its channels are coded together."""
        format = self.header.format
        if not self.intact:
            return (silent_channel(format),) * format.channels
        parts = split_channels(self.side_info, self.adu, format)
        if not self.header.mid_side and not self.header.intensity:
            return parts
        if not self.equal_channels or parts[0].block_types(format) != parts[1].block_types(format):
            return None
        try:
            return (amplified(parts[0], MID_TO_EACH_SIDE, format),) * 2
        except ValueError:
            return None


def look_back(index: FrameIndex, first: int) -> int:
    """The first frame whose slots may hold main data of frame `first`."""
    start = index.segment_start(first)
    missing = index.format.max_main_data_begin
    # The largest difference between a frame's size and its slot.
    overhead = 4 + 2 + index.format.side_info_bytes
    while first > start and missing > 0:
        first -= 1
        missing -= max(0, index.size(first) - overhead)
    return first


def read_frames(source: ByteSource, index: FrameIndex, first: int, last: int) -> list[Frame]:
    """The frames from `first` to before `last`, each with its own main data."""
    if first >= last:
        return []
    start = look_back(index, first)
    data = index.read_frames(source, start, last)
    lost = index.lost_between(start, last)
    segments = index.segments_between(start, last)
    out = []
    slots = bytearray()
    limit = index.format.max_main_data_begin
    position = 0
    sizes = index.sizes[index.byte2[start:last]].tolist()
    for number, size in enumerate(sizes, start):
        frame = data[position : position + size]
        position += size
        header = parse_header(frame)
        assert header is not None
        offset = header.main_data_offset
        info = parse_side_info(frame[header.side_info_offset : offset], header.format)
        if number in segments:
            slots.clear()
        own_slot = len(slots)
        slots += frame[offset:]
        if number >= first:
            begin = own_slot - info.main_data_begin
            end = begin + (main_data_bits(info, header.format) + 7) // 8
            intact = number not in lost and begin >= 0 and end <= len(slots)
            adu = bytes(slots[begin:end]) if intact else b""
            out.append(Frame(number, frame, header, info, adu, intact))
        if len(slots) > 4 * limit:
            del slots[: len(slots) - limit]
    return out
