# SPDX-License-Identifier: Apache-2.0
"""The files of a record: which are what they were, and what is said of those that aren't."""

from __future__ import annotations

import json
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import audioengine as ae
from audioengine.operations import record_verification
from tests.custody.records import KEY, codes, entry, lines_of, written
from tests.support import FIXTURES

CALL = FIXTURES / "mpeg25-8k-32k.mp3"
EDIT = ae.Modification(trim=ae.Interval(1, 3))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two outputs, of one source, in a record."""
    made = tmp_path / "made"
    made.mkdir()
    shutil.copy(CALL, tmp_path / "in.mp3")
    record = ae.CustodyRecord(made / "record.jsonl", KEY)
    for name in ("one.mp3", "two.mp3"):
        ae.store(tmp_path / "in.mp3", made / name, EDIT, record=record)
    return made


def judged(folder: Path, **more: Any) -> ae.RecordVerification:
    return ae.verify_record(ae.CustodyRecord(folder / "record.jsonl", KEY), **more)


def test_files_that_are_what_they_were(folder: Path) -> None:
    told: list[ae.EntryVerdict] = []
    verdict = judged(folder, on_entry=told.append)
    assert verdict.passed
    assert (verdict.outputs_checked, verdict.sources_checked) == (2, 2)
    assert [(one.line, one.output, one.files) for one in told] == [
        (1, "one.mp3", "checked"),
        (2, "two.mp3", "checked"),
    ]


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("tamper", "code", "passed"),
    [
        (lambda folder: flip(folder / "two.mp3"), "output_changed", False),
        (lambda folder: (folder / "two.mp3").write_bytes(b""), "output_changed", False),
        (lambda folder: (folder / "two.mp3").unlink(), "output_missing", False),
        (lambda folder: swap_for_a_folder(folder / "two.mp3"), "output_unreadable", False),
        (lambda folder: flip(folder.parent / "in.mp3"), "source_changed", False),
        (lambda folder: (folder.parent / "in.mp3").unlink(), "", True),
    ],
    ids=["changed", "emptied", "removed", "a folder", "source changed", "source removed"],
)
def test_files_that_are_not(
    folder: Path, tamper: Callable[[Path], None], code: str, passed: bool
) -> None:
    """A source that is gone is no failure: temporary recordings are deleted."""
    tamper(folder)
    verdict = judged(folder)
    assert verdict.passed is passed
    assert codes(verdict) == ({code} if code else set())
    if code.startswith("output"):
        assert [one.line for one in verdict.failures] == [2]
        assert "two.mp3" in verdict.failures[0].findings[0].message
    assert verdict.sources_unreachable == (2 if passed else 0)
    assert judged(folder, files=False).passed


def swap_for_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def test_a_folder_is_moved_with_its_record(folder: Path) -> None:
    moved = folder.parent / "moved"
    folder.rename(moved)
    assert judged(moved).passed


def test_an_output_that_was_replaced_is_superseded(folder: Path) -> None:
    """Also where it is its own source; only what somebody else did to it is wrong."""
    record = ae.CustodyRecord(folder / "record.jsonl", KEY)
    ae.store(folder / "two.mp3", folder / "two.mp3", ae.Modification(trim=ae.Interval(0, 1)),
             record=record)  # fmt: skip
    verdict = judged(folder)
    assert verdict.passed
    assert (verdict.outputs_checked, verdict.outputs_superseded) == (2, 1)
    flip(folder / "two.mp3")
    assert [one.line for one in judged(folder).failures] == [3]


@pytest.mark.parametrize("head", ["", "x" * 64, "A" * 64, "0" * 63])
def test_a_head_that_is_none_is_refused(folder: Path, head: str) -> None:
    with pytest.raises(ae.InvalidRequestError, match="head"):
        judged(folder, head=head)


ODD_TEXTS = ["", "a\0b", "s3://", "/", "\ud800", "s3://no bucket/\ud800", "é" * 300]
ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(ODD_TEXTS),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["place", "sha256", "bytes", "version", "etag", "store_sha256"]), inner
    ),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=40)
@given(st.lists(st.fixed_dictionaries({}, optional={"output": ODD, "sources": ODD}), max_size=3))
def test_whatever_somebody_writes_into_an_entry_ends_in_a_verdict(
    tmp_path_factory: pytest.TempPathFactory, entries: list[dict[str, Any]]
) -> None:
    """Without a key anybody can."""
    record = written(tmp_path_factory.mktemp("odd"), lines_of(entries, None), None)
    told: list[ae.EntryVerdict] = []
    verdict = ae.verify_record(record, storage=ae.MemoryStorage("calls"), on_entry=told.append)
    assert len(told) == verdict.count == len(entries)
    json.loads(verdict.to_json())


def test_memory_does_not_grow_with_the_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor with failures, of which only so many are named."""
    monkeypatch.setattr(record_verification, "_SHOWN_FAILURES", 10)
    peaks = []
    for count in (300, 1500):
        entries = [
            {**entry(n), "output": {"place": f"out-{n}.mp3", "sha256": ""}} for n in range(count)
        ]
        record = written(tmp_path, lines_of(entries, None), None)
        del entries
        tracemalloc.start()
        verdict = ae.verify_record(record)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert (verdict.failed, len(verdict.failures)) == (count, 10)
    assert peaks[1] < 1.2 * peaks[0]
