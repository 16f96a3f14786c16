# SPDX-License-Identifier: Apache-2.0
"""What a request costs grows with what it asks for, and not with its square."""

from __future__ import annotations

import sys
from collections.abc import Callable
from io import BytesIO
from types import FrameType

import pytest

import audioengine as ae
from audioengine.choices import Align, MaskScope
from tests.support import fixture

START_MS = 1_700_000_000_000
FEW, MANY = 10, 40


def calls_of(work: Callable[[], object]) -> int:
    """How many functions are called, which does not depend on the machine."""
    count = 0

    def tell(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(tell)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def gapped(count: int) -> list[ae.MergePart]:
    """Recordings with silence between them, each with a mask and in a conference of its own."""
    data = fixture("tiny-101-samples")
    mask = ae.Modification(mask={"caller": [ae.Interval(0, None)]})
    return [
        ae.MergePart(
            BytesIO(data),
            START_MS + 1003 * number,
            [ae.ConferenceSegment(START_MS + 1003 * number, START_MS + 1003 * number + 60)],
            mask if number % 2 else None,
        )
        for number in range(count)
    ]


@pytest.mark.parametrize("align", ["sample", "frame"])
@pytest.mark.parametrize("mask_scope", ["part", "conference"])
def test_planning_a_merge_grows_with_its_parts(align: Align, mask_scope: MaskScope) -> None:
    def plan(count: int) -> Callable[[], object]:
        parts = gapped(count)
        return lambda: ae.plan_merge(parts, ae.MergeOptions(align=align, mask_scope=mask_scope))

    plan(FEW)()  # what is done once is not counted
    assert calls_of(plan(MANY)) <= 1.25 * MANY / FEW * calls_of(plan(FEW))
