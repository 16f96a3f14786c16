# SPDX-License-Identifier: Apache-2.0
"""What is heard around the edits, of the output and of the source, as another decoder plays them.

The output is decoded whole, in parts that are worked on side by side; the source is decoded only
where the output is not a copy of it. Each part gives findings, which `hearing.py` judges.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from audioengine.edits import Span, join, touching
from audioengine.plan.grid import Flags, FrameRange, ranges_of
from audioengine.plan.spans import without
from audioengine.verification.case import OVERLAP, Case
from audioengine.verification.decoder import UndecodableError, decode_frames, decode_source
from audioengine.verification.findings import Heard, HeardEdge, HeardKept, HeardMask
from audioengine.verification.frames import Compared
from audioengine.verification.waves import (
    EnvelopeLikeness,
    Likeness,
    Wave,
    amplitude,
    as_wave,
    beep_wave,
    decibels,
    envelope_likeness,
    likeness,
    loudest,
    painted,
    rms,
    tone_in,
    without_beep,
)

_PART_FRAMES = 512
_PIECE_S = 8
_EDGE_MS = 10
"""What stands at an end of a mask is judged by `edges`."""
_MARGIN_MS = 15
_SHIFTS_MS = tuple(step / 2 for step in range(-20, 21) if abs(step) >= 5)
_LEAST_TONE_MS = 40
_LEAST_LIKENESS_MS = 60
_LEAST_CORE_MS = 100
_BLOCK_MS = 20
_QUIET_DBFS = -45.0
_QUIET_VOICE_DBFS = -65.0

_UNSURE_FRAMES = 3


def listen(case: Case, compared: Compared, workers: int) -> Heard:
    """Decode the output once, and the source where they differ; say what is heard."""
    listener = _Listener(case, compared)
    total = case.output_index.frames
    parts = [
        FrameRange(first, min(first + _PART_FRAMES, total))
        for first in range(0, total, _PART_FRAMES)
    ]
    out = Heard()
    with ThreadPoolExecutor(workers) as executor:
        for first in range(0, len(parts), 4 * workers):
            # A day of audio must not be waiting to be listened to.
            for heard in executor.map(listener.part, parts[first : first + 4 * workers]):
                out.add(heard)
    return out


class _Listener:
    """Works on parts of one output; may be called from many threads."""

    def __init__(self, case: Case, compared: Compared) -> None:
        self.case = case
        self.rate = case.format.rate_hz
        channels = range(case.format.channels)
        self.masked = [tuple(case.masked(channel)) for channel in channels]
        self.made = [self._made(~compared.kept[channel], compared) for channel in channels]
        every = [span for spans in (*self.masked, *self.made) for span in spans]
        margin = self._samples(_MARGIN_MS)
        whole = Span(0, case.plan.kept.length)
        self.near = join(
            Span(span.start - margin, span.end + margin).clipped(whole) for span in every
        )

        self.unsure = self._damage()

    def _damage(self) -> tuple[Span, ...]:
        """Where decoders may play the source in different ways: a broken frame, and its next."""
        index = self.case.source_index
        broken = [*index.lost, *(segment.first_frame for segment in index.segments[1:])]
        return join(
            Span(span.start - self.case.plan.kept.start, span.end - self.case.plan.kept.start)
            for span in (self._raw(frame) for frame in broken)
        )

    def _raw(self, frame: int) -> Span:
        spf = self.case.format.samples_per_frame
        return Span((frame - _UNSURE_FRAMES) * spf, (frame + _UNSURE_FRAMES) * spf + OVERLAP)

    def _made(self, flags: Flags, compared: Compared) -> tuple[Span, ...]:
        """What is heard of frames that are not the source's."""
        ranges = ranges_of(flags, compared.frames.first)
        spans = (self.case.played(part, OVERLAP) for part in ranges)
        return join(span for span in spans if span.length)

    def _samples(self, ms: float) -> int:
        return round(ms * self.rate / 1000)

    def part(self, frames: FrameRange) -> Heard:
        """What is heard in some of the output's frames, counted from its first one."""
        case, spf = self.case, self.case.format.samples_per_frame
        hidden = case.hidden
        whole = Span(0, case.plan.kept.length)
        core = Span(frames.first * spf - hidden, frames.last * spf - hidden).clipped(whole)
        margin = self._samples(2 * _MARGIN_MS)
        first = max(0, frames.first - -(-margin // spf))
        last = min(case.output_index.frames, frames.last - (-margin // spf))
        heard = Heard(samples=core.length)
        try:
            pcm = decode_frames(case.output, case.output_index, first, last)
            base = first * spf - hidden
            for piece in self._pieces(core):
                window = Span(piece.start - margin, piece.end + margin).clipped(whole)
                window = window.clipped(Span(base, base + len(pcm)))
                ours = pcm[window.start - base : window.end - base]
                theirs = self._source(window)
                for channel in range(case.format.channels):
                    self._hear(
                        heard, channel, piece, window, as_wave(ours[:, channel]), theirs[channel]
                    )
        except UndecodableError:
            heard.undecodable += 1
        return heard

    def _pieces(self, core: Span) -> Iterator[Span]:
        step = _PIECE_S * self.rate
        for near in touching(self.near, core):
            part = near.clipped(core)
            for start in range(part.start, part.end, step):
                yield Span(start, min(start + step, part.end))

    def _source(self, window: Span) -> list[Wave]:
        """By channel, what the decoder plays of the source there."""
        case, spf = self.case, self.case.format.samples_per_frame
        start, end = (case.plan.kept.start + place for place in (window.start, window.end))
        first, last = start // spf, -(-end // spf)
        pcm = decode_source(case.source, case.source_index, first, last)
        pcm = pcm[start - first * spf : end - first * spf]
        return [as_wave(pcm[:, channel]) for channel in range(case.format.channels)]

    def _hear(
        self, heard: Heard, channel: int, piece: Span, window: Span, ours: Wave, theirs: Wave
    ) -> None:
        masks = touching(self.masked[channel], piece)
        for mask in masks:
            inside = mask.clipped(piece)
            if inside.length:
                heard.masks += self._mask(channel, mask, inside, window, ours, theirs)
            for ends in (False, True):
                edge = mask.end if ends else mask.start
                if piece.start <= edge < piece.end and 0 < edge < self.case.plan.kept.length:
                    heard.edges += self._edge(channel, mask, ends, window, ours, theirs)
        made = (span.clipped(piece) for span in touching(self.made[channel], piece))
        elsewhere = (*masks, *touching(self.unsure, piece))
        for span in without((span for span in made if span.length), elsewhere):
            heard.kept += self._kept(channel, span, window, ours, theirs)

    def _mask(
        self, channel: int, mask: Span, inside: Span, window: Span, ours: Wave, theirs: Wave
    ) -> Iterator[HeardMask]:
        edge = self._samples(_EDGE_MS)
        # An end of the mask that a trim cuts off is no edge; the piece's own ends are none either.
        between = Span(mask.start + edge, max(mask.start + edge, mask.end - edge))
        part = inside.clipped(between)
        unsure = touching(self.unsure, part)
        sure = without([part], unsure) if part.length else ()
        for span in (*sure, *(one.clipped(part) for one in unsure)):
            if span.length:
                voice = theirs[_cut(span, window)] if span in sure else None
                limit = self._edge_limit(mask, window, theirs)
                yield self._masked(channel, mask, span, ours[_cut(span, window)], voice, limit)

    def _masked(
        self, channel: int, mask: Span, part: Span, heard: Wave, voice: Wave | None, limit: float
    ) -> HeardMask:
        """What is heard in a part of a mask; `voice` is None where nobody knows what it was."""
        beep, rate = self.case.beep, self.rate
        rest, gain, phase = heard, None, 0.0
        if beep.fill == "beep" and part.length < self._samples(_LEAST_TONE_MS):
            rest = rest - beep_wave(beep, rate, mask, part)
        elif beep.fill == "beep":
            tone = tone_in(rest, beep, rate, part.start - mask.start)
            gain, phase, rest = tone.gain_db, tone.phase, tone.rest
        core = self._core(mask).clipped(part)
        deep = core.length >= self._samples(_LEAST_CORE_MS)
        inner = rest[_cut(core, part)]
        edges = np.concatenate((rest[: core.start - part.start], rest[core.end - part.start :]))
        alike = Likeness(0.0, 0, 0.0, 1.0)
        levels = EnvelopeLikeness(0.0, 0.0)
        if voice is not None:
            voice = without_beep(voice, beep, rate)
        if voice is not None and decibels(rms(voice)) > _QUIET_VOICE_DBFS:
            if np.count_nonzero(voice) >= self._samples(_LEAST_LIKENESS_MS) and rest.any():
                alike = likeness(rest, voice, rate)
            if deep and inner.any():
                levels = envelope_likeness(inner, voice[_cut(core, part)], rate)
        block = self._samples(_BLOCK_MS)
        return HeardMask(
            channel=channel,
            span=part,
            tone_db=gain,
            phase=phase,
            edge_rest_dbfs=decibels(loudest(edges, block)),
            edge_limit_dbfs=limit,
            core_rest_dbfs=decibels(loudest(inner, block)) if deep else -120.0,
            likeness=alike.best,
            likeness_chance=alike.chance,
            envelope=levels.now,
            envelope_chance=levels.chance,
        )

    def _core(self, mask: Span) -> Span:
        """What is decoded from frames that depend on the mask alone, and on no cut."""
        mask = mask.clipped(Span(0, self.case.plan.kept.length))
        spf, support = self.case.format.samples_per_frame, self.case.format.support
        zero = self.case.plan.grid.origin - self.case.plan.kept.start
        first = -(-(mask.start - zero) // spf)
        last = (mask.end - support - zero) // spf + 1
        start = zero + first * spf + OVERLAP
        return Span(start, max(start, zero + last * spf))

    def _edge_limit(self, mask: Span, window: Span, theirs: Wave) -> float:
        """How loud coding noise of what is next to a mask may be, beside the beep."""
        beside = [
            Span(mask.start - self.case.format.support, mask.start).clipped(window),
            Span(mask.end, mask.end + self.case.format.support).clipped(window),
        ]
        block = self._samples(_BLOCK_MS)
        return decibels(max(loudest(theirs[_cut(span, window)], block) for span in beside))

    def _edge(
        self, channel: int, mask: Span, ends: bool, window: Span, ours: Wave, theirs: Wave
    ) -> Iterator[HeardEdge]:
        margin = self._samples(_MARGIN_MS)
        edge = mask.end if ends else mask.start
        near = Span(edge - margin, edge + margin).clipped(window)
        if any(near.clipped(span).length for span in touching(self.unsure, near)):
            return
        cut = _cut(near, window)
        others = [other for other in touching(self.masked[channel], near) if other != mask]

        def error(shift: int) -> float:
            start, end = mask.start + shift * (not ends), mask.end + shift * ends
            spans = (*others, Span(start, max(start, end)))
            wanted = painted(theirs[cut], near, spans, self.case.beep, self.rate)
            return rms(ours[cut] - wanted)

        errors = {ms: error(self._samples(ms)) for ms in _SHIFTS_MS}
        best = min(errors, key=errors.__getitem__)
        yield HeardEdge(channel, edge, decibels(error(0)), best, decibels(errors[best]))

    def _kept(
        self, channel: int, span: Span, window: Span, ours: Wave, theirs: Wave
    ) -> Iterator[HeardKept]:
        if span.length < self._samples(_LEAST_LIKENESS_MS):
            return
        heard, source = ours[_cut(span, window)], theirs[_cut(span, window)]
        if rms(source) < amplitude(_QUIET_DBFS):
            return
        scale = rms(heard) * rms(source)
        resemblance = float(np.mean(heard * source)) / scale if scale else 0.0
        found = likeness(heard, source, self.rate)
        sure = found.best > 2 * found.chance
        confidence = found.best / max(found.at_zero, 1e-9) if sure else 0.0
        yield HeardKept(channel, span, resemblance, found.lag, confidence)


def _cut(span: Span, window: Span) -> slice:
    """Where the samples of a span are in those of a window."""
    return slice(span.start - window.start, span.end - window.start)
