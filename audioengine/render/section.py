# SPDX-License-Identifier: Apache-2.0
"""Makes one section of a cluster, independently of others: decodes, edits, encodes.

Sections have a fixed length, and short ones are grouped by the plan alone, so the result does not
depend on the number of workers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import numpy as np

from audioengine.edits import Span
from audioengine.mp3.main_data import Frame
from audioengine.mp3.side_info import BlockType, granule_layout
from audioengine.mp3.splice import ChannelFrame, silent_channel
from audioengine.pcm.coherence import LEAST_MS, Coherence, coherences_of
from audioengine.pcm.tone import BeepTone
from audioengine.plan.grid import Flags, FrameRange, flags_of, is_in, merged, ranges_of
from audioengine.plan.rendering import RenderPlan
from audioengine.plan.spans import SpansByPlace
from audioengine.render.edited import EditedPcm, ReadPcm
from audioengine.render.resolve import (
    LONG_WINDOWS,
    FrameWindows,
    Pick,
    legal_picks,
    natural_picks,
)
from audioengine.render.stream import FrameStream
from audioengine.render.tracks import Pieces, Track, TrackMaker, track_of, windows_of
from audioengine.render.weave import Remade

SECTION_SAMPLES = 576 * 1024
"""The length of a section in a long stretch."""

# Sections with no more samples than this together are made at once: starting an encoder and a
# decoder costs as much as a dozen frames.
_GROUP_SAMPLES = 576 * 128

# Encoding the frames between them costs less than warming up the encoder again.
_JOIN_GAP_FRAMES = 6


@dataclass(frozen=True)
class Section:
    """A section that is ready to be laid."""

    frames: FrameRange
    laid: list[Frame | Remade]
    """Its frames in order."""
    made: tuple[Flags, ...]
    """Per channel, whether each frame is re-made."""
    coupled: Flags
    """Whether the source codes both channels of each frame together."""
    coherence: dict[int, Coherence]
    """By number of a one-party mask, the coherence of the source's channels under it."""


def sections(cluster: FrameRange, plan: RenderPlan) -> Iterable[FrameRange]:
    """The cluster in sections of fixed length."""
    step = SECTION_SAMPLES // plan.format.samples_per_frame
    for first in range(cluster.first, cluster.last, step):
        yield FrameRange(first, min(first + step, cluster.last))


class Task(NamedTuple):
    """A section to be made."""

    frames: FrameRange
    cluster: FrameRange
    """The cluster that contains it."""


def tasks(plan: RenderPlan) -> Iterator[tuple[Task, ...]]:
    """All sections of a plan in order, grouped by those that are made together."""
    group: list[Task] = []
    frames = 0
    most = _GROUP_SAMPLES // plan.format.samples_per_frame
    for cluster in plan.clusters:
        for part in sections(cluster, plan):
            frames += part.count
            if group and frames > most:
                yield tuple(group)
                group, frames = [], part.count
            group.append(Task(part, cluster))
    if group:
        yield tuple(group)


@dataclass
class _Run:
    """Frames of a channel in one section that may be re-made together."""

    frames: FrameRange
    borders: Flags
    """Whether each frame may be copied instead."""
    before: FrameWindows | None
    """The windows of the frame in front; None if it has none."""
    after: FrameWindows | None
    picks: Sequence[Pick] = ()

    def must_make(self, number: int) -> None:
        """Require a frame to be re-made: it is no border any more."""
        self.borders[number - self.frames.first] = False

    def makes(self, number: int) -> bool:
        """Whether a frame was picked to be re-made."""
        return self.picks[number - self.frames.first] is not Pick.SOURCE


@dataclass(frozen=True)
class _Draft:
    """A section before anything is decoded."""

    frames: FrameRange
    source: dict[int, Frame]
    """The source's frames in the section and beside it; none if everything is re-made."""
    runs: tuple[list[_Run], ...]
    """Per channel."""
    pieces: Pieces
    heard: dict[int, Span]
    """By number of a one-party mask, the masked samples that are played here."""


class SectionMaker:
    """Makes the sections of one plan; thread-safe."""

    def __init__(
        self,
        stream: FrameStream,
        plan: RenderPlan,
        tone: BeepTone,
        read_pcm: ReadPcm,
    ) -> None:
        self._stream = stream
        self._read_pcm = read_pcm
        self._plan = plan
        self._tone = tone
        self._tracks = TrackMaker(plan, tone)
        self._lost = frozenset(plan.lost)
        self._one_party = SpansByPlace(
            {
                number: mask.span
                for number, mask in enumerate(plan.masks)
                if plan.format.channels == 2
                and len(mask.channels) == 1
                and mask.span.length >= plan.format.rate_hz * LEAST_MS // 1000
            }
        )

    def make(self, group: Sequence[Task]) -> list[Section]:
        """Make a group of sections together."""
        drafts = [self._draft(task) for task in group]
        windows = [self._tracks.windows(draft.pieces) for draft in drafts]
        heard = [draft.heard.values() for draft in drafts]
        pcm = EditedPcm(self._read_pcm, self._plan, self._tone, chain(*windows, *heard))
        made = self._tracks.make([draft.pieces for draft in drafts], pcm)
        return [
            self._section(draft, tracks, pcm) for draft, tracks in zip(drafts, made, strict=True)
        ]

    def _draft(self, task: Task) -> _Draft:
        frames = task.frames
        source = self._source(frames)
        runs = tuple(
            list(self._runs(channel, frames, source))
            for channel in range(self._plan.format.channels)
        )
        pieces = tuple(
            tuple(
                self._tracks.pieces(channel, part)
                for part in merged((run.frames for run in of_channel), gap=_JOIN_GAP_FRAMES)
            )
            for channel, of_channel in enumerate(runs)
        )
        return _Draft(frames, source, runs, pieces, self._heard(frames))

    def _source(self, frames: FrameRange) -> dict[int, Frame]:
        there = self._plan.grid.frames
        around = FrameRange(max(frames.first - 1, there.first), min(frames.last + 1, there.last))
        if all(flags_of(channel, around).all() for channel in self._plan.made):
            return {}
        read = self._stream.read(around.first, around.last)
        return {frame.number: frame for frame in read if frame.number not in self._lost}

    def _runs(
        self, channel: int, frames: FrameRange, source: Mapping[int, Frame]
    ) -> Iterator[_Run]:
        """The runs of a channel in a section.

        If a run continues in the next section, both sections make the frames beside their border,
        with long slopes between, so that neither depends on the other.
        """
        around = FrameRange(frames.first - 1, frames.last + 1)
        borders = flags_of(self._plan.borders[channel], around)
        every = flags_of(self._plan.made[channel], around) | borders
        comes_on, goes_on = every[:2].all(), every[-2:].all()
        # The windows that silence outside the section fits must be known beforehand, too.
        silence = [
            number in self._plan.grid.frames and number not in source
            for number in (around.first, frames.last)
        ]
        borders[1] &= not comes_on and not silence[0]
        borders[-2] &= not goes_on and not silence[1]
        for part in ranges_of(every[1:-1], frames.first):
            before: FrameWindows | None = LONG_WINDOWS
            after: FrameWindows | None = LONG_WINDOWS
            if not (comes_on and part.first == frames.first):
                before = self._beside(channel, part.first - 1, source)
            if not (goes_on and part.last == frames.last):
                after = self._beside(channel, part.last, source)
            here = slice(part.first - around.first, part.last - around.first)
            yield _Run(part, borders[here], before, after)

    def _beside(
        self, channel: int, number: int, source: Mapping[int, Frame]
    ) -> FrameWindows | None:
        """The windows of the source's frame, or of silence in its place."""
        if number not in self._plan.grid.frames:
            return None
        frame = source.get(number)
        return LONG_WINDOWS if frame is None else self._windows(frame, channel)

    def _windows(self, frame: Frame, channel: int) -> FrameWindows:
        # The windows of mid and side are those of left and right.
        layout = granule_layout(self._plan.format.lsf)
        start, end = (frame.side_info.granules[place][channel] for place in (0, -1))
        first, last = layout.block_type(start), layout.block_type(end)
        return FrameWindows(
            None if layout.is_mixed(start) and first is not BlockType.START else first,
            None if layout.is_mixed(end) and last is not BlockType.STOP else last,
        )

    def _section(self, draft: _Draft, tracks: Sequence[Sequence[Track]], pcm: EditedPcm) -> Section:
        frames = draft.frames
        self._pick(draft, tracks)
        units = [
            self._units(channel, draft.runs[channel], of_channel, pcm)
            for channel, of_channel in enumerate(tracks)
        ]
        coupled = np.zeros(frames.count, dtype=bool)
        for number, frame in draft.source.items():
            if number in frames:
                header = frame.header
                coupled[number - frames.first] = header.mid_side or header.intensity
        numbers = range(frames.first, frames.last)
        return Section(
            frames=frames,
            laid=[self._laid(number, units, draft) for number in numbers],
            made=tuple(
                np.array([number in channel for number in numbers], dtype=bool) for channel in units
            ),
            coupled=coupled,
            coherence=self._coherence(draft.heard, pcm),
        )

    def _coherence(self, heard: Mapping[int, Span], pcm: EditedPcm) -> dict[int, Coherence]:
        """By mask, the coherence of the source's channels under the part that is played here."""
        stretches = (pcm.unedited(span) for span in heard.values())
        found = coherences_of(stretches, self._plan.format.rate_hz)
        for (number, span), one in zip(heard.items(), found, strict=True):
            if span == self._plan.masks[number].span:
                one.settle()
        return dict(zip(heard, found, strict=True))

    def _pick(self, draft: _Draft, tracks: Sequence[Sequence[Track]]) -> None:
        """Pick the coding of each frame of each run."""
        coupled = self._coupled_borders(draft)
        todo = [(channel, run) for channel, runs in enumerate(draft.runs) for run in runs]
        while todo:
            for channel, run in todo:
                track = track_of(run.frames.first, tracks[channel])
                run.picks = self._picks(channel, run, track, draft.source)
            todo = []
            for number, runs in coupled.items():
                copied = [(channel, run) for channel, run in runs if not run.makes(number)]
                if len(copied) < len(runs):
                    for _, run in copied:
                        run.must_make(number)
                    todo += copied

    def _coupled_borders(self, draft: _Draft) -> dict[int, list[tuple[int, _Run]]]:
        """By number of a coupled frame that a run may copy, the runs that contain it."""
        numbers = {
            number
            for runs in draft.runs
            for run in runs
            for number in (np.flatnonzero(run.borders) + run.frames.first).tolist()
            if draft.source[number].channels() is None
        }
        return {
            number: [
                (channel, run)
                for channel, runs in enumerate(draft.runs)
                for run in runs
                if number in run.frames
            ]
            for number in sorted(numbers)
        }

    def _units(
        self, channel: int, runs: Sequence[_Run], tracks: Sequence[Track], pcm: EditedPcm
    ) -> dict[int, ChannelFrame]:
        """The channel's re-made frames by number."""
        out: dict[int, ChannelFrame] = {}
        with_long_windows: list[FrameRange] = []
        for run in runs:
            track = track_of(run.frames.first, tracks)
            if run.picks.count(Pick.NATURAL) == run.frames.count:
                out.update(enumerate(track.cut(run.frames).units, run.frames.first))
                continue
            for number, pick in enumerate(run.picks, run.frames.first):
                if pick is not Pick.SOURCE:
                    out[number] = track[number]
            with_long_windows += ranges_of(
                np.array([pick is Pick.LONG for pick in run.picks]), run.frames.first
            )
        for track in self._tracks.with_long_windows(channel, with_long_windows, pcm):
            out.update(enumerate(track.units, track.first))
        return out

    def _picks(
        self, channel: int, run: _Run, track: Track, source: Mapping[int, Frame]
    ) -> Sequence[Pick]:
        frames = run.frames
        format = self._plan.format
        if not run.borders.any() and not any(
            frames.first < place < frames.last for place in track.breaks
        ):
            picks = natural_picks(
                lambda place: windows_of(track[frames.first + place], format),
                frames.count,
                run.before,
                run.after,
            )
        else:
            numbers = range(frames.first, frames.last)
            picks = legal_picks(
                [
                    self._windows(source[number], channel) if border else None
                    for number, border in zip(numbers, run.borders.tolist(), strict=True)
                ],
                [windows_of(track[number], format) for number in numbers],
                run.before,
                run.after,
            )
        # In a plan, runs end only beside long slopes.
        assert picks is not None
        return picks

    def _laid(
        self, number: int, units: Sequence[Mapping[int, ChannelFrame]], draft: _Draft
    ) -> Frame | Remade:
        """A frame in which some channels may be kept."""
        made = [channel.get(number) for channel in units]
        if None not in made:
            return Remade(number, tuple(filter(None, made)), (False,) * len(made))
        frame = draft.source.get(number)
        kept = tuple(unit is None and frame is not None for unit in made)
        parts: Sequence[ChannelFrame | None] = made
        if frame is None:
            # A frame that the stream lacks is kept as silence.
            parts = [
                unit or self._silent(number, channel, units, draft)
                for channel, unit in enumerate(made)
            ]
        elif all(kept):
            return frame
        elif any(kept):
            apart = frame.channels()
            assert apart is not None
            parts = [unit or part for unit, part in zip(made, apart, strict=True)]
        return Remade(number, tuple(part for part in parts if part is not None), kept)

    def _silent(
        self,
        number: int,
        channel: int,
        units: Sequence[Mapping[int, ChannelFrame]],
        draft: _Draft,
    ) -> ChannelFrame:
        """Silence that fits copied frames beside it; re-made ones have long slopes there."""
        windows = [LONG_WINDOWS, LONG_WINDOWS]
        for side, beside in enumerate((number - 1, number + 1)):
            made = beside in units[channel]
            if beside not in draft.frames:
                runs = (self._plan.made[channel], self._plan.borders[channel])
                made = any(is_in(beside, ranges) for ranges in runs)
            if beside in draft.source and not made:
                windows[side] = self._windows(draft.source[beside], channel)
        # Silence beside a mixed block fits its short part, which is all except two subbands.
        before, after = (
            BlockType.SHORT if window is None else window
            for window in (windows[0].last, windows[1].first)
        )
        return silent_channel(self._plan.format, before, after)

    def _heard(self, frames: FrameRange) -> dict[int, Span]:
        """By one-party mask, the masked samples that these frames play."""
        spf = self._plan.format.samples_per_frame
        zero = self._plan.grid.origin
        played = Span(zero + frames.first * spf, zero + frames.last * spf)
        return self._one_party.inside(played)

    def smaller(
        self, frame: int, channels: Mapping[int, ChannelFrame]
    ) -> Iterator[dict[int, ChannelFrame]]:
        """The frame's re-made channels at ever lower bitrates, with windows that fit the same."""
        window = self._tracks.window(FrameRange(frame, frame + 1))
        pcm = EditedPcm(self._read_pcm, self._plan, self._tone, [window])
        wanted = {
            channel: windows_of(unit, self._plan.format) for channel, unit in channels.items()
        }
        return self._tracks.coarser(frame, wanted, pcm)
