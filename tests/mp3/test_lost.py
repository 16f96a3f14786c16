# SPDX-License-Identifier: Apache-2.0
"""A frame is lost exactly where minimp3, and the standard, can't have its main data."""

from __future__ import annotations

import miniaudio
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioengine.mp3 import read_buffer as window
from audioengine.mp3 import scan as scanning
from audioengine.mp3.lost import LostFrames
from audioengine.mp3.scan import scan
from fixtures import mpeg
from tests.strategies import examples
from tests.support import READABLE, Bytes, fixture, indexed

NAMES = (
    "untagged-8k",
    "untagged-16k",
    "untagged-44k",
    "untagged-vbr-44k",
    "crc-16k",
    "crc-44k",
    "mono-8k",
    "mono-44k",
    "nores-16k",
)


def expected(frames: list[mpeg.Frame]) -> list[int]:
    """What minimp3 leaves out by itself: its L3_read_side_info and L3_restore_reservoir."""
    out = []
    free = 0
    for number, frame in enumerate(frames):
        slots = len(frame.data) - frame.side_offset - frame.side_length
        bits = sum(map(sum, frame.part2_3_lengths))
        begin = frame.main_data_begin
        bad = bits > 8 * (slots + begin) or begin > free
        for start in granule_starts(frame):
            bad |= frame.side_bits(start + 12, 9) > 288
            window = start + (33 if frame.version == 3 else 38)
            bad |= frame.side_bits(window, 3) == 0b100
        if bad:
            out.append(number)
            free += slots
        else:
            free = slots + begin - (bits + 7) // 8
    return out


def granule_starts(frame: mpeg.Frame) -> list[int]:
    granules, width = (2, 59) if frame.version == 3 else (1, 63)
    count = granules * frame.channels
    return [8 * frame.side_length - width * left for left in range(count, 0, -1)]


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
@examples(25)
def test_lost_frames_are_those_that_the_rules_say(name: str, data: st.DataObject) -> None:
    """Any bits of side information wrong, in blocks of any length and walked or predicted."""
    frames = mpeg.sound(fixture(name))
    for _ in range(data.draw(st.integers(1, 12))):
        number = data.draw(st.integers(0, len(frames) - 1))
        frame = frames[number]
        at = frame.side_offset + data.draw(st.integers(0, frame.side_length - 1))
        frames[number] = frame.with_byte(at, data.draw(st.integers(0, 255)))
    block = data.draw(st.sampled_from((1 << 20, 20_000, 9_000)))
    walk = data.draw(st.sampled_from((256, 20)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(window, "BLOCK_BYTES", block)
        patch.setattr(scanning, "_WALK_FRAMES", walk)
        index = scan(Bytes(mpeg.join(frames)))
    assert index.frames == len(frames)
    if any(index.inner_tags):
        return
    assert list(index.lost) == expected(frames)


@pytest.mark.parametrize("name", READABLE)
def test_what_minimp3_plays_of_a_fixture_is_what_is_not_lost(name: str) -> None:
    index = indexed(name)
    if index.tagged or index.junk or len(index.segments) > 1 or index.info_tag is not None:
        return
    played = miniaudio.mp3_read_s16(fixture(name)).num_frames
    left_out = len(index.lost)
    assert played == (index.frames - left_out) * index.format.samples_per_frame


def test_frames_are_counted_over_stretches() -> None:
    """What stands before a gap is no main data of what stands behind it."""
    frames = mpeg.sound(fixture("untagged-16k"))
    format = indexed("untagged-16k").format
    data = mpeg.join(frames)
    lost = LostFrames(format, np.array(format.frame_sizes, dtype=np.uint16))
    half = next(i for i in range(60, len(frames)) if frames[i].main_data_begin)
    byte2 = np.array([frame.data[2] for frame in frames], dtype=np.uint8)
    lost.add(data, 0, byte2[:half])
    lost.end_stretch()
    lost.add(data, frames[half].offset, byte2[half:])
    assert lost.numbers() == (half, *(half + n for n in expected(frames[half:])[1:]))
