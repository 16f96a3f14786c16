# SPDX-License-Identifier: Apache-2.0
"""Which frames an output has and which of them an edit touches, against trying every sample."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from audioengine.edits import Span
from audioengine.mp3.header import StreamFormat
from audioengine.plan.grid import (
    FrameRange,
    Grid,
    flags_of,
    frames_touched,
    frames_within,
    is_in,
    merged,
    place,
    ranges_of,
)
from tests.strategies import FORMATS, formats

spans = st.builds(
    lambda start, length: Span(start, start + length),
    st.integers(0, 40_000),
    st.one_of(st.integers(1, 12_000), st.integers(1, 5)),
)
near_spans = st.builds(
    lambda start, length: Span(start, start + length),
    st.integers(-6000, 40_000),
    st.one_of(st.integers(1, 12_000), st.integers(1, 5)),
)
ranges = st.lists(
    st.builds(
        lambda first, count: FrameRange(first, first + count),
        st.integers(-9, 60),
        st.integers(0, 9),
    ),
    max_size=8,
)


def plays(format: StreamFormat, grid: Grid) -> Span:
    """The raw samples that a decoder plays: it drops 529 more than the delay, keeps 529 more."""
    spf = format.samples_per_frame
    first = grid.origin + grid.frames.first * spf
    last = grid.origin + grid.frames.last * spf
    return Span(first + grid.encoder_delay + 529, last - (grid.padding - 529))


@given(formats, spans)
def test_an_output_plays_the_kept_samples_and_its_fields_fit_the_tag(
    format: StreamFormat, kept: Span
) -> None:
    grid = place(format, kept)
    assert plays(format, grid) == kept
    assert 0 <= grid.encoder_delay <= 4095
    assert 529 <= grid.padding <= 4095, "decoders can't add what is less"


@given(formats, spans)
def test_an_output_has_the_frames_that_depend_on_kept_samples_and_no_others(
    format: StreamFormat, kept: Span
) -> None:
    """In front those that reach into them, behind none that begins later."""
    grid = place(format, kept)
    spf = format.samples_per_frame
    start, end = kept.start - grid.origin, kept.end - grid.origin
    needed = [
        frame
        for frame in range(start // spf - 6, end // spf + 6)
        if frame * spf < end and frame * spf + format.support > start
    ]
    assert grid.frames == FrameRange(needed[0], needed[-1] + 1)


@given(formats, spans)
def test_only_an_output_within_one_frame_leaves_the_sources_grid(
    format: StreamFormat, kept: Span
) -> None:
    """FFmpeg drops too little there, unless delay + 529 are whole frames (mp3-facts 1)."""
    grid = place(format, kept)
    spf = format.samples_per_frame
    if kept.start // spf != (kept.end - 1) // spf:
        assert grid.origin == 0
    else:
        assert grid.origin == kept.start
        assert (grid.encoder_delay + 529) % spf == 0


def depends(format: StreamFormat, frame: int, grid: Grid) -> Span:
    start = grid.origin + frame * format.samples_per_frame
    return Span(start, start + format.support)


@given(formats, spans, near_spans)
def test_touched_are_those_frames_that_depend_on_any_changed_sample(
    format: StreamFormat, kept: Span, changed: Span
) -> None:
    grid = place(format, kept)
    touched = frames_touched(format, changed, grid)
    expected = [
        frame
        for frame in range(grid.frames.first, grid.frames.last)
        if depends(format, frame, grid).clipped(changed).length
    ]
    assert list(range(touched.first, touched.last)) == expected
    assert grid.frames.first <= touched.first <= touched.last <= grid.frames.last


@given(formats, spans, near_spans)
def test_within_are_those_frames_that_depend_on_nothing_else(
    format: StreamFormat, kept: Span, span: Span
) -> None:
    grid = place(format, kept)
    within = frames_within(format, span, grid)
    expected = [
        frame
        for frame in range(grid.frames.first, grid.frames.last)
        if depends(format, frame, grid).clipped(span) == depends(format, frame, grid)
    ]
    assert list(range(within.first, within.last)) == expected


def test_the_guards_are_those_measured() -> None:
    """mp3-facts 3: one frame before in MPEG-1 and two in LSF, one less late in a frame."""
    for format in FORMATS:
        spf = format.samples_per_frame
        grid = Grid(0, FrameRange(-5, 100), 0, 0)
        late = 480 if format.lsf else 1056
        for offset, before in ((0, 2 if format.lsf else 1), (late, 1 if format.lsf else 0)):
            start = 50 * spf + offset
            touched = frames_touched(format, Span(start, start + 1), grid)
            assert touched == FrameRange(50 - before, 51)
            touched = frames_touched(format, Span(start, 60 * spf), grid)
            assert touched == FrameRange(50 - before, 60)


@given(ranges, st.integers(0, 6))
def test_merged_ranges_cover_the_same_and_are_far_apart(parts: list[FrameRange], gap: int) -> None:
    parts = [part for part in parts if part.count]
    out = merged(parts, gap)
    covered = {frame for part in out for frame in range(part.first, part.last)}
    given_frames = {frame for part in parts for frame in range(part.first, part.last)}
    assert given_frames <= covered
    for before, after in itertools.pairwise(out):
        assert after.first - before.last > gap
    # Only gaps of at most that many frames were closed.
    for part in out:
        missing = [frame not in given_frames for frame in range(part.first, part.last)]
        assert part.first in given_frames
        assert part.last - 1 in given_frames
        assert max((hole.count for hole in ranges_of(np.array(missing), 0)), default=0) <= gap


@given(st.lists(st.booleans(), max_size=40), st.integers(-9, 9))
def test_flags_and_ranges_say_the_same(flags: list[bool], first: int) -> None:
    found = ranges_of(np.array(flags, dtype=bool), first)
    assert [part.first + n for part in found for n in range(part.count)] == [
        first + place for place, flag in enumerate(flags) if flag
    ]
    seen = FrameRange(first, first + len(flags))
    assert flags_of(found, seen).tolist() == flags


@given(ranges, st.integers(-12, 70), st.integers(0, 30))
def test_flags_are_those_of_the_frames_seen(
    parts: list[FrameRange], first: int, count: int
) -> None:
    seen = FrameRange(first, first + count)
    expected = [any(frame in part for part in parts) for frame in range(first, first + count)]
    assert flags_of(merged(parts), seen).tolist() == expected
    assert [is_in(frame, merged(parts)) for frame in range(first, first + count)] == expected
