# SPDX-License-Identifier: Apache-2.0
"""The channels of a sound: one channel as a leg, or both swapped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from audioengine.sources.leg import Block, Sound


@dataclass(frozen=True, slots=True)
class ChannelLeg:
    """One channel of a sound as a leg."""

    sound: Sound
    channel: int
    starts_at: Fraction | None

    @property
    def rate(self) -> int:
        """Sampling rate in Hz."""
        return self.sound.rate

    @property
    def length(self) -> int:
        """Samples in all."""
        return self.sound.length

    def blocks(self, size: int) -> Iterator[Block]:
        """The samples in order, as `Leg.blocks` says."""
        return (block[:, self.channel] for block in self.sound.blocks(size))


@dataclass(frozen=True, slots=True)
class Swapped:
    """A sound of two channels, swapped."""

    sound: Sound

    @property
    def rate(self) -> int:
        """Sampling rate in Hz."""
        return self.sound.rate

    @property
    def channels(self) -> int:
        """The number of channels."""
        return self.sound.channels

    @property
    def length(self) -> int:
        """Samples per channel."""
        return self.sound.length

    @property
    def seeks(self) -> bool:
        """As the sound."""
        return self.sound.seeks

    def blocks(self, size: int, start: int = 0) -> Iterator[Block]:
        """The samples in order, as `Sound.blocks` says."""
        return (block[:, ::-1] for block in self.sound.blocks(size, start))
