# SPDX-License-Identifier: Apache-2.0
"""Amazon Transcribe: output of standard batch jobs, and events of streams.

Only the redacted output of a job marks what was said; the other has the words in clear.
"""

from __future__ import annotations

import re
from typing import Any

from audioengine.edits import Party
from audioengine.redaction.finding import Finding
from audioengine.redaction.transcripts import times
from audioengine.redaction.transcripts.model import (
    Reading,
    SpokenWord,
    Transcript,
    WordStream,
    count_placeholders,
    mapping,
    objects,
    path_in,
    stream_of,
)
from audioengine.times import Interval

NAME = "amazon-transcribe"
STREAMING = "amazon-transcribe-streaming"

_CHANNEL = re.compile(r"ch_(\d{1,2})", re.ASCII)


def is_amazon_job(value: Any) -> bool:
    """Whether it is the output of a standard job."""
    results = value.get("results") if isinstance(value, dict) else None
    return isinstance(results, dict) and not {"items", "transcripts", "channel_labels"}.isdisjoint(
        results
    )


def read_amazon_job(value: dict[str, Any], reading: Reading) -> Transcript:
    """Read the output of a standard job, redacted or not, with channels or without."""
    results = mapping(value["results"], "results")
    labels = mapping(results.get("channel_labels"), "results.channel_labels")
    channels = objects(labels.get("channels"), "results.channel_labels.channels")
    streams: list[WordStream] = []
    findings: list[Finding] = []
    if len(channels) < 2:
        own = channels[0].get("items") if channels else None
        at = "results.channel_labels.channels[0].items" if own else "results.items"
        _read_items(own or results.get("items"), at, None, reading, streams, findings)
    else:
        for place, channel in enumerate(channels):
            at = f"results.channel_labels.channels[{place}]"
            party = reading.of_channel(*_channel(channel.get("channel_label"), place), at)
            _read_items(channel.get("items"), f"{at}.items", party, reading, streams, findings)
    marks = value.get("isRedacted") is True or bool(findings)
    counts = [
        count_placeholders(one.get("transcript"))
        for one in objects(results.get("transcripts"), "results.transcripts")
    ]
    return Transcript(
        streams, findings, marks, left_out=("results.transcripts", max(counts, default=0))
    )


def _channel(label: object, place: int) -> tuple[object, int]:
    """The name of a channel, and which of the recording's that is."""
    found = _CHANNEL.fullmatch(label) if isinstance(label, str) else None
    return (label, int(found[1])) if found else (place, place)


def _read_items(
    value: Any,
    at: str,
    party: Party | None,
    reading: Reading,
    streams: list[WordStream],
    findings: list[Finding],
) -> None:
    items = objects(value, at)
    words: list[SpokenWord] = []
    places: list[int] = []
    redacted: list[tuple[int, dict[str, Any]]] = []
    for place, item in enumerate(items):
        try:
            first = item["alternatives"][0]
            text = first["content"]
        except (KeyError, IndexError, TypeError):
            alternatives = objects(item.get("alternatives"), f"{at}[{place}].alternatives")
            first = alternatives[0] if alternatives else {}
            text = first.get("content", "")
        if "redactions" in first or "redactions" in item:
            of_item = objects(item.get("redactions"), f"{at}[{place}].redactions")
            of_word = objects(first.get("redactions"), f"{at}[{place}].alternatives[0].redactions")
            redacted += [(len(words), one) for one in of_item + of_word or [{}]]
        elif item.get("type") == "punctuation":
            continue
        words.append(SpokenWord(text, item.get("start_time"), item.get("end_time")))
        places.append(place)
    stream = stream_of(party, words, path_in(at, places), times.seconds)
    streams.append(stream)
    for place, redaction in redacted:
        path = stream.path_of(place)
        # One item stands for all of an entity: neighbours bound nothing of that.
        interval = Interval(
            times.seconds(words[place].start, f"{path}.start_time"),
            times.seconds(words[place].end, f"{path}.end_time"),
        )
        kind = redaction.get("type") or redaction.get("category")
        confidence = times.confidence(redaction.get("confidence"))
        findings.append(reading.finding(party, interval, kind, confidence, path))


def is_amazon_stream(value: Any) -> bool:
    """Whether it is an event of a stream, or a list of them."""
    one = value[0] if isinstance(value, list) and value else value
    return isinstance(one, dict) and (
        "TranscriptEvent" in one
        or (isinstance(one.get("Transcript"), dict) and "Results" in one["Transcript"])
    )


def read_amazon_stream(value: Any, reading: Reading) -> Transcript:
    """Read the events of a stream; what is partial comes again, and is passed over."""
    streams: list[WordStream] = []
    findings: list[Finding] = []
    marks = False
    events = objects(value if isinstance(value, list) else [value], "events")
    for number, event in enumerate(events):
        at = f"events[{number}].Transcript.Results" if isinstance(value, list) else "Results"
        inner = mapping(event.get("TranscriptEvent", event), f"events[{number}]")
        results = mapping(inner.get("Transcript"), f"events[{number}].Transcript").get("Results")
        for place, result in enumerate(objects(results, at)):
            if result.get("IsPartial") is True:
                continue
            path = f"{at}[{place}]"
            party = None
            if result.get("ChannelId") is not None:
                party = reading.of_channel(*_channel(result["ChannelId"], -1), f"{path}.ChannelId")
            best = objects(result.get("Alternatives"), f"{path}.Alternatives")[:1] or [{}]
            at_best = f"{path}.Alternatives[0]"
            marks |= "Entities" in best[0]
            findings += _entities(best[0].get("Entities"), f"{at_best}.Entities", party, reading)
            streams.append(_spoken(best[0].get("Items"), f"{at_best}.Items", party))
    return Transcript(_by_party(streams), findings, marks)


def _entities(value: Any, at: str, party: Party | None, reading: Reading) -> list[Finding]:
    out = []
    for place, entity in enumerate(objects(value, at)):
        path = f"{at}[{place}]"
        interval = Interval(
            times.seconds(entity.get("StartTime"), f"{path}.StartTime"),
            times.seconds(entity.get("EndTime"), f"{path}.EndTime"),
        )
        confidence = times.confidence(entity.get("Confidence"))
        kind = entity.get("Type") or entity.get("Category")
        out.append(reading.finding(party, interval, kind, confidence, path))
    return out


def _spoken(value: Any, at: str, party: Party | None) -> WordStream:
    items = objects(value, at)
    places = [place for place, item in enumerate(items) if item.get("Type") != "punctuation"]
    words = [
        SpokenWord(items[p].get("Content", ""), items[p].get("StartTime"), items[p].get("EndTime"))
        for p in places
    ]
    return stream_of(party, words, path_in(at, places), times.seconds)


def _by_party(streams: list[WordStream]) -> list[WordStream]:
    """One stream for each party, of the results in order: a number may go on in the next one."""
    joined: list[WordStream] = []
    for party in dict.fromkeys(stream.party for stream in streams):
        own = [stream for stream in streams if stream.party == party]
        places = [(stream, place) for stream in own for place in range(len(stream.words))]

        def path_of(place: int, places: list[tuple[WordStream, int]] = places) -> str:
            stream, inner = places[place]
            return stream.path_of(inner)

        words = [word for stream in own for word in stream.words]
        joined.append(WordStream(party, words, path_of, times.seconds))
    return joined
