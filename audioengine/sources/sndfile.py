# SPDX-License-Identifier: Apache-2.0
"""Reads files with libsndfile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import soundfile

from audioengine.errors import MalformedAudioError
from audioengine.mp3.bytesource import ByteSource
from audioengine.sources.file import file_of
from audioengine.sources.leg import Block
from audioengine.sources.raw import RawFormat

# 16 bits hold the samples of these without loss.
_SIXTEEN_BITS = frozenset(
    (
        "PCM_S8",
        "PCM_U8",
        "PCM_16",
        "ULAW",
        "ALAW",
        "GSM610",
        "IMA_ADPCM",
        "MS_ADPCM",
        "G721_32",
        "G723_24",
        "G723_40",
    )
)

# Each sample stands alone, so reading may start anywhere.
_APART = frozenset(
    (
        "PCM_S8",
        "PCM_U8",
        "PCM_16",
        "PCM_24",
        "PCM_32",
        "FLOAT",
        "DOUBLE",
        "ULAW",
        "ALAW",
    )
)

# libsndfile 1.2.2 decodes Opus wrongly if only a few samples are read at a time.
_READ_AT_ONCE = 1 << 12

MOST_PEAK = 2.0
"""The highest peak of floats, 6 dB over full scale; higher ones are unscaled integers."""


@dataclass(frozen=True, slots=True)
class SndfileSound:
    """A sound in a file that libsndfile reads; each read opens the file again."""

    source: ByteSource
    rate: int
    channels: int
    length: int
    subtype: str
    """libsndfile's name of the codec."""
    raw: RawFormat | None

    @property
    def seeks(self) -> bool:
        """Whether each sample stands alone."""
        return self.subtype in _APART

    def blocks(self, size: int, start: int = 0) -> Iterator[Block]:
        """The samples in order, as `Sound.blocks` says."""
        if self.seeks:
            yield from self._read(size, start)
            return
        position = 0
        for block in self._read(_READ_AT_ONCE, 0):
            for first in range(max(0, start - position), len(block), size):
                yield block[first : first + size]
            position += len(block)

    def _read(self, size: int, start: int) -> Iterator[Block]:
        """[shape=(n, channels)] The samples from `start` on, `size` at a time."""
        dtype = "int16" if self.subtype in _SIXTEEN_BITS else "float32"
        with open_sndfile(self.source, self.raw) as file:
            if self.seeks:
                # Also to 0: behind a broken header reading may begin elsewhere than seeking does.
                try:
                    file.seek(start)
                except soundfile.LibsndfileError as error:
                    raise CutOffError(0, self.length, str(error)) from error
            for position in range(start, self.length, size):
                wanted = min(size, self.length - position)
                try:
                    block: Block = file.read(wanted, dtype=dtype, always_2d=True)
                except soundfile.LibsndfileError as error:
                    raise CutOffError(position, self.length, str(error)) from error
                if len(block):
                    yield checked(block)
                if len(block) < wanted:
                    raise CutOffError(position + len(block), self.length)


def open_sndfile(source: ByteSource, raw: RawFormat | None) -> soundfile.SoundFile:
    """Open a file with libsndfile. Raises soundfile.LibsndfileError."""
    if raw is None:
        return soundfile.SoundFile(file_of(source))
    return soundfile.SoundFile(
        file_of(source),
        samplerate=raw.rate,
        channels=raw.channels,
        format="RAW",
        subtype=raw.subtype,
        endian="LITTLE",
    )


class CutOffError(MalformedAudioError):
    """A file ends before it should, or can't be read to its end."""

    def __init__(self, there: int, promised: int, why: str = "") -> None:
        super().__init__(
            f"the file is cut off or damaged: it promises {promised:,} samples, and {there:,} can "
            f"be read{f' ({why})' if why else ''}; allow_truncated accepts it"
        )
        self._given = (there, promised, why)

    def __reduce__(self) -> tuple[type[CutOffError], tuple[int, int, str]]:
        return type(self), self._given


def checked(block: Block) -> Block:
    """The block, if its floats are valid samples. Raises MalformedAudioError."""
    if block.dtype == np.int16 or not block.size:
        return block
    peak = float(np.abs(block).max())
    if not peak <= MOST_PEAK:  # NaN is not
        given = "NaN or infinity" if not np.isfinite(peak) else f"a peak of {peak:g}"
        raise MalformedAudioError(
            f"the file has {given} among its samples; floats must be within ±{MOST_PEAK:g}, with "
            "full scale ±1"
        )
    return block
