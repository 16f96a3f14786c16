# SPDX-License-Identifier: Apache-2.0
"""Azure: PII of conversations, and batch transcription of speech, in ticks of 100 ns."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from audioengine.edits import Party
from audioengine.errors import InvalidRequestError
from audioengine.redaction.finding import Finding
from audioengine.redaction.transcripts import times
from audioengine.redaction.transcripts.model import (
    Reading,
    SpokenWord,
    Transcript,
    WordGatherer,
    mapping,
    objects,
)
from audioengine.times import Interval

PII = "azure-pii"
SPEECH = "azure-speech"


def is_azure_pii(value: Any) -> bool:
    """Whether it is a result of the analysis of conversations."""
    return isinstance(value, dict) and bool(_conversations(value))


def read_azure_pii(value: dict[str, Any], reading: Reading) -> Transcript:
    """Read the stretches that were redacted; there are no words in clear."""
    findings: list[Finding] = []
    _check_complete(value)
    for at, one in _conversations(value):
        for number, item in enumerate(objects(one, at)):
            findings += _of_item(item, f"{at}[{number}]", reading)
    return Transcript((), findings, marks=True)


def _check_complete(value: dict[str, Any]) -> None:
    """Raise InvalidRequestError where the analysis failed for some: nobody knows what is there."""
    tasks = mapping(value.get("tasks"), "tasks").get("items")
    holders = [("", value)]
    holders += [(f"tasks.items[{i}].", one) for i, one in enumerate(objects(tasks, "tasks.items"))]
    for at, holder in holders:
        errors = mapping(holder.get("results"), f"{at}results").get("errors") or holder.get(
            "errors"
        )
        status = holder.get("status")
        if errors or (isinstance(status, str) and status.lower() != "succeeded"):
            rule = "must have succeeded for all conversations: what was not analysed is not marked"
            raise InvalidRequestError.of(f"{at}status", "<not succeeded>", rule)


def _conversations(value: dict[str, Any]) -> list[tuple[str, Any]]:
    """The lists of items, and where they are: alone, in results, or in a job's tasks."""
    if "conversationItems" in value:
        return [("conversationItems", value["conversationItems"])]
    if isinstance(value.get("tasks"), dict) and isinstance(value["tasks"].get("items"), list):
        return [
            (f"tasks.items[{place}].{at}", inner)
            for place, task in enumerate(value["tasks"]["items"])
            if isinstance(task, dict)
            for at, inner in _conversations(task)
        ]
    for at in ("results.conversations", "conversations"):
        holder = value.get("results") if at.startswith("results") else value
        found = holder.get("conversations") if isinstance(holder, dict) else None
        if isinstance(found, list):
            return [
                (f"{at}[{place}].conversationItems", one.get("conversationItems"))
                for place, one in enumerate(found)
                if isinstance(one, dict)
            ]
    return []


def _of_item(item: dict[str, Any], at: str, reading: Reading) -> list[Finding]:
    content = mapping(item.get("redactedContent"), f"{at}.redactedContent")
    path = f"{at}.redactedContent.audioTimings"
    timings = objects(content.get("audioTimings"), path)
    entities = objects(item.get("entities"), f"{at}.entities")
    if len(timings) < len(entities):
        rule = (
            f"must have the times of the {len(entities)} entities that it names: ask for them with "
            "redactionSource lexical and audioTimings in the request"
        )
        raise InvalidRequestError.of(path, len(timings), rule)
    kinds = [one.get("category") for one in entities]
    party = _party(item, at, reading)
    findings = []
    for place, timing in enumerate(timings):
        own = f"{path}[{place}]"
        confidence = None
        if len(timings) == len(kinds):
            kind, confidence = kinds[place], entities[place].get("confidenceScore")
        else:
            # Nothing says which is whose, unless all are of one kind.
            kind = kinds[0] if kinds and kinds.count(kinds[0]) == len(kinds) else None
        interval = _interval(timing, own)
        findings.append(reading.finding(party, interval, kind, times.confidence(confidence), own))
    return findings


def _party(item: dict[str, Any], at: str, reading: Reading) -> Party | None:
    """The party that the caller's names of participants or channels tell, else nobody's."""
    names = reading.channel_map or {}
    for key in ("participantId", "channel"):
        if str(item.get(key)) in names:
            return reading.of_channel(item[key], -1, f"{at}.{key}")
    return None


def _interval(timing: dict[str, Any], path: str) -> Interval:
    start = times.ticks(timing.get("offset"), f"{path}.offset")
    return Interval(start, start + times.ticks(timing.get("duration"), f"{path}.duration"))


def is_azure_speech(value: Any) -> bool:
    """Whether it is the result of a batch transcription."""
    return isinstance(value, dict) and isinstance(value.get("recognizedPhrases"), list)


def read_azure_speech(value: dict[str, Any], reading: Reading) -> Transcript:
    """Read the best words of each phrase, by channel."""
    phrases = objects(value["recognizedPhrases"], "recognizedPhrases")
    combined = objects(value.get("combinedRecognizedPhrases"), "combinedRecognizedPhrases")
    labels = {one.get("channel", 0) for one in (*phrases, *combined) if _is_place(one)}
    spoken: dict[Party | None, WordGatherer] = {}
    for number, phrase in enumerate(phrases):
        at = f"recognizedPhrases[{number}]"
        party = None
        if labels != {0}:
            label = phrase.get("channel", 0)
            place = label if _is_place(phrase) else -1
            party = reading.of_channel(label, place, f"{at}.channel")
        _gather(phrase, at, spoken.setdefault(party, WordGatherer(party)))
    return Transcript([own for one in spoken.values() for own in one.streams(_seconds)])


def _is_place(phrase: dict[str, Any]) -> bool:
    label = phrase.get("channel", 0)
    return isinstance(label, int) and not isinstance(label, bool)


def _gather(phrase: dict[str, Any], at: str, spoken: WordGatherer) -> None:
    spoken.begin(*_bounds(phrase))
    best = (objects(phrase.get("nBest"), f"{at}.nBest") or [{}])[0]
    for key, text in (("words", "word"), ("displayWords", "displayText")):
        path = f"{at}.nBest[0].{key}"
        words = objects(best.get(key), path)
        for place, one in enumerate(words):
            spoken.add(SpokenWord(one.get(text), *_bounds(one)), path, place)
        if words:
            return
    spoken.add_text(best.get("lexical", best.get("display", "")), f"{at}.nBest[0].lexical")


def _bounds(value: dict[str, Any]) -> tuple[Any, Any]:
    """When a word or phrase begins and ends: pairs of offset and duration, of which one counts."""
    offset = value.get("offsetInTicks", value.get("offset"))
    duration = value.get("durationInTicks", value.get("duration"))
    return offset, None if offset is None or duration is None else (offset, duration)


def _seconds(value: Any, path: str) -> Decimal:
    """The seconds of an offset, or of the sum of an offset and a duration."""
    if isinstance(value, tuple):
        return sum((_seconds(one, path) for one in value), Decimal(0))
    # Ticks are numbers; the same as a duration of ISO 8601 is text.
    return times.iso_duration(value, path) if isinstance(value, str) else times.ticks(value, path)
