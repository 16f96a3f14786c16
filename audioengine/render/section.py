# SPDX-License-Identifier: Apache-2.0
"""The work of one section of a cluster, which any worker can do alone: decode, edit, encode.

Sections have a fixed length, so what they give does not depend on how many work at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

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
from audioengine.render.tracks import Track, TrackMaker

_SECTION_SAMPLES = 576 * 1024

# Two encodes with fewer frames between them cost more than one over all.
_JOIN_GAP_FRAMES = 24


@dataclass(frozen=True)
class Section:
    """A section's material; frames from `frames.last` on are only there to look ahead."""

    frames: FrameRange
    source: dict[int, Frame]
    """The source's frames; empty where every channel is re-made throughout."""
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

    def make(self, frames: FrameRange, cluster: FrameRange) -> Section:
        """Make one section of a cluster."""
        seen = FrameRange(frames.first, min(cluster.last, frames.last + MAX_MOVED_FRAMES))
        required = [flags_of(channel, seen) for channel in self._plan.required]
        source: dict[int, Frame] = {}
        parts: dict[int, tuple[ChannelFrame, ...] | None] = {}
        coupled = np.zeros(seen.count, dtype=bool)
        if not all(flags.all() for flags in required):
            for frame in self._stream.read(seen.first, seen.last):
                source[frame.number] = frame
                parts[frame.number] = frame.channels()
                coupled[frame.number - seen.first] = parts[frame.number] is None
        needed = coupled_closure(required, coupled)
        # Ends may move over coupled frames, which then need the other channel too.
        near = dilated(any_of(needed), MAX_MOVED_FRAMES) & coupled
        wanted = [
            merged(
                ranges_of(dilated(flags | near, MAX_MOVED_FRAMES), seen.first),
                gap=_JOIN_GAP_FRAMES,
            )
            for flags in needed
        ]
        pieces = [
            [self._tracks.pieces(channel, part) for part in ranges]
            for channel, ranges in enumerate(wanted)
        ]
        heard = self._heard(frames)
        windows = [self._tracks.windows(part) for parts in pieces for part in parts]
        pcm = EditedPcm(
            self._read_pcm,
            self._plan,
            self._tone,
            (*chain.from_iterable(windows), *heard.values()),
        )
        tracks = tuple(
            tuple(self._tracks.make(channel, part, pcm) for part in parts)
            for channel, parts in enumerate(pieces)
        )
        rate = self._plan.format.rate_hz
        coherence = {
            number: coherence_of(pcm.unedited(span), rate) for number, span in heard.items()
        }
        return Section(frames, source, parts, tuple(required), coupled, tracks, coherence)

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
        for bitrate_index in self._tracks.lower_bitrates():
            yield {
                channel: self._tracks.encode(channel, one, pcm, bitrate_index)[frame]
                for channel in channels
            }
