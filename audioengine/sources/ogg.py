# SPDX-License-Identifier: Apache-2.0
"""Reads the pages of an Ogg file: its streams, and whether it is complete (RFC 3533, section 6)."""

from __future__ import annotations

from dataclasses import dataclass

from audioengine.mp3.bytesource import ByteSource

_HEAD_BYTES = 27
_BEGINS, _ENDS = 2, 4
_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class OggPages:
    """What the pages of an Ogg file say."""

    streams: int
    """The number of streams in the file, in sequence or multiplexed."""
    missing_bytes: int
    """The bytes that the last page lacks."""
    is_ended: bool
    """Whether the last page is marked as the end of a stream, which killed recorders leave out."""


def read_pages(source: ByteSource) -> OggPages:
    """Walk over all pages, to the end of the file or to what is no page."""
    count = position = flags = 0
    start, data = 0, b""
    while True:
        if position + _HEAD_BYTES + 255 > start + len(data):
            start, data = position, source.read(position, _READ_BYTES)
        at = position - start
        head = data[at : at + _HEAD_BYTES]
        if len(head) < _HEAD_BYTES or head[:4] != b"OggS":
            missing = position - source.size
            if head and head[:4] == b"OggS"[: len(head)]:
                missing = _HEAD_BYTES - len(head)
            return OggPages(count, max(0, missing), bool(flags & _ENDS))
        flags = head[5]
        count += flags & _BEGINS == _BEGINS
        sizes = data[at + _HEAD_BYTES : at + _HEAD_BYTES + head[26]]
        position += _HEAD_BYTES + head[26] + sum(sizes)
