# SPDX-License-Identifier: Apache-2.0
"""Writes the frames of an output as bytes, and counts them for the report."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from dataclasses import replace as with_fields
from typing import Literal, NamedTuple, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from audioengine.mp3.assemble import SlotWriter, frame_head
from audioengine.mp3.crc import tag_crc
from audioengine.mp3.header import FrameHeader
from audioengine.mp3.main_data import Frame
from audioengine.mp3.reservoir import Placement, SlotRule
from audioengine.mp3.side_info import SideInfo
from audioengine.mp3.tags import ID3V1_BYTES
from audioengine.plan.grid import FrameRange
from audioengine.render.stream import FrameStream

_COPY_BYTES = 1 << 20
_FRAMES_AT_ONCE = 256


Kind: TypeAlias = Literal["verbatim", "slot_rewritten", "spliced", "reencoded", "silent"]
"""How a frame of an output was made.

verbatim: all bytes are the source's; slot_rewritten: header, side information and main data are the
source's, other frames' data in its slot is not; spliced: one party's granules are the source's;
reencoded: no granule is; silent: empty main data.
"""


class _Pending(NamedTuple):
    """A frame in the slot writer."""

    kind: Kind
    original: bytes
    """The bytes of a copied frame before its slot was written to."""


# Re-made frames have no original bytes.
_MADE: dict[Kind, _Pending] = {kind: _Pending(kind, b"") for kind in get_args(Kind)}


@dataclass
class FrameOutput:
    """Writes frames in order and counts them."""

    header: FrameHeader
    """The header fields that re-made frames share with the stream's."""
    write: Callable[[bytes], object]
    counts: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(get_args(Kind), 0))
    audio_bytes: int = 0
    audio_crc: int = 0
    tail: bytes = b""
    """The last bytes, as many as an ID3v1 tag has."""

    def __post_init__(self) -> None:
        self._slots = SlotWriter(self.header.format)
        self._pending: deque[_Pending] = deque()
        self._byte2: list[npt.NDArray[np.uint8]] = []
        self._headers: dict[tuple[int, int], tuple[FrameHeader, int]] = {}

    def copy(self, stream: FrameStream, first: int, last: int) -> None:
        """Copy the stream's frames from `first` to before `last` in bulk."""
        self.flush()
        for block in stream.bulk(first, last):
            self._emit(block)
        self._byte2.append(stream.byte2(first, last))
        self.counts["verbatim"] += last - first

    def silence(self, frames: FrameRange, rule: SlotRule) -> None:
        """Add frames without main data in bulk, by `rule`'s bitrate and padding."""
        self.flush()
        format = self.header.format
        empty = SideInfo(0, (0,) * format.channels, ((0,) * format.channels,) * format.granules)
        cycle = []
        for number in range(frames.first, frames.first + rule.padding_period):
            header, size = self._header(rule.bitrate_index, rule.padding(number))
            cycle.append(frame_head(header, empty).ljust(size, b"\0"))
        blocks = max(1, _COPY_BYTES // sum(map(len, cycle)))
        byte2 = np.array([frame[2] for frame in cycle], dtype=np.uint8)
        for first in range(frames.first, frames.last, blocks * len(cycle)):
            count = min(blocks * len(cycle), frames.last - first)
            turns = -(-count // len(cycle))
            self._emit(b"".join((cycle * turns)[:count]))
            self._byte2.append(np.tile(byte2, turns)[:count])
        self.counts["silent"] += frames.count

    def keep(self, frame: Frame, *, shared: bool) -> None:
        """Add a source frame; `shared` if a re-made frame's main data may lie in its slot.

        A shared frame keeps only its main data; others keep their stuffing too.
        """
        head = frame.data[: frame.header.main_data_offset]
        self._pending.append(_Pending("verbatim", frame.data))
        begin = frame.side_info.main_data_begin
        slots = None if shared else frame.data[frame.header.main_data_offset :]
        self._slots.push(head, frame.slot_bytes, frame.adu, begin, slots)
        self._drain_some()

    def remake(self, kind: Kind, info: SideInfo, adu: bytes, placement: Placement) -> None:
        """Add a re-made frame, counted as `kind`."""
        header, size = self._header(placement.bitrate_index, placement.padding)
        head = frame_head(header, info)
        self._pending.append(_MADE[kind])
        self._slots.push(head, size - len(head), adu, info.main_data_begin)
        self._drain_some()

    def _header(self, bitrate_index: int, padding: int) -> tuple[FrameHeader, int]:
        """The header of a re-made frame, and the frame's size."""
        key = bitrate_index, padding
        if key not in self._headers:
            header = with_fields(
                self.header, bitrate_index=bitrate_index, padding=padding, mode_extension=0
            )
            self._headers[key] = header, header.format.frame_bytes(bitrate_index, padding)
        return self._headers[key]

    def adopt(self, adu: bytes, main_data_begin: int) -> None:
        """Write main data of a frame that will be copied, as far as it lies in held slots."""
        self._slots.adopt(adu, main_data_begin)

    def flush(self) -> None:
        """Finish all frames so far: no later frame reaches into their slots."""
        self._drain(self._slots.flush())

    def _drain_some(self) -> None:
        if len(self._pending) >= _FRAMES_AT_ONCE:
            self._drain(self._slots.finished())

    def _drain(self, frames: list[bytes]) -> None:
        for data in frames:
            kind, original = self._pending.popleft()
            if original and data != original:
                kind = "slot_rewritten"
            self.counts[kind] += 1
        if frames:
            self._byte2.append(np.array([data[2] for data in frames], dtype=np.uint8))
            self._emit(b"".join(frames))

    def _emit(self, data: bytes) -> None:
        self.audio_crc = tag_crc(data, self.audio_crc)
        self.audio_bytes += len(data)
        self.tail = (self.tail + data[-ID3V1_BYTES:])[-ID3V1_BYTES:]
        self.write(data)

    @property
    def byte2(self) -> npt.NDArray[np.uint8]:
        """[shape=(frames,)] Byte 2 of each frame's header, once all are flushed."""
        return np.concatenate(self._byte2)
