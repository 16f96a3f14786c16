# SPDX-License-Identifier: Apache-2.0
"""What is judged: an output, the recordings it is made of, and what the request asks of them."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from itertools import islice

import numpy as np

from audioengine.edits import Beep, Span
from audioengine.mp3.bytesource import ByteSource
from audioengine.mp3.header import StreamFormat
from audioengine.mp3.index import FrameIndex
from audioengine.mp3.info_tag import DECODER_DELAY
from audioengine.plan.encode import header_for
from audioengine.plan.grid import FrameRange
from audioengine.plan.merge import MergePlan
from audioengine.plan.placing import PlacedPart
from audioengine.plan.rendering import RenderPlan
from audioengine.plan.spans import without
from audioengine.plan.store import StorePlan
from audioengine.verification.voice import ReadSamples, Voice
from audioengine.verification.waves import Masked, Wave, painted

# Between copies of one recording all of its frames are looked at, and so many beside the others.
_BETWEEN_FRAMES = 512
_BESIDE_FRAMES = 16


@dataclass(frozen=True, slots=True)
class Patch:
    """Frames of the output that are compared with those that one recording has there."""

    frames: FrameRange
    voice: int
    shift: int
    """What is added to the number of the recording's frame to give the output's."""


@dataclass(frozen=True)
class Case:
    """One output and what it should be."""

    output: ByteSource
    output_index: FrameIndex
    plan: RenderPlan
    """Derived from sources and request; it numbers the frames."""
    beep: Beep
    voices: tuple[Voice, ...]
    patches: tuple[Patch, ...]
    """In order; no frame is in two of them."""

    @property
    def format(self) -> StreamFormat:
        """What all frames of the output must share."""
        return self.plan.format

    @cached_property
    def frames(self) -> FrameRange:
        """The output's frames by the plan's numbers: the last one is where the plan ends."""
        last = self.plan.grid.frames.last
        return FrameRange(last - self.output_index.frames, last)

    @cached_property
    def lost(self) -> frozenset[int]:
        """The plan's, to look numbers up in."""
        return frozenset(self.plan.lost)

    @cached_property
    def flags(self) -> frozenset[int]:
        """What the headers of frames that are made may have of copyright, original and emphasis."""
        voices = self.voices
        if isinstance(self.plan, MergePlan):
            voices = tuple(self.voices[patch.voice] for patch in self.patches)
        own = header_for(self.format, self.plan.bitrate_index).flags
        return frozenset(voice.index.header.flags for voice in voices) or frozenset((own,))

    @property
    def hidden(self) -> int:
        """Decoded samples of the output before the first that is played, by its tag."""
        tag = self.output_index.info_tag
        return (tag.encoder_delay or 0) + DECODER_DELAY if tag else 0

    @property
    def whole(self) -> Span:
        """All samples that the output should play."""
        return Span(0, self.plan.kept.length)

    def compared(self, frames: FrameRange) -> list[Patch]:
        """What there is to compare some of the output's frames with."""
        out = []
        for patch in self.patches:
            first = max(frames.first, patch.frames.first)
            last = min(frames.last, patch.frames.last)
            if first < last:
                out.append(replace(patch, frames=FrameRange(first, last)))
        return out

    def played(self, frames: FrameRange, reach: int) -> Span:
        """The samples that play these frames, the plan's numbers, and `reach` after them."""
        spf, zero = self.format.samples_per_frame, self.plan.grid.origin - self.plan.kept.start
        span = Span(zero + frames.first * spf, zero + frames.last * spf + reach)
        return span.clipped(self.whole)

    def right(self, window: Span) -> list[Wave]:
        """By channel, what should be heard there.

        Raises VerificationError where a source can't be decoded.
        """
        out = [np.zeros(window.length) for _ in range(self.format.channels)]
        for voice in self.voices:
            if any(span.clipped(window).length for span in voice.heard):
                for channel, wave in enumerate(voice.waves(window)):
                    out[channel] += self.voiced(voice, channel, wave, window)
        return out

    def voiced(self, voice: Voice, channel: int, wave: Wave, window: Span) -> Wave:
        """What should be heard of a voice there, which plays `wave`."""
        masks = masks_in(voice.masked[channel], window)
        if masks:
            wave = painted(wave, window, masks, self.beep, self.format.rate_hz)
        return voice.muted(wave, window)

    def removed(self, patch: Patch, channel: int) -> tuple[Span, ...]:
        """The raw samples of a patch's recording that the output must not know of.

        They count as the output's raw samples do.
        """
        zero = self.plan.kept.start
        voice = self.voices[patch.voice]
        start = patch.shift * self.format.samples_per_frame
        masks = [mask.span for mask in voice.masked[channel]]
        kept = (Span(span.start + zero, span.end + zero) for span in without(voice.alone, masks))
        return without([Span(start, start + voice.index.raw_samples)], kept)


def masks_in(masks: Sequence[Masked], window: Span) -> list[Masked]:
    """Those of a channel's masks, which are in order, that are heard in a window."""
    out = []
    for mask in islice(masks, bisect_right(masks, window.start, key=_end), None):
        if mask.span.start >= window.end:
            break
        out.append(mask)
    return out


def _end(mask: Masked) -> int:
    return mask.span.end


def store_case(
    source: ByteSource,
    source_index: FrameIndex,
    output: ByteSource,
    output_index: FrameIndex,
    plan: StorePlan,
    beep: Beep,
    read_samples: ReadSamples | None = None,
) -> Case:
    """What is to be judged of a store.

    read_samples: gives those of a source that is no MP3.
    """
    zero, whole = plan.kept.start, Span(0, plan.kept.length)
    masked = tuple(
        tuple(Masked(Span(mask.start - zero, mask.end - zero)) for mask in masks)
        for masks in plan.masked
    )
    voice = Voice(
        source, source_index, zero, 0, Fraction(1), (whole,), (whole,), masked, read_samples
    )
    # On a grid of its own, the output's frames fall between the source's.
    is_compared = plan.grid.origin == 0 and source_index.frames > 0
    patch = Patch(FrameRange(0, source_index.frames), 0, 0)
    return Case(output, output_index, plan, beep, (voice,), (patch,) if is_compared else ())


def merge_case(
    sources: Sequence[ByteSource],
    read_samples: Sequence[ReadSamples | None],
    output: ByteSource,
    output_index: FrameIndex,
    plan: MergePlan,
    beep: Beep,
) -> Case:
    """What is to be judged of a merge of sources, which are those of the plan's parts.

    read_samples: by source, gives the samples of one that is no MP3.
    """
    voices = tuple(
        Voice(
            source,
            part.index,
            part.index.start + part.zero,
            part.offset,
            part.ratio,
            plan.hearing.heard[number],
            plan.hearing.alone[number],
            tuple(
                _masks_of(part, channel % part.index.format.channels)
                for channel in range(plan.format.channels)
            ),
            read_samples[number],
        )
        for number, (source, part) in enumerate(zip(sources, plan.parts, strict=True))
    )
    return Case(output, output_index, plan, beep, voices, _patches(plan))


def _masks_of(part: PlacedPart, channel: int) -> tuple[Masked, ...]:
    out = []
    for mask in part.masked[channel]:
        zero = part.index.start
        start, end = part.time_of(Span(mask.start - zero, mask.end - zero))
        first = math.floor(start)
        out.append(Masked(Span(first, math.ceil(end)), float(start - first)))
    return tuple(out)


def _patches(plan: MergePlan) -> tuple[Patch, ...]:
    """The copied frames and those beside and between them, by the recordings copied from."""
    out: list[Patch] = []
    own = FrameRange(0, 0)
    for stretch in plan.copied:
        last = out[-1] if out else None
        between = stretch.frames.first - last.frames.last if last else 0
        same = last and (last.voice, last.shift) == (stretch.part, stretch.shift)
        if last and same and between <= _BETWEEN_FRAMES:
            out[-1] = replace(last, frames=FrameRange(last.frames.first, stretch.frames.last))
            continue
        low = stretch.frames.first - _BESIDE_FRAMES
        if last:
            end = min(own.last, last.frames.last + min(_BESIDE_FRAMES, between // 2))
            out[-1] = replace(last, frames=FrameRange(last.frames.first, end))
            low = max(low, end)
        own = FrameRange(stretch.shift, stretch.shift + plan.parts[stretch.part].index.frames)
        out.append(
            Patch(FrameRange(max(low, own.first), stretch.frames.last), stretch.part, stretch.shift)
        )
    if out:
        last = out[-1]
        end = min(own.last, last.frames.last + _BESIDE_FRAMES)
        out[-1] = replace(last, frames=FrameRange(last.frames.first, end))
    return tuple(out)
