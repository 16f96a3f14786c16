# SPDX-License-Identifier: Apache-2.0
"""What is heard around the edits, of the output and of the sources, as another decoder plays them.

The output is decoded whole, in parts that are worked on side by side; sources are decoded only
where the output is no copy of them. Each part gives findings, which `hearing.py` judges.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from audioengine.edits import Span, join, touching
from audioengine.plan.grid import Flags, FrameRange, flags_of, ranges_of
from audioengine.plan.spans import without
from audioengine.verification.added import hear_added
from audioengine.verification.bands import coded_hz, hear_bands
from audioengine.verification.case import Case, masks_in
from audioengine.verification.decoder import UndecodableError, decode_frames
from audioengine.verification.findings import Heard, HeardEdge, HeardKept, HeardMask
from audioengine.verification.frames import Compared
from audioengine.verification.hidden import hear_hidden
from audioengine.verification.mixture import hear_mixture
from audioengine.verification.passage import Passage, Sounding, both
from audioengine.verification.traces import hear_traces
from audioengine.verification.voice import OVERLAP
from audioengine.verification.waves import (
    EnvelopeLikeness,
    Likeness,
    Masked,
    Wave,
    amplitude,
    as_wave,
    beep_wave,
    decibels,
    envelope_likeness,
    is_alike,
    levels_of,
    likeness,
    loudest,
    painted,
    rms,
    tone_in,
    without_beep,
)
from audioengine.verification.window_types import read_windows
from audioengine.verification.windows import short_frames

# Work is cut into parts of 13 to 37 s, and these into pieces, so that memory stays bounded.
_PART_FRAMES = 512
_PIECE_S = 8

_EDGE_MS = 10
"""At each end of a mask, what is left to `mask_edges`: twice the beep's ramp of 5 ms."""
_MARGIN_MS = 15
"""To either side of an edge, what is compared: coding noise is even over such a stretch, and a
shift of 2.5 ms is a sixth of it."""
_SHIFTS_MS = tuple(step / 2 for step in range(-20, 21) if abs(step) >= 5)
"""2.5 to 10 ms: at less, the ramps of two beeps differ by less than coding noise does."""
_LEFT_MS = (5, 10, 15)
"""How long a voice may be left at an end of a mask: whole ramps."""
_LEAST_LEFT = 0.5
"""Of its level: less of it is as loud as coding noise may be."""
_BESIDE_MS = 50
_LEAST_BESIDE_DBFS = -50.0
"""What is heard beside kept audio counts from here on, where it is also louder than all that is
near: coding noise of calls is below it, at most -54 dBFS in mid/side frames at 8 kHz."""
_MISSING_HZ = (100.0, 2000.0)
_LEAST_MISSING_DBFS = -40.0
_MISSING_DB = -30.0
"""What is so loud between these frequencies in 50 ms is coded at every bitrate: encoders leave out
what lies above, and add noise rather than silence."""
_LEAST_MASKED_MS = 5
"""A shorter part of a mask is not judged: no coding holds 2 samples of a beep."""
_LEAST_TONE_MS = 40
"""At the lowest frequency, 200 Hz, that is 8 turns; in less, noise would pass for a tone."""
_LEAST_LIKENESS_MS = 60
"""In less, twice what chance gives is a correlation of more than 0.44, at 8 kHz and 321 lags."""
_LEAST_CORE_MS = 100
"""Five blocks of 20 ms."""
_BLOCK_MS = 20
"""As in `hearing`."""
_LATE_S = 1.0
"""In frames that hold a mask alone, a voice may be left at another time: up to a second."""
_QUIET_DBFS = -45.0
"""Kept audio below it is judged by `_beside` and its bands alone: coding replaces quiet noise."""
_QUIET_VOICE_DBFS = -65.0
"""No voice is as quiet: on the fixtures' calls, the noise of the line is at -60 dBFS."""
_MOST_CHANCE = 2.0
"""How much of what a voice reaches at other lags counts as chance, where others are heard: two
calls of one speaker at once gave 2.7 times chance, and 2.5 at other lags."""
_OTHER_CHANNEL_DB = 12.0
"""What coding noise of one channel counts less for the other, which gets fewer bits then."""


def listen(case: Case, compared: Compared, workers: int) -> Heard:
    """Decode the output once, and the sources where they differ; say what is heard."""
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
    out.hidden = hear_hidden(case)
    return out


class _Listener:
    """Works on parts of one output; may be called from many threads."""

    def __init__(self, case: Case, compared: Compared) -> None:
        self.case = case
        self.rate = case.format.rate_hz
        self.frames = compared.frames
        channels = range(case.format.channels)
        silent = flags_of(case.plan.silences, compared.frames) & compared.empty
        self.made = [
            self._made(~compared.kept[channel] & ~silent, compared) for channel in channels
        ]
        masked = [
            mask.span.clipped(span)
            for voice in case.voices
            for masks in voice.masked
            for span in voice.heard
            for mask in masks_in(masks, span)
        ]
        margin = self._samples(_MARGIN_MS)
        self.near = join(
            Span(span.start - margin, span.end + margin).clipped(case.whole)
            for span in (*masked, *(span for spans in self.made for span in spans))
        )

    def _made(self, flags: Flags, compared: Compared) -> tuple[Span, ...]:
        """What is heard of frames that are not a source's."""
        ranges = ranges_of(flags, compared.frames.first)
        spans = (self.case.played(part, OVERLAP) for part in ranges)
        return join(span for span in spans if span.length)

    def _samples(self, ms: float) -> int:
        return round(ms * self.rate / 1000)

    def part(self, frames: FrameRange) -> Heard:
        """What is heard in some of the output's frames, counted from its first one."""
        case, spf = self.case, self.case.format.samples_per_frame
        hidden, whole = case.hidden, case.whole
        core = Span(frames.first * spf - hidden, frames.last * spf - hidden).clipped(whole)
        margin = self._samples(2 * _MARGIN_MS)
        first = max(0, frames.first - -(-margin // spf))
        last = min(case.output_index.frames, frames.last - (-margin // spf))
        heard = Heard(samples=core.length)
        try:
            pcm = decode_frames(case.output, case.output_index, first, last)
        except UndecodableError:
            heard.undecodable += 1
            return heard
        base = first * spf - hidden
        for piece in self._pieces(core):
            window = Span(piece.start - margin, piece.end + margin).clipped(whole)
            window = window.clipped(Span(base, base + len(pcm)))
            ours = as_wave(pcm[window.start - base : window.end - base])
            passage = Passage.of(case, piece, window, list(ours.T))
            for channel in range(case.format.channels):
                self._hear(heard, channel, passage)
            hear_mixture(heard, passage, self.made)
            hear_traces(heard, passage, self.made)
        return heard

    def _pieces(self, core: Span) -> Iterator[Span]:
        step = _PIECE_S * self.rate
        for near in touching(self.near, core):
            part = near.clipped(core)
            for start in range(part.start, part.end, step):
                yield Span(start, min(start + step, part.end))

    def _hear(self, heard: Heard, channel: int, passage: Passage) -> None:
        piece = passage.piece
        made = [span.clipped(piece) for span in touching(self.made[channel], piece)]
        masked: list[Span] = []
        for sound in passage.sounds:
            for mask in masks_in(sound.voice.masked[channel], passage.window):
                masked.append(mask.span)
                for span in sound.voice.heard:
                    inside = mask.span.clipped(piece).clipped(span)
                    if inside.length:
                        heard.masks += self._mask(channel, mask, inside, sound, passage)
                    for ends in (False, True):
                        edge = mask.span.end if ends else mask.span.start
                        if piece.start <= edge < piece.end and span.start < edge < span.end:
                            heard.edges += self._edge(channel, mask, ends, span, sound, passage)
        clear = without((span for span in made if span.length), (*masked, *passage.unsure))
        bright = without(clear, passage.loud[channel])
        in_short = self._in_short(channel, passage)
        heard.bands += hear_bands(channel, without(bright, in_short), passage, short=False)
        heard.bands += hear_bands(channel, both(bright, in_short), passage, short=True)
        heard.added += hear_added(channel, clear, passage)
        for sound in passage.sounds:
            for span in both(clear, sound.voice.alone):
                heard.kept += self._kept(channel, span, sound, passage)

    def _in_short(self, channel: int, passage: Passage) -> tuple[Span, ...]:
        """Where short windows of the output are heard, if they hold less of the treble."""
        if coded_hz(self.rate, short=True) == coded_hz(self.rate, short=False):
            return ()
        spf, hidden, zero = self.case.format.samples_per_frame, self.case.hidden, self.frames.first
        window = passage.window
        first = max(0, (window.start + hidden - OVERLAP) // spf)
        last = min(self.frames.count, -(-(window.end + hidden) // spf))
        flags = short_frames(self.case, FrameRange(first, last))[channel]
        ranges = (
            FrameRange(part.first + zero, part.last + zero) for part in ranges_of(flags, first)
        )
        return join(self.case.played(part, OVERLAP) for part in ranges)

    def _mask(
        self, channel: int, mask: Masked, inside: Span, sound: Sounding, passage: Passage
    ) -> Iterator[HeardMask]:
        edge = self._samples(_EDGE_MS)
        start, end = mask.span.start + edge, mask.span.end - edge
        # An end of the mask that a trim cuts off is no edge; the piece's own ends are none either.
        part = inside.clipped(Span(start, max(start, end)))
        # Where a sum is turned down, the beep is too.
        parts = without([part], passage.loud[channel]) if part.length else ()
        for alone, spans in (
            (True, both(parts, sound.voice.alone)),
            (False, without(parts, sound.voice.alone)),
        ):
            for sure, some in (
                (True, without(spans, passage.unsure)),
                (False, both(spans, passage.unsure)),
            ):
                for span in some:
                    if span.length < self._samples(_LEAST_MASKED_MS):
                        continue
                    yield self._masked(channel, mask, span, sound, passage, alone=alone, sure=sure)

    def _masked(
        self,
        channel: int,
        mask: Masked,
        part: Span,
        sound: Sounding,
        passage: Passage,
        *,
        alone: bool,
        sure: bool,
    ) -> HeardMask:
        """What is heard in a part of a mask.

        alone: whether no other recording is heard in it; sure: whether all decoders play the source
        alike there.
        """
        beep, rate = self.case.beep, self.rate
        rest, gain, phase = passage.without_others(sound, channel, passage.cut(part)), None, 0.0
        if beep.fill == "beep" and part.length < self._samples(_LEAST_TONE_MS):
            rest = rest - beep_wave(beep, rate, mask, part)
        elif beep.fill == "beep":
            tone = tone_in(rest, beep, rate, part.start - mask.span.start - mask.late)
            gain, phase, rest = tone.gain_db, tone.phase, tone.rest
        core = self._core(mask.span, part, sound) if alone else Span(part.start, part.start)
        deep = core.length >= self._samples(_LEAST_CORE_MS)
        inner = rest[_cut(core, part)]
        edges = np.concatenate((rest[: core.start - part.start], rest[core.end - part.start :]))
        alike = Likeness(0.0, 0, 0.0, 1.0)
        levels = EnvelopeLikeness(0.0, 0.0, 0.0)
        voice = without_beep(sound.plain[channel][passage.cut(part)], beep, rate)
        if sure and decibels(rms(voice)) > _QUIET_VOICE_DBFS:
            beside = passage.others(sound, channel, passage.cut(part))
            long = np.count_nonzero(voice) >= self._samples(_LEAST_LIKENESS_MS)
            # Who says the same is heard on another recording, says it still.
            if long and rest.any() and not is_alike(beside, voice, rate):
                alike = likeness(rest, voice, rate)
            if deep and inner.any():
                late = likeness(inner, voice[_cut(core, part)], rate, _LATE_S)
                alike = max(alike, late, key=lambda found: found.best / found.chance)
                levels = envelope_likeness(inner, voice[_cut(core, part)], rate)
        block = self._samples(_BLOCK_MS)
        return HeardMask(
            channel=channel,
            span=part,
            alone=alone,
            tone_db=gain,
            phase=phase,
            edge_rest_dbfs=decibels(loudest(edges, block)),
            edge_limit_dbfs=self._edge_limit(channel, mask.span, part, sound, passage),
            edge_noise_dbfs=max(
                self._noise_beside(each, mask.span, sound, passage)
                - (0 if each == channel else _OTHER_CHANNEL_DB)
                for each in range(self.case.format.channels)
            ),
            deep=deep,
            core_rest_dbfs=decibels(loudest(inner, block)) if deep else -120.0,
            core_bits=self._bits(channel, core) if deep else 0.0,
            likeness=alike.best,
            likeness_chance=alike.chance if alone else _chance_among_others(alike),
            envelope=levels.now,
            envelope_chance=levels.chance,
            envelope_spread=levels.spread,
        )

    def _core(self, mask: Span, part: Span, sound: Sounding) -> Span:
        """What is decoded from frames that depend on the mask alone, and on no cut."""
        alone = next(span for span in sound.voice.alone if part.clipped(span).length)
        mask = mask.clipped(alone)
        spf, support = self.case.format.samples_per_frame, self.case.format.support
        zero = self.case.plan.grid.origin - self.case.plan.kept.start
        first = -(-(mask.start - zero) // spf)
        last = (mask.end - support - zero) // spf + 1
        start = zero + first * spf + OVERLAP
        return Span(start, max(start, zero + last * spf)).clipped(part)

    def _bits(self, channel: int, span: Span) -> float:
        """How many bits a granule of a channel has, on the average, in the frames of a span."""
        spf, hidden = self.case.format.samples_per_frame, self.case.hidden
        first, last = (span.start + hidden) // spf, -(-(span.end + hidden) // spf)
        frames = FrameRange(first, min(last, self.case.output_index.frames))
        windows = read_windows(self.case.output, self.case.output_index, frames)
        return float(windows.bits[:, :, channel].mean())

    def _edge_limit(
        self, channel: int, mask: Span, part: Span, sound: Sounding, passage: Passage
    ) -> float:
        """How loud coding noise of what is next to a mask, or over it, may be beside the beep."""
        support, window = self.case.format.support, passage.window
        beside = [
            Span(mask.start - support, mask.start).clipped(window),
            Span(mask.end, mask.end + support).clipped(window),
        ]
        block = self._samples(_BLOCK_MS)
        own = max(loudest(sound.plain[channel][passage.cut(span)], block) for span in beside)
        around = Span(part.start - support, part.end + support).clipped(window)
        others = passage.others(sound, channel, passage.cut(around))
        return decibels(max(own, loudest(others, block)))

    def _noise_beside(self, channel: int, mask: Span, sound: Sounding, passage: Passage) -> float:
        """How loud the noise of the coding is in what is kept next to a mask."""
        support, window = self.case.format.support, passage.window
        around = [Span(mask.start - support, mask.start), Span(mask.end, mask.end + support)]
        masks = [mask.span for mask in sound.voice.masked[channel]]
        kept = both(without((span.clipped(window) for span in around), masks), sound.voice.heard)
        block = self._samples(_BLOCK_MS)
        noise = (
            passage.ours[channel][cut] - passage.total[channel][cut]
            for cut in map(passage.cut, kept)
        )
        return decibels(max((loudest(wave, block) for wave in noise), default=0.0))

    def _edge(
        self,
        channel: int,
        mask: Masked,
        ends: bool,
        heard: Span,
        sound: Sounding,
        passage: Passage,
    ) -> Iterator[HeardEdge]:
        margin = self._samples(_MARGIN_MS)
        edge = mask.span.end if ends else mask.span.start
        near = Span(edge - margin, edge + margin).clipped(passage.window).clipped(heard)
        if any(near.clipped(span).length for span in (*passage.unsure, *passage.loud[channel])):
            return
        if near.length < margin:
            # All of the output is shorter than what its coding blurs.
            return
        short = mask.span.length < margin
        if sound.voice.ratio != 1 and short:
            # What is as short has no clear edges once it is resampled.
            return
        cut = passage.cut(near)
        ours = passage.without_others(sound, channel, cut)
        theirs = sound.plain[channel][cut]
        others = [other for other in masks_in(sound.voice.masked[channel], near) if other != mask]

        def error(shift: int) -> float:
            # A mask that is shorter than what its coding blurs is moved as a whole.
            start = mask.span.start + shift * (short or not ends)
            end = mask.span.end + shift * (short or ends)
            moved = Masked(Span(start, max(start, end)), mask.late)
            wanted = painted(theirs, near, (*others, moved), self.case.beep, self.rate)
            return rms(ours - wanted)

        # No edge lies beyond what is heard: a sample that no coding holds is no shift.
        errors = {
            ms: error(self._samples(ms))
            for ms in _SHIFTS_MS
            if heard.start < edge + self._samples(ms) < heard.end
        }
        best = min(errors, key=errors.__getitem__)
        at, right = Span(edge, edge), error(0)
        wanted = painted(theirs, near, (*others, mask), self.case.beep, self.rate)
        inside = mask.span.clipped(near)
        lefts = (
            self._left(ours - wanted, theirs, _cut(self._end_of(inside, ends, ms), near))
            for ms in _LEFT_MS
        )
        left = right if short else min(lefts)
        # As far from the edge as no end of a mask is looked for. What still is the beep there, or
        # silent, is no noise.
        far = Span(near.end, near.end + margin) if ends else Span(near.start - margin, near.start)
        beside = passage.cut(far.clipped(passage.window).clipped(heard))
        heard_beside = passage.ours[channel][beside]
        noise = rms(heard_beside - passage.total[channel][beside])
        if len(heard_beside) > margin // 2:
            noise = min(noise, rms(tone_in(heard_beside, self.case.beep, self.rate, 0).rest))
        yield HeardEdge(
            channel,
            at,
            decibels(right),
            best,
            decibels(errors[best]),
            decibels(left),
            decibels(noise),
        )

    def _end_of(self, inside: Span, ends: bool, ms: int) -> Span:
        length = min(self._samples(ms), inside.length)
        if ends:
            return Span(inside.end - length, inside.end)
        return Span(inside.start, inside.start + length)

    @staticmethod
    def _left(rest: Wave, voice: Wave, end: slice) -> float:
        """What remains of `rest` without the voice, if some of that is at an end of the mask."""
        along = float(np.sum(rest[end] * voice[end]))
        power = float(np.sum(voice[end] ** 2))
        if along <= _LEAST_LEFT * power:
            return rms(rest)
        return math.sqrt(max(0.0, float(np.sum(rest * rest)) - along * along / power) / len(rest))

    def _kept(
        self, channel: int, span: Span, sound: Sounding, passage: Passage
    ) -> Iterator[HeardKept]:
        if span.length < self._samples(_LEAST_LIKENESS_MS):
            return
        heard = passage.ours[channel][passage.cut(span)]
        source = sound.plain[channel][passage.cut(span)]
        for wrong in (
            self._beside(span, heard - source, passage),
            self._missing(span, heard, source),
        ):
            if wrong is not None:
                yield HeardKept(channel, wrong, 0.0, 0.0, 0, 0.0)
        if rms(source) < amplitude(_QUIET_DBFS):
            return
        along, scale = float(np.mean(heard * source)), rms(heard) * rms(source)
        resemblance, gain = along / scale if scale else 0.0, along / rms(source) ** 2
        found = likeness(heard, source, self.rate)
        sure = found.best > 2 * found.chance
        confidence = found.best / max(found.at_zero, 1e-9) if sure else 0.0
        yield HeardKept(channel, span, resemblance, gain, found.lag, confidence)

    def _missing(self, span: Span, heard: Wave, source: Wave) -> Span | None:
        """The first 50 ms in which nothing is heard of a source that is loud there."""
        step = self._samples(_BESIDE_MS)
        spectrum = np.fft.rfft(source)
        hz = np.fft.rfftfreq(len(source), 1 / self.rate)
        spectrum[(hz < _MISSING_HZ[0]) | (hz > _MISSING_HZ[1])] = 0
        # The filter is circular: a loud end of the stretch shows at its other end.
        filtered = levels_of(np.fft.irfft(spectrum, len(source)), step)
        wanted = np.minimum(filtered, levels_of(source, step))
        loud = wanted > amplitude(_LEAST_MISSING_DBFS)
        found = np.flatnonzero(loud & (levels_of(heard, step) < amplitude(_MISSING_DB) * wanted))
        if not len(found):
            return None
        start = span.start + int(found[0]) * step
        return Span(start, start + step)

    def _beside(self, span: Span, rest: Wave, passage: Passage) -> Span | None:
        """The first 50 ms in which more is heard beside the source than its coding may add."""
        step, reach = self._samples(_BESIDE_MS), self.case.format.support + OVERLAP
        block = self._samples(_BLOCK_MS)
        levels = levels_of(rest, step)
        for number in np.flatnonzero(levels > amplitude(_LEAST_BESIDE_DBFS)).tolist():
            start = span.start + number * step
            part = Span(start, start + step)
            around = Span(part.start - reach, part.end + reach)
            # Of any channel: decoders do not agree on what intensity stereo gives to which.
            if levels[number] > passage.loudest_in(around):
                # Louder than all that is near in this passage; it may be that the next one is.
                right = self.case.right(around.clipped(self.case.whole))
                if levels[number] > max(loudest(wave, block) for wave in right):
                    return part
        return None


def _chance_among_others(found: Likeness) -> float:
    """What a voice reaches by chance in coding noise of others, who may be the same speaker."""
    return max(found.chance, min(found.elsewhere, _MOST_CHANCE * found.chance))


def _cut(span: Span, window: Span) -> slice:
    """Where the samples of a span are in those of a window."""
    return slice(span.start - window.start, span.end - window.start)
