# SPDX-License-Identifier: Apache-2.0
"""Labels as CSV: ``party,from,to,label``, with a first line that names the columns."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator

from audioengine.redaction.labels.label import Gathering, Label

_COLUMNS = ("party", "from", "to", "label")
_DIGITS = 6


def is_table(line: str) -> bool:
    """Whether a first line names the columns of labels."""
    return {"from", "to"} <= {name.strip().lower() for name in line.split(",")}


def read(text: str, found: Gathering) -> None:
    """Columns in any order; without ``party`` all labels are of both, ``label`` may be missing."""
    rows = csv.reader(io.StringIO(text, newline=""))
    try:
        _read(((f"line {rows.line_num}", row) for row in rows), found)
    except csv.Error:
        found.wrong(f"line {rows.line_num}", "must be a line of CSV")


def _read(rows: Iterator[tuple[str, list[str]]], found: Gathering) -> None:
    names = [name.strip().lower() for name in next(rows, ("", []))[1]]
    unknown = [name for name in names if name not in _COLUMNS]
    if unknown or len(set(names)) < len(names) or not {"from", "to"} <= set(names):
        found.wrong("line 1", f"must name the columns, each once: {', '.join(_COLUMNS)}")
        return
    for path, row in rows:
        if not any(field.strip() for field in row):
            continue
        if len(row) != len(names):
            found.wrong(path, f"must have {len(names)} fields, as line 1 has")
            continue
        fields = dict(zip(names, row, strict=True))
        start = found.time(f"{path}.from", fields["from"])
        end = found.time(f"{path}.to", fields["to"])
        if start is not None and end is not None:
            party = fields.get("party", "").strip() or "both"
            found.add_named(path, party, start, end, fields.get("label"))


def write(labels: Iterable[Label]) -> str:
    """The labels under a line that names the columns."""
    out = io.StringIO(newline="")
    table = csv.writer(out, lineterminator="\n")
    table.writerow(_COLUMNS)
    for label in labels:
        start, end = label.rounded(_DIGITS)
        table.writerow((label.party, f"{start:f}", f"{end:f}", label.kind or ""))
    return out.getvalue()
