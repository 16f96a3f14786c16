# SPDX-License-Identifier: Apache-2.0
"""Reads the windows of a source's frames, and which frames code both channels together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from audioengine.mp3.bytesource import ByteSource
from audioengine.mp3.header import CRC_BYTES, HEADER_BYTES
from audioengine.mp3.index import FrameIndex
from audioengine.mp3.side_info import BlockType, granule_layout
from audioengine.mp3.splice import MID_TO_EACH_SIDE
from audioengine.plan.grid import Flags, FrameRange

_Fields = npt.NDArray[np.uint32]


@dataclass(frozen=True)
class SourceWindows:
    """The windows of consecutive frames; lost and missing frames have long ones."""

    there: Flags
    """[shape=(frames,)]"""
    coupled: Flags
    """[shape=(frames,)] The frame codes both channels together, so neither can be taken out."""
    starts_short: Flags
    """[shape=(frames, channels)] The frame begins with the slope of a short window."""
    ends_short: Flags
    """[shape=(frames, channels)] The frame ends with the slope of a short window."""

    @classmethod
    def nothing(cls, frames: int, channels: int) -> SourceWindows:
        """The windows of frames that are not there."""
        none = np.zeros(frames, dtype=bool)
        each = np.zeros((frames, channels), dtype=bool)
        return cls(none, none.copy(), each, each.copy())

    def put(self, place: int, other: SourceWindows) -> None:
        """Copy the windows of other frames, from position `place` on."""
        here = slice(place, place + len(other.there))
        self.there[here] = other.there
        self.coupled[here] = other.coupled
        self.starts_short[here] = other.starts_short
        self.ends_short[here] = other.ends_short


ReadWindows: TypeAlias = Callable[[FrameRange], SourceWindows]


def read_source_windows(source: ByteSource, index: FrameIndex, frames: FrameRange) -> SourceWindows:
    """The windows of a recording's frames."""
    out = SourceWindows.nothing(frames.count, index.format.channels)
    first, last = max(frames.first, 0), min(frames.last, index.frames)
    if first >= last:
        return out
    out.put(first - frames.first, _parsed(source, index, FrameRange(first, last)))
    for frame in (*index.lost_between(first, last), *index.inner_tags):
        if frame in frames:
            nothing = SourceWindows.nothing(1, index.format.channels)
            out.put(frame - frames.first, nothing)
    return out


def _parsed(source: ByteSource, index: FrameIndex, frames: FrameRange) -> SourceWindows:
    format = index.format
    layout = granule_layout(format.lsf)
    # Fields are read four bytes at a time.
    data = np.frombuffer(
        index.read_frames(source, frames.first, frames.last) + bytes(4), dtype=np.uint8
    )
    sizes = index.sizes[index.byte2[frames.first : frames.last]].astype(np.int64)
    heads = np.cumsum(sizes) - sizes
    unprotected = data[heads + 1] & 1
    sides = heads + HEADER_BYTES + CRC_BYTES * (1 - unprotected.astype(np.int64))

    def field(granule: int, channel: int, shift: int, bits: int) -> _Fields:
        """A field of each frame that ends `shift` bits before its granule's end."""
        behind = (format.granules - granule) * format.channels - channel
        place = 8 * format.side_info_bytes - layout.bits * (behind - 1) - shift - bits
        word = np.zeros(len(sides), dtype=np.uint32)
        for byte in range(4):
            word = word << np.uint32(8) | data[sides + place // 8 + byte]
        out: _Fields = word >> np.uint32(32 - place % 8 - bits) & np.uint32((1 << bits) - 1)
        return out

    def windows(granule: int) -> _Fields:
        """[shape=(frames, channels)] The BlockType of each frame's granule."""
        columns = []
        for channel in range(format.channels):
            found = field(granule, channel, layout.window_shift, 3)
            columns.append(np.where(found & 4, found & 3, BlockType.LONG))
        return np.stack(columns, axis=1)

    every = [windows(granule) for granule in range(format.granules)]
    coupled = np.zeros(frames.count, dtype=bool)
    if format.channels == 2:
        # mode 01 is joint stereo; mode_extension 10 is mid/side, 01 intensity.
        byte3 = data[heads + 3]
        joint = byte3 & 0xC0 == 0x40
        intensity = joint & (byte3 & 0x10 > 0)
        coupled = joint & (byte3 & 0x30 > 0)
        equal = np.ones(frames.count, dtype=bool)
        for granule, types in enumerate(every):
            # If the side is empty, left and right are the mid channel, made quieter.
            empty_side = field(granule, 1, layout.length_shift, 12) == 0
            empty = field(granule, 0, layout.length_shift, 12) == 0
            can_be_quieter = field(granule, 0, layout.gain_shift, 8) >= -MID_TO_EACH_SIDE
            alike = types[:, 0] == types[:, 1]
            equal &= empty_side & (empty | can_be_quieter) & alike
        coupled &= intensity | ~equal
    return SourceWindows(
        there=np.ones(frames.count, dtype=bool),
        coupled=coupled,
        starts_short=np.isin(every[0], (BlockType.SHORT, BlockType.STOP)),
        ends_short=np.isin(every[-1], (BlockType.START, BlockType.SHORT)),
    )
