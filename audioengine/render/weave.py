# SPDX-License-Identifier: Apache-2.0
"""Lays copied and re-made frames into one reservoir.

Frames of clusters pass through here one by one. A copied frame's main data has a fixed place
relative to its frame. Re-made main data goes into the free space before it, and leaves free the
space that the next copied frame reaches back to.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeAlias

from audioengine.errors import LimitError
from audioengine.mp3.info_tag import DECODER_DELAY, MAX_DELAY, PREFRAMES
from audioengine.mp3.main_data import Frame
from audioengine.mp3.reservoir import Placement, SlotRule, lay
from audioengine.mp3.side_info import BlockType, granule_layout
from audioengine.mp3.splice import ChannelFrame, join_channels, silent_channel
from audioengine.pcm.decode import phase_turn
from audioengine.plan.grid import FrameRange
from audioengine.plan.rendering import RenderPlan
from audioengine.render.output import FrameOutput, Kind

Smaller: TypeAlias = Callable[[int, Mapping[int, ChannelFrame]], Iterable[dict[int, ChannelFrame]]]
"""Returns smaller codings of a frame's given channels, at ever lower bitrates."""

_LOWEST = 1
"""bitrate_index of the lowest bitrate: its frames hold header, CRC and side information at all
sampling rates, by 11172-3 and 13818-3, 2.4.1.3."""


class NoRoomError(LimitError):
    """A re-made frame does not fit beside copied ones at any bitrate and quality."""


class Remade(NamedTuple):
    """A re-made frame to be laid."""

    number: int
    channels: tuple[ChannelFrame, ...]
    kept: tuple[bool, ...]
    """Per channel, whether the granules are the source's."""


@dataclass
class Weaver:
    """Lays frames in order; holds a few until it knows what must stay free for later ones."""

    output: FrameOutput
    plan: RenderPlan
    smaller: Smaller
    raised: int = 0
    """Re-made frames that took a higher bitrate to fit."""
    lowered: int = 0
    """Re-made frames that took less quality to fit."""
    lead_in: int = 0
    """Silent frames added in front to make room in the reservoir."""
    _queue: deque[Frame | Remade] = field(default_factory=deque)
    _copies: int = 0
    """Copied frames in the queue."""
    _large: int = 0
    """Re-made frames in the queue that may not fit into their own slots."""
    _behind: int = 0
    _started: bool = False

    def __post_init__(self) -> None:
        header = self.output.header
        self._rule = SlotRule(
            header.format, self.plan.bitrate_index, self.plan.padded, header.main_data_offset
        )
        slot = max(1, self._rule.slots[1])
        self._length_shift = granule_layout(header.format.lsf).length_shift
        self._large_bits = 8 * (self._rule.slots[14] - header.format.max_main_data_begin)
        # As far as a frame can reach back over the smallest frames.
        self._hold = header.format.max_main_data_begin // slot + 2

    def add(self, frame: Frame | Remade) -> None:
        """Add the next frame, copied or re-made."""
        self._queue.append(frame)
        self._copies += isinstance(frame, Frame)
        self._large += self._is_large(frame)
        while len(self._queue) > self._hold:
            self._lay_first(None)

    def _is_large(self, frame: Frame | Remade) -> bool:
        return not isinstance(frame, Frame) and sum(self._bits(frame.channels)) >= self._large_bits

    def _bits(self, channels: Sequence[ChannelFrame]) -> list[int]:
        """Main data bits of each channel; `ChannelFrame.bits` is slower for many frames."""
        shift = self._length_shift
        return [sum([one >> shift for one in channel.granules]) for channel in channels]

    def _length(self, channels: Sequence[ChannelFrame]) -> int:
        """Bytes of main data that they have together."""
        return (sum(self._bits(channels)) + 7) // 8

    def finish(self, following: Frame | None) -> None:
        """Lay all held frames; `following` is the copied frame after them, if any."""
        while self._queue:
            self._lay_first(following)

    def silence(self, frames: FrameRange) -> None:
        """Add silent frames; all but the last, which may lend their slots, are written at once."""
        bulk = max(frames.first, frames.last - self._hold)
        if frames.first < bulk:
            self.finish(None)
            self.output.silence(FrameRange(frames.first, bulk), self._silence_rule)
            self.copied(0)
        for number in range(bulk, frames.last):
            self.add(self._silent(number))

    @property
    def _silence_rule(self) -> SlotRule:
        """The sizes of silent frames: where bitrates vary anyway, they take the lowest."""
        if self.plan.padded:
            return self._rule
        return replace(self._rule, bitrate_index=_LOWEST)

    def _silent(self, number: int) -> Remade:
        channels = self._rule.format.channels
        silent = (silent_channel(self._rule.format),) * channels
        return Remade(number, silent, (False,) * channels)

    def copied(self, behind: int) -> None:
        """Note that frames were copied in bulk, with `behind` free bytes before the next frame."""
        self._behind = behind
        self._started = True

    def _lay_first(self, following: Frame | None) -> None:
        if not self._started:
            self._start(following)
        frame = self._queue.popleft()
        if self._large:
            self._large -= self._is_large(frame)
        if isinstance(frame, Frame):
            self._copies -= 1
            begin = frame.side_info.main_data_begin
            self._behind = begin + frame.slot_bytes - len(frame.adu)
            self.output.keep(frame, shared=self._shared())
            return
        placement, channels = self._fit(frame, self._reserves(following))
        if placement.bitrate_index > self.plan.bitrate_index:
            self.raised += 1
        self._behind = placement.free
        info, adu = join_channels(channels, self._rule.format, placement.main_data_begin)
        kind: Kind = "spliced" if any(frame.kept) else "reencoded" if adu else "silent"
        self.output.remake(kind, info, adu, placement)

    def _fit(
        self, frame: Remade, reserves: Sequence[int]
    ) -> tuple[Placement, Sequence[ChannelFrame]]:
        """Where a frame goes, and as what: of less quality where it has no room."""
        length = self._length(frame.channels)
        for reserve in reserves:
            placement = lay(length, frame.number, self._behind, reserve, self._rule)
            if placement is not None:
                return placement, frame.channels
        remade = {
            channel: unit
            for channel, (unit, kept) in enumerate(zip(frame.channels, frame.kept, strict=True))
            if not kept
        }
        for channels in self.smaller(frame.number, remade):
            parts = [channels.get(number, unit) for number, unit in enumerate(frame.channels)]
            placement = lay(
                self._length(parts), frame.number, self._behind, reserves[-1], self._rule
            )
            if placement is not None:
                self.lowered += 1
                return placement, parts
        raise NoRoomError(
            f"frame {frame.number} does not fit into a frame of the highest bitrate, "
            f"{self._rule.format.bitrates_kbps[14]} kbit/s, at any quality"
        )

    def _reserves(self, following: Frame | None) -> Sequence[int]:
        """Bytes that should stay free after a re-made frame, most first; the last are a must.

        Later frames that are too large for their own slots get room before them, so that they need
        not be made coarser; at least the room that they need once they are.
        """
        copy = self._reserve(self._queue, following) if self._copies or following else 0
        if not self._large:
            return (copy,)
        full, coarse = (max(copy, need) for need in self._needs(following))
        return (full, coarse) if full > coarse else (coarse,)

    def _needs(self, following: Frame | None) -> tuple[int, int]:
        """The bytes that the held frames need before them, unchanged and at the lowest quality."""
        format = self._rule.format
        most = format.max_main_data_begin
        largest = self._rule.slots[14]
        full = coarse = following.side_info.main_data_begin if following else 0
        lowest = 8 * format.frame_bytes(1)
        for frame in reversed(self._queue):
            if isinstance(frame, Frame):
                full = coarse = frame.side_info.main_data_begin
                continue
            sizes = self._bits(frame.channels)
            least = [
                size if kept else min(size, lowest)
                for size, kept in zip(sizes, frame.kept, strict=True)
            ]
            full = min(most, max(0, (sum(sizes) + 7) // 8 + full - largest))
            coarse = min(most, max(0, (sum(least) + 7) // 8 + coarse - largest))
        return full, coarse

    def _shared(self) -> bool:
        """Whether the frame just taken may hold main data of a replaced frame.

        It may wherever a main_data_begin can reach: the replaced frame's own value must not matter.
        """
        room = 0
        for frame in self._queue:
            if not isinstance(frame, Frame):
                return room < self._rule.format.max_main_data_begin
            room += frame.slot_bytes
        return False

    def _reserve(self, after: Iterable[Frame | Remade], following: Frame | None) -> int:
        """Bytes that must stay free after a re-made frame for the next copied one."""
        room = 0
        for frame in after:
            if isinstance(frame, Frame):
                return max(0, frame.side_info.main_data_begin - room)
            room += self._rule.slot(frame.number)
        return max(0, following.side_info.main_data_begin - room) if following else 0

    def _start(self, following: Frame | None) -> None:
        """Put silent frames in front if the first frames would need a higher bitrate."""
        self._started = True
        raised = {lead: self._raised_with(lead, following) for lead in self._possible_leads()}
        self.lead_in = min(raised, key=raised.__getitem__)
        first = self.plan.grid.frames.first
        for number in range(first - 1, first - 1 - self.lead_in, -1):
            format = self._rule.format
            after = self._first_windows(self._queue[0] if self._queue else following)
            silent = tuple([silent_channel(format, after=block) for block in after])
            self._queue.appendleft(Remade(number, silent, (False,) * format.channels))

    def _first_windows(self, frame: Frame | Remade | None) -> Sequence[BlockType]:
        """By channel, the first window of a frame."""
        format = self._rule.format
        if isinstance(frame, Frame):
            layout = granule_layout(format.lsf)
            return [layout.block_type(granule) for granule in frame.side_info.granules[0]]
        if frame is None:
            return [BlockType.LONG] * format.channels
        return [channel.block_types(format)[0] for channel in frame.channels]

    def _possible_leads(self) -> Sequence[int]:
        """The possible numbers of silent frames to add in front, fewest first."""
        format, grid = self._rule.format, self.plan.grid
        spf = format.samples_per_frame
        hidden = (grid.encoder_delay + DECODER_DELAY) // spf
        # With more hidden frames, decoders would skip some whose slots the first audible ones use.
        most = min((MAX_DELAY - grid.encoder_delay) // spf, PREFRAMES - hidden)
        leads = range(max(0, most) + 1)
        if not self.plan.keeps_start:
            return leads
        # mpg123's phase counts from the file's first frame: where the start is kept, so is the
        # phase, if it can be.
        turn = phase_turn(format)
        same_phase = [lead for lead in leads if (lead - grid.frames.first) % turn == 0]
        return same_phase or leads

    def _raised_with(self, lead: int, following: Frame | None) -> int:
        """The number of first frames that would be raised after `lead` more silent frames."""
        slot = self._rule.slot(0)
        behind = min(lead * slot, self._rule.format.max_main_data_begin)
        raised = 0
        waiting: Sequence[Frame | Remade] = tuple(self._queue)
        for position, frame in enumerate(waiting):
            if isinstance(frame, Frame):
                break
            reserve = self._reserve(waiting[position + 1 :], following)
            length = self._length(frame.channels)
            placement = lay(length, frame.number, behind, reserve, self._rule)
            if placement is None:
                return len(waiting)
            raised += placement.bitrate_index > self.plan.bitrate_index
            behind = placement.free
        return raised
