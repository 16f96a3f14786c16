# SPDX-License-Identifier: Apache-2.0
"""Sections find what lies in them without looking at all of a request's masks."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

import audioengine as ae
from audioengine.edits import Span
from audioengine.pcm.decode import Samples
from audioengine.pcm.tone import BeepTone
from audioengine.plan.spans import SpansByPlace
from tests.support import fixture

spans = st.builds(
    lambda start, length: Span(start, start + length), st.integers(0, 300), st.integers(1, 90)
)


@given(st.lists(spans, max_size=12), spans)
def test_masks_are_found_by_place(masks: list[Span], window: Span) -> None:
    """Also where they overlap, and long ones reach over short ones."""
    found = SpansByPlace(dict(enumerate(masks))).inside(window)
    parts = {number: mask.clipped(window) for number, mask in enumerate(masks)}
    assert found == {number: part for number, part in parts.items() if part.length}


def test_work_grows_with_the_masks_and_not_with_their_square(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each mask is looked at in the few frames around it, however many others there are."""
    looked: list[Span] = []
    ramp, paint = BeepTone.ramp, BeepTone.paint

    def counted_ramp(tone: BeepTone, mask: Span) -> int:
        looked.append(mask)
        return ramp(tone, mask)

    def counted_paint(tone: BeepTone, pcm: Samples, first: int, masks: Iterable[Span]) -> None:
        masks = list(masks)
        looked.extend(masks)
        paint(tone, pcm, first, masks)

    monkeypatch.setattr(BeepTone, "ramp", counted_ramp)
    monkeypatch.setattr(BeepTone, "paint", counted_paint)
    counts = {}
    for masks in (10, 40):  # each in a run of its own
        looked.clear()
        step = 41 / masks
        intervals = [ae.Interval(step * k + 0.01, step * k + 0.08) for k in range(masks)]
        modification = ae.Modification(mask={"caller": intervals})
        ae.store(fixture("demo-call"), BytesIO(), modification, workers=1)
        counts[masks] = len(looked)
    assert counts[10] >= 10
    assert counts[40] <= 5 * counts[10]
