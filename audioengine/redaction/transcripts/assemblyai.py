# SPDX-License-Identifier: Apache-2.0
"""AssemblyAI: words and entities, in milliseconds; channels are counted from 1."""

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
    count_placeholders,
    objects,
    path_in,
    stream_of,
)
from audioengine.times import Interval

NAME = "assemblyai"


def is_assemblyai(value: Any) -> bool:
    """Whether it is a transcript of its API."""
    if not isinstance(value, dict) or "words" not in value:
        return False
    own = {"utterances", "audio_duration", "entities", "audio_url", "acoustic_model"}
    return not own.isdisjoint(value)


def read_assemblyai(value: dict[str, Any], reading: Reading) -> Transcript:
    """Read words by channel, and entities, which name none."""
    entries = objects(value.get("words"), "words")
    channels: dict[str | None, list[int]] = {}
    for place, one in enumerate(entries):
        label = one.get("channel")
        channels.setdefault(None if label is None else str(label), []).append(place)
    streams: list[WordStream] = []
    for label, places in channels.items():
        party = None
        if label is not None and (len(channels) > 1 or label != "1"):
            number = int(label) - 1 if label.isdecimal() and len(label) < 3 else -1
            party = reading.of_channel(label, number, f"words[{places[0]}].channel")
        words = [
            SpokenWord(entries[p].get("text"), entries[p].get("start"), entries[p].get("end"))
            for p in places
        ]
        stream = stream_of(party, words, path_in("words", places), times.milliseconds)
        streams += [stream, *by_speaker(stream, [entries[p].get("speaker") for p in places])]
    entities = value.get("entities")
    findings = _findings(objects(entities, "entities"), streams, reading)
    marks = entities is not None or value.get("redact_pii") is True
    left_out = min(count_placeholders(value.get("text")), 1)
    return Transcript(streams, findings, marks, left_out=("text", left_out))


def _findings(
    entities: list[dict[str, Any]], streams: list[WordStream], reading: Reading
) -> list[Finding]:
    starts, ends = _edges(streams) if entities else ({}, {})
    findings = []
    for place, entity in enumerate(entities):
        path = f"entities[{place}]"
        start = times.milliseconds(entity.get("start"), f"{path}.start")
        end = times.milliseconds(entity.get("end"), f"{path}.end")
        # Who speaks the words that begin and end with it, if that is one party alone.
        parties = starts.get(entity["start"], set()) & ends.get(entity["end"], set())
        party = parties.pop() if len(parties) == 1 else None
        kind = entity.get("entity_type")
        findings.append(reading.finding(party, Interval(start, end), kind, None, path))
    return findings


def _edges(
    streams: list[WordStream],
) -> tuple[dict[object, set[Party | None]], dict[object, set[Party | None]]]:
    """Whose words begin and end at each instant, in milliseconds."""
    starts: dict[object, set[Party | None]] = {}
    ends: dict[object, set[Party | None]] = {}
    for stream in streams:
        for word in stream.words:
            if isinstance(word.start, int) and isinstance(word.end, int):
                starts.setdefault(word.start, set()).add(stream.party)
                ends.setdefault(word.end, set()).add(stream.party)
    return starts, ends
