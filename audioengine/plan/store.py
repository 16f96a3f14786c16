# SPDX-License-Identifier: Apache-2.0
"""Plans a store: the frames to copy, the frames and channels to re-make, and why.

A frame is copied if no sample that its coded data depends on has changed. An edit changes, per
channel, the masked samples and everything outside the trim.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

from audioengine.choices import CallerChannel, Fallback, Render, SharedFrames
from audioengine.edits import Edits, Span
from audioengine.errors import MalformedAudioError, UnsupportedAudioError
from audioengine.mp3.index import FrameIndex
from audioengine.notices import Notice
from audioengine.plan.bitrate import nominal_bitrate
from audioengine.plan.grid import FrameRange, Grid, frames_touched, merged, place
from audioengine.plan.masks import ReadCoupling, plan_masks, source_frames
from audioengine.plan.obstacles import obstacles
from audioengine.plan.rendering import Cause, RenderPlan, clusters_of
from audioengine.plan.seams import runs_of
from audioengine.plan.windows import ReadWindows

_WITHIN_A_FRAME = (
    "The kept stretch begins and ends within one frame; decoders cut it exactly only if it begins "
    "at the frame's start"
)

# Everything far outside the recording.
_FAR = 1 << 60


@dataclass(frozen=True)
class StorePlan(RenderPlan):
    """The plan for rendering a store, with facts for its report."""

    edits: Edits
    fallbacks: tuple[Notice, ...]
    warnings: tuple[Notice, ...]


def make_store_plan(
    index: FrameIndex,
    edits: Edits,
    read_coupling: ReadCoupling,
    read_windows: ReadWindows,
    *,
    render: Render = "smart",
    fallback: Fallback = "full",
    caller_channel: CallerChannel = "left",
    shared_frames: SharedFrames = "keep",
    found: Sequence[Notice] = (),
) -> StorePlan:
    """Plan an edit that changes something.

    `read_coupling` returns the Coupling of each frame of a range; it is called only for frames
    under one-party masks in a stereo source. `read_windows` returns the windows of frames near
    re-made ones. `found` holds obstacles to copying that only rendering can find.

    Raises UnsupportedAudioError if the source needs the full path and `fallback` refuses it.
    """
    format = index.format
    kept = Span(index.start + edits.trim.start, index.start + edits.trim.end)
    if not kept.length:
        raise MalformedAudioError("the recording has no audible sample", None)
    grid = place(format, kept)
    masks = plan_masks(
        index,
        edits.masks,
        kept,
        grid,
        read_coupling,
        caller_channel=caller_channel,
        shared_frames=shared_frames,
    )
    fallbacks = [*masks.fallbacks, *found]
    outside = _outside(kept, index)
    required: list[tuple[FrameRange, ...]] = []
    for channel_spans in masks.masked:
        audible = (span.clipped(kept) for span in channel_spans)
        changed = (*(span for span in audible if span.length), *outside)
        touched = (frames_touched(format, span, grid) for span in changed)
        required.append(merged(part for part in touched if part.count))
    own_grid = grid.origin != 0
    remade = [(source_frames(index, kept),)] if own_grid else required
    fallbacks += obstacles(index, remade)
    silent = sorted({*index.lost, *index.inner_tags})
    lost = tuple(frame for frame in silent if frame in grid.frames and not own_grid)
    if not index.frames:
        fallbacks, render = [], "full"
    elif own_grid:
        fallbacks.append(Notice("within_a_frame", _WITHIN_A_FRAME))
        render = "full"
    elif fallbacks and render == "smart":
        if fallback == "refuse":
            raise UnsupportedAudioError(
                "; ".join(notice.message for notice in fallbacks)
                + '; fallback="full" re-encodes the whole recording instead'
            )
        render = "full"
    untouched = () if own_grid else _source_frames_outside(required, grid, index)
    if render == "full":
        required = [(grid.frames,)] * format.channels
    bitrate_index, padded = nominal_bitrate(index, untouched)
    runs = runs_of(required, grid.frames, read_windows)
    trimmed = merged(frames_touched(format, span, grid) for span in outside)
    return StorePlan(
        format=format,
        kept=kept,
        grid=grid,
        masks=masks.masks,
        masked=masks.masked,
        required=tuple(required),
        made=runs.made,
        borders=runs.borders,
        causes=(Cause("full", (grid.frames,)) if render == "full" else Cause("trim", trimmed),),
        lost=lost,
        clusters=clusters_of(
            (
                *chain(*runs.made, *runs.borders),
                *_in_front(grid),
                *(FrameRange(frame, frame + 1) for frame in lost),
            )
        ),
        silences=(),
        bitrate_index=bitrate_index,
        padded=padded,
        full_band=index.frames > 0,
        keeps_start=edits.trim.start == 0,
        render=render,
        edits=edits,
        fallbacks=tuple(fallbacks),
        warnings=masks.warnings,
    )


def _in_front(grid: Grid) -> tuple[FrameRange, ...]:
    """Frames before the source's first."""
    first = grid.frames.first
    return (FrameRange(first, min(0, grid.frames.last)),) if first < 0 else ()


def _outside(kept: Span, index: FrameIndex) -> tuple[Span, ...]:
    """The raw samples of a source that the output does not play."""
    out = []
    if kept.start > 0:
        out.append(Span(-_FAR, kept.start))
    if kept.end < index.raw_samples:
        out.append(Span(kept.end, _FAR))
    return tuple(out)


def _source_frames_outside(
    required: Iterable[Iterable[FrameRange]], grid: Grid, index: FrameIndex
) -> tuple[FrameRange, ...]:
    """The source's frames in the output that no edit touches."""
    out = []
    position = max(0, grid.frames.first)
    for part in merged(part for channel in required for part in channel):
        out.append(FrameRange(position, min(part.first, index.frames)))
        position = max(position, part.last)
    out.append(FrameRange(position, min(grid.frames.last, index.frames)))
    return tuple(part for part in out if part.count > 0)
