# SPDX-License-Identifier: Apache-2.0
"""What a manifest asks for is counted, and nothing else is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import audioengine as ae
from tests.batch.helpers import MASK, STORE, job, manifest_of


def test_a_plan_reads_nothing_but_the_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    both = {"mask": [{"from": 1, "to": 2}, {"from": 3, "to": 4}], "trim": {"to": 9}}
    lines: list[dict[str, Any] | str] = [
        job("a.mp3", "s3://nobody/nothing.mp3", modification=both),
        job("b.mp3", "gone.mp3", modification=MASK),
        job("c.mp3", "gone.mp3", modification={}),
        "[]",
        "",
        job("d.mp3", "gone.mp3", colour="red"),
    ]
    plan = ae.plan_batch(manifest_of(tmp_path, lines))
    assert (plan.jobs, plan.masks, plan.trims, plan.copies, plan.invalid) == (3, 3, 1, 1, 2)
    assert (plan.kinds, plan.masked_seconds) == ({"store": 3}, 3)
    assert [one.line for one in plan.failures] == [4, 6]
    assert [path.name for path in tmp_path.iterdir()] == ["jobs.jsonl"]


def test_commands_are_counted_by_their_method_and_masks_by_their_seconds(tmp_path: Path) -> None:
    """Whatever their clock; what is no stretch counts nothing."""
    start = 1728890677000
    epoch = {"absoluteTimes": True, "mask": {"callee": [{"from": start, "to": start + 2500}]}}
    odd = {"mask": {"caller": [{"from": 5, "to": 4}]}}
    lines: list[dict[str, Any] | str] = [
        {**STORE, "modificationParams": epoch},
        {**STORE, "modificationParams": MASK},
        {"method": "DELETERECORDING", "recordingId": "4711", "replyId": "x.y.z"},
        job("b.mp3", "a.mp3", modification=odd),
    ]
    plan = ae.plan_batch(manifest_of(tmp_path, lines))
    assert plan.kinds == {"DELETERECORDING": 1, "STORERECORDING": 2, "store": 1}
    assert (plan.jobs, plan.masks, plan.copies, plan.invalid) == (4, 3, 0, 0)
    assert plan.masked_seconds == 3.5


def test_one_edit_is_counted_for_each_recording_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "calls").mkdir()
    for number in range(3):
        (tmp_path / "calls" / f"{number}.mp3").touch()
    for_all = ae.ForAll(f"{tmp_path}/out/", ae.Modification.from_params(MASK))
    plan = ae.plan_batch(f"{tmp_path}/calls/", for_all=for_all)
    assert (plan.jobs, plan.masks, plan.masked_seconds) == (3, 3, 3)
