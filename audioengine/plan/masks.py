# SPDX-License-Identifier: Apache-2.0
"""Plans each mask of a request on its source's channels, with the side effects of the coding."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from audioengine.choices import CallerChannel, SharedFrames
from audioengine.edits import AppliedMask, Span, join, touching
from audioengine.mp3.index import FrameIndex
from audioengine.notices import Notice
from audioengine.plan.grid import Flags, FrameRange, Grid, frames_touched
from audioengine.plan.spans import without
from audioengine.plan.stereo import Coupling

_NO_FRAMES = FrameRange(0, 0)

ReadCoupling: TypeAlias = Callable[[FrameRange], "npt.NDArray[np.uint8]"]


@dataclass(frozen=True, slots=True)
class PlannedMask:
    """One mask of the request on the source's channels."""

    mask: AppliedMask
    channels: tuple[int, ...]
    """Channels of the source that it covers: 0 left, 1 right."""
    span: Span
    """The masked raw samples that the output plays; empty if the trim removes them."""
    core: FrameRange
    """Frames that depend on those samples."""
    shared_frames: int
    """Frames of the core in which the other party is coded together with this one."""


@dataclass(frozen=True, slots=True)
class PlannedMasks:
    """All masks of one recording."""

    masks: tuple[PlannedMask, ...]
    masked: tuple[tuple[Span, ...], ...]
    """Per channel, the raw samples that the beep replaces."""
    warnings: tuple[Notice, ...]
    fallbacks: tuple[Notice, ...]
    """Why the frames under a mask can't be spliced."""


def plan_masks(
    index: FrameIndex,
    asked: Iterable[AppliedMask],
    kept: Span,
    grid: Grid,
    read_coupling: ReadCoupling,
    *,
    caller_channel: CallerChannel,
    shared_frames: SharedFrames,
) -> PlannedMasks:
    """Place masks on the channels of a recording; the output plays its raw samples `kept`.

    `read_coupling` returns the Coupling of each frame of a range; it is called only for frames
    under one-party masks in a stereo source.
    """
    masks = []
    warnings: list[Notice] = []
    fallbacks: list[Notice] = []
    masked: list[list[Span]] = [[] for _ in range(index.format.channels)]
    asked = tuple(asked)
    parties = {mask.party for mask in asked}
    others = {
        party: join(_raw(mask.applied, index) for mask in asked if mask.party != party)
        for party in parties
    }
    for mask in asked:
        planned, also = _plan_mask(
            mask,
            others[mask.party],
            index,
            kept,
            grid,
            read_coupling,
            caller_channel,
            shared_frames,
        )
        masks.append(planned)
        warnings += also.warnings
        fallbacks += also.fallbacks
        raw = _raw(mask.applied, index)
        for channel in range(index.format.channels):
            masked[channel] += [raw] if channel in planned.channels else also.other_party
    return PlannedMasks(
        tuple(masks), tuple(join(spans) for spans in masked), tuple(warnings), tuple(fallbacks)
    )


@dataclass(frozen=True, slots=True)
class _AlsoChanged:
    """The effects of a mask beyond its own samples."""

    other_party: list[Span]
    """Raw samples of the other channel that are masked too."""
    warnings: list[Notice]
    fallbacks: list[Notice]


def _plan_mask(
    mask: AppliedMask,
    others: Sequence[Span],
    index: FrameIndex,
    kept: Span,
    grid: Grid,
    read_coupling: ReadCoupling,
    caller_channel: CallerChannel,
    shared_frames: SharedFrames,
) -> tuple[PlannedMask, _AlsoChanged]:
    """Place one mask; `others` are the raw samples at which the other party is masked too."""
    raw = _raw(mask.applied, index)
    others = touching(others, raw) if others else ()
    audible = raw.clipped(kept)
    core = frames_touched(index.format, audible, grid) if audible.length else _NO_FRAMES
    nothing = _AlsoChanged([], [], [])
    if index.format.channels == 1:
        return PlannedMask(mask, (0,), audible, core, 0), nothing
    if mask.party == "both" or (others and not without([raw], others)):
        # Both parties are masked there, possibly by two masks.
        return PlannedMask(mask, (0, 1), audible, core, 0), nothing
    own = int((mask.party == "caller") != (caller_channel == "left"))
    if not core.count:
        return PlannedMask(mask, (own,), audible, core, 0), nothing
    under = source_frames(index, audible)
    coupling = read_coupling(under)
    if not coupling.any():
        return PlannedMask(mask, (own,), audible, core, 0), nothing
    counts = np.bincount(coupling, minlength=len(Coupling)).tolist()
    name = f"the mask of {mask.party} at samples {mask.applied.start} to {mask.applied.end}"
    equal, silent = counts[Coupling.EQUAL], counts[Coupling.SILENT]
    if equal and equal + silent == under.count:
        notice = Notice("equal_channels", f"Both channels are equal under {name}; both are masked.")
        return PlannedMask(mask, (0, 1), audible, core, 0), _AlsoChanged([], [notice], [])
    shared = counts[Coupling.MID_SIDE]
    planned = PlannedMask(mask, (own,), audible, core, shared)
    fallbacks = []
    other: list[Span] = []
    if counts[Coupling.INTENSITY]:
        coupled = _parts_of(coupling == Coupling.INTENSITY, under, raw, index)
        other += without(coupled, others)
    if other:
        fallbacks.append(
            Notice(
                "intensity_stereo",
                f"Frames under {name} use intensity stereo; both parties are masked in those",
            )
        )
    if shared and shared_frames == "mask_both":
        other += _parts_of(coupling == Coupling.MID_SIDE, under, raw, index)
    return planned, _AlsoChanged(other, [], fallbacks)


def _parts_of(flags: Flags, frames: FrameRange, raw: Span, index: FrameIndex) -> list[Span]:
    """The raw samples in `raw` on which the flagged ones of `frames` depend."""
    spf = index.format.samples_per_frame
    starts = [(frames.first + frame) * spf for frame in np.flatnonzero(flags).tolist()]
    parts = [Span(start, start + index.format.support).clipped(raw) for start in starts]
    return [part for part in parts if part.length]


def source_frames(index: FrameIndex, span: Span) -> FrameRange:
    """The source's frames that depend on any of these raw samples."""
    return frames_touched(index.format, span, Grid(0, FrameRange(0, index.frames), 0, 0))


def _raw(span: Span, index: FrameIndex) -> Span:
    return Span(index.start + span.start, index.start + span.end)
