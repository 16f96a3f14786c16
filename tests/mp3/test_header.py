# SPDX-License-Identifier: Apache-2.0
"""The 32-bit frame header."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioengine.mp3.header import FrameHeader, Mode, StreamFormat, Version, parse_header
from fixtures import mpeg
from tests.strategies import bitrate_indices, formats, headers
from tests.support import WHOLE, sound

PRIVATE_BIT = 0x00000100


@given(headers())
def test_what_is_packed_is_parsed(header: FrameHeader) -> None:
    assert parse_header(header.word) == header


@given(st.integers(0, (1 << 32) - 1).map(lambda word: (word | 0xFFE20000).to_bytes(4, "big")))
def test_a_word_is_no_header_or_packs_to_itself_but_for_the_private_bit(word: bytes) -> None:
    header = parse_header(word)
    legal = (
        word[0] == 0xFF
        and word[1] & 0xE6 == 0xE2
        and word[1] & 0x18 != 0x08
        and word[2] & 0xF0 != 0xF0
        and word[2] & 0x0C != 0x0C
    )
    assert (header is not None) == legal
    if header is not None:
        packed = int.from_bytes(header.word, "big")
        assert packed == int.from_bytes(word, "big") & ~PRIVATE_BIT


@pytest.mark.parametrize(
    "word",
    [
        "fffd9000",
        "ffff9000",
        "fff99000",
        "ffeb9000",
        "fffbf000",
        "fffb9c00",
        "7ffb9000",
        "ffdb9000",
    ],
    ids=["layer II", "layer I", "layer 0", "version", "bitrate", "rate", "sync start", "sync end"],
)
def test_words_that_head_no_layer_iii_frame_are_refused(word: str) -> None:
    assert parse_header(bytes.fromhex(word)) is None


@given(headers(), st.binary(max_size=20))
def test_a_header_is_found_at_its_offset_only_whole(header: FrameHeader, before: bytes) -> None:
    data = before + header.word
    for kind in (bytes, bytearray, memoryview):
        assert parse_header(kind(data), len(before)) == header
    for missing in range(1, 5):
        assert parse_header(data[:-missing], len(before)) is None


@pytest.mark.parametrize("name", WHOLE)
def test_headers_of_recordings_read_as_an_independent_parser_reads_them(name: str) -> None:
    for frame in sound(name):
        header = parse_header(frame.data)
        assert header is not None
        format = header.format
        assert (format.version.value, format.rate_hz) == (frame.version, frame.rate)
        assert (format.channels, header.mode.value) == (frame.channels, frame.mode)
        assert header.protected == frame.protected
        assert format.bitrates_kbps[header.bitrate_index] == frame.kbps
        extension = 2 * header.mid_side + header.intensity
        assert extension == frame.mode_extension
        assert header.side_info_offset == frame.side_offset
        assert header.main_data_offset == frame.side_offset + frame.side_length
        if frame.kbps:
            assert format.frame_bytes(header.bitrate_index, header.padding) == len(frame.data)
            assert format.frame_sizes[frame.data[2]] == len(frame.data)


@given(headers())
def test_mid_side_and_intensity_are_only_of_joint_stereo(header: FrameHeader) -> None:
    joint = header.mode is Mode.JOINT_STEREO
    assert header.mid_side == (joint and header.mode_extension in (2, 3))
    assert header.intensity == (joint and header.mode_extension in (1, 3))


@pytest.mark.parametrize(
    ("version", "rate_index", "kbps", "size"),
    [
        (Version.MPEG_1, 0, 128, 417),
        (Version.MPEG_1, 1, 320, 960),
        (Version.MPEG_1, 2, 320, 1440),
        (Version.MPEG_2, 0, 64, 208),
        (Version.MPEG_2, 2, 48, 216),
        (Version.MPEG_2_5, 2, 32, 288),
        (Version.MPEG_2_5, 2, 8, 72),
    ],
)
def test_frame_sizes_that_everyone_knows(
    version: Version, rate_index: int, kbps: int, size: int
) -> None:
    format = StreamFormat(version, rate_index, 2)
    assert format.frame_bytes(format.bitrates_kbps.index(kbps)) == size


@given(formats)
def test_the_table_of_sizes_has_this_streams_bytes_and_no_others(format: StreamFormat) -> None:
    for byte2, size in enumerate(format.frame_sizes):
        bitrate_index = byte2 >> 4
        if byte2 >> 2 & 3 != format.rate_index or bitrate_index in (0, 15):
            assert size == 0
        else:
            assert size == format.frame_bytes(bitrate_index, byte2 >> 1 & 1)


@given(formats, bitrate_indices, st.integers(0, 500))
def test_padding_keeps_the_bitrate_exact(
    format: StreamFormat, bitrate_index: int, frames: int
) -> None:
    """So many frames are the whole bytes that the bitrate gives for their duration."""
    got = sum(
        format.frame_bytes(bitrate_index, format.padding_at(bitrate_index, frame))
        for frame in range(frames)
    )
    bits = format.bitrates_kbps[bitrate_index] * 1000 * format.samples_per_frame * frames
    assert got == bits // (8 * format.rate_hz)


@given(formats, bitrate_indices)
def test_the_padding_period_is_the_shortest(format: StreamFormat, bitrate_index: int) -> None:
    period = format.padding_period(bitrate_index)
    pattern = [format.padding_at(bitrate_index, frame) for frame in range(2 * period)]
    assert pattern[:period] == pattern[period:]
    for shorter in range(1, period):
        if period % shorter == 0:
            assert pattern[: period - shorter] != pattern[shorter:period]


@pytest.mark.parametrize("name", ["mpeg1-44k-128k", "mpeg2-22k-64k", "mpeg25-11k-32k"])
def test_encoders_repeat_their_padding_after_the_period(name: str) -> None:
    every = sound(name)
    header = parse_header(every[0].data)
    assert header is not None
    period = header.format.padding_period(header.bitrate_index)
    pads = [frame.data[2] & 2 for frame in every]
    assert 1 < period < len(pads)
    assert pads[period:] == pads[:-period]


def test_what_a_frame_depends_on_and_what_a_decoder_must_have_seen() -> None:
    """Support and warm-up as measured: mp3-facts 0.3 and 0.5."""
    for version in Version:
        for channels in (1, 2):
            format = StreamFormat(version, 0, channels)
            lsf = version is not Version.MPEG_1
            assert (format.lsf, format.granules) == (lsf, 1 if lsf else 2)
            assert format.samples_per_frame == (576 if lsf else 1152)
            assert format.support == (1632 if lsf else 2208)
            assert format.warm_up_frames == (2 if lsf else 1)
            assert format.max_main_data_begin == (255 if lsf else 511)
            mode = Mode.SINGLE_CHANNEL if channels == 1 else Mode.STEREO
            frame = mpeg.Frame(0, FrameHeader(format, False, 1, 0, mode, 0, 0).word)
            assert format.side_info_bytes == frame.side_length


@given(formats, st.floats(0, 400))
def test_the_lowest_bitrate_that_suffices_is_taken(format: StreamFormat, kbps: float) -> None:
    index = format.bitrate_index_at_least(kbps)
    rates = format.bitrates_kbps
    assert 1 <= index <= 14
    assert rates[index] >= kbps or index == 14
    assert index == 1 or rates[index - 1] < kbps


def test_versions_have_their_names() -> None:
    assert [str(version) for version in Version] == ["MPEG-1", "MPEG-2", "MPEG-2.5"]
