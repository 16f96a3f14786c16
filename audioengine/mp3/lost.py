# SPDX-License-Identifier: Apache-2.0
"""Finds lost frames: frames whose main data is missing or impossible.

Decoders disagree about such frames: minimp3 and FFmpeg leave them out, mpg123 plays silence or
noise. The index names them, so that its readers can treat them as silence.

A frame is lost in any of these cases (ISO/IEC 11172-3, 2.4.3.4.2):

- its main data begins before its stretch of consecutive frames, or before the end of the main data
  of the frame before it, or inside a tag frame within the recording;
- its main data ends after the frame;
- its side information has values that the standard forbids: more big_values than a granule has
  pairs of samples, or window switching to the long window (2.4.2.7).

A frame without main data has nothing to lose. If its main data begins too far back, as
text-to-speech services write it, it is hollow too: minimp3 leaves it out like other lost frames,
and it is silent in every decoder.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from audioengine.errors import LimitError
from audioengine.mp3.header import CRC_BYTES, HEADER_BYTES, StreamFormat
from audioengine.mp3.side_info import MAX_BIG_VALUES, granule_layout

MAX_LOST_FRAMES = 250_000
"""The most lost frames of a recording; a day of audio has more than a million frames."""

_Words = npt.NDArray[np.uint64]


class LostFrames:
    """Checks the side information of frames during a scan, one block of bytes at a time."""

    def __init__(self, format: StreamFormat, sizes: npt.NDArray[np.uint16]) -> None:
        layout = granule_layout(format.lsf)
        self._sizes = sizes.astype(np.int64)
        self._side_bytes = format.side_info_bytes
        self._begin_shift = 64 - format.max_main_data_begin.bit_length()
        granules = format.granules * format.channels
        self._granule_bits = [
            8 * format.side_info_bytes - layout.bits * (granules - number)
            for number in range(granules)
        ]
        # For a granule whose first bit is the highest of 64.
        values = 64 - (layout.bits - layout.values_shift)
        self._values_mask, self._most_values = 0x1FF << values, MAX_BIG_VALUES << values
        window = 64 - (layout.bits - layout.window_shift)
        self._window_mask, self._no_window = 0b111 << window, 0b100 << window
        self._numbers: list[int] = []
        self._hollow: list[int] = []
        self._tags: list[int] = []
        self._frames = 0
        self._data = b""
        self._offset = self._next = 0
        self._waiting: list[npt.NDArray[np.int64]] = []
        # In the current stretch: bytes in its slots, and the end of the last main data in them.
        self._slots = self._used = 0

    def add(self, data: bytes, offset: int, byte2: npt.NDArray[np.uint8]) -> None:
        """Add whole consecutive frames from `offset` in `data`, by byte 2 of each.

        Raises LimitError if more than MAX_LOST_FRAMES are lost.
        """
        # A few frames cost as much as many.
        if data is not self._data or offset != self._next:
            self._look()
            self._data = data
            self._offset = self._next = offset
        sizes = self._sizes[byte2]
        self._waiting.append(sizes)
        self._next += int(sizes.sum())

    def tag(self, number: int) -> None:
        """Mark a frame, added or not yet, as a tag frame: its bytes are no main data."""
        self._tags.append(number)

    def end_stretch(self) -> None:
        """End the stretch: the next frame does not directly follow the last one."""
        self._look()
        self._slots = self._used = 0

    def numbers(self) -> tuple[int, ...]:
        """The numbers of lost frames, from 0."""
        self._look()
        return tuple(self._numbers)

    def hollow(self) -> tuple[int, ...]:
        """The numbers of lost frames without main data, so that nothing is missing."""
        self._look()
        return tuple(self._hollow)

    def _look(self) -> None:
        if not self._waiting:
            return
        sizes = np.concatenate(self._waiting)
        self._waiting = []
        starts = np.cumsum(sizes) - sizes + self._offset
        self._offset = self._next
        unprotected = np.frombuffer(self._data, dtype=np.uint8)[starts + 1] & 1
        heads = HEADER_BYTES + CRC_BYTES - CRC_BYTES * unprotected.astype(np.int64)
        begins, bits, impossible = self._side_info(starts + heads)
        ends = np.cumsum(sizes - heads - self._side_bytes) + self._slots
        slots_before = np.concatenate((np.array([self._slots], dtype=np.int64), ends[:-1]))
        first = slots_before - begins
        last = first + (bits + 7 >> 3)
        lost = impossible | (first < 0) | (last > ends)
        behind = self._frames + len(sizes)
        tags = [number - self._frames for number in self._tags if number < behind]
        self._tags = self._tags[len(tags) :]
        last[tags] = ends[tags]
        self._find_overlaps(first, last, lost)
        self._slots = int(ends[-1])
        self._numbers += (np.flatnonzero(lost) + self._frames).tolist()
        self._hollow += (np.flatnonzero(lost & ~impossible & (bits == 0)) + self._frames).tolist()
        if len(self._numbers) > MAX_LOST_FRAMES:
            raise LimitError(f"more than {MAX_LOST_FRAMES} frames have lost their audio")
        self._frames += len(sizes)

    def _side_info(
        self, places: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """By frame at `places`: main_data_begin, main data bits, and whether it is impossible."""
        size = self._side_bytes
        every = np.ndarray((len(self._data) - size + 1,), f"V{size}", self._data, strides=(1,))
        infos = every[places].tobytes()

        def word(byte: int) -> _Words:
            """Eight bytes of each frame as one number, first bit highest."""
            column: _Words = np.ndarray((len(places),), ">u8", infos, byte, (size,))
            return column.astype(np.uint64)

        first = word(0)
        bits = np.zeros(len(places), dtype=np.uint64)
        impossible = np.zeros(len(places), dtype=bool)
        for number, bit in enumerate(self._granule_bits):
            granule = word(bit // 8) << bit % 8 if number else first << bit
            bits += granule >> 52
            impossible |= granule & self._values_mask > self._most_values
            impossible |= granule & self._window_mask == self._no_window
        return (first >> self._begin_shift).astype(np.int64), bits.astype(np.int64), impossible

    def _find_overlaps(
        self,
        first: npt.NDArray[np.int64],
        last: npt.NDArray[np.int64],
        lost: npt.NDArray[np.bool_],
    ) -> None:
        """Add to `lost` frames that begin before the end of the last intact frame's main data."""
        ends = np.maximum.accumulate(np.where(lost, 0, last))
        before = np.maximum(np.concatenate(([0], ends[:-1])), self._used)
        if not (~lost & (first < before)).any():
            self._used = max(self._used, int(ends[-1]))
            return
        frames = zip(first.tolist(), last.tolist(), lost.tolist(), strict=True)
        for place, (begin, end, known) in enumerate(frames):
            if known:
                continue
            if begin < self._used:
                lost[place] = True
            else:
                self._used = end
