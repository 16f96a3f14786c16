# SPDX-License-Identifier: Apache-2.0
"""Measures of one channel's samples: levels, tones, likeness. Full scale is ±1."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from audioengine.edits import Beep, Span

Wave: TypeAlias = npt.NDArray[np.float64]
"""[shape=(n,)]"""

RAMP_MS = 5
_CONTEXT_MS = 100
LAG_S = 0.02
_ENVELOPE_S = 0.032
_ROUNDING_POWER = 1 / 12 / 32768**2
_BANDS = 8
_LOWEST_HZ, _HIGHEST_SHARE = 120.0, 0.42
_FLOOR = 1e-9  # of a band's power: far below the rounding of 16 bits
_NEAR_BLOCKS = 1
_FAR_BLOCKS = 8
_BEEP_BLOCK_S = 0.02
_LEAST_CODING_SNR_DB = 25.0  # of a beep
_MAX_LIKENESS = 2.0
_LEAST_LIKENESS = 0.05
CEILING_DBFS = -1.5
LIMITER_MS = 12
"""How far from a sample that is too loud a sum may be turned down; rendering does for 10 ms."""


def as_wave(samples: npt.NDArray[np.int16]) -> Wave:
    """Integer samples as full scale ±1."""
    return samples / 32768.0


def rms(wave: Wave) -> float:
    """Root of the mean square; 0 of no samples."""
    return float(np.sqrt(np.mean(wave * wave))) if len(wave) else 0.0


def decibels(amplitude: float) -> float:
    """20 log10, at least -120."""
    return max(-120.0, 20 * math.log10(max(amplitude, 1e-12)))


def amplitude(dbfs: float) -> float:
    """Of a level."""
    return float(10 ** (dbfs / 20))


def resampled(
    read: Callable[[int, int], npt.NDArray[np.float64]],
    rate_hz: int,
    ratio: Fraction,
    start: int,
    end: int,
) -> npt.NDArray[np.float64]:
    """[shape=(end - start, channels)] Samples `start` to `end` at `rate_hz` times `ratio`.

    `read` gives samples at `rate_hz`, of which sample 0 is sample 0 of the result. By the Fourier
    transform of a stretch that reaches further: not as rendering does it, and only for a ratio of
    1 or more.
    """
    up, down = ratio.numerator, ratio.denominator
    context = -(-rate_hz * _CONTEXT_MS // (1000 * down))
    first, last = start // up - context, -(-end // up) + context
    wave = read(first * down, last * down)
    fade = np.minimum(1, (np.arange(len(wave)) + 0.5) / (context * down))
    wave = wave * (np.sin(np.pi / 2 * np.minimum(fade, fade[::-1])) ** 2)[:, None]
    count = (last - first) * up
    wide = np.fft.irfft(np.fft.rfft(wave, axis=0), count, axis=0) * float(ratio)
    begin = start - first * up
    return wide[begin : begin + end - start]


@dataclass(frozen=True, slots=True)
class Masked:
    """A stretch of a channel that the beep replaces."""

    span: Span
    late: float = 0.0
    """By how much of a sample the beep begins after `span`: not 0 where rates differ."""


def beep_wave(beep: Beep, rate_hz: int, mask: Masked, window: Span) -> Wave:
    """What a mask sounds like from `window.start` to `window.end`, by the contract.

    Written down once more on purpose: what rendering paints is what is judged.
    """
    if beep.fill == "silence":
        return np.zeros(window.length)
    start, length = mask.span.start, mask.span.length
    position = np.arange(window.start - start, window.end - start) - mask.late
    edge = np.maximum(0, np.minimum(position, length - 1 - position) + 0.5)
    ramp = max(1, min(rate_hz * RAMP_MS // 1000, length // 2))
    gain = 0.5 - 0.5 * np.cos(np.pi * np.minimum(edge / ramp, 1))
    turns = position * (float(beep.frequency_hz) / rate_hz)
    wave: Wave = amplitude(float(beep.level_dbfs)) * gain * np.sin(2 * np.pi * turns)
    return wave


def painted(source: Wave, window: Span, masks: Iterable[Masked], beep: Beep, rate_hz: int) -> Wave:
    """The source in a window, with masks in the place of what they cover."""
    out: Wave = source.copy()
    for mask in masks:
        part = mask.span.clipped(window)
        if part.length:
            out[part.start - window.start : part.end - window.start] = beep_wave(
                beep, rate_hz, mask, part
            )
    return out


@dataclass(frozen=True, slots=True)
class Tone:
    """A tone of known frequency in a wave."""

    gain_db: float
    """Its level beside the one expected."""
    phase: float
    """Radians by which it is ahead of the one expected."""
    rest: Wave
    """What is heard beside it."""


def tone_in(heard: Wave, beep: Beep, rate_hz: int, since_mask: float) -> Tone:
    """The part of a wave that is the steady beep, by least squares, and the rest.

    since_mask: samples from the mask's first one to the wave's.
    """
    turns = (since_mask + np.arange(len(heard))) * (float(beep.frequency_hz) / rate_hz)
    basis = np.stack((np.sin(2 * np.pi * turns), np.cos(2 * np.pi * turns)), axis=1)
    along, across = np.linalg.solve(basis.T @ basis, basis.T @ heard).tolist()
    gain_db = decibels(math.hypot(along, across)) - float(beep.level_dbfs)
    return Tone(gain_db, math.atan2(across, along), heard - basis @ (along, across))


def without_beep(voice: Wave, beep: Beep, rate_hz: int) -> Wave:
    """The wave, silent where it is nothing but such a beep: what is masked may be masked already.

    The same beep has the same coding noise, which would seem to be a voice that is left.
    """
    out: Wave = voice.copy()
    block = round(_BEEP_BLOCK_S * rate_hz)
    least = amplitude(-_LEAST_CODING_SNR_DB)
    for start in range(0, len(voice) - block + 1, block):
        # The last block takes what is left.
        end = start + block if start + 2 * block <= len(voice) else len(voice)
        part = voice[start:end]
        if rms(tone_in(part, beep, rate_hz, 0).rest) < least * rms(part):
            out[start:end] = 0
    return out


def loudest(wave: Wave, block: int) -> float:
    """The largest RMS of a block; of the whole wave where it is shorter than one.

    Blocks follow one another, and a last one ends where the wave does.
    """
    if len(wave) < block:
        return rms(wave)
    return max(float(levels_of(wave, block).max()), rms(wave[-block:]))


def levels_of(wave: Wave, block: int) -> Wave:
    """[shape=(len(wave) // block,)] The RMS of each block."""
    blocks = wave[: len(wave) // block * block].reshape(-1, block)
    levels: Wave = np.sqrt(np.mean(blocks * blocks, axis=1))
    return levels


def power_in_bands(wave: Wave, block: int, bands: int) -> npt.NDArray[np.float64]:
    """[shape=(blocks, bands)] Mean squares in equal bands up to half the rate.

    The blocks overlap by half; `wave` is one at least.
    """
    window = _hann(block)
    frames = np.lib.stride_tricks.sliding_window_view(wave, block)[:: block // 2]
    power = np.abs(np.fft.rfft(frames * window, axis=1)) ** 2
    power *= 2 / block / float(np.sum(window * window))
    edges = np.linspace(0, power.shape[1], bands + 1).astype(int)[:-1]
    banded: npt.NDArray[np.float64] = np.add.reduceat(power, edges, axis=1)
    return banded


@dataclass(frozen=True, slots=True)
class Likeness:
    """How alike two sounds are, whatever their levels and spectra."""

    best: float
    """The largest correlation at any lag; 1 for the same sound."""
    lag: int
    """Where that is: samples by which the first sound is later."""
    at_zero: float
    chance: float
    """What sounds with nothing in common reach."""
    elsewhere: float = 0.0
    """The largest correlation at lags beyond those asked for, as it would be among as many lags as
    those: voices of one speaker, or of one pitch, have more in common than chance gives."""


def likeness(first: Wave, second: Wave, rate_hz: int, lag_s: float = LAG_S) -> Likeness:
    """Correlate two waves at all lags up to `lag_s`.

    All frequencies count alike (the phase transform), so a voice shows far below the coding noise,
    and two sounds do not seem alike because both are loud at the same moment. Frequencies at which
    one of them is below the rounding of 16 bits count for nothing: there is no sound.
    """
    lags = max(4, min(round(lag_s * rate_hz), len(first) // 2))
    size = _fast_size(len(first) + lags)
    window = _narrow(len(first))
    spectra = [np.fft.rfft((wave - wave.mean()) * window, size) for wave in (first, second)]
    product: npt.NDArray[np.complex128] = spectra[0] * np.conj(spectra[1])
    power = np.abs(product)
    least = _ROUNDING_POWER * float(np.sum(window * window))
    heard = (np.abs(spectra[0]) ** 2 > least) & (np.abs(spectra[1]) ** 2 > least)
    product /= np.where(heard, power, np.inf)
    share = max(int(np.count_nonzero(heard)) / len(product), 1e-9)
    at_lag = np.fft.irfft(product, size) / share
    near = np.concatenate((at_lag[-lags:], at_lag[: lags + 1]))
    best = int(np.argmax(np.abs(near)))
    chance = math.sqrt(2 * math.log(2 * lags + 1) / max(1.0, share * len(first) / 2))
    far = np.abs(at_lag[lags + 1 : -lags])
    elsewhere = math.sqrt(math.log(2 * lags + 1) / math.log(max(len(far), 2 * lags + 1)))
    return Likeness(
        float(abs(near[best])),
        best - lags,
        float(abs(near[lags])),
        chance,
        elsewhere * float(far.max(initial=0.0)),
    )


def share_of(heard: Wave, voice: Wave, rate_hz: int) -> float:
    """How much of a voice is in what is heard, at the lag up to 20 ms where that is most."""
    lags = max(4, round(LAG_S * rate_hz))
    size = _fast_size(len(heard) + lags)
    at_lag = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(voice, size)), size)
    near = np.concatenate((at_lag[-lags:], at_lag[: lags + 1]))
    return float(np.abs(near).max()) / float(np.sum(voice * voice))


def stands_out(best: float, chance: float) -> bool:
    """Whether a likeness is more than sounds with nothing in common reach, and noise has."""
    return best > max(_LEAST_LIKENESS, _MAX_LIKENESS * chance)


def is_alike(first: Wave, second: Wave, rate_hz: int) -> bool:
    """Whether two waves have something in common."""
    if not (first.any() and second.any()):
        return False
    found = likeness(first, second, rate_hz)
    return stands_out(found.best, found.chance)


def turned_down(mix: Wave, rate_hz: int) -> tuple[Wave, Wave]:
    """The least and the most gain that each sample of a sum may have, by the contract.

    No more than what it takes to stay under the ceiling, and no less than the loudest sample near
    by takes; how the gain goes from one to the other is left open.
    """
    needed: Wave = np.minimum(1, amplitude(CEILING_DBFS) / np.maximum(np.abs(mix), 1e-9))
    near = max(1, rate_hz * LIMITER_MS // 1000)
    padded = np.pad(needed, near, constant_values=1.0)
    least: Wave = np.lib.stride_tricks.sliding_window_view(padded, 2 * near + 1).min(axis=1)
    return least, needed


@dataclass(frozen=True, slots=True)
class EnvelopeLikeness:
    """How alike two sounds rise and fall, band by band."""

    now: float
    """Correlation of their levels at the same time."""
    chance: float
    """The largest correlation with the other sound at any other time."""
    spread: float
    """The root mean square of the correlations at all times: few events make it large."""


def envelope_likeness(first: Wave, second: Wave, rate_hz: int) -> EnvelopeLikeness:
    """Correlate the levels of two waves in bands, over time.

    What a vocoder leaves of a voice has none of its waveform, but its levels.
    """
    count = 2 * len(first) // _block(rate_hz) - 1
    if count < 4 * _FAR_BLOCKS:
        return EnvelopeLikeness(0.0, 0.0, 0.0)
    ours, theirs = _levels(first, rate_hz), _levels(second, rate_hz)
    count = len(ours)
    scale = math.sqrt(float((ours**2).sum() * (theirs**2).sum()))
    if not scale:
        return EnvelopeLikeness(0.0, 0.0, 0.0)
    spectra = np.fft.rfft(ours, axis=0) * np.conj(np.fft.rfft(theirs, axis=0))
    around = np.fft.irfft(spectra.sum(axis=1), count) / scale
    steps = range(-_NEAR_BLOCKS, _NEAR_BLOCKS + 1)
    far = around[_FAR_BLOCKS : count - _FAR_BLOCKS + 1]
    now = float(max(around[step] for step in steps))
    return EnvelopeLikeness(now, float(np.abs(far).max()), rms(around))


def _levels(wave: Wave, rate_hz: int) -> npt.NDArray[np.float64]:
    """[shape=(blocks, bands)] Levels in dB, the mean of each band taken off."""
    block = _block(rate_hz)
    frames = np.lib.stride_tricks.sliding_window_view(wave, block)[:: block // 2]
    power = np.abs(np.fft.rfft(frames * np.hanning(block), axis=1)) ** 2 / block**2
    edges = np.geomspace(_LOWEST_HZ, _HIGHEST_SHARE * rate_hz, _BANDS + 1) * block / rate_hz
    marks = np.unique(edges.astype(int))
    bands = np.add.reduceat(power[:, : marks[-1]], marks[:-1], axis=1)
    levels = 10 * np.log10(bands + _FLOOR)
    moving: npt.NDArray[np.float64] = levels - levels.mean(axis=0)
    return moving


@lru_cache(maxsize=16)
def _hann(count: int) -> Wave:
    """A window, kept for the next stretch of the same length; not to be changed."""
    window: Wave = np.hanning(count)
    return window


@lru_cache(maxsize=16)
def _narrow(count: int) -> Wave:
    """A window (Blackman and Harris, four terms) of which a tone keeps to its frequency.

    A tone 92 dB above the rounding of 16 bits shows in nine of the window's frequencies; behind
    Hann's it shows in hundreds, all of one phase, and two sounds with one tone in common seem to
    have much in common.
    """
    turns = 2 * np.pi * np.arange(count) / max(1, count - 1)
    window: Wave = (
        0.35875
        - 0.48829 * np.cos(turns)
        + 0.14128 * np.cos(2 * turns)
        - 0.01168 * np.cos(3 * turns)
    )
    return window


def _block(rate_hz: int) -> int:
    return round(_ENVELOPE_S * rate_hz)


def _fast_size(count: int) -> int:
    """The next power of two: an FFT of any other size may be slow."""
    return 1 << (count - 1).bit_length()
