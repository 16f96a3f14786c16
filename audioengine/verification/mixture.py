# SPDX-License-Identifier: Apache-2.0
"""What is heard where several recordings are, where one leaves the word to another, where none is.

Only what the output's frames do not copy is listened to. A sum is taken apart by least squares: how
much of each recording explains most of what is heard.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from audioengine.edits import Span
from audioengine.plan.spans import without
from audioengine.verification.findings import Heard, HeardGap, HeardShare, HeardSum, HeardUnasked
from audioengine.verification.passage import Passage, Sounding, both
from audioengine.verification.voice import OVERLAP
from audioengine.verification.waves import (
    Likeness,
    Wave,
    amplitude,
    decibels,
    is_alike,
    likeness,
    loudest,
    rms,
    turned_down,
)

_LEAST_MS = 60
_LISTEN_MS = 1000
_BLOCK_MS = 20
_LOUD_BLOCK_MS = 100
_LEAST_PEAKS = 16
_GAP_EDGE_MS = 10
_BESIDE_MS = 2
_MOVED_FRAMES = 3
_QUIET_DBFS = -45.0
_SAME = 1e-6
_MOST_ALIKE = 4.0
"""By how much what recordings have in common may blur their shares."""


@dataclass(frozen=True)
class _Stretch:
    """A part of a passage in which the same recordings are heard."""

    span: Span
    sounds: tuple[Sounding, ...]
    unheard: tuple[int, ...]
    """Numbers of those that have audio there, and must not be heard."""


def hear_mixture(heard: Heard, passage: Passage, made: Sequence[tuple[Span, ...]]) -> None:
    """Add what is heard in a passage; `made`: by channel, where the output is no copy.

    Raises VerificationError.
    """
    waves: dict[int, list[Wave]] = {}
    for stretch in _stretches(passage):
        for channel, spans in enumerate(made):
            parts = both([stretch.span], spans)
            if not parts:
                continue
            for number in stretch.unheard:
                if number not in waves:
                    waves[number] = passage.case.voices[number].waves(passage.window)
            unheard = {number: waves[number][channel] for number in stretch.unheard}
            if not stretch.sounds:
                heard.gaps += _gaps(channel, parts, passage)
            if unheard or len(stretch.sounds) > 1:
                _hear(heard, channel, stretch, parts, unheard, passage)


def _stretches(passage: Passage) -> list[_Stretch]:
    piece, voices = passage.piece, passage.case.voices
    places = {piece.start, piece.end}
    for voice in voices:
        for span in (voice.everything, *voice.heard):
            places |= {place for place in (span.start, span.end) if place in _inside(piece)}
    out = []
    for start, end in pairwise(sorted(places)):
        span = Span(start, end)
        sounds = tuple(sound for sound in passage.sounds if _covers(sound.voice.heard, span))
        heard = {sound.number for sound in sounds}
        unheard = tuple(
            number
            for number, voice in enumerate(voices)
            if number not in heard and _covers((voice.everything,), span)
        )
        out.append(_Stretch(span, sounds, unheard))
    return out


def _inside(span: Span) -> range:
    return range(span.start, span.end)


def _covers(spans: Sequence[Span], span: Span) -> bool:
    return any(outer.start <= span.start and span.end <= outer.end for outer in spans)


def _hear(
    heard: Heard,
    channel: int,
    stretch: _Stretch,
    parts: Sequence[Span],
    unheard: dict[int, Wave],
    passage: Passage,
) -> None:
    case, total = passage.case, passage.total[channel]
    least = case.format.rate_hz * _LEAST_MS // 1000
    doubtful = (span for number in unheard for span in case.voices[number].unsure)
    sure = without(parts, (*passage.unsure, *doubtful))
    clear = [span for span in without(sure, passage.loud[channel]) if span.length >= least]
    mixed = len(stretch.sounds) > 1
    if mixed:
        for span in both(sure, passage.loud[channel]):
            heard.sums += _turned_down(channel, span, passage)
    if not clear:
        return
    cuts = [passage.cut(span) for span in clear]
    ours = joined(passage.ours[channel], cuts)
    wanted = {sound.number: joined(sound.right[channel], cuts) for sound in stretch.sounds}
    others = {number: joined(wave, cuts) for number, wave in unheard.items()}
    columns = {n: wave for n, wave in (*wanted.items(), *others.items()) if _is_audible(wave)}
    shares = _shares(ours, columns)
    for sound in stretch.sounds if mixed else ():
        if sound.number in columns:
            found = _delay(sound, channel, clear, passage)
            sure_of_it = found.best > 2 * found.chance
            heard.shares.append(
                HeardShare(
                    channel,
                    clear[0],
                    sound.number,
                    *shares[sound.number],
                    found.lag,
                    found.best / max(found.at_zero, 1e-9) if sure_of_it else 0.0,
                )
            )
    for number, wave in unheard.items():
        if number in columns:
            found = _trace(wave, total, channel, clear, passage)
            heard.unasked.append(
                HeardUnasked(channel, clear[0], number, *shares[number], found.best, found.chance)
            )
    sums = joined(total, cuts)
    if mixed and _is_audible(sums):
        power, scale = float(np.mean(sums * sums)), rms(ours) * rms(sums)
        along = float(np.mean(ours * sums))
        gain = along / power
        heard.sums.append(
            HeardSum(channel, clear[0], along / scale if scale else 0.0, gain, 1.0, 1.0)
        )


def _is_audible(wave: Wave) -> bool:
    return rms(wave) >= amplitude(_QUIET_DBFS)


def joined(wave: Wave, cuts: Sequence[slice]) -> Wave:
    """Stretches of a wave, one behind the other."""
    return np.concatenate([wave[cut] for cut in cuts])


def _shares(ours: Wave, columns: dict[int, Wave]) -> dict[int, tuple[float, float]]:
    """By number, how much of each wave is in ours, and how far noise may have that wrong."""
    if not columns:
        return {}
    # Not by BLAS: its threads would stand in the way of those that listen to other parts.
    rows = np.stack([*columns.values(), ours])
    products = np.einsum("it,jt->ij", rows, rows) / len(ours)
    levels = np.sqrt(np.diag(products)[:-1])
    gram = products[:-1, :-1] / np.outer(levels, levels)
    along = products[:-1, -1] / levels
    inverse: npt.NDArray[np.float64] = np.linalg.pinv(gram, hermitian=True)
    share = inverse @ along
    noise = math.sqrt(max(products[-1, -1] - 2 * share @ along + share @ gram @ share, 0.0))
    blur = np.diag(inverse)
    # Of waves that are the same, the pseudo-inverse takes half of each.
    blurred = (blur > _MOST_ALIKE) | (np.linalg.cond(gram) > 1 / _SAME)
    slack = np.where(blurred, np.inf, noise / levels * np.sqrt(np.maximum(blur, 1)))
    return {
        number: (float(share[i] / levels[i]), float(slack[i])) for i, number in enumerate(columns)
    }


def _loudest_second(wave: Wave, spans: Sequence[Span], passage: Passage) -> Span:
    """The second of the longest span in which a wave is loudest."""
    span = max(spans, key=lambda span: span.length)
    length = min(span.length, passage.case.format.rate_hz * _LISTEN_MS // 1000)
    starts = range(span.start, span.end - length + 1, length)
    return max(
        (Span(start, start + length) for start in starts),
        key=lambda second: rms(wave[passage.cut(second)]),
    )


def _delay(sound: Sounding, channel: int, clear: Sequence[Span], passage: Passage) -> Likeness:
    """How late a recording is heard, judged away from its masks: a beep is like itself."""
    rate = passage.case.format.rate_hz
    masks = [mask.span for mask in sound.voice.masked[channel]]
    spans = [span for span in without(clear, masks) if span.length >= rate * _LEAST_MS // 1000]
    nothing = Likeness(0.0, 0, 0.0, 1.0)
    if not spans:
        return nothing
    right = sound.right[channel]
    cut = passage.cut(_loudest_second(right, spans, passage))
    beside = passage.others(sound, channel, cut)
    if not _is_audible(right[cut]) or is_alike(beside, right[cut], rate):
        return nothing
    return likeness(passage.without_others(sound, channel, cut), right[cut], rate)


def _trace(
    voice: Wave, total: Wave, channel: int, clear: Sequence[Span], passage: Passage
) -> Likeness:
    """How much of a voice's waveform is beside what should be heard."""
    rate = passage.case.format.rate_hz
    cut = passage.cut(_loudest_second(voice, clear, passage))
    rest = (passage.ours[channel] - total)[cut]
    nothing = Likeness(0.0, 0, 0.0, 1.0)
    if not _is_audible(voice[cut]) or not rest.any():
        return nothing
    # Who says the same is heard on another recording, says it still.
    if is_alike(total[cut], voice[cut], rate):
        return nothing
    return likeness(rest, voice[cut], rate)


def _turned_down(channel: int, span: Span, passage: Passage) -> list[HeardSum]:
    """By blocks, how far a sum that is too loud was turned down: all of it, and its peaks alone."""
    block, shortest = (
        passage.case.format.rate_hz * ms // 1000 for ms in (_LOUD_BLOCK_MS, _BLOCK_MS)
    )
    least, most = turned_down(passage.total[channel], passage.case.format.rate_hz)
    out = []
    for start in range(span.start, span.end, block):
        part = Span(start, min(start + block, span.end))
        if part.length < shortest:
            continue
        cut = passage.cut(part)
        ours, sums = passage.ours[channel][cut], passage.total[channel][cut]
        scale = rms(ours) * rms(sums)
        resemblance = float(np.mean(ours * sums)) / scale if scale else 0.0
        peaks = most[cut] < 1
        for judged in (np.ones(len(sums), dtype=bool), peaks):
            power = (sums * judged) ** 2
            whole = float(power.sum())
            if not whole or np.count_nonzero(judged) < _LEAST_PEAKS:
                continue
            along = float((ours * sums * judged).sum())
            low, high = (float((gain[cut] * power).sum()) / whole for gain in (least, most))
            out.append(HeardSum(channel, part, resemblance, along / whole, low, high))
    return out


def _gaps(channel: int, parts: Sequence[Span], passage: Passage) -> list[HeardGap]:
    """What is heard in a gap: nothing, but beside voices some noise of their coding."""
    case, rate = passage.case, passage.case.format.rate_hz
    block, edge = rate * _BLOCK_MS // 1000, rate * _GAP_EDGE_MS // 1000
    spf = case.format.samples_per_frame
    reach = max(case.format.support, OVERLAP + spf) + (_MOVED_FRAMES + 1) * spf
    voices = [span for voice in case.voices for span in voice.heard]
    near = [Span(span.start - reach, span.end + reach) for span in voices]
    at_edges = [Span(span.start - edge, span.end + edge) for span in voices]
    out = []
    for span in without(parts, near):
        level = decibels(loudest(passage.ours[channel][passage.cut(span)], block))
        out.append(HeardGap(channel, span, level, -120.0))
    for span in without(both(parts, near), at_edges):
        level = decibels(loudest(passage.ours[channel][passage.cut(span)], block))
        around = Span(span.start - reach, span.end + reach).clipped(case.whole)
        beside = case.right(around)[channel]
        # Noise of a click is no quieter than the click is on the average.
        clicks = any(0 < voice.clipped(around).length < block for voice in voices)
        loud = float(np.abs(beside).max()) if clicks else loudest(beside, rate * _BESIDE_MS // 1000)
        limit = decibels(loud)
        out.append(HeardGap(channel, span, level, limit))
    return out
