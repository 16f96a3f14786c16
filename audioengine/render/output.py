# SPDX-License-Identifier: Apache-2.0
"""The frames of an output on their way to its bytes, and what there is to say of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from dataclasses import replace as with_fields
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from audioengine.mp3.assemble import SlotWriter, frame_head
from audioengine.mp3.bytesource import ByteSource
from audioengine.mp3.crc import tag_crc
from audioengine.mp3.header import FrameHeader
from audioengine.mp3.index import FrameIndex
from audioengine.mp3.main_data import Frame
from audioengine.mp3.reservoir import Placement
from audioengine.mp3.side_info import SideInfo

_COPY_BYTES = 1 << 20
_FRAMES_AT_ONCE = 512


@dataclass(slots=True)
class FrameCounts:
    """How many frames of an output came to be in which way."""

    verbatim: int = 0
    """All bytes are the source's."""
    slot_rewritten: int = 0
    """Header, side information and main data are the source's; slots of others' data are not."""
    spliced: int = 0
    """One party's granules are the source's."""
    reencoded: int = 0
    silent: int = 0
    """Empty main data."""


class _Pending(NamedTuple):
    """A frame in the slot writer."""

    kind: str
    """A field of FrameCounts, or "kept"."""
    original: bytes


@dataclass
class FrameOutput:
    """Writes frames in order and counts them."""

    header: FrameHeader
    """The source's first header: what re-made frames share with it."""
    write: Callable[[bytes], object]
    counts: FrameCounts = field(default_factory=FrameCounts)
    audio_bytes: int = 0
    audio_crc: int = 0

    def __post_init__(self) -> None:
        self._slots = SlotWriter(self.header.format)
        self._pending: deque[_Pending] = deque()
        self._byte2: list[npt.NDArray[np.uint8]] = []
        self._drained: list[bytes] = []
        self._headers: dict[tuple[int, int], tuple[FrameHeader, int]] = {}

    def copy(self, source: ByteSource, index: FrameIndex, first: int, last: int) -> None:
        """Copy the source's frames from `first` to before `last` in bulk."""
        self.flush()
        for part in index.ranges(first, last):
            for offset in range(part.offset, part.offset + part.length, _COPY_BYTES):
                length = min(_COPY_BYTES, part.offset + part.length - offset)
                self._emit(source.read(offset, length))
        self._byte2.append(index.byte2[first:last])
        self.counts.verbatim += last - first

    def keep(self, frame: Frame) -> None:
        """Add a source frame whose slots others may change."""
        head = frame.data[: frame.header.main_data_offset]
        self._pending.append(_Pending("kept", frame.data))
        begin = frame.side_info.main_data_begin
        self._slots.push(head, frame.slot_bytes, frame.adu, begin)
        self._drain(self._slots.finished())

    def remake(self, kind: str, info: SideInfo, adu: bytes, placement: Placement) -> None:
        """Add a re-made frame, counted as `kind`."""
        header, size = self._header(placement.bitrate_index, placement.padding)
        head = frame_head(header, info)
        self._pending.append(_Pending(kind, b""))
        self._slots.push(head, size - len(head), adu, info.main_data_begin)
        self._drain(self._slots.finished())

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
        """Take main data of a frame that will be copied, as far as it lies in slots held here."""
        self._slots.adopt(adu, main_data_begin)

    def flush(self) -> None:
        """Finish all frames so far: no later frame reaches into their slots."""
        self._drain(self._slots.flush())
        self._emit_drained()

    def _drain(self, frames: list[bytes]) -> None:
        for data in frames:
            pending = self._pending.popleft()
            kind = pending.kind
            if kind == "kept":
                kind = "verbatim" if data == pending.original else "slot_rewritten"
            setattr(self.counts, kind, getattr(self.counts, kind) + 1)
            self._drained.append(data)
        if len(self._drained) >= _FRAMES_AT_ONCE:
            self._emit_drained()

    def _emit_drained(self) -> None:
        if self._drained:
            self._byte2.append(np.array([data[2] for data in self._drained], dtype=np.uint8))
            self._emit(b"".join(self._drained))
            self._drained.clear()

    def _emit(self, data: bytes) -> None:
        self.audio_crc = tag_crc(data, self.audio_crc)
        self.audio_bytes += len(data)
        self.write(data)

    @property
    def byte2(self) -> npt.NDArray[np.uint8]:
        """[shape=(frames,)] Byte 2 of each frame's header, once all are flushed."""
        return np.concatenate(self._byte2)
