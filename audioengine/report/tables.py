# SPDX-License-Identifier: Apache-2.0
"""Reports as HTML tables, for notebooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

ROWS_AT_MOST = 50
"""The most rows of a list: a recording may have 10,000 masks."""

_LANE = 18
_WIDTH = 800


def report_html(values: Mapping[str, Any]) -> str:
    """A table of a report's values, with the timeline of a merge; all text is escaped."""
    return f"<div>{_lanes(values)}{_table_of(values)}</div>"


def _table_of(values: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><th>{escape(str(key))}</th><td>{_cell(value)}</td></tr>"
        for key, value in values.items()
    )
    return f"<table>{rows}</table>"


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        # An interval shows its times; its samples are in `to_dict`.
        if value.keys() == {"samples", "ms"}:
            start, end = value["ms"] if isinstance(value["ms"], Sequence) else [value["ms"]] * 2
            return f"{start / 1000:.3f} to {end / 1000:.3f} s"
        return _table_of(value) if value else ""
    if isinstance(value, Sequence) and not isinstance(value, str):
        if value and all(isinstance(one, Mapping) and "code" not in one for one in value):
            return _rows_of(value)
        return "<br>".join(_cell(one) for one in value)
    return "" if value is None else escape(str(value))


def _rows_of(items: Sequence[Mapping[str, Any]]) -> str:
    names = list(items[0])
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    rows = "".join(
        "<tr>" + "".join(f"<td>{_cell(one.get(name))}</td>" for name in names) + "</tr>"
        for one in items[:ROWS_AT_MOST]
    )
    left = len(items) - ROWS_AT_MOST
    more = f"<tr><td>and {left:,} more</td></tr>" if left > 0 else ""
    return f"<table><tr>{head}</tr>{rows}{more}</table>"


def _lanes(values: Mapping[str, Any]) -> str:
    """A lane a recording of a merge: where it has audio, is heard, and is silenced."""
    parts = values.get("parts", ())
    end = max((one["interval"]["samples"][1] for one in parts if "interval" in one), default=0)
    if not end:
        return ""
    drawn = []
    for number, part in enumerate(parts[:ROWS_AT_MOST]):
        lane = [(part["interval"], "#c3cad4", "audio")]
        lane += [(one, "#4a6b93", "heard") for one in part["heard"]]
        lane += [(one, "#b3261e", "silenced") for one in part["silenced"]]
        for interval, colour, what in lane:
            start, stop = (_WIDTH * one / end for one in interval["samples"])
            drawn.append(
                f'<rect x="{start:.1f}" y="{number * _LANE + 2}" width="{stop - start:.1f}" '
                f'height="{_LANE - 4}" fill="{colour}"><title>{escape(str(part["id"]))}: '
                f"{what}, {_cell(interval)}</title></rect>"
            )
    height = _LANE * min(len(parts), ROWS_AT_MOST)
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" width="100%" height="{height}" '
        f'preserveAspectRatio="none" role="img" aria-label="Who is heard when">'
        f"{''.join(drawn)}</svg>"
    )
