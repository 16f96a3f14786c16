# SPDX-License-Identifier: Apache-2.0
"""The journal of a batch: new or gone on with, by one at a time, whatever a kill left of it."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import audioengine as ae
from audioengine.batch.journal import Journal
from tests.batch.helpers import entries
from tests.support import FIXTURES

LOCKED = """
import sys
from audioengine.batch.journal import Journal
journal = Journal(sys.argv[1], resume=False)
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobs.journal"


def write(path: Path, *lines: dict[str, Any]) -> None:
    with closing(Journal(path, resume=path.exists())) as journal:
        for line in lines:
            journal.add(line)


def test_a_journal_has_a_head_and_a_line_an_entry_and_only_its_owner_reads_it(path: Path) -> None:
    write(path, {"key": "a", "status": "done"}, {"key": "b", "text": "ä\n\u2028"})
    (first, second) = entries(path)
    assert (first["key"], first["status"]) == ("a", "done")
    assert second["text"] == "ä\n\u2028"
    assert "T" in first["time"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_new_batch_does_not_write_into_a_journal_that_is_there(path: Path) -> None:
    write(path, {"key": "a", "status": "done"})
    before = path.read_bytes()
    with pytest.raises(ae.InvalidRequestError, match="must be a new file, unless") as caught:
        Journal(path, resume=False)
    assert [problem.path for problem in caught.value.problems] == ["journal"]
    assert path.read_bytes() == before
    write(path, {"key": "b"})
    assert path.read_bytes().startswith(before)
    with closing(Journal(path, resume=True)) as journal:
        assert [entry["key"] for entry in journal.finished()] == ["a", "b"]


def test_an_empty_file_is_as_good_as_none(path: Path) -> None:
    path.touch()
    Journal(path, resume=False).close()
    assert entries(path) == []


@pytest.mark.parametrize("text", ["{}\n", '{"source": "a"}\n', "\n", "ID3", '{"journal": 2, }\n'])
def test_a_file_that_is_no_journal_is_never_written_to(path: Path, text: str) -> None:
    path.write_text(text)
    for resume in (True, False):
        with pytest.raises(ae.InvalidRequestError, match="journal"):
            Journal(path, resume=resume)
    assert path.read_text() == text


def test_half_a_line_that_a_kill_left_is_passed_over(path: Path) -> None:
    """At whatever byte it ends, later entries are read, and none is made up."""
    write(path, {"key": "a", "status": "done"}, {"key": "b", "status": "done"})
    whole = path.read_bytes()
    for length in range(1, len(whole)):
        path.write_bytes(whole[:length])
        write(path, {"key": "c", "status": "done"})
        with closing(Journal(path, resume=True)) as journal:
            found = [entry["key"] for entry in journal.finished()]
        ends = [at for at in range(len(whole)) if whole[at : at + 1] == b"\n"]
        assert found == [key for key, end in zip("ab", ends[1:], strict=True) if length >= end] + [
            "c"
        ]


def test_half_a_line_that_a_full_disk_left_swallows_no_other(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_ = os.write
    with closing(Journal(path, resume=False)) as journal:

        def half(fd: int, data: memoryview) -> int:
            if len(data) < 20:
                raise OSError(errno.ENOSPC, "No space left on device")
            return write_(fd, data[: len(data) - 10])

        with monkeypatch.context() as patched:
            patched.setattr(os, "write", half)
            with pytest.raises(ae.StorageError, match="No space"):
                journal.add({"key": "00", "line": 1})
        journal.add({"key": "01", "line": 2})
        journal.add({"key": "02", "line": 3})
        assert [entry["line"] for entry in journal.finished()] == [2, 3]


def test_one_batch_at_a_time_writes_a_journal(path: Path) -> None:
    command = [sys.executable, "-c", LOCKED, str(path)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=FIXTURES.parent, **pipes) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"locked\n"
        before = path.read_bytes()
        with pytest.raises(ae.StorageError, match="another batch is writing it") as caught:
            Journal(path, resume=True)
        assert caught.value.retryable
        assert path.read_bytes() == before
        process.kill()
    Journal(path, resume=True).close()


def test_what_failed_is_the_last_outcome_of_each_job(path: Path) -> None:
    failed = [{"key": key, "status": "failed", "error": {"at": n}} for n, key in enumerate("abca")]
    write(path, *failed[:3], {"key": "b", "status": "done"}, failed[3], {"else": 1})
    with closing(Journal(path, resume=True)) as journal:
        found = [(entry["key"], entry["error"]["at"]) for entry in journal.failed()]
    assert found == [("c", 2), ("a", 3)]


def test_a_journal_that_can_not_be_opened_is_a_storage_error(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "missing" / "jobs.journal"):
        with pytest.raises(ae.StorageError, match="can't write journal"):
            Journal(place, resume=False)
