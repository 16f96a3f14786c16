# SPDX-License-Identifier: Apache-2.0
"""Google: Speech-to-Text, v1 and v2, and Contact Center Insights; times are Durations."""

from __future__ import annotations

from typing import Any

from audioengine.edits import Party
from audioengine.redaction.transcripts import times
from audioengine.redaction.transcripts.model import (
    Reading,
    SpokenWord,
    Transcript,
    WordGatherer,
    mapping,
    objects,
)

SPEECH = "google-speech"
INSIGHTS = "google-insights"

_STARTS = ("startTime", "startOffset", "start_time", "start_offset")
_ENDS = ("endTime", "endOffset", "end_time", "end_offset")


def is_google_speech(value: Any) -> bool:
    """Whether it is a response of Speech-to-Text, or the operation that holds it."""
    return isinstance(_results(value), list)


def _results(value: Any) -> Any:
    if not isinstance(value, dict):
        return None
    inner = value.get("response")
    return (inner if isinstance(inner, dict) else value).get("results")


def read_google_speech(value: dict[str, Any], reading: Reading) -> Transcript:
    """Read the first alternative of each result, by channel; a tag of 0 is that of a mono file."""
    spoken: dict[Party | None, WordGatherer] = {}
    results = objects(_results(value), "results")
    tags = {one.get("channelTag", one.get("channel_tag", 0)) for one in results if _tagged(one)}
    for number, result in enumerate(results):
        at = f"results[{number}]"
        party = None
        if tags - {0} and (len(tags) > 1 or tags != {1}):
            tag = result.get("channelTag", result.get("channel_tag", 0))
            place = tag - 1 if _tagged(result) else -1
            party = reading.of_channel(tag, place, f"{at}.channelTag")
        best = (objects(result.get("alternatives"), f"{at}.alternatives") or [{}])[0]
        own = spoken.setdefault(party, WordGatherer(party))
        _gather(best, f"{at}.alternatives[0]", "transcript", own)
    return Transcript([stream for one in spoken.values() for stream in one.streams(times.duration)])


def _tagged(result: dict[str, Any]) -> bool:
    tag = result.get("channelTag", result.get("channel_tag", 0))
    return isinstance(tag, int) and not isinstance(tag, bool)


def is_google_insights(value: Any) -> bool:
    """Whether it is a conversation of Contact Center Insights."""
    transcript = value.get("transcript") if isinstance(value, dict) else None
    holder = transcript if isinstance(transcript, dict) else value
    return isinstance(holder, dict) and isinstance(holder.get("transcriptSegments"), list)


def read_google_insights(value: dict[str, Any], reading: Reading) -> Transcript:
    """Read segments, whose role says whose they are, else their channel."""
    transcript = value.get("transcript")
    holder = transcript if isinstance(transcript, dict) else value
    at = "transcript.transcriptSegments" if holder is transcript else "transcriptSegments"
    spoken: dict[Party | None, WordGatherer] = {}
    for number, segment in enumerate(objects(holder["transcriptSegments"], at)):
        path = f"{at}[{number}]"
        who = mapping(segment.get("segmentParticipant"), f"{path}.segmentParticipant")
        party = None
        if who.get("role") is not None:
            party = reading.of_role(who["role"], f"{path}.segmentParticipant.role")
        if party is None and _tagged(segment) and segment.get("channelTag"):
            tag = segment["channelTag"]
            party = reading.of_channel(tag, tag - 1, f"{path}.channelTag")
        _gather(segment, path, "text", spoken.setdefault(party, WordGatherer(party)))
    return Transcript([stream for one in spoken.values() for stream in one.streams(times.duration)])


def _gather(value: dict[str, Any], at: str, text: str, spoken: WordGatherer) -> None:
    words = objects(value.get("words"), f"{at}.words")
    spoken.begin()
    for place, word in enumerate(words):
        start = next((word[key] for key in _STARTS if key in word), None)
        end = next((word[key] for key in _ENDS if key in word), None)
        speaker = word.get("speakerTag", word.get("speakerLabel"))
        spoken.add(SpokenWord(word.get("word"), start, end), f"{at}.words", place, speaker)
    if not words:
        spoken.add_text(value.get(text, ""), f"{at}.{text}")
