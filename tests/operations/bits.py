# SPDX-License-Identifier: Apache-2.0
"""Frames taken apart and put together on the tests' side, apart from audioengine."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fixtures import mpeg


@dataclass(frozen=True)
class ChannelBits:
    """One channel's part of a frame, bit for bit."""

    scfsi: int
    fields: tuple[int, ...]
    """Of each granule's side information, as one number."""
    data: tuple[str, ...]
    """Of each granule's main data, as ones and zeros."""
    width: int
    """Bits of one granule's side information."""

    @property
    def halved(self) -> ChannelBits:
        """The same, with half the power: global_gain, the field behind 21 bits, two lower."""
        quieter = tuple(
            packed - (2 << self.width - 29) if bits else packed
            for packed, bits in zip(self.fields, self.data, strict=True)
        )
        return ChannelBits(self.scfsi, quieter, self.data, self.width)


@dataclass(frozen=True)
class Sound:
    """One audio frame with its own main data."""

    frame: mpeg.Frame
    adu: bytes | None
    """None where its main data is not there."""
    slot: tuple[int, int]
    """Where its slots are, in the stream of all slots."""
    place: tuple[int, int]
    """Where its main data is, in the stream of all slots."""

    @property
    def data(self) -> bytes:
        return self.frame.data

    @property
    def head(self) -> bytes:
        """Header, CRC and side information."""
        return self.data[: self.frame.side_offset + self.frame.side_length]

    @property
    def coupled(self) -> bool:
        """Whether the channels are coded together."""
        return bool(self.frame.mode_extension)

    @property
    def equal(self) -> bool:
        """Whether it is mid/side with nothing in the side channel."""
        sides = [granule[1:] for granule in self.frame.part2_3_lengths]
        return self.frame.mode_extension == 2 and not any(map(any, sides))

    @cached_property
    def channels(self) -> tuple[ChannelBits, ...]:
        """What stands in the frame for each channel; of a mid/side frame, for mid and side."""
        frame = self.frame
        lsf, count = frame.version != 3, frame.channels
        width, first = _layout(frame)
        adu = self.adu or b""
        word, left = int.from_bytes(adu, "big"), 8 * len(adu)
        fields: list[list[int]] = [[] for _ in range(count)]
        data: list[list[str]] = [[] for _ in range(count)]
        for granule, lengths in enumerate(frame.part2_3_lengths):
            for channel, length in enumerate(lengths):
                at = first + width * (granule * count + channel)
                fields[channel].append(frame.side_bits(at, width))
                left -= length
                data[channel].append(_digits(word >> max(left, 0), length))
        scfsi = [0 if lsf else frame.side_bits(first - 4 * (count - i), 4) for i in range(count)]
        return tuple(
            ChannelBits(scfsi[i], tuple(fields[i]), tuple(data[i]), width) for i in range(count)
        )


def _layout(frame: mpeg.Frame) -> tuple[int, int]:
    """Bits of a granule's side information, and where the first one is."""
    if frame.version == 3:
        return 59, 18 if frame.channels == 1 else 20
    return 63, 9 if frame.channels == 1 else 10


def _digits(word: int, length: int) -> str:
    return f"{word & (1 << length) - 1:0{length}b}" if length else ""


def sounds(frames: Sequence[mpeg.Frame]) -> list[Sound]:
    """The frames with their own main data."""
    slots = b""
    out = []
    for frame in frames:
        start = len(slots)
        begin = start - frame.main_data_begin
        slots += frame.data[frame.side_offset + frame.side_length :]
        end = begin + (sum(map(sum, frame.part2_3_lengths)) + 7) // 8
        adu = slots[begin:end] if begin >= 0 and end <= len(slots) else None
        out.append(Sound(frame, adu, (start, len(slots)), (begin, end)))
    return out


def owned_slots(every: Sequence[Sound]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which bytes of the stream of all slots are main data of a frame."""
    owned = np.zeros(every[-1].slot[1], dtype=bool)
    for sound in every:
        owned[slice(*sound.place)] = True
    return owned


def frame_size(head: bytes, bitrate: int) -> int:
    """Bytes of an unpadded frame with this header at another bitrate index."""
    frame = mpeg.Frame(0, bytes((head[0], head[1], bitrate << 4 | head[2] & 0x0C, head[3])))
    return (144000 if frame.version == 3 else 72000) * frame.kbps // frame.rate


def _plain_header(frame: mpeg.Frame) -> bytes:
    """The header of a frame like this one: no CRC, no coupling, room for a tag."""
    head = frame.data[:4]
    bitrate = 1
    while frame_size(head, bitrate) < 4 + frame.side_length + 156:
        bitrate += 1
    return bytes((0xFF, head[1] | 1, bitrate << 4 | head[2] & 0x0C, head[3] & 0xCF))


def silent_frame(like: mpeg.Frame) -> mpeg.Frame:
    """A frame without main data."""
    head = _plain_header(like)
    return mpeg.Frame(0, head.ljust(frame_size(head, head[2] >> 4), b"\0"))


def with_tag(frames: Sequence[mpeg.Frame], delay: int, padding: int) -> bytes:
    """The frames behind an Info frame that decoders honour."""
    body = mpeg.join(list(frames))
    tag = bytearray(silent_frame(frames[0]).data)
    at = 4 + frames[0].side_length
    tag[at : at + 4] = b"Xing"
    tag[at + 4 : at + 8] = (15).to_bytes(4, "big")
    tag[at + 8 : at + 12] = len(frames).to_bytes(4, "big")
    tag[at + 12 : at + 16] = (len(tag) + len(body)).to_bytes(4, "big")
    tag[at + 120 : at + 129] = b"LAME3.100"
    tag[at + 141 : at + 144] = (delay << 12 | padding).to_bytes(3, "big")
    return bytes(tag) + body


def emptied(frames: Sequence[mpeg.Frame], silent: Collection[int]) -> list[mpeg.Frame]:
    """The frames, those that are silent without main data of their own; their windows stay.

    They reach back as far as they can: of what is before them, decoders keep no more for the next.
    """
    out = []
    free = 0
    for number, frame in enumerate(frames):
        begin, used = frame.main_data_begin, (sum(map(sum, frame.part2_3_lengths)) + 7) // 8
        if number in silent:
            most = (1 << (9 if frame.version == 3 else 8)) - 1
            begin, used = min(free, most), 0
            frame = _without_data(frame, begin)  # noqa: PLW2901
        out.append(frame)
        end = frame.side_offset + frame.side_length
        free = max(0, begin - used + len(frame.data) - end)
    return out


def _without_data(frame: mpeg.Frame, main_data_begin: int) -> mpeg.Frame:
    """The frame with nothing in its side information but main_data_begin and its windows."""
    width, first = _layout(frame)
    begin_bits = 9 if frame.version == 3 else 8
    side = main_data_begin << 8 * frame.side_length - begin_bits
    # Behind 12 + 9 + 8 bits and scalefac_compress: window_switching_flag and block_type.
    switch = 12 + 9 + 8 + (4 if frame.version == 3 else 9)
    for granule in range(len(frame.part2_3_lengths) * frame.channels):
        at = first + width * granule + switch
        side |= frame.side_bits(at, 3) << 8 * frame.side_length - at - 3
    start, end = frame.side_offset, frame.side_offset + frame.side_length
    data = frame.data[:start] + side.to_bytes(frame.side_length, "big") + frame.data[end:]
    return mpeg.Frame(frame.offset, data)


def without_leftovers(frames: Sequence[mpeg.Frame]) -> list[mpeg.Frame]:
    """The frames with zero in all slots that belong to none: minimp3 reads on in broken ones."""
    every = sounds(frames)
    owned = owned_slots(every)
    out = []
    for sound in every:
        slots = np.frombuffer(sound.data[len(sound.head) :], dtype=np.uint8)
        kept = np.where(owned[slice(*sound.slot)], slots, 0).astype(np.uint8)
        out.append(mpeg.Frame(sound.frame.offset, sound.head + kept.tobytes()))
    return out


def repacked(frames: Sequence[mpeg.Frame]) -> list[mpeg.Frame]:
    """The same audio, each frame at the highest bitrate with its main data in itself."""
    out = []
    for sound in sounds(frames):
        frame = sound.frame
        assert sound.adu is not None
        head = bytes((0xFF, frame.data[1] | 1, 14 << 4 | frame.data[2] & 0x0C, frame.data[3]))
        side = bytearray(sound.head[-frame.side_length :])
        # main_data_begin: nine bits, eight in LSF.
        side[0] = 0
        side[1] &= 0x7F if frame.version == 3 else 0xFF
        size = frame_size(head, 14)
        data = (head + bytes(side) + sound.adu).ljust(size, b"\0")
        assert len(data) == size
        out.append(mpeg.Frame(0, data))
    return out


def joined(frame: mpeg.Frame, parts: Sequence[ChannelBits]) -> mpeg.Frame | None:
    """The frame with these channels, standing alone; None where they don't fit into it."""
    width, first = _layout(frame)
    scfsi = "" if frame.version != 3 else "".join(f"{part.scfsi:04b}" for part in parts)
    side = "0" * (first - len(scfsi)) + scfsi
    main = ""
    for granule in range(len(parts[0].data)):
        for part in parts:
            side += f"{part.fields[granule]:0{width}b}"
            main += part.data[granule]
    main += "0" * (-len(main) % 8)
    data = frame.data[: frame.side_offset] + _packed(side) + _packed(main)
    if len(data) > len(frame.data):
        return None
    return mpeg.Frame(frame.offset, data.ljust(len(frame.data), b"\0"))


def _packed(digits: str) -> bytes:
    assert len(digits) % 8 == 0
    return int(digits, 2).to_bytes(len(digits) // 8, "big") if digits else b""


def all_frames(data: bytes) -> tuple[list[mpeg.Frame], set[int]]:
    """All frames of a file with damage, and the numbers of those behind a gap."""
    found: list[mpeg.Frame] = []
    after_gap = set()
    at = 0
    while at < len(data):
        try:
            part = list(mpeg.frames(data[at:]))
        except ValueError:
            # Bytes that look like a header in free format.
            part = []
        if len(part) >= 3 or (part and not found):
            if found:
                after_gap.add(len(found))
            found += (mpeg.Frame(at + frame.offset, frame.data) for frame in part)
            at = found[-1].offset + len(found[-1].data)
            continue
        at = data.find(b"\xff", at + 1)
        if at < 0:
            break
    return found, after_gap


def frame_crc(frame: mpeg.Frame) -> bytes:
    """The CRC that belongs into a protected frame (ISO/IEC 11172-3, 2.4.3.1)."""
    crc = 0xFFFF
    for byte in frame.data[2:4] + frame.data[6 : 6 + frame.side_length]:
        for shift in range(7, -1, -1):
            top = crc >> 15 ^ byte >> shift & 1
            crc = crc << 1 & 0xFFFF ^ (0x8005 if top else 0)
    return crc.to_bytes(2, "big")


_ARC = [mpeg.crc16_arc(bytes((byte,))) for byte in range(256)]


def tag_crc(data: bytes) -> int:
    """The CRC of LAME's tag, by table."""
    crc = 0
    for byte in data:
        crc = crc >> 8 ^ _ARC[(crc ^ byte) & 0xFF]
    return crc
