# SPDX-License-Identifier: Apache-2.0
"""One channel's re-made frames: complete, in legal order, and the beep in phase."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioengine.edits import Beep, Span
from audioengine.mp3.header import StreamFormat, Version
from audioengine.mp3.legal_windows import LEGAL_SUCCESSIONS
from audioengine.mp3.side_info import BlockType
from audioengine.mp3.splice import ChannelFrame, silent_channel
from audioengine.pcm.decode import decode_all
from audioengine.pcm.encode import FINE_QUALITY, QUALITY, encode_pair
from audioengine.pcm.tone import BeepTone
from audioengine.plan.encode import format_for, plan_encode
from audioengine.plan.grid import FrameRange, Grid
from audioengine.plan.rendering import RenderPlan
from audioengine.render import tracks
from audioengine.render.edited import EditedPcm
from audioengine.render.resolve import legal
from audioengine.render.tracks import Coder, ToneFrames, Track, TrackMaker, seam, windows_of
from tests.strategies import examples
from tests.support import Bytes, decode_pyav, fixture, indexed, stream

LSF = StreamFormat(Version.MPEG_2, 2, 1)
Samples = npt.NDArray[np.float32]


def unit(format: StreamFormat, *blocks: BlockType) -> ChannelFrame:
    """A frame with these windows and no main data."""
    # Behind 12 + 9 + 8 + 9 (MPEG-1: 4) bits, of 63 (59) in all.
    place = 63 - 38 - 3 if format.lsf else 59 - 33 - 3
    granules = tuple((4 | block) << place if block else 0 for block in blocks)
    return ChannelFrame(0, granules, (0,) * len(blocks))


blocks = st.sampled_from(BlockType)
any_units = st.lists(blocks.map(lambda block: unit(LSF, block)), min_size=1, max_size=9)


@given(any_units, st.integers(-5, 50))
def test_a_track_has_its_frames_by_number(units: list[ChannelFrame], first: int) -> None:
    track = Track(first, units)
    assert track.frames == FrameRange(first, first + len(units))
    numbers = range(track.frames.first, track.frames.last)
    assert [track[number] for number in numbers] == units


def fits(format: StreamFormat, before: ChannelFrame, after: ChannelFrame) -> bool:
    return legal(windows_of(before, format), windows_of(after, format))


def test_frames_follow_legally_by_last_and_first_granule() -> None:
    mpeg1 = StreamFormat(Version.MPEG_1, 0, 1)
    for before in BlockType:
        for after in BlockType:
            expected = (before, after) in LEGAL_SUCCESSIONS
            assert fits(LSF, unit(LSF, before), unit(LSF, after)) == expected
            for other in BlockType:
                one, two = unit(mpeg1, other, before), unit(mpeg1, after, other)
                assert fits(mpeg1, one, two) == expected


@given(any_units, any_units, st.integers(0, 12), st.integers(0, 12), st.integers(0, 15))
def test_a_seam_is_the_nearest_legal_one(
    one: list[ChannelFrame], two: list[ChannelFrame], first: int, second: int, wanted: int
) -> None:
    """Later ones first where two are as near; `wanted` itself where there is none."""
    before, after = Track(first, one), Track(second, two)
    places = [
        frame
        for frame in range(wanted - 2, wanted + 3)
        if first < frame <= first + len(one)
        and second <= frame < second + len(two)
        and fits(LSF, one[frame - 1 - first], two[frame - second])
    ]
    nearest = min(places, key=lambda frame: (abs(frame - wanted), -frame), default=wanted)
    assert seam(LSF, before, after, wanted) == nearest


RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)


def heard(format: StreamFormat, track: Track) -> Samples:
    """[shape=(n,)] What the frames of a track play, without its first 1056 samples."""
    return decode_pyav(stream(format, [(part,) for part in track.units]))[1056:, 0]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(
    ("frequency", "start", "origin"), [(1000, 0, 0), (1000, 12_345, 0), (440, 777, 391)]
)
def test_a_filled_beep_is_in_phase_and_at_its_level(
    rate: int, frequency: int, start: int, origin: int
) -> None:
    """A frame encoded once plays the tone wherever it stands, as if all were encoded."""
    format = format_for(rate, 1)
    assert format is not None
    tone = BeepTone(Beep(frequency), rate)
    mask = Span(start, start + 200 * format.samples_per_frame)
    frames = FrameRange(30, 30 + 60)
    track = ToneFrames(format, tone, Grid(origin, FrameRange(0, 300), 0, 0)).fill(mask, frames)
    period = tone.period_frames(format.samples_per_frame)
    if track is None:
        assert period is None or period > frames.count
        return
    assert track.frames == frames
    assert period is not None
    assert len({id(part) for part in track.units}) == period
    got = heard(format, track)
    at = origin + 30 * format.samples_per_frame + 1056 - start
    expected = tone.steady(at * tone.step % tone.cycle, len(got))
    gain = float(np.dot(got, expected) / np.dot(expected, expected))
    assert abs(20 * np.log10(gain)) < 0.2
    assert np.sqrt(np.mean((got - expected) ** 2)) < 0.03 * tone.amplitude


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 32000, 48000])
def test_1000_hz_is_filled_with_one_frame(rate: int) -> None:
    format = format_for(rate, 1)
    assert format is not None
    maker = ToneFrames(format, BeepTone(Beep(), rate), Grid(0, FrameRange(0, 99), 0, 0))
    track = maker.fill(Span(100, 10**6), FrameRange(5, 40))
    assert track is not None
    assert len(set(track.units)) == 1
    # The same phase is encoded once, whichever mask asks.
    turn = rate // 1000
    again = maker.fill(Span(100 + turn, 10**6), FrameRange(5, 9))
    assert again is not None
    assert again.units[0] is track.units[0]


def test_silence_is_filled_with_empty_frames_of_any_number() -> None:
    tone = BeepTone(Beep(fill="silence"), 16000)
    track = ToneFrames(LSF, tone, Grid(0, FrameRange(0, 9), 0, 0)).fill(
        Span(0, 1), FrameRange(3, 4)
    )
    assert track == Track(3, (silent_channel(LSF),))


@dataclass
class Watched(EditedPcm):
    """Edited PCM that remembers what was asked for."""

    inner: EditedPcm
    asked: list[Span] = field(default_factory=list)

    def channel(self, channel: int, span: Span) -> Samples:
        self.asked.append(span)
        return self.inner.channel(channel, span)


@dataclass(frozen=True)
class Work:
    """A recording with masks on its first channel, and what tracks are made from."""

    name: str
    masks: tuple[Span, ...]
    fill: str = "beep"

    @property
    def tone(self) -> BeepTone:
        beep = Beep(fill="silence") if self.fill == "silence" else Beep()
        return BeepTone(beep, indexed(self.name).format.rate_hz)

    @property
    def plan(self) -> RenderPlan:
        index = indexed(self.name)
        plan = plan_encode(index.format, index.raw_samples, int(index.byte2[0]) >> 4)
        others = ((),) * (index.format.channels - 1)
        return replace(plan, masked=(self.masks, *others))

    def made(self, frames: FrameRange) -> tuple[Track, list[Span], list[Span]]:
        """The track, the windows that it said it would need, and those that it asked for."""
        maker = TrackMaker(self.plan, self.tone)
        pieces = maker.pieces(0, frames)
        windows = list(maker.windows([[pieces], []]))
        pcm = Watched(EditedPcm(self.read, self.plan, self.tone, windows))
        (((track,), ()),) = maker.make([[[pieces], []]], pcm)
        return track, windows, pcm.asked

    def read(self, spans: Sequence[Span]) -> list[Samples]:
        return decode_all(Bytes(fixture(self.name)), indexed(self.name), spans)


@st.composite
def works(draw: st.DrawFn) -> tuple[Work, FrameRange]:
    name = draw(st.sampled_from(("mpeg25-8k-32k", "mpeg2-16k-48k", "mono-44k")))
    index = indexed(name)
    spf = index.format.samples_per_frame
    spans: list[Span] = []
    at = draw(st.integers(0, 20 * spf))
    while at < index.raw_samples - spf and len(spans) < 3:
        end = min(index.raw_samples, at + draw(st.integers(1, 70 * spf)))
        spans.append(Span(at, end))
        at = end + draw(st.integers(1, 20 * spf))
    first = draw(st.integers(-2, index.frames - 2))
    frames = FrameRange(first, draw(st.integers(first + 1, index.frames)))
    return Work(name, tuple(spans), draw(st.sampled_from(("beep", "silence")))), frames


@given(works())
@examples(30)
def test_a_track_has_exactly_the_frames_asked_for(case: tuple[Work, FrameRange]) -> None:
    """From no PCM but that which was announced."""
    work, frames = case
    track, windows, asked = work.made(frames)
    assert track.frames == frames
    assert asked == windows


@given(works())
@examples(15)
def test_filled_and_encoded_frames_follow_legally(case: tuple[Work, FrameRange]) -> None:
    """But where no seam is legal, and there the track says so."""
    work, frames = case
    format = indexed(work.name).format
    track, _, _ = work.made(frames)
    illegal = [
        number
        for number, (one, two) in enumerate(pairwise(track.units), track.first + 1)
        if not fits(format, one, two)
    ]
    assert sorted(set(track.breaks)) == illegal


@cache
def masked_whole(name: str, fill: str) -> tuple[Work, Track, Samples]:
    index = indexed(name)
    spf = index.format.samples_per_frame
    mask = Span(20 * spf + 100, 75 * spf + 7)
    work = Work(name, (mask,), fill)
    track, _, _ = work.made(FrameRange(0, index.frames))
    mono = StreamFormat(index.format.version, index.format.rate_index, 1)
    return work, track, decode_pyav(stream(mono, [(part,) for part in track.units]))[:, 0]


@pytest.mark.parametrize("name", ["mpeg25-8k-32k", "mpeg2-16k-48k", "mpeg1-44k-128k"])
@pytest.mark.parametrize("fill", ["beep", "silence"])
def test_a_track_plays_the_edited_recording(name: str, fill: str) -> None:
    """Voice and beep are where they belong, at their levels."""
    work, _, got = masked_whole(name, fill)
    expected = work.read([Span(0, len(got))])[0][:, 0].copy()
    (mask,) = work.masks
    expected[mask.start : mask.end] = work.tone.sound(mask, mask.start, mask.end)
    edge = 1056
    voice = np.concatenate((expected[: mask.start - edge], expected[mask.end + edge :]))
    voice_got = np.concatenate((got[: mask.start - edge], got[mask.end + edge :]))
    gain = float(np.dot(voice, voice_got) / np.dot(voice, voice))
    assert abs(20 * np.log10(gain)) < 0.3
    inside = slice(mask.start + edge, mask.end - edge)
    if fill == "silence":
        assert np.abs(got[inside]).max() < 1e-4
        return
    error = got[inside] - expected[inside]
    assert np.sqrt(np.mean(error**2)) < 0.03 * work.tone.amplitude


def test_most_of_a_long_beep_is_one_frame_repeated() -> None:
    _, track, _ = masked_whole("mpeg2-16k-48k", "beep")
    repeated = [number for number in range(30, 70) if track[number] is track[50]]
    assert repeated == list(range(30, 70))


@pytest.mark.parametrize("name", ["mpeg25-8k-32k", "mpeg1-44k-128k"])
@given(data=st.data())
@examples(6)
def test_a_frame_gets_ever_coarser_and_keeps_its_windows(name: str, data: st.DataObject) -> None:
    """Alone, and with the other channel."""
    work = Work(name, ())
    format = indexed(name).format
    maker = TrackMaker(work.plan, work.tone)
    number = data.draw(st.integers(10, indexed(name).frames - 10))
    channels = data.draw(st.sampled_from(((0,), (1,), (0, 1))))
    frames = FrameRange(number, number + 1)
    pcm = EditedPcm(work.read, work.plan, work.tone, [maker.window(frames)])
    index = maker._share if len(channels) == 1 else work.plan.bitrate_index
    (usual,) = maker.encode(Coder(channels, index), [frames], pcm)
    wanted = {
        channel: windows_of(track[number], format)
        for channel, track in zip(channels, usual, strict=True)
    }
    sizes = [sum(track[number].bits(format) for track in usual)]
    for coarser in maker.coarser(number, wanted, pcm):
        assert set(coarser) == set(channels)
        for channel, unit in coarser.items():
            assert windows_of(unit, format).like(wanted[channel])
        sizes.append(sum(unit.bits(format) for unit in coarser.values()))
    assert len(sizes) > 1
    assert sizes[-1] < 0.75 * sizes[0]


@pytest.mark.parametrize(
    ("name", "fine"), [("mpeg25-8k-32k", 128), ("mpeg2-16k-48k", 20), ("mpeg1-44k-128k", 20)]
)
def test_what_is_short_is_coded_finer(
    name: str, fine: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the lowest rates, what is long too."""
    asked = []

    def spy(pairs: Any, *args: Any, quality: int, **kwargs: Any) -> Any:
        asked.append((sum(left.count for left, _ in pairs), quality))
        return encode_pair(pairs, *args, quality=quality, **kwargs)

    monkeypatch.setattr(tracks, "encode_pair", spy)
    monkeypatch.setattr(tracks, "_FEW_FRAMES", 20)
    work = Work(name, ())
    maker = TrackMaker(replace(work.plan, full_band=True), work.tone)
    for count in (20, 21):
        frames = FrameRange(0, count)
        pcm = EditedPcm(work.read, work.plan, work.tone, [maker.window(frames)])
        maker.encode(Coder((0, 1), work.plan.bitrate_index), [frames], pcm)
    qualities = [FINE_QUALITY if count <= fine else QUALITY for count in (20, 21)]
    assert asked == list(zip((20, 21), qualities, strict=True))
