# SPDX-License-Identifier: Apache-2.0
"""A decoder that shares nothing with the one that rendering uses: minimp3, by way of miniaudio.

Recordings are decoded in stretches of frames, any of them at any time, so that several are at work
at once and none holds much. A stretch is given to the decoder as bare frames, those before it
included that it depends on: the last samples that come out are the stretch.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from audioengine.errors import VerificationError
from audioengine.mp3.bytesource import ByteSource
from audioengine.mp3.header import HEADER_BYTES, parse_header
from audioengine.mp3.index import FrameIndex
from audioengine.mp3.main_data import look_back, read_frames
from audioengine.mp3.side_info import parse_side_info

Pcm: TypeAlias = npt.NDArray[np.int16]
"""[shape=(n, channels)] Full scale ±32 768."""

_HEAD_BYTES = 1 << 14
_FREE_FORMAT_FRAMES = 16


class UndecodableError(Exception):
    """The decoder does not give a stretch's frames the samples that they should have."""


@dataclass(frozen=True, slots=True)
class Announced:
    """What the decoder takes a file for, by its first frames."""

    samples: int
    rate_hz: int
    channels: int


def decoder_name() -> str:
    """The decoder and its version.

    Raises VerificationError where it is not installed.
    """
    if find_spec("miniaudio") is None:
        raise VerificationError(
            "nothing is verified: that takes a decoder that rendering does not use; "
            "install audioengine[verify] (miniaudio), and run this again"
        )
    return f"miniaudio {version('miniaudio')} (minimp3)"


def announced(output: ByteSource) -> Announced:
    """How long the decoder will play a file, which it takes from the tag frame.

    Raises UndecodableError.
    """
    import miniaudio

    try:
        info = miniaudio.mp3_get_info(output.read(0, _HEAD_BYTES))
    except miniaudio.DecodeError as error:
        raise UndecodableError(str(error)) from error
    return Announced(info.num_frames, info.sample_rate, info.nchannels)


def decode_frames(source: ByteSource, index: FrameIndex, first: int, last: int) -> Pcm:
    """The samples of the frames from `first` to before `last`; frames that aren't there are silent.

    Frames whose main data is lost are silent too. Raises UndecodableError where any other frame
    does not decode to its samples.
    """
    spf = index.format.samples_per_frame
    low = min(max(first, 0), last)
    high = max(low, min(last, index.frames))
    pcm = _existing(source, index, low, high) if low < high else None
    if pcm is not None and (low, high) == (first, last):
        return pcm
    out = np.zeros(((last - first) * spf, index.format.channels), dtype=np.int16)
    if pcm is not None:
        out[(low - first) * spf : (high - first) * spf] = pcm
    return out


def decode_source(source: ByteSource, index: FrameIndex, first: int, last: int) -> Pcm:
    """The same of a source, against which an output is to be judged.

    Raises VerificationError where that can't be done.
    """
    try:
        return decode_frames(source, index, first, last)
    except UndecodableError as error:
        raise VerificationError(f"nothing is verified: of the source, {error}") from error


def _existing(source: ByteSource, index: FrameIndex, first: int, last: int) -> Pcm:
    """The samples of frames that are there, at least one."""
    warm_up, end = index.format.warm_up_frames, last
    if index.free_format:
        # Sizes are found by looking for equal headers, many of them.
        warm_up, end = _FREE_FORMAT_FRAMES, min(index.frames, last + _FREE_FORMAT_FRAMES)
    start = look_back(index, max(0, first - warm_up))
    damaged = index.lost_between(start, end) or index.segments_between(start + 1, end)
    pcm = None if damaged else _decode(source, index, start, first, end)
    if pcm is None:
        pcm = _decode_silenced(source, index, start, first, end)
    return pcm[: (last - first) * index.format.samples_per_frame]


def _decode(source: ByteSource, index: FrameIndex, start: int, first: int, last: int) -> Pcm | None:
    """Frames as they stand; None where some are damaged."""
    data = index.read_frames(source, start, last)
    front = _in_front(data, index, start, last)
    lacking = _lacking(data, index, start, last, len(front))
    return _tail(front + data, index, bool(front) + last - start - lacking, last - first)


def _in_front(data: bytes, index: FrameIndex, start: int, last: int) -> bytes:
    """A silent frame to put before `data`, where that holds a tag frame inside the recording.

    The decoder would leave it out if it were the first that it can decode.
    """
    tags = index.inner_tags
    number = bisect_left(tags, start)
    if number == len(tags) or tags[number] >= last:
        return b""
    return data[:HEADER_BYTES].ljust(index.size(start), b"\0")


def _decode_silenced(
    source: ByteSource, index: FrameIndex, start: int, first: int, last: int
) -> Pcm:
    """Frames with those silenced whose main data is lost: the decoder would leave them out."""
    frames = read_frames(source, index, start, last)
    front = _in_front(frames[0].data, index, start, last)
    parts = [front]
    lacking = 0
    free = frames[0].slot_bytes if front else 0
    for frame in frames:
        if frame.intact:
            parts.append(frame.data)
            begin, used = frame.side_info.main_data_begin, len(frame.adu)
        else:
            begin, used = min(free, index.format.max_main_data_begin), 0
            parts.append(frame.silenced(begin))
        left_out = begin > free
        lacking += left_out
        free = frame.slot_bytes + (free if left_out else begin - used)
    decodable = bool(front) + len(frames) - lacking
    pcm = _tail(b"".join(parts), index, decodable, last - first)
    if pcm is None:
        raise UndecodableError(f"not all of frames {first} to {last} can be decoded by minimp3")
    return pcm


def _lacking(data: bytes, index: FrameIndex, start: int, last: int, front_bytes: int) -> int:
    """How many of the first frames of `data` begin in main data before it: they are left out.

    front_bytes: the size of the silent frame before it, if there is one.
    """
    position = available = lacking = 0
    for number in range(start, last):
        header = parse_header(data, position)
        assert header is not None
        if front_bytes and not position:
            available = front_bytes - header.main_data_offset
        side = data[position + header.side_info_offset : position + header.main_data_offset]
        lacking += parse_side_info(side, header.format).main_data_begin > available
        size = index.size(number)
        available += size - header.main_data_offset
        position += size
        if available >= index.format.max_main_data_begin:
            break
    return lacking


def _tail(data: bytes, index: FrameIndex, decodable: int, wanted: int) -> Pcm | None:
    """The last `wanted` frames of `data`; None where not `decodable` frames come out."""
    import miniaudio

    format = index.format
    try:
        sound = miniaudio.mp3_read_s16(data)
    except miniaudio.DecodeError as error:
        raise UndecodableError(str(error)) from error
    pcm = np.frombuffer(sound.samples, dtype=np.int16)
    if sound.nchannels != format.channels or sound.sample_rate != format.rate_hz:
        raise UndecodableError(f"it plays as {sound.nchannels} channels at {sound.sample_rate} Hz")
    pcm = pcm.reshape(-1, format.channels)
    if len(pcm) != decodable * format.samples_per_frame or decodable < wanted:
        return None
    return pcm[len(pcm) - wanted * format.samples_per_frame :]
