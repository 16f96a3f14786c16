# SPDX-License-Identifier: Apache-2.0
"""The bit reservoir: where re-made frames' main data goes (ISO/IEC 11172-3, 2.4.3.4.2).

Seen as one stream, the main data slots of all frames follow one another, and each frame's own
main data (the ADU of RFC 5219) starts `main_data_begin` bytes before the frame's own slot and
ends inside it. ADUs stay in order, so one number describes the state before a frame: how many
slot bytes `behind` its own slot are still free.
"""

from __future__ import annotations

from dataclasses import dataclass

from audioengine.mp3.header import StreamFormat


@dataclass(frozen=True, slots=True)
class Placement:
    """Where one re-made frame's ADU lies and how large the frame became."""

    main_data_begin: int
    bitrate_index: int
    padding: int
    free: int
    """Free slot bytes before the frame that follows."""


@dataclass(frozen=True, slots=True)
class SlotRule:
    """The sizes that re-made frames may take: a base bitrate, its padding pattern, overhead."""

    format: StreamFormat
    bitrate_index: int
    padded: bool
    """Whether frames follow the padding pattern of an exact constant bitrate."""
    overhead: int
    """Bytes of a frame that are no slot: header, CRC and side information."""

    def padding(self, frame: int) -> int:
        """The padding bit of the re-made frame with this number."""
        return self.format.padding_at(self.bitrate_index, frame) if self.padded else 0

    def slot(self, bitrate_index: int, padding: int) -> int:
        """Main data bytes of a frame of that size."""
        return self.format.frame_bytes(bitrate_index, padding) - self.overhead


def lay(length: int, frame: int, behind: int, reserve: int, rule: SlotRule) -> Placement | None:
    """Place the ADU of re-made frame number `frame` as early as it may lie.

    `length` are the ADU's bytes, `behind` is the free slot space before the frame, `reserve` what
    must be free after it so that later frames find their place. A frame that does not fit takes
    the lowest bitrate that holds it; None where even the highest does not.
    """
    begin = min(behind, rule.format.max_main_data_begin)
    padding = rule.padding(frame)
    for index in range(rule.bitrate_index, 15):
        free = begin + rule.slot(index, padding) - length
        if free >= reserve:
            return Placement(begin, index, padding, free)
        padding = 0
    return None
