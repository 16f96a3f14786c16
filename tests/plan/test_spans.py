# SPDX-License-Identifier: Apache-2.0
"""Differences of ranges, against sets of whole numbers."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from audioengine.edits import Span
from audioengine.plan.grid import FrameRange
from audioengine.plan.spans import frames_without, without
from tests.strategies import examples

# Empty ones too: both types have them.
spans = st.lists(
    st.builds(
        lambda start, length: Span(start, start + length), st.integers(-9, 60), st.integers(0, 20)
    ),
    max_size=8,
)
ranges = spans.map(lambda some: [FrameRange(span.start, span.end) for span in some])


def samples(spans: Iterable[Span]) -> set[int]:
    return {sample for span in spans for sample in range(span.start, span.end)}


def frames(ranges: Iterable[FrameRange]) -> set[int]:
    return {frame for part in ranges for frame in range(part.first, part.last)}


@given(spans, spans)
@examples(100)
def test_without_leaves_the_samples_that_are_in_no_hole(
    some: list[Span], holes: list[Span]
) -> None:
    assert samples(without(some, holes)) == samples(some) - samples(holes)


@given(spans, spans)
@examples(100)
def test_what_is_left_is_sorted_and_no_two_touch(some: list[Span], holes: list[Span]) -> None:
    left = without(some, holes)
    assert all(span.length > 0 for span in left)
    assert all(before.end < after.start for before, after in pairwise(left))


@given(ranges, ranges)
@examples(100)
def test_frames_without_leaves_the_frames_that_are_in_no_hole(
    some: list[FrameRange], holes: list[FrameRange]
) -> None:
    left = frames_without(some, holes)
    assert frames(left) == frames(some) - frames(holes)
    assert all(part.count > 0 for part in left)
    assert all(before.last < after.first for before, after in pairwise(left))


@given(spans, spans)
def test_iterators_do_as_well_as_lists(some: list[Span], holes: list[Span]) -> None:
    assert without(iter(some), iter(holes)) == without(some, holes)


def test_one_hole_may_cut_several_spans_and_one_span_have_several_holes() -> None:
    some = [Span(50, 60), Span(0, 10), Span(20, 40)]
    assert without(some, [Span(8, 22), Span(25, 26), Span(30, 35), Span(39, 55)]) == (
        Span(0, 8),
        Span(22, 25),
        Span(26, 30),
        Span(35, 39),
        Span(55, 60),
    )
    assert without(some, [Span(-5, 70)]) == ()
    assert without([], some) == ()
    assert without(some, []) == (Span(0, 10), Span(20, 40), Span(50, 60))
