# SPDX-License-Identifier: Apache-2.0
"""AssemblyAI: words and entities, in milliseconds; channels are counted from 1."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from audioengine.edits import Party
from audioengine.redaction.finding import Finding
from audioengine.redaction.transcripts import times
from audioengine.redaction.transcripts.model import (
    Reading,
    Stream,
    Transcript,
    Word,
    by_speaker,
    objects,
    path_in,
    stream_of,
)
from audioengine.times import Interval

NAME = "assemblyai"


def matches(value: Any) -> bool:
    """Whether it is a transcript of its API."""
    if not isinstance(value, dict) or "words" not in value:
        return False
    own = {"utterances", "audio_duration", "entities", "audio_url", "acoustic_model"}
    return not own.isdisjoint(value)


def read(value: dict[str, Any], reading: Reading) -> Transcript:
    """Read words by channel, and entities, which name none."""
    entries = objects(value.get("words"), "words")
    channels: dict[str | None, list[int]] = {}
    for place, one in enumerate(entries):
        label = one.get("channel")
        channels.setdefault(None if label is None else str(label), []).append(place)
    streams: list[Stream] = []
    for label, places in channels.items():
        party = None
        if label is not None and (len(channels) > 1 or label != "1"):
            number = int(label) - 1 if label.isdecimal() and len(label) < 3 else -1
            party = reading.of_channel(label, number, f"words[{places[0]}].channel")
        words = [
            Word(entries[p].get("text"), entries[p].get("start"), entries[p].get("end"))
            for p in places
        ]
        stream = stream_of(party, words, path_in("words", places), times.milliseconds)
        streams += [stream, *by_speaker(stream, [entries[p].get("speaker") for p in places])]
    entities = value.get("entities")
    findings = [
        _finding(entity, f"entities[{place}]", streams, reading)
        for place, entity in enumerate(objects(entities, "entities"))
    ]
    marks = entities is not None or value.get("redact_pii") is True
    return Transcript(streams, findings, marks)


def _finding(entity: dict[str, Any], path: str, streams: list[Stream], reading: Reading) -> Finding:
    start = times.milliseconds(entity.get("start"), f"{path}.start")
    end = times.milliseconds(entity.get("end"), f"{path}.end")
    party = _party(start, end, [one for one in streams if not one.is_of_speaker])
    return reading.finding(party, Interval(start, end), entity.get("entity_type"), None, path)


def _party(start: Decimal, end: Decimal, streams: list[Stream]) -> Party | None:
    """Who speaks the words that begin and end with an entity; None unless it is one party alone."""
    parties = {
        stream.party
        for stream in streams
        if any(
            times.milliseconds(word.start, "") == start
            for word in stream.words
            if word.start is not None
        )
        and any(
            times.milliseconds(word.end, "") == end for word in stream.words if word.end is not None
        )
    }
    return parties.pop() if len(parties) == 1 else None
