# SPDX-License-Identifier: Apache-2.0
"""What vendors would export of the demo's call, whose secrets and their places are known.

Each maker follows its vendor's documentation. The words between the secrets are put where nobody
speaks one of them; those of a group of digits share its time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

from audioengine.edits import Party
from tests.support import FIXTURES

Export = dict[str, Any]
PARTIES: tuple[Party, ...] = ("caller", "callee")


@dataclass(frozen=True)
class Said:
    text: str
    start_ms: int
    end_ms: int
    party: Party
    kind: str | None = None

    @property
    def start(self) -> Decimal:
        return Decimal(self.start_ms) / 1000

    @property
    def end(self) -> Decimal:
        return Decimal(self.end_ms) / 1000

    @property
    def channel(self) -> int:
        return 0 if self.party == "caller" else 1


def spread(
    text: str, start: float, end: float, party: Party, kinds: Sequence[str | None] = ()
) -> list[Said]:
    words = text.split()
    edges = [round(1000 * (start + (end - start) * k / len(words))) for k in range(len(words) + 1)]
    kinds = kinds or [None] * len(words)
    return [Said(word, edges[k], edges[k + 1], party, kinds[k]) for k, word in enumerate(words)]


@cache
def said() -> tuple[Said, ...]:
    """The words of the demo's call around its secrets, in the order of their starts."""
    demo = json.loads((FIXTURES / "demo.json").read_text())
    card = demo["card_number"]
    words = spread("the number is", 18.0, 19.2, "caller")
    groups = ("four zero one two", "double eight eight eight", "8888", "one eight eight one")
    for text, (start, end) in zip(groups, card["groups_s"], strict=True):
        kinds: list[str | None] = ["CREDIT_DEBIT_NUMBER"] * len(text.split())
        words += spread(text, start, end, "caller", kinds)
    words += spread("mhm", 20.7, 20.85, "callee")
    ending = demo["last_four_digits"]
    words += spread("thank you ending in", 25.5, 28.1, "callee")
    words += spread(ending["text"], ending["start_s"], ending["end_s"], "callee")
    code = demo["security_code"]
    kinds = [*[None] * 6, *["CREDIT_DEBIT_CVV"] * 3]
    words += spread(code["text"], code["start_s"], code["end_s"], "caller", kinds)
    words += spread("great thank you", 32.0, 33.0, "caller")
    return tuple(sorted(words, key=lambda one: one.start_ms))


def of(party: Party) -> list[Said]:
    return [one for one in said() if one.party == party]


def entities(words: Sequence[Said]) -> list[tuple[int, int, str]]:
    """The first word of each entity, the last one, and its kind."""
    out: list[tuple[int, int, str]] = []
    for place, one in enumerate(words):
        if one.kind and out and out[-1][2] == one.kind and out[-1][1] == place - 1:
            out[-1] = (out[-1][0], place, one.kind)
        elif one.kind:
            out.append((place, place, one.kind))
    return out


def amazon_items(words: Sequence[Said], *, redacted: bool) -> list[Export]:
    items: list[Export] = []
    marked = {first: (last, kind) for first, last, kind in entities(words)}
    place = 0
    while place < len(words):
        one = words[place]
        item: Export = {"id": len(items), "type": "pronunciation", "start_time": str(one.start)}
        if redacted and place in marked:
            last, kind = marked[place]
            redaction = {"confidence": "0.9987", "type": kind, "category": "PII"}
            item["end_time"] = str(words[last].end)
            item["alternatives"] = [{"content": "[PII]", "redactions": [redaction]}]
            place = last
        else:
            item["end_time"] = str(one.end)
            item["alternatives"] = [{"confidence": "0.99", "content": one.text}]
        items += [item, {"type": "punctuation", "alternatives": [{"content": ","}]}]
        place += 1
    return items


def amazon(*, redacted: bool = True) -> Export:
    channels: list[Export] = [
        {"channel_label": f"ch_{number}", "items": amazon_items(of(party), redacted=redacted)}
        for number, party in enumerate(PARTIES)
    ]
    everything = sorted(
        (item for one in channels for item in one["items"] if "start_time" in item),
        key=lambda item: Decimal(item["start_time"]),
    )
    return {
        "jobName": "call",
        "accountId": "000000000000",
        "isRedacted": redacted,
        "status": "COMPLETED",
        "results": {
            "transcripts": [{"transcript": "left out"}],
            "channel_labels": {"channels": channels, "number_of_channels": 2},
            "items": everything,
        },
    }


def amazon_mono() -> Export:
    export = amazon()
    del export["results"]["channel_labels"]
    return export


def amazon_streaming() -> list[Export]:
    results = []
    for number, party in enumerate(PARTIES):
        words = of(party)
        best = {
            "Transcript": "left out",
            "Items": [
                {"Content": w.text, "StartTime": w.start, "EndTime": w.end, "Type": "pronunciation"}
                for w in words
            ],
            "Entities": [
                {
                    "Content": "left out",
                    "Category": "PII",
                    "Type": kind,
                    "StartTime": words[first].start,
                    "EndTime": words[last].end,
                    "Confidence": Decimal("0.97"),
                }
                for first, last, kind in entities(words)
            ],
        }
        results += [
            {"ChannelId": f"ch_{number}", "IsPartial": partial, "Alternatives": [best]}
            for partial in (True, False)
        ]
    return [{"TranscriptEvent": {"Transcript": {"Results": [one]}}} for one in results]


def _turns() -> list[list[Said]]:
    turns: list[list[Said]] = []
    for one in said():
        if turns and turns[-1][0].party == one.party:
            turns[-1].append(one)
        else:
            turns.append([one])
    return turns


def call_analytics() -> Export:
    """Post-call analytics: roles in turns, typed items, and stamps nested once more."""
    transcript = []
    for turn in _turns():
        items: list[Export] = []
        stamps = []
        marked = {first: (last, kind) for first, last, kind in entities(turn)}
        place = 0
        while place < len(turn):
            one, last = turn[place], place
            item: Export = {"Type": "pronunciation", "BeginOffsetMillis": one.start_ms}
            if place in marked:
                last, kind = marked[place]
                item |= {
                    "Content": "[PII]",
                    "Redaction": [{"Confidence": "0.99", "Type": kind, "Category": "PII"}],
                }
                stamps.append(
                    {"BeginOffsetMillis": one.start_ms, "EndOffsetMillis": turn[last].end_ms}
                )
            else:
                item |= {"Content": one.text, "Confidence": "0.99"}
            item["EndOffsetMillis"] = turn[last].end_ms
            items.append(item)
            place = last + 1
        transcript.append(
            {
                "ParticipantRole": "CUSTOMER" if turn[0].party == "caller" else "AGENT",
                "BeginOffsetMillis": turn[0].start_ms,
                "EndOffsetMillis": turn[-1].end_ms,
                "Content": " ".join(item["Content"] for item in items),
                "Items": items,
                **({"Redaction": {"RedactedTimestamps": [stamps]}} if stamps else {}),
            }
        )
    return {
        "JobStatus": "COMPLETED",
        "Channel": "VOICE",
        "ContentMetadata": {"Output": "Redacted", "RedactionTypes": ["PII"]},
        "Participants": [{"ParticipantRole": "AGENT"}, {"ParticipantRole": "CUSTOMER"}],
        "Transcript": transcript,
    }


def contact_lens(mode: str = "ENTITY_TYPE") -> Export:
    """Contact Lens: participants by id, no items, stamps in a list, kinds in the text."""
    export = call_analytics()
    export["ContentMetadata"]["RedactionTypesMetadata"] = {"PII": {"RedactionMaskMode": mode}}
    ids = {"AGENT": "a-1", "CUSTOMER": "c-1"}
    export["Participants"] = [
        {"ParticipantId": one, "ParticipantRole": role} for role, one in ids.items()
    ]
    for turn, words in zip(export["Transcript"], _turns(), strict=True):
        turn["ParticipantId"] = ids[turn.pop("ParticipantRole")]
        kinds = [kind for _, _, kind in entities(words)]
        shown = [f"[{kind if mode == 'ENTITY_TYPE' else 'PII'}]" for kind in kinds]
        turn["Content"] = " ".join(["words", *shown])
        del turn["Items"]
        if "Redaction" in turn:
            turn["Redaction"]["RedactedTimestamps"] = turn["Redaction"]["RedactedTimestamps"][0]
    return export


def whisper(*, timed_digits: bool = True, word: str = "probability") -> Export:
    """Whisper's; with untimed digits, WhisperX's."""
    segments: list[Export] = []
    for turn in _turns():
        words: list[Export] = []
        for one in turn:
            entry: Export = {"word": f" {one.text}"}
            if timed_digits or not any(map(str.isdigit, one.text)):
                entry |= {"start": one.start, "end": one.end, word: Decimal("0.91")}
            words.append(entry)
        segments.append(
            {
                "id": len(segments),
                "start": turn[0].start,
                "end": turn[-1].end,
                "text": " ".join(one.text for one in turn),
                "words": words,
            }
        )
    return {"text": "left out", "segments": segments, "language": "en"}


def whisperx() -> Export:
    return whisper(timed_digits=False, word="score") | {"word_segments": []}


def whisper_cpp() -> Export:
    return {
        "systeminfo": "",
        "result": {"language": "en"},
        "transcription": [
            {
                "timestamps": {"from": "00:00:00,000", "to": "00:00:00,000"},
                "offsets": {"from": one.start_ms, "to": one.end_ms},
                "text": f" {one.text}",
            }
            for one in said()
        ],
    }


def deepgram(*, marked: bool = True) -> Export:
    channels = []
    for party in PARTIES:
        words = of(party)
        best: Export = {
            "transcript": "left out",
            "confidence": Decimal("0.99"),
            "words": [
                {"word": w.text, "start": w.start, "end": w.end, "confidence": Decimal("0.98")}
                for w in words
            ],
        }
        if marked:
            best["entities"] = [
                {
                    "label": kind,
                    "value": " ".join(w.text for w in words[first : last + 1]),
                    "confidence": Decimal("0.97"),
                    "start_word": Decimal(first).quantize(Decimal("0.1")),
                    "end_word": Decimal(last).quantize(Decimal("0.1")),
                }
                for first, last, kind in entities(words)
            ]
        channels.append({"alternatives": [best]})
    return {"metadata": {"channels": 2, "duration": Decimal(42)}, "results": {"channels": channels}}


def assemblyai() -> Export:
    words = [
        {
            "text": one.text,
            "start": one.start_ms,
            "end": one.end_ms,
            "confidence": Decimal("0.98"),
            "channel": str(one.channel + 1),
        }
        for one in said()
    ]
    found = [
        {
            "entity_type": kind.lower(),
            "text": "left out",
            "start": own[first].start_ms,
            "end": own[last].end_ms,
        }
        for party in PARTIES
        for own in (of(party),)
        for first, last, kind in entities(own)
    ]
    return {
        "id": "1",
        "status": "completed",
        "audio_duration": 42,
        "words": words,
        "entities": found,
    }


def azure_pii() -> Export:
    items = []
    for number, turn in enumerate(_turns()):
        spans = [(turn[first], turn[last], kind) for first, last, kind in entities(turn)]
        items.append(
            {
                "id": str(number),
                "participantId": turn[0].party,
                "redactedContent": {
                    "text": "left out",
                    "audioTimings": [
                        {
                            "offset": first.start_ms * 10_000,
                            "duration": (last.end_ms - first.start_ms) * 10_000,
                        }
                        for first, last, _ in spans
                    ],
                },
                "entities": [
                    {"text": "left out", "category": kind, "confidenceScore": Decimal("0.9")}
                    for _, _, kind in spans
                ],
            }
        )
    conversations = [{"id": "1", "conversationItems": items}]
    return {"tasks": {"items": [{"results": {"conversations": conversations}}]}}


def azure_speech() -> Export:
    phrases = []
    for turn in _turns():
        words = [
            {
                "word": one.text,
                "offsetInTicks": one.start_ms * 10_000,
                "durationInTicks": (one.end_ms - one.start_ms) * 10_000,
            }
            for one in turn
        ]
        phrases.append(
            {
                "channel": turn[0].channel,
                "offsetInTicks": turn[0].start_ms * 10_000,
                "durationInTicks": (turn[-1].end_ms - turn[0].start_ms) * 10_000,
                "nBest": [{"lexical": "left out", "words": words}],
            }
        )
    return {
        "combinedRecognizedPhrases": [{"channel": 0}, {"channel": 1}],
        "recognizedPhrases": phrases,
    }


def google(version: int = 1) -> Export:
    start, end = ("startTime", "endTime") if version == 1 else ("startOffset", "endOffset")
    results = []
    for turn in _turns():
        words = []
        for one in turn:
            # Steps of 100 ms, to the nearest.
            entry = {"word": one.text, end: f"{-(-one.end_ms // 100) / 10:.3f}s"}
            if one.start_ms // 100:
                entry[start] = f"{one.start_ms // 100 / 10:.3f}s"
            words.append(entry)
        results.append(
            {
                "alternatives": [{"transcript": "left out", "words": words}],
                "channelTag": turn[0].channel + 1,
            }
        )
    return {"results": results}


def google_operation() -> Export:
    return {"name": "1", "done": True, "response": google(2)}


def google_insights() -> Export:
    segments: list[Export] = []
    for turn, result in zip(_turns(), google(2)["results"], strict=True):
        role = "END_USER" if turn[0].party == "caller" else "HUMAN_AGENT"
        segments.append(
            {
                "text": "left out",
                "words": result["alternatives"][0]["words"],
                "channelTag": result["channelTag"],
                "segmentParticipant": {"role": role},
            }
        )
    return {"name": "conversation", "transcript": {"transcriptSegments": segments}}


def plain(*, marked: bool = True) -> Export:
    words = []
    for one in said():
        entry: Export = {
            "word": one.text,
            "start": one.start,
            "end": one.end,
            "channel": one.channel,
        }
        if marked and one.kind:
            entry["entity"] = one.kind
        words.append(entry)
    return {"words": words}


MARKED: dict[str, Callable[[], Any]] = {
    "amazon-transcribe": amazon,
    "amazon-transcribe-streaming": amazon_streaming,
    "call-analytics": call_analytics,
    "contact-lens": contact_lens,
    "deepgram": deepgram,
    "assemblyai": assemblyai,
    "azure-pii": azure_pii,
    "words": plain,
}
"""Exports that mark what is to be masked, and say whose it is."""
SPOKEN: dict[str, Callable[[], Any]] = {
    "amazon-transcribe": lambda: amazon(redacted=False),
    "deepgram": lambda: deepgram(marked=False),
    "azure-speech": azure_speech,
    "google-speech": google,
    "google-speech-v2": google_operation,
    "google-insights": google_insights,
    "words": lambda: plain(marked=False),
}
"""Exports with words alone, and whose they are."""
MIXED: dict[str, Callable[[], Any]] = {
    "amazon-transcribe": amazon_mono,
    "whisper": whisper,
    "whisperx": whisperx,
    "whisper-cpp": whisper_cpp,
}
"""Exports that do not tell who speaks."""


def encoded(value: Any) -> bytes:
    """The JSON of an export."""
    return json.dumps(value, default=float).encode()
