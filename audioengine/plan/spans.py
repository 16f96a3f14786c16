# SPDX-License-Identifier: Apache-2.0
"""Sets of samples and of frames, as sorted ranges of which no two touch."""

from __future__ import annotations

from collections.abc import Iterable

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


def frames_without(
    ranges: Iterable[FrameRange], holes: Iterable[FrameRange]
) -> tuple[FrameRange, ...]:
    """The frames of `ranges` that are in none of `holes`."""
    spans = (Span(part.first, part.last) for part in merged(ranges) if part.count)
    cuts = (Span(part.first, part.last) for part in holes if part.count)
    return tuple(FrameRange(span.start, span.end) for span in without(spans, cuts))
