# SPDX-License-Identifier: Apache-2.0
"""Whether an output does what was asked of it, by what other decoders play of it.

Nothing here comes from the code that made the output: positions are computed anew from the request,
and only what the report admits to (which frames were re-made) is taken from the report.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from audioengine.edits import Beep, Interval, Modification
from audioengine.report import MaskReport, StoreReport

Pcm = npt.NDArray[Any]
Flags = npt.NDArray[np.bool_]

_MOVED_FRAMES = 3  # by which the end of a re-made run may move, at most
OVERLAP = 1056
"""Samples after a frame that still depend on it: 576, and the synthesis window's 480."""

_PARTIES = ("caller", "callee")
_CHANNELS = ("left", "right")

_MAX_HZ_OFF = 1.0
_MAX_DB_OFF = 0.5
_BESIDE_DB = 15  # what coding adds to the beep, most where it sets in, is at least so far below it
_BLOCK_S = 0.02
_MAX_CORRELATION = 0.12  # chance reaches 0.07 in a quarter of a second, a voice at -40 dB 0.2
_LAGS_S = 0.02
_EDGE_S = 0.01  # ramps of the beep


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold of an output."""

    what: str
    measured: str
    passed: bool


def check_output(
    source: Pcm, output: Pcm, modification: Modification, beep: Beep, report: StoreReport
) -> list[Check]:
    """Check an output against its source, both as an independent decoder plays them.

    Both are stereo, and have the caller on the left; masks are of one party and inside the trim.
    """
    rate_hz = report.source.rate_hz
    trim = _trim(modification.trim, rate_hz, len(source))
    kept = source[trim]
    length = exact_length(output, len(kept))
    if not length.passed:
        return [length]
    parts = _Parts(trim.start, len(kept), report)
    differs = output != kept
    checks = [length, _outside(differs, parts, report)]
    checks += (
        _other_party(differs, parts, mask, report)
        for mask in report.masks
        if mask.channel in _CHANNELS
    )
    edge = round(_EDGE_S * rate_hz)
    for party, intervals in modification.mask.items():
        for interval in intervals:
            start, end = (bound - trim.start for bound in _span(interval, rate_hz))
            inside = slice(start + edge, end - edge), _PARTIES.index(party)
            what = f"{party}, {interval.start} to {interval.end} s: "
            checks += _masked(what, scaled(output[inside]), scaled(kept[inside]), beep, rate_hz)
    return checks


@dataclass(frozen=True, slots=True)
class _Parts:
    """Stretches of the recording's clock as flags of the output's samples."""

    first: int
    """The sample of the recording with which the output begins."""
    count: int
    report: StoreReport

    def mark(self, flags: Flags, start: int, end: int) -> None:
        """Set the flags of the recording's samples from `start` to before `end`."""
        flags[max(0, start - self.first) : max(0, end - self.first)] = True

    def flags(self) -> Flags:
        """A flag for each sample, none set."""
        return np.zeros(self.count, dtype=bool)

    @property
    def frame(self) -> int:
        """Samples in a frame."""
        return 1152 if self.report.source.rate_hz >= 32_000 else 576

    @property
    def reach(self) -> int:
        """Samples that the coded data of a frame depends on."""
        return self.frame + OVERLAP

    def around(self, flags: Flags, mask: MaskReport) -> None:
        """Set the flags of all samples that a mask can have changed."""
        before, after = (self.reach + moved * self.frame for moved in mask.moved_frames)
        start, end = mask.applied.samples
        self.mark(flags, start - before, end + after)


def _outside(differs: Flags, parts: _Parts, report: StoreReport) -> Check:
    near = parts.flags()
    for mask in report.masks:
        parts.around(near, mask)
    inward = parts.reach + _MOVED_FRAMES * parts.frame
    # Also where nothing is trimmed: what delay and padding hid there is not kept either.
    near[:inward] = near[-inward:] = True
    either: Flags = np.logical_or.reduce(differs[~near], axis=1)
    check = equal("outside the edits, both parties are the source", either)
    return check if len(either) else replace(check, passed=False)


def _other_party(differs: Flags, parts: _Parts, mask: MaskReport, report: StoreReport) -> Check:
    channel = 1 - _CHANNELS.index(mask.channel)
    here, remade = parts.flags(), parts.flags()
    parts.around(here, mask)
    for part in report.remade:
        if part.channel == _CHANNELS[channel]:
            start, end = part.interval.samples
            parts.mark(remade, start, end + OVERLAP)
    what = f"while the {mask.party} is masked, the {_PARTIES[channel]} is the source"
    return equal(what, differs[here & ~remade, channel])


def exact_length(output: Pcm, samples: int) -> Check:
    """Whether a stereo output has so many samples."""
    lengths = f"{len(output):,} samples, {samples:,} are right"
    return Check("exact length", lengths, output.shape == (samples, 2))


def equal(what: str, differs: Flags) -> Check:
    """Whether no sample differs."""
    count = int(np.count_nonzero(differs))
    measured = f"{len(differs):,} samples compared, {count:,} differ"
    return Check(what, measured, not count)


def _masked(what: str, heard: Pcm, source: Pcm, beep: Beep, rate_hz: int) -> Iterator[Check]:
    """Whether the beep is heard there, and nothing of the source."""
    hz, amplitude, rest = _tone(heard, rate_hz)
    dbfs = _decibels(amplitude)
    right = abs(hz - float(beep.frequency_hz)) <= _MAX_HZ_OFF
    right &= abs(dbfs - float(beep.level_dbfs)) <= _MAX_DB_OFF
    asked = f"{beep.frequency_hz} Hz at {beep.level_dbfs} dBFS asked"
    yield Check(f"{what}beep", f"{hz:.2f} Hz at {dbfs:.2f} dBFS, {asked}", right)
    loudest = _decibels(_loudest(rest, round(_BLOCK_S * rate_hz)))
    measured = f"at most {loudest:.0f} dBFS beside the beep"
    yield Check(f"{what}nothing else", measured, loudest <= float(beep.level_dbfs) - _BESIDE_DB)
    correlation = _correlation(rest, source, round(_LAGS_S * rate_hz))
    measured = f"correlation of the rest with the source {correlation:.3f}"
    yield Check(f"{what}voice gone", measured, correlation <= _MAX_CORRELATION)


def _tone(heard: Pcm, rate_hz: int) -> tuple[float, float, Pcm]:
    """Frequency and amplitude of the loudest tone, and what is heard beside it."""
    count = len(heard)
    padded = _fast_size(4 * count)
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(count), padded))
    peak = int(np.argmax(spectrum[1:-1])) + 1
    low, mid, high = np.log(spectrum[peak - 1 : peak + 2] + 1e-30)
    curve = low - 2 * mid + high
    shift = 0.5 * (low - high) / curve if curve else 0.0
    hz = float(peak + shift) * rate_hz / padded
    turns = 2 * np.pi * hz / rate_hz * np.arange(count)
    basis = np.stack((np.sin(turns), np.cos(turns)), axis=1)
    weights, *_ = np.linalg.lstsq(basis, heard, rcond=None)
    return hz, float(np.hypot(*weights)), heard - basis @ weights


def _loudest(samples: Pcm, block: int) -> float:
    """The largest RMS of a block."""
    blocks = samples[: len(samples) // block * block].reshape(-1, block)
    return float(np.sqrt(np.mean(blocks**2, axis=1).max()))


def _correlation(first: Pcm, second: Pcm, lags: int) -> float:
    """The largest correlation at any lag up to `lags` samples either way; 1 for the same sound.

    All frequencies count alike (the phase transform), so a voice shows far below the coding noise,
    and two sounds do not seem alike because both are loud at the same moment.
    """
    size = _fast_size(2 * len(first))
    window = np.hanning(len(first))
    spectra = (np.fft.rfft((sound - sound.mean()) * window, size) for sound in (first, second))
    product = next(spectra) * np.conj(next(spectra))
    at_lag = np.abs(np.fft.irfft(product / np.maximum(np.abs(product), 1e-30), size))
    return float(max(at_lag[: lags + 1].max(), at_lag[-lags:].max()))


def _fast_size(count: int) -> int:
    """The next power of two: an FFT of any other size may be slow."""
    return 1 << (count - 1).bit_length()


def scaled(pcm: Pcm) -> Pcm:
    """Full scale ±1."""
    return pcm / 32_768 if pcm.dtype.kind == "i" else pcm.astype(np.float64)


def _decibels(amplitude: float) -> float:
    return 20 * math.log10(max(amplitude, 1e-9))


def _trim(trim: Interval | None, rate_hz: int, samples: int) -> slice:
    """What is to be kept, to the nearest sample."""
    start, end = (None, None) if trim is None else (trim.start, trim.end)
    half = Fraction(1, 2)
    first = 0 if start is None else math.floor(Fraction(start) * rate_hz + half)
    last = samples if end is None else math.floor(Fraction(end) * rate_hz + half)
    return slice(first, min(last, samples))


def _span(interval: Interval, rate_hz: int) -> tuple[int, int]:
    """What is to be masked, whole samples outward."""
    to_samples: tuple[Callable[[Fraction], int], ...] = (math.floor, math.ceil)
    bounds = (interval.start, interval.end)
    first, last = (
        rounded(Fraction(bound) * rate_hz)
        for rounded, bound in zip(to_samples, bounds, strict=True)
        if bound is not None
    )
    return first, last
