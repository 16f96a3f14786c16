# SPDX-License-Identifier: Apache-2.0
"""Counts the streams of an Ogg file: RFC 3533, section 6."""

from __future__ import annotations

from audioengine.mp3.bytesource import ByteSource

_HEAD_BYTES = 27
_BEGINS = 2
_READ_BYTES = 1 << 20


def streams_in(source: ByteSource) -> int:
    """The number of streams in the file, in sequence or multiplexed."""
    count = position = 0
    start, data = 0, b""
    while True:
        if position + _HEAD_BYTES + 255 > start + len(data):
            start, data = position, source.read(position, _READ_BYTES)
        at = position - start
        head = data[at : at + _HEAD_BYTES]
        if len(head) < _HEAD_BYTES or head[:4] != b"OggS":
            return count
        count += head[5] & _BEGINS == _BEGINS
        sizes = data[at + _HEAD_BYTES : at + _HEAD_BYTES + head[26]]
        position += _HEAD_BYTES + head[26] + sum(sizes)
