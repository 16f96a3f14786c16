# SPDX-License-Identifier: Apache-2.0
"""What a transcript of an output still says: words where something was masked, card numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from audioengine.edits import Edits, Party, Span, touching
from audioengine.redaction.card_numbers import CARD_NUMBER, find_card_numbers
from audioengine.redaction.number_words import ENGLISH, NumberWords
from audioengine.redaction.transcripts.model import Reading, Transcript, WordStream, placeholder

_EDGE_S = Fraction(3, 20)
"""How far from a mask's edges a word must have its middle to be inside: recognisers' edges of the
words beside it are off by as much. In short masks it is a quarter."""


_Place: TypeAlias = tuple[str, float, float]


@dataclass(frozen=True, slots=True)
class StillSaid:
    """What is still heard."""

    words: int
    """How many words were judged."""
    in_masks: tuple[_Place, ...]
    """Words inside masks: who says them, and from when to when, in seconds of the output."""
    card_numbers: tuple[_Place, ...]
    """Likewise, wherever they are."""


def still_said(
    transcript: Transcript,
    reading: Reading,
    edits: Edits,
    rate_hz: int,
    numbers: NumberWords = ENGLISH,
) -> StillSaid:
    """Return what a transcript of an output says that its edits should have masked.

    Raises InvalidRequestError where a word's times are none.
    """
    masks: dict[Party | None, list[Span]] = {
        party: [_moved(span, edits.trim) for span in edits.spans(party)]
        for party in ("caller", "callee")
    }
    # A word of nobody knows whom is one of the other party where only one is masked.
    masks[None] = _common(masks["caller"], masks["callee"])
    streams = [stream for stream in transcript.streams if not stream.is_of_speaker]
    inside = [
        found for stream in streams for found in _inside(stream, masks[stream.party], rate_hz)
    ]
    cards = [
        (one.party or "both", float(one.start), float(one.end or one.start))
        for one in find_card_numbers(transcript.streams, reading, numbers)
        if one.kind == CARD_NUMBER
    ]
    words = sum(len(stream.words) for stream in streams)
    return StillSaid(words, tuple(inside), tuple(cards))


def _moved(span: Span, trim: Span) -> Span:
    """A mask on the output's clock."""
    kept = span.clipped(trim)
    return Span(kept.start - trim.start, kept.end - trim.start)


def _common(one: Sequence[Span], other: Sequence[Span]) -> list[Span]:
    both = [Span(max(a.start, b.start), min(a.end, b.end)) for a in one for b in touching(other, a)]
    return [span for span in both if span.length > 0]


def _inside(stream: WordStream, masks: Sequence[Span], rate_hz: int) -> list[_Place]:
    if not masks:
        return []
    out: list[_Place] = []
    for place, word in enumerate(stream.words):
        if not any(map(str.isalnum, word.text)) or placeholder(word.text)[0]:
            continue
        interval = stream.interval(place, place)
        start, end = Fraction(interval.start or 0), interval.end
        if end is None:
            continue
        middle = (start + Fraction(end)) / 2
        at = int(middle * rate_hz)
        around = touching(masks, Span(at, at))
        if stream.is_timed_as_a_whole(place):
            # Which of a segment's words are where is not known: it must lie in the mask as a whole.
            length = (Fraction(end) - start) * rate_hz
            around = [mask for mask in around if length <= mask.length]
        if any(_is_well_inside(middle, one, rate_hz) for one in around):
            out.append((stream.party or "both", float(start), float(end)))
    return out


def _is_well_inside(instant: Fraction, mask: Span, rate_hz: int) -> bool:
    start, end = Fraction(mask.start, rate_hz), Fraction(mask.end, rate_hz)
    edge = min(_EDGE_S, (end - start) / 4)
    return start + edge < instant < end - edge
