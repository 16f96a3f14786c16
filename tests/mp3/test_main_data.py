# SPDX-License-Identifier: Apache-2.0
"""Frames with their own main data, gathered from the slots of the frames before them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioengine.mp3.header import parse_header
from audioengine.mp3.main_data import look_back, read_frames
from audioengine.mp3.scan import scan
from audioengine.mp3.splice import silent_channel
from fixtures import mpeg
from tests.strategies import examples
from tests.support import (
    WHOLE,
    Bytes,
    decode_miniaudio,
    decode_pyav,
    fixture,
    indexed,
    main_data,
    read,
    sound,
    stream,
)


@pytest.mark.parametrize("name", WHOLE)
def test_each_frame_has_the_main_data_that_an_independent_gathering_gives_it(name: str) -> None:
    expected = main_data(sound(name))
    frames = read(name)
    assert [frame.number for frame in frames] == list(range(len(expected)))
    assert [frame.data for frame in frames] == [frame.data for frame in sound(name)]
    assert [frame.adu if frame.intact else None for frame in frames] == expected
    assert [frame.header for frame in frames] == [parse_header(frame.data) for frame in sound(name)]
    assert [frame.side_info.main_data_begin for frame in frames] == [
        frame.main_data_begin for frame in sound(name)
    ]
    for frame in frames:
        assert frame.slot_bytes == len(frame.data) - frame.header.main_data_offset


@pytest.mark.parametrize(
    "name", ["untagged-8k", "mpeg1-44k-128k", "vbr-8k", "crc-44k", "junk-in-middle", "head-cut"]
)
@given(st.data())
@examples(30)
def test_a_stretch_reads_as_the_same_part_of_the_whole(name: str, data: st.DataObject) -> None:
    whole = read(name)
    first = data.draw(st.integers(0, len(whole)))
    last = data.draw(st.integers(0, len(whole)))
    source = Bytes(fixture(name))
    got = read_frames(source, indexed(name), first, last)
    assert tuple(got) == whole[first:last]
    # Little more is read than what is asked for and what it reaches back over.
    if got:
        sizes = [len(frame.data) for frame in whole[max(0, first - 12) : last]]
        assert sum(length for _, length in source.reads) <= sum(sizes)


@pytest.mark.parametrize("name", ["mono-8k", "vbr-16k", "mpeg1-44k-320k", "zeros-in-middle"])
def test_looking_back_covers_the_farthest_reach_inside_the_segment(name: str) -> None:
    index, frames = indexed(name), read(name)
    for first in range(index.frames):
        start = look_back(index, first)
        assert index.segment_start(first) <= start <= first
        reach = sum(frame.slot_bytes for frame in frames[start:first])
        assert reach >= index.format.max_main_data_begin or start == index.segment_start(first)
        # At most one frame more than it takes.
        fewer = sum(frame.slot_bytes for frame in frames[start + 2 : first])
        assert fewer < index.format.max_main_data_begin


@pytest.mark.parametrize(
    ("name", "lost"),
    [
        ("head-cut", {0}),
        ("junk-in-middle", {80}),
        ("id3v1-in-middle", {80}),
        ("byte-missing", {81}),
    ],
)
def test_main_data_is_not_gathered_over_a_gap(name: str, lost: set[int]) -> None:
    frames = read(name)
    assert {frame.number for frame in frames if not frame.intact} == lost
    silence = (silent_channel(indexed(name).format),) * 2
    for number in lost:
        assert frames[number].adu == b""
        assert frames[number].channels() == silence


def test_main_data_that_ends_behind_its_frame_is_not_intact() -> None:
    every = [bytearray(frame.data) for frame in mpeg.sound(fixture("nores-16k"))]
    # The first granule's part2_3_length, 12 bits from bit 10 of the side information.
    side = int.from_bytes(every[20][4:21], "big")
    shift = 17 * 8 - 22
    every[20][4:21] = (side & ~(0xFFF << shift) | 4095 << shift).to_bytes(17, "big")
    source = Bytes(b"".join(map(bytes, every)))
    index = scan(source)
    assert index.lost == (20,)
    frames = read_frames(source, index, 18, 23)
    assert [frame.intact for frame in frames] == [True, True, False, True, True]


@pytest.mark.parametrize(
    ("name", "some", "every"),
    [("equal-channels-8k", True, True), ("midside-16k", False, False), ("stereo-8k", False, False)],
)
def test_frames_with_an_empty_side_have_equal_channels(name: str, some: bool, every: bool) -> None:
    equal = [frame.equal_channels for frame in read(name)]
    assert (any(equal), all(equal)) == (some, every)


def test_intensity_frames_are_never_equal_and_never_taken_apart() -> None:
    frames = [frame for frame in read("intensity-16k") if frame.header.intensity]
    assert len(frames) > 50
    assert not any(frame.equal_channels for frame in frames)
    assert all(frame.channels() is None for frame in frames)


def test_equal_channels_as_left_and_right_sound_the_same_to_the_last_bit() -> None:
    """Mid with two quarter steps less on either side is what the source plays (mp3-facts 4)."""
    name = "equal-channels-8k"
    parts = [frame.channels() or () for frame in read(name)]
    assert all(left == right for left, right in parts)
    split = stream(indexed(name).format, parts)
    plain = mpeg.join(list(sound(name)))
    assert np.abs(decode_pyav(plain)).max() > 0.1
    np.testing.assert_array_equal(decode_pyav(split), decode_pyav(plain))
    np.testing.assert_array_equal(decode_miniaudio(split), decode_miniaudio(plain))


@pytest.mark.parametrize("name", ["midside-16k", "midside-44k"])
def test_mid_side_frames_are_coded_together(name: str) -> None:
    assert all(frame.channels() is None for frame in read(name) if frame.adu)


@pytest.mark.parametrize("name", ["stereo-8k", "stereo-44k", "mono-44k", "dual-16k"])
def test_frames_by_channel_sound_the_same_to_the_last_bit(name: str) -> None:
    """Left/right frames, laid anew without reservoir, are the source's."""
    parts = [frame.channels() or () for frame in read(name)]
    assert all(parts)
    anew = stream(indexed(name).format, parts)
    plain = mpeg.join(list(sound(name)))
    np.testing.assert_array_equal(decode_pyav(anew), decode_pyav(plain))
    np.testing.assert_array_equal(decode_miniaudio(anew), decode_miniaudio(plain))
