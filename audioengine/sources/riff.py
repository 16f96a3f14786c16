# SPDX-License-Identifier: Apache-2.0
"""Reads the chunks of a WAV file: its codec, and how much of its data is there.

RIFF and its `fmt ` chunk are those of Microsoft's "Multimedia Programming Interface and Data
Specifications 1.0"; RF64 and `ds64` those of EBU Tech 3306; codecs have the numbers of RFC 2361.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from audioengine.mp3.bytesource import ByteSource

PCM, FLOAT, A_LAW, MU_LAW, MP3 = 1, 3, 6, 7, 0x55

_CODECS = {
    2: "Microsoft ADPCM",
    FLOAT: "floats",
    A_LAW: "G.711 A-law",
    MU_LAW: "G.711 µ-law",
    0x11: "IMA ADPCM",
    0x14: "G.723 ADPCM",
    0x22: "TrueSpeech",
    0x31: "GSM 6.10",
    0x40: "G.721 ADPCM",
    0x42: "G.723.1",
    0x45: "G.726",
    0x50: "MPEG Layer I or II",
    MP3: "MP3",
    0x64: "G.726",
    0x65: "G.722",
    0x83: "G.729",
    0xA106: "AAC",
    0x028F: "G.722",
}
_EXTENSIBLE = 0xFFFE

# Their format chunks go on with the samples of a block.
_IN_BLOCKS = (2, 0x11, 0x31)

# Sizes from writers that do not know the length of the data yet: sox, FFmpeg, and others.
_UNKNOWN_SIZES = (0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000, 0x80000000)
_NEAR_UNKNOWN = 256

_MOST_CHUNKS = 1024


@dataclass(frozen=True, slots=True)
class Riff:
    """The header of a WAV file."""

    is_64: bool
    """Whether it is an RF64 (or BW64) file."""
    tag: int
    """Number of the codec."""
    bits: int
    """Per sample; 0 if the codec has no such number."""
    samples: int | None
    """By the `fact` chunk; None without one."""
    block_samples: int
    """Samples that are coded together; 0: the header does not say."""
    data_offset: int
    data_bytes: int
    """Bytes of the data chunk in the file."""
    promised_bytes: int | None
    """Bytes that the chunk's header promises; None if it leaves them open."""

    @property
    def codec(self) -> str:
        """The codec's name for people."""
        if self.tag == PCM:
            return f"{self.bits}-bit PCM"
        if self.tag == FLOAT:
            return f"{self.bits}-bit floats"
        return _CODECS.get(self.tag, f"codec {self.tag:#06x}")

    @property
    def missing_bytes(self) -> int:
        """The number of bytes that the header promises but the file lacks."""
        return max(0, (self.promised_bytes or 0) - self.data_bytes)

    @property
    def is_unfinished(self) -> bool:
        """Whether the header was never completed, as after a killed recorder."""
        return self.promised_bytes == 0 and self.data_bytes > 0


def read_riff(source: ByteSource) -> Riff | None:
    """Read the chunks up to the data; None if it is no WAV file, or lacks a format or data."""
    head = source.read(0, 12)
    kind = head[:4]
    if kind not in (b"RIFF", b"RF64", b"BW64") or head[8:12] != b"WAVE":
        return None
    position = 12
    format_chunk = b""
    samples = data_64 = None
    for _ in range(_MOST_CHUNKS):
        chunk = source.read(position, 8)
        if len(chunk) < 8:
            return None
        name, size = struct.unpack("<4sI", chunk)
        if name == b"fmt ":
            format_chunk = source.read(position + 8, min(size, 40))
        elif name == b"ds64":
            sizes = source.read(position + 8, 24)
            data_64 = struct.unpack("<8xQ8x", sizes)[0] if len(sizes) == 24 else None
        elif name == b"fact" and size >= 4:
            samples = int.from_bytes(source.read(position + 8, 4), "little")
        elif name == b"data":
            offset = position + 8
            promised = _promised(size, data_64)
            there = source.size - offset
            # No chunk can follow data of unknown length.
            length = there if not promised else min(promised, there)
            return _riff(kind != b"RIFF", format_chunk, samples, offset, length, promised)
        position += 8 + size + size % 2
    return None


def _promised(size: int, data_64: int | None) -> int | None:
    if data_64 is not None and size == 0xFFFFFFFF:
        return data_64
    unknown = any(limit - _NEAR_UNKNOWN <= size <= limit for limit in _UNKNOWN_SIZES)
    return None if unknown else size


def _riff(
    is_64: bool,
    format_chunk: bytes,
    samples: int | None,
    offset: int,
    length: int,
    promised: int | None,
) -> Riff | None:
    if len(format_chunk) < 16:
        return None
    tag, bits = struct.unpack("<H12xH", format_chunk[:16])
    if tag == _EXTENSIBLE and len(format_chunk) >= 26:
        tag = int.from_bytes(format_chunk[24:26], "little")
    in_blocks = tag in _IN_BLOCKS and len(format_chunk) >= 20
    block = int.from_bytes(format_chunk[18:20], "little") if in_blocks else 0
    return Riff(is_64, tag, bits, samples, block, offset, length, promised)
