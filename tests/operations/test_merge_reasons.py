# SPDX-License-Identifier: Apache-2.0
"""What a merge says of what it does not copy, of masks that others share, and of odd requests."""

from __future__ import annotations

from typing import Any

import pytest

import audioengine as ae
from tests.support import FIXTURES

START = 1728890677283
A, B = FIXTURES / "conference-a-8k.mp3", FIXTURES / "conference-b-8k.mp3"


@pytest.mark.parametrize("align", ["sample", "frame"])
def test_a_recording_of_another_mode_is_not_moved_and_the_reason_is_named(align: Any) -> None:
    other = ae.MergePart(FIXTURES / "dual-16k.mp3", START + 60_010)
    planned = ae.plan_merge(
        [ae.MergePart(FIXTURES / "mpeg2-16k-48k.mp3", START), other], ae.MergeOptions(align=align)
    )
    assert planned.parts[1].moved_samples == 0
    assert planned.parts[1].copied_frames == 0
    assert planned.parts[1].not_copied is not None
    assert planned.parts[1].not_copied.code == "mode"


@pytest.mark.parametrize(("scope", "heard"), [("part", True), ("conference", False)])
def test_only_who_is_not_masked_too_is_said_to_be_heard(scope: Any, heard: bool) -> None:
    whole = [ae.ConferenceSegment(START)]
    mask = ae.Modification(mask={"both": [ae.Interval(2, 4)]})
    planned = ae.plan_merge(
        [ae.MergePart(A, START, whole), ae.MergePart(B, START + 500, whole, mask)],
        ae.MergeOptions(mask_scope=scope),
    )
    assert bool(planned.parts[1].masks[0].also_heard) is heard
    assert any(notice.code == "mask_heard_elsewhere" for notice in planned.warnings) is heard


def test_no_segments_may_be_none() -> None:
    none: Any = None
    assert ae.plan_merge([ae.MergePart(A, START, none)]).render == "copy"


def test_what_is_no_request_is_refused_by_name() -> None:
    wrong: Any
    for wrong in (None, 7, "a.mp3"):
        with pytest.raises(ae.InvalidRequestError, match=r"parts = .*must be a list of MergeParts"):
            ae.plan_merge(wrong)
    number: Any = 5
    with pytest.raises(ae.InvalidRequestError, match=r"parts\[0\].recording_id = 5"):
        ae.plan_merge([ae.MergePart(A, START, recording_id=number)])


def test_an_open_file_and_its_path_are_the_same_recording() -> None:
    with A.open("rb") as file, pytest.raises(ae.InvalidRequestError, match=r"parts\[1\].source"):
        ae.plan_merge([ae.MergePart(file, START), ae.MergePart(A, START)])
