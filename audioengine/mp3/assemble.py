# SPDX-License-Identifier: Apache-2.0
"""Turns frames back into bytes: header, CRC, side information, and slots with main data."""

from __future__ import annotations

from collections import deque

from audioengine.mp3.crc import frame_crc
from audioengine.mp3.header import FrameHeader, StreamFormat
from audioengine.mp3.side_info import SideInfo, pack_side_info


def frame_head(header: FrameHeader, side_info: SideInfo) -> bytes:
    """The bytes of a frame before its slots."""
    word = header.word
    side = pack_side_info(side_info, header.format)
    return word + (frame_crc(word, side) if header.protected else b"") + side


class SlotWriter:
    """Writes consecutive frames, holding them while later frames may still fill their slots.

    A slot byte outside all ADUs is zero, unless the frame came with its own slots.
    """

    def __init__(self, format: StreamFormat) -> None:
        self._reach = format.max_main_data_begin
        self._heads: deque[tuple[bytes, int]] = deque()
        self._slots = bytearray()

    def push(
        self,
        head: bytes,
        slot_bytes: int,
        adu: bytes,
        main_data_begin: int,
        slots: bytes | None = None,
    ) -> None:
        """Add a frame. Bytes of `adu` that lie before the first held frame are left out.

        slots: the `slot_bytes` bytes that its slots hold at first.
        """
        start = len(self._slots) - main_data_begin
        self._slots += bytes(slot_bytes) if slots is None else slots
        self._heads.append((head, slot_bytes))
        self._write(start, adu)

    def adopt(self, adu: bytes, main_data_begin: int) -> None:
        """Write the part of a later frame's `adu` that lies in the held slots.

        `main_data_begin` counts from the end of these slots.
        """
        start = len(self._slots) - main_data_begin
        self._write(start, adu[: max(0, len(self._slots) - start)])

    def _write(self, start: int, adu: bytes) -> None:
        if start < 0:
            adu, start = adu[-start:], 0
        if start + len(adu) > len(self._slots):
            raise ValueError("main data ends behind its frame's slots")
        self._slots[start : start + len(adu)] = adu

    def finished(self) -> list[bytes]:
        """Release the frames whose slots no later frame can reach."""
        return self._take(len(self._slots) - self._reach)

    def flush(self) -> list[bytes]:
        """Release all held frames."""
        return self._take(len(self._slots))

    def _take(self, end: int) -> list[bytes]:
        out = []
        position = 0
        while self._heads and position + self._heads[0][1] <= end:
            head, size = self._heads.popleft()
            out.append(head + self._slots[position : position + size])
            position += size
        del self._slots[:position]
        return out
