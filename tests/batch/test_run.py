# SPDX-License-Identifier: Apache-2.0
"""A batch in processes: each job once and right, whatever fails, dies, stops it or kills it."""

from __future__ import annotations

import base64
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
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

import audioengine as ae
from audioengine.batch import processes, run
from audioengine.batch.job_outcome import How
from audioengine.batch.journal import Journal
from audioengine.batch.run import BatchState
from audioengine.operations.workers import worker_count
from audioengine.storage import S3Options
from tests.batch import helpers
from tests.batch.helpers import (
    CALL,
    EDIT,
    FIXTURES,
    FULL,
    MASK,
    SHORT,
    STORE,
    TEMPORARY,
    entries,
    job,
    made,
    manifest_of,
)

SECRET = "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3I="


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
    told: list[BatchState] = []
    report = ae.run_batch(manifest, journal, concurrency=2, progress=told.append, retries=0)
    assert (report.jobs, report.done, report.failed, report.skipped) == (7, 3, 4, 0)
    assert not report.stopped
    assert (tmp_path / "copy.mp3").read_bytes() == SHORT.read_bytes()
    edit = replace(ae.Modification.from_params(EDIT), guard_ms=(10, 40))
    out = io.BytesIO()
    alone = ae.store(SHORT, out, edit)
    assert (tmp_path / "edited.mp3").read_bytes() == out.getvalue()
    assert [state.done for state in told] == list(range(1, 8))
    assert sorted(state.line for state in told) == [1, 2, 3, 4, 6, 7, 8]
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


@pytest.mark.parametrize(
    ("options", "path", "rule"),
    [
        (ae.StoreOptions(guard_ms=(10, 40)), "guard_ms", "must be 0 as in the journal"),
        (ae.StoreOptions(caller_channel="right"), "caller_channel", "must be left as in"),
        (ae.StoreOptions(beep=ae.Beep(fill="silence")), "beep.fill", "must be beep as in"),
        (ae.StoreOptions(shared_frames="mask_both"), "shared_frames", "must be keep as in"),
    ],
    ids=["guard", "channel", "fill", "shared"],
)
def test_a_batch_is_not_resumed_with_options_that_mask_otherwise(
    tmp_path: Path, options: ae.StoreOptions, path: str, rule: str
) -> None:
    """Else what is done would count as done with them."""
    manifest = manifest_of(tmp_path, [job(tmp_path / "a.mp3", modification=MASK)])
    journal = tmp_path / "journal"
    assert ae.run_batch(manifest, journal, concurrency=1).done == 1
    with pytest.raises(ae.InvalidRequestError) as caught:
        ae.run_batch(manifest, journal, concurrency=1, resume=True, options=options)
    (problem,) = caught.value.problems
    assert problem.path == path
    assert problem.rule.startswith(rule)
    # What only lets more pass is another matter, and so is how a number is written.
    loose = ae.StoreOptions(allow_truncated=True, guard_ms=Decimal("0.0"))
    again = ae.run_batch(manifest, journal, concurrency=1, resume=True, options=loose)
    assert (again.skipped, again.done) == (1, 0)


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


def test_ctrl_c_lets_running_jobs_end_and_writes_them_down(tmp_path: Path) -> None:
    lines = [job(tmp_path / f"{n}.mp3", CALL, modification=EDIT) for n in range(30)]
    manifest, journal = manifest_of(tmp_path, lines), tmp_path / "journal"
    with pytest.raises(KeyboardInterrupt):
        ae.run_batch(
            manifest,
            journal,
            options=FULL,
            concurrency=2,
            progress=lambda now: signal.raise_signal(signal.SIGINT) if now.done == 1 else None,
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


def forked(session: int) -> bool:
    """Whether there is more than the one process that others are forked from."""
    return sum("forkserver" in command for command in in_session(session).values()) > 1


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
                list(until(lambda p=process: forked(p.pid)))
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
            list(until(lambda: forked(process.pid)))
            time.sleep(0.1)
        else:
            list(until(lambda: journal.exists() and len(journal.read_text().splitlines()) > 1))
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, b"Error: interrupted\n")
    outputs = {str(path) for path in tmp_path.glob("*.mp3")}
    assert outputs == {entry["destination"] for entry in entries(journal)}
    assert not list(tmp_path.glob(TEMPORARY))


def test_jobs_of_a_recording_are_done_in_order_and_a_delete_is_skipped_with_the_cause(
    tmp_path: Path,
) -> None:
    """It is tried again on resume; what is told of a command holds none of its secrets."""
    secret = base64.b64encode(b"k" * 32).decode()
    store = {**STORE, "recordingId": "4711", "encryptionKey": secret}
    delete = {"method": "DELETERECORDING", "recordingId": "4711", "replyId": "x.y.z"}
    lines: list[dict[str, Any] | str] = [store, job(tmp_path / "out.mp3"), delete]
    manifest, journal = manifest_of(tmp_path, lines), tmp_path / "journal"
    for resume in (False, True):
        report = ae.run_batch(manifest, journal, resume=resume, retries=0, concurrency=2)
        failures = {one.line: one for one in report.failures}
        assert {line: one.type for line, one in failures.items()} == {
            1: "InvalidRequestError",
            3: "EarlierJobFailed",
        }
        assert "line 1, on the same recording, failed" in failures[3].message
        assert failures[3].retryable
    assert report.skipped == 1
    (skipped, _) = (entry for entry in entries(journal) if entry["line"] == 3)
    assert (skipped["status"], skipped["attempts"]) == ("failed", 0)
    assert skipped["error"]["problems"][0]["value"] == "4711"
    assert (skipped["method"], skipped["recordingId"]) == ("DELETERECORDING", "4711")
    assert secret not in journal.read_text()


@pytest.mark.parametrize(
    "line",
    [
        {"encryptionKey": SECRET},
        {"encryption_key": {"a": SECRET}},
        {"other": {"encryptionKey": SECRET}},
        {"other": f'{{"encryptionKey": "{SECRET}"}}'},
        {"other": f"encryptionKey={SECRET}"},
    ],
)
def test_a_journal_never_repeats_a_key(line: dict[str, Any], tmp_path: Path) -> None:
    manifest = manifest_of(tmp_path, [{**job(tmp_path / "out.mp3"), **line}])
    report = ae.run_batch(manifest, tmp_path / "journal", concurrency=1)
    assert report.failed == 1
    assert SECRET not in (tmp_path / "journal").read_text() + report.to_json()


def test_what_a_job_tells_the_world_is_in_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of jobs that are done and of those that failed."""
    monkeypatch.setattr(processes, "do_in_process", helpers.tell_event)
    lines = [job(tmp_path / name) for name in ("a.mp3", "failing.mp3")]
    manifest, journal = manifest_of(tmp_path, lines), tmp_path / "journal"
    ae.run_batch(manifest, journal, concurrency=1)
    done, failed = sorted(entries(journal), key=lambda entry: entry["line"])
    assert (done["status"], failed["status"]) == ("done", "failed")
    assert done["event"] == {"event": "RECORDINGSTORED"}
    assert "alarm" not in done
    assert failed["alarm"] == {"event": "storeRecordingError"}


def test_one_edit_is_done_to_all_recordings_of_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "calls"
    (folder / "a").mkdir(parents=True)
    for name in ("one.mp3", "a/two.mp3"):
        (folder / name).write_bytes(CALL.read_bytes())
    for_all = ae.ForAll(f"{tmp_path}/out/", ae.Modification.from_params(EDIT))
    states: list[BatchState] = []
    report = ae.run_batch(f"{folder}/", tmp_path / "journal", for_all=for_all, concurrency=1)
    assert (report.done, report.failed) == (2, 0)
    for name in ("one.mp3", "a/two.mp3"):
        assert (tmp_path / "out" / name).read_bytes() == made(CALL, EDIT)
    again = ae.run_batch(
        f"{folder}/", tmp_path / "journal", for_all=for_all, resume=True, progress=states.append
    )
    assert again.skipped == 2
    assert [(state.done, state.skipped, state.line) for state in states] == [(0, 1, 1), (0, 2, 2)]


def test_settings_say_how_recordings_are_edited_unless_options_do(tmp_path: Path) -> None:
    settings = ae.Settings(store=ae.StoreOptions(guard_ms=(10, 40)))
    manifest = manifest_of(tmp_path, [job(tmp_path / "out.mp3", modification=MASK)])
    for options, applied in ((None, [990, 2040]), (ae.StoreOptions(), [1000, 2000])):
        journal = tmp_path / f"journal-{applied[0]}"
        ae.run_batch(manifest, journal, settings=settings, options=options, concurrency=1)
        (entry,) = entries(journal)
        assert entry["report"]["masks"][0]["applied"]["ms"] == applied


@pytest.mark.parametrize(
    ("line", "settings", "at_once"),
    [
        (job("b.mp3", "a.mp3"), ae.Settings(), 1),
        (job("b.mp3", "s3://calls/a.mp3"), ae.Settings(), run._AT_ONCE),
        (job("s3://calls/b.mp3", "a.mp3"), None, run._AT_ONCE),
        (STORE, None, run._AT_ONCE),
        (STORE, ae.Settings(storage={"root": "places"}), 1),
        ("no job", None, 1),
    ],
)
def test_a_process_has_several_jobs_at_once_where_recordings_are_in_s3(
    line: Any, settings: ae.Settings | None, at_once: int, tmp_path: Path
) -> None:
    """So that some render while others wait; there are as many processes as are asked for."""
    asked: list[tuple[int, int]] = []

    def stop(_how: How, count: int, at_once: int) -> None:
        asked.append((count, at_once))
        raise KeyboardInterrupt

    manifest = manifest_of(tmp_path, [job("b.mp3", "a.mp3"), line])
    with patch.object(run, "Processes", stop):
        for concurrency in (None, 3):
            with pytest.raises(KeyboardInterrupt):
                ae.run_batch(
                    manifest, tmp_path / "journal", settings=settings, concurrency=concurrency
                )
    assert asked == [(worker_count(None), at_once), (3, at_once)]


def test_what_a_killed_batch_had_begun_to_send_since_it_began_is_aborted_by_the_next(
    tmp_path: Path,
) -> None:
    asked: list[float] = []

    def stop(how: How, *_: int) -> None:
        assert how.s3 is not None
        assert how.s3.aborts_since is not None
        asked.append(how.s3.aborts_since)
        raise KeyboardInterrupt

    manifest, journal = manifest_of(tmp_path, []), tmp_path / "journal"
    began = '{"journal": 1, "version": "1", "started": "2026-10-01T12:00:00.000+00:00"}\n'
    with patch.object(run, "Processes", stop):
        for text in (None, began, "", "[]"):
            if text is not None:
                journal.write_text(text)
            with pytest.raises(KeyboardInterrupt):
                ae.run_batch(manifest, journal, resume=True)
    at = datetime(2026, 10, 1, 12, tzinfo=timezone.utc).timestamp() - run._CLOCKS_DIFFER_S
    assert asked[1] == at
    now = time.time() - run._CLOCKS_DIFFER_S
    assert all(now - 30 < one <= now for one in (asked[0], *asked[2:]))


@given(
    st.builds(
        S3Options,
        region=st.none() | st.just("us-west-2"),
        endpoint_url=st.none() | st.just("https://store.example.com"),
        bucket_owner=st.none() | st.just("111122223333"),
    )
)
def test_settings_say_how_s3_is_reached(s3: S3Options) -> None:
    storage = {
        "region": s3.region,
        "endpoint_url": s3.endpoint_url,
        "bucket_owner": s3.bucket_owner,
    }
    found = ae.Settings(storage=storage).storage.s3
    assert found == (None if s3 == S3Options() else s3)


def test_names_that_are_not_utf_8_pass_through(tmp_path: Path) -> None:
    """As old recorders write them; what fails is named in a form that can be printed."""
    calls = tmp_path / "calls"
    names = [os.fsdecode(name) for name in (b"\xfcber.mp3", b"\xe4/\xf6.mp3")]
    for name in names:
        (calls / name).parent.mkdir(parents=True, exist_ok=True)
        (calls / name).write_bytes(CALL.read_bytes())
    (calls / os.fsdecode(b"\xff-broken.mp3")).write_bytes(b"no audio")
    for_all = ae.ForAll(f"{tmp_path}/out/", ae.Modification.from_params(EDIT))
    record = ae.CustodyRecord(tmp_path / "record")
    journal = tmp_path / "journal"
    report = ae.run_batch(
        f"{tmp_path}/calls/", journal, for_all=for_all, concurrency=1, record=record
    )
    assert (report.done, report.failed) == (2, 1)
    for name in names:
        assert (tmp_path / "out" / name).read_bytes() == made(CALL, EDIT)
    (failure,) = report.failures
    assert failure.source == f"{tmp_path}/calls/\\udcff-broken.mp3"
    report.to_json().encode()
    again = ae.run_batch(f"{tmp_path}/calls/", journal, for_all=for_all, resume=True)
    assert (again.skipped, again.failed) == (2, 1)


def test_a_session_of_the_caller_s_own_stays_in_its_process(tmp_path: Path) -> None:
    session: Any = object()
    with pytest.raises(ae.InvalidRequestError, match=r"s3\.session"):
        ae.run_batch(tmp_path / "a", tmp_path / "journal", s3=S3Options(session=session))
