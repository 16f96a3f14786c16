# SPDX-License-Identifier: Apache-2.0
"""Reads files that libsndfile can't read, with FFmpeg: the extra `av`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from audioengine.errors import LimitError, MalformedAudioError, UnsupportedAudioError
from audioengine.mp3.bytesource import ByteSource
from audioengine.sources.file import file_of
from audioengine.sources.leg import Block
from audioengine.sources.sndfile import CutOffError, checked

if TYPE_CHECKING:
    from av import AudioFrame
    from av.container import InputContainer

# Timestamps of WebM are whole milliseconds: a smaller difference is rounding, not a gap.
_LEAST_GAP_S = 0.05

# Containers whose header states the length, as FFmpeg calls them: WebM, MP4, Windows Media.
_STATING = {"matroska", "webm", "mov", "mp4", "asf"}
# FFmpeg gives durations in microseconds (AV_TIME_BASE).
_UNITS_PER_S = 1_000_000
# Codecs leave out their delay, or fill the last frame: 65 ms of Windows Media at 8 kHz.
_LEAST_MISSING_S = 0.5


def is_there() -> bool:
    """Whether the extra is installed."""
    return find_spec("av") is not None


@dataclass(frozen=True, slots=True)
class AvSound:
    """A sound in a file that FFmpeg reads; each read opens the file again."""

    source: ByteSource
    rate: int
    channels: int
    length: int
    missing_s: float = 0.0
    """How much of the length that the header states is not there."""

    @property
    def seeks(self) -> bool:
        """No: packets lean on those before them."""
        return False

    def blocks(self, size: int, start: int = 0) -> Iterator[Block]:
        """The samples in order, as `Sound.blocks` says."""
        position = 0
        for whole in _decoded(self.source):
            for at in range(0, len(whole), size):
                block = whole[at : at + size]
                skipped = min(len(block), max(0, start - position))
                block = block[skipped : max(skipped, self.length - position)]
                position += min(size, len(whole) - at)
                if len(block):
                    yield checked(block)
        if position < self.length:
            raise CutOffError(position, self.length)


def open_av(source: ByteSource, kind: str, most_seconds: int) -> AvSound:
    """Open a file and decode it once to count its samples.

    Raises UnsupportedAudioError, MalformedAudioError, and LimitError beyond `most_seconds`.
    """
    import av

    try:
        with _container(source) as container:
            rate, channels = _shape(container, kind)
            stated_s = _stated_s(container)
    except UnsupportedAudioError:
        raise
    except (av.FFmpegError, ValueError, IndexError) as error:
        why = getattr(error, "strerror", None) or error
        raise UnsupportedAudioError(f"this is {kind}, which FFmpeg can't read: {why}") from error
    if not rate or not channels:
        raise MalformedAudioError(f"this is {kind} of {channels} channels at {rate} Hz")
    length = 0
    for block in _decoded(source):
        length += len(block)
        if length > most_seconds * rate:
            raise LimitError(f"the recording is longer than {most_seconds:,} s")
    missing_s = stated_s - length / rate
    return AvSound(
        source, rate, channels, length, missing_s if missing_s > _LEAST_MISSING_S else 0.0
    )


def _stated_s(container: InputContainer) -> float:
    """The length that the header states; 0 if FFmpeg estimates it from bitrates."""
    states = not _STATING.isdisjoint(container.format.name.split(","))
    return container.duration / _UNITS_PER_S if states and container.duration else 0.0


def _shape(container: InputContainer, kind: str) -> tuple[int, int]:
    """The sampling rate and the channels of the only stream of sound."""
    if not container.streams.audio:
        raise UnsupportedAudioError(f"this is {kind} without sound")
    stream = container.streams.audio[0]
    if len(container.streams.audio) > 1:
        raise UnsupportedAudioError(
            f"this is {kind} with {len(container.streams.audio)} streams of sound, and "
            "which one is meant is unknown: extract one with ffmpeg -map 0:a:N -c copy"
        )
    if stream.codec_context is None:
        raise UnsupportedAudioError(f"this is {kind}, a codec that FFmpeg does not have")
    return stream.rate or 0, stream.channels


def _container(source: ByteSource) -> InputContainer:
    import av

    container: InputContainer = av.open(file_of(source), mode="r", metadata_errors="replace")
    return container


def _decoded(source: ByteSource) -> Iterator[Block]:
    """[shape=(n, channels)] All samples, with silence where time stamps leave a gap."""
    import av

    try:
        with _container(source) as container:
            stream = container.streams.audio[0]
            rate, channels = stream.rate, stream.channels
            zero: int | None = None
            position = 0
            for frame in container.decode(stream):
                if (frame.sample_rate, frame.layout.nb_channels) != (rate, channels):
                    raise UnsupportedAudioError(
                        f"its sound changes from {rate} Hz and {channels} channels to "
                        f"{frame.sample_rate} Hz and {frame.layout.nb_channels}"
                    )
                block = _samples(frame)
                at = _place(frame, rate)
                if at is not None:
                    zero = at - position if zero is None else zero
                    gap = at - zero - position
                    if gap > _LEAST_GAP_S * rate:
                        yield from _silence(gap, block)
                        position += gap
                position += len(block)
                yield block
    except (av.FFmpegError, ValueError) as error:
        raise MalformedAudioError(f"its sound can't be decoded: {error}") from error


def _place(frame: AudioFrame, rate: int) -> int | None:
    if frame.pts is None or frame.time_base is None:
        return None
    return round(frame.pts * frame.time_base * rate)


def _silence(count: int, like: Block) -> Iterator[Block]:
    for first in range(0, count, 1 << 16):
        yield np.zeros((min(1 << 16, count - first), like.shape[1]), dtype=like.dtype)


def _samples(frame: AudioFrame) -> Block:
    """[shape=(n, channels)] The samples of a frame."""
    values = frame.to_ndarray()
    channels = frame.layout.nb_channels
    pcm = values.T if frame.format.is_planar else values.reshape(-1, channels)
    if pcm.dtype == np.int16:
        return np.ascontiguousarray(pcm)
    if pcm.dtype.kind == "f":
        return np.ascontiguousarray(pcm, dtype=np.float32)
    full = float(1 << (8 * pcm.dtype.itemsize - 1))
    zero = full if pcm.dtype.kind == "u" else 0.0
    return ((pcm.astype(np.float64) - zero) / full).astype(np.float32)
