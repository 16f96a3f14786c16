# SPDX-License-Identifier: Apache-2.0
"""Decodes any stretch of a source exactly, without decoding everything before it.

libsndfile (mpg123) gets a small file in memory: an Info frame that says how much to drop, a donor
frame whose slots hold the main data that the first frame reaches back to, the warm-up frames, and
the requested frames, all unchanged from the source. libsndfile's own value of a file's length is
never used.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from io import BytesIO

import numpy as np
import numpy.typing as npt
import soundfile

from audioengine.edits import Span
from audioengine.errors import MalformedAudioError
from audioengine.mp3.assemble import frame_head
from audioengine.mp3.bytesource import ByteSource
from audioengine.mp3.crc import tag_crc
from audioengine.mp3.header import HEADER_BYTES, FrameHeader, StreamFormat, parse_header
from audioengine.mp3.index import FrameIndex
from audioengine.mp3.info_tag import DECODER_DELAY, OWN_ENCODER, PREFRAMES, build_info_tag
from audioengine.mp3.main_data import look_back, read_frames
from audioengine.mp3.side_info import MAX_PART2_3_LENGTH
from audioengine.pcm.quiet import quiet

Samples = npt.NDArray[np.float32]


def decode_raw(source: ByteSource, index: FrameIndex, start: int, end: int) -> Samples:
    """[shape=(end - start, channels)] The raw samples of a stretch, full scale ±1.

    Samples before the first frame and after the last are zero. Lost frames decode as silence.

    Raises MalformedAudioError if the decoder refuses a frame.
    """
    return decode_all(source, index, [Span(start, end)])[0]


def decode_all(source: ByteSource, index: FrameIndex, spans: Sequence[Span]) -> list[Samples]:
    """The raw samples of several stretches, at the cost of starting one decoder."""
    ranges = [_frames_of(index, span) for span in spans]
    decoded = iter(_decode_frames(source, index, [part for part in ranges if part]))
    return [
        _samples_of(index, span, part, next(decoded) if part else None)
        for span, part in zip(spans, ranges, strict=True)
    ]


def decode_stream(data: bytes) -> Samples:
    """[shape=(n, channels)] The samples of untagged frames, without some samples at the end."""
    with quiet(), _open_in_memory(data) as file:
        pcm: Samples = file.read(dtype="float32", always_2d=True)
    return pcm


def _frames_of(index: FrameIndex, span: Span) -> range:
    """The frames to decode for a stretch of samples."""
    spf = index.format.samples_per_frame
    first, last = max(0, span.start // spf), min(index.frames, -(-span.end // spf))
    # A stretch that begins in the phase of a whole decode is rounded the same way.
    return range(max(0, first - _phase(index, first)), last) if first < last else range(0)


def _samples_of(index: FrameIndex, span: Span, frames: range, pcm: Samples | None) -> Samples:
    out = np.zeros((span.length, index.format.channels), dtype=np.float32)
    if pcm is not None:
        zero = frames.start * index.format.samples_per_frame
        low, high = max(span.start, zero), min(span.end, zero + len(pcm))
        out[low - span.start : high - span.start] = pcm[low - zero : high - zero]
    return out


def phase_turn(format: StreamFormat) -> int:
    """Frames after which mpg123's synthesis, and its rounding, returns to the same phase."""
    if format.lsf:
        return 4 if format.channels == 1 else 2
    return 2 if format.channels == 1 else 1


def _phase(index: FrameIndex, frame: int) -> int:
    """The phase of a frame in the samples of `soundfile.read`, which first seeks to the start."""
    audible = index.start // index.format.samples_per_frame
    return (frame + audible) % phase_turn(index.format)


def _decode_frames(
    source: ByteSource, index: FrameIndex, ranges: Sequence[range]
) -> Iterable[Samples]:
    """[shape=(frames, channels)] The samples of each range of frames."""
    if not ranges:
        return []
    format = index.format
    phase = _phase(index, ranges[0].start)
    # The decoder's phase counts from the first decoded frame.
    lead = phase or PREFRAMES
    body: list[bytes] = []
    places: list[int] = []
    number = 0
    free = index.free_format
    silence = _silent_free_frame(index.header) if free else _silent_frame(index.header)
    for frames in ranges:
        warm_up = min(frames.start, format.warm_up_frames)
        begin, end = frames.start - warm_up, frames.stop
        if index.free_format:
            donor, audio = silence, _repacked(source, index, begin, end)
        else:
            donor = _donor(source, index, begin)
            room = len(donor) - HEADER_BYTES - format.side_info_bytes
            audio = _silenced(source, index, begin, end, room)
        # The first range begins where mpg123 begins to play. Every other one begins in its own
        # phase, after enough silent frames to clear the range before it.
        place = number + 1 + format.warm_up_frames if places else lead
        place += (_phase(index, frames.start) - phase - (place - lead)) % phase_turn(format)
        body += (silence * (place - number - 1 - warm_up), donor, audio)
        places.append(place - lead)
        number = place + len(frames)
    pcm = _played(index, b"".join(body), lead, number - lead, ranges)
    spf = format.samples_per_frame
    return (
        pcm[place * spf : (place + len(frames)) * spf]
        for place, frames in zip(places, ranges, strict=True)
    )


def _played(
    index: FrameIndex, body: bytes, lead: int, frames: int, ranges: Sequence[range]
) -> Samples:
    """The samples of `frames` frames of `body` after the first `lead`."""
    format = index.format
    tag = build_info_tag(
        _plain_header(index.header, 14),
        constant_bitrate=False,
        lowest_kbps=0,
        frames=lead + frames,
        audio_bytes=len(body),
        audio_crc=tag_crc(b""),
        frame_offsets=[0] * 100,
        encoder=OWN_ENCODER,
        encoder_delay=lead * format.samples_per_frame - DECODER_DELAY,
        padding=DECODER_DELAY,
    )
    if index.free_format:
        # Decoders derive its size from the next frame, so the tag frame has the size of all others.
        size = _free_frame_bytes(format)
        tag = (_plain_header(index.header, 0).word + tag[HEADER_BYTES:]).ljust(size, b"\0")
    wanted = frames * format.samples_per_frame
    first, last = ranges[0].start, ranges[-1].stop
    try:
        with quiet(), _open_in_memory(tag + body) as file:
            pcm: Samples = file.read(wanted, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise MalformedAudioError(
            f"frames {first} to {last} can't be decoded: {error}", index.offset(first)
        ) from error
    if pcm.shape != (wanted, format.channels):
        raise MalformedAudioError(
            f"frames {first} to {last} decode to {pcm.shape[0]} samples instead of {wanted}",
            index.offset(first),
        )
    return pcm


def _open_in_memory(data: bytes) -> soundfile.SoundFile:
    """Open an MP3 in memory."""
    # A file object would be read through a callback that takes Python's lock for every block.
    try:
        descriptor = os.memfd_create("audioengine")
    except (AttributeError, OSError):
        return soundfile.SoundFile(BytesIO(data))
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.lseek(descriptor, 0, os.SEEK_SET)
    except OSError:
        # A limit on file sizes applies here too.
        os.close(descriptor)
        return soundfile.SoundFile(BytesIO(data))
    try:
        return soundfile.SoundFile(descriptor, closefd=True)
    except BaseException:
        os.close(descriptor)
        raise


def _plain_header(header: FrameHeader, bitrate_index: int) -> FrameHeader:
    """A header of the same stream with a bitrate from the table, left/right, no CRC, no padding."""
    return FrameHeader(header.format, False, bitrate_index, 0, header.mode, 0, header.flags)


def _silent_frame(header: FrameHeader, slots: bytes = b"") -> bytes:
    """A silent frame whose slots end with `slots`, main data of the frames after it."""
    format = header.format
    need = HEADER_BYTES + format.side_info_bytes + len(slots)
    index = next(i for i in range(1, 15) if format.frame_bytes(i) >= need)
    empty = format.frame_bytes(index) - HEADER_BYTES - len(slots)
    return _plain_header(header, index).word + bytes(empty) + slots


def _donor(source: ByteSource, index: FrameIndex, first: int) -> bytes:
    """A silent frame with the main data that frame `first` and later ones reach back to."""
    start = look_back(index, first)
    data = index.read_frames(source, start, first)
    slots = bytearray()
    position = 0
    for number in range(start, first):
        header = parse_header(data, position)
        assert header is not None
        end = position + index.size(number)
        slots += data[position + header.main_data_offset : end]
        position = end
    return _silent_frame(index.header, bytes(slots[-index.format.max_main_data_begin :]))


def _free_frame_bytes(format: StreamFormat) -> int:
    """Size of free-format frames that can hold any frame's own main data."""
    bits = format.granules * format.channels * MAX_PART2_3_LENGTH
    return HEADER_BYTES + format.side_info_bytes + -(-bits // 8)


def _repacked(source: ByteSource, index: FrameIndex, first: int, last: int) -> bytes:
    """Repack free-format frames into frames so large that none needs the reservoir.

    A bitrate from the table could be too low for them, and the reservoir could need several donors.
    """
    format = index.format
    size = _free_frame_bytes(format)
    silence = _silent_free_frame(index.header)
    frames = []
    for frame in read_frames(source, index, first, last):
        if not frame.intact:
            frames.append(silence)
            continue
        header = replace(frame.header, protected=False, padding=0)
        head = frame_head(header, frame.side_info._replace(main_data_begin=0))
        frames.append((head + frame.adu).ljust(size, b"\0"))
    return b"".join(frames)


def _silent_free_frame(header: FrameHeader) -> bytes:
    return _plain_header(header, 0).word.ljust(_free_frame_bytes(header.format), b"\0")


def _silenced(source: ByteSource, index: FrameIndex, first: int, last: int, room: int) -> bytes:
    """The frames' bytes, with empty side information in lost ones.

    room: the slot bytes before the first frame.
    """
    if not index.lost_between(first, last):
        return index.read_frames(source, first, last)
    parts = []
    # Slot bytes before each frame that come after all main data.
    free = room
    for frame in read_frames(source, index, first, last):
        if frame.intact:
            parts.append(frame.data)
            free = frame.side_info.main_data_begin + frame.slot_bytes - len(frame.adu)
            continue
        begin = min(free, index.format.max_main_data_begin)
        parts.append(frame.silenced(begin))
        free = begin + frame.slot_bytes
    return b"".join(parts)
