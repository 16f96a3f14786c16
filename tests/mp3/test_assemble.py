# SPDX-License-Identifier: Apache-2.0
"""Frames back to bytes, with main data in the slots that frames share."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioengine.mp3.assemble import SlotWriter, frame_head
from audioengine.mp3.header import FrameHeader, StreamFormat, Version, parse_header
from audioengine.mp3.side_info import parse_side_info
from tests.strategies import formats, headers, side_infos
from tests.support import WHOLE, read


@given(headers(free_format=False), st.data())
def test_a_head_holds_header_crc_and_side_information(
    header: FrameHeader, data: st.DataObject
) -> None:
    info = data.draw(side_infos(header.format))
    head = frame_head(header, info)
    assert len(head) == header.main_data_offset
    assert parse_header(head) == header
    assert parse_side_info(head[header.side_info_offset :], header.format) == info


@pytest.mark.parametrize("name", [name for name in WHOLE if name != "wrong-crc"])
def test_heads_of_recordings_are_reproduced_to_the_bit(name: str) -> None:
    """Encoders that set no private bits: header, CRC and side information come back."""
    for frame in read(name):
        expected = frame.data[: frame.header.main_data_offset]
        assert frame_head(frame.header, frame.side_info) == expected


@st.composite
def laid_frames(draw: st.DrawFn, format: StreamFormat) -> list[tuple[bytes, int, bytes, int]]:
    """Frames in order as (head, slot bytes, main data, main_data_begin), nothing overlapping."""
    out = []
    position = end = 0
    for number in range(draw(st.integers(1, 12))):
        slot = draw(st.integers(0, 400))
        begin = draw(st.integers(0, min(position - end, format.max_main_data_begin)))
        room = begin + slot
        length = draw(st.integers(0, room))
        # No zero byte, so that what isn't main data shows.
        adu = draw(st.binary(min_size=length, max_size=length)).replace(b"\0", b"\x01")
        out.append((b"<%02d>" % number, slot, adu, begin))
        end = position - begin + length
        position += slot
    return out


def written(
    writer: SlotWriter, frames: list[tuple[bytes, int, bytes, int]], ask: list[bool]
) -> list[bytes]:
    out = []
    for frame, finish in zip(frames, ask, strict=False):
        writer.push(*frame)
        if finish:
            out += writer.finished()
    return out + writer.flush()


@given(formats, st.data())
def test_every_byte_of_main_data_is_where_it_belongs_and_all_others_are_zero(
    format: StreamFormat, data: st.DataObject
) -> None:
    frames = data.draw(laid_frames(format))
    ask = data.draw(st.lists(st.booleans(), min_size=len(frames), max_size=len(frames)))
    out = written(SlotWriter(format), frames, ask)
    assert len(out) == len(frames)
    expected = bytearray(sum(slot for _, slot, _, _ in frames))
    position = 0
    for _, slot, adu, begin in frames:
        expected[position - begin : position - begin + len(adu)] = adu
        position += slot
    got = b""
    for (head, slot, _, _), frame in zip(frames, out, strict=True):
        assert frame[: len(head)] == head
        assert len(frame) == len(head) + slot
        got += frame[len(head) :]
    assert got == expected


@given(formats, st.data())
def test_frames_are_given_out_as_soon_as_no_later_one_can_reach_them(
    format: StreamFormat, data: st.DataObject
) -> None:
    writer = SlotWriter(format)
    held: list[int] = []
    for head, slot, adu, begin in data.draw(laid_frames(format)):
        writer.push(head, slot, adu, begin)
        held.append(slot)
        del held[: len(writer.finished())]
        # The oldest frame held is in reach; without it all would be, or more than its slot is.
        assert sum(held) <= format.max_main_data_begin + (held[0] if held else 0)
        if held:
            assert sum(held) - held[0] < format.max_main_data_begin


@given(formats, st.data())
def test_main_data_of_a_frame_to_come_is_taken_as_far_as_it_lies_in_held_slots(
    format: StreamFormat, data: st.DataObject
) -> None:
    """Its rest lies in its own frame, which is copied."""
    slots = data.draw(st.lists(st.integers(0, 300), min_size=1, max_size=6))
    begin = data.draw(st.integers(1, format.max_main_data_begin))
    adu = data.draw(st.binary(max_size=600)).replace(b"\0", b"\x01")
    writer = SlotWriter(format)
    for slot in slots:
        writer.push(b"h", slot, b"", 0)
    writer.adopt(adu, begin)
    got = b"".join(frame[1:] for frame in writer.flush())
    total = sum(slots)
    expected = bytearray(total)
    for number, byte in enumerate(adu):
        place = total - begin + number
        if 0 <= place < total:
            expected[place] = byte
    assert got == expected


def test_main_data_before_the_first_frame_held_is_left_out() -> None:
    format = StreamFormat(Version.MPEG_1, 0, 2)
    writer = SlotWriter(format)
    writer.push(b"h", 4, b"abcdef", 3)
    assert writer.flush() == [b"hdef\0"]
    writer.push(b"h", 2, b"ab", 9)
    assert writer.flush() == [b"h\0\0"]


def test_main_data_that_ends_behind_its_frame_is_refused() -> None:
    writer = SlotWriter(StreamFormat(Version.MPEG_2, 0, 2))
    writer.push(b"h", 4, b"", 0)
    with pytest.raises(ValueError, match="behind"):
        writer.push(b"h", 2, b"abcde", 2)


def test_the_private_bits_of_a_source_are_not_kept() -> None:
    """They may hide anything."""
    frame = read("mpeg1-44k-128k")[5]
    side = bytearray(frame.data[4:36])
    side[1] |= 0x70
    info = parse_side_info(bytes(side), frame.header.format)
    assert info == frame.side_info
    assert frame_head(frame.header, info) == frame.data[:36]
