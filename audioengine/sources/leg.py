# SPDX-License-Identifier: Apache-2.0
"""The interfaces for reading samples: sounds of one or two channels, and legs of one party."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Block: TypeAlias = npt.NDArray[np.float32] | npt.NDArray[np.int16]
"""Consecutive samples; float32 has full scale ±1, int16 ±32,768."""

Samples: TypeAlias = npt.NDArray[np.float32]

FULL_SCALE = 32_768


class Leg(Protocol):
    """Samples of one party, from its first one, read in order."""

    @property
    def rate(self) -> int:
        """Sampling rate in Hz."""
        ...

    @property
    def length(self) -> int:
        """The exact number of samples."""
        ...

    @property
    def starts_at(self) -> Fraction | None:
        """Epoch time of the first sample in milliseconds; None: not known."""
        ...

    def blocks(self, size: int) -> Iterator[Block]:
        """[shape=(n,)] All samples in order, at most `size` at a time.

        Raises MalformedAudioError if the file has fewer than `length`.
        """
        ...


class Sound(Protocol):
    """Samples of one channel or two."""

    @property
    def rate(self) -> int:
        """Sampling rate in Hz."""
        ...

    @property
    def channels(self) -> int:
        """1 or 2."""
        ...

    @property
    def length(self) -> int:
        """Samples per channel, exactly."""
        ...

    @property
    def seeks(self) -> bool:
        """Whether reading may start anywhere at no cost; else it begins at the front."""
        ...

    def blocks(self, size: int, start: int = 0) -> Iterator[Block]:
        """[shape=(n, channels)] The samples from `start` on in order, at most `size` at a time.

        They are the same for any `start`. Raises MalformedAudioError if the file has fewer than
        `length`.
        """
        ...


def as_float(block: Block) -> Samples:
    """The same samples with full scale ±1."""
    if block.dtype == np.int16:
        scaled: Samples = block * np.float32(1 / FULL_SCALE)
        return scaled
    return block.astype(np.float32, copy=False)
