# SPDX-License-Identifier: Apache-2.0
"""What tests of all layers share: fixtures, sources in memory, decoders that aren't ours."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import av
import miniaudio
import numpy as np
import numpy.typing as npt
import soundfile

import fixtures
from audioengine.mp3.header import FrameHeader, Mode, StreamFormat
from audioengine.mp3.index import FrameIndex, Junk, Segment
from audioengine.mp3.info_tag import InfoTag
from audioengine.mp3.main_data import Frame, read_frames
from audioengine.mp3.scan import scan
from audioengine.mp3.side_info import pack_side_info
from audioengine.mp3.splice import ChannelFrame, join_channels
from audioengine.plan.encode import header_for
from fixtures import mpeg

FIXTURES = Path(fixtures.__file__).parent


def arguments(kind: type[Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `store` or `merge`, those that are options as a value of their kind."""
    names = {one.name for one in fields(kind)} & given.keys()
    options = kind(**{name: given[name] for name in names})
    return {"options": options, **{name: given[name] for name in given.keys() - names}}


# Fixtures by what reading them meets; a name is a file's without its suffix.
ALL = tuple(sorted(path.stem for path in FIXTURES.glob("*.mp3")))
REFUSED = ("channel-change", "empty", "layer2", "not-audio", "rate-change")
DAMAGED = (
    "byte-missing",
    "head-cut",
    "id3v1-in-middle",
    "junk-at-start",
    "junk-in-middle",
    "truncated-last-frame",
    "zeros-in-middle",
)
# By other encoders, and by tools that cut, copy or repair.
FOREIGN = tuple(sorted(f"foreign/{path.stem}" for path in FIXTURES.glob("foreign/*.mp3")))
FREE_FORMAT = ("freeformat-16k", "freeformat-44k")
READABLE = tuple(name for name in ALL if name not in REFUSED)
WHOLE = tuple(name for name in READABLE if name not in DAMAGED)
# One of each kind of stream, for tests that take long on each.
VARIED = (
    "mpeg25-8k-32k",
    "mpeg2-16k-48k",
    "mpeg1-44k-128k",
    "mpeg1-44k-320k",
    "mono-8k",
    "mono-44k",
    "vbr-16k",
    "vbr-44k",
    "crc-16k",
    "untagged-44k",
    "freeformat-16k",
    "naive-concat",
)


@cache
def fixture(name: str) -> bytes:
    """The bytes of a fixture."""
    return (FIXTURES / f"{name}.mp3").read_bytes()


@cache
def indexed(name: str) -> FrameIndex:
    """The index of a fixture."""
    return scan(Bytes(fixture(name)))


@cache
def read(name: str) -> tuple[Frame, ...]:
    """All frames of a fixture, each with its own main data, as audioengine reads them."""
    return tuple(read_frames(Bytes(fixture(name)), indexed(name), 0, indexed(name).frames))


@cache
def sound(name: str) -> tuple[mpeg.Frame, ...]:
    """The audio frames of an undamaged fixture, read apart from audioengine."""
    every = list(mpeg.frames(fixture(name)))
    # Only a file's first frame is its tag: what stands inside plays, as silence.
    return tuple(every[1:] if every[0].is_tag else every)


def main_data(frames: Sequence[mpeg.Frame]) -> list[bytes | None]:
    """Each frame's own main data, gathered apart from audioengine; None where it is missing."""
    slots = b""
    out: list[bytes | None] = []
    for frame in frames:
        begin = len(slots) - frame.main_data_begin
        slots += frame.data[frame.side_offset + frame.side_length :]
        bits = sum(map(sum, frame.part2_3_lengths))
        end = begin + (bits + 7) // 8
        out.append(slots[begin:end] if begin >= 0 and end <= len(slots) else None)
    return out


def stream(format: StreamFormat, frames: Iterable[Sequence[ChannelFrame]]) -> bytes:
    """An untagged stream of these frames, coded left/right at the highest bitrate."""
    mode = Mode.SINGLE_CHANNEL if format.channels == 1 else Mode.STEREO
    word = FrameHeader(format, False, 14, 0, mode, 0, 0).word
    slot = format.frame_bytes(14) - 4 - format.side_info_bytes
    heads = []
    slots = bytearray()
    free = 0
    for channels in frames:
        begin = min(free, format.max_main_data_begin)
        info, adu = join_channels(channels, format, begin)
        heads.append(word + pack_side_info(info, format))
        start = len(slots) - begin
        slots += bytes(slot)
        assert start + len(adu) <= len(slots)
        slots[start : start + len(adu)] = adu
        free = len(slots) - start - len(adu)
    return b"".join(head + slots[i * slot : (i + 1) * slot] for i, head in enumerate(heads))


def empty_index(format: StreamFormat, bitrate_index: int) -> FrameIndex:
    """The index of a recording without frames."""
    return FrameIndex(
        header=header_for(format, bitrate_index),
        byte2=np.empty(0, dtype=np.uint8),
        segments=(),
        sizes=np.array(format.frame_sizes, dtype=np.uint16),
        info_tag=None,
        tags=(),
        junk=(),
        incomplete_last=None,
        lost=(),
        inner_tags=(),
        free_format=False,
    )


def index_of(
    format: StreamFormat,
    bitrate_indices: Sequence[int],
    *,
    delay_and_padding: tuple[int, int] | None = None,
    gaps_before: Sequence[int] = (),
    lost: Sequence[int] = (),
) -> FrameIndex:
    """The index of a recording of such frames, with junk before some of them."""
    byte2 = np.array([index << 4 | format.rate_index << 2 for index in bitrate_indices], np.uint8)
    sizes = np.array(format.frame_sizes, dtype=np.uint16)
    offsets = np.cumsum(np.concatenate(([0], sizes[byte2].astype(np.int64))))
    starts = [0, *sorted(gaps_before)]
    tag = None
    if delay_and_padding is not None:
        tag = InfoTag("Info", len(byte2), None, b"LAME3.100", *delay_and_padding)
    return replace(
        empty_index(format, bitrate_indices[0]),
        byte2=byte2,
        segments=tuple(
            Segment(first, int(offsets[first]) + 10 * number) for number, first in enumerate(starts)
        ),
        sizes=sizes,
        info_tag=tag,
        junk=tuple(
            Junk(int(offsets[first]) + 10 * number, 10) for number, first in enumerate(starts[1:])
        ),
        lost=tuple(lost),
        free_format=bitrate_indices[0] == 0,
    )


@dataclass
class Bytes:
    """A source in memory that remembers what was read of it."""

    data: bytes
    reads: list[tuple[int, int]] = field(default_factory=list)
    """Offset and length of each read."""

    @property
    def size(self) -> int:
        return len(self.data)

    def read(self, offset: int, length: int) -> bytes:
        assert offset >= 0
        assert length >= 0
        self.reads.append((offset, length))
        return self.data[offset : offset + length]


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Fail where the body takes longer: what may never end must not stop the tests."""

    def late(*_: object) -> None:
        raise AssertionError(f"took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def decode_miniaudio(data: bytes) -> npt.NDArray[np.int16]:
    """[shape=(n, channels)] All that miniaudio (minimp3) plays."""
    sound = miniaudio.mp3_read_s16(data)
    return np.array(sound.samples, dtype=np.int16).reshape(-1, sound.nchannels)


def decode_pyav(data: bytes) -> npt.NDArray[np.float32]:
    """[shape=(n, channels)] All that PyAV (FFmpeg) plays, cut by FFmpeg as the tag says."""
    with av.open(BytesIO(data), format="mp3") as container:
        stream = container.streams.audio[0]
        parts = []
        for packet in container.demux(stream):
            try:
                parts += [frame.to_ndarray() for frame in packet.decode()]
            except av.error.InvalidDataError:  # noqa: PERF203 - damage is one packet's
                continue
        channels = stream.codec_context.channels
    pcm: npt.NDArray[np.float32] = np.concatenate(
        [np.zeros((channels, 0), dtype=np.float32), *parts], axis=1
    ).T
    return pcm


def decode_soundfile(data: bytes) -> npt.NDArray[np.float32]:
    """[shape=(n, channels)] What libsndfile (mpg123) plays: too little where it is untagged.

    `soundfile.read` seeks to the start first, reading an open SoundFile does not: mpg123 then
    rounds by another phase, up to 6e-8 apart.
    """
    pcm, _ = soundfile.read(BytesIO(data), dtype="float32", always_2d=True)
    return cast("npt.NDArray[np.float32]", pcm)
