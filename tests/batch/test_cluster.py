# SPDX-License-Identifier: Apache-2.0
"""A batch on a Dask cluster: the same outputs, whoever dies, and nothing told to its logs."""

from __future__ import annotations

import base64
import logging
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import LocalCluster

import audioengine as ae
from audioengine.batch import cluster as module
from audioengine.batch.job_outcome import How
from audioengine.batch.manifest_job import Job
from audioengine.batch.run import BatchState
from tests.batch import helpers
from tests.batch.helpers import CALL, EDIT, FULL, TEMPORARY, entries, job, made, manifest_of
from tests.execution import service

SECRET = "not-to-be-shown"


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    options: dict[str, Any] = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    with LocalCluster(processes=True, **options) as workers:
        yield workers.scheduler_address


def on(scheduler: str, manifest: Path, journal: Path, **more: Any) -> ae.BatchReport:
    return ae.run_batch(manifest, journal, executor="dask", scheduler=scheduler, **more)


def test_outputs_are_those_of_processes_and_a_batch_can_be_gone_on_with_elsewhere(
    cluster: str, tmp_path: Path
) -> None:
    """What is done on the cluster is not done again here; what failed there is."""
    late = tmp_path / "late.mp3"
    lines: list[dict[str, Any] | str] = [
        job(tmp_path / "edited.mp3", CALL, modification=EDIT),
        "this is no job",
        job(tmp_path / "gone.mp3", late, modification=EDIT),
        *(job(tmp_path / f"{n}.mp3", CALL, modification=EDIT, guardMs=n) for n in range(8)),
    ]
    manifest, journal = manifest_of(tmp_path, lines), tmp_path / "journal"
    report = on(cluster, manifest, journal, retries=0)
    assert (report.jobs, report.done, report.failed, report.skipped) == (11, 9, 2, 0)
    assert {one.line: one.type for one in report.failures} == {
        2: "InvalidRequestError",
        3: "StorageError",
    }
    assert (tmp_path / "edited.mp3").read_bytes() == made(CALL, EDIT)
    outputs = {path: path.read_bytes() for path in tmp_path.glob("*.mp3")}
    assert len(outputs) == 9
    for path in outputs:
        path.unlink()
    late.write_bytes(CALL.read_bytes())
    again = ae.run_batch(manifest, journal, resume=True, retries=0, concurrency=1)
    assert (again.done, again.failed, again.skipped) == (1, 1, 9)
    assert (tmp_path / "gone.mp3").read_bytes() == made(CALL, EDIT)
    late.unlink()
    (tmp_path / "gone.mp3").unlink()
    ae.run_batch(manifest, tmp_path / "other", retries=0, concurrency=2)
    assert {path: path.read_bytes() for path in tmp_path.glob("*.mp3")} == outputs


def test_jobs_of_a_worker_that_dies_are_done_by_others_and_one_that_kills_them_is_given_up(
    cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "do_sealed", helpers.do_sealed_or_die)
    names = [helpers.ONCE, "a", "b", "c", helpers.ALWAYS]
    lines = [job(tmp_path / f"{name}.mp3", CALL, modification=EDIT) for name in names]
    manifest, journal = manifest_of(tmp_path, lines), tmp_path / "journal"
    report = on(cluster, manifest, journal, options=FULL, concurrency=1)
    assert (report.jobs, report.done, report.failed) == (5, 4, 1)
    (failure,) = report.failures
    assert (failure.line, failure.type, failure.retryable) == (5, "WorkerDied", True)
    assert len((tmp_path / f"{helpers.ONCE}.mp3.died").read_text()) == 1
    assert Counter(entry["line"] for entry in entries(journal)) == dict.fromkeys(range(1, 6), 1)
    wanted = made(CALL, EDIT, render="full")
    outputs = {path.stem: path.read_bytes() for path in tmp_path.glob("*.mp3")}
    assert outputs == dict.fromkeys(names[:4], wanted)
    left = [path.name for path in tmp_path.glob(TEMPORARY)]
    assert all(name.startswith(f".{helpers.ALWAYS}.mp3.") for name in left)


def test_ctrl_c_lets_what_workers_have_taken_end_and_leaves_the_rest(
    cluster: str, tmp_path: Path
) -> None:
    lines = [job(tmp_path / f"{n}.mp3", CALL, modification=EDIT) for n in range(40)]
    manifest, journal = manifest_of(tmp_path, lines), tmp_path / "journal"

    def interrupt(now: BatchState) -> None:
        if now.done == 1:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        on(cluster, manifest, journal, options=FULL, progress=interrupt)
    written = entries(journal)
    assert 1 <= len(written) < 10
    outputs = {str(path) for path in tmp_path.glob("*.mp3")}
    assert outputs == {entry["destination"] for entry in written}
    assert on(cluster, manifest, journal, options=FULL, resume=True).skipped == len(written)


def test_a_scheduler_that_goes_away_ends_the_batch_and_it_can_be_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_CONNECT_SECONDS", 1)  # for which it is waited for, too
    lines = [job(tmp_path / f"{n}.mp3", CALL, modification=EDIT) for n in range(20)]
    manifest, journal = manifest_of(tmp_path, lines), tmp_path / "journal"
    options: dict[str, Any] = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": ":0"}
    with LocalCluster(processes=True, **options) as workers:

        def go_away(now: BatchState) -> None:
            if now.done == 3:
                workers.close()

        with pytest.raises(ae.StorageError, match="lost the scheduler") as caught:
            on(workers.scheduler_address, manifest, journal, progress=go_away)
    assert caught.value.retryable
    done = len(entries(journal))
    assert 3 <= done < 20
    again = ae.run_batch(manifest, journal, resume=True, concurrency=1)
    assert (again.done, again.skipped) == (20 - done, done)


def test_what_is_submitted_shows_nothing_of_the_job_or_its_keys() -> None:
    """Dask shows arguments in logs and on its dashboard."""
    how = How(
        ae.StoreOptions(),
        ae.S3Options(endpoint_url=f"http://{SECRET}", metadata={"key": SECRET}),
        ae.Settings(token_key=SECRET),
    )
    one = Job(7, "key", frozenset([SECRET]), deletes=False, data=f'{{"a": "{SECRET}"}}'.encode())
    for shown in (repr, str):
        assert SECRET not in shown(module._Sealed(one, how))
    assert SECRET not in repr(how.settings)


def test_no_key_of_a_command_is_in_what_a_cluster_writes(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Nor in the journal, whatever becomes of the command."""
    caplog.set_level(logging.DEBUG)
    root = tmp_path / "root"
    for bucket in (service.TEMP, service.KEPT):
        (root / bucket).mkdir(parents=True)
    (root / service.TEMP / service.TEMP_KEY).write_bytes(service.DATA)
    secret = base64.b64encode(bytes(range(32, 64))).decode()
    lines = [
        service.store_command(),
        service.store_command(encryptionKey=secret, fileName="a.mp3"),
        service.store_command(encryptionKey=f"{secret}x", fileName="b.mp3"),
    ]
    manifest, journal = manifest_of(tmp_path, lines), tmp_path / "journal"
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as workers:
        settings = service.settings(storage={"root": str(root)})
        report = on(workers.scheduler_address, manifest, journal, settings=settings, retries=0)
    assert (report.done, report.failed) == (1, 2)
    for text in (journal.read_text(), caplog.text, *capfd.readouterr(), report.to_json()):
        assert secret not in text
        assert service.KEY not in text


def test_a_scheduler_that_is_not_there_is_a_storage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the journal is not begun."""
    monkeypatch.setattr(module, "_CONNECT_SECONDS", 0.2)
    manifest, journal = manifest_of(tmp_path, []), tmp_path / "journal"
    with pytest.raises(ae.StorageError, match="can't reach the scheduler") as caught:
        on("tcp://127.0.0.1:9", manifest, journal)
    assert caught.value.retryable
    with pytest.raises(ae.InvalidRequestError, match="must be an address"):
        on("nowhere://x", manifest, journal)
    assert not journal.exists()


def test_without_dask_it_is_said_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ae.InvalidRequestError, match=r"pip install 'audioengine\[dask\]'"):
        on("tcp://127.0.0.1:9", manifest_of(tmp_path, []), tmp_path / "journal")


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ({"executor": "dask"}, "scheduler"),
        ({"scheduler": "tcp://127.0.0.1:9"}, "scheduler"),
        ({"executor": "threads"}, "executor"),
    ],
)
def test_wrong_executors_are_refused(tmp_path: Path, arguments: Any, path: str) -> None:
    with pytest.raises(ae.InvalidRequestError) as caught:
        ae.run_batch(manifest_of(tmp_path, []), tmp_path / "journal", **arguments)
    assert [problem.path for problem in caught.value.problems] == [path]


def test_after_ctrl_c_nobody_waits_for_a_worker_that_has_died(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What it had taken is left for a batch that goes on."""
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.1)
    lines = [job(tmp_path / f"{n}.mp3", CALL, modification=EDIT) for n in range(30)]
    manifest, journal = manifest_of(tmp_path, lines), tmp_path / "journal"
    options: dict[str, Any] = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": ":0"}
    with LocalCluster(processes=True, **options) as workers:

        def interrupt(now: BatchState) -> None:
            if now.done == 1:
                workers.scale(0)
                signal.raise_signal(signal.SIGINT)

        with pytest.raises(KeyboardInterrupt):
            on(workers.scheduler_address, manifest, journal, options=FULL, progress=interrupt)
    assert 1 <= len(entries(journal)) < 30
