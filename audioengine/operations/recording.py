# SPDX-License-Identifier: Apache-2.0
"""Opening a recording: its bytes, its index, and what there is to warn of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from audioengine.edits import LAME_LATENESS
from audioengine.errors import MalformedAudioError
from audioengine.mp3.header import HEADER_BYTES
from audioengine.mp3.index import FrameIndex
from audioengine.mp3.scan import scan
from audioengine.notices import Notice
from audioengine.storage import S3Options, Source, SourceLike, open_source

# Of each kind of damage; a broken file may have it in a million places.
_NAMED_AT_MOST = 16


@dataclass(frozen=True, slots=True)
class Recording:
    """An open source and its frames."""

    source: Source
    index: FrameIndex
    warnings: tuple[Notice, ...]


def likely_delay(recording: Recording) -> int:
    """Return the `encoder_delay` that is right for a source that tells none, if LAME made it.

    Its lateness counts from the first frame; a clock behind a tag begins 529 samples later. LAME's
    place for the tag, which it fills in at the end, is left as a frame of zeros by one that was
    killed, and plays as a silent frame.
    """
    index = recording.index
    first = recording.source.read(index.offset(0), index.size(0))
    blank = index.format.samples_per_frame if not any(first[HEADER_BYTES:]) else 0
    return LAME_LATENESS - index.start + blank


@contextmanager
def open_recording(
    source: SourceLike, *, allow_truncated: bool = False, s3: S3Options | None = None
) -> Iterator[Recording]:
    """Open and index a source.

    Raises StorageError, MalformedAudioError (also where the tag promises more frames than there
    are, unless `allow_truncated`) and UnsupportedAudioError.
    """
    with closing(open_source(source, s3)) as opened:
        index = scan(opened)
        promised = index.info_tag.frames if index.info_tag else None
        if promised is not None and promised > index.frames and not allow_truncated:
            raise MalformedAudioError(
                f"the recording is cut off: its tag promises {promised} frames and "
                f"{index.frames} are there; allow_truncated takes it as it is",
                opened.size,
            )
        yield Recording(opened, index, source_warnings(index))


def source_warnings(index: FrameIndex) -> tuple[Notice, ...]:
    """What is odd about a source, though it can be read."""
    out = [
        Notice(
            "junk",
            f"Bytes {junk.offset} to {junk.offset + junk.length} are no frames; they are not part "
            "of the recording.",
        )
        for junk in index.junk[:_NAMED_AT_MOST]
    ]
    if len(index.junk) > _NAMED_AT_MOST:
        rest = index.junk[_NAMED_AT_MOST:]
        count, length = len(rest), sum(junk.length for junk in rest)
        message = f"{length} more bytes in {count} more places are no frames either."
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
    out += [
        Notice(
            "lost_main_data",
            f"The audio of frame {frame} (byte {index.offset(frame)}) is lost: it began in bytes "
            "that are not there, or no decoder can read it; it is taken for silence.",
        )
        for frame in index.lost[:_NAMED_AT_MOST]
    ]
    if len(index.lost) > _NAMED_AT_MOST:
        message = f"{len(index.lost) - _NAMED_AT_MOST} more frames have lost their audio."
        out.append(Notice("lost_main_data", message))
    if index.inner_tags:
        message = (
            f"Frame {index.inner_tags[0]} (byte {index.offset(index.inner_tags[0])}) is an Info "
            "frame inside the recording, as joining files leaves it; it plays as silence."
        )
        out.append(Notice("inner_tag", message))
    tag = index.info_tag
    if tag is not None and tag.frames is not None and tag.frames > index.frames:
        out.append(
            Notice(
                "truncated",
                f"The recording is cut off: its tag promises {tag.frames} frames, and there are "
                f"{index.frames}.",
            )
        )
    elif tag is not None and tag.frames is not None and tag.frames != index.frames:
        out.append(
            Notice(
                "tag_disagrees",
                f"The tag says {tag.frames} frames; there are {index.frames}, which counts.",
            )
        )
    if tag is not None and tag.gapless and not index.tagged and _trims(index):
        out.append(
            Notice(
                "tag_disagrees",
                f"The tag's encoder delay ({tag.encoder_delay}) and padding ({tag.padding}) leave "
                "no audio; they are ignored.",
            )
        )
    if tag is not None and tag.kind == "VBRI":
        out.append(
            Notice(
                "vbri_tag",
                "The first frame is a VBRI tag. It is not part of the recording's clock, though "
                "some players play it as one silent frame.",
            )
        )
    return tuple(out)


def _trims(index: FrameIndex) -> bool:
    tag = index.info_tag
    return tag is not None and bool(tag.encoder_delay or tag.padding)
