# SPDX-License-Identifier: Apache-2.0
"""The index: places of frames from one byte each, and the recording's clock."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioengine.mp3.index import ByteRange, FrameIndex, Segment
from audioengine.mp3.info_tag import InfoTag
from tests.strategies import FORMATS
from tests.support import Bytes, empty_index, indexed


@dataclass(frozen=True)
class Laid:
    """An index, and where each of its frames is as plain lists."""

    index: FrameIndex
    offsets: list[int]
    sizes: list[int]
    starts: list[int]
    """First frame of each segment."""


def lay_out(format_number: int, lengths: list[int], gaps: list[int], seed: int) -> Laid:
    """Segments of so many frames with any bitrates, so many bytes before each."""
    format = FORMATS[format_number]
    random = np.random.default_rng(seed)
    frames = sum(lengths)
    bitrates = random.integers(1, 15, frames)
    byte2 = (bitrates << 4 | format.rate_index << 2 | random.integers(0, 4, frames)).astype(
        np.uint8
    )
    sizes = [format.frame_sizes[byte] for byte in byte2.tolist()]
    offsets: list[int] = []
    starts, segments = [], []
    position = 0
    for length, gap in zip(lengths, gaps, strict=False):
        position += gap
        starts.append(len(offsets))
        segments.append(Segment(len(offsets), position))
        for size in sizes[len(offsets) : len(offsets) + length]:
            offsets.append(position)
            position += size
    index = replace(empty_index(format, int(bitrates[0])), byte2=byte2, segments=tuple(segments))
    return Laid(index, offsets, sizes, starts)


lengths = st.lists(
    st.one_of(st.integers(1, 40), st.sampled_from((4095, 4096, 4097, 8193))), min_size=1, max_size=4
)


@st.composite
def laid(draw: st.DrawFn) -> Laid:
    chosen = draw(lengths)
    gaps = draw(st.lists(st.integers(0, 3000), min_size=len(chosen), max_size=len(chosen)))
    return lay_out(draw(st.integers(0, len(FORMATS) - 1)), chosen, gaps, draw(st.integers(0, 9999)))


@lru_cache(maxsize=1)
def long_one() -> Laid:
    return lay_out(3, [9000, 5, 4096], [100, 7, 0], 1)


def near_block_ends(laid: Laid) -> list[int]:
    """Frames at which something begins or ends, and some others."""
    marks = {0, len(laid.sizes) - 1, *laid.starts}
    marks |= {start + 4096 * n for start in laid.starts for n in (1, 2)}
    near = {mark + step for mark in marks for step in (-1, 0, 1)}
    return sorted(frame for frame in near if 0 <= frame < len(laid.sizes))


@given(laid())
def test_a_frame_is_where_the_sizes_before_it_in_its_segment_put_it(laid: Laid) -> None:
    index = laid.index
    assert index.frames == len(laid.offsets)
    for frame in near_block_ends(laid):
        assert index.offset(frame) == laid.offsets[frame]
        assert index.size(frame) == laid.sizes[frame]
        assert index.segment_start(frame) == max(start for start in laid.starts if start <= frame)
    assert index.offset(index.frames) == laid.offsets[-1] + laid.sizes[-1]


@given(laid(), st.data())
def test_ranges_hold_the_frames_and_nothing_between_segments(
    laid: Laid, data: st.DataObject
) -> None:
    index = laid.index
    marks = st.sampled_from([*near_block_ends(laid), index.frames])
    first, last = sorted((data.draw(marks), data.draw(marks)))
    expected: list[ByteRange] = []
    for frame in range(first, last):
        offset, size = laid.offsets[frame], laid.sizes[frame]
        if expected and frame not in laid.starts:
            before = expected.pop()
            expected.append(ByteRange(before.offset, before.length + size))
        else:
            expected.append(ByteRange(offset, size))
    assert index.ranges(first, last) == expected


def test_frames_are_read_without_what_stands_between_them() -> None:
    laid = long_one()
    random = np.random.default_rng(2)
    source = Bytes(random.bytes(laid.offsets[-1] + laid.sizes[-1] + 50))
    for first, last in ((0, 3), (8998, 9007), (9003, 9003), (9000, 13101)):
        expected = b"".join(
            source.data[laid.offsets[frame] : laid.offsets[frame] + laid.sizes[frame]]
            for frame in range(first, last)
        )
        assert laid.index.read_frames(source, first, last) == expected


@given(laid(), st.data())
def test_bitrates_are_counted(laid: Laid, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, laid.index.frames))
    last = data.draw(st.integers(first, laid.index.frames))
    indices = [byte >> 4 for byte in laid.index.byte2[first:last].tolist()]
    counts = laid.index.bitrate_counts(first, last)
    assert counts.shape == (16,)
    assert counts.tolist() == [indices.count(number) for number in range(16)]


def tag(encoder: bytes | None, delay: int | None, padding: int | None) -> InfoTag:
    return InfoTag("Info", 1, 1, encoder, delay, padding)


@given(st.integers(1, 200), st.integers(0, 4095), st.integers(0, 4095), st.integers(0, 17))
def test_a_lame_tag_cuts_delay_and_padding_off_the_clock(
    frames: int, delay: int, padding: int, format_number: int
) -> None:
    """Audio starts at delay + 529 and ends where the padding, less 529, does (mp3-facts 1)."""
    index = replace(
        lay_out(format_number, [frames], [0], 0).index, info_tag=tag(b"LAME3.100", delay, padding)
    )
    raw = frames * index.format.samples_per_frame
    start, end = delay + 529, raw - max(0, padding - 529)
    assert index.raw_samples == raw
    if start < end:
        assert (index.start, index.samples, index.tagged) == (start, end - start, True)
    else:
        assert (index.start, index.samples, index.tagged) == (0, raw, False)


@pytest.mark.parametrize(
    "info",
    [
        None,
        tag(None, None, None),
        tag(b"GOGO3.13 ", 576, 1000),
        tag(b"\0" * 9, 576, 1000),
        InfoTag("VBRI", 10, 10, None, None, None),
    ],
    ids=["no tag", "no extension", "other encoder", "no name", "VBRI"],
)
def test_other_tags_leave_the_clock_of_the_frames(info: InfoTag | None) -> None:
    index = replace(lay_out(4, [50], [0], 0).index, info_tag=info)
    assert (index.start, index.samples, index.tagged) == (0, index.raw_samples, False)


@pytest.mark.parametrize(
    ("name", "start", "samples"),
    [
        ("mpeg2-16k-48k", 1105, 96_000),
        ("lavf-44k", 1105, 176_400),
        ("mpeg1-44k-128k", 1105, 220_500),
        ("tiny-101-samples", 1105, 101),
        ("untagged-16k", 0, 97_344),
        ("tag-other-encoder", 0, 97_344),
        ("tag-version-zero", 0, 97_344),
        ("tag-vbri", 0, 222_336),
        ("tag-promises-more", 1105, 96_239),
        ("tag-promises-less", 1105, 96_000),
    ],
)
def test_the_clock_of_recordings(name: str, start: int, samples: int) -> None:
    index = indexed(name)
    assert (index.start, index.samples) == (start, samples)
