# SPDX-License-Identifier: Apache-2.0
"""The side information of a frame."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioengine.mp3.header import StreamFormat, Version, parse_header
from audioengine.mp3.legal_windows import LEGAL_SUCCESSIONS
from audioengine.mp3.side_info import (
    BlockType,
    granule_layout,
    main_data_bits,
    pack_side_info,
    parse_side_info,
)
from tests.strategies import formats, side_infos
from tests.support import WHOLE, sound


def private_bits(format: StreamFormat) -> tuple[int, int]:
    """Place and number of the private bits (2.4.1.7)."""
    if format.lsf:
        return 8, 1 if format.channels == 1 else 2
    return 9, 5 if format.channels == 1 else 3


@given(st.data())
def test_what_is_packed_is_parsed(data: st.DataObject) -> None:
    format = data.draw(formats)
    info = data.draw(side_infos(format))
    packed = pack_side_info(info, format)
    assert len(packed) == format.side_info_bytes
    assert parse_side_info(packed, format) == info
    assert parse_side_info(memoryview(packed), format) == info


@given(st.data())
def test_any_bytes_pack_to_themselves_but_for_the_private_bits(data: st.DataObject) -> None:
    format = data.draw(formats)
    size = format.side_info_bytes
    given_bytes = data.draw(st.binary(min_size=size, max_size=size))
    place, count = private_bits(format)
    mask = ((1 << count) - 1) << (8 * size - place - count)
    expected = int.from_bytes(given_bytes, "big") & ~mask
    packed = pack_side_info(parse_side_info(given_bytes, format), format)
    assert int.from_bytes(packed, "big") == expected


@pytest.mark.parametrize("name", WHOLE)
def test_recordings_read_as_an_independent_parser_reads_them(name: str) -> None:
    for frame in sound(name):
        header = parse_header(frame.data)
        assert header is not None
        format = header.format
        info = parse_side_info(
            frame.data[header.side_info_offset : header.main_data_offset], format
        )
        assert info.main_data_begin == frame.main_data_begin
        layout = granule_layout(format.lsf)
        lengths = tuple(tuple(map(layout.part2_3_length, granule)) for granule in info.granules)
        assert lengths == frame.part2_3_lengths
        assert main_data_bits(info, format) == sum(map(sum, lengths))


def fields(granule: int, lsf: bool) -> dict[str, int]:
    """The first fields of a packed granule, read from its digits as the standard lists them."""
    widths = {
        "part2_3_length": 12,
        "big_values": 9,
        "global_gain": 8,
        "scalefac_compress": 9 if lsf else 4,
        "window_switching_flag": 1,
        "block_type": 2,
    }
    digits = format(granule, f"0{63 if lsf else 59}b")
    out = {}
    for name, width in widths.items():
        out[name], digits = int(digits[:width], 2), digits[width:]
    return out


@given(st.booleans(), st.integers(0, (1 << 63) - 1), st.integers(0, 255))
def test_the_fields_of_a_granule_are_where_the_standard_has_them(
    lsf: bool, bits: int, gain: int
) -> None:
    layout = granule_layout(lsf)
    granule = bits & ((1 << layout.bits) - 1)
    expected = fields(granule, lsf)
    assert layout.part2_3_length(granule) == expected["part2_3_length"]
    assert layout.global_gain(granule) == expected["global_gain"]
    switched = expected["block_type"] if expected["window_switching_flag"] else 0
    assert layout.block_type(granule) is BlockType(switched)

    changed = layout.with_global_gain(granule, gain)
    assert layout.global_gain(changed) == gain
    assert fields(changed, lsf) == {**expected, "global_gain": gain}
    assert layout.with_global_gain(changed, expected["global_gain"]) == granule


def test_windows_may_follow_one_another_where_their_halves_fit() -> None:
    """A start window ends short, a stop window begins short; the standard has no start, stop."""
    begins_short = {BlockType.SHORT, BlockType.STOP}
    ends_short = {BlockType.SHORT, BlockType.START}
    fitting = {
        (before, after)
        for before in BlockType
        for after in BlockType
        if (before in ends_short) == (after in begins_short)
    }
    assert fitting - {(BlockType.START, BlockType.STOP)} == LEGAL_SUCCESSIONS


@pytest.mark.parametrize("name", ["mpeg25-8k-32k", "mpeg2-16k-48k", "mpeg1-44k-128k", "vbr-44k"])
def test_encoders_follow_the_successions(name: str) -> None:
    first = parse_header(sound(name)[0].data)
    assert first is not None
    layout = granule_layout(first.format.version is not Version.MPEG_1)
    seen = []
    for frame in sound(name):
        side = frame.data[first.side_info_offset : first.main_data_offset]
        granules = parse_side_info(side, first.format).granules
        seen += [layout.block_type(granule[0]) for granule in granules]
    assert set(seen) == set(BlockType)
    assert set(pairwise(seen)) <= LEGAL_SUCCESSIONS
