# SPDX-License-Identifier: Apache-2.0
"""The two checksums of an MP3 file.

Both are CRC-16 with the polynomial x^16 + x^15 + x^2 + 1. A protected frame takes it MSB first
from 0xFFFF over header bytes 2 and 3 and the side information (ISO/IEC 11172-3, 2.4.3.1); the
LAME extension of the Info tag takes the reflected form from 0 (CRC-16/ARC).
"""

from __future__ import annotations

from fastcrc import crc16


def frame_crc(header: bytes, side_info: bytes) -> bytes:
    """The two CRC bytes that stand between a protected frame's header and side information."""
    return crc16.cms(header[2:4] + side_info).to_bytes(2, "big")


def tag_crc(data: bytes | bytearray | memoryview, initial: int = 0) -> int:
    """The CRC of the LAME extension over `data`, continuing from the CRC `initial`."""
    return crc16.arc(data, initial)
