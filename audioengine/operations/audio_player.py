# SPDX-License-Identifier: Apache-2.0
"""Samples in a notebook: a waveform of each party, and a player."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO

import numpy as np
import numpy.typing as npt
import soundfile

PLAYED_AT_MOST_S = 300
"""A WAV of 8 kHz stereo takes 32 kB a second, and a notebook keeps all of it."""

_PIXELS = 800
_HEIGHT = 60


def player_html(
    caller: npt.NDArray[np.float32], callee: npt.NDArray[np.float32], rate_hz: int
) -> str:
    """HTML without script: the waveforms as SVG, and an audio element with the sound as WAV.

    Of more than PLAYED_AT_MOST_S seconds only so many can be played; all are drawn.
    """
    lanes = "".join(
        f'<g transform="translate(0 {number * _HEIGHT})"><title>{party}</title>'
        f'<path d="{_outline(samples)}" fill="none" stroke="currentColor"/></g>'
        for number, (party, samples) in enumerate((("caller", caller), ("callee", callee)))
    )
    most = PLAYED_AT_MOST_S * rate_hz
    buffer = BytesIO()
    both = np.stack((caller[:most], callee[:most]), axis=1)
    soundfile.write(buffer, np.clip(both, -1, 1), rate_hz, format="WAV", subtype="PCM_16")
    cut = f"<p>The first {PLAYED_AT_MOST_S} s can be played.</p>" if len(caller) > most else ""
    return (
        f'<div><svg viewBox="0 0 {_PIXELS} {2 * _HEIGHT}" width="100%" height="{2 * _HEIGHT}" '
        f'preserveAspectRatio="none" role="img" aria-label="Waveforms of caller and callee">'
        f"{lanes}</svg><audio controls "
        f'src="data:audio/wav;base64,{b64encode(buffer.getvalue()).decode()}"></audio>{cut}</div>'
    )


def _outline(samples: npt.NDArray[np.float32]) -> str:
    """The lowest and the highest sample under each pixel, as strokes of an SVG path."""
    if not len(samples):
        return ""
    starts = np.unique(np.arange(_PIXELS) * len(samples) // _PIXELS)
    low = np.minimum.reduceat(samples, starts)
    high = np.maximum.reduceat(samples, starts)
    middle = _HEIGHT / 2
    top, bottom = (middle * (1 - np.clip(one, -1, 1)) for one in (high, low))
    step = _PIXELS / len(starts)
    return "".join(
        f"M{(place + 0.5) * step:.1f} {first:.1f}V{max(last, first + 0.5):.1f}"
        for place, (first, last) in enumerate(zip(top, bottom, strict=True))
    )
