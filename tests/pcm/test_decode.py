# SPDX-License-Identifier: Apache-2.0
"""Any stretch decodes as the same part of the whole does, to the last bit."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from audioengine.edits import Span
from audioengine.mp3.header import parse_header
from audioengine.mp3.info_tag import build_info_tag
from audioengine.mp3.scan import scan
from audioengine.pcm.decode import decode_all, decode_raw
from fixtures import mpeg
from tests.strategies import examples
from tests.support import (
    FREE_FORMAT,
    READABLE,
    WHOLE,
    Bytes,
    decode_miniaudio,
    decode_pyav,
    decode_soundfile,
    fixture,
    indexed,
    read,
    sound,
)


@lru_cache(maxsize=8)
def whole(name: str) -> npt.NDArray[np.float32]:
    index = indexed(name)
    return decode_raw(Bytes(fixture(name)), index, 0, index.raw_samples)


def window(name: str, start: int, end: int) -> npt.NDArray[np.float32]:
    return decode_raw(Bytes(fixture(name)), indexed(name), start, end)


# libsndfile believes what these tags say, or sees no more than them.
MISLEADING = ("naive-concat", "tag-promises-less", "tag-promises-more")


@pytest.mark.parametrize(
    "name", [name for name in WHOLE if indexed(name).tagged and name not in MISLEADING]
)
def test_tagged_recordings_decode_as_libsndfile_decodes_them(name: str) -> None:
    index = indexed(name)
    got = window(name, index.start, index.start + index.samples)
    np.testing.assert_array_equal(got, decode_soundfile(fixture(name)))


# It plays no free format and no lone frame, and intensity with an empty channel in its own way.
NOT_BY_FFMPEG = (*MISLEADING, *FREE_FORMAT, "one-frame", "intensity-16k", "intensity-44k")


@pytest.mark.parametrize("name", [name for name in WHOLE if name not in NOT_BY_FFMPEG])
def test_what_is_decoded_is_what_ffmpeg_decodes(name: str) -> None:
    """To the rounding of another decoder."""
    index = indexed(name)
    got = window(name, index.start, index.start + index.samples)
    expected = decode_pyav(fixture(name))
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=0, atol=3e-6)


@pytest.mark.parametrize("name", [*FREE_FORMAT, "one-frame", "tag-promises-more", "mpeg1-44k-320k"])
def test_what_is_decoded_is_what_minimp3_decodes(name: str) -> None:
    """To 16 bits."""
    index = indexed(name)
    got = window(name, index.start, index.start + index.samples)
    expected = decode_miniaudio(fixture(name))[: len(got)] / 32768
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() < 1.6 / 32768


# Where a frame can't be decoded, mpg123 goes on from what it played before: no window may begin
# there, and from there on it rounds in another way.
UNDECODABLE = range(80, 85)


@pytest.mark.parametrize("name", READABLE)
@given(data=st.data())
@examples(12)
def test_any_window_is_that_part_of_the_whole(name: str, data: st.DataObject) -> None:
    """Beyond the recording there are zeros."""
    total, spf = indexed(name).raw_samples, indexed(name).format.samples_per_frame
    anywhere = st.integers(-2 * spf, total + 2 * spf)
    on_grid = st.integers(-1, indexed(name).frames + 1).map(lambda frame: frame * spf)
    start = data.draw(st.one_of(anywhere, on_grid, on_grid.map(lambda at: at - 1)))
    length = data.draw(st.one_of(st.integers(0, 10 * spf), st.sampled_from((0, 1, spf, total))))
    damaged = name == "zeros-in-middle"
    assume(not damaged or start // spf not in UNDECODABLE)
    got = window(name, start, start + length)
    assert got.shape == (length, indexed(name).format.channels)
    assert got.dtype == np.float32
    expected = np.zeros_like(got)
    low, high = max(start, 0), min(start + length, total)
    if low < high:
        expected[low - start : high - start] = whole(name)[low:high]
    behind = damaged and start // spf >= UNDECODABLE.stop
    np.testing.assert_allclose(got, expected, rtol=0, atol=6e-8 if behind else 0)


@pytest.mark.parametrize("name", ["mpeg2-16k-48k", "mpeg1-44k-320k", "vbr-44k"])
def test_a_window_costs_its_own_length(name: str) -> None:
    """Bytes far from a window are not read."""
    source = Bytes(fixture(name))
    index = indexed(name)
    spf = index.format.samples_per_frame
    decode_raw(source, index, 50 * spf, 53 * spf)
    frames = {
        frame
        for offset, length in source.reads
        for frame in range(index.frames)
        if index.offset(frame) < offset + length
        and offset < index.offset(frame) + index.size(frame)
    }
    assert set(range(48, 53)) <= frames <= set(range(40, 54))


@pytest.mark.parametrize(("name", "lost"), [("junk-in-middle", 80), ("head-cut", 0)])
def test_a_frame_whose_main_data_is_lost_is_silent(name: str, lost: int) -> None:
    """What it plays is no more than its neighbours' overlap and the filter's tail."""
    spf = indexed(name).format.samples_per_frame
    assert lost in indexed(name).lost
    # A window's overlap reaches 576 samples into the lost frame, the filter bank's 481 more.
    around = whole(name)[max(0, lost - 2) * spf : (lost + 4) * spf]
    assert np.abs(around).max() > 1e-3
    if lost == 0:
        assert not whole(name)[: spf - 1].any()
    else:
        intact = np.array([frame.intact for frame in read(name)])
        assert intact.sum() == len(intact) - 1


def test_junk_between_frames_does_not_move_or_change_what_is_far_from_it() -> None:
    np.testing.assert_array_equal(
        whole("junk-in-middle")[: 80 * 576], whole("untagged-16k")[: 80 * 576]
    )
    np.testing.assert_array_equal(
        whole("junk-in-middle")[84 * 576 :], whole("untagged-16k")[84 * 576 :]
    )
    np.testing.assert_array_equal(whole("junk-at-start"), whole("untagged-16k"))


def test_a_lost_frame_is_the_same_as_one_with_empty_main_data() -> None:
    """In its place the recording has what silence, overlapped with its neighbours, sounds like."""
    got, plain = whole("junk-in-middle"), whole("untagged-16k")
    differs = np.flatnonzero((got != plain).any(axis=1))
    assert differs[0] >= 80 * 576
    assert differs[-1] < 81 * 576 + 1056
    # In the middle of the hole only the tails of the neighbours are left.
    hole = got[81 * 576 - 60 : 81 * 576 + 60]
    assert np.abs(hole).max() < 0.5 * np.abs(plain[80 * 576 : 82 * 576]).max()


@pytest.mark.parametrize("name", ["untagged-8k", "mono-8k", "untagged-16k", "mono-44k"])
@pytest.mark.parametrize("delay", [0, 576, 1105, 1700, 2200])
def test_whatever_is_hidden_the_rest_is_what_libsndfile_decodes(name: str, delay: int) -> None:
    """mpg123 rounds by how many frames it has decoded; of hidden ones those are four at most."""
    frames = sound(name)
    body = mpeg.join(list(frames))
    like = parse_header(body)
    assert like is not None
    tag = build_info_tag(
        like,
        constant_bitrate=True,
        lowest_kbps=32,
        frames=len(frames),
        audio_bytes=len(body),
        audio_crc=0,
        frame_offsets=[0] * 100,
        encoder=b"LAME3.100",
        encoder_delay=delay,
        padding=700,
    )
    source = Bytes(tag + body)
    index = scan(source)
    assert index.start == delay + 529
    expected = decode_soundfile(source.data)
    got = decode_raw(source, index, index.start, index.start + index.samples)
    np.testing.assert_array_equal(got, expected)
    # A window that begins anywhere else rounds alike.
    for start in (1, 5 * 576 + 7, 6 * 576 + 7, 7 * 576 + 7, 8 * 576 + 7):
        got = decode_raw(source, index, index.start + start, index.start + start + 2000)
        np.testing.assert_array_equal(got, expected[start : start + 2000])


@pytest.mark.parametrize(
    "name", ["mpeg25-8k-32k", "mono-8k", "mpeg2-16k-48k", "mono-44k", "vbr-44k"]
)
@given(st.data())
@examples(15)
def test_stretches_that_are_decoded_together_are_as_when_decoded_alone(
    name: str, data: st.DataObject
) -> None:
    index = indexed(name)
    spans = []
    for _ in range(data.draw(st.integers(1, 5))):
        start = data.draw(st.integers(-2000, index.raw_samples + 2000))
        spans.append(Span(start, start + data.draw(st.integers(0, 9000))))
    together = decode_all(Bytes(fixture(name)), index, spans)
    for span, got in zip(spans, together, strict=True):
        np.testing.assert_array_equal(got, window(name, span.start, span.end))
