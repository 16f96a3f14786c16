# SPDX-License-Identifier: Apache-2.0
"""What the readers of transcripts have in common: words on a clock, and who speaks them."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from audioengine.edits import Party
from audioengine.errors import InvalidRequestError
from audioengine.notices import Notice
from audioengine.redaction.finding import Finding, Origin, is_kind
from audioengine.redaction.transcripts import times
from audioengine.times import Interval, Number

AGENT_ROLES = frozenset({"AGENT", "HUMAN_AGENT", "AUTOMATED_AGENT"})
CUSTOMER_ROLES = frozenset({"CUSTOMER", "END_USER"})

# What stands for words that were taken out: "[PII]", "[CREDIT_CARD_1]", "[NAME]," or "****".
_PLACEHOLDER = re.compile(r"\W*\[([A-Z][A-Z_]*?)(?:_?\d{1,3})?\]\W*|\W*(?:\*{2,}|#{2,})\W*")
_IN_TEXT = re.compile(r"\[[A-Z][A-Z_]*(?:_?\d{1,3})?\]|(?:\*{2,}|#{2,})(?:\W*(?:\*{2,}|#{2,}))*")
_OF_ANY_KIND = frozenset({"PII", "REDACTED"})


class SpokenWord(NamedTuple):
    """A word as its file has it."""

    text: Any
    """Text, in a stream."""
    start: Any
    """As the file writes times; None: it has none."""
    end: Any

    def __repr__(self) -> str:
        """Return nothing of the text."""
        return f"SpokenWord(…, {self.start!r}, {self.end!r})"


class WordSegment(NamedTuple):
    """A stretch of words that has a time of its own."""

    first: int
    """Its first word."""
    start: Any
    end: Any


@dataclass(frozen=True, slots=True)
class WordStream:
    """The words of one channel or speaker, or of all, in order."""

    party: Party | None
    words: Sequence[SpokenWord] = field(repr=False)
    path_of: Callable[[int], str] = field(repr=False)
    """Where a word is in the file."""
    seconds: times.Reader = times.seconds
    """What makes seconds of its times."""
    segments: Sequence[WordSegment] = ()
    """In the order of words; none where only words have times."""
    is_of_speaker: bool = False
    """Whether its words are in another stream too: it is one speaker's part of that."""
    _timed: list[tuple[list[int], list[int]]] = field(
        default_factory=list, init=False, repr=False, compare=False
    )
    """Once it is needed: of each word, the last one until it that has an end, the first one from it
    on that has a start."""

    def start_of(self, place: int) -> Decimal | None:
        """Return when a word begins, in seconds; None where it has no time of its own."""
        value = self.words[place].start
        return None if value is None else self.seconds(value, f"{self.path_of(place)}, start")

    def end_of(self, place: int) -> Decimal | None:
        """Return when a word ends, in seconds; None where it has no time of its own."""
        value = self.words[place].end
        return None if value is None else self.seconds(value, f"{self.path_of(place)}, end")

    def interval(self, first: int, last: int) -> Interval:
        """Return the stretch of the words `first` to `last`, both inclusive.

        A word without a time is bounded by its timed neighbours in its segment, by the segment,
        by timed words beyond, at last by the recording.

        Raises InvalidRequestError where these leave it no time.
        """
        places = range(first, last + 1)
        starts = [one for place in places if (one := self.start_of(place)) is not None]
        ends = [one for place in places if (one := self.end_of(place)) is not None]
        start = min(starts, default=None)
        if self.words[first].start is None:
            start = _least(start, self._before(first))
        end = max(ends, default=None)
        if self.words[last].end is None:
            after = self._after(last)
            end = None if after is None else max([after, *ends])
        if start is not None and end is not None and start > end:
            rule = "must have a time, or neighbours between which it lies"
            raise InvalidRequestError.of(self.path_of(first), None, rule)
        return Interval(start, end, self.path_of(first))

    def is_timed_as_a_whole(self, place: int) -> bool:
        """Return whether a word has no time but that of a segment in which no word has one."""
        number = self._segment(place)
        if number < 0:
            return False
        is_last = number + 1 >= len(self.segments)
        after = len(self.words) if is_last else self.segments[number + 1].first
        last = self._timed_words()[0][after - 1]
        first = self._timed_words()[1][self.segments[number].first]
        return last < self.segments[number].first and first >= after

    def _segment(self, place: int) -> int:
        return bisect_right(self.segments, place, key=lambda segment: segment.first) - 1

    def _before(self, place: int) -> Decimal:
        """When the word `place` may have begun at the earliest."""
        number = self._segment(place)
        own = self.segments[number].first if number >= 0 else 0
        last = self._timed_words()[0][place - 1] if place else -1
        if last < own and number >= 0 and self.segments[number].start is not None:
            path = f"{self.path_of(own)}, start of its segment"
            return self.seconds(self.segments[number].start, path)
        return (self.end_of(last) if last >= 0 else None) or Decimal(0)

    def _after(self, place: int) -> Decimal | None:
        """When the word `place` may have ended at the latest; None: nothing says that."""
        number = self._segment(place)
        is_last = number + 1 >= len(self.segments)
        own = len(self.words) if is_last else self.segments[number + 1].first
        count = len(self.words)
        first = self._timed_words()[1][place + 1] if place + 1 < count else count
        if first >= own and number >= 0 and self.segments[number].end is not None:
            path = f"{self.path_of(place)}, end of its segment"
            return self.seconds(self.segments[number].end, path)
        return self.start_of(first) if first < count else None

    def _timed_words(self) -> tuple[list[int], list[int]]:
        if not self._timed:
            ends, starts = [], []
            last, first = -1, len(self.words)
            for place, word in enumerate(self.words):
                last = last if word.end is None else place
                ends.append(last)
            for place in range(len(self.words) - 1, -1, -1):
                first = first if self.words[place].start is None else place
                starts.append(first)
            self._timed.append((ends, starts[::-1]))
        return self._timed[0]


def _least(first: Decimal | None, second: Decimal) -> Decimal:
    return second if first is None else min(first, second)


@dataclass(frozen=True, slots=True)
class Transcript:
    """What a file says: words, and what it tells of them."""

    streams: Sequence[WordStream]
    findings: Sequence[Finding] = ()
    """What the file itself marks."""
    marks: bool = False
    """Whether it would mark what is to be masked, or whether only its words tell."""
    warnings: tuple[Notice, ...] = ()
    left_out: tuple[str, int] = ("", 0)
    """A text in which placeholders stand for what was taken out, and the least number of stretches
    that must be known for them."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file is read: what messages call it, and which party is which."""

    origin: Origin
    party: Party | None = None
    """Who speaks all of it; None: its channels or roles tell."""
    agent: Party | None = None
    """Which party the agent is."""
    channel_map: Mapping[str, Party] | None = None
    """Parties by the vendor's own names of channels; None: the first is the left one."""
    channels: tuple[Party, Party] = ("caller", "callee")
    """Who is on the left channel of the recording, and who on the right one."""
    unknown_roles: set[str] = field(default_factory=set, compare=False)
    """Gathers the roles of which nobody said which party they are."""

    def of_channel(self, label: object, place: int, path: str) -> Party | None:
        """Return who is on a channel.

        label: as the file names it. place: which of the recording's channels that is, from 0.

        Raises InvalidRequestError for a channel that is nobody's.
        """
        if self.party:
            return self.party
        if self.channel_map is not None:
            # By the vendor's name alone: some count channels from 0, some from 1.
            if str(label) in self.channel_map:
                return self.channel_map[str(label)]
        elif 0 <= place < len(self.channels):
            return self.channels[place]
        known = ", ".join(self.channel_map) if self.channel_map else "the first and the second"
        rule = f"must be a channel whose party is known: {known}; channel_map names others"
        raise InvalidRequestError.of(path, place, rule)

    def of_role(self, role: object, path: str) -> Party | None:
        """Return the party of a role; None, which masks both, where nobody said or it is neither's.

        Raises InvalidRequestError where it is no text.
        """
        if self.party:
            return self.party
        if not isinstance(role, str):
            raise InvalidRequestError.of(path, f"<{type(role).__name__}>", "must be a role")
        known = role.upper()
        if known not in AGENT_ROLES | CUSTOMER_ROLES:
            return None
        if self.agent is None:
            self.unknown_roles.add(known)
            return None
        other: Party = "caller" if self.agent == "callee" else "callee"
        return self.agent if known in AGENT_ROLES else other

    def finding(
        self,
        party: Party | None,
        interval: Interval,
        kind: object,
        confidence: Number | None,
        path: str,
    ) -> Finding:
        """Return a finding of this file.

        Raises InvalidRequestError where its kind is no name: nothing can be chosen by that.
        """
        if kind is not None and not is_kind(kind):
            rule = "must be the name of a kind"
            raise InvalidRequestError.of(f"{path}, kind", f"<{type(kind).__name__}>", rule)
        # `is_kind` has seen to it.
        name = str(kind) if kind is not None and kind not in _OF_ANY_KIND else None
        origin = Origin(self.origin.format, self.origin.sha256, path)
        return Finding(self.party or party, interval, name, confidence, origin)

    def unknown_role_warnings(self) -> tuple[Notice, ...]:
        """Return the warning that both parties are masked where one could be."""
        if not self.unknown_roles:
            return ()
        roles = ", ".join(sorted(self.unknown_roles))
        message = (
            f"Nobody said which party the agent is, so what {roles} say is masked for both "
            'parties; agent="callee" or agent="caller" tells.'
        )
        return (Notice("party_unknown", message),)


def placeholder(text: str) -> tuple[bool, str | None]:
    """Return whether a word stands for what was taken out, and of which kind that was, if told."""
    may_be = "[" in text or "**" in text or "##" in text
    found = _PLACEHOLDER.fullmatch(text) if may_be else None
    if found is None:
        return False, None
    kind = found[1]
    return True, None if kind in _OF_ANY_KIND else kind


def count_placeholders(text: object) -> int:
    """Return how often something in a text stands for what was taken out of it."""
    return len(_IN_TEXT.findall(text)) if isinstance(text, str) else 0


def placeholders(stream: WordStream) -> Iterator[tuple[int, str | None]]:
    """Return the words of a stream that stand for what was taken out, and their kinds."""
    # Each word is looked at once, however often it is said.
    known = {text: placeholder(text) for text in {word.text for word in stream.words}}
    if any(is_one for is_one, _ in known.values()):
        for place, word in enumerate(stream.words):
            is_one, kind = known[word.text]
            if is_one:
                yield place, kind


def objects(value: Any, path: str) -> list[dict[str, Any]]:
    """Return a list of objects; none where there is nothing.

    Raises InvalidRequestError for anything else.
    """
    if value is None:
        return []
    if not isinstance(value, list):
        raise InvalidRequestError.of(path, f"<{type(value).__name__}>", "must be a list")
    # Of an hour there are ten thousand: what is right is seen without a look at each.
    if set(map(type, value)) - {dict}:
        place = next(place for place, one in enumerate(value) if type(one) is not dict)
        kind = type(value[place]).__name__
        raise InvalidRequestError.of(f"{path}[{place}]", f"<{kind}>", "must be an object")
    return value


def mapping(value: Any, path: str) -> dict[str, Any]:
    """Return an object; an empty one where there is nothing.

    Raises InvalidRequestError for anything else.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidRequestError.of(path, f"<{type(value).__name__}>", "must be an object")
    return value


def json_text(value: Any, path: str) -> str:
    """Return a text.

    Raises InvalidRequestError for anything else.
    """
    if not isinstance(value, str):
        raise InvalidRequestError.of(path, f"<{type(value).__name__}>", "must be text")
    return value


def stream_of(
    party: Party | None,
    words: Sequence[SpokenWord],
    path_of: Callable[[int], str],
    seconds: times.Reader,
    segments: Sequence[WordSegment] = (),
    *,
    is_of_speaker: bool = False,
) -> WordStream:
    """Return a stream.

    Raises InvalidRequestError where the text of a word is none.
    """
    if {type(word.text) for word in words} - {str}:
        for place, word in enumerate(words):
            json_text(word.text, path_of(place))
    return WordStream(party, words, path_of, seconds, segments, is_of_speaker)


def path_in(at: str, places: Sequence[int] | None = None) -> Callable[[int], str]:
    """Return what names words of a list, which are those at some places of it or all."""
    return lambda place: f"{at}[{place if places is None else places[place]}]"


_MAX_SPEAKERS = 32
"""That are told apart; more are none that a call has."""


def by_speaker(whole: WordStream, speakers: Sequence[object]) -> list[WordStream]:
    """Return the words of each speaker of a stream, where there are several.

    A number that one speaker says is whole there, whatever another says between.
    """
    places: dict[str, list[int]] = {}
    if speakers.count(None) == len(speakers):
        return []
    for place, speaker in enumerate(speakers):
        places.setdefault(str(speaker), []).append(place)
    if not 2 <= len(places) <= _MAX_SPEAKERS:
        return []
    return [_part_of(whole, own) for own in places.values()]


def _part_of(whole: WordStream, places: list[int]) -> WordStream:
    def path_of(place: int) -> str:
        return whole.path_of(places[place])

    words = [whole.words[place] for place in places]
    segments = [
        WordSegment(bisect_left(places, segment.first), segment.start, segment.end)
        for segment in whole.segments
    ]
    return WordStream(whole.party, words, path_of, whole.seconds, segments, is_of_speaker=True)


class WordGatherer:
    """Gathers the words of one party, in the segments that bound them."""

    def __init__(self, party: Party | None) -> None:
        self.party = party
        self.words: list[SpokenWord] = []
        self._segments: list[WordSegment] = []
        self._paths: list[tuple[str, int | None]] = []
        self._speakers: list[object] = []

    def begin(self, start: Any = None, end: Any = None) -> None:
        """Begin a segment with times, or one whose words alone have some."""
        self._segments.append(WordSegment(len(self.words), start, end))

    def add(self, word: SpokenWord, at: str, place: int | None, speaker: object = None) -> None:
        """Add a word that is at a place of a list."""
        self.words.append(word)
        self._paths.append((at, place))
        self._speakers.append(speaker)

    def add_text(self, text: Any, at: str, speaker: object = None) -> None:
        """Add the words of a text, which has a time only as a whole."""
        for one in json_text(text, at).split():
            self.add(SpokenWord(one, None, None), at, None, speaker)

    def streams(self, seconds: times.Reader) -> list[WordStream]:
        """Return the words as a stream, and those of each speaker."""

        def path_of(place: int) -> str:
            at, number = self._paths[place]
            return at if number is None else f"{at}[{number}]"

        whole = stream_of(self.party, self.words, path_of, seconds, self._segments)
        return [whole, *by_speaker(whole, self._speakers)]
