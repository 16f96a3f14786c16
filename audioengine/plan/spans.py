# SPDX-License-Identifier: Apache-2.0
"""Sets of samples and of frames, as sorted ranges that do not touch."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from itertools import accumulate

from audioengine.edits import Span, join, touching
from audioengine.plan.grid import FrameRange, merged


def without(spans: Iterable[Span], holes: Iterable[Span]) -> tuple[Span, ...]:
    """The samples of `spans` that are in none of `holes`."""
    out = []
    cuts = join(hole for hole in holes if hole.length)
    for span in join(spans):
        position = span.start
        for hole in touching(cuts, span):
            if position < hole.start:
                out.append(Span(position, min(hole.start, span.end)))
            position = max(position, hole.end)
        if position < span.end:
            out.append(Span(position, span.end))
    return tuple(out)


class SpansByPlace:
    """Numbered spans that may overlap, found by position."""

    def __init__(self, spans: Mapping[int, Span]) -> None:
        self._spans = sorted((span, number) for number, span in spans.items())
        # The furthest end so far never falls, so bisection finds the spans that end before a point.
        self._ends = list(accumulate((span.end for span, _ in self._spans), max))

    def inside(self, window: Span) -> dict[int, Span]:
        """By number, in order, the part of each span inside the window."""
        first = bisect_right(self._ends, window.start)
        last = bisect_left(self._spans, window.end, key=lambda pair: pair[0].start)
        parts = {number: span.clipped(window) for span, number in self._spans[first:last]}
        return {number: parts[number] for number in sorted(parts) if parts[number].length}


def frames_without(
    ranges: Iterable[FrameRange], holes: Iterable[FrameRange]
) -> tuple[FrameRange, ...]:
    """The frames of `ranges` that are in none of `holes`."""
    spans = (Span(part.first, part.last) for part in merged(ranges) if part.count)
    cuts = (Span(part.first, part.last) for part in holes if part.count)
    return tuple(FrameRange(span.start, span.end) for span in without(spans, cuts))
