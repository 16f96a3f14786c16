# SPDX-License-Identifier: Apache-2.0
"""mpg123, in a process apart, plays what it plays anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioengine.errors import VerificationError
from audioengine.mp3.info_tag import DECODER_DELAY
from audioengine.verification.decoder import UndecodableError, decode_frames
from audioengine.verification.second_decoder import SecondDecoder
from tests.strategies import examples
from tests.support import VARIED, Bytes, decode_soundfile, fixture, indexed

# An output is never of free format.
ALIKE = tuple(name for name in VARIED if not name.startswith("freeformat"))


@pytest.fixture(scope="module")
def second() -> Iterator[SecondDecoder]:
    with closing(SecondDecoder()) as decoder:
        yield decoder


@cache
def whole(name: str) -> npt.NDArray[np.float64]:
    index = indexed(name)
    return decode_frames(Bytes(fixture(name)), index, 0, index.frames) / 32768


@pytest.mark.parametrize("name", ["mpeg25-8k-32k", "crc-16k", "mono-44k", "vbr-16k"])
def test_a_file_plays_as_in_this_process(second: SecondDecoder, name: str) -> None:
    played = second.play(fixture(name))
    here = decode_soundfile(fixture(name))
    assert played.rate_hz == indexed(name).format.rate_hz
    assert played.samples == len(here)
    np.testing.assert_allclose(played.pcm, np.clip(here, -1, 1), atol=1e-6)


@pytest.mark.parametrize("name", ALIKE)
@given(st.data())
@examples(10)
def test_a_stretch_is_part_of_the_whole(
    second: SecondDecoder, name: str, data: st.DataObject
) -> None:
    """As minimp3 plays it; the first 529 samples are hidden."""
    index = indexed(name)
    spf = index.format.samples_per_frame
    first = data.draw(st.integers(0, index.frames - 1))
    last = data.draw(st.integers(first + 1, min(first + 40, index.frames)))
    pcm = second.frames(Bytes(fixture(name)), index, first, last)
    wanted = whole(name)[first * spf : last * spf].copy()
    wanted[: max(0, DECODER_DELAY - first * spf)] = 0
    np.testing.assert_allclose(pcm, wanted, atol=0.0001)


def test_what_is_no_recording(second: SecondDecoder) -> None:
    """It says so, and plays the next one."""
    for data in (b"", b"not audio" * 1000, fixture("one-frame")[:20]):
        with pytest.raises(UndecodableError):
            second.play(data)
    assert second.play(fixture("mono-8k")).pcm.any()


def test_a_process_that_is_gone(second: SecondDecoder) -> None:
    """What may have killed it can't be decoded; what comes next can."""
    second.play(fixture("mono-8k"))
    process = second._process
    assert process is not None
    process.kill()
    process.wait()
    with pytest.raises(UndecodableError, match="fails"):
        second.play(fixture("mono-8k"))
    assert second.play(fixture("mono-8k")).pcm.any()


def test_without_libsndfile(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to install."""
    monkeypatch.setattr("audioengine.verification.second_decoder._library", lambda: None)
    with closing(SecondDecoder()) as decoder, pytest.raises(VerificationError, match="libsndfile"):
        decoder.play(fixture("mono-8k"))
