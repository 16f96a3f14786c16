# SPDX-License-Identifier: Apache-2.0
"""The 32-bit frame header (ISO/IEC 11172-3, 2.4.1.3 and 2.4.2.3) and values derived from it.

::

    byte 0    byte 1    byte 2    byte 3
    11111111  111vvllp  bbbbrrsx  mmeecoff

    v version   l layer   p protection_bit (0: a CRC follows)   b bitrate_index
    r sampling_frequency   s padding_bit   x private_bit   m mode   e mode_extension
    c copyright   o original   f emphasis
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum
from functools import cached_property, lru_cache
from math import gcd

HEADER_BYTES = 4
CRC_BYTES = 2


class Version(Enum):
    """The version field; MPEG-2 and the 2.5 extension are together called LSF."""

    MPEG_1 = 3
    MPEG_2 = 2
    MPEG_2_5 = 0

    def __str__(self) -> str:
        return {3: "MPEG-1", 2: "MPEG-2", 0: "MPEG-2.5"}[self.value]


class Mode(IntEnum):
    """The mode field (2.4.2.3)."""

    STEREO = 0
    JOINT_STEREO = 1
    DUAL_CHANNEL = 2
    SINGLE_CHANNEL = 3


class ModeExtension(IntEnum):
    """Bits of mode_extension in Layer III joint stereo (2.4.2.3)."""

    INTENSITY = 1
    MID_SIDE = 2


# ISO/IEC 11172-3 table in 2.4.2.3 and ISO/IEC 13818-3 2.4.2.3; index 0 is free format.
BITRATES_MPEG_1_KBPS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
BITRATES_LSF_KBPS = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)

# ISO/IEC 11172-3 2.4.2.3 and ISO/IEC 13818-3 2.4.2.3; 2.5 halves those of MPEG-2.
SAMPLING_RATES_HZ = {
    Version.MPEG_1: (44_100, 48_000, 32_000),
    Version.MPEG_2: (22_050, 24_000, 16_000),
    Version.MPEG_2_5: (11_025, 12_000, 8_000),
}

LAYER_III = 1
PADDING_BIT = 0x02


@dataclass(frozen=True)
class StreamFormat:
    """The properties that all frames of a stream share: version, sampling rate, channel count."""

    version: Version
    rate_index: int
    """The sampling_frequency field."""
    channels: int

    @cached_property
    def lsf(self) -> bool:
        """Whether this is a low sampling frequency stream (MPEG-2 or 2.5)."""
        return self.version is not Version.MPEG_1

    @cached_property
    def rate_hz(self) -> int:
        """Sampling rate in Hz."""
        return SAMPLING_RATES_HZ[self.version][self.rate_index]

    @cached_property
    def granules(self) -> int:
        """Granules in a frame."""
        return 1 if self.lsf else 2

    @cached_property
    def samples_per_frame(self) -> int:
        """Samples per channel in a frame."""
        return 576 * self.granules

    @cached_property
    def support(self) -> int:
        """Samples, from a frame's first decoded one, that its coded data depends on.

        A granule codes 36 slots of 32 subband samples, each from 512 taps: 35·32 + 512.
        """
        return self.samples_per_frame - 576 + 1632

    @cached_property
    def warm_up_frames(self) -> int:
        """Frames a decoder must have seen before its output is exact: 1056 samples of overlap."""
        return 2 if self.lsf else 1

    @cached_property
    def side_info_bytes(self) -> int:
        """Length of the side information (2.4.1.7; ISO/IEC 13818-3 2.4.1.7)."""
        if self.lsf:
            return 9 if self.channels == 1 else 17
        return 17 if self.channels == 1 else 32

    @cached_property
    def max_main_data_begin(self) -> int:
        """The largest main_data_begin: 9 bits, 8 in LSF."""
        return 255 if self.lsf else 511

    @cached_property
    def bitrates_kbps(self) -> tuple[int, ...]:
        """Bitrates by bitrate_index; index 0 is free format."""
        return BITRATES_LSF_KBPS if self.lsf else BITRATES_MPEG_1_KBPS

    def frame_bytes(self, bitrate_index: int, padding: int = 0) -> int:
        """Size of a frame with its header, for bitrate_index 1 to 14 (2.4.3.1)."""
        bits = self.samples_per_frame // 8 * 1000 * self.bitrates_kbps[bitrate_index]
        return bits // self.rate_hz + padding

    def granule_bits(self, bitrate_index: int) -> float:
        """Bits of main data in a frame for each granule of a channel."""
        slots = self.frame_bytes(bitrate_index) - HEADER_BYTES - self.side_info_bytes
        return 8 * slots / (self.granules * self.channels)

    @cached_property
    def frame_sizes(self) -> tuple[int, ...]:
        """Frame size by the value of byte 2; 0 for values that this stream can't have."""
        sizes = [0] * 256
        for bitrate_index in range(1, 15):
            for padding in (0, 1):
                size = self.frame_bytes(bitrate_index, padding)
                for private in (0, 1):
                    byte2 = bitrate_index << 4 | self.rate_index << 2 | padding << 1 | private
                    sizes[byte2] = size
        return tuple(sizes)

    def padding_period(self, bitrate_index: int) -> int:
        """Frames after which a constant-bitrate encoder's padding pattern repeats (2.4.3.1)."""
        numerator = self.samples_per_frame // 8 * 1000 * self.bitrates_kbps[bitrate_index]
        return self.rate_hz // gcd(numerator, self.rate_hz)

    def padding_at(self, bitrate_index: int, frame: int) -> int:
        """The padding bit that keeps the exact bitrate if frame 0 starts a pattern."""
        numerator = self.samples_per_frame // 8 * 1000 * self.bitrates_kbps[bitrate_index]
        remainder = numerator % self.rate_hz
        return (frame + 1) * remainder // self.rate_hz - frame * remainder // self.rate_hz

    def bitrate_index_at_least(self, kbps: float) -> int:
        """The lowest bitrate_index with at least `kbps`, or the highest of all."""
        for index in range(1, 15):
            if self.bitrates_kbps[index] >= kbps:
                return index
        return 14


@dataclass(frozen=True)
class FrameHeader:
    """One frame's header, with the fields of the standard."""

    format: StreamFormat
    protected: bool
    """Whether a CRC follows the header (protection_bit 0)."""
    bitrate_index: int
    padding: int
    mode: Mode
    mode_extension: int
    flags: int
    """copyright, original and emphasis: the low four bits of byte 3."""

    @cached_property
    def side_info_offset(self) -> int:
        """Where the side information starts, from the frame's first byte."""
        return HEADER_BYTES + (CRC_BYTES if self.protected else 0)

    @cached_property
    def main_data_offset(self) -> int:
        """Where the frame's main data slots start, from the frame's first byte."""
        return self.side_info_offset + self.format.side_info_bytes

    @cached_property
    def mid_side(self) -> bool:
        """Whether the frame's channels are coded as mid and side."""
        return self.mode is Mode.JOINT_STEREO and bool(self.mode_extension & ModeExtension.MID_SIDE)

    @cached_property
    def intensity(self) -> bool:
        """Whether the frame uses intensity stereo."""
        return self.mode is Mode.JOINT_STEREO and bool(
            self.mode_extension & ModeExtension.INTENSITY
        )

    @cached_property
    def word(self) -> bytes:
        """The four bytes of this header, with the private bit clear."""
        byte1 = 0xE0 | self.format.version.value << 3 | LAYER_III << 1 | (not self.protected)
        byte2 = self.bitrate_index << 4 | self.format.rate_index << 2 | self.padding << 1
        byte3 = self.mode << 6 | self.mode_extension << 4 | self.flags
        return bytes((0xFF, byte1, byte2, byte3))


@lru_cache(maxsize=256)
def _stream_format(version: Version, rate_index: int, channels: int) -> StreamFormat:
    return StreamFormat(version, rate_index, channels)


@lru_cache(maxsize=4096)
def _parse_word(word: bytes) -> FrameHeader | None:
    byte1, byte2, byte3 = word[1], word[2], word[3]
    if word[0] != 0xFF or byte1 & 0xE0 != 0xE0 or byte1 >> 1 & 3 != LAYER_III:
        return None
    if byte1 >> 3 & 3 == 1 or byte2 >> 2 & 3 == 3 or byte2 >> 4 == 15:
        return None
    mode = Mode(byte3 >> 6)
    channels = 1 if mode is Mode.SINGLE_CHANNEL else 2
    return FrameHeader(
        format=_stream_format(Version(byte1 >> 3 & 3), byte2 >> 2 & 3, channels),
        protected=not byte1 & 1,
        bitrate_index=byte2 >> 4,
        padding=byte2 >> 1 & 1,
        mode=mode,
        mode_extension=byte3 >> 4 & 3,
        flags=byte3 & 15,
    )


def parse_header(data: bytes | bytearray | memoryview, offset: int = 0) -> FrameHeader | None:
    """The Layer III header at `offset`; None if those bytes are no header."""
    word = bytes(data[offset : offset + HEADER_BYTES])
    return _parse_word(word) if len(word) == HEADER_BYTES else None
