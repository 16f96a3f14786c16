# SPDX-License-Identifier: Apache-2.0
"""Metadata around the frames: ID3v1, ID3v2, APE and Lyrics3 tags. Only their length matters.

ID3v2: id3.org "ID3 tag version 2.4.0, Main Structure", 3.1 and 3.4. APE: the APEv1 and APEv2
header and footer of 32 bytes. Lyrics3 v2.00: six digits and ``LYRICS200`` at its end.
"""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import dataclass

from audioengine.errors import LimitError
from audioengine.mp3.bytesource import ByteSource

MAX_TAGS = 10_000
"""The most tags in a file, wherever they are."""

ID3V1_BYTES = 128
_ID3V2_HEADER_BYTES = 10
_ID3V2_FOOTER_FLAG = 0x10
_APE_HEADER_BYTES = 32
_APE_HAS_HEADER = 1 << 31
_LYRICS3_TAIL_BYTES = 15


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag's position in the file."""

    kind: str
    """``id3v2``, ``id3v1``, ``ape`` or ``lyrics3``."""
    offset: int
    length: int


def tag_at(head: bytes, offset: int, left: int) -> Tag | None:
    """The tag that begins with `head` (32 bytes or more if the file has them), or None.

    `left` is the number of bytes from `offset` to the end of the file; a tag that claims more ends
    there.
    """
    if head[:3] == b"ID3" and len(head) >= _ID3V2_HEADER_BYTES and max(head[6:10]) < 0x80:
        # Four bytes of seven bits each, the header not counted.
        size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        footer = _ID3V2_HEADER_BYTES if head[5] & _ID3V2_FOOTER_FLAG else 0
        return Tag("id3v2", offset, min(left, _ID3V2_HEADER_BYTES + size + footer))
    if head[:3] == b"TAG" and left >= ID3V1_BYTES:
        return Tag("id3v1", offset, ID3V1_BYTES)
    if head[:8] == b"APETAGEX" and len(head) >= _APE_HEADER_BYTES:
        # The size field counts items and footer, but not this header.
        size = int.from_bytes(head[12:16], "little")
        return Tag("ape", offset, min(left, _APE_HEADER_BYTES + size))
    return None


def is_id3v1(tail: bytes) -> bool:
    """Whether players take the last 128 bytes of a file for an ID3v1 tag."""
    return len(tail) == ID3V1_BYTES and tail[:3] == b"TAG"


def trailing_tags(source: ByteSource) -> list[Tag]:
    """The tags at the end of the file, last first.

    Raises LimitError for more than MAX_TAGS.
    """
    tags: list[Tag] = []
    end = source.size
    while True:
        tag = _tag_before(source, end)
        if tag is None:
            return tags
        tags.append(tag)
        check_count(tags, tag.offset)
        end = tag.offset


def check_count(tags: Sized, offset: int) -> None:
    """Raise LimitError for too many tags; the last is at `offset`."""
    if len(tags) > MAX_TAGS:
        raise LimitError(f"the source has more than {MAX_TAGS} tags (byte {offset})")


def _tag_before(source: ByteSource, end: int) -> Tag | None:
    start = max(0, end - ID3V1_BYTES)
    tail = source.read(start, end - start)
    # The header of an APE tag that begins three bytes earlier looks like an ID3v1 tag, too.
    ape_header = tail[3:5] == b"EX" and source.read(max(0, start - 3), min(3, start)) == b"APE"
    if is_id3v1(tail) and end == source.size and not ape_header:
        return Tag("id3v1", end - ID3V1_BYTES, ID3V1_BYTES)
    if tail[-_APE_HEADER_BYTES:][:8] == b"APETAGEX" and len(tail) >= _APE_HEADER_BYTES:
        footer = tail[-_APE_HEADER_BYTES:]
        size = int.from_bytes(footer[12:16], "little")
        if int.from_bytes(footer[20:24], "little") & _APE_HAS_HEADER:
            size += _APE_HEADER_BYTES
        if _APE_HEADER_BYTES <= size <= end:
            return Tag("ape", end - size, size)
    if tail[-9:] == b"LYRICS200" and tail[-_LYRICS3_TAIL_BYTES:-9].isdigit():
        size = int(tail[-_LYRICS3_TAIL_BYTES:-9]) + _LYRICS3_TAIL_BYTES
        if size <= end:
            return Tag("lyrics3", end - size, size)
    return None
