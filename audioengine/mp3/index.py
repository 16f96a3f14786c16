# SPDX-License-Identifier: Apache-2.0
"""The index of a file's frames.

One pass reads every header and keeps one byte per frame (byte 2, which gives the size), so the
index of a day of audio takes a few megabytes. A constant-bitrate stretch repeats its padding
pattern, so most headers are checked many at a time at predicted offsets; all others are read
frame by frame. A frame counts only if the next ones follow it directly.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from operator import attrgetter

import numpy as np
import numpy.typing as npt

from audioengine.mp3.bytesource import ByteSource
from audioengine.mp3.header import FrameHeader, StreamFormat
from audioengine.mp3.info_tag import DECODER_DELAY, InfoTag
from audioengine.mp3.tags import Tag

_CHECKPOINT_FRAMES = 256

# Frames counted together: a multiple of the above that stays small when widened.
_AT_ONCE = 1 << 16


@dataclass(frozen=True, slots=True)
class Junk:
    """Bytes between or around the frames that belong to no frame and no tag."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of frames that follow one another without a gap."""

    first_frame: int
    offset: int


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Consecutive bytes of the source."""

    offset: int
    length: int


def byte2_counts(byte2: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """[shape=(256,)] The count of each value, without widening a day of frames at once."""
    counts = np.zeros(256, dtype=np.int64)
    for start in range(0, len(byte2), _AT_ONCE):
        counts += np.bincount(byte2[start : start + _AT_ONCE], minlength=256)
    return counts


@dataclass(frozen=True)
class FrameIndex:
    """All audio frames of one file; the Info/Xing frame is not one of them."""

    header: FrameHeader
    """The first audio frame's header."""
    byte2: npt.NDArray[np.uint8]
    """[shape=(frames,)] Byte 2 of each frame's header: bitrate, rate, padding."""
    segments: tuple[Segment, ...]
    sizes: npt.NDArray[np.uint16]
    """[shape=(256,)] Frame size in bytes by byte 2."""
    info_tag: InfoTag | None
    tags: tuple[Tag, ...]
    junk: tuple[Junk, ...]
    incomplete_last: Junk | None
    """A last frame that is cut off; it is not counted."""
    lost: tuple[int, ...]
    """Frames with missing or impossible main data, in order: see `LostFrames`."""
    inner_tags: tuple[int, ...]
    """Tag frames inside the recording; they play as silence."""
    free_format: bool
    tag_at: ByteRange | None = None
    """The bytes of the tag frame."""
    tag_is_detached: bool = False
    """Whether no frame of its kind follows the tag frame directly, as most decoders demand."""
    hollow: tuple[int, ...] = ()
    """Frames in `lost` that have no main data, so that nothing is missing."""

    @property
    def format(self) -> StreamFormat:
        """The format of all frames."""
        return self.header.format

    @property
    def frames(self) -> int:
        """Number of audio frames."""
        return len(self.byte2)

    @property
    def raw_samples(self) -> int:
        """Samples per channel that the frames decode to, nothing trimmed."""
        return self.frames * self.format.samples_per_frame

    @cached_property
    def _gapless(self) -> tuple[int, int]:
        tag = self.info_tag
        if tag is None or not tag.gapless or tag.encoder_delay is None or tag.padding is None:
            return 0, self.raw_samples
        start = tag.encoder_delay + DECODER_DELAY
        end = self.raw_samples
        if tag.frames:
            # Players drop the padding from the end that the tag promises, even if the file is cut
            # off; if the tag counts no frames, they drop none.
            promised = max(tag.frames, self.frames) * self.format.samples_per_frame
            end = min(end, promised - max(0, tag.padding - DECODER_DELAY))
        return (start, end) if start < end else (0, self.raw_samples)

    @property
    def tagged(self) -> bool:
        """Whether the tag's delay and padding are used."""
        return self._gapless != (0, self.raw_samples)

    @property
    def tells_delay(self) -> bool:
        """Whether the tag states the encoder's real delay; if not, the audio's start is unknown."""
        return self.tagged and self.info_tag is not None and self.info_tag.tells_delay

    @property
    def tag_counts_itself(self) -> bool:
        """Whether the tag counts its own frame too, and all bytes that it counts are present.

        Some tools write such tags (old Xing and Fraunhofer encoders, GStreamer's xingmux, mp3val).
        If a recording lacks its last frame instead, the byte count does not match.
        """
        tag = self.info_tag
        if tag is None or tag.frames != self.frames + 1:
            return False
        place = self.tag_at
        if place is None:
            return False
        length = self.offset(self.frames) - place.offset
        # Few tags leave out their own frame's bytes.
        return tag.file_bytes in (length, length - place.length)

    @property
    def missing_frames(self) -> int:
        """The number of frames that the tag promises but the file lacks."""
        tag = self.info_tag
        if tag is None or tag.frames is None or self.tag_counts_itself:
            return 0
        return max(0, tag.frames - self.frames)

    @property
    def start(self) -> int:
        """The raw sample that is sample 0 of the recording's clock."""
        return self._gapless[0]

    @property
    def samples(self) -> int:
        """Length of the recording, in samples of its clock."""
        return self._gapless[1] - self._gapless[0]

    @cached_property
    def _size_list(self) -> list[int]:
        # Reading one number from a list takes a tenth of the time.
        sizes: list[int] = self.sizes.tolist()
        return sizes

    @cached_property
    def _segment_frames(self) -> list[int]:
        return [segment.first_frame for segment in self.segments]

    @cached_property
    def _checkpoints(self) -> list[npt.NDArray[np.int64]]:
        """Per segment, the offset of every _CHECKPOINT_FRAMES-th frame."""
        ends = [*self._segment_frames[1:], self.frames]
        return [
            segment.offset + self._distances(segment.first_frame, end)
            for segment, end in zip(self.segments, ends, strict=True)
        ]

    def _distances(self, first: int, last: int) -> npt.NDArray[np.int64]:
        """Bytes from frame `first` to every _CHECKPOINT_FRAMES-th after it, before `last`."""
        steps = [np.zeros(1, dtype=np.int64)]
        for start in range(first, last, _AT_ONCE):
            sizes = self.sizes[self.byte2[start : min(last, start + _AT_ONCE)]]
            marks = np.arange(0, len(sizes), _CHECKPOINT_FRAMES)
            steps.append(np.add.reduceat(sizes, marks, dtype=np.int64))
        distances: npt.NDArray[np.int64] = np.cumsum(np.concatenate(steps))
        return distances

    def offset(self, frame: int) -> int:
        """Byte offset of a frame; for the number after the last, the end of the last frame."""
        number = max(0, bisect_right(self._segment_frames, min(frame, self.frames - 1)) - 1)
        segment = self.segments[number]
        block, rest = divmod(frame - segment.first_frame, _CHECKPOINT_FRAMES)
        part = self.byte2[frame - rest : frame].tobytes()
        return int(self._checkpoints[number][block]) + sum(map(self._size_list.__getitem__, part))

    def size(self, frame: int) -> int:
        """Size of a frame in bytes."""
        return self._size_list[int(self.byte2[frame])]

    def ranges(self, first: int, last: int) -> list[ByteRange]:
        """The bytes of the frames from `first` to before `last`, one range per segment."""
        out = []
        while first < last:
            number = bisect_right(self._segment_frames, first)
            end = min(last, (*self._segment_frames[number : number + 1], last)[0])
            start = self.offset(first)
            stop = self.offset(end - 1) + self.size(end - 1)
            out.append(ByteRange(start, stop - start))
            first = end
        return out

    def segment_start(self, frame: int) -> int:
        """The first frame of the segment that contains `frame`."""
        return self._segment_frames[bisect_right(self._segment_frames, frame) - 1]

    def segments_between(self, first: int, last: int) -> frozenset[int]:
        """The frames from `first` to before `last` that begin a segment."""
        starts = self._segment_frames
        return frozenset(starts[bisect_left(starts, first) : bisect_left(starts, last)])

    def lost_between(self, first: int, last: int) -> frozenset[int]:
        """The frames from `first` to before `last` whose main data is lost."""
        return frozenset(self.lost[bisect_left(self.lost, first) : bisect_left(self.lost, last)])

    @cached_property
    def damaged(self) -> tuple[int, ...]:
        """Frames where data is missing, in order: the first after junk, and lost ones.

        The start of a losslessly cut file is not counted, also inside joined files: only the main
        data of its first frames is missing, and everything from its first intact frame on is whole.
        """
        behind_junk = {
            segment.first_frame
            for before, segment in pairwise(self.segments)
            if self._junk_between(self.offset(segment.first_frame - 1), segment.offset)
        }
        beginnings = {segment.first_frame for segment in self.segments} - behind_junk
        beginnings |= {frame + 1 for frame in self.inner_tags}
        missing = []
        hollow = frozenset(self.hollow)
        whole_from = 0
        for frame in self.lost:
            if frame in beginnings or frame == whole_from:
                whole_from = frame + 1
            elif frame not in hollow:
                missing.append(frame)
        return tuple(sorted(behind_junk.union(missing)))

    def _junk_between(self, start: int, end: int) -> bool:
        """Whether junk lies between two offsets."""
        number = bisect_left(self.junk, start, key=attrgetter("offset"))
        return number < len(self.junk) and self.junk[number].offset < end

    def read_frames(self, source: ByteSource, first: int, last: int) -> bytes:
        """The bytes of the frames from `first` to before `last`, without junk between them."""
        ranges = self.ranges(first, last)
        return b"".join(source.read(part.offset, part.length) for part in ranges)

    def bitrate_counts(self, first: int, last: int) -> npt.NDArray[np.int64]:
        """[shape=(16,)] The number of frames from `first` to before `last` by bitrate_index."""
        by_byte2 = byte2_counts(self.byte2[first:last])
        counts: npt.NDArray[np.int64] = by_byte2.reshape(16, 16).sum(axis=1)
        return counts
