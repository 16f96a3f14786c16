# SPDX-License-Identifier: Apache-2.0
"""What the service knows of a recording before a command names it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from audioengine.times import Number


@dataclass(frozen=True, slots=True)
class Known:
    """What a RECORDINGREADY event said of a recording."""

    domain: str
    start_time_ms: Number | None = None
    """Epoch time of the earliest of its streams."""
    bucket: str | None = None
    key: str | None = None


Resolver: TypeAlias = Callable[[str, str], Known | None]
"""Looks a recording up by its domain and its id; None if it is not known."""


def nothing_known(_domain: str, _recording_id: str) -> None:
    """Know no recording: everything must then come from tokens and objects."""
