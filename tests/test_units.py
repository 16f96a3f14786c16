# SPDX-License-Identifier: Apache-2.0
"""Times in another unit than they are read in: refused where that would leave a secret audible."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import audioengine as ae
from audioengine.batch.job_outcome import How
from audioengine.batch.manifest_job import Job, job_of
from audioengine.batch.run_job import do_job
from audioengine.cli import main
from audioengine.commands.requests import parse_command
from audioengine.edits import Interval, Modification, resolve, short_mask_problems, time_problems
from audioengine.errors import InvalidRequestError
from audioengine.operations.options import StoreOptions
from audioengine.service.rest.command_check import judge_command
from tests.execution import service
from tests.service.rest.deployment import settings as rest_settings
from tests.support import FIXTURES

RATE, LENGTH_S = 8000, 1200
EPOCH = 1_547_114_000_000


def refused(modification: Modification, **more: Any) -> dict[str, str]:
    with pytest.raises(InvalidRequestError) as caught:
        resolve(modification, rate_hz=RATE, samples=RATE * LENGTH_S, **more)
    return {one.path: one.rule for one in caught.value.problems}


def test_milliseconds_in_the_queue_are_refused_with_both_readings() -> None:
    asked = Modification.from_params({"mask": {"caller": [{"from": 700, "to": 13600}]}})
    rule = refused(asked)["mask.caller[0].to"]
    assert "13,600 s lies beyond the recording's 1,200 s" in rule
    assert "in milliseconds it would be 13.6 s" in rule
    outside = refused(Modification(mask={"caller": [Interval(1500, 2500)]}))
    assert "in milliseconds it would be 1.5 s" in outside["mask.caller[0].from"]


def test_other_units_of_absolute_times_are_told() -> None:
    seconds = Modification(trim=Interval(EPOCH // 1000, None), absolute_times=True)
    assert f"{EPOCH} is right" in refused(seconds, start_time_ms=EPOCH)["trim.from"]
    micro = Modification(trim=Interval((EPOCH + 5000) * 1000, None), absolute_times=True)
    rule = refused(micro, start_time_ms=EPOCH)["trim.from"]
    assert "in microseconds it would be 5 s" in rule


@given(st.integers(0, 10 * 1000), st.integers(0, 10 * 1000), st.booleans())
def test_a_bound_is_clipped_as_far_as_is_tolerated(
    over_ms: int, tolerance_ms: int, is_trim: bool
) -> None:
    stretch = Interval(LENGTH_S - 1, LENGTH_S + over_ms / 1000)
    edit: Any = {"trim": stretch} if is_trim else {"mask": {"callee": [stretch]}}
    asked = Modification(**edit, clip_tolerance_s=tolerance_ms / 1000)
    if over_ms > tolerance_ms:
        (path,) = refused(asked)
        assert path.endswith(".to")
        return
    edits = resolve(asked, rate_hz=RATE, samples=RATE * LENGTH_S)
    applied = edits.trim if is_trim else edits.masks[0].applied
    assert applied.end == RATE * LENGTH_S
    codes = [one.code for one in edits.warnings]
    assert codes == (["trim_clipped" if is_trim else "mask_clipped"] if over_ms else [])
    for notice in edits.warnings:
        assert f"asked 1199 to {float(LENGTH_S + over_ms / 1000):.3f}".rstrip("0").rstrip(".") in (
            notice.message
        )
        assert "applied 1199 to 1200 s" in notice.message


@given(st.integers(0, 10**6), st.integers(1, 9), st.sampled_from(["from", "to"]))
def test_rest_takes_no_fractions(whole: int, tenths: int, bound: str) -> None:
    """Seconds over REST would make a mask a thousand times too short, at a wrong place."""
    number = float(f"{whole}.{tenths}")
    params = {"mask": [{bound: number}]}
    (problem,) = time_problems(Modification.from_params(params, "rest"))
    assert problem.path == f"mask[0].{bound}"
    assert "must be whole" in problem.rule
    assert f"{whole * 1000 + tenths * 100} is right" in problem.rule
    assert not time_problems(Modification.from_params({"mask": [{bound: whole + 1}]}, "rest"))
    assert not time_problems(Modification.from_params(params, "sqs"))


def rest_command(**bounds: object) -> str:
    params = {"mask": {"caller": [bounds]}}
    return json.dumps(service.store_command(method=None, modificationParams=params))


@pytest.mark.parametrize(
    ("bounds", "rule"),
    [
        ({"from": 1.5, "to": 2.5}, "must be whole"),
        ({"from": 1, "to": 3}, "must last at least 50 ms"),
        ({"from": 1000, "to": 1049}, "is only 49 ms long if its times are in ms; in seconds"),
    ],
)
def test_seconds_over_rest_are_refused_at_the_door_and_by_the_worker(
    bounds: dict[str, object], rule: str
) -> None:
    body = rest_command(**bounds)
    with pytest.raises(InvalidRequestError, match=rule):
        judge_command(body, "STORERECORDING", service.DOMAIN, rest_settings())
    storage = service.storage()
    outcome = ae.execute(body, storage, service.settings(), dialect="rest", method="STORERECORDING")
    assert rule in str(outcome.error)
    assert storage.keys(service.KEPT) == ()


def test_short_masks_can_be_allowed() -> None:
    body = rest_command(**{"from": 1000, "to": 1049})
    allowed: dict[str, Any] = {"store": {"allow_short_masks": True}}
    loose = rest_settings().model_copy(update={"store": StoreOptions(allow_short_masks=True)})
    judge_command(body, "STORERECORDING", service.DOMAIN, loose)
    outcome = ae.execute(
        body,
        service.storage(),
        service.settings(**allowed),
        dialect="rest",
        method="STORERECORDING",
    )
    assert outcome.error is None
    assert outcome.result is not None
    assert outcome.result.report is not None
    assert [one.code for one in outcome.result.report.warnings] == ["short_mask"]


def test_a_merge_is_judged_alike() -> None:
    entry = {
        "recordingId": service.RECORDING,
        "startTime": service.START,
        "modificationParams": {"mask": [{"from": 1, "to": 1.01}]},
    }
    outcome = ae.execute(
        service.merge_command(toMerge=[entry]), service.storage(), service.settings()
    )
    assert "toMerge[0].modificationParams.mask[0]" in str(outcome.error)


def test_a_manifest_is_judged_alike(tmp_path: Path) -> None:
    line = {
        "source": str(FIXTURES / "mono-8k.mp3"),
        "destination": str(tmp_path / "out.mp3"),
        "modification": {"mask": {"caller": [{"from": 1, "to": 1.02}]}},
    }
    job = job_of(1, json.dumps(line).encode())
    assert isinstance(job, Job)
    outcome = do_job(job, How(StoreOptions()))
    assert outcome.error is not None
    assert "must last at least 50 ms" in outcome.error["message"]
    assert not list(tmp_path.iterdir())
    manifest = tmp_path / "jobs.jsonl"
    manifest.write_text(json.dumps(line))
    assert ae.plan_batch(manifest).invalid == 1
    assert ae.plan_batch(manifest, options=StoreOptions(allow_short_masks=True)).invalid == 0
    assert do_job(job, How(StoreOptions(allow_short_masks=True))).error is None


def test_a_line_has_its_own_tolerance(tmp_path: Path) -> None:
    source = FIXTURES / "mono-8k.mp3"
    end = ae.inspect(source).duration_ms / 1000
    line = {
        "source": str(source),
        "destination": str(tmp_path / "out.mp3"),
        "modification": {"mask": {"caller": [{"from": 1, "to": end + 7}]}},
    }

    def done(options: StoreOptions, **more: object) -> object:
        job = job_of(1, json.dumps({**line, **more}).encode())
        assert isinstance(job, Job)
        return do_job(job, How(options)).error

    assert done(StoreOptions()) is not None
    assert done(StoreOptions(), clipToleranceS=7) is None
    assert done(StoreOptions(clip_tolerance_s=7)) is None
    assert done(StoreOptions(clip_tolerance_s=7), clipToleranceS=6.9) is not None


@given(st.integers(0, 10**6), st.integers(1, 200), st.sampled_from(["sqs", "rest", "absolute"]))
def test_what_is_short_is_so_in_each_unit(start_ms: int, length_ms: int, unit: str) -> None:
    factor = 1000 if unit == "sqs" else 1
    zero = EPOCH if unit == "absolute" else 0
    bounds = {"from": (zero + start_ms) / factor, "to": (zero + start_ms + length_ms) / factor}
    params = {"mask": {"caller": [bounds]}, "absoluteTimes": unit == "absolute"}
    made = Modification.from_params(params, "rest" if unit == "rest" else "sqs")
    assert bool(short_mask_problems(made)) is (length_ms < 50)


def test_open_masks_over_the_wire() -> None:
    every: list[dict[str, int | None]] = [
        {"from": 1},
        {"to": 1},
        {"from": 1, "to": None},
        {"from": None, "to": 1},
    ]
    for bounds in every:
        command, _ = parse_command(
            {
                **service.store_command(),
                "modificationParams": {"mask": {"caller": [bounds]}},
            }
        )
        written = command.to_dict()["modificationParams"]["mask"]["caller"]
        assert written == [{name: one for name, one in bounds.items() if one is not None}]
        digest = ae.execute(command, service.storage(), service.settings()).digest
        assert digest is not None
    for text in ("{}", '{"from": null}', '{"from": null, "to": null}'):
        with pytest.raises(InvalidRequestError, match=r"mask.caller\[0\].*must have from or to"):
            Modification.from_params({"mask": {"caller": [json.loads(text)]}})


@pytest.mark.parametrize(
    "args",
    [
        ["store", "a.mp3", "b.mp3", "--trim", "1-2"],
        ["plan", "a.mp3", "--params", '{"trim": {"from": 1}}'],
        ["batch", "folder/", "--to", "out/", "--trim", "1-2"],
    ],
)
def test_a_start_without_absolute_times_is_refused(args: list[str]) -> None:
    result = CliRunner().invoke(main, [*args, "--start-time-ms", str(EPOCH)])
    assert result.exit_code == 2
    assert "--start-time-ms is for absolute times" in result.output


def test_milliseconds_of_a_batch_are_whole(tmp_path: Path) -> None:
    params = '{"mask": [{"from": 1.5, "to": 2.5}]}'
    args = ["batch", f"{tmp_path}/", "--to", f"{tmp_path}/../out/", "--params", params]
    result = CliRunner().invoke(main, [*args, "--dialect", "rest", "--dry-run"])
    assert result.exit_code == 2
    assert "must be whole" in result.output
