# SPDX-License-Identifier: Apache-2.0
"""The windows of a source's frames, against an independent reading of its bits."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioengine.mp3.scan import scan
from audioengine.mp3.side_info import BlockType
from audioengine.mp3.splice import silent_channel
from audioengine.plan.grid import FrameRange
from audioengine.plan.windows import read_source_windows
from fixtures import mpeg
from tests.operations.successions import LEGAL, SHORT, START, STOP, windows
from tests.strategies import examples
from tests.support import DAMAGED, READABLE, Bytes, fixture, indexed, read, sound

WHOLE = [name for name in READABLE if name not in DAMAGED]


@pytest.mark.parametrize("name", WHOLE)
def test_windows_are_those_in_the_bits(name: str) -> None:
    index = indexed(name)
    every = sound(name)
    got = read_source_windows(Bytes(fixture(name)), index, FrameRange(0, index.frames))
    silent = {*index.lost, *index.inner_tags}
    for number, frame in enumerate(every):
        assert got.there[number] == (number not in silent)
        if number in silent:
            continue
        for channel, types in enumerate(windows(frame)):
            assert got.starts_short[number, channel] == (types[0] in (SHORT, STOP))
            assert got.ends_short[number, channel] == (types[-1] in (START, SHORT))


@pytest.mark.parametrize("name", READABLE)
def test_coupled_is_what_can_t_be_taken_apart(name: str) -> None:
    index = indexed(name)
    got = read_source_windows(Bytes(fixture(name)), index, FrameRange(0, index.frames))
    for frame in read(name):
        if frame.intact and frame.number not in index.inner_tags:
            assert got.coupled[frame.number] == (frame.channels() is None)


@pytest.mark.parametrize("name", ["mpeg25-8k-32k", "crc-16k", "vbr-44k", "junk-in-middle"])
@given(data=st.data())
@examples(20)
def test_a_range_reads_as_part_of_the_whole_and_is_not_there_outside(
    name: str, data: st.DataObject
) -> None:
    index, source = indexed(name), Bytes(fixture(name))
    whole = read_source_windows(source, index, FrameRange(0, index.frames))
    first = data.draw(st.integers(-9, index.frames + 5))
    frames = FrameRange(first, data.draw(st.integers(first, index.frames + 9)))
    got = read_source_windows(source, index, frames)
    for place, number in enumerate(range(frames.first, frames.last)):
        inside = 0 <= number < index.frames
        assert got.there[place] == (inside and bool(whole.there[number]))
        for of_range, of_all in (
            (got.coupled, whole.coupled),
            (got.starts_short, whole.starts_short),
            (got.ends_short, whole.ends_short),
        ):
            expected = of_all[number] if inside else np.zeros_like(of_range[place])
            np.testing.assert_array_equal(of_range[place], expected)


def test_equal_channels_of_different_windows_can_t_be_taken_apart() -> None:
    """Left would be heard through the windows of right."""
    frames = list(sound("equal-channels-8k"))
    number = next(i for i, frame in enumerate(frames) if frame.mode_extension == 2)
    frame = frames[number]
    # The second channel's window_switching_flag, and a block type that isn't the first one's.
    at = 8 * frame.side_offset + 10 + 63 + 12 + 9 + 8 + 9
    word = int.from_bytes(frame.data, "big")
    other = 4 | (START if windows(frame)[0][0] != START else STOP)
    shift = 8 * len(frame.data) - at - 3
    word = word & ~(7 << shift) | other << shift
    frames[number] = mpeg.Frame(0, word.to_bytes(len(frame.data), "big"))
    data = mpeg.join(frames)
    index = scan(Bytes(data))
    got = read_source_windows(Bytes(data), index, FrameRange(0, index.frames))
    before = read_source_windows(
        Bytes(fixture("equal-channels-8k")),
        indexed("equal-channels-8k"),
        FrameRange(0, len(frames)),
    )
    assert np.flatnonzero(got.coupled != before.coupled).tolist() == [number]


@pytest.mark.parametrize("name", ["mono-8k", "mono-44k"])
@pytest.mark.parametrize("before", BlockType)
@pytest.mark.parametrize("after", BlockType)
def test_silence_fits_between_any_windows(name: str, before: BlockType, after: BlockType) -> None:
    format = indexed(name).format
    unit = silent_channel(format, before, after)
    assert unit.bits(format) == 0
    track = [int(block) for block in (before, *unit.block_types(format), after)]
    assert set(pairwise(track)) <= LEGAL
    if before == after == BlockType.LONG:
        assert unit == silent_channel(format)
