# SPDX-License-Identifier: Apache-2.0
"""What was heard of an output, as figures that nobody has judged yet."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from audioengine.edits import Span


@dataclass(frozen=True, slots=True)
class HeardMask:
    """What is heard inside a mask, or 8 s of it."""

    channel: int
    span: Span
    alone: bool
    """Whether no other recording is heard there."""
    tone_db: float | None
    """Level of the tone beside the one asked for; None where too short, or silence was asked."""
    phase: float
    edge_rest_dbfs: float
    """The loudest 20 ms beside the tone, where unmasked audio is in the same frames."""
    edge_limit_dbfs: float
    edge_noise_dbfs: float
    """The loudest 20 ms of coding noise in what is kept next to the mask; of another channel, 12 dB
    less."""
    deep: bool
    """Whether there are frames that hold nothing but the mask, and long enough."""
    core_rest_dbfs: float
    """The same in frames that hold nothing but the mask."""
    core_bits: float
    """Main data of a granule of this channel there, on the average."""
    likeness: float
    likeness_chance: float
    envelope: float
    envelope_chance: float
    envelope_spread: float


@dataclass(frozen=True, slots=True)
class HeardEdge:
    """Where a mask seems to begin or end."""

    channel: int
    span: Span
    error_dbfs: float
    """What is heard beside what should be, 15 ms to either side."""
    shift_ms: float
    """The shift of the edge that explains most of it."""
    shifted_dbfs: float
    """What is left then."""
    voice_taken_dbfs: float
    """What is left if the voice is still heard in the mask's first or last few ms."""
    noise_dbfs: float
    """The coding noise in what is kept, 15 to 30 ms from the edge."""


@dataclass(frozen=True, slots=True)
class HeardKept:
    """What is heard of the source where its audio is kept and coded anew."""

    channel: int
    span: Span
    resemblance: float
    """Correlation with the source; 1 where they are the same."""
    gain: float
    """Its level beside the source's."""
    lag: int
    """Samples by which it seems to be late."""
    confidence: float
    """How much likelier that is than none."""


@dataclass(frozen=True, slots=True)
class HeardAdded:
    """Where most is heard, at one frequency, beside what should be."""

    channel: int
    span: Span
    hz: float
    level_dbfs: float
    excess_db: float
    """How much louder it is than what should be heard about there."""


@dataclass(frozen=True, slots=True, eq=False)
class HeardBands:
    """How loud a stretch is that is coded anew, band by band."""

    channel: int
    span: Span
    blocks: npt.NDArray[np.int64]
    """[shape=(bands,)] How many were looked at, which overlap by half; 0 in bands that encoder or
    resampler need not leave as they are."""
    ours: npt.NDArray[np.float64]
    """[shape=(bands,)] The sum of their mean squares."""
    wanted: npt.NDArray[np.float64]
    """The same of what should be heard."""
    squares: npt.NDArray[np.float64]
    """The sum of the squares of what should be heard."""
    alike: float
    """How many of the blocks share one granule, and count as one."""


@dataclass(frozen=True, slots=True)
class HeardShare:
    """What is heard of one of several recordings."""

    channel: int
    span: Span
    part: int
    """Its number."""
    share: float
    """1 where it is heard at its own level, 0 where nothing of it is."""
    slack: float
    """By how much noise may have that wrong."""
    lag: int
    """Samples by which it seems to be late."""
    confidence: float
    """How much likelier that is than none."""


@dataclass(frozen=True, slots=True)
class HeardUnasked:
    """What is heard of a recording where it should not be."""

    channel: int
    span: Span
    part: int
    share: float
    slack: float
    likeness: float
    likeness_chance: float


@dataclass(frozen=True, slots=True)
class HeardSum:
    """How a sum of several recordings, or 100 ms of it that are too loud, is turned down."""

    channel: int
    span: Span
    resemblance: float
    """Correlation with the sum; 1 where they are the same. Of all of the 100 ms."""
    gain: float
    """Level beside the sum's; of the 100 ms, or of those samples alone that are too loud."""
    least: float
    most: float
    """What it should be between."""


@dataclass(frozen=True, slots=True)
class HeardGap:
    """What is heard where nobody is."""

    channel: int
    span: Span
    level_dbfs: float
    """Its loudest 20 ms."""
    limit_dbfs: float
    """How loud coding noise of what is next to it may be."""


@dataclass(frozen=True, slots=True)
class HeardHidden:
    """What the output's frames hold before its first sample or after its last one."""

    channel: int
    span: Span
    level_dbfs: float
    """Its loudest 20 ms."""
    limit_dbfs: float
    """How loud it is beside them, in what is played."""
    noise_dbfs: float
    """How loud the noise of the coding is there, by 20 ms."""
    likeness: float
    """To a recording that has audio there."""
    likeness_chance: float


@dataclass(frozen=True, slots=True)
class HeardTrace:
    """What is heard of a masked voice on the channel of another party."""

    channel: int
    span: Span
    share: float
    """1 where it is heard at its own level, at any lag up to 20 ms; 0 where nothing of it is."""
    slack: float
    """Level of all that is heard beside the other party, that of the voice being 1."""
    other_party: float
    """That of the other party, likewise."""


@dataclass
class Heard:
    """All findings, in the order of the output."""

    masks: list[HeardMask] = field(default_factory=list)
    edges: list[HeardEdge] = field(default_factory=list)
    kept: list[HeardKept] = field(default_factory=list)
    added: list[HeardAdded] = field(default_factory=list)
    bands: list[HeardBands] = field(default_factory=list)
    shares: list[HeardShare] = field(default_factory=list)
    unasked: list[HeardUnasked] = field(default_factory=list)
    sums: list[HeardSum] = field(default_factory=list)
    gaps: list[HeardGap] = field(default_factory=list)
    traces: list[HeardTrace] = field(default_factory=list)
    hidden: list[HeardHidden] = field(default_factory=list)
    undecodable: int = 0
    samples: int = 0

    def add(self, other: Heard) -> None:
        """Take what was found later in the output."""
        self.masks += other.masks
        self.edges += other.edges
        self.kept += other.kept
        self.added += other.added
        self.bands += other.bands
        self.shares += other.shares
        self.unasked += other.unasked
        self.sums += other.sums
        self.gaps += other.gaps
        self.traces += other.traces
        self.hidden += other.hidden
        self.undecodable += other.undecodable
        self.samples += other.samples
