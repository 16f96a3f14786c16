# SPDX-License-Identifier: Apache-2.0
"""CSV with a first line that names its columns."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from audioengine.errors import Problem

HIDDEN = "<hidden>"
"""Stands in errors for what may be a secret."""


def table_rows(
    text: str, columns: Sequence[str], needed: Sequence[str], problems: list[Problem], *, only: bool
) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield what messages call a line, and its fields by their columns.

    columns: all that have a meaning; needed: those that must be there; only: whether others are
    wrong. What is wrong is added to `problems`, without its text.
    """
    rows = csv.reader(io.StringIO(text, newline=""))
    try:
        names = column_names(next(rows, []))
        unknown = only and not set(names) <= set(columns)
        if unknown or len(set(names)) < len(names) or not set(needed) <= set(names):
            rule = f"must name the columns, each once: {', '.join(columns)}"
            problems.append(Problem("line 1", HIDDEN, rule))
            return
        for row in rows:
            path = f"line {rows.line_num}"
            if not any(field.strip() for field in row):
                continue
            if len(row) == len(names):
                yield path, dict(zip(names, row, strict=True))
            else:
                rule = f"must have {len(names)} fields, as line 1 has"
                problems.append(Problem(path, HIDDEN, rule))
    except csv.Error:
        problems.append(Problem(f"line {rows.line_num}", HIDDEN, "must be a line of CSV"))


def column_names(fields: Sequence[str]) -> list[str]:
    """Names of columns as they count: without spaces around, in lower case."""
    return [field.strip().lower() for field in fields]
