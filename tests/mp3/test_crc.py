# SPDX-License-Identifier: Apache-2.0
"""Both checksums against bit-by-bit ones and against what encoders wrote."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioengine.mp3.crc import frame_crc, tag_crc
from fixtures import mpeg
from tests.support import fixture


def crc16_msb_first(data: bytes) -> int:
    """Polynomial x^16 + x^15 + x^2 + 1, from all ones (2.4.3.1)."""
    crc = 0xFFFF
    for byte in data:
        for shift in range(7, -1, -1):
            feedback = crc >> 15 ^ byte >> shift & 1
            crc = crc << 1 & 0xFFFF ^ (0x8005 if feedback else 0)
    return crc


def stored_and_computed(frame: mpeg.Frame) -> tuple[bytes, bytes]:
    """The CRC in a protected frame, and what it should be."""
    side = frame.data[6 : 6 + frame.side_length]
    return frame.data[4:6], frame_crc(frame.data[:4], side)


@pytest.mark.parametrize("name", ["crc-16k", "crc-44k"])
def test_lames_frame_crcs_are_reproduced(name: str) -> None:
    every = mpeg.sound(fixture(name))
    assert all(frame.protected for frame in every)
    for frame in every:
        stored, computed = stored_and_computed(frame)
        assert stored == computed


def test_wrong_frame_crcs_are_seen() -> None:
    every = list(mpeg.frames(fixture("wrong-crc")))
    wrong = [
        number
        for number, frame in enumerate(every)
        if not frame.is_tag and len(set(stored_and_computed(frame))) == 2
    ]
    assert wrong == [50, 51, 90]


@given(st.binary(min_size=4, max_size=4), st.binary(max_size=32))
def test_the_frame_crc_covers_the_last_two_header_bytes_and_the_side_information(
    header: bytes, side_info: bytes
) -> None:
    expected = crc16_msb_first(header[2:] + side_info)
    assert frame_crc(header, side_info) == expected.to_bytes(2, "big")


@given(st.binary(max_size=100))
def test_the_tag_crc_is_the_reflected_form_from_zero(data: bytes) -> None:
    assert tag_crc(data) == tag_crc(memoryview(data)) == mpeg.crc16_arc(data)


@given(st.lists(st.binary(max_size=40), max_size=5))
def test_the_tag_crc_goes_on_from_piece_to_piece(pieces: list[bytes]) -> None:
    crc = tag_crc(b"")
    for piece in pieces:
        crc = tag_crc(piece, crc)
    assert crc == tag_crc(b"".join(pieces))


def test_the_catalogues_check_values() -> None:
    """CRC-16/CMS and CRC-16/ARC of the digits 1 to 9."""
    assert frame_crc(b"__12", b"3456789") == b"\xae\xe7"
    assert tag_crc(b"123456789") == 0xBB3D
