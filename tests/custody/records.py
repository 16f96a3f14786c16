# SPDX-License-Identifier: Apache-2.0
"""Records made by hand, line by line, and a worker that appends to one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import audioengine as ae
from audioengine.custody.chain import Head, line_digest, linked, sealed

KEY = b"a key of the tests"
TIME = "2026-11-23T13:00:00.000Z"

APPENDING = """
import sys
import audioengine as ae
path, key, name, count = sys.argv[1:]
record = ae.CustodyRecord(path, key.encode() or None)
for number in range(int(count)):
    entry = {"output": {"place": None, "name": name, "number": number}, "sources": []}
    print(name, number, record.add(entry).count, flush=True)
"""
"""Appends entries, and says of each that it is recorded."""


def entry(number: int) -> dict[str, Any]:
    """An entry whose output has no name."""
    return {"output": {"place": None, "number": number, "é": "\ud800"}, "sources": []}


def lines_of(entries: Sequence[Mapping[str, Any]], key: bytes | None) -> list[bytes]:
    """The lines of a record, without their ends."""
    head = Head()
    lines = []
    for one in entries:
        lines.append(linked(one, head, TIME, key))
        head = Head(len(lines), line_digest(lines[-1]))
    return lines


def head_of(lines: Sequence[bytes]) -> Head:
    """How far a chain has come."""
    return Head(len(lines), line_digest(lines[-1])) if lines else Head()


def written(folder: Path, lines: Sequence[bytes], key: bytes | None) -> ae.CustodyRecord:
    """A record of such lines, with its head file."""
    record = ae.CustodyRecord(folder / "record.jsonl", key)
    Path(record.path).write_bytes(b"".join(line + b"\n" for line in lines))
    if key is not None:
        record.head_path.write_bytes(sealed(head_of(lines), key))
    return record


def codes(verdict: ae.RecordVerification) -> set[str]:
    """All that is wrong."""
    found = {one.code for one in verdict.findings}
    return found.union(*({one.code for one in entry.findings} for entry in verdict.failures))
