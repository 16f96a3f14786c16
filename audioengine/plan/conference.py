# SPDX-License-Identifier: Apache-2.0
"""Decides which recordings are heard when, so that a conference is heard once.

Pure interval algebra; the caller chooses the unit of positions. At each instant every recording
with audio is heard; of those that list a conference there, only the one that started first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from audioengine.edits import Span, join

# Beyond any timeline.
_FAR = 1 << 60


@dataclass(frozen=True, slots=True)
class Presence:
    """When a recording has audio, and when it lists a conference."""

    audio: Span
    conferences: tuple[Span, ...] = ()
    """In any order; they may overlap, touch, repeat and reach outside the audio."""


@dataclass(frozen=True, slots=True)
class ConferenceSpan:
    """A stretch in which the same recordings are heard and the same are silenced."""

    span: Span
    heard: tuple[int, ...]
    """Numbers of recordings, in order of start."""
    silenced: tuple[int, ...]
    """Numbers of recordings with audio here whose conference is heard from another recording."""
    speaker: int | None
    """The one of `heard` with the conference's audio; None if no recording is silenced."""


def who_is_heard(recordings: Sequence[Presence], whole: Span) -> tuple[ConferenceSpan, ...]:
    """Tile `whole` with stretches; `recordings` are in the order in which they started."""
    changes: dict[int, list[tuple[int, bool, bool]]] = {whole.start: [], whole.end: []}

    def add(number: int, spans: Iterable[Span], *, conference: bool) -> None:
        for span in spans:
            part = span.clipped(whole)
            if part.length:
                changes.setdefault(part.start, []).append((number, conference, True))
                changes.setdefault(part.end, []).append((number, conference, False))

    for number, recording in enumerate(recordings):
        add(number, [recording.audio], conference=False)
        inside = (span.clipped(recording.audio) for span in recording.conferences)
        add(number, join(span for span in inside if span.length), conference=True)

    audible: set[int] = set()
    conferring: set[int] = set()
    out: list[ConferenceSpan] = []
    for start, end in pairwise(sorted(changes)):
        for number, conference, begins in changes[start]:
            members = conferring if conference else audible
            (members.add if begins else members.discard)(number)
        first = min(conferring) if len(conferring) > 1 else None
        silenced = tuple(sorted(conferring - {first})) if first is not None else ()
        heard = tuple(sorted(audible.difference(silenced)))
        last = out[-1] if out else None
        if last and (last.heard, last.silenced, last.speaker) == (heard, silenced, first):
            out[-1] = ConferenceSpan(Span(last.span.start, end), heard, silenced, first)
        else:
            out.append(ConferenceSpan(Span(start, end), heard, silenced, first))
    return tuple(out)


@dataclass(frozen=True, slots=True)
class Hearing:
    """Where each recording, by its number, is heard, is heard alone, and is silenced."""

    heard: tuple[tuple[Span, ...], ...]
    alone: tuple[tuple[Span, ...], ...]
    silenced: tuple[tuple[Span, ...], ...]

    @classmethod
    def of(cls, stretches: Iterable[ConferenceSpan], recordings: int) -> Hearing:
        """Collect them from stretches in order; `recordings` is the number of recordings."""
        heard: list[list[Span]] = [[] for _ in range(recordings)]
        alone: list[list[Span]] = [[] for _ in range(recordings)]
        silenced: list[list[Span]] = [[] for _ in range(recordings)]
        for stretch in stretches:
            for number in stretch.heard:
                heard[number].append(stretch.span)
            for number in stretch.silenced:
                silenced[number].append(stretch.span)
            if len(stretch.heard) == 1:
                alone[stretch.heard[0]].append(stretch.span)
        return cls(*(tuple(map(join, spans)) for spans in (heard, alone, silenced)))


def silence_around(stretches: Sequence[ConferenceSpan]) -> tuple[Span, ...]:
    """Where no recording is heard: between the stretches, before the first, after the last."""
    gaps = (stretch.span for stretch in stretches if not stretch.heard)
    before, after = Span(-_FAR, stretches[0].span.start), Span(stretches[-1].span.end, _FAR)
    return join((before, *gaps, after))
