# SPDX-License-Identifier: Apache-2.0
"""Finds the frames of a file in one pass over its bytes, from any source, in blocks."""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from audioengine.errors import LimitError, MalformedAudioError, UnsupportedAudioError
from audioengine.mp3.bytesource import ByteSource
from audioengine.mp3.header import (
    CRC_BYTES,
    HEADER_BYTES,
    PADDING_BIT,
    FrameHeader,
    Mode,
    StreamFormat,
    parse_header,
)
from audioengine.mp3.index import ByteRange, FrameIndex, Junk, Segment
from audioengine.mp3.info_tag import TAG_KINDS, VBRI, VBRI_OFFSET, InfoTag, parse_info_tag
from audioengine.mp3.lost import LostFrames
from audioengine.mp3.other_layers import refuse_other_layers
from audioengine.mp3.read_buffer import Window
from audioengine.mp3.tags import Tag, check_count, tag_at, trailing_tags

JUNK_BEFORE_FIRST_FRAME = 64 * 1024
"""The most bytes before the first frame, without tags."""

CHAINED_HEADERS = 3
"""Headers that must follow one another before a sync word counts as a frame."""

MAX_GAPS = 10_000
"""The most interruptions of the frames of a file; each one starts a search."""

MAX_FALSE_HEADERS = 100_000
"""The most false headers in a file. Random bytes have one in 16,000."""

# What can begin a Layer III frame: sync word and version, then bitrate and rate.
_SYNC = re.compile(
    b"\xff[\xe2\xe3\xf2\xf3\xfa\xfb]["
    + b"".join(re.escape(bytes((b,))) for b in range(0xF0) if b & 0x0C != 0x0C)
    + b"]"
)
_ANY_SYNC = re.compile(b"\xff")
# The longest frame: free format is limited to what decoding can repack.
_MAX_FRAME_BYTES = 4096
_TAG_HEAD_BYTES = 32
# Candidates for the next free-format header before this one is given up.
_FREE_FORMAT_TRIES = 8
_TAG_LETTERS = frozenset(kind[:1] for kind in (*TAG_KINDS, VBRI))
# Frames read one by one between two attempts to predict a run.
_WALK_FRAMES = 256


class _Stream:
    """The headers and frame sizes of one stream."""

    def __init__(self, header: FrameHeader, free_bytes: int | None) -> None:
        self.header = header
        self.byte1 = header.word[1] & 0xFE
        sizes = list(header.format.frame_sizes)
        if free_bytes is not None:
            sizes = [0] * 256
            byte2 = header.format.rate_index << 2
            for private in (0, 1):
                sizes[byte2 | private] = free_bytes
                sizes[byte2 | private | PADDING_BIT] = free_bytes + 1
        self.sizes = sizes
        self.size_array = np.array(sizes, dtype=np.uint16)
        self.tag_offset = HEADER_BYTES + header.format.side_info_bytes

    def matches(self, header: FrameHeader | None) -> bool:
        """Whether a frame with this header belongs to the stream."""
        return header is not None and header.format == self.header.format

    def is_tag(self, data: bytes, start: int) -> bool:
        """Whether the frame at `start` is a tag frame: a tag's name after nothing but zeros."""
        name = start + self.tag_offset
        if data[name : name + 4] not in TAG_KINDS:
            name = start + VBRI_OFFSET
            if data[name : name + 4] != VBRI:
                return False
        return not any(data[start + 6 : name])

    def size(self, header: FrameHeader) -> int:
        """The frame's size; 0 if the stream can't have such a frame."""
        return self.sizes[header.word[2]]


def scan(source: ByteSource) -> FrameIndex:
    """Index the frames of `source`.

    Raises MalformedAudioError if there are none, UnsupportedAudioError for Layers I and II and for
    a change of version, rate or channel count, each with the byte offset; LimitError for more than
    MAX_GAPS gaps, MAX_FALSE_HEADERS false headers or `tags.MAX_TAGS` tags.
    """
    if source.size == 0:
        raise MalformedAudioError("the source is empty", 0)
    trailing = trailing_tags(source)
    end = trailing[-1].offset if trailing else source.size
    return _Scanner(Window(source, end), trailing).run()


class _Scanner:
    """The state of one pass."""

    def __init__(self, window: Window, trailing: list[Tag]) -> None:
        self.window = window
        self.tags: list[Tag] = []
        self.trailing = trailing
        self.junk: list[Junk] = []
        self.incomplete: Junk | None = None
        self.info_tag: InfoTag | None = None
        self.tag_at: ByteRange | None = None
        self.tag_is_detached = False
        self.parts: list[npt.NDArray[np.uint8]] = []
        self.frames = 0
        self.segments: list[Segment] = []
        self.inner_tags: list[int] = []
        self.first_header: FrameHeader | None = None
        self.headers_tried = 0
        self.lost: LostFrames

    def run(self) -> FrameIndex:
        window = self.window
        start, position, stream = self._first_frame()
        self.lost = LostFrames(stream.header.format, stream.size_array)
        position = self._read_info_tag(start, position, stream)
        while position < window.end:
            self.segments.append(Segment(self.frames, position))
            header = window.header_at(position)
            position = self._follow(position, stream)
            self.lost.end_stretch()
            if self.segments[-1].first_frame == self.frames:
                self.segments.pop()
            elif self.first_header is None:
                self.first_header = header
            if position < window.end:
                position = self._resume(position, stream)
        if not self.frames:
            behind = " after the tag frame" if self.info_tag is not None else ""
            raise MalformedAudioError(f"the source has no whole audio frame{behind}", window.end)
        first = self.first_header
        assert first is not None
        return FrameIndex(
            header=first,
            byte2=np.concatenate(self.parts),
            segments=tuple(self.segments),
            sizes=stream.size_array,
            info_tag=self.info_tag,
            tag_at=self.tag_at,
            tag_is_detached=self.tag_is_detached,
            tags=(*self.tags, *reversed(self.trailing)),
            junk=tuple(self.junk),
            incomplete_last=self.incomplete,
            lost=self.lost.numbers(),
            hollow=self.lost.hollow(),
            inner_tags=tuple(self.inner_tags),
            free_format=first.bitrate_index == 0,
        )

    def _first_frame(self) -> tuple[int, int, _Stream]:
        """The end of the leading tags, the offset of the first frame, and its stream."""
        window = self.window
        position = 0
        while (tag := self._tag_here(position)) is not None:
            self._note_tag(tag)
            position = tag.offset + tag.length
        start = position
        found = self._search(position, position + JUNK_BEFORE_FIRST_FRAME, None)
        if found is None:
            raise MalformedAudioError(
                f"no MPEG Layer III frame within {JUNK_BEFORE_FIRST_FRAME} bytes from here: "
                "this is not an MP3 recording",
                min(start, window.source.size),
            )
        position, stream = found
        return start, position, stream

    def _read_info_tag(self, start: int, position: int, stream: _Stream) -> int:
        """Read the tag frame, also if no frame follows it; return where the audio frames begin.

        start, position: the bytes between them hold no consecutive frames.
        """
        header = self.window.header_at(position)
        assert header is not None
        size = stream.size(header)
        self.info_tag = parse_info_tag(self.window.bytes_at(position, size), header)
        if self.info_tag is not None:
            self.tag_at = ByteRange(position, size)
            self._note_junk(start, position)
            position += size
            self.tag_is_detached = not stream.matches(self.window.header_at(position))
            return position
        place = self._detached_tag(start, position, stream)
        if place is None:
            self._note_junk(start, position)
        else:
            self.tag_at = place
            self.tag_is_detached = True
            self._note_junk(start, place.offset)
            self._note_junk(place.offset + place.length, position)
        return position

    def _detached_tag(self, start: int, end: int, stream: _Stream) -> ByteRange | None:
        """Read a tag frame between two offsets, if decoders honour it.

        It may have another channel count than the frames: then no frame of its kind follows it.
        """
        data = self.window.bytes_at(start, end - start)
        for found in _SYNC.finditer(data):
            header = parse_header(data, found.start())
            if header is None or header.format.rate_hz != stream.header.format.rate_hz:
                continue
            sizes = stream.sizes if stream.matches(header) else header.format.frame_sizes
            frame = data[found.start() : found.start() + sizes[header.word[2]]]
            tag = parse_info_tag(frame, header)
            if tag is not None and tag.gapless:
                self.info_tag = tag
                return ByteRange(start + found.start(), len(frame))
        return None

    def _note_junk(self, start: int, end: int) -> None:
        if start < end:
            self.junk.append(Junk(start, end - start))

    def _note_tag(self, tag: Tag) -> None:
        self.tags.append(tag)
        check_count(self.tags, tag.offset)

    def _tag_here(self, position: int) -> Tag | None:
        head = self.window.bytes_at(position, _TAG_HEAD_BYTES)
        return tag_at(head, position, self.window.end - position)

    def _follow(self, position: int, stream: _Stream) -> int:
        """Count frames from `position` on; return the end of the last whole frame of the stream."""
        window = self.window
        while True:
            window.load(position, _MAX_FRAME_BYTES + HEADER_BYTES)
            walked = bytearray()
            start = position
            position = self._walk(position, stream, walked)
            self._count(np.frombuffer(bytes(walked), dtype=np.uint8), start)
            if len(walked) < _WALK_FRAMES:
                if position == start or position >= window.end:
                    return position
                continue
            pattern = _repeating(walked, stream)
            if pattern is not None:
                position = self._predicted(position, pattern, stream)

    def _count(self, byte2: npt.NDArray[np.uint8], position: int) -> None:
        """Count frames that are in memory from `position` on."""
        if len(byte2):
            self.parts.append(byte2)
            self.frames += len(byte2)
            self.lost.add(self.window.data, position - self.window.base, byte2)

    def _walk(self, position: int, stream: _Stream, walked: bytearray) -> int:
        """Count at most _WALK_FRAMES frames of the block in memory, one by one."""
        window = self.window
        data, base = window.data, window.base
        sizes, byte1 = stream.sizes, stream.byte1
        mono = stream.header.format.channels == 1
        name_at = self._name_offset(stream)
        here = position - base
        whole = window.end - base
        # Whole frames of the block only.
        stop = min(len(data), whole) if len(data) >= whole else len(data) - _MAX_FRAME_BYTES
        while len(walked) < _WALK_FRAMES and here + HEADER_BYTES <= stop:
            if data[here] != 0xFF or data[here + 1] & 0xFE != byte1:
                break
            byte2 = data[here + 2]
            size = sizes[byte2]
            if not size or (data[here + 3] >= 0xC0) != mono or here + size > whole:
                break
            if data[here + name_at : here + name_at + 1] in _TAG_LETTERS and stream.is_tag(
                data, here
            ):
                self._note_inner_tag(self.frames + len(walked))
            walked.append(byte2)
            here += size
        return base + here

    def _predicted(self, position: int, pattern: npt.NDArray[np.uint8], stream: _Stream) -> int:
        """Check the headers in memory at the offsets that a repeating padding pattern predicts."""
        window = self.window
        while True:
            window.load(position, _MAX_FRAME_BYTES + HEADER_BYTES)
            data = np.frombuffer(window.data, dtype=np.uint8)
            here = position - window.base
            mean = float(stream.size_array[pattern].mean())
            count = int((len(data) - here - HEADER_BYTES) / mean) + 1
            byte2 = pattern[np.arange(max(count, 0)) % len(pattern)]
            ends = here + np.cumsum(stream.size_array[byte2], dtype=np.int64)
            starts = np.concatenate((np.array([here], dtype=np.int64), ends))[:-1]
            fits = ends <= min(len(data), window.end - window.base)
            starts, byte2 = starts[fits], byte2[fits]
            mono = stream.header.format.channels == 1
            good = data[starts] == 0xFF
            good &= data[starts + 1] & 0xFE == stream.byte1
            good &= data[starts + 2] == byte2
            good &= (data[starts + 3] >= 0xC0) == mono
            accepted = len(good) if good.all() else int(np.argmin(good))
            if not accepted:
                return position
            self._note_inner_tags(data, starts[:accepted], stream)
            self._count(byte2[:accepted], position)
            position = window.base + int(ends[accepted - 1])
            if accepted < len(good) or position >= window.end:
                return position
            pattern = np.roll(pattern, -accepted)

    def _note_inner_tags(
        self, data: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], stream: _Stream
    ) -> None:
        places = starts + self._name_offset(stream)
        letters = data[np.minimum(places, len(data) - 1)]
        maybe = np.logical_or.reduce([letters == letter[0] for letter in _TAG_LETTERS])
        for number in np.flatnonzero(maybe).tolist():
            if stream.is_tag(self.window.data, int(starts[number])):
                self._note_inner_tag(self.frames + number)

    def _name_offset(self, stream: _Stream) -> int:
        """The offset of an inner tag's name in its frame, if files of the same kind were joined.

        In MPEG-1 stereo all kinds of tags have it at the same offset.
        """
        vbri = self.info_tag is not None and self.info_tag.kind == "VBRI"
        return VBRI_OFFSET if vbri else stream.tag_offset

    def _note_inner_tag(self, number: int) -> None:
        self.inner_tags.append(number)
        self.lost.tag(number)

    def _resume(self, position: int, stream: _Stream) -> int:
        """Find where the stream goes on after `position`, and note the bytes between."""
        window = self.window
        tag = self._tag_here(position)
        if tag is not None:
            self._note_tag(tag)
            return tag.offset + tag.length
        header = window.header_at(position)
        if stream.matches(header):
            assert header is not None
            size = stream.size(header)
            if position + size > window.end:
                self.incomplete = Junk(position, window.end - position)
                return window.end
        found = self._search(position, window.end, stream)
        at = window.end if found is None else found[0]
        self.junk.append(Junk(position, at - position))
        if len(self.junk) > MAX_GAPS:
            raise LimitError(f"the source has more than {MAX_GAPS} gaps (byte {position})")
        return at

    def _search(
        self, position: int, limit: int, stream: _Stream | None
    ) -> tuple[int, _Stream] | None:
        """The next offset, at most `limit`, from which headers follow one another.

        With a `stream`, only its frames count, and others are refused.
        """
        window = self.window
        limit = min(limit, window.end - HEADER_BYTES + 1)
        sync = _ANY_SYNC if stream is None else _SYNC
        while position < limit:
            window.load(position, _MAX_FRAME_BYTES)
            found = sync.search(window.data, position - window.base)
            if found is None:
                # The sync word may begin at the block's end.
                position = max(position + 1, window.base + len(window.data) - HEADER_BYTES)
                continue
            position = window.base + found.start()
            if position >= limit:
                return None
            self.headers_tried += 1
            if self.headers_tried > MAX_FALSE_HEADERS:
                message = f"more than {MAX_FALSE_HEADERS} headers begin no frame"
                raise LimitError(f"{message} (byte {position})")
            candidate = self._chain(position)
            if candidate is not None:
                if stream is None:
                    return position, candidate
                if stream.matches(candidate.header) and stream.size(candidate.header):
                    return position, stream
                _refuse_change(stream.header, candidate.header, position)
            if stream is None:
                refuse_other_layers(window, position)
            position += 1
        return None

    def _chain(self, position: int) -> _Stream | None:
        """The stream that begins at `position`, if enough headers follow one another."""
        window = self.window
        header = window.header_at(position)
        if header is None:
            return None
        free_bytes = None
        if header.bitrate_index == 0:
            free_bytes = self._free_format_size(position, header)
            if free_bytes is None:
                return None
        stream = _Stream(header, free_bytes) if free_bytes else _table_stream(header.format)
        at = position + stream.size(header)
        for _ in range(CHAINED_HEADERS - 1):
            if at >= window.end or self._tag_here(at) is not None:
                # A short recording: all of it chains.
                return stream if at <= window.end else None
            following = window.header_at(at)
            if not stream.matches(following):
                return None
            assert following is not None
            size = stream.size(following)
            if not size:
                return None
            if at + size > window.end:
                return stream
            at += size
        return stream

    def _free_format_size(self, position: int, header: FrameHeader) -> int | None:
        """Size of an unpadded free-format frame: the distance of equal headers (2.4.2.3)."""
        data = self.window.bytes_at(position, 2 * _MAX_FRAME_BYTES + HEADER_BYTES)
        sync = data[:2]
        # No frame is smaller than a protected frame without main data.
        size = HEADER_BYTES + CRC_BYTES + header.format.side_info_bytes + header.padding - 1
        for _ in range(_FREE_FORMAT_TRIES):
            size = data.find(sync, size + 1)
            if not 0 <= size <= _MAX_FRAME_BYTES:
                break
            following = parse_header(data, size)
            if following is not None and _same_free_format(header, following):
                base = size - header.padding
                third = parse_header(data, size + base + following.padding)
                if third is not None and _same_free_format(header, third):
                    return base
        return None


@lru_cache(maxsize=32)
def _table_stream(format: StreamFormat) -> _Stream:
    """The stream of this format with bitrates from the table."""
    mode = Mode.SINGLE_CHANNEL if format.channels == 1 else Mode.STEREO
    return _Stream(FrameHeader(format, False, 14, 0, mode, 0, 0), None)


def _same_free_format(header: FrameHeader, other: FrameHeader) -> bool:
    return other.bitrate_index == 0 and other.format == header.format


def _repeating(walked: bytearray, stream: _Stream) -> npt.NDArray[np.uint8] | None:
    """The padding pattern with which the walked frames repeat, or None."""
    bitrate_index = walked[-1] >> 4
    period = stream.header.format.padding_period(bitrate_index) if bitrate_index else 1
    tail = bytes(walked[-period:])
    if tail != bytes(walked[-2 * period : -period]):
        return None
    return np.frombuffer(tail, dtype=np.uint8)


def _refuse_change(first: FrameHeader, other: FrameHeader, offset: int) -> None:
    raise UnsupportedAudioError(
        "the format changes inside the recording: "
        f"{_describe(first)} before, {_describe(other)} from here",
        offset,
    )


def _describe(header: FrameHeader) -> str:
    format = header.format
    channels = "mono" if format.channels == 1 else "stereo"
    free = ", free format" if header.bitrate_index == 0 else ""
    return f"{format.version} {format.rate_hz} Hz {channels}{free}"
