# SPDX-License-Identifier: Apache-2.0
"""Commands in a manifest: carried out with the settings, in order, with their events."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import audioengine as ae
from audioengine.batch.job_outcome import How
from audioengine.batch.manifest_job import Job, job_of
from audioengine.batch.run_job import do_job
from audioengine.cli import main
from tests.batch.helpers import entries, manifest_of
from tests.execution.service import (
    DATA,
    DOMAIN,
    KEPT,
    KEY,
    MASK,
    START,
    TEMP,
    TEMP_KEY,
    delete_command,
    settings,
    store_command,
)

CANARY = base64.b64encode(bytes(range(60, 92))).decode()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A storage of folders with one temporary recording."""
    made = tmp_path / "root"
    for bucket in (TEMP, KEPT):
        (made / bucket).mkdir(parents=True)
    (made / TEMP / TEMP_KEY).write_bytes(DATA)
    meta = {"metadata": {"domain": DOMAIN, "start-time-ms": str(START)}}
    (made / TEMP / f"{TEMP_KEY}.meta.json").write_text(json.dumps(meta))
    return made


def batch(root: Path, lines: list[dict[str, Any]], **more: Any) -> tuple[ae.BatchReport, Path]:
    manifest = manifest_of(root.parent, lines)
    journal = root.parent / "journal"
    asked = {"settings": settings_of(root), "concurrency": 1, "retries": 0, **more}
    return ae.run_batch(manifest, journal, **asked), journal


def settings_of(root: Path, **more: Any) -> ae.Settings:
    return settings(storage={"root": str(root)}, **more)


def test_a_store_and_a_delete_run_in_order(root: Path) -> None:
    report, journal = batch(root, [store_command(fileName="a/b.mp3"), delete_command()])
    assert (report.done, report.failed) == (2, 0)
    found = entries(journal)
    assert [one["event"]["event"] for one in found] == ["RECORDINGSTORED", "RECORDINGDELETED"]
    assert found[0]["report"]["output"] == f"s3://{KEPT}/a/b.mp3"
    assert found[0]["report"]["report"]["masks"]
    assert not (root / TEMP / TEMP_KEY).exists()
    kept = root / KEPT / "a" / "b.mp3"
    ae.store(DATA, root / "wanted.mp3", ae.Modification(mask={"caller": [ae.Interval(1, 2)]}))
    assert kept.read_bytes() == (root / "wanted.mp3").read_bytes()
    meta = json.loads(kept.with_name("b.mp3.meta.json").read_text())
    assert meta["metadata"]["domain"] == DOMAIN


@pytest.mark.parametrize("wrong", [{"fileName": ".."}, {"destinationBucket": 7}])
def test_what_failed_is_not_deleted(root: Path, wrong: dict[str, Any]) -> None:
    """Neither where the store was refused, nor where its line could not be read."""
    report, journal = batch(root, [store_command(**wrong), delete_command()])
    assert (report.done, report.failed) == (0, 2)
    first, second = entries(journal)
    assert first["event"]["event"] == "STORERECORDINGFAILED"
    assert first["alarm"]["type"] == "storeRecordingError"
    assert second["error"]["type"] == "EarlierJobFailed"
    assert (root / TEMP / TEMP_KEY).read_bytes() == DATA


def test_resumed_what_failed_runs_again_and_what_is_done_does_not(root: Path) -> None:
    lines = [store_command(), delete_command()]
    (root / KEPT).rmdir()
    report, journal = batch(root, lines)
    assert (report.done, report.failed) == (0, 2)
    (root / KEPT).mkdir()
    report, journal = batch(root, lines, resume=True)
    assert (report.done, report.failed) == (2, 0)
    report, journal = batch(root, lines, resume=True)
    assert (report.done, report.failed, report.skipped) == (0, 0, 2)
    assert len(entries(journal)) == 4


def test_options_come_before_what_settings_say_of_commands_too(root: Path) -> None:
    """A guard that is asked for is one for all lines."""
    plain = {"source": "in.mp3", "destination": "plain.mp3", "modification": MASK}
    (root.parent / "in.mp3").write_bytes(DATA)
    lines = [
        {**plain, "source": str(root.parent / "in.mp3"), "destination": str(root.parent / "p.mp3")},
        store_command(fileName="a.mp3"),
    ]
    chosen = ae.StoreOptions(guard_ms=(10, 40), beep=ae.Beep(frequency_hz=700))
    wanted = io.BytesIO()
    guarded = ae.Modification(mask={"caller": [ae.Interval(1, 2)]}, guard_ms=(10, 40))
    ae.store(DATA, wanted, guarded, ae.StoreOptions(beep=chosen.beep))
    for given in ({"options": chosen}, {"settings": settings_of(root, store=chosen)}):
        report, journal = batch(root, lines, **given)
        assert (report.done, report.failed) == (2, 0)
        for path in (root.parent / "p.mp3", root / KEPT / "a.mp3"):
            assert path.read_bytes() == wanted.getvalue()
            path.unlink()
        journal.unlink()


def test_how_s3_is_reached_holds_for_commands_too(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def execute(_: bytes, storage: ae.Storage, *__: object, **___: object) -> ae.Outcome:
        asked.append(storage)
        return ae.Outcome(event=None)

    monkeypatch.setattr("audioengine.execution.execute.execute", execute)
    one = job_of(1, json.dumps(store_command()).encode())
    assert isinstance(one, Job)
    s3 = ae.S3Options(endpoint_url="http://127.0.0.1:1")
    do_job(one, How(ae.StoreOptions(), s3, settings()))
    do_job(one, How(ae.StoreOptions(), s3, settings(storage={"root": "kept"})))
    assert [repr(storage) for storage in asked] == [repr(ae.S3Storage(s3)), "FolderStorage('kept')"]


def test_without_settings_a_command_is_refused(root: Path) -> None:
    manifest = manifest_of(root.parent, [store_command()])
    report = ae.run_batch(manifest, root.parent / "journal", concurrency=1)
    assert report.failed == 1
    assert "settings" in report.failures[0].message
    assert (root / TEMP / TEMP_KEY).read_bytes() == DATA


def test_the_command_line_reads_settings_and_writes_no_secret(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A customer's key and the token's key are in nothing that is written or printed."""
    file = root.parent / "settings.toml"
    file.write_text(f'[domains."{DOMAIN}"]\nbuckets = ["{KEPT}"]\n[storage]\nroot = "{root}"\n')
    monkeypatch.setenv("AUDIOENGINE_TOKEN_KEY", KEY)
    lines = [
        store_command(),
        store_command(encryptionKey=CANARY),
        store_command(encryptionKey=f"{CANARY}x"),
        store_command(encryptionKey=[CANARY], fileName=7),
        {"method": "STORERECORDING", "encryptionKey": CANARY},
        {"source": "a", "destination": "b", "encryptionKey": CANARY},
    ]
    manifest = manifest_of(root.parent, lines)
    command = ["batch", str(manifest), "--settings", str(file), "--retries", "0", "--json"]
    table = root.parent / "failures.csv"
    result = CliRunner().invoke(main, [*command, "--failures-csv", str(table)])
    assert result.exit_code == 3, result.output
    shown = json.loads(result.stdout)
    assert (shown["done"], shown["failed"]) == (1, 5)
    written = [path for path in root.parent.rglob("*") if path.is_file() and path != manifest]
    told = [path.read_bytes().decode(errors="replace") for path in written]
    for text in (result.output, *told):
        assert CANARY not in text
        assert KEY not in text
