# SPDX-License-Identifier: Apache-2.0
"""One channel's re-made frames: encoded from edited PCM, or a steady beep's frame repeated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import gcd

from audioengine.edits import Span, touching
from audioengine.mp3.header import StreamFormat
from audioengine.mp3.side_info import LEGAL_SUCCESSIONS, BlockType
from audioengine.mp3.splice import ChannelFrame, silent_channel
from audioengine.pcm.encode import (
    GRID_OFFSET,
    LOOK_AHEAD_FRAMES,
    WARM_UP_FRAMES,
    Stretch,
    encode_channel,
    mono_bitrate_index,
)
from audioengine.pcm.tone import Tone
from audioengine.plan.grid import FrameRange, Grid, frames_within
from audioengine.plan.rendering import MAX_MOVED_FRAMES, RenderPlan
from audioengine.render.edited import EditedPcm

# A steady stretch shorter than this costs less encoded than a second start behind it.
_MIN_FILL_FRAMES = 12

# How far the encoded frames on either side reach into it, to find legal windows for the seam.
_FILL_MARGIN_FRAMES = 2

# Frames after which a steady tone's coding no longer shows how it began.
_TONE_WARM_UP_FRAMES = 8

# Recordings of a batch are masked alike: some phases of a beep or two.
_KEPT_TONES = 64

# The least that keeps a 3 kHz tone: LAME's low-pass falls with the bitrate.
_TONE_KBPS_LSF, _TONE_KBPS_MPEG_1 = 16, 32


@dataclass(frozen=True, slots=True)
class Track:
    """Re-made frames of one channel, in a row."""

    first: int
    units: Sequence[ChannelFrame]

    @property
    def frames(self) -> FrameRange:
        """The frames that the track has."""
        return FrameRange(self.first, self.first + len(self.units))

    def __getitem__(self, frame: int) -> ChannelFrame:
        return self.units[frame - self.first]


def legal(format: StreamFormat, before: ChannelFrame, after: ChannelFrame) -> bool:
    """Whether the windows of two frames of a channel may follow one another."""
    return (
        before.block_types(format)[-1],
        after.block_types(format)[0],
    ) in LEGAL_SUCCESSIONS


def seam(format: StreamFormat, before: Track, after: Track, wanted: int) -> int:
    """The frame nearest to `wanted` at which `after` may take over from `before`."""
    for distance in range(MAX_MOVED_FRAMES + 1):
        for frame in (wanted + distance, wanted - distance):
            if (
                frame - 1 in before.frames
                and frame in after.frames
                and legal(format, before[frame - 1], after[frame])
            ):
                return frame
    return wanted


class ToneFrames:
    """Frames of the steady beep, by phase; each is encoded once, whatever it serves."""

    def __init__(self, format: StreamFormat, tone: Tone, grid: Grid) -> None:
        self._format = format
        self._tone = tone
        self._origin = grid.origin
        kbps = _TONE_KBPS_LSF if format.lsf else _TONE_KBPS_MPEG_1
        self._bitrate_index = mono_bitrate_index(format, kbps)

    def fill(self, mask: Span, frames: FrameRange) -> Track | None:
        """The beep of `mask` over frames in its steady part, or None where it must be encoded."""
        if self._tone.silent:
            return Track(frames.first, (silent_channel(self._format),) * frames.count)
        spf = self._format.samples_per_frame
        period = self._tone.period_frames(spf)
        if period is None or period > frames.count:
            return None
        cycle, turn = self._tone.cycle, spf * self._tone.step
        phase = (self._origin + frames.first * spf - mask.start) * self._tone.step % cycle
        # Frames whose phases differ by multiples of `unit` share one cycle of `period` frames.
        unit = gcd(turn, cycle)
        start = phase % unit
        units = self._cycle(start, period)
        if units is None:
            return None
        at = (phase - start) // unit * pow(turn // unit, -1, period) % period if period > 1 else 0
        return Track(
            frames.first, [units[(at + number) % period] for number in range(frames.count)]
        )

    def _cycle(self, phase: int, period: int) -> Sequence[ChannelFrame] | None:
        units = _steady_frames(self._tone, self._format, self._bitrate_index, phase, period)
        long_only = all(
            block is BlockType.LONG for unit in units for block in unit.block_types(self._format)
        )
        return units if long_only else None


@lru_cache(maxsize=_KEPT_TONES)
def _steady_frames(
    tone: Tone, format: StreamFormat, bitrate_index: int, phase: int, period: int
) -> tuple[ChannelFrame, ...]:
    """The frames of a steady beep from a phase on, through its period."""
    spf = format.samples_per_frame
    before = _TONE_WARM_UP_FRAMES * spf - GRID_OFFSET
    count = (_TONE_WARM_UP_FRAMES + period + LOOK_AHEAD_FRAMES) * spf
    pcm = tone.steady(phase - before * tone.step, count)
    stretch = Stretch(pcm, _TONE_WARM_UP_FRAMES, period)
    return tuple(encode_channel([stretch], format, bitrate_index)[0])


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a track: to be encoded, or a steady beep."""

    start: int
    """The frame where it should take over from the part before it."""
    usable: FrameRange
    fill: Track | None
    """The beep's frames; None where the part is to be encoded."""


class TrackMaker:
    """Makes tracks for one plan."""

    def __init__(self, plan: RenderPlan, tone: Tone) -> None:
        self._plan = plan
        self._format = plan.format
        self._tone = tone
        self._tone_frames = ToneFrames(plan.format, tone, plan.grid)
        kbps = plan.format.bitrates_kbps[plan.bitrate_index] / plan.format.channels
        self._bitrate_index = mono_bitrate_index(plan.format, kbps)

    def pieces(self, channel: int, frames: FrameRange) -> list[Piece]:
        """How to make the channel's frames: stretches to encode, and steady beeps between."""
        pieces: list[Piece] = []
        position = frames.first
        for mask in touching(self._plan.masked[channel], self._played(frames)):
            steady = self._tone.steady_part(mask).clipped(self._plan.kept)
            inside = frames_within(self._format, steady, self._plan.grid)
            first, last = max(inside.first, frames.first), min(inside.last, frames.last)
            if last - first < _MIN_FILL_FRAMES:
                continue
            fill = self._tone_frames.fill(mask, FrameRange(first, last))
            if fill is None:
                continue
            start = first if first == frames.first else first + _FILL_MARGIN_FRAMES
            end = last if last == frames.last else last - _FILL_MARGIN_FRAMES
            if position < start:
                usable = FrameRange(
                    max(frames.first, position - _FILL_MARGIN_FRAMES), start + _FILL_MARGIN_FRAMES
                )
                pieces.append(Piece(position, usable, None))
            pieces.append(Piece(start, fill.frames, fill))
            position = end
        if position < frames.last:
            rest = FrameRange(max(frames.first, position - _FILL_MARGIN_FRAMES), frames.last)
            pieces.append(Piece(position, rest, None))
        return pieces

    def _played(self, frames: FrameRange) -> Span:
        """The raw samples that these frames depend on."""
        spf, zero = self._format.samples_per_frame, self._plan.grid.origin
        return Span(zero + frames.first * spf, zero + frames.last * spf + self._format.support)

    def windows(self, pieces: Iterable[Piece]) -> Iterable[Span]:
        """The raw samples that `make` will ask for."""
        return (self.window(piece.usable) for piece in pieces if piece.fill is None)

    def make(
        self, channel: int, parts: Iterable[Sequence[Piece]], pcm: EditedPcm
    ) -> Iterator[Track]:
        """The channel's frames, re-made: a track for the pieces of each part."""
        parts = tuple(parts)
        asked = [piece.usable for pieces in parts for piece in pieces if piece.fill is None]
        encoded = iter(self.encode(channel, asked, pcm))
        return (self._joined(pieces, encoded) for pieces in parts)

    def _joined(self, pieces: Sequence[Piece], encoded: Iterator[Track]) -> Track:
        first = pieces[0].usable.first
        units: list[ChannelFrame] = []
        for piece in pieces:
            track = piece.fill or next(encoded)
            start = piece.start
            if units:
                start = seam(self._format, Track(first, units), track, piece.start)
                del units[start - first :]
            units += track.units[start - track.first :]
        return Track(first, units)

    def encode(
        self,
        channel: int,
        ranges: Sequence[FrameRange],
        pcm: EditedPcm,
        bitrate_index: int | None = None,
    ) -> list[Track]:
        """The channel's frames from edited PCM, at the plan's bitrate or another."""
        if not ranges:
            return []
        index = self._bitrate_index if bitrate_index is None else bitrate_index
        stretches = [
            Stretch(pcm.channel(channel, self.window(frames)), WARM_UP_FRAMES, frames.count)
            for frames in ranges
        ]
        made = encode_channel(stretches, self._format, index)
        return [Track(frames.first, units) for frames, units in zip(ranges, made, strict=True)]

    def lower_bitrates(self) -> range:
        """Bitrate indices below the plan's, highest first."""
        return range(self._bitrate_index - 1, 0, -1)

    def window(self, frames: FrameRange) -> Span:
        """The raw samples that encoding these frames takes."""
        spf = self._format.samples_per_frame
        zero = self._plan.grid.origin + GRID_OFFSET
        return Span(
            zero + (frames.first - WARM_UP_FRAMES) * spf,
            zero + (frames.last + LOOK_AHEAD_FRAMES) * spf,
        )
