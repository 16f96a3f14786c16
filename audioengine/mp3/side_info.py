# SPDX-License-Identifier: Apache-2.0
"""The side information (ISO/IEC 11172-3, 2.4.1.7; ISO/IEC 13818-3, 2.4.1.7).

::

    MPEG-1   main_data_begin 9 | private 5 mono, 3 stereo | scfsi 4 per channel | 2 × granule
    LSF      main_data_begin 8 | private 1 mono, 2 stereo |                       1 × granule

A granule has 59 bits per channel (63 in LSF). They stay packed as one integer, first field in the
highest bits: a spliced channel moves whole, and planning and splicing read only a few fields, by
their position::

    part2_3_length 12 | big_values 9 | global_gain 8 | scalefac_compress 4 (9 in LSF)
    | window_switching_flag 1 | block_type 2 … or table_select …
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

from audioengine.mp3.header import StreamFormat


class BlockType(IntEnum):
    """The window of a granule (2.4.2.7); a granule without window switching is LONG."""

    LONG = 0
    START = 1
    SHORT = 2
    STOP = 3


# By window_switching_flag and block_type, three bits; without the flag, the two say nothing.
_WINDOWS: tuple[BlockType, ...] = (*(BlockType.LONG,) * 4, *BlockType)

MAX_PART2_3_LENGTH = 4095
MAX_BIG_VALUES = 288
"""Pairs of samples in a granule."""


@dataclass(frozen=True)
class GranuleLayout:
    """The positions of fields in a packed granule of one channel, for one stream format."""

    bits: int
    length_shift: int
    values_shift: int
    """The shift of big_values."""
    gain_shift: int
    window_shift: int
    """The shift of window_switching_flag and block_type, three bits."""

    def part2_3_length(self, granule: int) -> int:
        """Bits of main data: scale factors and Huffman code."""
        return granule >> self.length_shift

    def global_gain(self, granule: int) -> int:
        """The quantiser step, in quarters of a factor of two."""
        return granule >> self.gain_shift & 0xFF

    def with_global_gain(self, granule: int, global_gain: int) -> int:
        """The same granule with another global_gain (0 to 255)."""
        return granule & ~(0xFF << self.gain_shift) | global_gain << self.gain_shift

    def is_mixed(self, granule: int) -> bool:
        """Whether the lowest two subbands have long windows while the others are switched."""
        return granule >> self.window_shift & 4 > 0 and granule >> self.window_shift - 1 & 1 > 0

    def block_type(self, granule: int) -> BlockType:
        """The window of the granule."""
        return _WINDOWS[granule >> self.window_shift & 7]


@lru_cache(maxsize=2)
def granule_layout(lsf: bool) -> GranuleLayout:
    """The layout of packed granules in MPEG-1 or LSF streams."""
    bits, scalefac_compress = (63, 9) if lsf else (59, 4)
    return GranuleLayout(bits, bits - 12, bits - 21, bits - 29, bits - 29 - scalefac_compress - 3)


class SideInfo(NamedTuple):
    """One frame's side information; private bits are not kept."""

    main_data_begin: int
    scfsi: tuple[int, ...]
    """Per channel: the scale factors that granule 1 shares with granule 0; zero in LSF."""
    granules: tuple[tuple[int, ...], ...]
    """Packed granules, as [granule][channel]."""


def parse_side_info(data: bytes | memoryview, format: StreamFormat) -> SideInfo:
    """The side information in `data`, which has exactly `format.side_info_bytes` bytes."""
    word = int.from_bytes(data, "big")
    channels = format.channels
    width = granule_layout(format.lsf).bits
    mask = (1 << width) - 1
    packed = []
    for _ in range(format.granules * channels):
        packed.append(word & mask)
        word >>= width
    packed.reverse()
    if format.lsf:
        scfsi = (0,) * channels
        begin = word >> (1 if channels == 1 else 2)
        granules: tuple[tuple[int, ...], ...] = (tuple(packed),)
    else:
        scfsi = (word & 15,) if channels == 1 else (word >> 4 & 15, word & 15)
        begin = word >> (9 if channels == 1 else 11)
        granules = (tuple(packed[:channels]), tuple(packed[channels:]))
    return SideInfo(begin, scfsi, granules)


def pack_side_info(info: SideInfo, format: StreamFormat) -> bytes:
    """The bytes of `info`, private bits clear."""
    mono = format.channels == 1
    width = granule_layout(format.lsf).bits
    # The private bits follow main_data_begin.
    if format.lsf:
        word = info.main_data_begin << (1 if mono else 2)
    else:
        word = info.main_data_begin << (5 if mono else 3)
        for scfsi in info.scfsi:
            word = word << 4 | scfsi
    for granule in info.granules:
        for packed in granule:
            word = word << width | packed
    return word.to_bytes(format.side_info_bytes, "big")


def main_data_bits(info: SideInfo, format: StreamFormat) -> int:
    """Bits of the frame's own main data: the sum of its part2_3_length."""
    shift = granule_layout(format.lsf).length_shift
    return sum([packed >> shift for granule in info.granules for packed in granule])


def side_is_empty(info: SideInfo, format: StreamFormat) -> bool:
    """Whether channel 1 has no main data; of a mid/side frame, left and right are then equal."""
    layout = granule_layout(format.lsf)
    return all(layout.part2_3_length(granule[1]) == 0 for granule in info.granules)
