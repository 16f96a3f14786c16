# SPDX-License-Identifier: Apache-2.0
"""Whether frames that are the source's, though they depend on what was removed, give it away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from audioengine.edits import Span
from audioengine.plan.grid import FrameRange
from audioengine.verification.case import Case
from audioengine.verification.voice import OVERLAP
from audioengine.verification.waves import decibels, loudest, rms

_WINDOW, _WINDOW_LATE = 1152, 240
"""A granule's window, and the samples by which the filters in front of it delay it."""
_INAUDIBLE_DBFS = -84.0
_SAME_DB = 25.0
_SAME_HIDDEN_DB = 12.0
"""What the source hides before its first sample or behind its last is that much below the loudest
2 ms next to it, as for the check `hidden`: coding rings on there. Behind a beep that ends with the
recording, 28 dB below was seen."""
_BESIDE_MS = 2
_ENOUGH = 64


def guilty_frames(case: Case, suspects: Sequence[Sequence[FrameRange]]) -> list[list[FrameRange]]:
    """By channel, the suspects in which the source does not sound as the request wants it to.

    An output with many is not listened to any further: all others count as guilty too.
    """
    return [list(_guilty(case, channel, ranges)) for channel, ranges in enumerate(suspects)]


def _guilty(case: Case, channel: int, suspects: Sequence[FrameRange]) -> Iterator[FrameRange]:
    found = 0
    for part in suspects:
        for frame in range(part.first, part.last):
            if found >= _ENOUGH or not _sounds_as_asked(case, channel, frame):
                found += 1
                yield FrameRange(frame, frame + 1)


def _sounds_as_asked(case: Case, channel: int, frame: int) -> bool:
    """Whether the source's frame already sounds as the request wants it to.

    Then there is nothing in it to remove: it may hold the same beep, or silence, or hardly depend
    on what is removed, being a granule's window away from it. A frame made anew can then come out
    as the source's.
    """
    spf, support = case.format.samples_per_frame, case.format.support
    (patch,) = case.compared(FrameRange(frame, frame + 1))
    voice, own = case.voices[patch.voice], frame - patch.shift
    source = voice.frames(own, own + 1 - (-OVERLAP // spf))[:support, channel]
    start = frame * spf - case.plan.kept.start
    window = Span(start, start + support)
    wanted = case.right(window)[channel]
    played = voice.everything.clipped(window)
    inside = np.zeros(support)
    inside[played.start - start : played.end - start] = 1
    beside = Span(start - support, start + support).clipped(case.whole)
    loudest_beside = loudest(case.right(beside)[channel], case.format.rate_hz * _BESIDE_MS // 1000)
    for granule in range(0, spf, 576):
        weights = np.zeros(support)
        weights[granule + _WINDOW_LATE : granule + _WINDOW_LATE + _WINDOW] = np.sin(
            np.pi / _WINDOW * (np.arange(_WINDOW) + 0.5)
        )
        loud, played_error, hidden_error = (
            decibels(rms(wave * weights))
            for wave in (wanted, (source - wanted) * inside, (source - wanted) * (1 - inside))
        )
        if played_error > max(_INAUDIBLE_DBFS, loud - _SAME_DB):
            return False
        if hidden_error > max(_INAUDIBLE_DBFS, decibels(loudest_beside) - _SAME_HIDDEN_DB):
            return False
    return True
