# SPDX-License-Identifier: Apache-2.0
"""Whisper, faster-whisper, WhisperX and whisper.cpp: segments of words, without channels.

WhisperX leaves words with digits without times; their neighbours and their segment bound them.
"""

from __future__ import annotations

from typing import Any

from audioengine.redaction.transcripts import times
from audioengine.redaction.transcripts.model import (
    Reading,
    SpokenWord,
    Transcript,
    WordGatherer,
    mapping,
    objects,
)

NAME = "whisper"
CPP = "whisper-cpp"


def is_whisper(value: Any) -> bool:
    """Whether it is what Whisper, faster-whisper or WhisperX writes."""
    return isinstance(value, dict) and (
        isinstance(value.get("segments"), list) or isinstance(value.get("word_segments"), list)
    )


def read_whisper(value: dict[str, Any], reading: Reading) -> Transcript:
    """Read segments with words, or with text alone, which is as exact as they are."""
    segments = objects(value.get("segments"), "segments")
    gathered = WordGatherer(reading.party)
    for number, segment in enumerate(segments):
        at = f"segments[{number}]"
        words = objects(segment.get("words"), f"{at}.words")
        gathered.begin(segment.get("start"), segment.get("end"))
        if words:
            for place, word in enumerate(words):
                gathered.add(
                    SpokenWord(
                        word.get("word", word.get("text")), word.get("start"), word.get("end")
                    ),
                    f"{at}.words",
                    place,
                    word.get("speaker", segment.get("speaker")),
                )
        else:
            gathered.add_text(segment.get("text", ""), f"{at}.text", segment.get("speaker"))
    if not segments:
        for place, word in enumerate(objects(value.get("word_segments"), "word_segments")):
            own = SpokenWord(word.get("word"), word.get("start"), word.get("end"))
            gathered.add(own, "word_segments", place, word.get("speaker"))
    return Transcript(gathered.streams(times.seconds))


def is_whisper_cpp(value: Any) -> bool:
    """Whether it is what whisper.cpp writes."""
    return isinstance(value, dict) and isinstance(value.get("transcription"), list)


def read_whisper_cpp(value: dict[str, Any], reading: Reading) -> Transcript:
    """Read segments, which are words where whisper.cpp was told so: ``-ml 1``."""
    gathered = WordGatherer(reading.party)
    for number, segment in enumerate(objects(value["transcription"], "transcription")):
        at = f"transcription[{number}]"
        offsets = mapping(segment.get("offsets"), f"{at}.offsets")
        gathered.begin(offsets.get("from"), offsets.get("to"))
        gathered.add_text(segment.get("text", ""), f"{at}.text", segment.get("speaker"))
    return Transcript(gathered.streams(times.milliseconds))
