# SPDX-License-Identifier: Apache-2.0
"""A few seconds of an output, beside what should be heard in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from audioengine.edits import Span, join
from audioengine.plan.grid import FrameRange, ranges_of
from audioengine.plan.spans import without
from audioengine.verification.case import Case
from audioengine.verification.voice import OVERLAP, Voice
from audioengine.verification.waves import (
    CEILING_DBFS,
    LIMITER_MS,
    Wave,
    amplitude,
    levels_of,
)
from audioengine.verification.window_types import mixed_frames

_BLOCK_MS = 20
_NEARLY_DB = 0.1  # decoders differ by less


@dataclass(frozen=True)
class Sounding:
    """One recording that is heard in a passage."""

    number: int
    voice: Voice
    plain: list[Wave]
    """By channel, what it plays where it is heard, without masks."""
    right: list[Wave]
    """With them."""


@dataclass(frozen=True)
class Passage:
    """What is heard in a window, and should be."""

    case: Case
    piece: Span
    """What is judged; the window reaches further where it can."""
    window: Span
    ours: list[Wave]
    """By channel, the output."""
    sounds: tuple[Sounding, ...]

    @classmethod
    def of(cls, case: Case, piece: Span, window: Span, ours: list[Wave]) -> Passage:
        """The passage of an output that sounds so; the sources are decoded.

        Raises VerificationError.
        """
        sounds = []
        for number, voice in enumerate(case.voices):
            if _meets(voice.heard, window):
                waves = voice.waves(window)
                plain = [voice.muted(wave, window) for wave in waves]
                right = [case.voiced(voice, c, wave, window) for c, wave in enumerate(waves)]
                sounds.append(Sounding(number, voice, plain, right))
        return cls(case, piece, window, ours, tuple(sounds))

    @cached_property
    def total(self) -> list[Wave]:
        """By channel, the sum of what should be heard."""
        out = [np.zeros(self.window.length) for _ in self.ours]
        for sound in self.sounds:
            for channel, right in enumerate(sound.right):
                out[channel] += right
        return out

    def others(self, sound: Sounding, channel: int, cut: slice) -> Wave:
        """What should be heard beside one recording there."""
        if len(self.sounds) == 1:
            return np.zeros(cut.stop - cut.start)
        return self.total[channel][cut] - sound.right[channel][cut]

    def without_others(self, sound: Sounding, channel: int, cut: slice) -> Wave:
        """The output there, without what should be heard beside one recording."""
        if len(self.sounds) == 1:
            return self.ours[channel][cut]
        return self.ours[channel][cut] - self.others(sound, channel, cut)

    @cached_property
    def unsure(self) -> tuple[Span, ...]:
        """Where decoders may play what is heard in different ways.

        Or minimp3 plays the output otherwise than others do: in copied mixed blocks of MPEG-2.
        """
        voices = (span for sound in self.sounds for span in sound.voice.unsure)
        return join((*voices, *self._mixed_blocks()))

    def _mixed_blocks(self) -> Iterator[Span]:
        case, spf = self.case, self.case.format.samples_per_frame
        first = max(0, (self.window.start + case.hidden - OVERLAP) // spf)
        last = min(case.output_index.frames, -(-(self.window.end + case.hidden) // spf))
        if case.format.lsf and first < last:
            flags = mixed_frames(case.output, case.output_index, FrameRange(first, last))
            for part in ranges_of(flags, first):
                yield Span(part.first * spf - case.hidden, part.last * spf + OVERLAP - case.hidden)

    @cached_property
    def mixed(self) -> tuple[Span, ...]:
        """Where in the piece several recordings are heard."""
        heard = (span for sound in self.sounds for span in sound.voice.heard)
        alone = [span for sound in self.sounds for span in sound.voice.alone]
        inside = (span.clipped(self.piece) for span in heard)
        return without((span for span in inside if span.length), alone)

    @cached_property
    def loud(self) -> list[tuple[Span, ...]]:
        """By channel, where a sum may be turned down."""
        if not self.mixed:
            return [()] * len(self.ours)
        most = amplitude(CEILING_DBFS - _NEARLY_DB)
        near = self.case.format.rate_hz * LIMITER_MS // 1000
        return [
            join(
                Span(part.first - near, part.last + near)
                for part in ranges_of(np.abs(wave) > most, self.window.start)
            )
            for wave in self.total
        ]

    def loudest_in(self, span: Span) -> float:
        """The largest RMS of 20 ms in or at a span, of what should be heard on any channel."""
        block = self._block
        near = span.clipped(self.window)
        first = (near.start - self.window.start) // block
        last = -(-(near.end - self.window.start) // block)
        return float(self._levels[first:last].max(initial=0.0))

    @cached_property
    def _levels(self) -> Wave:
        """[shape=(blocks,)] By blocks of the window, the level where it is louder; 0s behind it."""
        silence = np.zeros(-self.window.length % self._block)
        padded = (np.concatenate((wave, silence)) for wave in self.total)
        levels: Wave = np.maximum.reduce([levels_of(wave, self._block) for wave in padded])
        return levels

    @property
    def _block(self) -> int:
        return self.case.format.rate_hz * _BLOCK_MS // 1000

    def cut(self, span: Span) -> slice:
        """Where the samples of a span are in those of the window."""
        return slice(span.start - self.window.start, span.end - self.window.start)


def both(spans: Iterable[Span], others: Iterable[Span]) -> tuple[Span, ...]:
    """The samples that are in both."""
    ours = join(span for span in spans if span.length)
    return without(ours, without(ours, others))


def _meets(spans: Iterable[Span], window: Span) -> bool:
    return any(span.start < window.end and window.start < span.end for span in spans)
