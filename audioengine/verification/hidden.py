# SPDX-License-Identifier: Apache-2.0
"""What an output's frames hold before the first sample that is played, and after the last one.

Players pass over it, by the tag; whoever ignores that hears it. Frames that an edit cuts through
hold silence there, but for noise of the coding of what is next to it.
"""

from __future__ import annotations

from audioengine.edits import Span
from audioengine.verification.case import Case
from audioengine.verification.decoder import UndecodableError, decode_frames
from audioengine.verification.findings import HeardHidden
from audioengine.verification.waves import (
    Wave,
    amplitude,
    as_wave,
    decibels,
    likeness,
    loudest,
    rms,
)

_BLOCK_MS, _BESIDE_MS = 20, 2
_LEAST_MS = 20
_LEAST_HEARD_MS = 10  # in less there is hardly more than the ringing of what is next to it
_QUIET_SOURCE_DBFS = -50.0
_QUIET_DBFS = -75.0
_OWN_ECHO_DB = -12.0
_ECHO_DB = -30.0  # coding may repeat what is next to it at a lower level


def hear_hidden(case: Case) -> list[HeardHidden]:
    """What is hidden, if the output has the samples that its tag says.

    Raises VerificationError.
    """
    spf = case.format.samples_per_frame
    whole = Span(case.hidden, case.hidden + case.whole.length)
    raw = Span(0, case.output_index.frames * spf)
    out = []
    for hidden, beside in (
        (Span(0, whole.start), Span(whole.start, whole.start + case.format.support)),
        (Span(whole.end, raw.end), Span(whole.end - case.format.support, whole.end)),
    ):
        least = case.format.rate_hz * _LEAST_HEARD_MS // 1000
        if 0 <= hidden.start <= hidden.end - least <= raw.end - least:
            out += _hidden(case, hidden, beside.clipped(raw).clipped(whole))
    return out


def _hidden(case: Case, hidden: Span, beside: Span) -> list[HeardHidden]:
    spf, rate = case.format.samples_per_frame, case.format.rate_hz
    first = min(hidden.start, beside.start) // spf
    last = -(-max(hidden.end, beside.end) // spf)
    try:
        pcm = decode_frames(case.output, case.output_index, first, last)
    except UndecodableError:
        # `length` says so.
        return []
    waves = as_wave(pcm).T
    out = []
    for channel, wave in enumerate(waves):
        ours = wave[hidden.start - first * spf : hidden.end - first * spf]
        played = wave[beside.start - first * spf : beside.end - first * spf]
        block = rate * _BLOCK_MS // 1000
        level = decibels(loudest(ours, block))
        limit = decibels(loudest(played, rate * _BESIDE_MS // 1000))
        place, near = (Span(s.start - case.hidden, s.end - case.hidden) for s in (hidden, beside))
        noise = decibels(loudest(played - case.right(near)[channel], block))
        best, chance = 0.0, 1.0
        if level > max(_QUIET_DBFS, limit + _ECHO_DB):
            best, chance = _alike(case, channel, ours, place, near)
        out.append(HeardHidden(channel, place, level, limit, noise, best, chance))
    return out


def _alike(case: Case, channel: int, ours: Wave, place: Span, near: Span) -> tuple[float, float]:
    """The likeness to the recording that it is most like, and what is chance.

    Not to what is itself only the echo of a recording's coding, beyond its own first or last
    sample: it holds the same sound that the output's echo is of.
    """
    best, chance = 0.0, 1.0
    if len(ours) < case.format.rate_hz * _LEAST_MS // 1000:
        return best, chance
    for voice in case.voices:
        wave = voice.waves(place)[channel]
        beside = loudest(voice.waves(near)[channel], case.format.rate_hz * _BESIDE_MS // 1000)
        echo = not place.clipped(voice.everything).length and (
            rms(wave) < beside * amplitude(_OWN_ECHO_DB)
        )
        if rms(wave) > amplitude(_QUIET_SOURCE_DBFS) and not echo:
            found = likeness(ours, wave, case.format.rate_hz)
            if found.best * chance > best * found.chance:
                best, chance = found.best, found.chance
    return best, chance
