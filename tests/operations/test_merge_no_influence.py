# SPDX-License-Identifier: Apache-2.0
"""What a merge silences, masks or trims away has no influence on the output.

As in `test_no_influence.py`, sources that differ only in frames of which nothing is heard must
give the same bytes.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.operations.helpers import Cut, recording
from tests.operations.merging import conversation, merge
from tests.operations.test_no_influence import changed, exchanged, found_in, strings_of
from tests.operations.timelines import Part, Timeline, part, timeline
from tests.strategies import examples

ALONE = ("nores-8k", "nores-16k", "nores-vbr-16k")


def unheard_frames(model: Timeline, number: int) -> list[int]:
    """The frames of a recording of whose whole support nothing is heard."""
    one = model.parts[number]
    source = one.source
    heard = np.zeros(source.start + source.samples + source.ext + source.spf, dtype=bool)
    clock = np.arange(*one.played)
    places = model.sample(one.start_ms) + np.floor(
        (clock - one.delay) * float(model.ratio(number))
    ).astype(int)
    # Of a resampled recording, a sample between two of the output counts as both.
    inside = model.heard[number]
    last = len(inside) - 1
    heard[source.start + clock] = (
        inside[np.minimum(places, last)] | inside[np.minimum(places + 1, last)]
    )
    if one.cut is not None:
        for start, end in one.cut.both:
            heard[source.start + start : source.start + end] = False
    return [
        frame
        for frame in range(len(source.frames))
        if not heard[frame * source.spf : frame * source.spf + source.ext].any()
    ]


def assert_no_influence(parts: tuple[Part, ...], number: int, seed: int, **options: object) -> int:
    """With other data where this one is not heard, the output has the same bytes."""
    model = timeline(parts)
    frames = unheard_frames(model, number)
    one = model.parts[number]
    other = replace(one, source=exchanged(one.source, frames, seed))
    assert changed(one.source, other.source) >= len(frames) // 3
    others = [other if part is one else part for part in parts]
    assert merge(*parts, **options).data == merge(*others, **options).data
    return len(frames)


@st.composite
def conferences(draw: st.DrawFn) -> tuple[Part, ...]:
    """Two or three recordings of which some are silenced somewhere, or edited."""
    names = draw(st.permutations(ALONE))[: draw(st.integers(2, 3))]
    parts = []
    for name in names:
        start = draw(st.one_of(st.integers(0, 4000), st.integers(0, 60).map(lambda n: 72 * n)))
        begins = draw(st.integers(0, 6000))
        ends = draw(st.one_of(st.none(), st.integers(begins + 1000, 12_000)))
        cut = None
        if draw(st.booleans()):
            source = recording(name)
            low, high = sorted(draw(st.integers(0, 8)) * source.samples // 8 for _ in range(2))
            if high - low >= 4 * source.ext:
                cut = draw(st.sampled_from((Cut((low, high)), Cut(both=((low, high),)))))
        parts.append(Part(recording(name), start, ((begins, ends),), cut=cut))
    return tuple(parts)


@given(conferences(), st.integers(0, 2), st.integers(0, 99), st.data())
@examples(20)
def test_what_is_not_heard_has_no_influence(
    parts: tuple[Part, ...], number: int, seed: int, data: st.DataObject
) -> None:
    """Silenced, masked or trimmed; copied, off the grid, or resampled."""
    assume(number < len(parts))
    frames = unheard_frames(timeline(parts), number)
    assume(len(frames) > 3)
    render = data.draw(st.sampled_from(("smart", "smart", "full")))
    align = data.draw(st.sampled_from(("sample", "frame")))
    if align == "frame":
        # A recording that moves shows other samples at the ends of what is heard.
        assume(len(parts) == 2)
        spans = [timeline(parts).audio(number) for number in (0, 1)]
        assume(spans[1][0] < spans[0][1])
    assert_no_influence(parts, number, seed, render=render, align=align)


@pytest.mark.parametrize("render", ["smart", "full"])
@pytest.mark.parametrize(
    ("name", "other", "start_ms"),
    [
        ("nores-8k", "stereo-8k", 1440),  # on the grid
        ("nores-8k", "telephone-8k", 1441),
        ("nores-8k", "midside-16k", 1440),  # resampled
        ("nores-16k", "midside-16k", 1001),
        ("nores-vbr-16k", "nores-16k", 1440),
    ],
)
def test_what_leaves_the_conference_to_another_has_no_influence(
    name: str, other: str, start_ms: int, render: str
) -> None:
    """It is heard before its segment and after it."""
    parts = part(other, 0, (0, 5000)), part(name, start_ms, (2500, None))
    assert assert_no_influence(parts, 1, 3, render=render) > 20


@pytest.mark.parametrize("render", ["smart", "full"])
@pytest.mark.parametrize(
    "cut",
    [
        Cut((16_000, 40_000)),
        Cut(both=((12_000, 30_000),)),
        Cut((4000, 44_000), both=((0, 30_000),)),
    ],
    ids=["trim", "mask", "both"],
)
@pytest.mark.parametrize("other", ["telephone-8k", "crc-16k"])
def test_what_a_part_s_edits_remove_has_no_influence(other: str, cut: Cut, render: str) -> None:
    """Alone and mixed."""
    parts = Part(recording("nores-8k"), 0, cut=cut), part(other, 3001)
    assert assert_no_influence(parts, 0, 5, render=render) > 15


def test_the_exchange_is_heard_where_nothing_silences_it() -> None:
    """The same pair without segments differs, so the others could have."""
    parts = part("stereo-8k", 0, (0, 5000)), part("nores-8k", 1440, (2500, None))
    frames = unheard_frames(timeline(parts), 1)
    other = replace(parts[1], source=exchanged(parts[1].source, frames, 3))
    without = [replace(one, segments=()) for one in (*parts, other)]
    assert merge(without[0], without[1]).data != merge(without[0], without[2]).data


@pytest.mark.parametrize("render", ["smart", "full"])
@pytest.mark.parametrize("name", ["mpeg25-8k-32k", "vbr-8k"])
def test_no_coded_data_of_what_is_silenced_is_left(name: str, render: str) -> None:
    """Not in the reservoir either, at any bit shift; on the other's grid."""
    # The fixtures hold the same sentences, some of them bit for bit.
    parts = Part(conversation(1, 6.0), 0, ((0, 5500),)), part(name, 1440, (1500, 5500))
    model = timeline(parts)
    source = parts[1].source
    frames = unheard_frames(model, 1)
    assert len(frames) > 40
    strings = strings_of([
        digits
        for frame in frames
        for channel in source.sounds[frame].channels
        for digits in channel.data
    ])  # fmt: skip
    assert len(strings) > 2000
    assert found_in(source.data, strings) > len(strings) // 4
    assert not found_in(merge(*parts, render=render).data, strings)
