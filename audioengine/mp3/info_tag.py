# SPDX-License-Identifier: Apache-2.0
"""The Xing/Info frame with the LAME extension: frame count, seek table, encoder delay, padding.

The layout is LAME's, which decoders read ("Mp3 info Tag revision 1"); T is the byte after the
side information, L = T + 120::

    T+0 "Xing" or "Info" | +4 flags | +8 frames | +12 bytes | +16 table of 100 | +116 quality
    L+0 encoder 9 | +9 revision, method | +10 low-pass | +11 peak, gains 8 | +19 flags
    | +20 bitrate | +21 delay 12 bits, padding 12 bits | +24 misc | +25 gain | +26 preset
    | +28 music length | +32 CRC of the frames after this one | +34 CRC of this frame up to here

Delay and padding are raw fields: samples that the encoder put before and after the audio.
A decoder adds its own delay of 529 samples, so the audio starts at `encoder_delay` + 529.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from audioengine.mp3.crc import tag_crc
from audioengine.mp3.header import HEADER_BYTES, FrameHeader

DECODER_DELAY = 529
MAX_DELAY = 4095

PREFRAMES = 4
"""Frames before the first audible one that every gapless decoder decodes.

mpg123, and libsndfile with it, skips all frames before these without reading them, so main data in
their slots is lost. Measured with mpg123 1.31.2 and libsndfile 1.2.2; FFmpeg and minimp3 decode all
frames.
"""

# Decoders honour delay and padding only after these names.
GAPLESS_ENCODERS = (b"LAME", b"Lavf", b"Lavc")
TAG_KINDS = (b"Xing", b"Info")

# Fraunhofer's tag is at the same offset in frames of all formats.
VBRI, VBRI_OFFSET = b"VBRI", 36
OWN_ENCODER = b"LAME3.100"

_FRAMES_FLAG, _BYTES_FLAG, _TABLE_FLAG, _QUALITY_FLAG = 1, 2, 4, 8
_ALL_FLAGS = 15
_LAME_OFFSET = 120
_TAG_BYTES = 156
_CRC_BYTES_BEFORE_TAG_CRC = 34


@dataclass(frozen=True, slots=True)
class InfoTag:
    """The contents of the tag frame; None: the tag does not state the value."""

    kind: str
    """``Xing``, ``Info`` or ``VBRI``."""
    frames: int | None
    """Audio frames without the tag frame, but see `FrameIndex.tag_counts_itself`."""
    file_bytes: int | None
    """Length from the tag frame to the end of the last frame."""
    encoder: bytes | None
    """The nine bytes that name the encoder; None without a LAME extension."""
    encoder_delay: int | None
    """Raw field: samples before the audio, without the decoder's own 529."""
    padding: int | None
    """Raw field: samples after the audio, counted before the decoder's delay."""

    @property
    def gapless(self) -> bool:
        """Whether decoders honour delay and padding."""
        return self.encoder is not None and self.encoder.startswith(GAPLESS_ENCODERS)

    @property
    def tells_delay(self) -> bool:
        """Whether it states the encoder's real delay.

        Killed encoders, and stream copies of untagged files, leave a delay of 0. No encoder has
        that delay; LAME's is 576 (its `ENCDELAY`).
        """
        return self.gapless and bool(self.encoder_delay)


def parse_info_tag(frame: bytes, header: FrameHeader) -> InfoTag | None:
    """The tag in the file's first frame; None if that is an audio frame."""
    if frame[VBRI_OFFSET : VBRI_OFFSET + 4] == VBRI:
        return InfoTag(
            "VBRI",
            int.from_bytes(frame[50:54], "big"),
            int.from_bytes(frame[46:50], "big"),
            None,
            None,
            None,
        )
    # LAME writes the tag at the same offset whether a CRC precedes it or not.
    start = HEADER_BYTES + header.format.side_info_bytes
    if header.protected and frame[start : start + 4] not in TAG_KINDS:
        start += 2
    kind = frame[start : start + 4]
    if kind not in TAG_KINDS:
        return None
    flags = int.from_bytes(frame[start + 4 : start + 8], "big")
    position = start + 8
    frames = size = None
    if flags & _FRAMES_FLAG:
        frames = int.from_bytes(frame[position : position + 4], "big")
        position += 4
    if flags & _BYTES_FLAG:
        size = int.from_bytes(frame[position : position + 4], "big")
        position += 4
    position += 100 * bool(flags & _TABLE_FLAG) + 4 * bool(flags & _QUALITY_FLAG)
    lame = frame[position : position + 36]
    if len(lame) < 24 or not any(lame[:9]):
        return InfoTag(kind.decode(), frames, size, None, None, None)
    delay = lame[21] << 4 | lame[22] >> 4
    padding = (lame[22] & 15) << 8 | lame[23]
    return InfoTag(kind.decode(), frames, size, lame[:9], delay, padding)


def tag_header(like: FrameHeader) -> FrameHeader:
    """The header of a tag frame for a stream of frames `like` this one."""
    format = like.format
    need = HEADER_BYTES + format.side_info_bytes + _TAG_BYTES
    index = next(index for index in range(1, 15) if format.frame_bytes(index) >= need)
    # Without a CRC even in a protected stream: minimp3 does not find the tag after one.
    return FrameHeader(format, False, index, 0, like.mode, 0, like.flags)


def tag_frame_bytes(like: FrameHeader) -> int:
    """Size of the tag frame for a stream of frames `like` this one."""
    header = tag_header(like)
    return header.format.frame_bytes(header.bitrate_index)


def build_info_tag(
    like: FrameHeader,
    *,
    constant_bitrate: bool,
    lowest_kbps: int,
    frames: int,
    audio_bytes: int,
    audio_crc: int,
    frame_offsets: Sequence[int],
    encoder: bytes,
    encoder_delay: int,
    padding: int,
) -> bytes:
    """The whole tag frame for a stream of frames `like` this one.

    `frames`, `audio_bytes` and `audio_crc` describe the frames after the tag; `frame_offsets`
    are 100 byte offsets, from the first audio frame, of the frames at 0 %, 1 % … 99 %;
    `lowest_kbps` is the (lowest) bitrate; `encoder` is nine bytes that begin with one of
    GAPLESS_ENCODERS; `encoder_delay` and `padding` are raw fields from 0 to 4095.
    """
    for name, value in (("encoder_delay", encoder_delay), ("padding", padding)):
        if not 0 <= value <= MAX_DELAY:
            raise ValueError(f"{name} {value} is outside 0 to {MAX_DELAY}")
    header = tag_header(like)
    size = header.format.frame_bytes(header.bitrate_index)
    total = size + audio_bytes
    table = bytes(min(255, 256 * (size + offset) // total) for offset in frame_offsets)
    body = b"".join(
        (
            b"Info" if constant_bitrate else b"Xing",
            _ALL_FLAGS.to_bytes(4, "big"),
            frames.to_bytes(4, "big"),
            min(total, 0xFFFFFFFF).to_bytes(4, "big"),
            table,
            bytes(4),
            encoder.ljust(9, b"\0")[:9],
            # Revision 0; method 1 is constant bitrate, 0 does not say.
            bytes((1 if constant_bitrate else 0,)),
            # Low-pass, peak and both gains unknown; no flags.
            bytes(10),
            bytes((min(lowest_kbps, 255),)),
            (encoder_delay << 12 | padding).to_bytes(3, "big"),
            bytes(4),
            min(total, 0xFFFFFFFF).to_bytes(4, "big"),
            audio_crc.to_bytes(2, "big"),
        )
    )
    start = HEADER_BYTES + header.format.side_info_bytes
    head = header.word + bytes(header.format.side_info_bytes) + body
    assert len(head) == start + _LAME_OFFSET + _CRC_BYTES_BEFORE_TAG_CRC
    return (head + tag_crc(head).to_bytes(2, "big")).ljust(size, b"\0")
