# SPDX-License-Identifier: Apache-2.0
"""Files of labels and events, fuzzed: findings inside bounds, or a typed error."""

from __future__ import annotations

import json
from contextlib import suppress
from fractions import Fraction

import audioengine as ae
from audioengine.redaction.events import parse_events
from audioengine.redaction.labels.label import Label
from audioengine.redaction.labels.reading import FORMATS, parse_labels, write_labels

_START_MS = 1_764_493_200_000


class WrongFindingError(Exception):
    """Findings that no file may tell."""


def labels_and_events(data: bytes) -> None:
    """The first byte chooses what the rest is taken for."""
    choice, text = data[:1], data[1:]
    number = choice[0] if choice else 0
    with suppress(ae.AudioEngineError):
        if number % 2:
            _check(parse_events(text, _START_MS, paused_time="removed" if number & 2 else "kept"))
        else:
            format = None if number % 12 > 9 else FORMATS[number % 12 // 2]
            _check(parse_labels(text, format))


def _check(found: ae.Findings) -> None:
    for one in found:
        if one.start < 0 or (one.end is not None and one.end < one.start):
            raise WrongFindingError(one.path)
    with suppress(ae.AudioEngineError):
        found.modification()


def seeds() -> list[bytes]:
    """Files of each kind, as they are written."""
    given = [
        Label("caller", Fraction(1), Fraction(2), "PIN"),
        Label("both", Fraction(62, 3), Fraction(64, 3)),
    ]
    files = [
        bytes((2 * number,)) + write_labels(given, format) for number, format in enumerate(FORMATS)
    ]
    events = [
        ("pause", "", "2025-11-30T09:00:02.5Z"),
        ("resume", "both", "2025-11-30T10:00:05+01:00"),
        ("keydown", "caller", str(_START_MS + 7000)),
        ("keyup", "caller", str(_START_MS + 7100)),
    ]
    table = "time,event,party\n" + "".join(f"{at},{name},{who}\n" for name, who, at in events)
    lines = "\n".join(
        json.dumps({"time": at, "event": name, "party": who}) for name, who, at in events
    )
    return [*files, *(bytes((mode,)) + text.encode() for mode in (1, 3) for text in (table, lines))]
