# SPDX-License-Identifier: Apache-2.0
"""Executes a plan: workers make sections, which are laid in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from audioengine.errors import UnsupportedAudioError
from audioengine.mp3.header import StreamFormat
from audioengine.mp3.index import byte2_counts
from audioengine.mp3.info_tag import build_info_tag, tag_frame_bytes
from audioengine.mp3.main_data import Frame
from audioengine.mp3.tags import is_id3v1
from audioengine.pcm.coherence import Coherence
from audioengine.pcm.tone import BeepTone
from audioengine.plan.grid import Flags, FrameRange, flags_of, ranges_of
from audioengine.plan.rendering import Reason, RenderPlan
from audioengine.render.edited import ReadPcm
from audioengine.render.output import FrameOutput, Kind
from audioengine.render.section import Section, SectionMaker, sections, tasks
from audioengine.render.stream import FrameStream
from audioengine.render.weave import Weaver
from audioengine.render.workers import executor_of, rare_collection

Progress: TypeAlias = Callable[[int, int], None]


class RenderTarget(Protocol):
    """An output that is not published yet."""

    def write(self, data: bytes) -> object:
        """Append."""
        ...

    def rewrite_start(self, data: bytes) -> None:
        """Replace the first bytes, which are already written."""
        ...


@dataclass(frozen=True, slots=True)
class RemadeFrames:
    """Consecutive frames of one channel that were re-made for one reason."""

    channel: int
    frames: FrameRange
    reason: Reason


@dataclass(frozen=True)
class Rendered:
    """The result of rendering."""

    counts: dict[Kind, int]
    remade: tuple[RemadeFrames, ...]
    coherence: dict[int, Coherence]
    """By number of a one-party mask, the coherence of the source's channels under it."""
    bitrates: dict[int, int]
    """Frames by bitrate in kbit/s."""
    encoder_delay: int
    padding: int
    bytes: int
    raised: int
    lowered: int
    lead_in: int


def render_plan(
    stream: FrameStream,
    plan: RenderPlan,
    tone: BeepTone,
    staging: RenderTarget,
    read_pcm: ReadPcm,
    *,
    workers: int,
    progress: Progress | None = None,
) -> Rendered:
    """Render `plan` into `staging`, tag frame included.

    `stream` has the frames that the plan copies; `read_pcm` returns the samples for re-made frames.
    `progress` is called with the number of frames done and of all frames.
    """
    staging.write(bytes(tag_frame_bytes(stream.header)))
    executor = executor_of(workers)
    try:
        maker = SectionMaker(stream, plan, tone, read_pcm)
        with rare_collection():
            return _Execution(stream, plan, maker, staging, executor, 2 * workers, progress).run()
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


class _Execution:
    """One run through a plan."""

    def __init__(
        self,
        stream: FrameStream,
        plan: RenderPlan,
        maker: SectionMaker,
        staging: RenderTarget,
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
        """All sections in order, with a few groups made ahead."""
        waiting: deque[Future[list[Section]]] = deque()
        for group in tasks(self.plan):
            waiting.append(self.executor.submit(self.maker.make, group))
            if len(waiting) > self.ahead:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()

    def _cluster(self, cluster: FrameRange, made: Iterator[Section]) -> None:
        for _ in sections(cluster, self.plan):
            section = next(made)
            self._record(section)
            for number, part in section.coherence.items():
                if number in self.coherence:
                    self.coherence[number].merge(part)
                else:
                    self.coherence[number] = part
            for frame in section.laid:
                self.weaver.add(frame)
            self._tell(section.frames.last)

    def _record(self, section: Section) -> None:
        frames = section.frames
        for channel, made in enumerate(section.made):
            rest = made
            found: list[tuple[Reason, Flags]] = []
            for cause in self.plan.causes:
                found.append((cause.reason, rest & flags_of(cause.frames, frames)))
                rest = rest & ~found[-1][1]
            required = flags_of(self.plan.required[channel], frames)
            found.append(("mask", rest & required))
            rest = rest & ~required
            shared = section.coupled & flags_of(self.plan.made[channel], frames)
            found += [("shared", rest & shared), ("window", rest & ~shared)]
            for reason, flags in found:
                self.remade += (
                    RemadeFrames(channel, part, reason) for part in ranges_of(flags, frames.first)
                )

    def _copy(self, first: int, last: int, *, more: bool) -> None:
        """Copy frames between clusters; with `more`, a cluster follows them."""
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
        """The frames before `last` whose slots may hold main data of frame `last`."""
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
            # One output in 16 million ends this way; decoders would leave its last frames out.
            raise UnsupportedAudioError(
                "the output would end with bytes that look like a tag (TAG, 128 bytes before its "
                f"end), and would not play to its end: let it end {ms:.0f} ms earlier or later, or "
                'use render="full"'
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


def _joined(remade: list[RemadeFrames]) -> tuple[RemadeFrames, ...]:
    """The same in order, with ranges joined that a section's end split."""
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
