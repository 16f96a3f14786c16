# SPDX-License-Identifier: Apache-2.0
"""`read_transcript` finds what to mask; `with_transcripts` adds those masks to a request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import NamedTuple, TypedDict

from audioengine.choices import CallerChannel
from audioengine.edits import Edits, Modification, Party, TranscriptFile, modification_of
from audioengine.errors import InvalidRequestError, LimitError
from audioengine.operations.options import SharedOptions
from audioengine.redaction.finding import Findings
from audioengine.redaction.number_words import ENGLISH, NumberWords
from audioengine.redaction.transcripts.finder import Finder
from audioengine.render.workers import rare_collection
from audioengine.report import Check
from audioengine.storage import S3Options, Source, SourceLike, open_source

_NAMED = 5
"""The most places that a message names."""


def read_transcript(
    place: SourceLike,
    *,
    format: str | None = None,
    party: Party | None = None,
    agent: Party | None = None,
    channel_map: Mapping[str, Party] | None = None,
    caller_channel: CallerChannel = "left",
    finder: Finder | None = None,
    numbers: NumberWords = ENGLISH,
    s3: S3Options | None = None,
) -> Findings:
    """Find what to mask by a transcript; none of its text is kept.

    place: a path, s3://bucket/key, bytes, or a readable binary file object.
    format: a format as `TranscriptOptions.format` names it; None detects it.
    party: the only speaker, for a transcript of a single channel.
    agent: the agent's party, for a transcript with roles; None masks both parties.
    channel_map: the party of each channel name or number; None: the first channel is the left one,
        which is the caller's unless `caller_channel` is "right".
    finder: a callable that finds more. It gets the text of a channel and the spans of its words,
        and returns tuples of start, end, kind and optionally confidence; positions count
        characters.
    numbers: the number words of its language; by default English.
    s3: how s3:// paths are reached.

    Spoken card numbers are found too, with security codes and expiry dates near them, as
    ``CARD_NUMBER``, ``CVV`` and ``EXPIRY``.

    Raises InvalidRequestError, which names paths and no text, if it is no transcript or a marked
    word has no time; LimitError for more than 256 MiB; StorageError.
    """
    from audioengine.redaction.transcripts.reading import find_in_transcript

    data = read_bytes(open_source(place, s3))
    with rare_collection():
        return find_in_transcript(
            data,
            format=format,
            party=party,
            agent=agent,
            channel_map=channel_map,
            caller_channel=caller_channel,
            finder=finder,
            numbers=numbers,
        )


def read_bytes(source: Source) -> bytes:
    """Read a whole transcript and close it.

    Raises LimitError for more than MAX_BYTES, and StorageError.
    """
    from audioengine.redaction.transcripts.reading import MAX_BYTES

    with closing(source):
        if source.size > MAX_BYTES:
            raise LimitError(
                f"a transcript has {source.size} bytes, at most {MAX_BYTES} are allowed"
            )
        return source.read(0, source.size)


def with_transcripts(
    modification: Modification | None,
    options: SharedOptions,
    s3: S3Options | None = None,
    opened: Callable[[str], Source] | None = None,
) -> Modification | None:
    """Return a modification with its transcripts replaced by their masks.

    opened: opens a place; None: as any source is opened.

    Raises InvalidRequestError if nothing says what to mask or a transcript is invalid, and
    StorageError.
    """
    if modification is None or not modification_of(modification).transcripts:
        return modification
    reading = options.transcript
    redact = modification.redact or reading.redact
    if not redact:
        rule = "must name the kinds of findings to mask; ALL masks all"
        raise InvalidRequestError.of("redact", None, rule)
    opened = opened or partial(_opened, s3=s3)
    told = [
        _findings(one, options, opened).modification(
            redact, reading.min_confidence or None, reading.guard_ms, reading.join_ms
        )
        for one in modification.transcripts
    ]
    if any(one.mask for one in told):
        # A transcript of one channel may well have nothing to mask.
        told = [
            replace(one, notices=tuple(n for n in one.notices if n.code != "no_findings"))
            for one in told
        ]
    elif reading.require_match:
        rule = "must have a finding to mask, because require_match is set"
        raise InvalidRequestError.of("transcript", ", ".join(redact), rule)
    return replace(modification, transcripts=(), redact=()).masked_too(told)


def _opened(place: SourceLike, s3: S3Options | None) -> Source:
    # The version that is asked for is the recording's.
    return open_source(place, s3 and replace(s3, version=None))


def _findings(
    file: TranscriptFile, options: SharedOptions, opened: Callable[[str], Source]
) -> Findings:
    from audioengine.redaction.transcripts.reading import find_in_transcript

    data = read_bytes(opened(file.place))
    with rare_collection():
        return find_in_transcript(data, party=file.party, **_how(options))


def transcript_check(
    place: SourceLike, options: SharedOptions, edits: Edits, rate_hz: int, s3: S3Options | None
) -> Check:
    """Check that a transcript of an output has nothing that its edits should have masked.

    Raises what `read_transcript` raises.
    """
    from audioengine.redaction.still_said import still_said
    from audioengine.redaction.transcripts.reading import read_words

    data = read_bytes(_opened(place, s3))
    with rare_collection():
        transcript, reading = read_words(data, **_how(options))
        found = still_said(transcript, reading, edits, rate_hz)
    places = [
        f"{what} of {party} at {start:.2f} to {end:.2f} s"
        for what, some in (("a word", found.in_masks), ("a card number", found.card_numbers))
        for party, start, end in some
    ]
    more = f", and {len(places) - _NAMED} more" if len(places) > _NAMED else ""
    return Check(
        "transcript",
        not places,
        {
            "words": found.words,
            "words_in_masks": len(found.in_masks),
            "card_numbers": len(found.card_numbers),
        },
        f"The output's transcript still has {', '.join(places[:_NAMED])}{more}."
        if places
        else "The output's transcript has no word inside a mask and no card number.",
    )


class _How(TypedDict):
    format: str | None
    agent: Party | None
    channel_map: Mapping[str, Party] | None
    caller_channel: CallerChannel


def _how(options: SharedOptions) -> _How:
    """The options for reading transcripts, as keyword arguments."""
    reading = options.transcript
    return {
        "format": None if reading.format == "auto" else reading.format,
        "agent": None if reading.agent == "unknown" else reading.agent,
        "channel_map": reading.parties(),
        "caller_channel": options.caller_channel,
    }


class TimedWord(NamedTuple):
    """A word of a transcript, and when it is said."""

    party: Party | None
    start: float
    """In seconds of the recording."""
    end: float
    text: str

    def __repr__(self) -> str:
        """Return nothing of the text."""
        return f"TimedWord({self.party!r}, {self.start!r}, {self.end!r}, …)"


def timed_words(
    file: TranscriptFile, options: SharedOptions, s3: S3Options | None
) -> list[TimedWord]:
    """Return the words of a transcript that have times, in order of their starts.

    Raises what `read_transcript` raises.
    """
    from audioengine.redaction.transcripts.reading import read_words

    data = read_bytes(open_source(file.place, s3))
    found = []
    with rare_collection():
        transcript, _ = read_words(data, party=file.party, **_how(options))
        for stream in transcript.streams:
            for place, word in enumerate(() if stream.is_of_speaker else stream.words):
                start, end = stream.start_of(place), stream.end_of(place)
                if start is not None and end is not None:
                    found.append(TimedWord(stream.party, float(start), float(end), str(word.text)))
    return sorted(found, key=lambda one: one.start)
