# SPDX-License-Identifier: Apache-2.0
"""Copied and re-made frames in one reservoir: each finds its own main data, whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import groupby

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioengine.errors import LimitError
from audioengine.mp3.assemble import frame_head
from audioengine.mp3.header import StreamFormat
from audioengine.mp3.main_data import Frame
from audioengine.mp3.side_info import SideInfo, granule_layout
from audioengine.mp3.splice import ChannelFrame, join_channels, silent_channel
from audioengine.plan.encode import plan_encode
from audioengine.plan.grid import FrameRange, Grid
from audioengine.plan.rendering import RenderPlan
from audioengine.render.output import FrameOutput
from audioengine.render.weave import Remade, Weaver
from fixtures import mpeg
from tests.operations.successions import windows
from tests.strategies import examples
from tests.support import indexed, main_data, read, sound

NAMES = (
    "stereo-8k",
    "mpeg2-16k-48k",
    "stereo-44k",
    "vbr-8k",
    "vbr-16k",
    "abr-16k",
    "crc-44k",
    "mono-8k",
    "nores-16k",
)


def plan_for(name: str, grid: Grid, *, trimmed: bool = False) -> RenderPlan:
    """A plan of the right bitrate; nothing else of it matters here."""
    index = indexed(name)
    plan = plan_encode(index.format, index.raw_samples, int(index.byte2[10]) >> 4)
    padded = not name.startswith("vbr")
    return replace(plan, grid=grid, keeps_start=not trimmed, padded=padded)


def coded(random: np.random.Generator, format: StreamFormat, most: int) -> ChannelFrame:
    """A channel's frame with up to `most` bits of anything in each granule."""
    rest = granule_layout(format.lsf).bits - 12
    granules, data = [], []
    for _ in range(format.granules):
        length = int(random.integers(0, most + 1))
        granules.append(length << rest | int(random.integers(0, 1 << 40)))
        data.append(int.from_bytes(random.bytes(512), "big") >> (4096 - length))
    return ChannelFrame(0, tuple(granules), tuple(data))


class Woven:
    """What a weaver made of frames."""

    def __init__(self, name: str, plan: RenderPlan) -> None:
        self.name = name
        self.format = indexed(name).format
        self.written = bytearray()
        self.output = FrameOutput(indexed(name).header, self.written.extend)
        self.weaver = Weaver(self.output, plan, self.smaller)
        self.asked: list[int] = []

    def smaller(self, number: int, channels: Iterable[int]) -> Iterator[dict[int, ChannelFrame]]:
        self.asked.append(number)
        yield {channel: silent_channel(self.format) for channel in channels}

    def add(self, frames: Iterable[Frame | Remade]) -> None:
        for frame in frames:
            self.weaver.add(frame)

    def frames(self) -> list[mpeg.Frame]:
        self.output.flush()
        return list(mpeg.frames(bytes(self.written)))


def prove(woven: Woven, given_frames: Sequence[Frame | Remade]) -> None:
    """Each frame has its main data, copied ones all their fields; other bytes are zero.

    But for the stuffing of copied frames: bytes that were no frame's main data in the source.
    """
    frames = woven.frames()
    lead = woven.weaver.lead_in
    assert len(frames) == len(given_frames) + lead
    assert sum(len(frame.data) for frame in frames) == len(woven.written)
    gathered = main_data(frames)
    owned = owned_bytes(frames)
    for number, frame in enumerate(frames):
        asked = given_frames[number - lead] if number >= lead else None
        adu = gathered[number]
        assert adu is not None
        if isinstance(asked, Frame):
            head = asked.header.main_data_offset
            assert frame.data[:head] == asked.data[:head]
            assert (adu, len(frame.data)) == (asked.adu, len(asked.data))
        elif asked is None or asked.number in woven.asked:
            assert asked is not None or adu == b""
        else:
            info, expected = join_channels(asked.channels, woven.format)
            assert adu == expected
            lengths = granule_layout(woven.format.lsf).part2_3_length
            assert frame.part2_3_lengths == tuple(
                tuple(map(lengths, granule)) for granule in info.granules
            )
    position = 0
    for number, frame in enumerate(frames):
        slots = np.frombuffer(slots_of(frame), dtype=np.uint8)
        stale = (slots != 0) & ~owned[position : position + len(slots)]
        position += len(slots)
        asked = given_frames[number - lead] if number >= lead else None
        if stale.any():
            assert isinstance(asked, Frame)
            assert frame.data == asked.data
            assert not (stale & source_owned(woven.name)[asked.number]).any()
    assert position == len(owned)
    kinds = woven.output.counts
    copied = sum(isinstance(frame, Frame) for frame in given_frames)
    assert kinds["verbatim"] + kinds["slot_rewritten"] == copied
    assert sum(kinds.values()) == len(frames)


def slots_of(frame: mpeg.Frame) -> bytes:
    return frame.data[frame.side_offset + frame.side_length :]


@cache
def source_owned(name: str) -> list[npt.NDArray[np.bool_]]:
    """Per frame of a recording, which of its slot bytes are main data of any frame."""
    owned = owned_bytes(sound(name))
    ends = np.cumsum([len(slots_of(frame)) for frame in sound(name)])
    return np.split(owned, ends[:-1])


def owned_bytes(frames: Sequence[mpeg.Frame]) -> npt.NDArray[np.bool_]:
    """Which slot bytes hold main data; none holds that of two frames."""
    slots = [len(slots_of(frame)) for frame in frames]
    owned = np.zeros(sum(slots), dtype=bool)
    position = 0
    for frame, slot in zip(frames, slots, strict=True):
        start = position - frame.main_data_begin
        length = (sum(map(sum, frame.part2_3_lengths)) + 7) // 8
        assert start >= 0
        assert not owned[start : start + length].any()
        assert start + length <= position + slot
        owned[start : start + length] = True
        position += slot
    return owned


@dataclass(frozen=True)
class Mix:
    """The frames of a recording, some of them re-made."""

    name: str
    frames: tuple[Frame | Remade, ...]


@st.composite
def mixes(draw: st.DrawFn) -> Mix:
    """From anywhere in it, in runs of any length, as large as they may be and larger."""
    name = draw(st.sampled_from(NAMES))
    format = indexed(name).format
    first = draw(st.integers(0, 20))
    source = read(name)[first : first + draw(st.integers(1, 40))]
    random = np.random.default_rng(draw(st.integers(0, 9999)))
    # The mean of what a frame holds and far more, for each granule of each channel.
    slot = 8 * source[0].slot_bytes // (format.granules * format.channels)
    most = min(4095, int(slot * draw(st.sampled_from((0.2, 1, 2, 4)))))
    runs = draw(st.lists(st.tuples(st.integers(0, 39), st.integers(1, 9)), max_size=4))
    remade = {at + step for at, length in runs for step in range(length)}
    if first:
        # What the first frames lean on isn't there.
        remade |= set(range(4))
    out: list[Frame | Remade] = []
    for place, frame in enumerate(source):
        if place not in remade:
            out.append(frame)
            continue
        parts = tuple(coded(random, format, most) for _ in range(format.channels))
        out.append(Remade(frame.number, parts, (False,) * format.channels))
    if out[-1].number < len(read(name)) - 1:
        # Where the source goes on and the output does not, what it goes on with is removed.
        parts = tuple(coded(random, format, most) for _ in range(format.channels))
        out.append(Remade(out[-1].number + 1, parts, (False,) * format.channels))
    return Mix(name, tuple(out))


@given(mixes())
@examples(120)
def test_every_frame_finds_its_own_main_data_and_nothing_else_is_left(mix: Mix) -> None:
    first, last = mix.frames[0].number, mix.frames[-1].number + 1
    plan = plan_for(mix.name, Grid(0, FrameRange(first, last), 576, 1000))
    woven = Woven(mix.name, plan)
    woven.add(mix.frames)
    woven.weaver.finish(None)
    prove(woven, mix.frames)
    weaver = woven.weaver
    assert weaver.lowered == len(woven.asked)
    assert 576 + weaver.lead_in * woven.format.samples_per_frame <= 4095
    frames = woven.frames()[weaver.lead_in :]
    kbps = woven.format.bitrates_kbps[plan.bitrate_index]
    raised = [
        frame.kbps > kbps
        for frame, asked in zip(frames, mix.frames, strict=True)
        if isinstance(asked, Remade)
    ]
    assert weaver.raised >= sum(raised)
    assert all(
        frame.kbps >= kbps
        for frame, asked in zip(frames, mix.frames, strict=True)
        if isinstance(asked, Remade)
    )


@given(mixes())
@examples(60)
def test_what_the_next_copied_frame_reaches_back_for_stays_free(mix: Mix) -> None:
    """Also where that frame is not woven but copied in bulk."""
    source = read(mix.name)
    following = source[min(mix.frames[-1].number + 1, len(source) - 1)]
    if isinstance(mix.frames[-1], Frame):
        return
    first = mix.frames[0].number
    woven = Woven(mix.name, plan_for(mix.name, Grid(0, FrameRange(first, 999), 576, 1000)))
    woven.add(mix.frames)
    woven.weaver.finish(following)
    owned = owned_bytes(woven.frames())
    free = len(owned) - int(np.flatnonzero(owned)[-1]) - 1 if owned.any() else len(owned)
    assert free >= following.side_info.main_data_begin


@pytest.mark.parametrize("name", NAMES)
def test_frames_that_no_edit_touches_pass_through(name: str) -> None:
    frames = read(name)
    woven = Woven(name, plan_for(name, Grid(0, FrameRange(0, len(frames)), 0, 600)))
    woven.add(frames)
    woven.weaver.finish(None)
    prove(woven, frames)
    assert (woven.weaver.lead_in, woven.weaver.raised, woven.weaver.lowered) == (0, 0, 0)
    assert woven.output.counts["verbatim"] == len(frames), "stuffing stays, too"


def silences(name: str, first: int, count: int) -> list[Remade]:
    format = indexed(name).format
    silent = (silent_channel(format),) * format.channels
    return [Remade(first + step, silent, (False,) * format.channels) for step in range(count)]


@pytest.mark.parametrize("name", NAMES)
def test_kinds_say_how_frames_came_to_be(name: str) -> None:
    format = indexed(name).format
    random = np.random.default_rng(1)
    parts = tuple(coded(random, format, 300) for _ in range(format.channels))
    no, yes = (False,) * format.channels, (True, *(False,) * (format.channels - 1))
    woven = Woven(name, plan_for(name, Grid(0, FrameRange(0, 9), 576, 600)))
    woven.add([*silences(name, 0, 3), Remade(3, parts, no), Remade(4, parts, yes)])
    woven.weaver.finish(None)
    woven.output.flush()
    counts = woven.output.counts
    silent = 3 + woven.weaver.lead_in
    assert (counts["silent"], counts["reencoded"], counts["spliced"]) == (silent, 1, 1)


@given(st.sampled_from(NAMES), st.integers(0, 9999), st.integers(0, 3500), st.booleans())
@examples(60)
def test_silence_in_front_makes_room_where_the_delay_can_hide_it(
    name: str, seed: int, delay: int, trimmed: bool
) -> None:
    """Never does it raise more frames than no silence would, or hide more than mpg123 decodes."""
    format = indexed(name).format
    plan = plan_for(name, Grid(0, FrameRange(0, 20), delay, 600), trimmed=trimmed)
    random = np.random.default_rng(seed)
    slot = 8 * read(name)[0].slot_bytes // (format.granules * format.channels)
    channels = range(format.channels)
    frames = [
        Remade(
            number,
            tuple(coded(random, format, min(4095, int(1.6 * slot))) for _ in channels),
            (False,) * format.channels,
        )
        for number in range(20)
    ]
    woven = Woven(name, plan)
    woven.add(frames)
    woven.weaver.finish(None)
    prove(woven, frames)
    lead = woven.weaver.lead_in
    assert delay + lead * format.samples_per_frame <= 4095
    assert not lead or (delay + 529) // format.samples_per_frame + lead <= 4
    if trimmed:
        # One that may hide nothing: its delay is used up.
        plain = Woven(name, replace(plan, grid=replace(plan.grid, encoder_delay=4095)))
        plain.add(frames)
        plain.weaver.finish(None)
        assert plain.weaver.lead_in == 0
        assert woven.weaver.raised <= plain.weaver.raised


def test_a_kept_start_is_not_moved_to_another_rounding() -> None:
    """mpg123 rounds by the synthesis phase, which frames put in front may shift."""
    name = "mpeg2-16k-48k"
    format = indexed(name).format
    random = np.random.default_rng(5)
    frames: list[Frame | Remade] = [
        Remade(number, (coded(random, format, 800), coded(random, format, 800)), (False, False))
        for number in range(3)
    ]
    frames += read(name)[3:20]
    for first in (0, -2):
        woven = Woven(name, plan_for(name, Grid(0, FrameRange(first, 20), 576, 600)))
        woven.add([*silences(name, first, -first), *frames])
        woven.weaver.finish(None)
        assert (woven.weaver.lead_in - first) % 2 == 0


def test_what_fits_nowhere_is_refused() -> None:
    name = "mpeg2-16k-48k"
    format = indexed(name).format
    plan = plan_for(name, Grid(0, FrameRange(0, 5), 4000, 600))
    full = (1 << 4095) - 1
    huge = ChannelFrame(0, (4095 << 51,), (full,))

    def never(_: int, __: Iterable[int]) -> list[dict[int, ChannelFrame]]:
        return []

    weaver = Weaver(FrameOutput(indexed(name).header, lambda _: None), plan, never)
    weaver.add(Remade(0, (huge, huge), (False,) * format.channels))
    with pytest.raises(LimitError, match="frame 0"):
        weaver.finish(None)


def bits_of(format: StreamFormat, length: int) -> ChannelFrame:
    """A channel's frame with so many bits."""
    return ChannelFrame(0, (length << granule_layout(format.lsf).length_shift,), (1,))


@pytest.mark.parametrize(("bitrate_index", "first"), [(12, 4300), (14, 5500)])
def test_a_kept_frame_too_large_for_its_own_slots_finds_room_before_it(
    bitrate_index: int, first: int
) -> None:
    """The frame in front takes a higher bitrate or, where there is none, less quality."""
    name = "mpeg2-16k-48k"
    format = indexed(name).format
    plan = replace(
        plan_for(name, Grid(0, FrameRange(0, 9), 4000, 600)),
        bitrate_index=bitrate_index,
        padded=False,
    )
    woven = Woven(name, plan)
    woven.weaver.copied(0)
    frames: list[Frame | Remade] = [
        Remade(0, (bits_of(format, 4000), bits_of(format, first - 4000)), (True, False)),
        Remade(1, (bits_of(format, 4095), bits_of(format, 1800)), (True, True)),
    ]
    woven.add(frames)
    woven.weaver.finish(None)
    one, two = woven.frames()
    assert sum(map(sum, two.part2_3_lengths)) == 4095 + 1800
    assert two.main_data_begin >= 37
    assert woven.asked == ([] if bitrate_index == 12 else [0])
    assert one.kbps > (128 if bitrate_index == 12 else 0)


@pytest.mark.parametrize("name", ["mpeg2-16k-48k", "stereo-44k"])
def test_silence_in_front_fits_the_first_windows(name: str) -> None:
    """Of a first frame that begins with a short slope."""
    format = indexed(name).format
    layout = granule_layout(format.lsf)
    granule = 1000 << layout.length_shift | (4 | 2) << layout.window_shift
    channel = ChannelFrame(0, (granule,) * format.granules, (1,) * format.granules)
    woven = Woven(name, plan_for(name, Grid(0, FrameRange(0, 1), 576, 600)))
    woven.add([Remade(0, (channel, channel), (False, False))])
    woven.weaver.finish(None)
    lead = woven.weaver.lead_in
    assert lead
    *quiet, first = woven.frames()
    assert all(sum(map(sum, frame.part2_3_lengths)) == 0 for frame in quiet)
    assert [windows(frame)[0][-1] for frame in (*quiet, first)] == [0] * (lead - 1) + [1, 2]


def test_behind_copied_frames_only_what_they_left_is_taken() -> None:
    name = "mpeg2-16k-48k"
    format = indexed(name).format
    random = np.random.default_rng(3)
    for behind in (0, 17, 400):
        woven = Woven(name, plan_for(name, Grid(0, FrameRange(0, 99), 576, 600)))
        woven.weaver.copied(behind)
        parts = (coded(random, format, 500), coded(random, format, 500))
        woven.add([Remade(40, parts, (False, False))])
        woven.weaver.finish(None)
        (frame,) = woven.frames()
        assert frame.main_data_begin == min(behind, 255)
        assert woven.weaver.lead_in == 0


def test_runs_are_woven_one_behind_the_other() -> None:
    """Masks that follow one another closely, with copied frames between."""
    name = "stereo-44k"
    format = indexed(name).format
    random = np.random.default_rng(7)
    frames: list[Frame | Remade] = []
    for masked, group in groupby(read(name)[:90], key=lambda frame: frame.number % 7 < 3):
        for frame in group:
            parts = tuple(coded(random, format, 1200) for _ in range(2))
            frames.append(Remade(frame.number, parts, (False, False)) if masked else frame)
    frames += silences(name, 90, 1)
    woven = Woven(name, plan_for(name, Grid(0, FrameRange(0, 91), 576, 600)))
    woven.add(frames)
    woven.weaver.finish(None)
    prove(woven, frames)


def test_removed_main_data_is_gone_from_slots_many_frames_before() -> None:
    """A large frame behind many tiny ones, as VBR has them, reaches back over all of them."""
    name = "vbr-16k"
    format = indexed(name).format
    secret = b"\xa5" * 255
    header = replace(indexed(name).header, bitrate_index=1, padding=0)
    size = format.frame_bytes(1)
    slot = size - header.main_data_offset
    count = len(secret) // slot
    frames: list[Frame | Remade] = []
    for number in range(count):
        # Empty frames put off the reservoir: all of it is the next frame's.
        empty = SideInfo(number * slot, (0, 0), ((0, 0),))
        data = frame_head(header, empty) + secret[:slot]
        assert len(data) == size
        frames.append(Frame(number, data, header, empty, b"", True))
    # What began in the slots of frame 0 is masked; the frame that takes its place is small.
    frames += silences(name, count, 1)
    woven = Woven(name, plan_for(name, Grid(0, FrameRange(0, count + 1), 576, 600)))
    woven.add(frames)
    woven.weaver.finish(None)
    assert len(woven.frames()) == len(frames)
    assert b"\xa5\xa5" not in woven.written
