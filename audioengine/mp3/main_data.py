# SPDX-License-Identifier: Apache-2.0
"""Frames with their own main data: the ADU view of RFC 5219.

The main data of a frame may begin in the slots of frames before it (ISO/IEC 11172-3, 2.4.3.4.2).
Here each frame of a stretch is read with its own bytes gathered, so that the layers above never
look at the reservoir.
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
    """The frame's own main data; empty where `intact` is false."""
    intact: bool
    """Whether the index does not call its main data lost."""

    @property
    def slot_bytes(self) -> int:
        """Main data bytes of the frame, whichever frame's data they hold."""
        return len(self.data) - self.header.main_data_offset

    @property
    def equal_channels(self) -> bool:
        """Whether left and right are the same: mid/side with nothing in side."""
        return (
            self.header.mid_side
            and not self.header.intensity
            and side_is_empty(self.side_info, self.header.format)
        )

    def silenced(self, main_data_begin: int) -> bytes:
        """The whole frame with empty main data, which begins so far back; its slots stay.

        Decoders have for the next frame only what this one reaches back to.
        """
        format = self.header.format
        nothing = ((0,) * format.channels,) * format.granules
        side = pack_side_info(SideInfo(main_data_begin, (0,) * format.channels, nothing), format)
        start, end = self.header.side_info_offset, self.header.main_data_offset
        return self.data[:start] + side + self.data[end:]

    def channels(self) -> tuple[ChannelFrame, ...] | None:
        """The frame by channel, or None where its channels are coded together."""
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
    # What a frame's size exceeds its slots by, at the most.
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
