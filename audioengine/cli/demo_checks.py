# SPDX-License-Identifier: Apache-2.0
"""Whether an output does what was asked of it, by what other decoders play of it.

Nothing here comes from the code that made the output: positions are computed anew from the request,
and only what the report admits to (which frames were re-made) is taken from the report.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from audioengine.edits import Beep, Interval, Modification
from audioengine.report import MaskReport, StoreReport

Pcm = npt.NDArray[Any]
Flags = npt.NDArray[np.bool_]

_MOVED_FRAMES = 3  # by which the end of a re-made run may move, at most
_OVERLAP = 1056  # samples after a frame that still depend on it: 576 and the synthesis window's 480
_PARTIES = {"caller": 0, "callee": 1}
_CHANNELS = {"left": (0,), "right": (1,), "both": (0, 1), "mono": (0,)}

_MAX_HZ_OFF = 1.0
_MAX_DB_OFF = 0.5
_MAX_CORRELATION = 0.2
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
    """Check an output against its source, both as an independent decoder plays them."""
    rate_hz = report.source.rate_hz
    trim = _trim(modification.trim, rate_hz, len(source))
    kept = source[trim]
    lengths = f"{len(output):,} samples, {len(kept):,} are right"
    length = Check("exact length", lengths, output.shape == kept.shape)
    if not length.passed:
        return [length]
    parts = _Parts(trim.start, len(kept), report)
    differs = output != kept
    checks = [length, _outside(differs, parts, report)]
    checks += (
        _other_party(differs, parts, mask, report)
        for mask in report.masks
        if mask.channel in ("left", "right")
    )
    asked = [
        (party, interval) for party in ("caller", "callee") for interval in modification.mask[party]
    ]
    for party, interval in asked:
        start, end = (bound - trim.start for bound in _span(interval, rate_hz))
        edge = round(_EDGE_S * rate_hz)
        inside = slice(start + edge, end - edge), _PARTIES[party]
        what = f"{party}, {interval.start} to {interval.end} s: "
        checks += _masked(what, _scaled(output[inside]), _scaled(kept[inside]), beep, rate_hz)
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
        return self.frame + _OVERLAP

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
    return _equal("outside the edits, both parties are the source", either)


def _other_party(differs: Flags, parts: _Parts, mask: MaskReport, report: StoreReport) -> Check:
    other = {"left": "right", "right": "left"}[mask.channel]
    here, remade = parts.flags(), parts.flags()
    parts.around(here, mask)
    for part in report.remade:
        if part.channel == other:
            start, end = part.interval.samples
            parts.mark(remade, start, end + _OVERLAP)
    party = {"caller": "callee", "callee": "caller"}[mask.party]
    what = f"while the {mask.party} is masked, the {party} is the source"
    return _equal(what, differs[here & ~remade, _CHANNELS[other][0]])


def _equal(what: str, differs: Flags) -> Check:
    count = int(np.count_nonzero(differs))
    measured = f"{len(differs):,} samples compared, {count:,} differ"
    return Check(what, measured, bool(len(differs)) and not count)


def _masked(what: str, heard: Pcm, source: Pcm, beep: Beep, rate_hz: int) -> Iterator[Check]:
    """Whether the beep is heard there, and nothing of the source."""
    hz, amplitude, rest = _tone(heard, rate_hz)
    dbfs = _decibels(amplitude)
    right = abs(hz - float(beep.frequency_hz)) <= _MAX_HZ_OFF
    right &= abs(dbfs - float(beep.level_dbfs)) <= _MAX_DB_OFF
    asked = f"{beep.frequency_hz} Hz at {beep.level_dbfs} dBFS asked"
    yield Check(f"{what}beep", f"{hz:.2f} Hz at {dbfs:.2f} dBFS, {asked}", right)
    correlation = _correlation(rest, source, round(_LAGS_S * rate_hz))
    level = _decibels(float(np.sqrt(np.mean(rest**2))))
    measured = f"correlation {correlation:.3f} of all but the beep ({level:.0f} dBFS) with it"
    yield Check(f"{what}voice gone", measured, correlation <= _MAX_CORRELATION)


def _tone(heard: Pcm, rate_hz: int) -> tuple[float, float, Pcm]:
    """Frequency and amplitude of the loudest tone, and what is heard beside it."""
    count = len(heard)
    padded = 8 * count
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(count), padded))
    peak = int(np.argmax(spectrum[1:-1])) + 1
    low, mid, high = np.log(spectrum[peak - 1 : peak + 2] + 1e-30)
    curve = low - 2 * mid + high
    shift = 0.5 * (low - high) / curve if curve else 0.0
    hz = (peak + shift) * rate_hz / padded
    turns = 2 * np.pi * hz / rate_hz * np.arange(count)
    basis = np.stack((np.sin(turns), np.cos(turns)), axis=1)
    weights, *_ = np.linalg.lstsq(basis, heard, rcond=None)
    return hz, float(np.hypot(*weights)), heard - basis @ weights


def _correlation(first: Pcm, second: Pcm, lags: int) -> float:
    """The largest normalised correlation at any lag up to `lags` samples either way."""
    first, second = first - first.mean(), second - second.mean()
    energy = float(np.linalg.norm(first) * np.linalg.norm(second))
    if not energy:
        return 0.0
    size = len(first) + lags
    product = np.fft.rfft(first, size) * np.conj(np.fft.rfft(second, size))
    at_lag = np.abs(np.fft.irfft(product, size))
    return float(max(at_lag[: lags + 1].max(), at_lag[-lags:].max())) / energy


def _scaled(pcm: Pcm) -> Pcm:
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
