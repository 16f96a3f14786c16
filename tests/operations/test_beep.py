# SPDX-License-Identifier: Apache-2.0
"""The beep has the frequency, level, phase and edges asked for; its surroundings keep theirs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

import audioengine as ae
from tests.operations.beeps import beep, db
from tests.operations.helpers import (
    PARTIES,
    Cut,
    Pcm,
    Result,
    call,
    masking,
    quiet,
    recording,
    store,
)
from tests.operations.promises import assert_clock, assert_promises, flags

Floats = npt.NDArray[np.float64]

RATES = {
    "mpeg25-8k-32k": 8000,
    "mono-8k-16k": 8000,
    "mpeg25-11k-32k": 11_025,
    "mpeg2-16k-48k": 16_000,
    "mpeg2-22k-64k": 22_050,
    "mpeg1-32k-96k": 32_000,
    "mpeg1-44k-128k": 44_100,
    "mpeg1-48k-128k": 48_000,
    "vbr-16k": 16_000,
}
FREQUENCIES_HZ = (200, 440, 697.5, 1000, 1111, 2000, 3000)


def tone_of(pcm: Pcm, frequency_hz: float, rate: int) -> complex:
    """Amplitude and, as its angle, phase at the first sample of the sine in it."""
    phases = 2 * np.pi * frequency_hz / rate * np.arange(len(pcm))
    basis = np.stack([np.sin(phases), np.cos(phases)], axis=1)
    sine, cosine = np.linalg.lstsq(basis, pcm.astype(float), rcond=None)[0]
    return complex(sine, cosine)


def loudest_hz(pcm: Pcm, rate: int) -> float:
    """The frequency of the highest peak of the spectrum."""
    size = 1 << 18
    spectrum = np.abs(np.fft.rfft(np.hanning(len(pcm)) * pcm, size))
    return float(np.argmax(spectrum)) * rate / size


def beeped(name: str, span: tuple[int, int], beep: ae.Beep) -> tuple[Result, Pcm]:
    """The caller masked, and all that is heard of the caller then."""
    result = store(recording(name), Cut(caller=(span,)), beep=beep)
    return result, result.decoded("pyav")[:, 0]


@pytest.mark.parametrize("frequency_hz", FREQUENCIES_HZ)
@pytest.mark.parametrize("name", RATES)
def test_frequency_level_and_phase(name: str, frequency_hz: float) -> None:
    """From −60 to −3 dBFS: within 2 Hz and 0.5 dB, from phase 0 at the mask's first sample."""
    rate = recording(name).rate
    assert rate == RATES[name]
    if frequency_hz >= 0.35 * rate:
        with pytest.raises(ae.InvalidRequestError, match=r"beep\.frequency_hz"):
            beeped(name, (0, rate), ae.Beep(frequency_hz))
        return
    start, end, margin = round(1.4 * rate), round(2.3 * rate), rate // 100
    for level_dbfs in (-60, -20, -3):
        _, heard = beeped(name, (start, end), ae.Beep(frequency_hz, level_dbfs))
        inside = heard[start + margin : end - margin]
        assert abs(loudest_hz(inside, rate) - frequency_hz) <= 2
        tone = tone_of(inside, frequency_hz, rate)
        assert abs(db(abs(tone) ** 2) - level_dbfs) <= 0.5
        turn = np.exp(2j * np.pi * frequency_hz / rate * margin)
        assert abs(np.angle(tone / turn)) <= 0.1


@pytest.mark.parametrize("beep", [ae.Beep(), ae.Beep(1111, -12), ae.Beep(2500, -30)])
@pytest.mark.parametrize(
    "name", ["mpeg25-8k-32k", "mono-8k-16k", "mpeg2-16k-48k", "mpeg1-44k-128k"]
)
def test_the_level_is_the_same_throughout(name: str, beep: ae.Beep) -> None:
    """In every 50 ms, where it was coded once and repeated as well as at the ends."""
    source = recording(name)
    rate = source.rate
    start, end = source.samples // 4 + 7, source.samples * 3 // 4 + 3
    _, heard = beeped(name, (start, end), beep)
    step, ramp = rate // 20, rate * 6 // 1000
    for at in range(start + ramp, end - ramp - step, step):
        tone = tone_of(heard[at : at + step], float(beep.frequency_hz), rate)
        assert abs(db(abs(tone) ** 2) - float(beep.level_dbfs)) <= 0.6, at - start
        turn = np.exp(2j * np.pi * float(beep.frequency_hz) / rate * (at - start))
        assert abs(np.angle(tone / turn)) <= 0.15, at - start


@pytest.mark.parametrize("name", ["untagged-8k", "untagged-16k", "untagged-44k", "mono-8k-16k"])
@pytest.mark.parametrize("party", [*PARTIES, "both"])
def test_a_beep_at_the_very_start_and_end(name: str, party: str) -> None:
    """Of an untagged source, the frames that sample 0 depends on are not in the source."""
    source = recording(name)
    rate = source.rate
    spans = ((0, rate // 2), (source.samples - rate // 2, source.samples))
    result = store(source, masking(party, *spans))
    assert_promises(result)
    channels = {"caller": (0,), "callee": (source.channels - 1,)}.get(party, range(source.channels))
    for channel in channels:
        for start, end in spans:
            heard = result.decoded("pyav")[start:end, channel]
            wanted = beep(end - start, rate)
            assert db(np.mean((heard - wanted) ** 2) / np.mean(wanted**2)) <= -25


@pytest.mark.parametrize("name", ["mpeg25-8k-32k", "mpeg1-44k-128k"])
def test_a_cut_leaves_the_phase_and_has_no_ramp(name: str) -> None:
    """The phase counts from the mask's start in the untrimmed recording."""
    source = recording(name)
    rate = source.rate
    start, cut, end = round(1.1 * rate), round(1.3071 * rate), round(1.9 * rate)
    result = store(source, Cut((cut, source.samples), caller=((start, end),)))
    assert_clock(result)
    heard = result.decoded("pyav")[: end - cut, 0]
    wanted = beep(end - start, rate)[cut - start :]
    assert db(np.mean((heard - wanted) ** 2) / np.mean(wanted**2)) <= -25
    # Full level from the first millisecond on.
    assert np.abs(heard[: rate // 1000 + 8]).max() >= 0.08


@pytest.mark.parametrize("milliseconds", [3, 8, 20, 60])
def test_a_beep_shorter_than_a_frame(milliseconds: int) -> None:
    """Its ramps take half of it at the most; it is heard where the mask is."""
    source = quiet(16_000, 2, 48)
    start = 16_500
    end = start + 16 * milliseconds
    result = store(source, Cut(caller=((start, end),)), beep=ae.Beep(2000, -10))
    heard = result.decoded("pyav")[start - 200 : end + 200, 0].astype(float)
    wanted = np.zeros(len(heard))
    wanted[200:-200] = beep(end - start, 16_000, 2000, -10)
    assert db(np.mean((heard - wanted) ** 2) / np.mean(wanted**2)) <= -14


def envelope(pcm: Pcm, first: int, frequency_hz: float, rate: int) -> Floats:
    """The level of the tone, smoothed over one turn of it."""
    turns = np.exp(-2j * np.pi * frequency_hz / rate * np.arange(first, first + len(pcm)))
    width = max(4, round(rate / frequency_hz))
    window = np.hanning(width + 2)[1:-1]
    level: Floats = 2 * np.abs(np.convolve(pcm * turns, window / window.sum(), "valid"))
    return level


def edge_late_ms(heard: Pcm, span: tuple[int, int], beep_: ae.Beep, rate: int, edge: int) -> float:
    """By how much later than it should the beep rises (edge 0) or falls (edge 1)."""
    frequency = float(beep_.frequency_hz)
    at, reach = span[edge], rate // 50
    level = envelope(heard[at - reach : at + reach], at - reach, frequency, rate)
    errors = {}
    whole = beep(span[1] - span[0] + rate // 100, rate, frequency, float(beep_.level_dbfs))
    for shift in range(-rate // 200, rate // 200 + 1, max(1, rate // 16_000)):
        part = np.zeros(2 * reach)
        if edge == 0:
            part[reach + shift :] = whole[: reach - shift]
        else:
            part[: reach + shift] = whole[-reach - shift :]
        errors[shift] = float(((level - envelope(part, at - reach, frequency, rate)) ** 2).sum())
    return min(errors, key=lambda shift: errors[shift]) * 1000 / rate


@pytest.mark.parametrize("beep", [ae.Beep(), ae.Beep(500, -40), ae.Beep(2000, -6)])
@pytest.mark.parametrize(("rate", "kbps"), [(8000, 32), (16_000, 48), (22_050, 64), (44_100, 128)])
def test_the_edges_are_where_the_mask_s_are(rate: int, kbps: int, beep: ae.Beep) -> None:
    """Within a millisecond, wherever they lie in a frame."""
    source = quiet(rate, 2, kbps)
    for offset in (0, 100, 333, 500):
        span = (rate // 2 + offset, rate * 3 // 2 + 2 * offset)
        result = store(source, Cut(caller=(span,)), beep=beep)
        heard = result.decoded("miniaudio")[:, 0] / 32768
        for edge in (0, 1):
            assert abs(edge_late_ms(heard, span, beep, rate, edge)) <= 1


def test_the_measure_of_edges_notices_a_late_one() -> None:
    rate, span = 8000, (4000, 8000)
    late = np.zeros(12_000)
    late[4012:8012] = beep(4000, rate)
    late += np.random.default_rng(1).standard_normal(len(late)) * 1e-4
    for edge in (0, 1):
        assert 1.2 <= edge_late_ms(late, span, ae.Beep(), rate, edge) <= 1.8


@pytest.mark.parametrize("name", ["mpeg25-8k-32k", "mpeg2-16k-48k", "mpeg1-44k-128k", "mono-8k"])
def test_silence_is_silent(name: str) -> None:
    """fill="silence": no tone, and past the codec's own echo nothing at all."""
    source = recording(name)
    start, end = source.samples // 4, source.samples * 3 // 4
    result = store(source, Cut(caller=((start, end),)), beep=ae.Beep(fill="silence"))
    assert_promises(result)
    heard = result.decoded("pyav")[:, 0]
    assert not heard[start + source.ext : end - source.ext].any()
    # Near the edges only what smears of the frames that reach over them.
    outside = np.mean(result.expected("pyav")[:, 0].astype(float) ** 2)
    assert db(np.mean(heard[start:end].astype(float) ** 2) / outside) <= -30


@pytest.mark.parametrize("level_dbfs", [-61, -2.9, 0, float("nan")])
def test_levels_out_of_range_are_refused(level_dbfs: float) -> None:
    with pytest.raises(ae.InvalidRequestError, match="level_dbfs"):
        ae.Beep(level_dbfs=level_dbfs)


@pytest.mark.parametrize("frequency_hz", [199, 3001, -1000, float("inf")])
def test_frequencies_out_of_range_are_refused(frequency_hz: float) -> None:
    with pytest.raises(ae.InvalidRequestError, match="frequency_hz"):
        ae.Beep(frequency_hz=frequency_hz)


def test_silence_needs_no_frequency_that_the_rate_can_hold() -> None:
    source = recording("mpeg25-8k-32k")
    cut = Cut(caller=((8000, 16_000),))
    assert_promises(store(source, cut, beep=ae.Beep(3000, fill="silence")))


# The guard: what is re-made around a mask


def guards(result: Result, channel: int) -> list[tuple[int, int]]:
    """The stretches that were re-made for masks but are not masked."""
    source = result.source
    masks = [mask.applied.samples for mask in result.report.masks]
    masked = flags(source.samples, masks)
    out = []
    for part in result.report.remade:
        if part.channel != ("left", "right")[channel] or part.reason != "mask":
            continue
        start, end = (frame * source.spf - source.start for frame in part.frames)
        inside = np.flatnonzero(masked[start:end])
        out += [(start, start + int(inside[0])), (start + int(inside[-1]) + 1, end)]
    return [(start, end) for start, end in out if end - start >= 64]


@pytest.mark.parametrize("beep", [ae.Beep(), ae.Beep(fill="silence")])
@pytest.mark.parametrize(("rate", "kbps"), [(8000, 32), (16_000, 48), (44_100, 128)])
def test_guards_have_the_source_s_level(rate: int, kbps: int, beep: ae.Beep) -> None:
    """Pooled over both sides of 45 masks, below a quarter of the band: within 0.15 dB."""
    source = call(rate, 45, kbps)
    random = np.random.default_rng(2)
    starts = (np.arange(1, 46) * 0.95 * rate + random.integers(0, rate // 5, 45)).astype(int)
    masks = tuple((int(start), int(start) + rate * 3 // 10) for start in starts)
    result = store(source, Cut(caller=masks), beep=beep)
    new, old = result.decoded("pyav")[:, 0], result.expected("pyav")[:, 0]
    power = np.zeros(2)
    found = guards(result, 0)
    assert len(found) >= 50
    for start, end in found:
        window = np.hanning(end - start + 2)[1:-1]
        low = np.fft.rfftfreq(end - start, 1 / rate) < rate / 8
        power += [np.sum(np.abs(np.fft.rfft(window * x[start:end])[low]) ** 2) for x in (new, old)]
    assert abs(db(power[0] / power[1])) <= 0.15


@pytest.mark.parametrize("party", PARTIES)
@pytest.mark.parametrize(("rate", "kbps"), [(8000, 32), (16_000, 48), (44_100, 128)])
def test_guards_are_close_to_the_source(rate: int, kbps: int, party: str) -> None:
    """As close as coding speech once more at the source's bitrate leaves it: 16 dB below."""
    source = call(rate, 45, kbps)
    masks = tuple((at * rate, at * rate + rate // 3) for at in range(2, 43))
    channel = PARTIES.index(party)
    result = store(source, masking(party, *masks), beep=ae.Beep(fill="silence"))
    error = power = 0.0
    for start, end in guards(result, channel):
        new, old = (
            x[start:end, channel] for x in (result.decoded("pyav"), result.expected("pyav"))
        )
        error += float(np.sum((new - old) ** 2))
        power += float(np.sum(old**2))
    assert db(error / power) <= -16
