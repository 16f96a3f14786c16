# SPDX-License-Identifier: Apache-2.0
"""Whether what is coded anew is as bright as what it is made of: its level, band by band.

An encoder that is given fewer bits cuts off the treble, and what is left resembles the source as
much as before: most of a voice is below 3 kHz.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from audioengine.edits import Span
from audioengine.plan.grid import Flags
from audioengine.plan.rendering import RenderPlan
from audioengine.verification.findings import HeardBands
from audioengine.verification.passage import Passage
from audioengine.verification.waves import amplitude, power_in_bands

BANDS = 32
"""Of the range up to half the rate: as wide as those of the coding's filter bank."""
_LEAST_MS = 60
"""A shorter stretch is left out: it has three blocks at most."""
_BLOCK_S = 0.03
_GRANULE = 576
_RESAMPLED_SHARE = 0.9
"""Of half a source's rate: above it, a resampler's filter falls."""
_LEAST_BLOCKS = 8
_LEAST_SOUNDING_BLOCKS = 2.5
"""In as many blocks a band sounds at least (if unsteady, fewer than there are). In short effects
that sound in less, an encoder may leave bands out: 48 dB were missing of a chirp of 30 ms."""
_LEAST_BAND_DBFS = -70.0
"""Below it is coding noise of the source, and the threshold of hearing of LAME's model."""
_MASKED_DB = 30.0
_TOP_DB = 45.0
_BESIDE_DB = 9.0
_WIDE_FROM = 13
"""From this band up a scale factor band is 2.5 bands wide or more: 46 lines of 576 from line 240 on
(ISO/IEC 11172-3, table B.8; 13818-3, table B.2)."""
_SLOPE_DB = 6.0
"""In the highest band that can be heard: 9 dB below the one beside it, the slope of a source's
low-pass at 24 kHz and 16 kbit/s was left out."""
_FLOOR = 1e-12
_ALL_CODED_HZ = 44_100
# Of half the rate: where LAME's last scale factor band of long windows begins.
_CODED_MOSTLY = 522 / 576
_CODED = {24_000: 540 / 576, 32_000: 540 / 576}
_CODED_8K = 566 / 576, 160 / 192
# What LAME 3.100 leaves out above, by the bitrate in kbit/s (optimum_bandwidth in lame.c).
_LOWPASS_HZ = {
    8: 2000,
    16: 3700,
    24: 3900,
    32: 5500,
    40: 7000,
    48: 7500,
    56: 10_000,
    64: 11_000,
    80: 13_500,
    96: 15_100,
    112: 15_600,
    128: 17_000,
    160: 17_500,
    192: 18_600,
    224: 19_400,
    256: 19_700,
    320: 20_500,
}
_MONO_SHARE = 1.5
_MOST_LOST_DB = 6.0
_MOST_LOST_BY_CHANCE_DB = 10.0
"""See `lost_bands`."""


@dataclass(frozen=True, slots=True)
class LostBand:
    """A band that is quieter than it was, beyond what coding takes."""

    channel: int
    span: Span
    hz: float
    lost_db: float


def coded_hz(rate_hz: int, *, short: bool) -> float:
    """Up to where LAME 3.100 codes anything, in short windows or in others; no setting moves it.

    Below 44.1 kHz it leaves out the last scale factor band, at 8 kHz the last five, of which those
    of short windows begin far lower (calc_xmin in quantize_pvt.c; ISO/IEC 13818-3, table B.2, and
    for 8 kHz LAME's own). Measured with noise: 40 dB are missing 500 Hz above it.
    """
    if rate_hz >= _ALL_CODED_HZ:
        return math.inf
    long, in_short = _CODED_8K if rate_hz == 8000 else (_CODED.get(rate_hz, _CODED_MOSTLY),) * 2
    return (in_short if short else long) * rate_hz / 2


def hear_bands(
    channel: int, spans: Iterable[Span], passage: Passage, *, short: bool
) -> Iterator[HeardBands]:
    """What is heard, and should be, in stretches that no source's frame is copied to.

    short: whether the output's windows are short there.
    """
    rate = passage.case.format.rate_hz
    block = round(_BLOCK_S * rate) // 2 * 2
    sure = _sure(passage, rate, coded_hz(rate, short=short))
    # Where granules are longer than blocks, they are what chance has a say in.
    alike = max(1.0, _GRANULE / block)
    for span in spans:
        if span.length >= max(block, rate * _LEAST_MS // 1000):
            cut = passage.cut(span)
            ours = power_in_bands(passage.ours[channel][cut], block, BANDS)
            wanted = power_in_bands(passage.total[channel][cut], block, BANDS)
            yield HeardBands(
                channel,
                span,
                sure * len(wanted),
                ours.sum(axis=0),
                wanted.sum(axis=0),
                (wanted**2).sum(axis=0),
                alike,
            )


def _sure(passage: Passage, rate_hz: int, coded: float) -> Flags:
    """[shape=(BANDS,)] Which bands encoder and resampler must leave as they are."""
    highest = min(
        (
            _RESAMPLED_SHARE * sound.voice.index.format.rate_hz / 2
            for sound in passage.sounds
            if sound.voice.ratio != 1
        ),
        default=math.inf,
    )
    width = rate_hz / 2 / BANDS
    tops = np.arange(1, BANDS + 1) * width
    # Its low-pass is rounded to whole bands.
    kept = lowpass_hz(passage.case.plan) - width / 2
    sure: Flags = tops <= min(highest, coded, kept)
    return sure


def lowpass_hz(plan: RenderPlan) -> float:
    """Above what a first encode may leave all out: LAME's choice by bitrate, 1.5 times for mono."""
    if plan.full_band:
        return math.inf
    kbps = plan.format.bitrates_kbps[plan.bitrate_index]
    nearest = min(_LOWPASS_HZ, key=lambda one: abs(one - kbps))
    return _LOWPASS_HZ[nearest] * (_MONO_SHARE if plan.format.channels == 1 else 1)


def lost_bands(found: Iterable[HeardBands], rate_hz: int) -> tuple[list[LostBand], float]:
    """The bands that are lost, in single stretches or in all of a channel, and the largest loss.

    Judged are bands in which the source is above -70 dBFS, over eight blocks of 30 ms or more;
    where granules are longer than blocks, those of one granule count as one. A band may be 6 dB
    quieter, and 10 dB over the square root of the blocks in which it sounds, for what chance adds.
    How many those are, the sums of its powers and of their squares say.

    A band counts if it was less than 30 dB below the loudest one, and less than 9 dB below those
    beside it: what is quieter is masked, encoders leave it out, and it may be the noise of the
    source's own coding. From band 13 up, those two bands off count as beside it: a scale factor
    band has one step, which the loudest lines set, and is as wide there. At the top, where all
    above a band is lost too, it counts without those beside it, and in all of a channel down to 45
    dB. The highest band counts if it was less than 6 dB below the one beside it: it has the slope
    of the source's low-pass.

    Plain encodes without a low-pass (LAME 3.100, 8 to 48 kHz, 700 to 2200 bits for a granule, 6,296
    stretches of noise, music, tones and speech): of steady noise with gaps in its spectrum, bands
    were lost in 44 stretches that lay 25.8 dB or more below the loudest one, 5.8 to 9.0 dB below
    those beside them, and 9.4 to 13.0 dB below those two bands off.

    Soak (see `audioengine.verification.hearing`): a band that sounded in 2.5 blocks or more lost
    4.1 dB at most, in 16 and more 1.8 dB, in 100 and more 0.1 dB. Where an encoder's low-pass is
    lower than the source's, the bands above it lose 12 to 60 dB.
    """
    together: dict[int, list[HeardBands]] = {}
    for stretch in found:
        together.setdefault(stretch.channel, []).append(stretch)
    lost: list[LostBand] = []
    largest = 0.0
    for channel, stretches in together.items():
        total = _together(stretches)
        for heard in (*stretches, total):
            losses = _losses(heard)
            largest = max(largest, max(losses.values(), default=0.0))
            for band in _missing(heard, losses, _TOP_DB if heard is total else _MASKED_DB):
                hz = (band + 0.5) * rate_hz / 2 / BANDS
                lost.append(LostBand(channel, heard.span, hz, losses[band]))
    return lost, largest


def _together(stretches: Sequence[HeardBands]) -> HeardBands:
    """All stretches of a channel as one, each with the bands that are sure in it."""

    def total(values: Iterable[npt.NDArray[Any]]) -> npt.NDArray[Any]:
        pairs = zip(stretches, values, strict=True)
        whole: npt.NDArray[Any] = np.sum([one * (part.blocks > 0) for part, one in pairs], axis=0)
        return whole

    return HeardBands(
        stretches[0].channel,
        stretches[0].span,
        total(part.blocks for part in stretches),
        total(part.ours for part in stretches),
        total(part.wanted for part in stretches),
        total(part.squares for part in stretches),
        stretches[0].alike,
    )


def _losses(heard: HeardBands) -> dict[int, float]:
    """By band that can be heard, over enough blocks, what it lost, in dB."""
    least = amplitude(_LEAST_BAND_DBFS) ** 2
    figures = zip(heard.blocks.tolist(), heard.ours.tolist(), heard.wanted.tolist(), strict=True)
    return {
        band: 10 * math.log10(wanted / max(ours, blocks * _FLOOR))
        for band, (blocks, ours, wanted) in enumerate(figures)
        if blocks >= _LEAST_BLOCKS * heard.alike
        and wanted >= blocks * least
        and _sounding_blocks(heard, band) >= _LEAST_SOUNDING_BLOCKS
    }


def _sounding_blocks(heard: HeardBands, band: int) -> float:
    """In how many blocks a band sounds: all of them if steady, one if all of it is in one."""
    return float(heard.wanted[band] ** 2 / heard.squares[band]) / heard.alike


def _missing(heard: HeardBands, losses: dict[int, float], top_db: float) -> list[int]:
    """The bands that are lost: loud ones, or at the top of what can be heard, down to `top_db`."""
    loudest = float(heard.wanted.max())
    loud, least = loudest * amplitude(-_MASKED_DB) ** 2, loudest * amplitude(-top_db) ** 2
    out = []
    at_top = True
    for place, band in enumerate(sorted(losses, reverse=True)):
        by_chance = _MOST_LOST_BY_CHANCE_DB / math.sqrt(_sounding_blocks(heard, band))
        reach = 2 if place and band >= _WIDE_FROM else 1
        beside = float(heard.wanted[max(0, band - reach) : band + reach + 1].max())
        # The slope of the source's own low-pass is in the highest band.
        below_db = _BESIDE_DB if place else _SLOPE_DB
        if losses[band] <= _MOST_LOST_DB + by_chance:
            at_top = False
        elif heard.wanted[band] >= (
            least if at_top and place else max(loud, beside * amplitude(-below_db) ** 2)
        ):
            out.append(band)
    return out
