# SPDX-License-Identifier: Apache-2.0
"""The plan of one store: which frames are copied, which channel of which frame is re-made, why.

A frame is copied where none of the samples that its coded data depends on has changed. What an
edit changes is, per channel, the masks and everything outside the trim.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from audioengine.edits import AppliedMask, Edits, Span, join
from audioengine.errors import MalformedAudioError, UnsupportedAudioError
from audioengine.mp3.header import StreamFormat, Version
from audioengine.mp3.index import FrameIndex
from audioengine.notices import Notice
from audioengine.plan.grid import FrameRange, Grid, frames_touched, merged, place
from audioengine.plan.stereo import Coupling

Render: TypeAlias = Literal["smart", "full"]
Fallback: TypeAlias = Literal["full", "refuse"]
CallerChannel: TypeAlias = Literal["left", "right"]
SharedFrames: TypeAlias = Literal["keep", "mask_both"]
ReadCoupling: TypeAlias = Callable[[FrameRange], "npt.NDArray[np.uint8]"]

MAX_MOVED_FRAMES = 3
"""How far the end of a re-made run may move outward to where the window sequence is legal."""

# Damage this near to a re-made run may reach into the samples that the run is made from.
_NEIGHBOURHOOD_FRAMES = 16

_WITHIN_A_FRAME = (
    "The kept stretch begins and ends within one frame, which decoders cut right only where it "
    "begins at a frame's start"
)

# Everything far outside the recording.
_FAR = 1 << 60


@dataclass(frozen=True, slots=True)
class PlannedMask:
    """One mask of the request on the source's channels."""

    mask: AppliedMask
    channels: tuple[int, ...]
    """Channels of the source that it covers: 0 left, 1 right."""
    span: Span
    """The raw samples that it covers and the output plays; empty where the trim removes it."""
    core: FrameRange
    """Frames that depend on those samples."""
    shared_frames: int
    """Frames of the core in which the other party is coded together with this one."""


@dataclass(frozen=True)
class StorePlan:
    """What rendering has to do, as data."""

    format: StreamFormat
    edits: Edits
    kept: Span
    """Raw samples that the output plays."""
    grid: Grid
    masks: tuple[PlannedMask, ...]
    masked: tuple[tuple[Span, ...], ...]
    """Per channel, the raw samples that the beep replaces."""
    required: tuple[tuple[FrameRange, ...], ...]
    """Per channel, the frames that must be re-made."""
    trimmed: tuple[FrameRange, ...]
    """Frames that depend on samples outside the trim, and on hidden ones."""
    lost: tuple[int, ...]
    """Source frames of the output that become silent ones: those whose main data is lost, and
    Info frames inside the recording."""
    clusters: tuple[FrameRange, ...]
    """Stretches that are laid frame by frame; all between them is copied in bulk."""
    bitrate_index: int
    """Of re-made frames."""
    padded: bool
    """Whether re-made frames follow the padding of an exact constant bitrate."""
    render: Render
    fallbacks: tuple[Notice, ...]
    warnings: tuple[Notice, ...]

    @property
    def copied_frames(self) -> int:
        """Frames outside all clusters."""
        return self.grid.frames.count - sum(cluster.count for cluster in self.clusters)


def plan_store(
    index: FrameIndex,
    edits: Edits,
    read_coupling: ReadCoupling,
    *,
    render: Render = "smart",
    fallback: Fallback = "full",
    caller_channel: CallerChannel = "left",
    shared_frames: SharedFrames = "keep",
) -> StorePlan:
    """Plan an edit that changes something.

    `read_coupling` gives the Coupling of each frame of a range; it is asked only for the frames
    under masks of one party in a stereo source.

    Raises UnsupportedAudioError where the source needs the full path and `fallback` refuses it.
    """
    format = index.format
    kept = Span(index.start + edits.trim.start, index.start + edits.trim.end)
    if not kept.length:
        raise MalformedAudioError("the recording has no audible sample", None)
    grid = place(format, kept)
    masks = []
    warnings: list[Notice] = []
    fallbacks: list[Notice] = []
    masked: list[list[Span]] = [[] for _ in range(format.channels)]
    for mask in edits.masks:
        planned, also = _plan_mask(
            mask, index, kept, grid, read_coupling, caller_channel, shared_frames
        )
        masks.append(planned)
        warnings += also.warnings
        fallbacks += also.fallbacks
        raw = _raw(mask.applied, index)
        for channel in range(format.channels):
            masked[channel] += [raw] if channel in planned.channels else also.other_party
    spans = tuple(join(channel) for channel in masked)
    outside = _outside(kept, index)
    required: list[tuple[FrameRange, ...]] = []
    for channel_spans in spans:
        audible = (span.clipped(kept) for span in channel_spans)
        changed = (*(span for span in audible if span.length), *outside)
        touched = (frames_touched(format, span, grid) for span in changed)
        required.append(merged(part for part in touched if part.count))
    own_grid = grid.origin != 0
    remade = [(_source_frames(index, kept),)] if own_grid else required
    fallbacks += _reasons(index, remade)
    silent = sorted({*index.lost, *index.inner_tags})
    lost = tuple(frame for frame in silent if frame in grid.frames and not own_grid)
    if own_grid:
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
    bitrate_index, padded = _bitrate(index, untouched)
    return StorePlan(
        format=format,
        edits=edits,
        kept=kept,
        grid=grid,
        masks=tuple(masks),
        masked=spans,
        required=tuple(required),
        trimmed=merged(frames_touched(format, span, grid) for span in outside),
        lost=lost,
        clusters=_clusters(required, lost, grid),
        bitrate_index=bitrate_index,
        padded=padded,
        render=render,
        fallbacks=tuple(fallbacks),
        warnings=tuple(warnings),
    )


@dataclass(frozen=True, slots=True)
class _AlsoChanged:
    """What a mask brings with it beyond its own samples."""

    other_party: list[Span]
    """Raw samples of the other channel that are masked too."""
    warnings: list[Notice]
    fallbacks: list[Notice]


def _plan_mask(
    mask: AppliedMask,
    index: FrameIndex,
    kept: Span,
    grid: Grid,
    read_coupling: ReadCoupling,
    caller_channel: CallerChannel,
    shared_frames: SharedFrames,
) -> tuple[PlannedMask, _AlsoChanged]:
    raw = _raw(mask.applied, index)
    audible = raw.clipped(kept)
    core = frames_touched(index.format, audible, grid) if audible.length else FrameRange(0, 0)
    nothing = _AlsoChanged([], [], [])
    if index.format.channels == 1:
        return PlannedMask(mask, (0,), audible, core, 0), nothing
    if mask.party == "both":
        return PlannedMask(mask, (0, 1), audible, core, 0), nothing
    own = int((mask.party == "caller") != (caller_channel == "left"))
    if not core.count:
        return PlannedMask(mask, (own,), audible, core, 0), nothing
    under = _source_frames(index, audible)
    coupling = read_coupling(under)
    name = f"the mask of {mask.party} at samples {mask.applied.start} to {mask.applied.end}"
    equal = np.isin(coupling, (Coupling.EQUAL, Coupling.SILENT))
    if equal.all() and (coupling == Coupling.EQUAL).any():
        notice = Notice("equal_channels", f"Both channels are equal under {name}: both are masked.")
        return PlannedMask(mask, (0, 1), audible, core, 0), _AlsoChanged([], [notice], [])
    shared = int((coupling == Coupling.MID_SIDE).sum())
    fallbacks = []
    joint = np.zeros(under.count, dtype=bool)
    if (coupling == Coupling.INTENSITY).any():
        joint |= coupling == Coupling.INTENSITY
        fallbacks.append(
            Notice(
                "intensity_stereo",
                f"Frames under {name} use intensity stereo; both parties are masked in those",
            )
        )
    if shared_frames == "mask_both":
        joint |= coupling == Coupling.MID_SIDE
    spf = index.format.samples_per_frame
    other = []
    for frame in np.flatnonzero(joint).tolist():
        start = (under.first + frame) * spf
        part = Span(start, start + index.format.support).clipped(raw)
        if part.length:
            other.append(part)
    return PlannedMask(mask, (own,), audible, core, shared), _AlsoChanged(other, [], fallbacks)


def _source_frames(index: FrameIndex, span: Span) -> FrameRange:
    """The source's frames that depend on any of these raw samples."""
    return frames_touched(index.format, span, Grid(0, FrameRange(0, index.frames), 0, 0))


def _raw(span: Span, index: FrameIndex) -> Span:
    return Span(index.start + span.start, index.start + span.end)


def _outside(kept: Span, index: FrameIndex) -> tuple[Span, ...]:
    """The raw samples that a source has and the output does not play."""
    out = []
    if kept.start > 0:
        out.append(Span(-_FAR, kept.start))
    if kept.end < index.raw_samples:
        out.append(Span(kept.end, _FAR))
    return tuple(out)


def _reasons(index: FrameIndex, required: Iterable[Iterable[FrameRange]]) -> list[Notice]:
    """Why the smart path can't go: free format, and damage near what is re-made."""
    if index.free_format:
        return [Notice("free_format", "The recording is in free format")]
    near = [
        FrameRange(part.first - _NEIGHBOURHOOD_FRAMES, part.last + _NEIGHBOURHOOD_FRAMES)
        for channel in required
        for part in channel
        if part.count
    ]
    damaged = {segment.first_frame for segment in index.segments[1:]} | set(index.lost)
    # A stream cut at its start is whole from its first intact frame on.
    for frame in sorted(damaged):
        if any(frame in part for part in near):
            place = f"frame {frame} (byte {index.offset(frame)})"
            return [Notice("damage", f"The recording is damaged near an edit, at {place}")]
    return []


def _source_frames_outside(
    required: Iterable[Iterable[FrameRange]], grid: Grid, index: FrameIndex
) -> tuple[FrameRange, ...]:
    """The source's frames of the output that no edit touches."""
    out = []
    position = max(0, grid.frames.first)
    for part in merged(part for channel in required for part in channel):
        out.append(FrameRange(position, min(part.first, index.frames)))
        position = max(position, part.last)
    out.append(FrameRange(position, min(grid.frames.last, index.frames)))
    return tuple(part for part in out if part.count > 0)


def _bitrate(index: FrameIndex, outside: Iterable[FrameRange]) -> tuple[int, bool]:
    """bitrate_index of re-made frames, from those that no edit touches, and whether it is exact."""
    format = index.format
    if index.free_format:
        kbps = index.size(0) * 8 * format.rate_hz / format.samples_per_frame / 1000
        return format.bitrate_index_at_least(kbps), False
    parts = tuple(outside)
    counts = np.zeros(16, dtype=np.int64)
    for part in parts:
        counts += index.bitrate_counts(part.first, part.last)
    if not parts:
        counts = index.bitrate_counts(0, index.frames)
        if np.count_nonzero(counts) > 1:
            # Nothing but removed audio chose these bitrates.
            return format.bitrate_index_at_least(usual_kbps(format)), False
    used = np.flatnonzero(counts)
    if len(used) == 1:
        return int(used[0]), True
    rates = np.array([*format.bitrates_kbps, 0])
    return format.bitrate_index_at_least(float((counts * rates).sum() / counts.sum())), False


def usual_kbps(format: StreamFormat) -> int:
    """What call recorders use for stereo at such rates."""
    if format.version is Version.MPEG_1:
        return 128
    return 48 if format.version is Version.MPEG_2 else 32


def _clusters(
    required: Iterable[Iterable[FrameRange]], lost: Iterable[int], grid: Grid
) -> tuple[FrameRange, ...]:
    frames = grid.frames
    parts = [part for channel in required for part in channel]
    parts += [FrameRange(frame, frame + 1) for frame in lost]
    if frames.first < 0:
        parts.append(FrameRange(frames.first, min(0, frames.last)))
    return merged(
        (
            FrameRange(
                max(frames.first, part.first - MAX_MOVED_FRAMES),
                min(frames.last, part.last + MAX_MOVED_FRAMES),
            )
            for part in parts
        ),
        gap=2 * MAX_MOVED_FRAMES,
    )
