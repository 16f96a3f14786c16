# SPDX-License-Identifier: Apache-2.0
"""The verb `batch`: what it prints, where its journal lies, and its exit codes."""

from __future__ import annotations

import csv
import inspect
import io
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

import audioengine as ae
from audioengine.batch import job_outcome
from audioengine.batch import run as batch_run
from audioengine.batch.run import BatchState
from audioengine.cli import batch_verb as batching
from tests.batch.helpers import CALL, EDIT, MASK, SHORT, entries, job, manifest_of
from tests.cli.helpers import refusal, run, run_json

REST_EDIT = '{"mask": {"caller": {"from": 1000, "to": 2000}}, "trim": {"from": 500, "to": 4000}}'
ABSOLUTE = [
    "--trim",
    "1728890677500-1728890681000",
    "--mask",
    "caller=1728890678000-1728890679000",
]


def test_people_and_machines_are_told_what_was_done(tmp_path: Path) -> None:
    """Exit code 3 where some failed, 0 where the rest is done; the journal is beside the list."""
    late = tmp_path / "late.mp3"
    lines: list[dict[str, Any] | str] = [
        job(tmp_path / "own.mp3", modification=MASK, guardMs=5),
        job(tmp_path / "none.mp3", modification=MASK, guardMs=0),
        job(tmp_path / "given.mp3", modification=MASK),
        job(tmp_path / "late-out.mp3", late),
    ]
    manifest, failures = manifest_of(tmp_path, lines), tmp_path / "failed.csv"
    args = ("batch", manifest, "--guard-ms", "10,40", "--concurrency", "1")
    result = run(*args, "--failures-csv", failures)
    assert result.exit_code == 3, result.output
    assert "Jobs      4: 3 done, 1 failed, 0 done before\n" in result.stdout
    assert f"Failed    line 4, {late}: can't read source {str(late)!r}" in result.stdout
    with failures.open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["line"], row["source"], row["type"]) == ("4", str(late), "StorageError")
    journal = tmp_path / "jobs.jsonl.journal"
    applied = {
        Path(entry["destination"]).stem: entry["report"]["masks"][0]["applied"]["ms"]
        for entry in entries(journal)
        if entry["status"] == "done"
    }
    assert applied == {"own": [995, 2005], "none": [1000, 2000], "given": [990, 2040]}

    error = refusal(*args)
    assert "must be a new file, unless the batch is resumed" in error["message"]
    late.write_bytes(SHORT.read_bytes())
    printed = run_json(*args, "--resume", "--failures-csv", failures)
    assert {key: printed[key] for key in ("jobs", "done", "failed", "skipped", "stopped")} == {
        "jobs": 4,
        "done": 1,
        "failed": 0,
        "skipped": 3,
        "stopped": False,
    }
    assert failures.read_text().count("\n") == 1


def test_a_batch_that_was_never_begun_can_be_resumed(tmp_path: Path) -> None:
    """So that the same command serves at first and after each kill. Lines that fail are said."""
    manifest = manifest_of(tmp_path, ["bad", '{"\\ud800": "\\udfff"}'])
    journal, failures = tmp_path / "journal", tmp_path / "failed.csv"
    args = ("batch", manifest, "--journal", journal, "--resume", "--failures-csv", failures)
    printed = run_json(*args, exit_code=3)
    assert [failure["line"] for failure in printed["failures"]] == [1, 2]
    assert len(entries(journal)) == 2
    assert "\\ud800" in failures.read_text()
    stopped = run(*args, "--max-failures", "0")
    assert stopped.exit_code == 3
    assert "Stopped   too many jobs failed; --resume goes on" in stopped.stdout


def test_many_failures_are_counted_and_some_are_shown(tmp_path: Path) -> None:
    manifest = manifest_of(tmp_path, ["bad"] * 25)
    result = run("batch", manifest, "--dry-run")
    assert result.exit_code == 3
    assert result.stdout.count("Failed    line") == 20
    assert "and 5 more" in result.stdout


def test_a_dry_run_says_what_is_asked_for_and_writes_nothing(tmp_path: Path) -> None:
    manifest = manifest_of(tmp_path, [job("b.mp3", "a.mp3", modification=MASK), job("c", "a")])
    result = run("batch", manifest, "--dry-run")
    assert result.exit_code == 0
    wanted = (
        "Jobs      2: 2 store\n"
        "Work      1 masks of 1.0 s in all, 0 trims, 1 plain copies\n"
        "Sources   of 2 jobs the manifest tells no size\n"
        "Invalid   0 lines can't be done\n"
    )
    assert result.stdout == wanted
    printed = run_json("batch", manifest, "--dry-run")
    assert printed == json.loads(ae.plan_batch(manifest).to_json())
    assert [path.name for path in tmp_path.iterdir()] == ["jobs.jsonl"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["s3://bucket/jobs.jsonl"], "--journal FILE must be given"),
        (["jobs.jsonl", "--concurrency", "0"], "--concurrency"),
        (["jobs.jsonl", "--retries", "-1"], "--retries"),
        (["jobs.jsonl", "--trim", "1-2"], "--trim can't be given"),
        (["jobs.jsonl", "--to", "out/"], "--to can't be given"),
        (["jobs.csv", "--trim", "1-2"], "--to PLACE/ must be given"),
        (["jobs.csv", "--to", "out"], "must end in a slash"),
        (["jobs.jsonl", "--executor", "dask"], "scheduler"),
        ([], "MANIFEST"),
    ],
)
def test_wrong_usage_is_exit_code_2(args: list[str], said: str) -> None:
    assert said in refusal("batch", *args)["message"]


def test_a_manifest_that_is_not_there_is_exit_code_1(tmp_path: Path) -> None:
    error = refusal("batch", tmp_path / "none", "--journal", tmp_path / "j", exit_code=1)
    assert error["type"] == "StorageError"
    assert job_outcome.SHOWN_FAILURES == 1000


@pytest.mark.parametrize(
    "edit",
    [
        ["--trim", "0.5-4", "--mask", "caller=1-2"],
        ["--params", json.dumps(EDIT)],
        ["--params", REST_EDIT, "--dialect", "rest"],
        ["--absolute", "--start-time-ms", "1728890677000", *ABSOLUTE],
    ],
)
def test_one_edit_is_done_to_all_that_a_folder_holds(edit: list[str], tmp_path: Path) -> None:
    """Its journal does not lie in it: on resume it would be a recording."""
    folder = tmp_path / "calls"
    folder.mkdir()
    for name in ("a.mp3", "b.mp3"):
        (folder / name).write_bytes(CALL.read_bytes())
    out = tmp_path / "out"
    args = ("batch", f"{folder}/", "--to", f"{out}/", "--guard-ms", "10,40", *edit)
    planned = run_json(*args, "--dry-run")
    assert (planned["jobs"], planned["masks"], planned["trims"]) == (2, 2, 2)
    assert planned["masked_seconds"] == 2
    assert (planned["source_bytes"], planned["unsized"]) == (2 * CALL.stat().st_size, 0)
    assert f"Sources   {2 * CALL.stat().st_size:,} bytes\n" in run(*args, "--dry-run").stdout
    assert run_json(*args, "--concurrency", "1")["done"] == 2
    wanted = replace(ae.Modification.from_params(EDIT), guard_ms=(10, 40))
    expected = io.BytesIO()
    ae.store(CALL, expected, wanted)
    for name in ("a.mp3", "b.mp3"):
        assert (out / name).read_bytes() == expected.getvalue()
    assert (tmp_path / "calls.journal").is_file()
    assert run_json(*args, "--resume")["skipped"] == 2


def test_options_come_before_settings(tmp_path: Path) -> None:
    """Each on its own: what is not said is the settings'."""
    settings = tmp_path / "settings.toml"
    settings.write_text(
        "[store]\nguard_ms = [10, 40]\nbeep.frequency_hz = 800\nrender = 'full'\n"
        "[storage]\nregion = 'eu-central-1'\nbucket_owner = '111122223333'\n"
    )
    seen: list[dict[str, Any]] = []

    def note(*_: object, **arguments: Any) -> None:
        seen.append(arguments)
        raise KeyboardInterrupt

    args = ("batch", manifest_of(tmp_path, []), "--settings", settings)
    with patch.object(batch_run, "run_batch", note):
        for more in ([], ["--guard-ms", "0", "--beep-dbfs", "-30", "--s3-endpoint", "http://a"]):
            assert run(*args, *more).exit_code == 130
    plain, own = seen
    assert plain["options"] == ae.StoreOptions(
        guard_ms=(10, 40), beep=ae.Beep(frequency_hz=800), render="full"
    )
    place = ae.S3Options("eu-central-1", bucket_owner="111122223333")
    assert plain["s3"] == place
    assert plain["settings"].store == plain["options"]
    assert own["options"] == ae.StoreOptions(
        guard_ms=0, beep=ae.Beep(frequency_hz=800, level_dbfs=-30), render="full"
    )
    assert own["s3"] == replace(place, endpoint_url="http://a")


def test_a_bar_says_how_fast_it_goes_and_what_was_done_before_is_no_speed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a resume it fills all the same."""
    clock = iter(range(100))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    assert batching._pace(BatchState(0, 0, 60, 1), 100, 5) == ""
    assert batching._pace(BatchState(20, 0, 60, 1), 100, 10) == "2.0 a second, 0:00:10 left"
    assert batching._pace(BatchState(20, 3, 80, 1), 100, 10).endswith(", 0:00:00 left, 3 failed")
    with batching._bar(4, shown=True) as progress:
        assert progress is not None
        bar = inspect.getclosurevars(progress).nonlocals["bar"]
        for state in (BatchState(0, 0, 1, 1), BatchState(0, 0, 2, 2), BatchState(2, 1, 2, 4)):
            progress(state)
            assert bar.pos == state.done + state.skipped
    assert bar.finished
