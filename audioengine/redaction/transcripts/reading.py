# SPDX-License-Identifier: Apache-2.0
"""From the bytes of a transcript to findings: which vendor's it is, what it marks, what it says."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, get_args

from audioengine.choices import CallerChannel
from audioengine.edits import Party
from audioengine.errors import InvalidRequestError, LimitError
from audioengine.json_input import parse_json
from audioengine.redaction.card_numbers import CARD_NUMBER, CVV, EXPIRY, find_card_numbers
from audioengine.redaction.finding import Finding, Findings, Origin
from audioengine.redaction.number_words import ENGLISH, NumberWords
from audioengine.redaction.transcripts import (
    amazon_transcribe,
    assemblyai,
    azure,
    contact_lens,
    deepgram,
    google,
    plain,
    whisper,
)
from audioengine.redaction.transcripts.finder import Finder, FoundSpan
from audioengine.redaction.transcripts.model import Reading, Transcript, WordStream, placeholders
from audioengine.redaction.transcripts.options import TranscriptOptions

MAX_BYTES = 256 * 2**20
"""Of a transcript; that of a day has some 80 MB."""
_DEFAULT = TranscriptOptions()

DIGIT_KINDS = (CARD_NUMBER, CVV, EXPIRY)


@dataclass(frozen=True, slots=True)
class _Format:
    matches: Callable[[Any], bool]
    read: Callable[[Any, Reading], Transcript]


# In the order in which they are tried: the plain form has what others have too.
FORMATS: Mapping[str, _Format] = {
    amazon_transcribe.NAME: _Format(
        amazon_transcribe.is_amazon_job, amazon_transcribe.read_amazon_job
    ),
    amazon_transcribe.STREAMING: _Format(
        amazon_transcribe.is_amazon_stream, amazon_transcribe.read_amazon_stream
    ),
    contact_lens.NAME: _Format(contact_lens.is_contact_lens, contact_lens.read_contact_lens),
    deepgram.NAME: _Format(deepgram.is_deepgram, deepgram.read_deepgram),
    assemblyai.NAME: _Format(assemblyai.is_assemblyai, assemblyai.read_assemblyai),
    azure.PII: _Format(azure.is_azure_pii, azure.read_azure_pii),
    azure.SPEECH: _Format(azure.is_azure_speech, azure.read_azure_speech),
    google.SPEECH: _Format(google.is_google_speech, google.read_google_speech),
    google.INSIGHTS: _Format(google.is_google_insights, google.read_google_insights),
    whisper.NAME: _Format(whisper.is_whisper, whisper.read_whisper),
    whisper.CPP: _Format(whisper.is_whisper_cpp, whisper.read_whisper_cpp),
    plain.NAME: _Format(plain.is_plain_words, plain.read_plain_words),
}


def find_in_transcript(
    data: bytes,
    *,
    format: str | None = None,
    party: Party | None = None,
    agent: Party | None = None,
    channel_map: Mapping[str, Party] | None = None,
    caller_channel: CallerChannel = "left",
    finder: Finder | None = None,
    numbers: NumberWords = ENGLISH,
) -> Findings:
    """Return what a transcript tells: what it marks, and card numbers that its words say.

    format: one of FORMATS; None: by what is in it.
    party: who speaks all of it, where it is of one channel alone.
    agent: which party the agent is, where it has roles; None: both are masked.
    channel_map: parties by the names or numbers that it has for channels; None: the first is the
    left one, whose `caller_channel` says.
    finder: finds more in the text of each channel.
    numbers: how its language says them.

    Raises InvalidRequestError, which names paths and never text, where it is no transcript, where
    what it marks has no time, or where there is nothing in it that could tell of anything;
    LimitError for more than MAX_BYTES.
    """
    transcript, reading = read_words(
        data,
        format=format,
        party=party,
        agent=agent,
        channel_map=channel_map,
        caller_channel=caller_channel,
    )
    findings = [*transcript.findings, *find_card_numbers(transcript.streams, reading, numbers)]
    if finder is not None:
        for stream in transcript.streams:
            if not stream.is_of_speaker:
                findings += _found_by(finder, stream, reading)
    says = any(stream.words for stream in transcript.streams)
    if not says and not transcript.marks:
        rule = "must have words with times, or mark what is to be masked; it has neither"
        raise InvalidRequestError.of("transcript", f"<{reading.origin.format}>", rule)
    return Findings(
        tuple(findings),
        (reading.origin,),
        _DEFAULT.guard_ms,
        _DEFAULT.join_ms,
        (*transcript.warnings, *reading.unknown_role_warnings()),
        None if transcript.marks or finder else DIGIT_KINDS,
    )


def read_words(
    data: bytes,
    *,
    format: str | None = None,
    party: Party | None = None,
    agent: Party | None = None,
    channel_map: Mapping[str, Party] | None = None,
    caller_channel: CallerChannel = "left",
) -> tuple[Transcript, Reading]:
    """Return the words of a transcript and what it marks, and how it was read.

    Raises as `find_in_transcript` does.
    """
    if len(data) > MAX_BYTES:
        raise LimitError(f"the transcript has {len(data)} bytes, at most {MAX_BYTES} are read")
    _check_parties(party, agent, channel_map)
    value = parse_json(data, "transcript", "the JSON of a transcript")
    name = _name_of(value, format)
    left: Party = "caller" if caller_channel == "left" else "callee"
    right: Party = "callee" if left == "caller" else "caller"
    origin = Origin(name, sha256(data).hexdigest())
    reading = Reading(origin, party, agent, channel_map, (left, right))
    transcript = FORMATS[name].read(value, reading)
    marked = [*transcript.findings, *_taken_out(transcript, reading)]
    text, least = transcript.left_out
    if len({one.path for one in marked}) < least:
        rule = "must have a time for each stretch that was taken out: what has none can't be masked"
        raise InvalidRequestError.of(text, f"<{least} placeholders>", rule)
    marks = transcript.marks or bool(marked)
    return Transcript(transcript.streams, marked, marks, transcript.warnings), reading


def _check_parties(party: object, agent: object, channel_map: Mapping[str, Party] | None) -> None:
    named = {"party": party, "agent": agent}
    named |= {f"channel_map.{name}": one for name, one in (channel_map or {}).items()}
    for path, value in named.items():
        if value not in (*get_args(Party), None) or (value is None and path.startswith("channel")):
            raise InvalidRequestError.of(path, value, 'must be "caller" or "callee"')


def _name_of(value: Any, format: str | None) -> str:
    if format is not None and format not in FORMATS:
        rule = f"must be one of {', '.join(FORMATS)}"
        raise InvalidRequestError.of("transcript_format", format, rule)
    for name in FORMATS if format is None else (format,):
        if FORMATS[name].matches(value):
            return name
    rule = f"must be a transcript of {format or 'a form that is known: ' + ', '.join(FORMATS)}"
    raise InvalidRequestError.of("transcript", f"<{type(value).__name__}>", rule)


def _taken_out(transcript: Transcript, reading: Reading) -> list[Finding]:
    """Words that stand for what was taken out, unless a finding is of them already."""
    known = {one.path for one in transcript.findings}
    findings = []
    for stream in transcript.streams:
        if stream.is_of_speaker:
            continue
        for place, kind in placeholders(stream):
            path = stream.path_of(place)
            if path not in known:
                interval = stream.interval(place, place)
                findings.append(reading.finding(stream.party, interval, kind, None, path))
    return findings


def _found_by(finder: Finder, stream: WordStream, reading: Reading) -> list[Finding]:
    """What a finder finds in the words of a stream, which are joined by spaces."""
    spans: list[tuple[int, int]] = []
    at = 0
    for word in stream.words:
        spans.append((at, at + len(word.text)))
        at += len(word.text) + 1
    text = " ".join(word.text for word in stream.words)
    starts, ends = [start for start, _ in spans], [end for _, end in spans]
    findings = []
    for found in finder(text, tuple(spans)):
        span = FoundSpan(*found)
        first, last = bisect_right(ends, span.start), bisect_left(starts, span.end) - 1
        if not 0 <= span.start < span.end or first > last:
            rule = f"must cover a word of the {len(spans)} that there are"
            raise InvalidRequestError.of("finder", (span.start, span.end), rule)
        interval = stream.interval(first, last)
        path = stream.path_of(first)
        findings.append(reading.finding(stream.party, interval, span.kind, span.confidence, path))
    return findings
