# SPDX-License-Identifier: Apache-2.0
"""The verb `batch`: what it prints, where its journal lies, and its exit codes."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

import audioengine as ae
from audioengine.batch import outcome
from tests.batch.helpers import MASK, SHORT, entries, job, manifest_of
from tests.cli.helpers import refusal, run, run_json


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
    assert f"Failed    line 4: can't read source {str(late)!r}" in result.stdout
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
    wanted = "Jobs      2 with 1 masks and 0 trims, 1 of them plain copies; 0 lines can't be done\n"
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
        (["jobs.jsonl", "--trim", "1-2"], "--trim"),
        ([], "MANIFEST"),
    ],
)
def test_wrong_usage_is_exit_code_2(args: list[str], said: str) -> None:
    assert said in refusal("batch", *args)["message"]


def test_a_manifest_that_is_not_there_is_exit_code_1(tmp_path: Path) -> None:
    error = refusal("batch", tmp_path / "none", "--journal", tmp_path / "j", exit_code=1)
    assert error["type"] == "StorageError"
    assert outcome.SHOWN_FAILURES == 1000
