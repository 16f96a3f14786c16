# SPDX-License-Identifier: Apache-2.0
"""The record of a batch: an entry for each output, once, wherever the batch was killed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

import audioengine as ae
from audioengine.batch import run
from audioengine.batch.job_outcome import How, JobOutcome
from audioengine.batch.journal import Journal
from audioengine.batch.manifest_job import Job
from audioengine.batch.run_job import do_job
from tests.batch.helpers import CALL, EDIT, FIXTURES, job, manifest_of
from tests.batch.test_command_work import batch as command_batch
from tests.batch.test_command_work import root as root  # noqa: PLC0414 - a fixture
from tests.batch.test_run import needs_proc, started, until
from tests.custody.records import KEY, codes
from tests.execution.service import store_command


class Killed(BaseException):
    """As if the process had been killed there."""


class Inline:
    """An executor in this process, of one job at a time."""

    def __init__(self, how: How, _processes: int, _at_once: int) -> None:
        self.how = how
        self.jobs: list[Job] = []

    @property
    def room(self) -> int:
        return 1 - len(self.jobs)

    @property
    def busy(self) -> bool:
        return bool(self.jobs)

    def submit(self, job: Job) -> None:
        self.jobs.append(job)

    def ended(self) -> Iterator[tuple[Job, JobOutcome]]:
        yield from ((job, do_job(job, self.how)) for job in (self.jobs.pop(),))

    def cancel(self) -> None:
        self.jobs.clear()

    def close(self) -> None:
        pass


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No processes."""
    monkeypatch.setattr(run, "Processes", Inline)


in_process = pytest.mark.usefixtures("inline")


def recorded(record: ae.CustodyRecord) -> list[dict[str, Any]]:
    return [json.loads(line)["entry"] for line in Path(record.path).read_text().splitlines()]


def lines_of(record: ae.CustodyRecord) -> list[int]:
    return [one["batch"]["line"] for one in recorded(record)]


def four(folder: Path) -> Path:
    lines: list[dict[str, Any] | str] = [
        job(folder / f"{n}.mp3", CALL, modification=EDIT) for n in (1, 2)
    ]
    return manifest_of(folder, [*lines, "no job", job(folder / "4.mp3", folder / "nowhere.mp3")])


@in_process
def test_outputs_are_recorded_and_failures_are_not(tmp_path: Path) -> None:
    manifest, journal = four(tmp_path), tmp_path / "jobs.journal"
    path = ae.CustodyRecord.beside(journal)
    assert path == tmp_path / "jobs.custody"
    record = ae.CustodyRecord(path, KEY, pcm_digest=True)
    report = ae.run_batch(manifest, journal, record=record, concurrency=1, retries=0)
    assert (report.done, report.failed) == (2, 2)
    assert report.recorded is not None
    verdict = ae.verify_record(record, head=report.recorded.head)
    assert (verdict.passed, verdict.count, verdict.head_line) == (True, 2, 2)
    first, second = recorded(record)
    assert first["batch"]["journal"] == second["batch"]["journal"]
    assert {first["output"]["place"], second["output"]["place"]} == {"1.mp3", "2.mp3"}
    assert first["output"]["pcm"] == second["output"]["pcm"]
    again = ae.run_batch(manifest, journal, record=record, resume=True, concurrency=1, retries=0)
    assert (again.skipped, again.recorded) == (2, None)
    assert "recorded" not in again.to_dict()
    assert len(recorded(record)) == 2


@in_process
@pytest.mark.parametrize("where", ["before the record", "between", "after the journal"])
def test_killed_at_any_step_a_batch_neither_loses_nor_repeats_entries(
    tmp_path: Path, where: str
) -> None:
    """Another batch writes to the same record meanwhile."""
    manifest, journal = four(tmp_path), tmp_path / "journal"
    record = ae.CustodyRecord(tmp_path / "record", KEY)
    add_record, add_line = ae.CustodyRecord.add, Journal.add

    def to_record(self: ae.CustodyRecord, entry: Mapping[str, Any]) -> Any:
        if where == "before the record":
            raise Killed
        return add_record(self, entry)

    def to_journal(self: Journal, entry: dict[str, Any]) -> None:
        if where == "between":
            raise Killed
        add_line(self, entry)
        raise Killed

    options: dict[str, Any] = {"record": record, "concurrency": 1, "retries": 0}
    with (
        patch.object(ae.CustodyRecord, "add", to_record),
        patch.object(Journal, "add", to_journal),
        pytest.raises(Killed),
    ):
        ae.run_batch(manifest, journal, **options)
    ae.store(CALL, tmp_path / "other.mp3", record=record)
    ae.run_batch(manifest, journal, resume=True, **options)
    others = [one for one in recorded(record) if "batch" not in one]
    lines = [one["batch"]["line"] for one in recorded(record) if "batch" in one]
    assert (len(others), sorted(lines)) == (1, [1, 2])
    assert ae.verify_record(record).passed


@in_process
def test_stopped_between_record_and_journal_while_others_come_to_their_end(tmp_path: Path) -> None:
    """As Ctrl-C may: what ends later stands behind it in the record."""
    manifest, journal = four(tmp_path), tmp_path / "journal"
    record = ae.CustodyRecord(tmp_path / "record", KEY)
    add_line = Journal.add
    stops = iter([True])

    def to_journal(self: Journal, entry: dict[str, Any]) -> None:
        if next(stops, False):
            raise KeyboardInterrupt
        add_line(self, entry)

    def room(self: Inline) -> int:
        return 2 - len(self.jobs)

    with (
        patch.object(Journal, "add", to_journal),
        patch.object(Inline, "room", property(room)),
        patch.object(Inline, "cancel", lambda _: None),
        pytest.raises(KeyboardInterrupt),
    ):
        ae.run_batch(manifest, journal, record=record, concurrency=1, retries=0)
    assert sorted(lines_of(record)) == [1, 2]
    report = ae.run_batch(manifest, journal, record=record, resume=True, concurrency=1, retries=0)
    assert (report.done, report.skipped) == (1, 1)
    assert sorted(lines_of(record)) == [1, 2]


@in_process
def test_a_job_that_gives_another_output_when_it_is_done_again_is_recorded_again(
    tmp_path: Path,
) -> None:
    """Its source was changed meanwhile: both outputs were there."""
    source = tmp_path / "in.mp3"
    source.write_bytes(CALL.read_bytes())
    manifest = manifest_of(tmp_path, [job(tmp_path / "1.mp3", source, modification=EDIT)])
    record = ae.CustodyRecord(tmp_path / "record")
    options: dict[str, Any] = {"record": record, "concurrency": 1}
    with patch.object(Journal, "add", side_effect=Killed), pytest.raises(Killed):
        ae.run_batch(manifest, tmp_path / "journal", **options)
    source.write_bytes((FIXTURES / "midside-16k.mp3").read_bytes())
    ae.run_batch(manifest, tmp_path / "journal", resume=True, **options)
    first, second = recorded(record)
    assert first["sources"][0]["sha256"] != second["sources"][0]["sha256"]
    assert lines_of(record) == [1, 1]


@in_process
def test_a_command_whose_output_was_not_recorded_any_more_is_when_it_is_resumed(
    root: Path,
) -> None:
    """The second time it finds its own output."""
    record = ae.CustodyRecord(root.parent / "record", KEY)
    lines = [store_command(fileName="a.mp3")]
    with patch.object(ae.CustodyRecord, "add", side_effect=Killed), pytest.raises(Killed):
        command_batch(root, lines, record=record)
    command_batch(root, lines, record=record, resume=True)
    (entry,) = recorded(record)
    assert (entry["operation"], entry["batch"]["line"]) == ("found", 1)
    storage = ae.FolderStorage(root)
    assert ae.verify_record(record, storage=storage).passed
    (root / "kept" / "a.mp3").write_bytes(CALL.read_bytes())
    assert codes(ae.verify_record(record, storage=storage)) == {"output_changed"}


@in_process
def test_a_command_that_was_recorded_is_not_again(root: Path) -> None:
    record = ae.CustodyRecord(root.parent / "record", KEY)
    lines = [store_command(fileName="a.mp3")]
    with patch.object(Journal, "add", side_effect=Killed), pytest.raises(Killed):
        command_batch(root, lines, record=record)
    command_batch(root, lines, record=record, resume=True)
    (entry,) = recorded(record)
    assert entry["operation"] == "store"


def test_a_record_that_can_not_be_gone_on_with_stops_a_batch_before_it_begins(
    tmp_path: Path,
) -> None:
    manifest, journal = four(tmp_path), tmp_path / "journal"
    record = tmp_path / "record"
    record.write_bytes(b"no record\n")
    for wrong in (ae.CustodyRecord(record), ae.CustodyRecord(journal), str(record)):
        with pytest.raises(ae.InvalidRequestError, match="record"):
            ae.run_batch(manifest, journal, record=wrong)  # type: ignore[arg-type]
    assert not journal.exists()


@needs_proc
def test_a_batch_that_is_killed_for_real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIOENGINE_RECORD_KEY", KEY.decode())
    lines = [job(tmp_path / f"{n}.mp3", CALL, modification=EDIT) for n in range(4)]
    manifest, journal = manifest_of(tmp_path, lines), tmp_path / "journal"
    record = ae.CustodyRecord(tmp_path / "record", KEY)
    arguments = (manifest, "--journal", journal, "--record", record.path)
    with started(*arguments) as process:
        list(until(lambda: journal.exists() and len(journal.read_text().split("\n")) > 2))
        time.sleep(0.01)
        process.kill()
        process.communicate()
    with started(*arguments) as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, b"")
    verdict = ae.verify_record(record, head=json.loads(out)["recorded"]["head"])
    assert verdict.passed
    assert sorted(lines_of(record)) == list(range(1, 5))
