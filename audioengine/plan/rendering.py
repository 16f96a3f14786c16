# SPDX-License-Identifier: Apache-2.0
"""The plan that rendering executes, as data, for every operation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from audioengine.choices import Render
from audioengine.edits import Span
from audioengine.mp3.header import StreamFormat
from audioengine.plan.grid import FrameRange, Grid, merged
from audioengine.plan.masks import PlannedMask
from audioengine.plan.seams import ChannelRanges

Reason: TypeAlias = Literal[
    "mask", "trim", "shared", "window", "full", "mixed", "off_grid", "switch"
]
"""Why frames of a channel are re-made.

mask: they depend on masked samples; trim: they depend on samples outside the trim; shared: coded
together with the other channel's; window: beside a run, needed for a legal window sequence; full:
everything is re-made. In a merge, mixed: several recordings are heard; off_grid: the recording's
frames do not fall on the output's grid; switch: another recording begins.
"""

# Copying fewer frames in bulk is not worth it.
_LEAST_COPIED_FRAMES = 12


@dataclass(frozen=True, slots=True)
class Cause:
    """Frames that depend on changed samples of one kind."""

    reason: Reason
    frames: tuple[FrameRange, ...]


@dataclass(frozen=True)
class RenderPlan:
    """The output's frames: copied, silent, or re-made in one or both channels."""

    format: StreamFormat
    kept: Span
    """Raw samples that the output plays."""
    grid: Grid
    masks: tuple[PlannedMask, ...]
    masked: tuple[tuple[Span, ...], ...]
    """Per channel, the raw samples that the beep replaces."""
    required: ChannelRanges
    """Per channel, the frames that must be re-made, because they depend on changed samples."""
    made: ChannelRanges
    """Per channel, the re-made frames: the required ones, and those coded together with re-made
    frames of the other channel."""
    borders: ChannelRanges
    """Per channel, frames beside these that are re-made too if the window sequence needs it."""
    causes: tuple[Cause, ...]
    """The reasons; the first that contains a frame counts, and a mask if none does."""
    lost: tuple[int, ...]
    """Source frames that become silent in the output: lost frames, and Info frames inside a
    recording."""
    clusters: tuple[FrameRange, ...]
    """Stretches that are laid frame by frame; between them frames are copied in bulk, or silent."""
    silences: tuple[FrameRange, ...]
    """Stretches outside the clusters without frames in any source."""
    bitrate_index: int
    """The bitrate of re-made frames."""
    padded: bool
    """Whether re-made frames follow the padding of an exact constant bitrate."""
    full_band: bool
    """Whether re-made frames keep the whole band; decoded samples have nothing above their source's
    low-pass. If false, LAME chooses the low-pass by the bitrate, and works at the quality of first
    encodes."""
    keeps_start: bool
    """Whether the output begins with its source, so that the decoder's phase is kept too."""
    render: Render

    @property
    def copied_frames(self) -> int:
        """Frames outside all clusters and silences."""
        parts = (*self.clusters, *self.silences)
        return self.grid.frames.count - sum(part.count for part in parts)


def clusters_of(parts: Iterable[FrameRange]) -> tuple[FrameRange, ...]:
    """The stretches to lay frame by frame; `parts` are the frames in them that are not copied."""
    return merged((part for part in parts if part.count), gap=_LEAST_COPIED_FRAMES)
