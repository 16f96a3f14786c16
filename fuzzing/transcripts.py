# SPDX-License-Identifier: Apache-2.0
"""Transcripts, fuzzed: findings inside bounds and without text, or a typed error."""

from __future__ import annotations

from contextlib import suppress

import audioengine as ae
from audioengine.edits import resolve
from audioengine.redaction.transcripts.reading import FORMATS, find_in_transcript
from fixtures.transcripts import MARKED, MIXED, SPOKEN, encoded, instead, spread

_NAMES = (None, *FORMATS)
_CALL = (
    *spread("it is 4111 1111", 1, 3, "caller", (None, None, "CARD", "CARD")),
    *spread("mhm", 3, 3.5, "callee"),
    *spread("one one one one 1111 cvv 731", 4, 6, "caller"),
)


class UnboundFindingError(Exception):
    """A finding outside of all recordings, or less masked than found."""


def transcripts(data: bytes) -> None:
    """The first byte chooses what the rest is taken for, and whose."""
    number = data[0] if data else 0
    with suppress(ae.AudioEngineError):
        found = find_in_transcript(
            data[1:],
            format=_NAMES[number % len(_NAMES)],
            agent="callee" if number & 128 else None,
            caller_channel="right" if number & 64 else "left",
        )
        for one in found:
            if not 0 <= one.start < 10**9 or (one.end is not None and one.end < one.start):
                raise UnboundFindingError(one.path)
        edits = resolve(found.modification(["ALL"], guard_ms=1), rate_hz=8000, samples=80_000)
        _check_masks(found, {party: edits.spans(party) for party in ("caller", "callee")})


def _check_masks(found: ae.Findings, masks: dict[str, object]) -> None:
    """Raise UnboundFindingError where something is found and not masked."""
    for one in found:
        for party, spans in masks.items():
            if one.party in (party, None) and not spans:
                raise UnboundFindingError(one.path)


def transcript_seeds() -> list[bytes]:
    """A short call as each vendor has it."""
    with instead(_CALL):
        made = [make() for group in (MARKED, SPOKEN, MIXED) for make in group.values()]
    return [bytes((number,)) + encoded(one) for one in made for number in (0, 128)]
