# SPDX-License-Identifier: Apache-2.0
"""The bit reservoir: places the main data of re-made frames (ISO/IEC 11172-3, 2.4.3.4.2).

Seen as one stream, the main data slots of all frames follow one another, and each frame's own
main data (the ADU of RFC 5219) starts `main_data_begin` bytes before the frame's own slot and
ends inside it. ADUs stay in order, so one number describes the state before a frame: how many
slot bytes `behind` its own slot are still free.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from audioengine.mp3.header import StreamFormat


class Placement(NamedTuple):
    """The position of a re-made frame's ADU, and the size of the frame."""

    main_data_begin: int
    bitrate_index: int
    padding: int
    free: int
    """Free slot bytes before the next frame."""


@dataclass(frozen=True)
class SlotRule:
    """The sizes that re-made frames may take: a base bitrate, its padding pattern, overhead."""

    format: StreamFormat
    bitrate_index: int
    padded: bool
    """Whether frames follow the padding pattern of an exact constant bitrate."""
    overhead: int
    """Bytes of a frame outside its slot: header, CRC and side information."""

    @cached_property
    def slots(self) -> tuple[int, ...]:
        """Main data bytes of an unpadded frame, by bitrate_index."""
        sizes = (self.format.frame_bytes(index) for index in range(1, 15))
        return (0, *(size - self.overhead for size in sizes))

    @cached_property
    def _pattern(self) -> tuple[int, ...]:
        """The padding bits of the first frames, until they repeat."""
        if not self.padded:
            return (0,)
        period = self.format.padding_period(self.bitrate_index)
        return tuple(self.format.padding_at(self.bitrate_index, frame) for frame in range(period))

    @property
    def padding_period(self) -> int:
        """Frames after which the padding repeats."""
        return len(self._pattern)

    def padding(self, frame: int) -> int:
        """The padding bit of the re-made frame with this number."""
        return self._pattern[frame % len(self._pattern)]

    def slot(self, frame: int) -> int:
        """Main data bytes of the re-made frame with this number, at the base bitrate."""
        return self.slots[self.bitrate_index] + self.padding(frame)


def lay(length: int, frame: int, behind: int, reserve: int, rule: SlotRule) -> Placement | None:
    """Place the ADU of re-made frame number `frame` as early as possible.

    `length` is the ADU's size in bytes, `behind` the free slot space before the frame, `reserve`
    the space that must be free after it for later frames. A frame that does not fit takes the
    lowest bitrate that holds it; the result is None if even the highest does not.
    """
    begin = min(behind, rule.format.max_main_data_begin)
    padding = rule.padding(frame)
    free = begin + rule.slots[rule.bitrate_index] + padding - length
    if free >= reserve:
        return Placement(begin, rule.bitrate_index, padding, free)
    for index in range(rule.bitrate_index + 1, 15):
        free = begin + rule.slots[index] - length
        if free >= reserve:
            return Placement(begin, index, 0, free)
    return None
