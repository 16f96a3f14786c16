# SPDX-License-Identifier: Apache-2.0
"""The plain form that anything can be brought into: words with seconds, who says them, and what.

::

    {"words": [{"word": "4111", "start": 1.2, "end": 1.9, "channel": 0, "entity": "CARD_NUMBER"}]}

``channel`` is 0 for the left one, 1 for the right one, or the name of a party.
"""

from __future__ import annotations

from typing import Any

from audioengine.edits import Party
from audioengine.redaction.finding import Finding
from audioengine.redaction.transcripts import times
from audioengine.redaction.transcripts.model import (
    Reading,
    SpokenWord,
    Transcript,
    WordStream,
    by_speaker,
    objects,
    path_in,
    stream_of,
)

NAME = "words"


def is_plain_words(value: Any) -> bool:
    """Whether it has words and nothing that tells another form."""
    return isinstance(value, dict) and isinstance(value.get("words"), list)


def read_plain_words(value: dict[str, Any], reading: Reading) -> Transcript:
    """Read words by channel; neighbours with the same entity are one finding."""
    entries = objects(value["words"], "words")
    parties: dict[object, Party | None] = {}
    places: dict[Party | None, list[int]] = {}
    for place, one in enumerate(entries):
        label = one.get("channel")
        key = (type(label), str(label))
        if key not in parties:
            parties[key] = _party(label, f"words[{place}].channel", reading)
        places.setdefault(parties[key], []).append(place)
    streams: list[WordStream] = []
    findings: list[Finding] = []
    marks = False
    for party, own in places.items():
        words = [
            SpokenWord(entries[p].get("word"), entries[p].get("start"), entries[p].get("end"))
            for p in own
        ]
        stream = stream_of(party, words, path_in("words", own), times.seconds)
        streams += [stream, *by_speaker(stream, [entries[p].get("speaker") for p in own])]
        marks |= any("entity" in entries[place] for place in own)
        findings += _entities([entries[place] for place in own], stream, reading)
    return Transcript(streams, findings, marks)


def _party(label: object, path: str, reading: Reading) -> Party | None:
    if label is None:
        return None
    for party in reading.channels:
        if label == party and reading.channel_map is None:
            return reading.party or party
    number = label if isinstance(label, int) and not isinstance(label, bool) else -1
    return reading.of_channel(label, number, path)


def _entities(entries: list[dict[str, Any]], stream: WordStream, reading: Reading) -> list[Finding]:
    findings = []
    first = 0
    for place, entry in enumerate(entries):
        kind = entry.get("entity")
        if place + 1 < len(entries) and entries[place + 1].get("entity") == kind:
            continue
        if kind is not None:
            known = [times.confidence(one.get("confidence")) for one in entries[first : place + 1]]
            told = [one for one in known if one is not None]
            # The surest word decides: none of the others is left out for less.
            confidence = max(told) if len(told) == len(known) else None
            interval = stream.interval(first, place)
            path = stream.path_of(first)
            findings.append(reading.finding(stream.party, interval, kind, confidence, path))
        first = place + 1
    return findings
