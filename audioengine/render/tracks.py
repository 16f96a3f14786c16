# SPDX-License-Identifier: Apache-2.0
"""Makes frames by channel: encodes edited PCM, or repeats the frames of a steady beep."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import gcd
from operator import attrgetter
from typing import NamedTuple, TypeAlias

from audioengine.edits import Span, touching
from audioengine.mp3.header import StreamFormat, Version
from audioengine.mp3.side_info import granule_layout
from audioengine.mp3.splice import ChannelFrame, silent_channel
from audioengine.pcm.encode import (
    FINE_QUALITY,
    GRID_OFFSET,
    LOOK_AHEAD_FRAMES,
    QUALITY,
    WARM_UP_FRAMES,
    Stretch,
    encode_channel,
    encode_pair,
    highest_bitrate_index,
    lame_bitrate_index,
)
from audioengine.pcm.tone import BeepTone
from audioengine.plan.grid import FrameRange, Grid, frames_within
from audioengine.plan.rendering import RenderPlan
from audioengine.render.edited import EditedPcm
from audioengine.render.resolve import FrameWindows, legal

# A steady stretch shorter than this costs less encoded than a second start behind it.
_MIN_FILL_FRAMES = 12

# Encoded frames on either side that reach into it, so that a seam with legal windows is found.
_FILL_MARGIN_FRAMES = 2

# Stretches of at most this many frames take the finer quality at all rates: it costs little there.
_FEW_FRAMES = 128

# Frames after which a steady tone's coding no longer shows how it began.
_TONE_WARM_UP_FRAMES = 8

# The fewest bits of a granule that keep a tone's level.
_LEAST_BITS = 100

# Recordings of a batch have similar masks: a few phases of one or two beeps.
_KEPT_TONES = 64


def tone_kbps(format: StreamFormat) -> int:
    """The lowest bitrate that keeps a 3 kHz tone, by LAME's low-pass."""
    return 16 if format.lsf else 32


def _pair_index(format: StreamFormat, bitrate_index: int) -> int:
    """The bitrate_index for two channels coded together: the stream's, or a higher one.

    At 8 kbit/s, stereo of 16, 22.05 and 24 kHz has 60, 20 and 12 bits per granule and channel.
    Beeps came out up to 20 dB too low there; with 68 bits or more their level is right.
    """
    return next(i for i in range(bitrate_index, 15) if format.granule_bits(i) >= _LEAST_BITS)


@dataclass(frozen=True, slots=True)
class Track:
    """Consecutive re-made frames of one channel."""

    first: int
    units: Sequence[ChannelFrame]
    breaks: tuple[int, ...] = ()
    """Frames whose windows are not legal after those of the frame before."""

    @property
    def frames(self) -> FrameRange:
        """The track's frames."""
        return FrameRange(self.first, self.first + len(self.units))

    def __getitem__(self, frame: int) -> ChannelFrame:
        return self.units[frame - self.first]

    def cut(self, frames: FrameRange) -> Track:
        """The part of the track with these frames."""
        return Track(frames.first, self.units[frames.first - self.first : frames.last - self.first])


def track_of(frame: int, tracks: Sequence[Track]) -> Track:
    """The one of a channel's tracks, which are in order, that has the frame."""
    return tracks[bisect_right(tracks, frame, key=attrgetter("first")) - 1]


def windows_of(unit: ChannelFrame, format: StreamFormat) -> FrameWindows:
    """The windows at both ends of a channel's frame."""
    layout = granule_layout(format.lsf)
    granules = unit.granules
    return FrameWindows(layout.block_type(granules[0]), layout.block_type(granules[-1]))


def seam(format: StreamFormat, before: Track, after: Track, wanted: int) -> int:
    """The frame nearest to `wanted` at which `after` may take over from `before`.

    Returns `wanted` if no frame is legal.
    """
    for distance in range(_FILL_MARGIN_FRAMES + 1):
        for frame in (wanted + distance, wanted - distance):
            if (
                frame - 1 in before.frames
                and frame in after.frames
                and legal(windows_of(before[frame - 1], format), windows_of(after[frame], format))
            ):
                return frame
    return wanted


class ToneFrames:
    """Frames of the steady beep, by phase; each is encoded once for all masks."""

    def __init__(self, format: StreamFormat, tone: BeepTone, grid: Grid) -> None:
        self._format = format
        self._tone = tone
        self._origin = grid.origin
        self._bitrate_index = lame_bitrate_index(format, tone_kbps(format))

    def fill(self, mask: Span, frames: FrameRange) -> Track | None:
        """The beep of `mask` over frames in its steady part; None if it must be encoded."""
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
        units = _steady_frames(self._tone, self._format, self._bitrate_index, start, period)
        at = (phase - start) // unit * pow(turn // unit, -1, period) % period if period > 1 else 0
        return Track(
            frames.first, [units[(at + number) % period] for number in range(frames.count)]
        )


@lru_cache(maxsize=_KEPT_TONES)
def _steady_frames(
    tone: BeepTone, format: StreamFormat, bitrate_index: int, phase: int, period: int
) -> tuple[ChannelFrame, ...]:
    """The frames of a steady beep from a phase on, through its period; all windows are long."""
    spf = format.samples_per_frame
    before = _TONE_WARM_UP_FRAMES * spf - GRID_OFFSET
    count = (_TONE_WARM_UP_FRAMES + period + LOOK_AHEAD_FRAMES) * spf
    pcm = tone.steady(phase - before * tone.step, count)
    stretch = Stretch(pcm, _TONE_WARM_UP_FRAMES, period)
    return tuple(encode_channel([stretch], format, bitrate_index, short_blocks=False)[0])


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a track: edited PCM to encode, or a steady beep."""

    start: int
    """The frame where it should take over from the part before it."""
    usable: FrameRange
    fill: Track | None
    """The beep's frames; None if the part is to be encoded."""


Pieces: TypeAlias = Sequence[Sequence[Sequence[Piece]]]
"""By channel, the pieces of each of its tracks."""


class Coder(NamedTuple):
    """How to encode frames: one channel alone, or two that share the bits."""

    channels: tuple[int, ...]
    bitrate_index: int


class EncodingJob(NamedTuple):
    """Frames to encode."""

    coder: Coder
    frames: FrameRange


class TrackMaker:
    """Makes tracks for one plan.

    If both channels are made over the same frames, and neither is masked there or everything is
    re-made anyway, they are encoded together and share the bits of the stream's bitrate. Otherwise
    each is encoded alone with half of the bits, or with all bits that a steady beep on the other
    leaves, so that neither party's sound influences the other's coding beside a mask.
    """

    def __init__(self, plan: RenderPlan, tone: BeepTone) -> None:
        self._plan = plan
        self._format = plan.format
        self._tone = tone
        self._tone_frames = ToneFrames(plan.format, tone, plan.grid)
        kbps = plan.format.bitrates_kbps[plan.bitrate_index]
        half = kbps / plan.format.channels
        self._share = lame_bitrate_index(plan.format, half)
        self._rest = self._share
        if tone.silent or tone.period_frames(plan.format.samples_per_frame) is not None:
            rest = max(half, kbps - tone_kbps(plan.format))
            self._rest = lame_bitrate_index(plan.format, rest)
        highest = highest_bitrate_index(plan.format)
        self._pair = _pair_index(plan.format, plan.bitrate_index)
        # Two channels coded alone get more bits than LAME gives a pair in MPEG-2.5.
        self._pairs = plan.format.channels == 2 and plan.bitrate_index <= highest
        self._lowpass_hz = plan.format.rate_hz // 2 if plan.full_band else None

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

    def jobs(self, pieces: Pieces) -> list[EncodingJob]:
        """The encoding jobs for these pieces."""
        asked = [
            [piece.usable for part in parts for piece in part if piece.fill is None]
            for parts in pieces
        ]
        spans = [
            [FrameRange(part[0].usable.first, part[-1].usable.last) for part in parts]
            for parts in pieces
        ]
        if self._pairs and spans[0] == spans[1] and all(map(self._made_together, spans[0])):
            pair = Coder((0, 1), self._pair)
            return [
                EncodingJob(pair, part) for part in (asked[0] if asked[0] == asked[1] else spans[0])
            ]
        return [
            EncodingJob(Coder((channel,), self._alone(channel, part)), part)
            for channel, parts in enumerate(asked)
            for part in parts
        ]

    def _masked(self, frames: FrameRange) -> list[bool]:
        """By channel, whether encoding these frames takes any played sample that is masked."""
        played = self.window(frames).clipped(self._plan.kept)
        return [
            any(mask.clipped(played).length for mask in touching(masks, played))
            for masks in self._plan.masked
        ]

    def _made_together(self, frames: FrameRange) -> bool:
        return self._plan.render == "full" or not any(self._masked(frames))

    def _alone(self, channel: int, frames: FrameRange) -> int:
        """The bitrate_index of a channel that is encoded alone."""
        masked = self._masked(frames)
        return self._rest if any(masked) and not masked[channel] else self._share

    def windows(self, pieces: Pieces) -> Iterable[Span]:
        """The raw samples that `make` will read."""
        return (self.window(job.frames) for job in self.jobs(pieces))

    def make(self, drafts: Sequence[Pieces], pcm: EditedPcm) -> list[tuple[tuple[Track, ...], ...]]:
        """By draft and channel, one track for the pieces of each part."""
        asked = [self.jobs(pieces) for pieces in drafts]
        encoded: dict[Coder, Iterator[tuple[Track, ...]]] = {}
        for coder in sorted({job.coder for jobs in asked for job in jobs}):
            ranges = [job.frames for jobs in asked for job in jobs if job.coder == coder]
            encoded[coder] = iter(self.encode(coder, ranges, pcm))
        made = []
        for pieces, jobs in zip(drafts, asked, strict=True):
            tracks: list[list[Track]] = [[] for _ in pieces]
            for job in jobs:
                channels = job.coder.channels
                for channel, track in zip(channels, next(encoded[job.coder]), strict=True):
                    tracks[channel].append(track)
            both = zip(pieces, tracks, strict=True)
            made.append(
                tuple(tuple(self._joined(part, ours) for part in parts) for parts, ours in both)
            )
        return made

    def _joined(self, pieces: Sequence[Piece], encoded: Sequence[Track]) -> Track:
        first = pieces[0].usable.first
        units: list[ChannelFrame] = []
        starts = []
        for piece in pieces:
            usable = piece.usable
            track = piece.fill or next(
                track.cut(usable)
                for track in encoded
                if track.first <= usable.first and usable.last <= track.frames.last
            )
            start = piece.start
            if units:
                start = seam(self._format, Track(first, units), track, piece.start)
                starts.append(start)
                del units[start - first :]
            units += track.units[start - track.first :]
        whole = Track(first, units)
        breaks = tuple(start for start in starts if not self.follows(whole, start))
        return Track(first, units, breaks)

    def follows(self, track: Track, frame: int) -> bool:
        """Whether a frame's windows are legal after those of the frame before."""
        before = windows_of(track[frame - 1], self._format)
        return legal(before, windows_of(track[frame], self._format))

    def encode(
        self,
        coder: Coder,
        ranges: Sequence[FrameRange],
        pcm: EditedPcm,
        *,
        short_blocks: bool = True,
        windows_as: int | None = None,
    ) -> list[tuple[Track, ...]]:
        """By range, a track of edited PCM for each of the coder's channels.

        short_blocks: if false, all windows are long.
        windows_as: the bitrate_index by which windows are chosen.
        """
        channels, index = coder
        lowpass_hz = self._lowpass_hz
        stretches = [
            [
                Stretch(pcm.channel(channel, self.window(frames)), WARM_UP_FRAMES, frames.count)
                for frames in ranges
            ]
            for channel in channels
        ]
        made: Sequence[Sequence[Sequence[ChannelFrame]]]
        if len(channels) == 1:
            alone = encode_channel(
                stretches[0],
                self._format,
                index,
                lowpass_hz=lowpass_hz,
                short_blocks=short_blocks,
                windows_of=windows_as,
            )
            made = [[units] for units in alone]
        else:
            made = encode_pair(
                list(zip(*stretches, strict=True)),
                self._format,
                index,
                quality=self._pair_quality(ranges),
                lowpass_hz=lowpass_hz,
                short_blocks=short_blocks,
                windows_of=windows_as,
            )
        return [
            tuple(Track(frames.first, units) for units in parts)
            for frames, parts in zip(ranges, made, strict=True)
        ]

    def _pair_quality(self, ranges: Sequence[FrameRange]) -> int:
        """LAME's quality for two channels.

        The finer quality is not used for long stretches where it gains little and costs much, nor
        for first encodes.
        """
        few = sum(frames.count for frames in ranges) <= _FEW_FRAMES
        lowest_rates = self._format.version is Version.MPEG_2_5
        return FINE_QUALITY if self._plan.full_band and (few or lowest_rates) else QUALITY

    def with_long_windows(
        self, channel: int, ranges: Sequence[FrameRange], pcm: EditedPcm
    ) -> list[Track]:
        """Frames of a channel without short windows."""
        if not ranges:
            return []
        made = self.encode(Coder((channel,), self._share), ranges, pcm, short_blocks=False)
        return [track for (track,) in made]

    def coarser(
        self, frame: int, wanted: Mapping[int, FrameWindows], pcm: EditedPcm
    ) -> Iterator[dict[int, ChannelFrame]]:
        """Some channels of a frame at ever lower bitrates, with windows like the wanted ones."""
        one = FrameRange(frame, frame + 1)
        for index in range(self._share - 1, 0, -1):
            # The ways that each may have been coded before.
            ways = [
                (Coder((channel,), index), usual)
                for usual in sorted({self._share, self._rest})
                for channel in sorted(wanted)
            ]
            if self._pairs and len(wanted) == 2:
                # Coded together, both channels get short windows where one does.
                both = lame_bitrate_index(self._format, 2 * self._format.bitrates_kbps[index])
                ways.insert(0, (Coder((0, 1), both), self._pair))
            found: dict[int, ChannelFrame] = {}
            for short_blocks in (True, False):
                for coder, usual in ways:
                    if all(channel in found for channel in coder.channels):
                        continue
                    (tracks,) = self.encode(
                        coder, [one], pcm, short_blocks=short_blocks, windows_as=usual
                    )
                    for channel, track in zip(coder.channels, tracks, strict=True):
                        if windows_of(track[frame], self._format).like(wanted[channel]):
                            found.setdefault(channel, track[frame])
            if len(found) == len(wanted):
                yield found

    def window(self, frames: FrameRange) -> Span:
        """The raw samples needed to encode these frames."""
        spf = self._format.samples_per_frame
        zero = self._plan.grid.origin + GRID_OFFSET
        return Span(
            zero + (frames.first - WARM_UP_FRAMES) * spf,
            zero + (frames.last + LOOK_AHEAD_FRAMES) * spf,
        )
