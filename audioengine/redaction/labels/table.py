# SPDX-License-Identifier: Apache-2.0
"""Labels as CSV: ``party,from,to,label``, with a first line that names the columns."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from audioengine.redaction.labels.label import Gathering, Label
from audioengine.redaction.table_rows import column_names, table_rows

_COLUMNS = ("party", "from", "to", "label")
_NEEDED = ("from", "to")
_DIGITS = 6


def is_table(line: str) -> bool:
    """Whether a first line names the columns of labels."""
    return set(_NEEDED) <= set(column_names(line.split(",")))


def read(text: str, found: Gathering) -> None:
    """Columns in any order; without ``party`` all labels are of both, ``label`` may be missing."""
    for path, fields in table_rows(text, _COLUMNS, _NEEDED, found.problems, only=True):
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
