# SPDX-License-Identifier: Apache-2.0
"""Any stretch of frames decodes as it does within the whole file."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import audioengine as ae
from audioengine.mp3.scan import scan
from audioengine.verification.decoder import (
    Pcm,
    UndecodableError,
    announced,
    decode_frames,
    decoder_name,
)
from fixtures import mpeg
from tests.operations.bits import silent_frame
from tests.strategies import examples
from tests.support import VARIED, Bytes, decode_miniaudio, fixture, indexed

# Other fixtures have tags that minimp3 plays, does not find or believes too much.
ALIKE = tuple(name for name in VARIED if name not in ("crc-16k", "naive-concat"))


@cache
def whole(name: str) -> Pcm:
    index = indexed(name)
    return decode_frames(Bytes(fixture(name)), index, 0, index.frames)


@pytest.mark.parametrize("name", ALIKE)
def test_what_is_played_is_what_a_decoder_of_files_plays(name: str) -> None:
    """Between encoder delay and padding, sample for sample."""
    index = indexed(name)
    played = whole(name)[index.start : index.start + index.samples]
    np.testing.assert_array_equal(played, decode_miniaudio(fixture(name)))


@pytest.mark.parametrize("name", VARIED)
@given(st.data())
@examples(10)
def test_a_stretch_is_part_of_the_whole(name: str, data: st.DataObject) -> None:
    """Frames that are not there are silent."""
    index = indexed(name)
    spf = index.format.samples_per_frame
    first = data.draw(st.integers(-3, index.frames))
    last = data.draw(st.integers(first, min(first + 40, index.frames + 3)))
    pcm = decode_frames(Bytes(fixture(name)), index, first, last)
    frames = np.zeros((index.frames + 6, spf, index.format.channels), dtype=np.int16)
    frames[3:-3] = whole(name).reshape(index.frames, spf, -1)
    expected = frames[first + 3 : last + 3].reshape(-1, index.format.channels)
    np.testing.assert_array_equal(pcm, expected)


@pytest.mark.parametrize(
    ("first", "second"),
    [("mpeg1-44k-128k", "vbr-44k"), ("mpeg2-16k-48k", "midside-16k"), ("mono-8k", "mono-8k")],
)
def test_a_tag_frame_inside_is_played_wherever_a_stretch_begins(first: str, second: str) -> None:
    """Minimp3 would leave it out if it came first, be it behind frames that it can't decode."""
    data = fixture(first) + fixture(second)
    index = scan(Bytes(data))
    (tag,) = index.inner_tags
    spf = index.format.samples_per_frame
    # Behind an untagged frame in front, all of it is played.
    front = silent_frame(mpeg.sound(data)[0]).data
    behind_tag = data[index.offset(0) :]
    played = decode_miniaudio(front + behind_tag)[spf:]
    assert len(played) == index.raw_samples
    for start in range(tag - 2, tag + 6):
        for count in (1, 3):
            pcm = decode_frames(Bytes(data), index, start, start + count)
            assert (pcm == played[start * spf : (start + count) * spf]).all(), (start, count)


def test_a_file_announces_its_length() -> None:
    """By its first frames alone."""
    heard = announced(Bytes(fixture("mpeg1-44k-128k")[:3000]))
    assert (heard.samples, heard.rate_hz, heard.channels) == (220_500, 44_100, 2)
    with pytest.raises(UndecodableError):
        announced(Bytes(b"not audio" * 100))


def test_the_decoder_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its version; or what to install."""
    assert decoder_name().startswith("miniaudio 1.")
    monkeypatch.setattr("audioengine.verification.decoder.find_spec", lambda _: None)
    with pytest.raises(ae.VerificationError, match=r"audioengine\[verify\]"):
        decoder_name()
