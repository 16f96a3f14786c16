# SPDX-License-Identifier: Apache-2.0
"""Finding frames: all of them, where they are, in any bytes, in bounded time."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from audioengine.errors import AudioEngineError, MalformedAudioError, UnsupportedAudioError
from audioengine.mp3 import read_buffer as window
from audioengine.mp3 import scan as scanning
from audioengine.mp3.header import FrameHeader, parse_header
from audioengine.mp3.index import FrameIndex, Junk
from audioengine.mp3.scan import JUNK_BEFORE_FIRST_FRAME, scan
from audioengine.mp3.tags import Tag
from fixtures import mpeg
from tests.strategies import edited_bytes, examples
from tests.support import ALL, WHOLE, Bytes, fixture, indexed, main_data, sound, time_limit

# Far more than any of these inputs takes; a loop without end takes longer.
LIMIT_S = 6


def places(index: FrameIndex) -> list[tuple[int, int]]:
    """Offset and size of each frame."""
    return [(index.offset(frame), index.size(frame)) for frame in range(index.frames)]


def expected_places(frames: list[mpeg.Frame] | tuple[mpeg.Frame, ...]) -> list[tuple[int, int]]:
    return [(frame.offset, len(frame.data)) for frame in frames]


def scanned(data: bytes) -> FrameIndex | None:
    """The index, None where the bytes are refused; nothing else may happen."""
    with time_limit(LIMIT_S):
        try:
            index = scan(Bytes(data))
        except AudioEngineError as raised:
            error = raised
        else:
            prove_sound(index, data)
            return index
    assert isinstance(error, (MalformedAudioError, UnsupportedAudioError))
    assert error.offset is not None
    assert 0 <= error.offset <= len(data)
    assert f"byte {error.offset}" in str(error)
    return None


def prove_sound(index: FrameIndex, data: bytes) -> None:
    """Frames, tags and junk are headers where they should be and cover the file once."""
    assert index.frames > 0
    assert index.samples > 0
    for frame, (offset, size) in enumerate(places(index)):
        header = parse_header(data, offset)
        assert header is not None
        assert header.format == index.format
        assert data[offset + 2] == index.byte2[frame]
        assert size >= header.main_data_offset
    firsts = [segment.first_frame for segment in index.segments]
    assert firsts[0] == 0
    assert sorted(set(firsts)) == firsts
    ends = [*firsts[1:], index.frames]
    parts = [
        (index.offset(first), index.offset(last - 1) + index.size(last - 1))
        for first, last in zip(firsts, ends, strict=True)
    ]
    others: list[Tag | Junk] = [*index.tags, *index.junk]
    if index.incomplete_last is not None:
        others.append(index.incomplete_last)
    parts += [(part.offset, part.offset + part.length) for part in others]
    assert (index.info_tag is None) is (index.tag_at is None)
    if index.tag_at is not None:
        tag = index.tag_at
        header = parse_header(data, tag.offset)
        assert header is not None
        assert header.format.rate_hz == index.format.rate_hz
        # Where it isn't whole, frames begin inside it.
        size = index.sizes[header.word[2]]
        if index.tag_is_detached and header.format != index.format:
            size = header.format.frame_sizes[header.word[2]]
        assert 0 < tag.length <= int(size)
        parts.append((tag.offset, tag.offset + tag.length))
    parts.sort()
    assert parts[0][0] == 0
    assert parts[-1][1] == len(data)
    for (_, end), (start, _) in itertools.pairwise(parts):
        assert end == start
    assert set(index.hollow) <= set(index.lost) <= set(range(index.frames))


@pytest.mark.parametrize("name", WHOLE)
def test_frames_are_where_an_independent_parser_finds_them(name: str) -> None:
    index = scanned(fixture(name))
    assert index is not None
    assert places(index) == expected_places(sound(name))
    assert (index.junk, index.incomplete_last, len(index.segments)) == ((), None, 1)
    first = parse_header(sound(name)[0].data)
    assert index.header == first
    assert index.free_format == (sound(name)[0].kbps == 0)
    assert (index.info_tag is not None) == next(mpeg.frames(fixture(name))).is_tag


@pytest.mark.parametrize("name", [name for name in WHOLE if not name.startswith("free")])
def test_frames_whose_main_data_is_missing_are_lost(name: str) -> None:
    gathered = main_data(sound(name))
    assert indexed(name).lost == tuple(i for i, adu in enumerate(gathered) if adu is None)
    # Cut in the middle, those are lost that reach before the cut.
    tail = sound(name)[len(sound(name)) // 2 :]
    index = scanned(mpeg.join(list(tail)))
    assert index is not None
    gathered = main_data(tail)
    assert index.lost == tuple(i for i, adu in enumerate(gathered) if adu is None)


BASE = "untagged-16k"


def test_damage_is_put_on_record_with_its_place() -> None:
    """What the README of the fixtures says was done to each file."""
    whole = expected_places(sound(BASE))
    at_80 = whole[80][0]
    middle = indexed("junk-in-middle")
    assert middle.junk == (Junk(at_80, 1000),)
    assert places(middle) == whole[:80] + [(at + 1000, size) for at, size in whole[80:]]
    assert middle.lost == (80,)

    start = indexed("junk-at-start")
    assert start.junk == (Junk(0, 500),)
    assert places(start) == [(at + 500, size) for at, size in whole]
    assert start.lost == ()

    inside = indexed("id3v1-in-middle")
    assert (inside.junk, inside.tags) == ((), (Tag("id3v1", at_80, 128),))
    assert places(inside) == whole[:80] + [(at + 128, size) for at, size in whole[80:]]

    cut = indexed("truncated-last-frame")
    assert cut.incomplete_last == Junk(whole[-1][0], 90)
    assert (cut.junk, places(cut)) == ((), whole[:-1])

    zeros = indexed("zeros-in-middle")
    good = [place for place in whole if place[0] <= at_80 or place[0] >= at_80 + 1600]
    assert places(zeros) == good
    assert zeros.junk == (Junk(whole[81][0], good[81][0] - whole[81][0]),)

    missing = indexed("byte-missing")
    behind = [(at - 1, size) for at, size in whole[82:]]
    assert places(missing) == whole[:81] + behind


def test_tags_are_put_on_record_with_their_place() -> None:
    data = fixture("tags-id3-ape")
    every = list(mpeg.frames(data))
    kinds = [(tag.kind, tag.offset) for tag in indexed("tags-id3-ape").tags]
    end = every[-1].offset + len(every[-1].data)
    assert kinds == [("id3v2", 0), ("ape", end), ("id3v1", len(data) - 128)]
    assert [tag.kind for tag in indexed("id3v2-twice").tags] == ["id3v2", "id3v2"]


def test_info_frames_inside_are_told_from_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are counted, since decoders play them, whichever way they are found."""
    assert indexed("naive-concat").inner_tags == (86,)
    tag = next(mpeg.frames(fixture("mpeg2-16k-48k"))).data
    assert b"Info" in tag
    body, places_of_body = long_stream("untagged-16k", 10)
    cuts = [0, 1, 255, 256, 257, 700, 1100, len(places_of_body)]
    ends = [*(places_of_body[cut][0] for cut in cuts[:-1]), len(body)]
    data = tag + tag.join(body[a:b] for a, b in itertools.pairwise(ends))
    expected = tuple(cut + number for number, cut in enumerate(cuts[1:-1]))
    for block in (1 << 20, 50_000):
        monkeypatch.setattr(window, "BLOCK_BYTES", block)
        index = scanned(data)
        assert index is not None
        assert index.inner_tags == expected
        assert index.frames == len(places_of_body) + len(expected)


@pytest.mark.parametrize(
    ("name", "error", "offset"),
    [
        ("empty", MalformedAudioError, 0),
        ("not-audio", MalformedAudioError, 0),
        ("layer2", UnsupportedAudioError, 0),
        ("rate-change", UnsupportedAudioError, len(fixture("untagged-16k"))),
        ("channel-change", UnsupportedAudioError, len(fixture("untagged-8k"))),
    ],
)
def test_what_is_no_recording_is_refused_with_the_place(
    name: str, error: type[Exception], offset: int
) -> None:
    with pytest.raises(error) as caught:
        scan(Bytes(fixture(name)))
    assert isinstance(caught.value, (MalformedAudioError, UnsupportedAudioError))
    assert caught.value.offset == offset


def test_a_lone_tag_frame_is_no_recording() -> None:
    frame = next(mpeg.frames(fixture("mpeg2-16k-48k")))
    with pytest.raises(MalformedAudioError):
        scan(Bytes(frame.data))


def test_junk_before_the_first_frame_is_bounded() -> None:
    noise = random.Random(1).randbytes(JUNK_BEFORE_FIRST_FRAME).replace(b"\xff", b"\xfe")
    body = fixture(BASE)
    index = scanned(noise[:-1] + body)
    assert index is not None
    assert index.junk == (Junk(0, JUNK_BEFORE_FIRST_FRAME - 1),)
    assert scanned(noise + b"\0" + body) is None
    # Tags do not count.
    tag = b"ID3\x04\0\0" + bytes((0, 6, 0, 0)) + bytes(6 << 14)
    index = scanned(tag + noise[:-1] + body)
    assert index is not None
    assert index.junk == (Junk(len(tag), JUNK_BEFORE_FIRST_FRAME - 1),)


def test_a_sync_word_alone_is_not_believed() -> None:
    """Headers in junk that do not chain are junk."""
    header = fixture(BASE)[:4]
    junk = (header + bytes(50)) * 3
    index = scanned(junk + fixture(BASE))
    assert index is not None
    assert index.junk == (Junk(0, len(junk)),)
    body = mpeg.sound(fixture(BASE))
    index = scanned(mpeg.join(body[:80]) + junk + mpeg.join(body[80:]))
    assert index is not None
    assert index.frames == len(body)


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        ("untagged-16k", "freeformat-16k", True),
        ("freeformat-16k", "untagged-16k", True),
        ("freeformat-44k", "untagged-16k", False),
        ("untagged-44k", "freeformat-44k", True),
    ],
)
def test_free_format_and_table_bitrates_in_one_stream_come_to_an_end(
    before: str, after: str, same: bool
) -> None:
    """Whatever is made of it, what is counted is in the stream; another rate is refused."""
    data = mpeg.join(list(sound(before))) + mpeg.join(list(sound(after)))
    index = scanned(data)
    assert index is None or (same and index.frames >= len(sound(before)))


@pytest.mark.parametrize("name", ["mpeg2-16k-48k", "vbr-44k", "mono-8k", "freeformat-16k"])
def test_a_recording_cut_at_any_byte_is_its_whole_frames(name: str) -> None:
    """Or refused, where none is left or free format can't show its size."""
    whole = fixture(name)
    every = sound(name)
    few = every[9].offset
    limits = [*range(0, few, 7), *range(every[5].offset - 5, every[5].offset + 6)]
    for end in limits:
        index = scanned(whole[:end])
        expected = [place for place in expected_places(every) if sum(place) <= end]
        if index is None:
            assert len(expected) < 3
        else:
            assert places(index) == expected
            if index.incomplete_last is not None:
                assert index.incomplete_last.offset == sum(expected[-1])


@given(st.sampled_from(ALL), st.integers(0, 1 << 18))
@examples(100)
def test_any_fixture_cut_anywhere_gives_an_index_or_an_error(name: str, end: int) -> None:
    scanned(fixture(name)[:end])


@pytest.mark.parametrize("name", ["mpeg25-8k-32k", "vbr-16k", "freeformat-44k", "tags-id3-ape"])
@given(data=st.data())
@examples(60)
def test_damaged_recordings_give_an_index_or_an_error(name: str, data: st.DataObject) -> None:
    scanned(data.draw(edited_bytes(name, most=20_000)))


@given(st.binary(max_size=3000))
@examples(200)
@example(b"\xff")
@example(b"\xff\xfb\x90\x00")
@example(b"ID3\x04\0\0\x7f\x7f\x7f\x7f")
@example(b"\xff\xfb\x00\x00" * 2000)
@example(b"\xff\xf3\x14\xc4" * 3000)
def test_random_bytes_give_an_index_or_an_error(data: bytes) -> None:
    scanned(data)


@given(
    st.lists(
        st.tuples(
            st.sampled_from((b"\xff\xfb\x90\x00", b"\xff\xf3\x48\x40", b"\xff\xf3\x08\x40")),
            st.integers(0, 600),
        ),
        max_size=40,
    )
)
@examples(200)
def test_scattered_headers_give_an_index_or_an_error(pieces: list[tuple[bytes, int]]) -> None:
    scanned(b"".join(header + bytes(gap) for header, gap in pieces))


def test_hostile_bytes_cost_little_more_than_honest_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Headers looked at stay a small multiple of the bytes, whatever these are."""
    # Free-format headers no three of which are equally far apart, so that none chains, among
    # bytes that all look like the beginning of another.
    block = bytearray(b"\xff" * 5000)
    for place in range(500):
        if "2" not in _ternary(place):
            block[4 * place : 4 * place + 4] = b"\xff\xf3\x08\x44"
    block[2000:2003] = bytes(3)
    looked = 0

    def counting(data: bytes, offset: int = 0) -> FrameHeader | None:
        nonlocal looked
        looked += 1
        return parse_header(data, offset)

    monkeypatch.setattr(scanning, "parse_header", counting)
    assert scanned(fixture(BASE) * 2) is not None
    honest = looked
    assert scanned(fixture(BASE) + bytes(block) * 2 + fixture(BASE)) is not None
    assert looked - 2 * honest <= 16 * 2 * len(block)


def _ternary(number: int) -> str:
    return (_ternary(number // 3) if number >= 3 else "") + str(number % 3)


def long_stream(name: str, repeats: int) -> tuple[bytes, list[tuple[int, int]]]:
    """A fixture's frames many times over, and where they all are."""
    every = sound(name)
    # A whole number of padding periods, as in one long recording.
    header = parse_header(every[0].data)
    assert header is not None
    period = header.format.padding_period(header.bitrate_index) if header.bitrate_index else 1
    every = every[: len(every) // period * period]
    data = mpeg.join(list(every)) * repeats
    places, at = [], 0
    for frame in every * repeats:
        places.append((at, len(frame.data)))
        at += len(frame.data)
    return data, places


@pytest.mark.parametrize(
    ("name", "repeats"),
    [
        ("untagged-8k", 15),
        ("untagged-16k", 10),
        ("untagged-44k", 8),
        ("mpeg25-11k-32k", 20),
        ("mpeg1-44k-320k", 4),
        ("vbr-44k", 4),
    ],
)
def test_the_bulk_check_of_constant_bitrate_finds_what_a_plain_walk_finds(
    name: str, repeats: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over the borders of blocks, and with damage inside."""
    monkeypatch.setattr(window, "BLOCK_BYTES", 100_000)
    data, places_of_all = long_stream(name, repeats)
    bulk = scanned(data)
    assert bulk is not None
    assert places(bulk) == places_of_all
    damaged = bytearray(data)
    half = len(places_of_all) // 2
    at = places_of_all[half][0]
    damaged[at : at + 4] = bytes(4)
    cut = places_of_all[half + 100][0] + 50
    del damaged[cut : cut + 1]
    with_damage = scanned(bytes(damaged))
    assert with_damage is not None
    assert bulk.frames - 4 <= with_damage.frames < bulk.frames

    monkeypatch.setattr(scanning, "_repeating", lambda *_: None)
    walked = scan(Bytes(data))
    assert places(walked) == places_of_all
    walked = scan(Bytes(bytes(damaged)))
    assert places(walked) == places(with_damage)
    assert (walked.junk, walked.segments) == (with_damage.junk, with_damage.segments)


def test_a_bitrate_that_changes_in_a_constant_stretch_is_followed() -> None:
    data, constant = long_stream("untagged-16k", 5)
    others = mpeg.join(list(sound("vbr-16k")))
    index = scanned(data + others + data)
    assert index is not None
    assert len(index.segments) == 1
    assert index.frames == 2 * len(constant) + len(sound("vbr-16k"))


@pytest.mark.parametrize("block", [4200, 5000, 10_001])
def test_the_size_of_blocks_does_not_matter(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("untagged-44k", "vbr-44k", "byte-missing", "junk-in-middle", "tags-id3-ape", "mono-8k")
    expected = {name: indexed(name) for name in names}
    monkeypatch.setattr(window, "BLOCK_BYTES", block)
    for name, whole in expected.items():
        index = scanned(fixture(name))
        assert index is not None
        assert places(index) == places(whole)
        assert (index.junk, index.tags, index.segments) == (whole.junk, whole.tags, whole.segments)


def test_a_recording_is_read_once_in_blocks() -> None:
    data, _ = long_stream("untagged-44k", 60)
    source = Bytes(data)
    scan(source)
    assert max(length for _, length in source.reads) <= 1 << 20
    assert sum(length for _, length in source.reads) < 1.02 * len(data)


def test_a_source_shorter_than_it_says_is_refused() -> None:
    class Short(Bytes):
        @property
        def size(self) -> int:
            return len(self.data) + 10_000

    with pytest.raises(MalformedAudioError):
        scan(Short(fixture(BASE)))
