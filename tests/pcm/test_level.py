# SPDX-License-Identifier: Apache-2.0
"""What few bits hold is as loud as it was given."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from audioengine.mp3.header import StreamFormat, Version
from audioengine.pcm.encode import GRID_OFFSET, Stretch, encode_channel
from audioengine.pcm.level import is_coarse
from tests.pcm.test_encode import MONO, coded, decoded

Samples = npt.NDArray[np.float32]
SECONDS = 3


def noise(rate: int, seed: int) -> Samples:
    """As a source that was itself coded at the lowest bitrate has it, which is the worst case."""
    random = np.random.default_rng(seed)
    wave = (random.standard_normal(SECONDS * rate) * 0.05).astype(np.float32)
    return coded(wave, MONO[rate], 1)


def gain(got: Samples, wanted: Samples) -> float:
    """The level of what is like what is wanted, beside what coding noise leaves of it."""
    along = float(np.dot(got, wanted))
    power = float(np.dot(wanted, wanted))
    scale = np.sqrt(power * float(np.dot(got, got)))
    resemblance = along / scale if scale else 0.0
    return along / power / resemblance**2 if resemblance else 1.0


@pytest.mark.parametrize("rate", [8000, 11_025, 16_000, 24_000])
def test_noise_at_the_lowest_bitrate_keeps_its_level(rate: int) -> None:
    """On the frame grid that it has already, a step too fine makes all of a granule too quiet."""
    format, given = MONO[rate], noise(rate, 3)
    spf = format.samples_per_frame
    count = len(given) // spf - 4
    got = decoded(encode_channel([Stretch(given, 0, count)], format, 1)[0], format)[GRID_OFFSET:]
    starts = range(6 * spf, (count - 6) * spf, spf)
    levels = [gain(got[start : start + spf], given[start : start + spf]) for start in starts]
    # Without the mend, 0.60 to 0.48.
    assert min(levels) > 0.65


def test_calls_have_bits_enough() -> None:
    """At what recorders use, nothing is decoded again to look at its level."""
    for version, rate_index, kbps in ((Version.MPEG_2_5, 2, 32), (Version.MPEG_2, 2, 48)):
        format = StreamFormat(version, rate_index, 2)
        assert not is_coarse(format, format.bitrate_index_at_least(kbps))
        assert is_coarse(format, 1)
