# SPDX-License-Identifier: Apache-2.0
"""Label tracks of Audacity: one label a line, start, end and text with tabs between.

All tracks are exported as one list, without their names; the party stands in the text.
"""

from __future__ import annotations

from collections.abc import Iterable

from audioengine.redaction.labels.label import Gathering, Label

_DIGITS = 6


def read(text: str, found: Gathering) -> None:
    """``12.5<TAB>15.25<TAB>caller: card number``; a text without a party is of both."""
    for number, line in enumerate(text.split("\n"), start=1):
        # A line that begins with a backslash gives the frequencies of the label before it.
        if not line.strip() or line.startswith("\\"):
            continue
        path = f"line {number}"
        parts = line.split("\t", 2)
        if len(parts) < 2:
            found.wrong(path, "must be a start, an end and a text, with tabs between")
            continue
        start, end = (
            found.time(f"{path}.{name}", part)
            for name, part in zip(("start", "end"), parts[:2], strict=True)
        )
        if start is not None and end is not None:
            found.add_text(path, start, end, parts[2] if len(parts) > 2 else "")


def write(labels: Iterable[Label]) -> str:
    """The labels, one a line."""
    lines = []
    for label in labels:
        start, end = label.rounded(_DIGITS)
        lines.append(f"{start:.6f}\t{end:.6f}\t{label.text}\n")
    return "".join(lines)
