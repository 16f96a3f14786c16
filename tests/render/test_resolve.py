# SPDX-License-Identifier: Apache-2.0
"""Where runs of re-made frames end: at legal windows, near, and never inside what is required."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioengine.mp3.side_info import LEGAL_SUCCESSIONS, BlockType
from audioengine.plan.grid import Flags
from audioengine.plan.rendering import MAX_MOVED_FRAMES
from audioengine.render.resolve import (
    ChannelView,
    Windows,
    any_of,
    coupled_closure,
    dilated,
    resolve,
)
from tests.strategies import examples

LONG, START, SHORT, STOP = BlockType
# Speech is mostly long windows.
QUIET = Windows(LONG, LONG)
WINDOWS = [*[QUIET] * 16, *(Windows(first, last) for first in BlockType for last in BlockType)]


@dataclass(frozen=True)
class Stretch:
    """Both sides of some frames, per channel."""

    required: list[list[bool]]
    source: list[list[Windows | None]]
    remade: list[list[Windows | None]]
    coupled: list[bool]
    beside: tuple[Windows | None, Windows | None] = (None, None)
    """The source's before the first and behind the last frame, of every channel."""

    def views(self, required: list[Flags] | None = None) -> list[ChannelView]:
        flags = required or [np.array(part, dtype=bool) for part in self.required]
        return [
            ChannelView(flags[channel], self.places(source).get, remade.__getitem__)
            for channel, (source, remade) in enumerate(zip(self.source, self.remade, strict=True))
        ]

    def places(self, source: list[Windows | None]) -> dict[int, Windows | None]:
        return dict(enumerate((self.beside[0], *source, self.beside[1]), -1))

    def resolved(self, required: list[Flags] | None = None) -> list[Flags]:
        return resolve(self.views(required), np.array(self.coupled, dtype=bool))

    def legal(self, channel: int, use: Flags, frame: int) -> bool:
        """Whether windows fit between `frame` and the next one."""
        side = [self.remade if use[at] else self.source for at in (frame, frame + 1)]
        before, after = side[0][channel][frame], side[1][channel][frame + 1]
        return before is None or after is None or (before.last, after.first) in LEGAL_SUCCESSIONS


def made(required: list[Flags], coupled: Flags) -> list[Flags]:
    """Per channel, the frames that are re-made in advance, since ends may move there."""
    needed = coupled_closure(required, coupled)
    near = dilated(any_of(needed), MAX_MOVED_FRAMES) & coupled
    return [dilated(flags | near, MAX_MOVED_FRAMES) for flags in needed]


@st.composite
def stretches(draw: st.DrawFn, *, channels: int = 2, coupled: bool = True) -> Stretch:
    count = draw(st.integers(1, 24))
    runs = st.lists(st.tuples(st.integers(0, count - 1), st.integers(1, 6)), max_size=3)
    required = []
    for _ in range(channels):
        flags = [False] * count
        for first, length in draw(runs):
            flags[first : first + length] = [True] * len(flags[first : first + length])
        required.append(flags)
    letters = st.binary(min_size=count, max_size=count)

    def windows() -> list[Windows | None]:
        return [WINDOWS[byte % len(WINDOWS)] for byte in draw(letters)]

    share = draw(st.sampled_from((0, 40, 160))) if coupled and channels == 2 else 0
    together = [byte < share for byte in draw(letters)]
    flags_of_all = [np.array(flags, dtype=bool) for flags in required]
    remade = [
        [window if there else None for window, there in zip(windows(), available, strict=True)]
        for available in made(flags_of_all, np.array(together, dtype=bool))
    ]
    return Stretch(required, [windows() for _ in range(channels)], remade, together)


@given(st.one_of(stretches(), stretches(channels=1)))
@examples(150)
def test_all_that_is_required_is_remade_and_little_more(stretch: Stretch) -> None:
    use = stretch.resolved()
    required = [np.array(part, dtype=bool) for part in stretch.required]
    reach = dilated(any_of(required), MAX_MOVED_FRAMES)
    for flags, needed in zip(use, required, strict=True):
        assert (flags >= needed).all()
        assert (flags <= reach).all()


@given(stretches())
@examples(150)
def test_nothing_is_used_that_was_not_made(stretch: Stretch) -> None:
    for flags, remade in zip(stretch.resolved(), stretch.remade, strict=True):
        assert all(remade[place] is not None for place in np.flatnonzero(flags).tolist())


@given(stretches())
@examples(100)
def test_of_a_frame_coded_together_both_channels_are_remade_or_none(stretch: Stretch) -> None:
    left, right = stretch.resolved()
    coupled = np.array(stretch.coupled, dtype=bool)
    np.testing.assert_array_equal(left[coupled], right[coupled])


def shifts(stretch: Stretch, channel: int, use: Flags, edge: int) -> list[bool]:
    """Whether the end between `edge` and the next frame would be legal 1, 2, 3 frames outward."""
    out = []
    reach = dilated(any_of([np.array(p, dtype=bool) for p in stretch.required]), MAX_MOVED_FRAMES)
    step = -1 if use[edge + 1] else 1
    moved = use.copy()
    for distance in range(1, MAX_MOVED_FRAMES + 1):
        frame = edge + distance if step > 0 else edge + 1 - distance
        if not 0 <= frame < len(use) or not reach[frame]:
            break
        moved[frame] = True
        at = frame if step > 0 else frame - 1
        if not 0 <= at < len(use) - 1:
            out.append(True)
            break
        out.append(moved[at] == moved[at + 1] or stretch.legal(channel, moved, at))
    return out


@given(st.one_of(stretches(), stretches(channels=1)))
@examples(200)
def test_ends_are_legal_wherever_they_can_be(stretch: Stretch) -> None:
    for channel, use in enumerate(stretch.resolved()):
        for edge in np.flatnonzero(np.diff(use.astype(np.int8))).tolist():
            if not stretch.legal(channel, use, edge):
                assert not any(shifts(stretch, channel, use, edge))


@given(stretches(channels=1))
@examples(100)
def test_a_lone_channels_ends_move_no_farther_than_they_must(stretch: Stretch) -> None:
    """To the nearest legal place; where there is none, not at all."""
    required = np.array(stretch.required[0], dtype=bool)
    (use,) = stretch.resolved()
    edges = np.flatnonzero(np.diff(required.astype(np.int8))).tolist()
    expected = required.copy()
    for edge in edges:
        if not stretch.legal(0, required, edge):
            found = shifts(stretch, 0, required, edge)
            if True in found:
                distance = found.index(True) + 1
                low = edge + 1 - distance if required[edge + 1] else edge + 1
                expected[low : low + distance] = True
    # Runs that have met have one end less to move.
    gaps = np.diff(edges)
    if len(edges) <= 2 or (gaps > 2 * MAX_MOVED_FRAMES + 1).all():
        np.testing.assert_array_equal(use, expected)
    else:
        assert (use >= required).all()


@given(stretches())
@examples(100)
def test_what_is_legal_stays_as_it_is(stretch: Stretch) -> None:
    """Resolving the result again changes nothing."""
    use = stretch.resolved()
    legal = all(
        stretch.legal(channel, flags, edge)
        for channel, flags in enumerate(use)
        for edge in np.flatnonzero(np.diff(flags.astype(np.int8))).tolist()
    )
    if legal:
        again = stretch.resolved(use)
        for before, after in zip(use, again, strict=True):
            np.testing.assert_array_equal(after, before)


def one_run(before: Windows, remade: list[Windows], after: Windows) -> Stretch:
    """Frames 4 and 5 of ten are required; every source frame has the same windows."""
    source = [before] * 5 + [after] * 5
    return Stretch(
        [[place in (4, 5) for place in range(10)]],
        [list(source)],
        [[remade[place - 1] if 1 <= place <= 8 else None for place in range(10)]],
        [False] * 10,
    )


@pytest.mark.parametrize(
    ("first", "expected"),
    [(LONG, 4), (START, 4), (SHORT, 3), (STOP, 3)],
)
def test_a_run_begins_where_its_window_follows_the_sources(first: BlockType, expected: int) -> None:
    remade = [QUIET] * 8
    remade[3] = Windows(first, LONG)
    (use,) = one_run(QUIET, remade, QUIET).resolved()
    assert np.flatnonzero(use).tolist() == list(range(expected, 6))


def test_ends_stay_where_no_place_is_legal() -> None:
    (use,) = one_run(QUIET, [Windows(SHORT, SHORT)] * 8, QUIET).resolved()
    assert np.flatnonzero(use).tolist() == [4, 5]


def test_ends_fit_the_frames_beside_the_stretch() -> None:
    """Which may be as near as the farthest that ends may move."""
    every = [place in (3, 4) for place in range(8)]
    short: list[Windows | None] = [Windows(SHORT, SHORT)] * 8
    stretch = Stretch([every], [[QUIET] * 8], [short], [False] * 8, (QUIET, QUIET))
    (use,) = stretch.resolved()
    assert np.flatnonzero(use).tolist() == [3, 4]
    (use,) = replace(stretch, beside=(Windows(LONG, START), None)).resolved()
    assert np.flatnonzero(use).tolist() == list(range(8))


def test_a_missing_frame_fits_anything() -> None:
    """Before the recording, behind it, and in place of a lost one there is silence."""
    stretch = one_run(QUIET, [Windows(SHORT, SHORT)] * 8, QUIET)
    stretch.source[0][3] = stretch.source[0][6] = None
    (use,) = stretch.resolved()
    assert np.flatnonzero(use).tolist() == [4, 5]


@given(st.lists(st.booleans(), min_size=1, max_size=30), st.integers(0, 5))
def test_dilated_flags_are_those_near_a_flag(flags: list[bool], reach: int) -> None:
    got = dilated(np.array(flags, dtype=bool), reach)
    expected = [
        any(flags[max(0, place - reach) : place + reach + 1]) for place in range(len(flags))
    ]
    assert got.tolist() == expected


def test_the_closure_adds_the_other_channel_of_coupled_frames() -> None:
    left, right = np.array([1, 0, 1, 0], dtype=bool), np.array([0, 0, 0, 1], dtype=bool)
    coupled = np.array([1, 1, 0, 0], dtype=bool)
    got = coupled_closure([left, right], coupled)
    assert [flags.astype(int).tolist() for flags in got] == [[1, 0, 1, 0], [1, 0, 0, 1]]
    assert any_of([left, right]).tolist() == [True, False, True, True]


def test_an_end_does_not_cross_frames_out_of_reach_into_the_reach_of_another_run() -> None:
    """Frame 5 is four frames from what is required on either side, of either channel."""
    count = 12
    short = Windows(SHORT, LONG)
    left: list[Windows | None] = [QUIET] * count
    right: list[Windows | None] = [QUIET] * count
    left[5] = right[2] = right[3] = right[4] = short
    stretch = Stretch(
        [[False] * count, [place in (0, 1, 9) for place in range(count)]],
        [left, right],
        [[QUIET] * count, [QUIET] * count],
        [True] * count,
    )
    for flags in stretch.resolved():
        assert not flags[5]
