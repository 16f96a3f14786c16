# SPDX-License-Identifier: Apache-2.0
"""The verb `verify-record`, and the options that make a record."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import audioengine as ae
from tests.cli.helpers import CALL, as_json, refusal, run, run_json
from tests.custody.records import KEY, entry, lines_of, written

CANARY = KEY.decode()
EDIT = ("--trim", "0.5-5.25", "--mask", "caller=1-1.5")


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The key is in the environment, as a deployment has it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUDIOENGINE_RECORD_KEY", CANARY)


@pytest.fixture
def record(tmp_path: Path) -> Path:
    """Of one output."""
    path = tmp_path / "record.jsonl"
    assert run("store", CALL, tmp_path / "out.mp3", *EDIT, "--record", path).exit_code == 0
    return path


def test_store_and_merge_append(record: Path, tmp_path: Path) -> None:
    """And print the head, which is to be published."""
    arguments = ("merge", tmp_path / "merged.mp3", "--part", f"{CALL}@1728890677283")
    printed = run_json(*arguments, "--record", record, "--pcm-digest")["recorded"]
    assert (printed["count"], printed["record"]) == (2, str(record))
    assert ae.verify_record(ae.CustodyRecord(record, KEY), head=printed["head"]).passed
    first, second = (json.loads(line)["entry"] for line in record.read_text().splitlines())
    assert "pcm" not in first["output"]
    assert second["output"]["pcm"]["samples"] == 96_000
    result = run("store", CALL, tmp_path / "again.mp3", "--record", record)
    lines = result.stdout.splitlines()
    assert f"Recorded  {record}: entry 3" in lines
    head = ae.verify_record(ae.CustodyRecord(record, KEY)).head
    assert f"          head {head}" in lines
    assert "recorded" not in run_json("store", CALL, tmp_path / "unrecorded.mp3")


def test_a_record_that_is_right(record: Path) -> None:
    result = run("verify-record", record)
    assert result.exit_code == 0, result.output
    assert "VERIFIED: 1 of 1 entries are right" in result.stdout
    assert "1 entries, HMACs checked" in result.stdout
    assert "Outputs   1 checked, 0 superseded" in result.stdout
    head = ae.verify_record(ae.CustodyRecord(record, KEY)).head
    assert f"Head      {head}" in result.stdout
    covered = run("verify-record", record, "--head", head, "--no-files")
    assert covered.exit_code == 0
    assert "the one given is that of line 1, and covers no later one" in covered.stdout
    assert "not looked at" in covered.stdout


def test_json_has_a_verdict_for_each_entry(record: Path, tmp_path: Path) -> None:
    run("store", CALL, tmp_path / "two.mp3", "--record", record)
    (tmp_path / "two.mp3").unlink()
    printed = run_json("verify-record", record, exit_code=1)
    told: list[ae.EntryVerdict] = []
    verdict = ae.verify_record(ae.CustodyRecord(record, KEY), on_entry=told.append)
    printed.pop("wall_seconds")
    assert printed.pop("entries") == [as_json(one.to_dict()) for one in told]
    assert printed == as_json(verdict.to_dict())
    assert [one.passed for one in told] == [True, False]
    assert (printed["passed"], printed["count"], printed["head"]) == (False, 2, verdict.head)
    empty = written(tmp_path, [], KEY)
    assert run_json("verify-record", str(empty.path))["entries"] == []


def test_what_is_wrong_is_named(record: Path, tmp_path: Path) -> None:
    (tmp_path / "out.mp3").write_bytes(b"")
    result = run("verify-record", record)
    assert result.exit_code == 1
    assert "line 1: output_changed: " in result.stdout
    assert "NOT VERIFIED: 0 of 1 entries are right" in result.stdout
    many = written(tmp_path, lines_of([entry(n) for n in range(30)], None), KEY)
    result = run("verify-record", str(many.path))
    assert result.exit_code == 1
    assert "line 1: changed: it has no HMAC, and one is expected" in result.stdout
    assert "and 10 more entries; --json names all" in result.stdout


def test_what_somebody_wrote_into_a_record_prints_no_verdict(tmp_path: Path) -> None:
    """Nor does a name that no terminal can show keep one from being printed."""
    place = "a\x1b[2J\nVerdict   VERIFIED: 1 of 1 entries are right \ud800"
    odd = {"output": {"place": place, "bytes": 1, "sha256": ""}, "sources": []}
    record = written(tmp_path, lines_of([odd], None), None)
    result = run("verify-record", str(record.path))
    assert result.exit_code == 1
    assert "NOT VERIFIED: 0 of 1 entries are right" in result.stdout
    assert "\nVerdict   VERIFIED" not in result.stdout
    assert "\x1b" not in result.stdout
    printed = run_json("verify-record", str(record.path), exit_code=1)
    assert printed["failures"][0]["output"] == place


def test_another_key(record: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIOENGINE_RECORD_KEY", "another key of the tests")
    result = run("verify-record", record)
    assert result.exit_code == 1
    assert "the key is another one" in result.stdout
    monkeypatch.delenv("AUDIOENGINE_RECORD_KEY")
    result = run("verify-record", record)
    assert result.exit_code == 0
    assert "HMACs not checked: no key is set" in result.stdout


def test_the_key_may_be_in_a_file_or_in_settings(
    record: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is shown nowhere."""
    monkeypatch.delenv("AUDIOENGINE_RECORD_KEY")
    (tmp_path / "key").write_bytes(KEY + b"\n")
    settings = tmp_path / "audioengine.toml"
    for line in (f'record_key_file = "{tmp_path}/key"', f'record_key = "{CANARY}"'):
        settings.write_text(line)
        result = run("verify-record", record)
        assert "HMACs checked" in result.stdout, result.output
        shown = run("settings")
        assert CANARY not in shown.output + result.output + record.read_text()
    settings.write_text(f'record_key = "{CANARY}"\nrecord_key_file = "key"')
    error = refusal("verify-record", record)
    assert CANARY not in str(error)
    settings.write_text('record_key_file = "nowhere"')
    refusal("verify-record", record, exit_code=1)
    settings.write_text('record_key = "canary"')
    assert "canary" not in str(refusal("verify-record", record))


def test_wrong_usage(record: Path, tmp_path: Path) -> None:
    refusal("verify-record", record, CALL)
    refusal("verify-record", record, "--trim", "1-2")
    refusal("verify-record", record, "--head", "x")
    refusal("verify", "--head", "0" * 64, CALL, CALL)
    refusal("verify", "--no-files", CALL, CALL)
    refusal("verify", CALL)
    refusal("verify-record", tmp_path / "nowhere", exit_code=1)
    refusal("store", CALL, tmp_path / "out.mp3", "--pcm-digest")
    refusal("store", CALL, tmp_path / "a.mp3", "--record", CALL)
    refusal("store", CALL, tmp_path / "a.mp3", "--record", tmp_path / "a" / "b", exit_code=1)
    assert not (tmp_path / "a.mp3").exists()


def test_a_batch_records_beside_its_journal(tmp_path: Path) -> None:
    line = {"source": CALL, "destination": str(tmp_path / "batch.mp3")}
    (tmp_path / "jobs.jsonl").write_text(json.dumps(line))
    result = run("batch", "jobs.jsonl", "--concurrency", "1", "--record")
    assert result.exit_code == 0, result.output
    head = ae.verify_record(ae.CustodyRecord("jobs.jsonl.custody", KEY)).head
    assert f"Recorded  jobs.jsonl.custody: 1 entries\n          head {head}" in result.stdout
    again = run_json("batch", "jobs.jsonl", "--journal", "other", "--record", "a.custody")
    assert again["recorded"]["record"] == "a.custody"
    refusal("batch", "jobs.jsonl", "--resume", "--pcm-digest")


def test_local_buckets_are_found_by_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = ae.FolderStorage(tmp_path / "root")
    (tmp_path / "root" / "kept").mkdir(parents=True)
    record = ae.CustodyRecord(tmp_path / "record.jsonl", KEY)
    ae.store(CALL, storage.place("kept", "a.mp3"), record=record)
    monkeypatch.setenv("AUDIOENGINE_STORAGE__ROOT", str(tmp_path / "root"))
    assert run("verify-record", str(record.path)).exit_code == 0
    (tmp_path / "root" / "kept" / "a.mp3").unlink()
    assert run("verify-record", str(record.path)).exit_code == 1
