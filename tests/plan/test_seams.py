# SPDX-License-Identifier: Apache-2.0
"""How far runs reach: to long slopes, no farther, and never over half a coupled frame."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from audioengine.plan import seams
from audioengine.plan.grid import FrameRange, flags_of, ranges_of
from audioengine.plan.seams import Runs, runs_of
from audioengine.plan.windows import SourceWindows
from tests.strategies import examples


@dataclass
class Source:
    """Frames of a source by their number; remembers which were asked for."""

    windows: SourceWindows
    asked: list[FrameRange] = field(default_factory=list)

    def read(self, frames: FrameRange) -> SourceWindows:
        self.asked.append(frames)
        out = SourceWindows.nothing(frames.count, self.windows.starts_short.shape[1])
        count = len(self.windows.there)
        first, last = max(frames.first, 0), min(frames.last, count)
        if first < last:
            here = slice(first, last)
            part = SourceWindows(
                self.windows.there[here],
                self.windows.coupled[here],
                self.windows.starts_short[here],
                self.windows.ends_short[here],
            )
            out.put(first - frames.first, part)
        return out


@dataclass(frozen=True)
class Case:
    required: tuple[tuple[FrameRange, ...], ...]
    frames: FrameRange
    source: Source

    def runs(self) -> Runs:
        return runs_of(self.required, self.frames, self.source.read)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Slopes fit within the source: a frame begins as the one before it ends."""
    channels = draw(st.integers(1, 2))
    count = draw(st.integers(1, 200))
    seed = draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    share = draw(st.sampled_from((0.0, 0.1, 0.4, 0.9, 1.0)))
    there = random.random(count) >= draw(st.sampled_from((0.0, 0.05)))
    coupled = there & (random.random(count) < draw(st.sampled_from((0.0, 0.2, 0.9))))
    if channels == 1:
        coupled[:] = False
    slopes = random.random((count + 1, channels)) < share
    windows = SourceWindows(
        there, coupled, slopes[:-1] & there[:, None], slopes[1:] & there[:, None]
    )
    first = draw(st.integers(-3, 0))
    frames = FrameRange(first, draw(st.integers(1, count)))
    required = []
    for _ in range(channels):
        flags = np.zeros(frames.count, dtype=bool)
        for _ in range(draw(st.integers(0, 3))):
            at = draw(st.integers(0, frames.count - 1))
            flags[at : at + draw(st.integers(1, 20))] = True
        required.append(tuple(ranges_of(flags, frames.first)))
    return Case(tuple(required), frames, Source(windows))


@given(cases())
@examples(300)
def test_runs_begin_and_end_beside_long_slopes_or_nothing(case: Case) -> None:
    whole = case.source.read(case.frames)
    for channel, (made, borders) in enumerate(zip(*_both(case.runs()), strict=True)):
        every = flags_of((*made, *borders), case.frames)
        for part in ranges_of(every, 0):
            if part.first:
                assert not whole.ends_short[part.first - 1, channel]
            if part.last < case.frames.count:
                assert not whole.starts_short[part.last, channel]


def _both(runs: Runs) -> tuple[tuple[tuple[FrameRange, ...], ...], ...]:
    return runs.made, runs.borders


@given(cases())
@examples(300)
def test_of_a_frame_that_can_t_be_taken_apart_all_or_nothing_is_made(case: Case) -> None:
    runs = case.runs()
    whole = case.source.read(case.frames)
    made = [flags_of(channel, case.frames) for channel in runs.made]
    borders = [flags_of(channel, case.frames) for channel in runs.borders]
    for flags, own in zip(made, borders, strict=True):
        assert not (flags & own).any()
        assert not (own & ~whole.there).any()
        np.testing.assert_array_equal(flags & whole.coupled, made[0] & whole.coupled)
        np.testing.assert_array_equal(own & whole.coupled, borders[0] & whole.coupled)
    for flags, required in zip(made, case.required, strict=True):
        assert (flags >= flags_of(required, case.frames)).all()


@given(cases())
@examples(300)
def test_nothing_is_made_but_for_a_reason(case: Case) -> None:
    """What is required; the other channel of coupled frames; short slopes on the way."""
    runs = case.runs()
    whole = case.source.read(case.frames)
    made = [flags_of(channel, case.frames) for channel in runs.made]
    borders = [flags_of(channel, case.frames) for channel in runs.borders]
    some = np.logical_or.reduce([*made, *borders])
    for channel, (flags, own) in enumerate(zip(made, borders, strict=True)):
        required = flags_of(case.required[channel], case.frames)
        shared = whole.coupled & some
        extra = (flags | own) & ~required & ~shared
        for frame in np.flatnonzero(extra).tolist():
            short = whole.starts_short[frame, channel], whole.ends_short[frame, channel]
            assert any(short)
    if not any(case.required):
        assert not some.any()


@given(cases())
@examples(50)
def test_what_is_read_does_not_depend_on_how_much_is_read_at_once(case: Case) -> None:
    runs = case.runs()
    assert all(0 < part.count <= case.frames.count for part in case.source.asked)
    usual, seams._AT_ONCE_FRAMES = seams._AT_ONCE_FRAMES, 3
    try:
        assert case.runs() == runs
    finally:
        seams._AT_ONCE_FRAMES = usual


def test_where_all_is_made_nothing_is_read() -> None:
    source = Source(SourceWindows.nothing(9, 2))
    every = ((FrameRange(0, 9),),) * 2
    assert runs_of(every, FrameRange(0, 9), source.read) == Runs(every, ((), ()))
    assert not source.asked
