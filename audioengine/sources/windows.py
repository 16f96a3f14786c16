# SPDX-License-Identifier: Apache-2.0
"""Reads any stretch of a sound, for readers that proceed nearly in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from threading import Lock

import numpy as np

from audioengine.edits import Span
from audioengine.errors import MalformedAudioError
from audioengine.sources.leg import Block, Samples, Sound, as_float

_BLOCK_SAMPLES = 1 << 16

# An encoder is warmed up with what comes before a section, and looks ahead.
_BESIDE_SAMPLES = 1 << 14


class SoundWindows:
    """Stretches of a sound; thread-safe.

    Parallel workers read consecutive sections, not quite in order, so the last few sections are
    cached, unless reading may start anywhere. A request for earlier samples reads the sound again.
    """

    def __init__(self, sound: Sound, section: int, workers: int) -> None:
        self.sound = sound
        self._kept = section * (1 if sound.seeks else workers) + _BESIDE_SAMPLES
        self._lock = Lock()
        self._begin(0)

    def _begin(self, start: int) -> None:
        self._blocks: deque[tuple[int, Block]] = deque()
        self._reading: Iterator[Block] = self.sound.blocks(_BLOCK_SAMPLES, start)
        self._first = self._next = start

    def __call__(self, spans: Sequence[Span]) -> list[Samples]:
        """[shape=(span.length, channels)] The samples of each span; 0 outside the sound."""
        return [self._window(span) for span in spans]

    def _window(self, span: Span) -> Samples:
        out: Samples = np.zeros((span.length, self.sound.channels), dtype=np.float32)
        there = span.clipped(Span(0, self.sound.length))
        if not there.length:
            return out
        for first, block in self._covering(there):
            low, high = max(first, there.start), min(first + len(block), there.end)
            out[low - span.start : high - span.start] = as_float(block[low - first : high - first])
        return out

    def _covering(self, there: Span) -> list[tuple[int, Block]]:
        """The blocks that cover a stretch."""
        with self._lock:
            if there.start < self._first:
                self._begin(there.start)
            while self._next < there.end:
                block = next(self._reading, None)
                if block is None:  # reading failed in another thread
                    raise MalformedAudioError("the file can't be read to its end")
                self._blocks.append((self._next, block))
                self._next += len(block)
                while self._first + len(self._blocks[0][1]) <= min(
                    there.start, self._next - self._kept
                ):
                    self._first += len(self._blocks.popleft()[1])
            return [
                (first, block)
                for first, block in self._blocks
                if first < there.end and first + len(block) > there.start
            ]
