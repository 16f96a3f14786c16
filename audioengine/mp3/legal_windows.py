# SPDX-License-Identifier: Apache-2.0
"""Which windows may follow one another in a channel: those whose overlapping halves fit.

ISO/IEC 11172-3, 2.4.3.4.10.3.
"""

from audioengine.mp3.side_info import BlockType

LEGAL_SUCCESSIONS = frozenset(
    {
        (BlockType.LONG, BlockType.LONG),
        (BlockType.LONG, BlockType.START),
        (BlockType.START, BlockType.SHORT),
        (BlockType.SHORT, BlockType.SHORT),
        (BlockType.SHORT, BlockType.STOP),
        (BlockType.STOP, BlockType.LONG),
        (BlockType.STOP, BlockType.START),
    }
)
