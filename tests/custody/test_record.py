# SPDX-License-Identifier: Apache-2.0
"""Appending: several at once, killed at any moment, and never to what was cut or is no record."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import audioengine as ae
from audioengine.custody import record as module
from audioengine.custody.chain import sealed
from tests.custody.records import APPENDING, KEY, entry, head_of, lines_of, written
from tests.support import FIXTURES

keys = pytest.mark.parametrize("key", [None, KEY])


def numbers(record: ae.CustodyRecord) -> list[int]:
    """What the entries are of, in order."""
    lines = Path(record.path).read_text().splitlines()
    return [json.loads(line)["entry"]["output"]["number"] for line in lines]


@keys
def test_entries_are_appended(tmp_path: Path, key: bytes | None) -> None:
    record = ae.CustodyRecord(tmp_path / "record.jsonl", key)
    record.check()
    assert list(tmp_path.iterdir()) == []
    for number in range(3):
        recorded = record.add(entry(number))
        verdict = ae.verify_record(record)
        assert verdict.passed
        assert (recorded.count, recorded.head) == (verdict.count, verdict.head)
        assert recorded.count == number + 1
        assert verdict.keyed == (key is not None)
    assert numbers(record) == [0, 1, 2]
    assert [one["output"]["number"] for one in record.entries()] == [0, 1, 2]
    assert record.head_path.exists() == (key is not None)
    assert Path(record.path).stat().st_mode & 0o777 == 0o600


@keys
@settings(max_examples=20)
@given(data=st.data())
def test_half_a_line_is_cut_off_by_the_next_to_append(
    key: bytes | None, data: st.DataObject
) -> None:
    """Also of the first line; and a line that a crash kept from its head file is gone on from."""
    count = data.draw(st.integers(0, 2))
    lines = lines_of([entry(n) for n in range(count + 1)], key)
    with tempfile.TemporaryDirectory() as folder:
        record = written(Path(folder), lines[:count], key)
        torn = data.draw(st.integers(0, len(lines[-1])))
        half = lines[-1][:torn]
        is_whole = data.draw(st.booleans()) and torn == len(lines[-1])
        with Path(record.path).open("ab") as file:
            file.write(half + b"\n" * is_whole)
        before = ae.verify_record(record)
        assert {one.code for one in before.findings} == (
            {"torn"} if half and not is_whole else set()
        )
        record.check()
        recorded = record.add(entry(9))
        assert ae.verify_record(record, head=recorded.head).passed
        assert numbers(record) == [*range(count + is_whole), 9]


@pytest.mark.parametrize("block", [1, 7, 64, 1 << 16])
def test_the_last_line_is_found_however_long_it_is(
    block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BLOCK_BYTES", block)
    record = written(tmp_path, lines_of([entry(0), entry(1)], KEY), KEY)
    assert record.add(entry(2)).count == 3
    assert [one["output"]["number"] for one in record.entries()] == [0, 1, 2]
    assert ae.verify_record(record).passed


def cut(record: ae.CustodyRecord) -> None:
    path = Path(record.path)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))


def cut_in_a_line(record: ae.CustodyRecord) -> None:
    path = Path(record.path)
    path.write_bytes(path.read_bytes()[:-1])


def emptied(record: ae.CustodyRecord) -> None:
    Path(record.path).write_bytes(b"")


def removed(record: ae.CustodyRecord) -> None:
    Path(record.path).unlink()


def last_changed(record: ae.CustodyRecord) -> None:
    path = Path(record.path)
    path.write_bytes(path.read_bytes().replace(b'{"number":2,', b'{"number":7,'))


def last_garbled(record: ae.CustodyRecord) -> None:
    with Path(record.path).open("ab") as file:
        file.write(b"{}\n")


def without_head(record: ae.CustodyRecord) -> None:
    record.head_path.unlink()


def with_an_old_head(record: ae.CustodyRecord) -> None:
    lines = lines_of([entry(0)], KEY)
    record.head_path.write_bytes(sealed(head_of(lines), KEY))


def with_another_head(record: ae.CustodyRecord) -> None:
    lines = lines_of([entry(n + 5) for n in range(3)], KEY)
    record.head_path.write_bytes(sealed(head_of(lines), KEY))


@pytest.mark.parametrize(
    "tamper",
    [cut, cut_in_a_line, emptied, removed, last_changed, last_garbled, without_head,
     with_another_head, with_an_old_head],
)  # fmt: skip
def test_a_record_that_was_cut_or_changed_is_not_gone_on_with(tmp_path: Path, tamper: Any) -> None:
    """Else the next entry would hide it."""
    record = written(tmp_path, lines_of([entry(n) for n in range(3)], KEY), KEY)
    tamper(record)
    kept = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ae.VerificationError):
        record.check()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == kept
    with pytest.raises(ae.VerificationError):
        record.add(entry(3))
    kept.setdefault("record.jsonl", b"")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == kept


@pytest.mark.parametrize("data", [b"x", b"{}\n", (FIXTURES / "mono-8k.mp3").read_bytes(), b"\n"])
def test_what_is_no_record_is_left_alone(tmp_path: Path, data: bytes) -> None:
    place = tmp_path / "out.mp3"
    place.write_bytes(data)
    for attempt in (ae.CustodyRecord(place).check, lambda: ae.CustodyRecord(place).add(entry(0))):
        with pytest.raises(ae.InvalidRequestError, match="must be a custody record"):
            attempt()
    assert place.read_bytes() == data


def test_a_record_has_a_key_from_its_first_line_or_never(tmp_path: Path) -> None:
    for key, other in ((KEY, None), (None, KEY)):
        record = written(tmp_path, lines_of([entry(0)], key), key)
        with pytest.raises(ae.InvalidRequestError, match="as for the first entry"):
            ae.CustodyRecord(record.path, other).add(entry(1))
    record = written(tmp_path, lines_of([entry(0)], KEY), KEY)
    with pytest.raises(ae.VerificationError, match="or the key is another one"):
        ae.CustodyRecord(record.path, b"another key of the tests").add(entry(1))


def test_what_can_not_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ae.StorageError, match="make it first"):
        ae.CustodyRecord(tmp_path / "nowhere" / "record.jsonl").check()
    with pytest.raises(ae.StorageError):
        ae.CustodyRecord(tmp_path).check()
    with pytest.raises(ae.StorageError):
        ae.verify_record(tmp_path / "nowhere.jsonl")


@pytest.mark.parametrize(
    ("path", "key", "field"), [("", None, "record"), (7, None, "record"), ("a", b"short", "key"),
                               ("a", "text that is long", "key")],
)  # fmt: skip
def test_a_record_of_another_form_is_refused(path: Any, key: Any, field: str) -> None:
    with pytest.raises(ae.InvalidRequestError, match=field) as caught:
        ae.CustodyRecord(path, key)
    assert "short" not in str(caught.value)
    assert "text that" not in str(caught.value)


def test_a_key_is_not_shown() -> None:
    assert "tests" not in repr(ae.CustodyRecord("record.jsonl", KEY))


def test_a_disk_that_is_full_leaves_no_half_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = written(tmp_path, lines_of([entry(0)], KEY), KEY)
    before = Path(record.path).read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("audioengine.custody.record.os.fsync", full)
    with pytest.raises(ae.StorageError, match="No space left") as caught:
        record.add(entry(1))
    assert caught.value.retryable
    monkeypatch.undo()
    assert Path(record.path).read_bytes() == before
    assert record.add(entry(1)).count == 2


def appending(path: Path, key: bytes | None, name: str, count: int) -> subprocess.Popen[str]:
    """A process that appends."""
    command = [sys.executable, "-c", APPENDING, str(path), (key or b"").decode(), name, str(count)]
    return subprocess.Popen(command, cwd=FIXTURES.parent, stdout=subprocess.PIPE, text=True)


@keys
def test_several_processes_append_to_one_record(tmp_path: Path, key: bytes | None) -> None:
    """Each entry is there once, in one chain; each count was told once."""
    path = tmp_path / "record.jsonl"
    processes = [appending(path, key, name, 10) for name in "abc"]
    told = [process.communicate(timeout=60)[0] for process in processes]
    counts = sorted(int(line.split()[2]) for out in told for line in out.splitlines())
    assert counts == list(range(1, 31))
    assert ae.verify_record(ae.CustodyRecord(path, key)).passed
    outputs = [json.loads(line)["entry"]["output"] for line in path.read_text().splitlines()]
    for name in "abc":
        assert [one["number"] for one in outputs if one["name"] == name] == list(range(10))


@keys
def test_killed_while_it_appends_nothing_that_was_told_is_lost(
    tmp_path: Path, key: bytes | None
) -> None:
    random_ = random.Random(7)
    path = tmp_path / "record.jsonl"
    told: list[str] = []
    for run in range(2):
        with appending(path, key, str(run), 1_000_000) as process:
            assert process.stdout is not None
            told.append(process.stdout.readline())
            time.sleep(random_.uniform(0.01, 0.05))
            process.kill()
            told += process.stdout.read().splitlines()
    record = ae.CustodyRecord(path, key)
    record.add(entry(0))
    assert ae.verify_record(record).passed
    lines = path.read_text().splitlines()
    for one in told:
        if len(one.split()) == 3:
            name, number, count = one.split()
            output = json.loads(lines[int(count) - 1])["entry"]["output"]
            assert (output["name"], output["number"]) == (name, int(number))
