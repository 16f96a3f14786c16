# SPDX-License-Identifier: Apache-2.0
"""What rendering has to do, as data, whatever operation asks for it."""

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

mask, trim: they depend on masked samples, on samples outside the trim; shared: coded together
with the other channel's; window: beside a run, to where windows follow one another; full:
everything was to be re-made. In a merge, mixed: several recordings are heard; off_grid: the
recording heard can't be copied onto the output's frames; switch: who is heard changes.
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
    """The output's frames: which are copied, which are silent, which channel of which is made."""

    format: StreamFormat
    kept: Span
    """Raw samples that the output plays."""
    grid: Grid
    masks: tuple[PlannedMask, ...]
    masked: tuple[tuple[Span, ...], ...]
    """Per channel, the raw samples that the beep replaces."""
    required: ChannelRanges
    """Per channel, the frames that must be re-made, since they depend on what is changed."""
    made: ChannelRanges
    """Per channel, the frames that are re-made: those required, and those coded together with
    frames that are re-made of the other channel."""
    borders: ChannelRanges
    """Per channel, frames beside these that are re-made too where windows ask for it."""
    causes: tuple[Cause, ...]
    """Why; the first that holds a frame counts, and a mask where none does."""
    lost: tuple[int, ...]
    """Source frames of the output that become silent ones: those whose main data is lost, and
    Info frames inside a recording."""
    clusters: tuple[FrameRange, ...]
    """Stretches that are laid frame by frame; all between them is copied in bulk, or silent."""
    silences: tuple[FrameRange, ...]
    """Stretches outside the clusters that no source has frames for."""
    bitrate_index: int
    """Of re-made frames."""
    padded: bool
    """Whether re-made frames follow the padding of an exact constant bitrate."""
    full_band: bool
    """Whether re-made frames keep all that their samples hold: samples that were decoded hold
    nothing above what their encoder kept. Else LAME leaves out what the bitrate is too low for, and
    works at the quality of first encodes."""
    keeps_start: bool
    """Whether the output begins where its source does: then the decoder's phase is kept too."""
    render: Render

    @property
    def copied_frames(self) -> int:
        """Frames outside all clusters and silences."""
        parts = (*self.clusters, *self.silences)
        return self.grid.frames.count - sum(part.count for part in parts)


def clusters_of(parts: Iterable[FrameRange]) -> tuple[FrameRange, ...]:
    """The stretches to lay one by one, of which these frames are not copied."""
    return merged((part for part in parts if part.count), gap=_LEAST_COPIED_FRAMES)
