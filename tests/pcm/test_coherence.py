# SPDX-License-Identifier: Apache-2.0
"""How much of one channel is heard on the other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from audioengine.pcm.coherence import Coherence, coherences_of
from tests.support import decode_pyav, fixture

Samples = npt.NDArray[np.float32]
RATES = (8000, 16000, 44100)


def coherence(pcm: npt.NDArray[np.floating], rate: int) -> Coherence:
    found = Coherence(rate)
    for start in range(0, len(pcm), found.block):
        found.add(pcm[start : start + found.block].astype(np.float32))
    return found


def noise(seconds: float, rate: int, seed: int) -> npt.NDArray[np.float64]:
    """[shape=(n, 2)] Independent noise below 3.8 kHz on either channel."""
    length = int(seconds * rate)
    spectra = np.fft.rfft(np.random.default_rng(seed).normal(0, 0.1, (length, 2)), axis=0)
    spectra[np.fft.rfftfreq(length, 1 / rate) > 3800] = 0
    return np.fft.irfft(spectra, length, axis=0)


def delayed(one: npt.NDArray[np.float64], lag: int, gain: float) -> npt.NDArray[np.float64]:
    """[shape=(n, 2)] A signal, and the same later (or, with a negative lag, earlier)."""
    return np.stack((one, gain * np.roll(one, lag)), axis=1)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("seconds", [2, 5, 20])
def test_independent_noise_is_below_the_threshold(rate: int, seconds: int) -> None:
    for seed in range(4):
        found = coherence(noise(seconds, rate, seed), rate)
        assert 0 <= found.value() < found.threshold()


@pytest.mark.parametrize("rate", [8000, 44100])
@pytest.mark.parametrize("extra", [1, 4, 16])
def test_a_few_samples_behind_a_block_weigh_no_more_than_they_are(rate: int, extra: int) -> None:
    """So short a piece of anything is alike to any other."""
    block = Coherence(rate).block
    few = extra * max(1, rate // 8000)
    for seed in range(6):
        found = coherence(noise((block + few) / rate, rate, seed), rate)
        assert found.value() < found.threshold() / 2


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("gain", [1, 0.01, -0.5])
def test_the_same_signal_at_any_level_is_wholly_coherent(rate: int, gain: float) -> None:
    found = coherence(delayed(noise(5, rate, 1)[:, 0], 0, gain), rate)
    assert 0.98 < found.value() <= 1


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("lag_ms", [-240, -120, -3, 1, 120, 240])
def test_a_delayed_copy_is_found_in_either_direction(rate: int, lag_ms: int) -> None:
    seconds = 2 * Coherence(rate).block / rate
    found = coherence(delayed(noise(seconds, rate, 2)[:, 0], rate * lag_ms // 1000, 0.2), rate)
    assert found.value() > 0.75


@pytest.mark.parametrize("rate", RATES)
def test_a_copy_later_than_any_echo_is_none(rate: int) -> None:
    found = coherence(delayed(noise(8, rate, 2)[:, 0], rate * 600 // 1000, 1), rate)
    assert found.value() < found.threshold()


@pytest.mark.parametrize("rate", RATES)
def test_an_echo_under_the_other_voice_shows(rate: int) -> None:
    """At -10 dB, on a channel with a voice of its own."""
    pcm = noise(20, rate, 3)
    pcm[:, 1] += 0.3 * np.roll(pcm[:, 0], rate // 10)
    found = coherence(pcm, rate)
    assert found.threshold() < found.value() < 0.5


@pytest.mark.parametrize("pcm", [np.zeros((16000, 2)), np.zeros((0, 2)), np.zeros((3, 2))])
def test_silence_has_nothing_in_common(pcm: npt.NDArray[np.float64]) -> None:
    assert coherence(pcm, 8000).value() == 0
    assert Coherence(8000).value() == 0


def test_a_voice_and_silence_have_nothing_in_common() -> None:
    pcm = noise(5, 8000, 4)
    pcm[:, 1] = 0
    assert coherence(pcm, 8000).value() < 0.01


def test_two_tones_of_a_kind_in_noise_are_no_echo() -> None:
    """Two voices with alike spectra do not pass for one."""
    pcm = noise(20, 8000, 5)
    for step in (1, 2, 3):
        pcm += np.roll(pcm, step, axis=0)
    found = coherence(pcm, 8000)
    assert found.value() < found.threshold()


def test_more_material_lowers_the_threshold_within_bounds() -> None:
    thresholds = [coherence(noise(s, 8000, 6), 8000).threshold() for s in (0.01, 0.1, 1, 60)]
    assert thresholds == sorted(thresholds, reverse=True)
    assert 0.1 < thresholds[-1] <= thresholds[0] < 1


@pytest.mark.parametrize(
    ("name", "rate", "heard"),
    [
        ("mpeg25-8k-32k", 8000, False),
        ("stereo-8k", 8000, False),
        ("mpeg2-16k-48k", 16000, False),
        ("mpeg1-44k-128k", 44100, False),
        ("telephone-8k", 8000, False),
        ("demo-call", 16000, False),
        ("crosstalk-16k", 16000, True),
        ("echo-8k", 8000, True),
        ("equal-channels-8k", 8000, True),
    ],
)
def test_of_recordings_those_with_crosstalk_or_echo_are_coherent(
    name: str, rate: int, heard: bool
) -> None:
    found = coherence(decode_pyav(fixture(name)), rate)
    assert (found.value() >= found.threshold()) == heard


@pytest.mark.parametrize("rate", RATES)
def test_several_stretches_give_together_what_each_gives_alone(rate: int) -> None:
    """Of one length and of several, more than a block long, and empty."""
    block = Coherence(rate).block / rate
    lengths = [0.1, 0.1, 0, 0.3, 0.1, block + 0.2, 0.35, *([0.08] * 40)]
    stretches = [
        noise(seconds, rate, seed).astype(np.float32) if seconds else np.zeros((0, 2), np.float32)
        for seed, seconds in enumerate(lengths)
    ]
    stretches[1][:, 1] = stretches[1][:, 0]
    together = coherences_of(stretches, rate)
    for pcm, found in zip(stretches, together, strict=True):
        alone = coherence(pcm, rate)
        assert found.value() == pytest.approx(alone.value(), abs=1e-9)
        assert found.threshold() == alone.threshold()
        found.settle()
        assert found.value() == pytest.approx(alone.value(), abs=1e-9)
    assert together[1].value() > 0.98
