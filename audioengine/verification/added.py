# SPDX-License-Identifier: Apache-2.0
"""Whether more is heard in what is coded anew than what it is made of: narrow band by narrow band.

A coder rounds spectral lines. A line that is rounded to nothing is off by all of itself, and one
that is rounded up by less. So what coding adds at a frequency is no louder than the source is about
there, within a granule's window. What is louder, the source does not explain.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from audioengine.edits import Span
from audioengine.verification.findings import HeardAdded
from audioengine.verification.passage import Passage
from audioengine.verification.waves import Wave, amplitude, decibels

_SCALES = (0.03, 3), (0.24, 1)
"""Blocks in s, which overlap by half, and how many are taken together: 60 ms, so that a short sound
stands out, and 240 ms, in which a steady tone stands out of a voice."""
_LEAST_S = 0.06
_WINDOW = 1152
"""Samples of a long window: how far before and behind the source its coding noise may be."""
_LINES = 8
"""How far the filter bank may mirror a line: from the fourth below a subband's edge to the fourth
above it. Further lines are mirrored 20 dB below (ISO/IEC 11172-3, 2.4.3.4.10.1, table B.9)."""
_LEAKING_BINS = 2
"""How far a tone reaches in a block behind Hann's window."""
_LEAST_DBFS = -52.0
"""Below it nothing is judged: coding noise of calls is below -54 dBFS in all of the band."""
_LEAST_BESIDE_DB = -30.0
"""Of all that should be heard in a block: what is clipped, or resampled, differs by less."""


def hear_added(channel: int, spans: Iterable[Span], passage: Passage) -> Iterator[HeardAdded]:
    """Of each stretch, what is loudest beside what should be heard, compared with that.

    Compared are the levels of the difference in blocks of 60 ms and 240 ms, by frequency (33 Hz and
    4 Hz apart), with the loudest that should be heard on any channel within 1152 samples before and
    behind, and within 8 lines of the coding (8/1152 of the rate) above and below. What is below
    -52 dBFS, or 30 dB below all that should be heard there, does not count. A stretch of less than
    60 ms is not judged.
    """
    for span in spans:
        if span.length >= round(_LEAST_S * passage.case.format.rate_hz):
            found = [
                added
                for block_s, together in _SCALES
                for added in _most(channel, span, passage, block_s, together)
            ]
            if found:
                yield max(found, key=lambda added: added.excess_db)


def _most(
    channel: int, span: Span, passage: Passage, block_s: float, together: int
) -> Iterator[HeardAdded]:
    case, rate = passage.case, passage.case.format.rate_hz
    block = round(block_s * rate) // 2 * 2
    step = block // 2
    length = (together + 1) * step
    if span.length < length:
        return
    cut = passage.cut(span)
    rest = _powers(passage.ours[channel][cut] - passage.total[channel][cut], block)
    powers = sliding_window_view(rest, together, axis=0).mean(axis=-1)
    if powers.max() < amplitude(_LEAST_DBFS) ** 2:
        return
    before = -(-_WINDOW // step)
    wide = 2 * before + together
    start = span.start - before * step
    # Blocks that lie as those of the stretch do.
    around = Span(start, start + (len(powers) + wide) * step)
    near, played = around.clipped(passage.window), around.clipped(case.whole)
    excess = powers / _limits(
        [wave[passage.cut(near)] for wave in passage.total], near, around, block, wide
    )
    if excess.max() > 1:
        # It may be that the next passage is as loud there.
        excess = powers / _limits(case.right(played), played, around, block, wide)
    first, line = divmod(int(np.argmax(excess)), excess.shape[1])
    yield HeardAdded(
        channel,
        Span(span.start + first * step, span.start + first * step + length),
        line * rate / block,
        decibels(math.sqrt(powers[first, line])),
        decibels(math.sqrt(excess[first, line])),
    )


def _limits(
    right: Iterable[Wave], span: Span, around: Span, block: int, wide: int
) -> npt.NDArray[np.float64]:
    """[shape=(blocks, lines)] What coding noise of what should be heard in a span may be about.

    around: where the blocks are; silence is taken to be beside the span.
    wide: how many blocks are near each.
    """
    silence = span.start - around.start, around.end - span.end
    # In joint stereo, what codes one channel is heard on the other.
    powers = np.maximum.reduce([_powers(np.pad(wave, silence), block) for wave in right])
    width = _LEAKING_BINS + -(-_LINES * block // _WINDOW)
    limits = _running_max(np.pad(powers, ((0, 0), (width, width))).T, 2 * width + 1).T
    beside = powers.sum(axis=1)[:, None] * amplitude(_LEAST_BESIDE_DB) ** 2
    least = amplitude(_LEAST_DBFS) ** 2
    return _running_max(np.maximum(np.maximum(limits, beside), least), wide)


def _running_max(values: npt.NDArray[np.float64], count: int) -> npt.NDArray[np.float64]:
    """Along the first axis, the largest of as many that follow one another."""
    reached = 1
    while reached < count:
        further = min(reached, count - reached)
        values = np.maximum(values[:-further], values[further:])
        reached += further
    return values


def _powers(wave: Wave, block: int) -> npt.NDArray[np.float64]:
    """[shape=(blocks, lines)] Of blocks that overlap by half; a tone has the square of its RMS."""
    window = np.hanning(block)
    frames = sliding_window_view(wave, block)[:: block // 2]
    powers: npt.NDArray[np.float64] = np.abs(np.fft.rfft(frames * window, axis=1)) ** 2
    return powers * (2 / float(window.sum()) ** 2)
