# SPDX-License-Identifier: Apache-2.0
"""One recording as it should be heard in an output: where, at which rate, under which masks.

Places count samples of the output from the first that it plays.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from audioengine.edits import Span, join
from audioengine.errors import VerificationError
from audioengine.mp3.bytesource import ByteSource
from audioengine.mp3.index import FrameIndex
from audioengine.plan.grid import FrameRange
from audioengine.plan.spans import without
from audioengine.times import round_half_up
from audioengine.verification.decoder import UndecodableError, decode_source
from audioengine.verification.second_decoder import SecondDecoder
from audioengine.verification.waves import Masked, Wave, as_wave, resampled
from audioengine.verification.window_types import mixed_frames

ReadSamples: TypeAlias = Callable[[int, int], npt.NDArray[np.float32]]
"""Gives raw samples from one number to before another, shape (n, channels), full scale ±1."""

OVERLAP = 1056
"""Samples after a frame that still depend on it: 576, and the synthesis window's 480."""

_UNSURE_FRAMES = 3


@dataclass(frozen=True)
class Voice:
    """One recording, and where it is heard."""

    source: ByteSource
    index: FrameIndex
    raw: int
    """The raw sample of the recording that is heard at `at`."""
    at: int
    ratio: Fraction
    """Samples of the output for one of the recording."""
    heard: tuple[Span, ...]
    alone: tuple[Span, ...]
    """Where no other is heard."""
    masked: tuple[tuple[Masked, ...], ...]
    """By channel of the output."""
    read_samples: ReadSamples | None = None
    """Of a recording that is no MP3, gives its raw samples."""

    @property
    def everything(self) -> Span:
        """All that it plays, heard or not."""
        start = self.index.start
        return Span(self.place(start), self.place(start + self.index.samples))

    def place(self, raw: int) -> int:
        """Where a raw sample is."""
        return self.at + round_half_up((raw - self.raw) * self.ratio)

    @cached_property
    def unsure(self) -> tuple[Span, ...]:
        """Where decoders may play it in different ways: broken frames, and those next to them."""
        spf = self.index.format.samples_per_frame
        lost = set(self.index.lost).difference(self.index.hollow)
        broken = [*lost, *(segment.first_frame for segment in self.index.segments[1:])]
        return join(
            Span(
                self.place((frame - _UNSURE_FRAMES) * spf),
                self.place((frame + _UNSURE_FRAMES) * spf + OVERLAP),
            )
            for frame in broken
        )

    def waves(self, window: Span) -> list[Wave]:
        """By channel of the output, what it plays there, heard or not, without masks.

        Raises VerificationError.
        """
        if self.ratio == 1:
            first = self.raw + window.start - self.at
            pcm = self._read(first, first + window.length)
        else:
            start, end = window.start - self.at, window.end - self.at
            pcm = resampled(self._from_raw, self.index.format.rate_hz, self.ratio, start, end)
        channels = len(self.masked)
        return [pcm[:, channel % pcm.shape[1]] for channel in range(channels)]

    def _from_raw(self, start: int, end: int) -> npt.NDArray[np.float64]:
        return self._read(self.raw + start, self.raw + end)

    def _read(self, start: int, end: int) -> npt.NDArray[np.float64]:
        """[shape=(end - start, channels)] Raw samples; silence where there are none."""
        if self.read_samples is not None:
            return self.read_samples(start, end).astype(np.float64)
        spf = self.index.format.samples_per_frame
        first, last = start // spf, -(-end // spf)
        return self.frames(first, last)[start - first * spf : end - first * spf]

    def frames(self, first: int, last: int) -> npt.NDArray[np.float64]:
        """[shape=(n, channels)] What its frames from `first` to before `last` play.

        By minimp3, but where there are mixed blocks of MPEG-2: those it plays up to 0.46 of full
        scale apart from mpg123 and FFmpeg, which agree to 1e-6 (generated streams of 16 and 24 kHz;
        in MPEG-1 all three agree).

        Raises VerificationError.
        """
        index = self.index
        low, high = max(0, first - index.format.warm_up_frames), min(last, index.frames)
        minimp3_is_right = not index.format.lsf or index.free_format or low >= high
        if minimp3_is_right or not mixed_frames(self.source, index, FrameRange(low, high)).any():
            return as_wave(decode_source(self.source, index, first, last))
        out = np.zeros(((last - first) * index.format.samples_per_frame, index.format.channels))
        with closing(SecondDecoder()) as second:
            try:
                pcm = second.frames(self.source, index, max(0, first), high)
            except UndecodableError as error:
                raise VerificationError(f"nothing is verified: of the source, {error}") from error
        start = (max(0, first) - first) * index.format.samples_per_frame
        out[start : start + len(pcm)] = pcm
        return out

    def muted(self, wave: Wave, window: Span) -> Wave:
        """The wave with silence where it is not heard."""
        holes = without([window], self.heard)
        if not holes:
            return wave
        out: Wave = wave.copy()
        for span in holes:
            out[span.start - window.start : span.end - window.start] = 0
        return out
