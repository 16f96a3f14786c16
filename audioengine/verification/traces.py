# SPDX-License-Identifier: Apache-2.0
"""What is heard of a masked voice on the channel of another party, where that is made anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from audioengine.edits import Span
from audioengine.plan.spans import without
from audioengine.verification.findings import Heard, HeardTrace
from audioengine.verification.mixture import joined
from audioengine.verification.passage import Passage, Sounding, both
from audioengine.verification.waves import decibels, rms, share_of, without_beep

_LEAST_MS = 100
_QUIET_VOICE_DBFS = -65.0


def hear_traces(heard: Heard, passage: Passage, made: Sequence[tuple[Span, ...]]) -> None:
    """Add what is heard in a passage; `made`: by channel, where the output is no copy."""
    for sound in passage.sounds:
        for channel, spans in enumerate(made):
            for other, masks in enumerate(sound.voice.masked):
                if other == channel:
                    continue
                masked = both((mask.span for mask in masks), sound.voice.heard)
                parts = both(both(masked, spans), [passage.piece])
                parts = without(parts, (*passage.unsure, *passage.loud[channel]))
                if parts:
                    heard.traces += _trace(channel, other, parts, sound, passage)


def _trace(
    channel: int, other: int, parts: Sequence[Span], sound: Sounding, passage: Passage
) -> Iterator[HeardTrace]:
    """How much of what `other` said is in what is heard on `channel`."""
    rate, cuts = passage.case.format.rate_hz, [passage.cut(span) for span in parts]
    plain, ours, wanted = (
        joined(wave, cuts)
        for wave in (sound.plain[other], passage.ours[channel], passage.total[channel])
    )
    if len(ours) < rate * _LEAST_MS // 1000:
        return
    voice = without_beep(plain, passage.case.beep, rate)
    if decibels(rms(voice)) < _QUIET_VOICE_DBFS:
        return
    power = float(np.mean(wanted * wanted))
    rest = ours - wanted * (float(np.mean(ours * wanted)) / power if power else 0.0)
    yield HeardTrace(
        channel,
        parts[0],
        share_of(rest, voice, rate),
        rms(rest) / rms(voice),
        rms(wanted) / rms(voice),
    )
