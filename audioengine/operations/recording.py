# SPDX-License-Identifier: Apache-2.0
"""Opens a recording: its bytes, its index, and its warnings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from audioengine.edits import LAME_LATENESS, Span
from audioengine.errors import InvalidRequestError, MalformedAudioError
from audioengine.mp3.header import HEADER_BYTES
from audioengine.mp3.index import FrameIndex
from audioengine.mp3.info_tag import DECODER_DELAY, InfoTag
from audioengine.mp3.scan import scan
from audioengine.notices import Notice
from audioengine.sources.kind import Kind, kind_of
from audioengine.sources.raw import RawFormat, raw_format
from audioengine.storage import S3Options, Source, SourceLike, open_source

if TYPE_CHECKING:
    from audioengine.operations.sampled import Sampled
    from audioengine.sources.leg import Samples

# Warnings of each kind of damage; a broken file may have a million.
_NAMED_AT_MOST = 16


@dataclass(frozen=True, slots=True)
class Recording:
    """An open source and its frames, or its samples if it is no MP3."""

    source: Source
    """The bytes of its frames."""
    index: FrameIndex
    warnings: tuple[Notice, ...]
    file: Source
    """All bytes of its file: a WAV file may hold an MP3."""
    kind: str | None = None
    """The kind of file, with an article; None: an MP3."""
    sampled: Sampled | None = None
    """Its samples if it is no MP3; it has no frames then."""

    def read_pcm(self, spans: Sequence[Span]) -> list[Samples]:
        """[shape=(span.length, channels)] The raw samples of each span; 0 outside the recording."""
        if self.sampled is not None:
            return self.sampled.read(spans)
        from audioengine.pcm.decode import decode_all  # imported only to decode

        return decode_all(self.source, self.index, spans)

    @property
    def read_samples(self) -> Callable[[int, int], Samples] | None:
        """The reader of raw samples [start, end); None for an MP3."""
        return None if self.sampled is None else self.sampled.window


class _Part(Source):
    """The MP3 inside a file of another kind."""

    def __init__(self, whole: Source, offset: int, size: int) -> None:
        self._whole = whole
        self._offset = offset
        self.size = size

    def read(self, offset: int, length: int) -> bytes:
        """Read bytes from `offset`, counted from the MP3's first."""
        return self._whole.read(self._offset + offset, max(0, min(length, self.size - offset)))

    def check_unchanged(self) -> None:
        """Raise StorageError if the file has changed since it was opened."""
        self._whole.check_unchanged()

    def close(self) -> None:
        """Do nothing: whoever opened the file closes it."""


def likely_delay(recording: Recording) -> int:
    """Return the right `encoder_delay` for an untagged source, if LAME made it.

    LAME's delay counts from the first frame; the clock of a tagged file begins 529 samples later.
    LAME fills in the tag at the end: if it was killed, its first frame is blank and plays as a
    silent frame.
    """
    index = recording.index
    first = recording.source.read(index.offset(0), index.size(0))
    blank = index.format.samples_per_frame if not any(first[HEADER_BYTES:]) else 0
    return LAME_LATENESS - index.start + blank


@contextmanager
def open_recording(
    source: SourceLike,
    *,
    allow_truncated: bool = False,
    s3: S3Options | None = None,
    raw: RawFormat | str | None = None,
) -> Iterator[Recording]:
    """Open and index a source: an MP3, or a sound file that can be encoded.

    raw: what a file without a header holds, such as ``ulaw:8000:2``.

    Raises StorageError, UnsupportedAudioError, LimitError and MalformedAudioError; the last also,
    unless `allow_truncated`, if the tag or header promises more than the file holds and the tag
    does not just count itself. Raises InvalidRequestError if `allow_truncated` is no bool.
    """
    if not isinstance(allow_truncated, bool):
        raise InvalidRequestError.of("allow_truncated", allow_truncated, "must be True or False")
    with closing(open_source(source, s3)) as opened:
        kind = None if raw is not None else kind_of(opened)
        if raw is None and (kind is None or kind.holds_mp3):
            yield _mp3(opened, kind, allow_truncated=allow_truncated)
        else:
            from audioengine.operations.sampled import open_sampled  # rarely needed

            sampled = open_sampled(opened, raw_format(raw), allow_truncated=allow_truncated)
            found = sampled.opened
            yield Recording(opened, sampled.index, found.warnings, opened, found.kind, sampled)


def _mp3(file: Source, kind: Kind | None, *, allow_truncated: bool) -> Recording:
    source = file
    if kind is not None and kind.riff is not None:
        source = _Part(file, kind.riff.data_offset, kind.riff.data_bytes)
    index = scan(source)
    if index.missing_frames and not allow_truncated:
        promised = index.frames + index.missing_frames
        raise MalformedAudioError(
            f"the recording is cut off: its tag promises {promised} frames and "
            f"{index.frames} are there; allow_truncated accepts it",
            source.size,
        )
    return Recording(
        source, index, source_warnings(index), file, None if kind is None else str(kind)
    )


def source_warnings(index: FrameIndex) -> tuple[Notice, ...]:
    """The warnings of a source that can be read."""
    out = [
        Notice(
            "junk",
            f"Bytes {junk.offset} to {junk.offset + junk.length} are no MP3 frames; they are left "
            "out of the recording.",
        )
        for junk in index.junk[:_NAMED_AT_MOST]
    ]
    if len(index.junk) > _NAMED_AT_MOST:
        rest = index.junk[_NAMED_AT_MOST:]
        count, length = len(rest), sum(junk.length for junk in rest)
        message = f"{length} more bytes in {count} more places are no MP3 frames."
        out.append(Notice("junk", message))
    if index.incomplete_last is not None:
        last = index.incomplete_last
        out.append(
            Notice(
                "incomplete_last_frame",
                f"The last frame is cut off after {last.length} bytes, at byte {last.offset}; "
                "it is not counted.",
            )
        )
    hollow = frozenset(index.hollow)
    lost = [frame for frame in index.lost if frame not in hollow]
    out += [
        Notice(
            "lost_main_data",
            f"The audio of frame {frame} (byte {index.offset(frame)}) is lost: its main data is "
            "missing or can't be decoded; the frame counts as silence.",
        )
        for frame in lost[:_NAMED_AT_MOST]
    ]
    if len(lost) > _NAMED_AT_MOST:
        message = f"{len(lost) - _NAMED_AT_MOST} more frames have lost their audio."
        out.append(Notice("lost_main_data", message))
    if hollow:
        first = index.hollow[0]
        more = f" and {len(hollow) - 1} more" if len(hollow) > 1 else ""
        message = (
            f"Frame {first} (byte {index.offset(first)}){more}: without main data, and silent. "
            "Players built on minimp3 skip such frames and play everything after them too early."
        )
        out.append(Notice("hollow_frames", message))
    if index.inner_tags:
        message = (
            f"Frame {index.inner_tags[0]} (byte {index.offset(index.inner_tags[0])}) is a tag "
            "frame inside the recording, probably from joining files; it plays as silence."
        )
        out.append(Notice("inner_tag", message))
    return (*out, *_tag_warnings(index))


def _tag_warnings(index: FrameIndex) -> Iterator[Notice]:
    """The warnings of the tag frame, and of players that interpret it differently."""
    tag = index.info_tag
    if tag is None:
        return
    counts = f"The tag says {tag.frames} frames; the file has {index.frames}, which is used."
    if index.tag_counts_itself:
        message = f"{counts} The tag counts itself too; all bytes that it promises are there."
        yield Notice("tag_counts_itself", message)
    elif index.missing_frames:
        message = (
            f"The recording is cut off: its tag promises {tag.frames} frames, and there are "
            f"{index.frames}. The tag's padding is ignored, because the end is missing."
        )
        yield Notice("truncated", message)
    elif tag.frames is not None and tag.frames != index.frames:
        yield Notice("tag_disagrees", counts)
    if tag.gapless and not index.tagged and (tag.encoder_delay or tag.padding):
        message = (
            f"The tag's encoder delay ({tag.encoder_delay}) and padding ({tag.padding}) leave no "
            "audio; they are ignored."
        )
        yield Notice("tag_disagrees", message)
    if tag.kind == "VBRI":
        message = (
            "The first frame is a VBRI tag. It is not part of the recording's clock, though some "
            "players play it as one silent frame."
        )
        yield Notice("vbri_tag", message)
    elif index.tag_is_detached:
        message = (
            "No frame of its kind follows the tag frame directly. Its encoder delay and padding "
            "count here and in FFmpeg and browsers; mpg123 and libsndfile ignore them, and minimp3 "
            "leaves frames out."
        )
        yield Notice("players_disagree", message)
    else:
        disagreement = _disagreement(index, tag)
        if disagreement:
            yield Notice("players_disagree", disagreement)


def _disagreement(index: FrameIndex, tag: InfoTag) -> str | None:
    """How players that need more in the tag place sample 0 differently; None if they agree."""
    if tag.encoder is None:
        if not tag.frames:
            return None
        return (
            f"The {tag.kind} tag has no LAME extension: mpg123 and libsndfile leave out the first "
            f"{DECODER_DELAY} samples, which count here and in minimp3, FFmpeg and browsers."
        )
    skipped = (tag.encoder_delay or 0) + DECODER_DELAY
    name = tag.encoder.rstrip(b"\0 ").decode("latin-1")
    if not tag.gapless:
        who = "mpg123, libsndfile and minimp3 leave" if tag.frames else "minimp3 leaves"
        return (
            f"The tag is by {name!r}, whose encoder delay counts nowhere else: {who} out the first "
            f"{skipped} samples, which count here and in FFmpeg and browsers."
        )
    if not tag.frames and index.tagged:
        return (
            f"The tag counts no frames: mpg123 and libsndfile play the first {skipped} samples "
            "too, which are encoder delay here and in minimp3, FFmpeg and browsers."
        )
    return None
