# SPDX-License-Identifier: Apache-2.0
"""The lines of a manifest, read in blocks: memory does not grow with their number."""

from __future__ import annotations

from collections.abc import Iterator

from audioengine.errors import LimitError
from audioengine.storage import Source

_BLOCK_BYTES = 1 << 16
_LONGEST_LINE_BYTES = 8 << 20


def lines(source: Source) -> Iterator[bytes]:
    """The lines of a text, without their ends.

    Raises StorageError, and LimitError for a line without end.
    """
    return split(
        source.read(offset, _BLOCK_BYTES) for offset in range(0, source.size, _BLOCK_BYTES)
    )


def split(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The lines of a text that comes in blocks, without their ends.

    Raises LimitError for a line without end, and what `blocks` raises.
    """
    rest = b""
    for block in blocks:
        rest += block
        *whole, rest = rest.split(b"\n")
        yield from map(_bounded, whole)
        _bounded(rest)
    if rest:
        yield rest


def _bounded(line: bytes) -> bytes:
    if len(line) > _LONGEST_LINE_BYTES:
        raise LimitError(f"a line of the manifest is longer than {_LONGEST_LINE_BYTES} bytes")
    return line
