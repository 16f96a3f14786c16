# SPDX-License-Identifier: Apache-2.0
"""Frames on their way to bytes: in order, counted, nothing stale in their slots."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioengine.mp3.main_data import Frame
from audioengine.mp3.reservoir import Placement
from audioengine.mp3.splice import join_channels, silent_channel
from audioengine.render.output import FrameOutput, Kind
from audioengine.render.stream import RecordingStream
from fixtures import mpeg
from tests.strategies import examples
from tests.support import Bytes, fixture, indexed, main_data, read, sound

NAMES = ("mpeg25-8k-32k", "mpeg2-16k-48k", "mpeg1-44k-128k", "vbr-16k", "crc-44k", "mono-8k")


def emptied(frames: list[Frame]) -> bytes:
    """The frames with zeros where no main data of theirs is."""
    slots = bytearray(sum(frame.slot_bytes for frame in frames))
    position = 0
    for frame in frames:
        start = position - frame.side_info.main_data_begin
        for number, byte in enumerate(frame.adu):
            if start + number >= 0:
                slots[start + number] = byte
        position += frame.slot_bytes
    out = b""
    position = 0
    for frame in frames:
        out += frame.data[: frame.header.main_data_offset]
        out += slots[position : position + frame.slot_bytes]
        position += frame.slot_bytes
    return out


def output(name: str) -> tuple[FrameOutput, bytearray]:
    written = bytearray()
    return FrameOutput(indexed(name).header, written.extend), written


def prove_sums(out: FrameOutput, written: bytearray) -> None:
    """Counts, bytes, checksum and sizes are those of what was written."""
    assert out.audio_bytes == len(written)
    assert out.audio_crc == mpeg.crc16_arc(bytes(written))
    assert out.tail == written[-128:]
    frames = list(mpeg.frames(bytes(written)))
    assert sum(len(frame.data) for frame in frames) == len(written)
    assert out.byte2.tolist() == [frame.data[2] for frame in frames]
    assert set(out.counts) == set(get_args(Kind))
    assert sum(out.counts.values()) == len(frames)


@pytest.mark.parametrize("name", NAMES)
@given(st.data())
@examples(8)
def test_frames_copied_in_bulk_are_the_sources_bytes(name: str, data: st.DataObject) -> None:
    index = indexed(name)
    first = data.draw(st.integers(0, index.frames - 1))
    last = data.draw(st.integers(first + 1, index.frames))
    out, written = output(name)
    out.copy(RecordingStream(Bytes(fixture(name)), index), first, last)
    assert written == mpeg.join(list(sound(name)[first:last]))
    assert out.counts["verbatim"] == last - first
    prove_sums(out, written)


def test_what_is_copied_is_read_in_blocks() -> None:
    name = "junk-in-middle"
    out, written = output(name)
    source = Bytes(fixture(name))
    out.copy(RecordingStream(source, indexed(name)), 0, indexed(name).frames)
    assert written == mpeg.join(list(sound("untagged-16k"))), "junk is no frame"
    assert max(length for _, length in source.reads) <= 1 << 20


@pytest.mark.parametrize("name", NAMES)
def test_frames_kept_whole_are_the_sources_bytes(name: str) -> None:
    out, written = output(name)
    for frame in read(name):
        out.keep(frame, shared=False)
    out.flush()
    assert written == mpeg.join(list(sound(name)))
    assert out.counts["verbatim"] == len(read(name))
    prove_sums(out, written)


@pytest.mark.parametrize("name", NAMES)
@given(st.data())
@examples(8)
def test_frames_that_share_their_slots_are_the_sources_but_for_bytes_that_no_frame_owns(
    name: str, data: st.DataObject
) -> None:
    first = data.draw(st.integers(0, indexed(name).frames - 1))
    last = data.draw(st.integers(first + 1, indexed(name).frames))
    frames = list(read(name)[first:last])
    out, written = output(name)
    for frame in frames:
        out.keep(frame, shared=True)
    out.flush()
    expected = emptied(frames)
    assert written == expected
    prove_sums(out, written)
    position = verbatim = 0
    for frame in frames:
        verbatim += expected[position : position + len(frame.data)] == frame.data
        position += len(frame.data)
    assert out.counts["verbatim"] == verbatim
    assert out.counts["slot_rewritten"] == len(frames) - verbatim


@pytest.mark.parametrize("name", NAMES)
def test_a_remade_frame_takes_its_size_and_the_sources_other_fields(name: str) -> None:
    format = indexed(name).format
    out, written = output(name)
    silent = (silent_channel(format),) * format.channels
    kinds: tuple[Kind, ...] = ("reencoded", "silent", "spliced")
    sizes = [(9, 0), (14, 1), (11, 1)]
    for kind, (bitrate_index, padding) in zip(kinds, sizes, strict=True):
        info, adu = join_channels(silent, format)
        out.remake(kind, info, adu, Placement(0, bitrate_index, padding, 0))
    out.flush()
    prove_sums(out, written)
    source = indexed(name).header
    for frame, (bitrate_index, padding) in zip(mpeg.frames(bytes(written)), sizes, strict=True):
        assert len(frame.data) == format.frame_bytes(bitrate_index, padding)
        assert (frame.protected, frame.mode) == (source.protected, source.mode)
        assert frame.data[3] >> 4 & 3 == 0
        assert frame.data[3] & 15 == source.flags
        assert not any(frame.data[frame.side_offset :])
    assert [out.counts[kind] for kind in kinds] == [1, 1, 1]


def test_main_data_of_frames_to_be_copied_is_adopted_before_them() -> None:
    """The first frames copied behind kept ones find all that they reach back for."""
    name = "mpeg1-44k-128k"
    cut = 60
    frames = read(name)
    out, written = output(name)
    for frame in frames[cut - 5 : cut]:
        out.keep(frame, shared=True)
    position = 0
    for frame in frames[cut : cut + 5]:
        back = frame.side_info.main_data_begin - position
        if back > 0:
            out.adopt(frame.adu, back)
        position += frame.slot_bytes
    out.copy(RecordingStream(Bytes(fixture(name)), indexed(name)), cut, cut + 30)
    prove_sums(out, written)
    gathered = main_data(list(mpeg.frames(bytes(written))))
    assert gathered[4:] == [frame.adu for frame in frames[cut - 1 : cut + 30]]


def test_many_frames_are_written_before_the_end() -> None:
    """An output never holds all of a recording."""
    name = "demo-call"
    out, written = output(name)
    most = 0
    held = 0
    for frame in read(name):
        before = len(written)
        out.keep(frame, shared=True)
        held += len(frame.data) - (len(written) - before)
        most = max(most, held)
    assert most < 300 * len(read(name)[0].data)
    out.flush()
    prove_sums(out, written)
