# SPDX-License-Identifier: Apache-2.0
"""Lines of batches' reports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from audioengine.report.details import FailedJobReport

_SHOWN_FAILURES = 20


def size_line(source_bytes: int, unsized: int) -> str:
    """How large the sources of a batch are."""
    known = f"{source_bytes:,} bytes"
    if not unsized:
        return known
    unknown = f"of {unsized:,} jobs the manifest tells no size"
    return f"{known}; {unknown}" if source_bytes else unknown


def left_out_lines(count: int) -> list[str]:
    """How many files of a folder make no jobs."""
    return [f"{count:,} that are no recordings; --include GLOB takes others"] if count else []


def failed_paragraphs(
    failures: Sequence[FailedJobReport], count: int
) -> Iterator[tuple[str, list[str]]]:
    """The first failures, a paragraph each, and how many more there are."""
    shown = failures[:_SHOWN_FAILURES]
    for one in shown:
        named = "" if one.source is None else f", {one.source}"
        yield "Failed", [f"line {one.line}{named}: {one.message}"]
    if count > len(shown):
        yield "", [f"and {count - len(shown):,} more, see the journal"]
