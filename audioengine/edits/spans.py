# SPDX-License-Identifier: Apache-2.0
"""Ranges of samples and their algebra."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A half-open range of samples ``[start, end)``; empty if both are equal."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """Number of samples."""
        return self.end - self.start

    def clipped(self, bounds: Span) -> Span:
        """Return the part inside `bounds`, or an empty span at the nearest end of `bounds`."""
        start = min(max(self.start, bounds.start), bounds.end)
        return Span(start, min(max(self.end, start), bounds.end))


def join(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Return the same samples as sorted spans that neither overlap nor touch."""
    joined: list[Span] = []
    for span in sorted(spans):
        if joined and span.start <= joined[-1].end:
            joined[-1] = Span(joined[-1].start, max(joined[-1].end, span.end))
        else:
            joined.append(span)
    return tuple(joined)


def touching(spans: Sequence[Span], window: Span) -> Sequence[Span]:
    """Return the joined spans that overlap or touch the window, by bisection."""
    first = bisect_left(spans, window.start, key=attrgetter("end"))
    return spans[first : bisect_right(spans, window.end, key=attrgetter("start"))]
