# SPDX-License-Identifier: Apache-2.0
"""A batch in processes: each job once and right, whatever fails, dies, stops it or kills it."""

from __future__ import annotations

import io
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import tenacity

import audioengine as ae
from audioengine.batch import run as module
from audioengine.batch import work
from audioengine.batch.journal import Journal
from audioengine.batch.manifest import jobs_of
from audioengine.batch.manifest_job import Job
from tests.batch import helpers
from tests.batch.helpers import FIXTURES, MASK, SHORT, TEMPORARY, entries, job, manifest_of

CALL = FIXTURES / "mpeg2-16k-48k.mp3"
EDIT = {**MASK, "trim": {"from": 0.5, "to": 4}}
FULL = ae.StoreOptions(render="full")


def made(source: Path, params: Any, **options: Any) -> bytes:
    """What `store` makes of a recording."""
    out = io.BytesIO()
    ae.store(source, out, ae.Modification.from_params(params), **options)
    return out.getvalue()


def test_jobs_are_done_as_store_does_them_and_a_bad_one_stops_no_other(tmp_path: Path) -> None:
    """And what failed is tried again when the batch is resumed, what is done is not."""
    late = tmp_path / "late.mp3"
    lines: list[dict[str, Any] | str] = [
        job(tmp_path / "edited.mp3", modification=EDIT, guardMs=[10, 40]),
        "this is no job",
        job(tmp_path / "gone.mp3", late, modification=EDIT),
        job(tmp_path / "copy.mp3"),
        "",
        job(tmp_path / "copy.mp3"),
        job(tmp_path / "bad.mp3", FIXTURES / "not-audio.mp3", modification=EDIT),
        job(tmp_path / "outside.mp3", modification={"trim": {"from": 90}}),
    ]
    manifest, journal = manifest_of(tmp_path, lines), tmp_path / "journal"
    told: list[tuple[int, int, int]] = []
    report = ae.run_batch(
        manifest, journal, concurrency=2, progress=lambda *now: told.append(now), retries=0
    )
    assert (report.jobs, report.done, report.failed, report.skipped) == (7, 3, 4, 0)
    assert not report.stopped
    assert (tmp_path / "copy.mp3").read_bytes() == SHORT.read_bytes()
    edit = replace(ae.Modification.from_params(EDIT), guard_ms=(10, 40))
    out = io.BytesIO()
    alone = ae.store(SHORT, out, edit)
    assert (tmp_path / "edited.mp3").read_bytes() == out.getvalue()
    assert [done for done, _, _ in told] == list(range(1, 8))
    assert sorted(line for _, _, line in told) == [1, 2, 3, 4, 6, 7, 8]
    failures = {one.line: one for one in report.failures}
    assert {line: one.type for line, one in failures.items()} == {
        2: "InvalidRequestError",
        3: "StorageError",
        7: failures[7].type,
        8: "InvalidRequestError",
    }
    assert failures[2].source is None
    assert failures[3].source == str(late)
    written = {entry["line"]: entry for entry in entries(journal)}
    assert len(written) == len(entries(journal)) == 7
    for line, entry in written.items():
        wanted = "failed" if line in failures else "done"
        assert entry["status"] == wanted
        assert ("error" in entry) == (wanted == "failed") != ("report" in entry)
    assert written[4]["key"] == written[6]["key"] != written[1]["key"]
    assert written[1]["report"]["output"]["bytes"] == alone.output.bytes
    assert [problem["path"] for problem in written[2]["error"]["problems"]] == ["job"]

    late.write_bytes(SHORT.read_bytes())
    # Of two equal lines one is done; a third is another job.
    with manifest.open("a") as file:
        file.write(manifest.read_text().splitlines()[3])
    (tmp_path / "edited.mp3").unlink()
    again = ae.run_batch(manifest, journal, concurrency=1, resume=True, retries=0)
    assert (again.jobs, again.done, again.failed, again.skipped) == (8, 2, 3, 3)
    assert not (tmp_path / "edited.mp3").exists()
    assert (tmp_path / "gone.mp3").read_bytes() == made(SHORT, EDIT)
    assert not list(tmp_path.glob(TEMPORARY))


def test_too_many_failures_stop_a_batch(tmp_path: Path) -> None:
    """Lines that can't be read are failures too; what is left is for another run."""
    manifest = manifest_of(tmp_path, ["bad"] * 5 + [job(tmp_path / "out.mp3")])
    report = ae.run_batch(manifest, tmp_path / "journal", max_failures=2)
    assert (report.jobs, report.failed, report.stopped) == (3, 3, True)
    assert not (tmp_path / "out.mp3").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [("retries", -1), ("retries", True), ("retries", None), ("max_failures", 1.5)],
)
def test_wrong_numbers_are_refused_before_anything_is_written(
    tmp_path: Path, name: str, value: Any
) -> None:
    with pytest.raises(ae.InvalidRequestError) as caught:
        ae.run_batch(manifest_of(tmp_path, []), tmp_path / "journal", **{name: value})
    assert [problem.path for problem in caught.value.problems] == [name]
    assert not (tmp_path / "journal").exists()


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (ae.StorageError("slow down", retryable=True), 3),
        (ae.StorageError("denied"), 1),
        (ae.InvalidRequestError.of("trim", 1, "must not be"), 1),
        (KeyError("a bug"), 1),
    ],
)
def test_only_what_may_pass_is_tried_again(
    error: Exception, attempts: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def fail(*arguments: Any, **_: Any) -> None:
        seen.append(arguments)
        raise error

    monkeypatch.setattr(tenacity, "wait_random_exponential", lambda **_: tenacity.wait_none())
    (one,) = jobs_of(str(manifest_of(tmp_path, [job(tmp_path / "out.mp3")])))
    assert isinstance(one, Job)
    with patch.object(work, "store", fail):
        outcome = work.do(one, ae.StoreOptions(), None, 2)
    assert outcome.attempts == attempts == len(seen)
    assert outcome.report is None
    assert outcome.error is not None
    assert outcome.error["retryable"] == (attempts > 1)
    wanted = type(error).__name__ if isinstance(error, ae.AudioEngineError) else "InternalError"
    assert outcome.error["type"] == wanted


def test_jobs_of_a_process_that_dies_are_done_again_and_one_that_kills_it_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those beside it are not blamed, and nothing is left of what was half written."""
    monkeypatch.setattr(module, "do", helpers.do_or_die)
    names = [helpers.ALWAYS, "a", "b", helpers.ONCE, "c"]
    lines = [job(tmp_path / f"{name}.mp3", CALL, modification=EDIT) for name in names]
    manifest, journal = manifest_of(tmp_path, lines), tmp_path / "journal"
    report = ae.run_batch(manifest, journal, options=FULL, concurrency=2)
    assert (report.jobs, report.done, report.failed) == (5, 4, 1)
    (failure,) = report.failures
    assert (failure.line, failure.type, failure.retryable) == (1, "WorkerDied", True)
    deaths = len((tmp_path / f"{helpers.ALWAYS}.mp3.died").read_text())
    # Once or twice in company, where another may be to blame.
    assert module._MOST_DEATHS < deaths <= module._MOST_DEATHS + 2
    assert Counter(entry["line"] for entry in entries(journal)) == dict.fromkeys(range(1, 6), 1)
    wanted = made(CALL, EDIT, render="full")
    for name in names[1:]:
        assert (tmp_path / f"{name}.mp3").read_bytes() == wanted
    assert not (tmp_path / f"{helpers.ALWAYS}.mp3").exists()
    left = [path.name for path in tmp_path.glob(TEMPORARY)]
    assert all(name.startswith(f".{helpers.ALWAYS}.mp3.") for name in left)


def test_ctrl_c_lets_running_jobs_end_and_writes_them_down(tmp_path: Path) -> None:
    lines = [job(tmp_path / f"{n}.mp3", CALL, modification=EDIT) for n in range(30)]
    manifest, journal = manifest_of(tmp_path, lines), tmp_path / "journal"
    with pytest.raises(KeyboardInterrupt):
        ae.run_batch(
            manifest,
            journal,
            options=FULL,
            concurrency=2,
            progress=lambda done, *_: signal.raise_signal(signal.SIGINT) if done == 1 else None,
        )
    written = entries(journal)
    assert 1 < len(written) < 10
    assert {entry["status"] for entry in written} == {"done"}
    wanted = made(CALL, EDIT, render="full")
    outputs = {path.name: path.read_bytes() for path in tmp_path.glob("*.mp3")}
    assert outputs == {Path(entry["destination"]).name: wanted for entry in written}
    assert not list(tmp_path.glob(TEMPORARY))
    assert multiprocessing.active_children() == []


def in_session(session: int) -> dict[int, str]:
    """The processes of a session, and their command lines; zombies are none."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                command = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if int(fields[3]) == session and fields[0] not in "ZX":
                found[int(folder.name)] = command.replace(b"\0", b" ").decode()
    return found


def started(*args: Any) -> subprocess.Popen[bytes]:
    """A batch in a process, in a session of its own."""
    command = [sys.executable, "-m", "audioengine", "batch", *map(str, args)]
    return subprocess.Popen(
        [*command, "--resume", "--concurrency", "2", "--render", "full", "--json"],
        cwd=FIXTURES.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def until(holds: Any, seconds: float = 30) -> Iterator[None]:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.005)
        yield


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="no /proc here")


@needs_proc
def test_a_batch_that_is_killed_at_any_point_is_gone_on_with(tmp_path: Path) -> None:
    """Each job is done once in the end, each output whole and right; no process is left behind."""
    random_ = random.Random(4)
    lines = [job(tmp_path / f"{n}.mp3", CALL, modification=EDIT) for n in range(12)]
    manifest, journal = manifest_of(tmp_path, lines), tmp_path / "journal"
    # The first is killed as soon as it has a process that may not know its parent yet.
    for least in (0, 1, 4, 8):
        with started(manifest, "--journal", journal) as process:
            if not least:
                list(until(lambda p=process: "spawn_main" in str(in_session(p.pid))))
            else:
                list(until(lambda n=least: len(journal.read_text().splitlines()) > n))
                time.sleep(random_.uniform(0, 0.05))
            process.kill()
            process.communicate()
        list(until(lambda p=process: not in_session(p.pid), 3))
    with started(manifest, "--journal", journal) as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, b""), out
    done: Counter[int] = Counter()
    with closing(Journal(journal, resume=True)) as outcomes:
        for entry in outcomes.finished():
            assert entry["status"] == "done"
            done[entry["line"]] += 1
    assert done == dict.fromkeys(range(1, 13), 1)
    wanted = made(CALL, EDIT, render="full")
    assert all((tmp_path / f"{n}.mp3").read_bytes() == wanted for n in range(12))
    assert not list(tmp_path.glob(TEMPORARY))


@needs_proc
@pytest.mark.parametrize("early", [True, False])
def test_ctrl_c_at_a_terminal_reaches_all_processes_and_still_ends_in_order(
    early: bool, tmp_path: Path
) -> None:
    """Also those that only just begin: one word on stderr, and nothing half done."""
    lines = [job(tmp_path / f"{n}.mp3", CALL, modification=EDIT) for n in range(30)]
    manifest, journal = manifest_of(tmp_path, lines), tmp_path / "journal"
    with started(manifest, "--journal", journal) as process:
        if early:
            list(until(lambda: "spawn_main" in str(in_session(process.pid))))
            time.sleep(0.1)
        else:
            list(until(lambda: journal.exists() and len(journal.read_text().splitlines()) > 1))
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, b"Error: interrupted\n")
    outputs = {str(path) for path in tmp_path.glob("*.mp3")}
    assert outputs == {entry["destination"] for entry in entries(journal)}
    assert not list(tmp_path.glob(TEMPORARY))


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
    assert [one.line for one in plan.failures] == [4, 6]
    assert [path.name for path in tmp_path.iterdir()] == ["jobs.jsonl"]
