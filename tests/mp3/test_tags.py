# SPDX-License-Identifier: Apache-2.0
"""Metadata around the frames: where it begins and ends."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioengine.mp3.tags import Tag, tag_at, trailing_tags
from fixtures import mpeg
from tests.support import Bytes, fixture

ID3V1 = b"TAG" + b"x" * 125
HAS_HEADER, IS_HEADER = 1 << 31, 1 << 29


def id3v2(body: bytes, *, footer: bool = False) -> bytes:
    size = bytes(len(body) >> shift & 0x7F for shift in (21, 14, 7, 0))
    head = b"\x04\0" + bytes([0x10 if footer else 0]) + size
    return b"ID3" + head + body + (b"3DI" + head if footer else b"")


def ape_end(items: int, flags: int, version: int = 2000) -> bytes:
    """An APE header or footer for a tag of so many bytes of items."""
    fields = (version, items + 32, 1, flags)
    return b"APETAGEX" + b"".join(field.to_bytes(4, "little") for field in fields) + bytes(8)


def ape(items: bytes, *, header: bool = True) -> bytes:
    flags = HAS_HEADER if header else 0
    head = ape_end(len(items), flags | IS_HEADER) if header else b""
    version = 2000 if header else 1000
    return head + items + ape_end(len(items), flags, version)


def lyrics3(body: bytes) -> bytes:
    content = b"LYRICSBEGIN" + body
    return content + b"%06dLYRICS200" % len(content)


# Text of small letters can't be taken for any tag.
text = st.text("abcdefgh \n", max_size=300).map(str.encode)
trailers = st.one_of(
    st.tuples(st.just("ape"), text.map(ape)),
    st.tuples(st.just("ape"), text.map(lambda items: ape(items, header=False))),
    st.tuples(st.just("lyrics3"), text.map(lyrics3)),
)


@given(text, st.lists(trailers, max_size=3), st.booleans())
def test_tags_at_the_end_are_all_found_last_first(
    body: bytes, tags: list[tuple[str, bytes]], id3v1: bool
) -> None:
    if id3v1:
        tags = [*tags, ("id3v1", ID3V1)]
    expected = []
    data = body
    for kind, tag in tags:
        expected.append(Tag(kind, len(data), len(tag)))
        data += tag
    assert trailing_tags(Bytes(data)) == expected[::-1]


@given(st.binary(max_size=400), st.sampled_from((b"", ID3V1, b"999999LYRICS200", ape_end(9, 0))))
def test_what_is_found_at_the_end_reaches_to_the_end_and_never_before_the_start(
    data: bytes, tail: bytes
) -> None:
    data += tail
    found = trailing_tags(Bytes(data))
    assert all(tag.offset >= 0 and tag.length > 0 for tag in found)
    assert [tag.offset for tag in found[:-1]] == [tag.offset + tag.length for tag in found[1:]]
    if found:
        assert found[0].offset + found[0].length == len(data)


@given(st.binary(max_size=5000), st.booleans(), st.binary(max_size=50), st.integers(0, 99))
def test_an_id3v2_tag_is_as_long_as_it_says_footer_included(
    body: bytes, footer: bool, after: bytes, offset: int
) -> None:
    tag = id3v2(body, footer=footer)
    data = tag + after
    assert tag_at(data[:32], offset, len(data)) == Tag("id3v2", offset, len(tag))


def test_an_id3v2_size_uses_all_four_bytes_of_seven_bits() -> None:
    head = b"ID3\x04\0\0\x01\x02\x03\x04"
    size = (1 << 21) + (2 << 14) + (3 << 7) + 4
    assert tag_at(head, 0, 1 << 30) == Tag("id3v2", 0, size + 10)
    assert tag_at(head, 0, 1000) == Tag("id3v2", 0, 1000), "a tag can't end behind the file"
    assert tag_at(b"ID3\x04\0\0\x01\x02\x80\x04", 0, 1 << 30) is None, "no size of seven bits"
    assert tag_at(head[:9], 0, 1 << 30) is None


def test_an_id3v1_tag_has_128_bytes() -> None:
    assert tag_at(ID3V1[:32], 7, 128) == Tag("id3v1", 7, 128)
    assert tag_at(ID3V1[:32], 7, 127) is None


@given(text)
def test_an_ape_tag_is_found_at_its_header(items: bytes) -> None:
    tag = ape(items)
    assert tag_at(tag[:32], 5, len(tag) + 9) == Tag("ape", 5, len(tag))
    assert tag_at(tag[:32], 5, 40) == Tag("ape", 5, 40), "a tag can't end behind the file"
    assert tag_at(tag[:31], 5, len(tag)) is None


def test_two_id3v1_tags_are_a_tag_and_something_else() -> None:
    """Only the last 128 bytes of a file are an ID3v1 tag."""
    assert trailing_tags(Bytes(b"abc" + ID3V1 + ID3V1)) == [Tag("id3v1", 131, 128)]


@pytest.mark.parametrize("claim", [(1 << 32) - 1 - 32, 1 << 20])
def test_an_ape_footer_that_claims_more_than_the_file_is_none(claim: int) -> None:
    assert trailing_tags(Bytes(b"abc" * 50 + ape_end(claim, 0))) == []


@given(st.binary(max_size=40), st.integers(0, 1000))
def test_any_bytes_are_a_tag_inside_the_file_or_none(head: bytes, left: int) -> None:
    for start in (head, b"ID3" + head, b"APETAGEX" + head, b"TAG" + head):
        tag = tag_at(start, 0, left)
        assert tag is None or 0 <= tag.length <= left


def test_the_tags_of_a_recording_end_where_its_frames_begin_and_begin_where_they_end() -> None:
    data = fixture("tags-id3-ape")
    every = list(mpeg.frames(data))
    first, last = every[0], every[-1]
    head = tag_at(data[:32], 0, len(data))
    assert head == Tag("id3v2", 0, first.offset)
    found = trailing_tags(Bytes(data))
    assert [tag.kind for tag in found] == ["id3v1", "ape"]
    assert found[-1].offset == last.offset + len(last.data)
    assert all(low.offset > high.offset for low, high in pairwise(found))
