# SPDX-License-Identifier: Apache-2.0
"""Carrying out a plan: sections are made by workers, and laid in order as they come."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, pairwise
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from audioengine.errors import UnsupportedAudioError
from audioengine.mp3.header import StreamFormat
from audioengine.mp3.index import byte2_counts
from audioengine.mp3.info_tag import build_info_tag, tag_frame_bytes
from audioengine.mp3.main_data import Frame
from audioengine.mp3.side_info import SideInfo, granule_layout
from audioengine.mp3.splice import ChannelFrame, silent_channel
from audioengine.mp3.tags import is_id3v1
from audioengine.pcm.coherence import Coherence
from audioengine.pcm.tone import Tone
from audioengine.plan.grid import Flags, FrameRange, flags_of, ranges_of
from audioengine.plan.rendering import Reason, RenderPlan
from audioengine.render.edited import ReadPcm
from audioengine.render.output import FrameOutput, Kind
from audioengine.render.resolve import ChannelView, Windows, resolve
from audioengine.render.section import Section, SectionMaker, sections, tasks
from audioengine.render.stream import FrameStream
from audioengine.render.tracks import Track, legal
from audioengine.render.weave import Remade, Weaver
from audioengine.render.workers import executor_of

Progress: TypeAlias = Callable[[int, int], None]


class Staging(Protocol):
    """A place for an output that nobody sees yet."""

    def write(self, data: bytes) -> object:
        """Append."""
        ...

    def rewrite_start(self, data: bytes) -> None:
        """Replace the first bytes, which were written before."""
        ...


@dataclass(frozen=True, slots=True)
class RemadeFrames:
    """Consecutive frames of one channel that were re-made for one reason."""

    channel: int
    frames: FrameRange
    reason: Reason


@dataclass(frozen=True)
class Rendered:
    """What rendering did."""

    counts: dict[Kind, int]
    remade: tuple[RemadeFrames, ...]
    coherence: dict[int, Coherence]
    """By number of a mask of one party, that of the source's channels under it."""
    bitrates: dict[int, int]
    """Frames by bitrate in kbit/s."""
    encoder_delay: int
    padding: int
    bytes: int
    raised: int
    lowered: int
    lead_in: int


def execute(
    stream: FrameStream,
    plan: RenderPlan,
    tone: Tone,
    staging: Staging,
    read_pcm: ReadPcm,
    *,
    workers: int,
    progress: Progress | None = None,
) -> Rendered:
    """Render `plan` into `staging`, tag frame included.

    `stream` has the frames that the plan copies, `read_pcm` gives the samples that it re-makes
    frames from. `progress` is told how many frames are done and how many there are.
    """
    staging.write(bytes(tag_frame_bytes(stream.header)))
    executor = executor_of(workers)
    try:
        maker = SectionMaker(stream, plan, tone, read_pcm)
        return _Execution(stream, plan, maker, staging, executor, 2 * workers, progress).run()
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class _Overhang:
    """What one section of a cluster decided and made of the frames that come after it."""

    tracks: tuple[Track | None, ...]
    """Per channel, its last track, which may reach on."""
    uses: tuple[Flags, ...]
    """Per channel, which of the next frames must be taken re-made."""

    @classmethod
    def nothing(cls, channels: int) -> _Overhang:
        """What stands before a cluster's first section."""
        return cls((None,) * channels, (np.zeros(0, dtype=bool),) * channels)


class _Execution:
    """One run through a plan."""

    def __init__(
        self,
        stream: FrameStream,
        plan: RenderPlan,
        maker: SectionMaker,
        staging: Staging,
        executor: Executor,
        ahead: int,
        progress: Progress | None,
    ) -> None:
        self.stream = stream
        self.plan = plan
        self.staging = staging
        self.executor = executor
        self.ahead = ahead
        self.progress = progress
        self.maker = maker
        self.output = FrameOutput(stream.header, staging.write)
        self.weaver = Weaver(self.output, plan, maker.smaller)
        self.remade: list[RemadeFrames] = []
        self.coherence: dict[int, Coherence] = {}
        self.silent = (silent_channel(plan.format),) * plan.format.channels
        self.lost = frozenset(plan.lost)

    def run(self) -> Rendered:
        made = self._sections()
        position = self.plan.grid.frames.first
        clusters = frozenset(self.plan.clusters)
        for part in sorted((*self.plan.clusters, *self.plan.silences)):
            if position < part.first:
                self._copy(position, part.first, more=part in clusters)
            if part in clusters:
                self._cluster(part, made)
            else:
                self.weaver.silence(part)
                self._tell(part.last)
            position = part.last
        if position < self.plan.grid.frames.last:
            self._copy(position, self.plan.grid.frames.last, more=False)
        self.weaver.finish(None)
        self.output.flush()
        return self._finish()

    def _sections(self) -> Iterator[Section]:
        """All sections in order, a few groups of them made ahead."""
        waiting: deque[Future[list[Section]]] = deque()
        for group in tasks(self.plan):
            waiting.append(self.executor.submit(self.maker.make, group))
            if len(waiting) > self.ahead:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()

    def _cluster(self, cluster: FrameRange, made: Iterator[Section]) -> None:
        before = _Overhang.nothing(self.plan.format.channels)
        for _ in sections(cluster, self.plan):
            section = next(made)
            before = self._lay(section, before)
            self._tell(section.frames.last)

    def _lay(self, section: Section, before: _Overhang) -> _Overhang:
        """Hand a section's frames to the weaver; give what the next section has to go on with."""
        frames = section.frames
        uses = self._uses(section, before)
        self._record(section, uses)
        for number, part in section.coherence.items():
            if number in self.coherence:
                self.coherence[number].merge(part)
            else:
                self.coherence[number] = part
        channels = range(self.plan.format.channels)
        chosen = [
            self._units(section, channel, uses[channel], before.tracks[channel])
            for channel in channels
        ]
        if all(use.all() for use in uses):
            none_kept = (False,) * len(uses)
            for number, units in enumerate(zip(*chosen, strict=True), frames.first):
                self.weaver.add(Remade(number, units, none_kept))
            return self._overhang(section, uses)
        for number, made in enumerate(zip(*chosen, strict=True), frames.first):
            kept = tuple(not use[number - frames.first] for use in uses)
            self.weaver.add(self._frame(section, number, kept, made))
        return self._overhang(section, uses)

    def _frame(
        self,
        section: Section,
        number: int,
        kept: tuple[bool, ...],
        made: tuple[ChannelFrame, ...],
    ) -> Frame | Remade:
        """A frame of which some channels may be kept; `made` are those that aren't."""
        parts: tuple[ChannelFrame, ...] | None = made
        if number in self.lost or number not in section.source:
            # What the stream has not is kept as silence.
            parts = self.silent
        elif all(kept):
            return section.source[number]
        elif any(kept):
            parts = section.parts[number]
        assert parts is not None
        pairs = zip(kept, parts, made, strict=True)
        units = tuple(part if is_kept else unit for is_kept, part, unit in pairs)
        if parts is self.silent:
            kept = (False,) * len(kept)
        return Remade(number, units, kept)

    def _overhang(self, section: Section, uses: list[Flags]) -> _Overhang:
        return _Overhang(
            tuple(tracks[-1] if tracks else None for tracks in section.tracks),
            tuple(use[section.frames.count :] for use in uses),
        )

    def _uses(self, section: Section, before: _Overhang) -> list[Flags]:
        """Per channel, the frames to take re-made, through the section's look-ahead."""
        required = []
        for flags, decided in zip(section.required, before.uses, strict=True):
            both = flags.copy()
            both[: len(decided)] |= decided
            required.append(both)
        if all(flags.all() for flags in required):
            return required
        views = [
            ChannelView(
                flags,
                partial(self._source_windows, section, channel),
                partial(self._remade_windows, section, channel, before.tracks[channel]),
            )
            for channel, flags in enumerate(required)
        ]
        return resolve(views, section.coupled)

    def _source_windows(self, section: Section, channel: int, place: int) -> Windows | None:
        number = section.frames.first + place
        frame = section.source.get(number)
        if frame is None or number in self.lost:
            return None
        # The windows of mid and side are those of left and right.
        return _windows(frame.side_info, channel, self.plan.format)

    def _remade_windows(
        self, section: Section, channel: int, overhang: Track | None, place: int
    ) -> Windows | None:
        number = section.frames.first + place
        for track in (*section.tracks[channel], overhang):
            if track is not None and number in track.frames:
                types = track[number].block_types(self.plan.format)
                return Windows(types[0], types[-1])
        return None

    def _units(
        self, section: Section, channel: int, use: Flags, overhang: Track | None
    ) -> list[ChannelFrame]:
        """The channel's re-made frames of the section; the silent one where none is used."""
        frames = section.frames
        units = [self.silent[0]] * frames.count
        tracks = section.tracks[channel]
        for track in (overhang, *tracks) if overhang is not None else tracks:
            first, last = max(track.frames.first, frames.first), min(track.frames.last, frames.last)
            if first < last:
                part = track.units[first - track.first : last - track.first]
                units[first - frames.first : last - frames.first] = part
        if overhang is None or frames.first not in overhang.frames or not use[0]:
            return units
        # Both sections made the first frames: go over where the windows allow.
        for number in range(frames.first, min(overhang.frames.last, frames.last)):
            at = number - frames.first
            if not use[at] or legal(self.plan.format, overhang[number - 1], units[at]):
                break
            units[at] = overhang[number]
        return units

    def _record(self, section: Section, uses: list[Flags]) -> None:
        count = section.frames.count
        seen = FrameRange(section.frames.first, section.frames.first + len(section.coupled))
        for channel, use in enumerate(uses):
            rest = use
            found: list[tuple[Reason, Flags]] = []
            for cause in self.plan.causes:
                found.append((cause.reason, rest & flags_of(cause.frames, seen)))
                rest = rest & ~found[-1][1]
            found.append(("mask", rest & section.required[channel]))
            rest = rest & ~section.required[channel]
            found += [("shared", rest & section.coupled), ("window", rest & ~section.coupled)]
            for reason, flags in found:
                self.remade += (
                    RemadeFrames(channel, part, reason)
                    for part in ranges_of(flags[:count], section.frames.first)
                )

    def _copy(self, first: int, last: int, *, more: bool) -> None:
        """Copy frames between clusters; with `more`, a cluster comes after them."""
        reach = self.stream.reach
        head = self.stream.read(first, min(last, first + reach))
        self.weaver.finish(head[0])
        position = 0
        for frame in head:
            back = frame.side_info.main_data_begin - position
            if back > 0:
                self.output.adopt(frame.adu, back)
            position += frame.slot_bytes
        shared = self._sharing(max(first, last - reach), last) if more else []
        bulk = shared[0].number if shared else last
        if bulk > first:
            self.output.copy(self.stream, first, bulk)
            self.weaver.copied(0)
        for frame in shared:
            self.weaver.add(frame)
        self._tell(last)

    def _sharing(self, first: int, last: int) -> list[Frame]:
        """The frames before `last` in whose slots main data of frame `last` may begin."""
        frames = self.stream.read(first, last)
        start = len(frames)
        room = 0
        while start and room < self.plan.format.max_main_data_begin:
            start -= 1
            room += frames[start].slot_bytes
        return frames[start:]

    def _tell(self, frame: int) -> None:
        if self.progress is not None:
            first = self.plan.grid.frames.first
            self.progress(frame - first, self.plan.grid.frames.count)

    def _finish(self) -> Rendered:
        format, grid, output = self.plan.format, self.plan.grid, self.output
        if is_id3v1(output.tail):
            ms = 1000 * format.samples_per_frame / format.rate_hz
            # One in 16 million ends so; decoders would leave its last frames out.
            raise UnsupportedAudioError(
                "the output would end with bytes that look like a tag (TAG, 128 bytes before its "
                f"end), and would not play to its end: let it end {ms:.0f} ms earlier or later, or "
                "re-encode all of it (render full)"
            )
        byte2 = output.byte2
        counts = byte2_counts(byte2).reshape(16, 16).sum(axis=1).tolist()
        bitrates = {format.bitrates_kbps[i]: count for i, count in enumerate(counts) if count}
        delay = grid.encoder_delay + self.weaver.lead_in * format.samples_per_frame
        tag = build_info_tag(
            self.stream.header,
            constant_bitrate=len(bitrates) == 1,
            lowest_kbps=min(bitrates),
            frames=len(byte2),
            audio_bytes=output.audio_bytes,
            audio_crc=output.audio_crc,
            frame_offsets=_percent_offsets(byte2, format),
            encoder=self.stream.encoder,
            encoder_delay=delay,
            padding=grid.padding,
        )
        self.staging.rewrite_start(tag)
        return Rendered(
            counts=output.counts,
            remade=_joined(self.remade),
            coherence=self.coherence,
            bitrates=bitrates,
            encoder_delay=delay,
            padding=grid.padding,
            bytes=len(tag) + output.audio_bytes,
            raised=self.weaver.raised,
            lowered=self.weaver.lowered,
            lead_in=self.weaver.lead_in,
        )


def _windows(info: SideInfo, channel: int, format: StreamFormat) -> Windows:
    layout = granule_layout(format.lsf)
    return Windows(
        layout.block_type(info.granules[0][channel]), layout.block_type(info.granules[-1][channel])
    )


def _joined(remade: list[RemadeFrames]) -> tuple[RemadeFrames, ...]:
    """The same, in order, with those joined that one section's end cut in two."""
    out: list[RemadeFrames] = []
    for part in sorted(remade, key=lambda part: (part.channel, part.frames)):
        last = out[-1] if out else None
        if last and (last.channel, last.reason, last.frames.last) == (
            part.channel,
            part.reason,
            part.frames.first,
        ):
            frames = FrameRange(last.frames.first, part.frames.last)
            out[-1] = RemadeFrames(part.channel, frames, part.reason)
        else:
            out.append(part)
    return tuple(out)


def _percent_offsets(byte2: npt.NDArray[np.uint8], format: StreamFormat) -> list[int]:
    """Byte offsets of the frames at 0 %, 1 % … 99 %, from the first."""
    sizes = np.array(format.frame_sizes)
    marks = [len(byte2) * percent // 100 for percent in range(101)]
    steps = [int(sizes[byte2[a:b]].sum()) for a, b in pairwise(marks)]
    return list(accumulate(steps[:-1], initial=0))
