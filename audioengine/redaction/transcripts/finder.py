# SPDX-License-Identifier: Apache-2.0
"""What finds more in a transcript's text: a callable of the user's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeAlias


class FoundSpan(NamedTuple):
    """A stretch of characters that a finder finds."""

    start: int
    end: int
    """First character that no longer belongs to it."""
    kind: str
    confidence: float | None = None


Finder: TypeAlias = Callable[
    [str, Sequence[tuple[int, int]]],
    Iterable[FoundSpan | tuple[int, int, str] | tuple[int, int, str, float | None]],
]
"""A text and the spans of its words in, spans with kinds out."""
