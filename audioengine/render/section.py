# SPDX-License-Identifier: Apache-2.0
"""The work of one section of a cluster, which any worker can do alone: decode, edit, encode.

Sections have a fixed length, and which short ones are made together depends on the plan alone, so
what they give does not depend on how many work at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import numpy as np

from audioengine.edits import Span
from audioengine.mp3.main_data import Frame
from audioengine.mp3.splice import ChannelFrame
from audioengine.pcm.coherence import LEAST_MS, Coherence, coherence_of
from audioengine.pcm.tone import Tone
from audioengine.plan.grid import Flags, FrameRange, flags_of, merged, ranges_of
from audioengine.plan.rendering import MAX_MOVED_FRAMES, RenderPlan
from audioengine.render.edited import EditedPcm, ReadPcm
from audioengine.render.resolve import any_of, coupled_closure, dilated
from audioengine.render.stream import FrameStream
from audioengine.render.tracks import Coder, Pieces, Track, TrackMaker

_SECTION_SAMPLES = 576 * 1024

# Sections with no more samples than this together are made at once: starting an encoder and a
# decoder costs as much as a dozen frames.
_GROUP_SAMPLES = 576 * 128

# Encoding the frames between costs less than warming up the encoder anew.
_JOIN_GAP_FRAMES = 6


@dataclass(frozen=True)
class Section:
    """A section's material; frames from `frames.last` on are only there to look ahead."""

    frames: FrameRange
    source: dict[int, Frame]
    """The source's frames, and those beside its cluster; empty where all is re-made throughout."""
    parts: dict[int, tuple[ChannelFrame, ...] | None]
    """The same by channel; None where the channels are coded together."""
    required: tuple[Flags, ...]
    """Per channel, from frames.first through the look-ahead."""
    coupled: Flags
    """From frames.first through the look-ahead."""
    tracks: tuple[tuple[Track, ...], ...]
    """Per channel, what was made."""
    coherence: dict[int, Coherence]
    """By number of a mask of one party, that of the source's channels under it."""


def sections(cluster: FrameRange, plan: RenderPlan) -> Iterable[FrameRange]:
    """The cluster in sections of fixed length."""
    step = _SECTION_SAMPLES // plan.format.samples_per_frame
    for first in range(cluster.first, cluster.last, step):
        yield FrameRange(first, min(first + step, cluster.last))


class Task(NamedTuple):
    """A section to be made."""

    frames: FrameRange
    cluster: FrameRange
    """The cluster that it is of."""


def tasks(plan: RenderPlan) -> Iterator[tuple[Task, ...]]:
    """All sections of a plan in order, those together that are made together."""
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


@dataclass(frozen=True)
class _Draft:
    """A section before anything is decoded."""

    frames: FrameRange
    source: dict[int, Frame]
    parts: dict[int, tuple[ChannelFrame, ...] | None]
    required: tuple[Flags, ...]
    coupled: Flags
    pieces: Pieces
    heard: dict[int, Span]
    """By number of a mask of one party, the masked samples that are played here."""


class SectionMaker:
    """Makes the sections of one plan; may be called from many threads."""

    def __init__(
        self,
        stream: FrameStream,
        plan: RenderPlan,
        tone: Tone,
        read_pcm: ReadPcm,
    ) -> None:
        self._stream = stream
        self._read_pcm = read_pcm
        self._plan = plan
        self._tone = tone
        self._tracks = TrackMaker(plan, tone)

    def make(self, group: Sequence[Task]) -> list[Section]:
        """Make sections that are made together."""
        drafts = [self._draft(task) for task in group]
        windows = [self._tracks.windows(draft.pieces) for draft in drafts]
        heard = [draft.heard.values() for draft in drafts]
        pcm = EditedPcm(self._read_pcm, self._plan, self._tone, chain(*windows, *heard))
        made = self._tracks.make([draft.pieces for draft in drafts], pcm)
        return [
            self._section(draft, tracks, pcm) for draft, tracks in zip(drafts, made, strict=True)
        ]

    def _section(
        self, draft: _Draft, tracks: tuple[tuple[Track, ...], ...], pcm: EditedPcm
    ) -> Section:
        rate = self._plan.format.rate_hz
        return Section(
            frames=draft.frames,
            source=draft.source,
            parts=draft.parts,
            required=draft.required,
            coupled=draft.coupled,
            tracks=tracks,
            coherence={
                number: coherence_of(pcm.unedited(span), rate)
                for number, span in draft.heard.items()
            },
        )

    def _draft(self, task: Task) -> _Draft:
        frames, cluster = task
        seen = FrameRange(frames.first, min(cluster.last, frames.last + MAX_MOVED_FRAMES))
        required = tuple(flags_of(channel, seen) for channel in self._plan.required)
        source: dict[int, Frame] = {}
        parts: dict[int, tuple[ChannelFrame, ...] | None] = {}
        coupled = np.zeros(seen.count, dtype=bool)
        if not all(flags.all() for flags in required):
            beside = self._beside(seen, cluster)
            for frame in self._stream.read(beside.first, beside.last):
                source[frame.number] = frame
                if frame.number not in seen:
                    continue
                parts[frame.number] = frame.channels()
                coupled[frame.number - seen.first] = parts[frame.number] is None
        needed = coupled_closure(required, coupled)
        # Ends may move over coupled frames, which then need the other channel too.
        near = dilated(any_of(needed), MAX_MOVED_FRAMES) & coupled
        pieces = []
        for channel, flags in enumerate(needed):
            wanted = ranges_of(dilated(flags | near, MAX_MOVED_FRAMES), seen.first)
            joined = merged(wanted, gap=_JOIN_GAP_FRAMES)
            pieces.append(tuple(self._tracks.pieces(channel, part) for part in joined))
        return _Draft(frames, source, parts, required, coupled, tuple(pieces), self._heard(frames))

    def _beside(self, seen: FrameRange, cluster: FrameRange) -> FrameRange:
        """The frames, and those beside the cluster, whose windows its ends have to fit."""
        frames = self._plan.grid.frames
        first = max(frames.first, seen.first - (seen.first == cluster.first))
        return FrameRange(first, min(frames.last, seen.last + (seen.last == cluster.last)))

    def _heard(self, frames: FrameRange) -> dict[int, Span]:
        """By mask of one party, the masked samples that these frames play."""
        plan = self._plan
        if plan.format.channels == 1:
            return {}
        spf = plan.format.samples_per_frame
        zero = plan.grid.origin
        played = Span(zero + frames.first * spf, zero + frames.last * spf)
        spans = {
            number: mask.span.clipped(played)
            for number, mask in enumerate(plan.masks)
            if len(mask.channels) == 1
            and mask.span.length >= plan.format.rate_hz * LEAST_MS // 1000
        }
        return {number: span for number, span in spans.items() if span.length}

    def smaller(self, frame: int, channels: Iterable[int]) -> Iterable[dict[int, ChannelFrame]]:
        """The frame's re-made channels at ever lower bitrates."""
        one = FrameRange(frame, frame + 1)
        channels = tuple(channels)
        window = self._tracks.window(one)
        pcm = EditedPcm(self._read_pcm, self._plan, self._tone, [window])
        for index in self._tracks.lower_bitrates():
            yield {
                channel: self._tracks.encode(Coder((channel,), index), [one], pcm)[0][0][frame]
                for channel in channels
            }
