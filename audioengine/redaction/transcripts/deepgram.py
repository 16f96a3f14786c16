# SPDX-License-Identifier: Apache-2.0
"""Deepgram: words and entities of each channel."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from audioengine.errors import InvalidRequestError
from audioengine.redaction.finding import Finding
from audioengine.redaction.transcripts import times
from audioengine.redaction.transcripts.model import (
    Reading,
    SpokenWord,
    Transcript,
    WordStream,
    by_speaker,
    count_placeholders,
    mapping,
    objects,
    path_in,
    stream_of,
)

NAME = "deepgram"

_SIGNS = re.compile(r"[\W_]+")


def is_deepgram(value: Any) -> bool:
    """Whether it is a response of its API for recordings."""
    results = value.get("results") if isinstance(value, dict) else None
    return isinstance(results, dict) and isinstance(results.get("channels"), list)


def read_deepgram(value: dict[str, Any], reading: Reading) -> Transcript:
    """Read the first alternative of each channel; one channel is a mix, of nobody alone."""
    channels = objects(value["results"]["channels"], "results.channels")
    streams: list[WordStream] = []
    findings: list[Finding] = []
    marks = False
    left_out = ("", 0)
    for number, channel in enumerate(channels):
        at = f"results.channels[{number}].alternatives"
        best = objects(channel.get("alternatives"), at)[:1] or [{}]
        at += "[0]"
        if count_placeholders(best[0].get("transcript")):
            left_out = (f"{at}.transcript", 1)
        party = None
        if len(channels) > 1:
            party = reading.of_channel(number, number, f"results.channels[{number}]")
        entries = objects(best[0].get("words"), f"{at}.words")
        words = [SpokenWord(one.get("word"), one.get("start"), one.get("end")) for one in entries]
        stream = stream_of(party, words, path_in(f"{at}.words"), times.seconds)
        streams += [stream, *by_speaker(stream, [one.get("speaker") for one in entries])]
        entities = best[0].get("entities")
        marks |= entities is not None
        for place, entity in enumerate(objects(entities, f"{at}.entities")):
            findings.append(_finding(entity, f"{at}.entities[{place}]", stream, reading))
    mapping(value.get("metadata"), "metadata")
    return Transcript(streams, findings, marks, left_out=left_out)


def _finding(entity: dict[str, Any], path: str, stream: WordStream, reading: Reading) -> Finding:
    first, last = (
        _index(entity.get(name), f"{path}.{name}", len(stream.words))
        for name in ("start_word", "end_word")
    )
    if last < first:
        rule = "must be at least start_word"
        raise InvalidRequestError.of(f"{path}.end_word", last, rule)
    said = "".join(_bare(entity.get(name)) for name in ("value", "raw_value"))
    # Whether end_word is one of the entity's words is nowhere said: it counts, and so does the next
    # word if it is in the value.
    if last + 1 < len(stream.words) and (after := _bare(stream.words[last + 1].text)) in said:
        last += bool(after)
    interval = stream.interval(first, min(last, len(stream.words) - 1))
    confidence = times.confidence(entity.get("confidence"))
    return reading.finding(stream.party, interval, entity.get("label"), confidence, path)


def _index(value: Any, path: str, count: int) -> int:
    """A place of a word, which may be written as 3.0; that after the last one is the last one's."""
    number = value if isinstance(value, (int, Decimal)) else None
    if number is None or isinstance(number, bool):
        raise InvalidRequestError.of(path, f"<{type(value).__name__}>", "must be a word's place")
    # Its range first: 1e1000000 has a million digits as an integer.
    if not 0 <= number <= count or count == 0 or number != int(number):
        raise InvalidRequestError.of(path, "<number>", f"must be a place of one of {count} words")
    return min(int(number), count - 1)


def _bare(text: object) -> str:
    return _SIGNS.sub("", text).casefold() if isinstance(text, str) else ""
