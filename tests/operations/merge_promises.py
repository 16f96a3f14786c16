# SPDX-License-Identifier: Apache-2.0
"""What holds for every merge: `assert_*` demand it, by the model of its timeline."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tests.operations.helpers import DECODERS, Flags
from tests.operations.merging import Merged
from tests.operations.timelines import runs

LEAST_SNR_DB = 12
"""Of what is encoded anew; 15 dB is the least seen, where four voices share 32 kbit/s."""
MOST_DB_OFF = 0.15
"""Of its level; 0.08 dB is the most seen."""


def assert_merged(merged: Merged) -> None:
    """All of the following."""
    assert_clock(merged)
    assert_heard(merged)
    assert_copies(merged)
    assert_gaps(merged)
    if merged.report.render != "copy":
        assert_faithful(merged)


def assert_clock(merged: Merged) -> None:
    """The output has exactly the samples of the timeline, in every decoder."""
    model, output = merged.model, merged.report.output
    assert (output.samples, output.rate_hz, output.channels) == (
        model.length,
        model.rate,
        model.channels,
    )
    if merged.report.render == "copy":
        # Not every decoder reads the tag of every source.
        assert merged.data == merged.parts[0].source.data
        return
    for decoder in DECODERS:
        assert merged.decoded(decoder).shape == (model.length, model.channels), decoder


def assert_heard(merged: Merged) -> None:
    """The report tells the timeline as the model has it, sample by sample."""
    model, report = merged.model, merged.report
    names = [one.name for one in model.parts]
    assert [one.id for one in report.parts] == names
    end = 0
    heard, silenced = np.zeros_like(model.heard), np.zeros_like(model.heard)
    for stretch in report.timeline:
        first, last = stretch.interval.samples
        assert first == end < last
        end = last
        for flags, ids in ((heard, stretch.heard), (silenced, stretch.silenced)):
            for name in ids:
                flags[names.index(name), first:last] = True
    assert end == model.length
    assert (heard == model.heard).all()
    assert (silenced == model.silenced).all()
    for number, one in enumerate(report.parts):
        assert one.offset.samples == model.sample(model.parts[number].start_ms)
        assert one.interval.samples == model.audio(number)
        assert [x.samples for x in one.heard] == runs(model.heard[number])
        assert [x.samples for x in one.silenced] == runs(model.silenced[number])
    assert [x.samples for x in report.gaps] == runs(~model.somebody)
    mixed = np.zeros(model.length, dtype=bool)
    for sum_ in report.mixed:
        mixed[slice(*sum_.interval.samples)] = True
    assert (mixed == (model.heard.sum(axis=0) > 1)).all()


def assert_copies(merged: Merged) -> None:
    """What one says alone on the output's frames is that recording bit for bit."""
    owner = merged.report.grid_owner
    if owner is None or merged.report.render == "copy":
        return
    model = merged.model
    for number, (start, end) in model.copied(owner):
        for decoder in ("miniaudio", "pyav"):
            want = model.own(number, decoder)[start:end]
            got = merged.decoded(decoder)[start:end]
            different = np.flatnonzero((got != want).any(axis=1))
            assert not len(different), (decoder, model.parts[number].name, start + different[:1])
        spf = model.parts[number].source.spf
        # What is copied is at least what lies here, but for the frames it overlaps.
        copied = merged.part(model.parts[number].name).copied_frames
        assert copied >= (end - start) // spf - 1


def assert_gaps(merged: Merged) -> None:
    """Where nobody is heard, and nothing rings on, there is silence."""
    model = merged.model
    spf = 1152 if model.rate >= 32_000 else 576
    for start, end in runs(~model.somebody):
        for decoder in ("miniaudio", "pyav"):
            got = merged.decoded(decoder)
            inside = got[start + 3 * spf + 1056 : max(0, end - 3 * spf - 1056)]
            assert not np.any(inside), decoder


def rendered(merged: Merged) -> Flags:
    """[shape=(length,)] Where somebody is heard who isn't copied, away from the limiter."""
    model, owner = merged.model, merged.report.grid_owner
    out: Flags = model.somebody.copy()
    if owner is not None and merged.report.render == "smart":
        for _, run in model.copied(owner):
            out[slice(*run)] = False
    out &= model.not_loud
    return out


def fidelity(merged: Merged) -> tuple[float, float, int]:
    """SNR and level of what was rendered, in dB against the model, and how late it is."""
    there = rendered(merged)
    want = merged.model.sum * there[:, None]
    got = merged.decoded("pyav").astype(float) * there[:, None]
    return snr_db(got, want), level(got, want), lag(got, want)


def snr_db(got: npt.NDArray[np.float64], want: npt.NDArray[np.float64]) -> float:
    return float(10 * np.log10((want**2).sum() / max(1e-12, ((got - want) ** 2).sum())))


def assert_faithful(merged: Merged) -> None:
    """What was rendered is the model's sum but for coding noise, where there is enough of it."""
    there = rendered(merged)
    heard = merged.model.sum[there]
    if len(heard) < 0.3 * merged.model.rate or (heard**2).mean() < 1e-5:
        return
    snr, louder, late = fidelity(merged)
    assert late == 0
    assert snr >= LEAST_SNR_DB
    assert abs(louder) <= MOST_DB_OFF


def level(got: npt.NDArray[np.float64], want: npt.NDArray[np.float64]) -> float:
    """How much louder it is, in dB, below half of what LAME lets through: a fifth of the rate."""
    powers = []
    size = 1 << len(want).bit_length()
    for pcm in (got, want):
        power = np.abs(np.fft.rfft(pcm, size, axis=0)) ** 2
        powers.append(power[: len(power) * 2 // 5].sum())
    return float(10 * np.log10(powers[0] / powers[1]))


def lag(got: npt.NDArray[np.float64], want: npt.NDArray[np.float64]) -> int:
    """How many samples late `got` is where it is most like `want`."""
    size = 2 << len(want).bit_length()
    spectra = np.fft.rfft(got, size, axis=0) * np.fft.rfft(want, size, axis=0).conj()
    likeness = np.fft.irfft(spectra.sum(axis=1), size)
    best = int(np.argmax(likeness))
    return best if best < len(want) else best - size
