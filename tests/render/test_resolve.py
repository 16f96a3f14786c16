# SPDX-License-Identifier: Apache-2.0
"""Which coding each frame of a run takes: legal always, and the cheapest that is."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioengine.mp3.legal_windows import LEGAL_SUCCESSIONS
from audioengine.mp3.side_info import BlockType
from audioengine.render.resolve import (
    LONG_WINDOWS,
    FrameWindows,
    Pick,
    legal,
    legal_picks,
    natural_picks,
)
from tests.strategies import examples

LONG, START, SHORT, STOP = BlockType
SOURCE, NATURAL, REMADE_LONG = Pick
QUIET = FrameWindows(LONG, LONG)
ATTACK = FrameWindows(SHORT, SHORT)

windows = st.builds(FrameWindows, st.sampled_from(BlockType), st.sampled_from(BlockType))
beside = st.one_of(st.none(), windows)


def shown(
    picks: Sequence[Pick], source: Sequence[FrameWindows | None], natural: Sequence[FrameWindows]
) -> list[FrameWindows]:
    """The windows that picks amount to."""
    out = []
    for pick, kept, made in zip(picks, source, natural, strict=True):
        found = {SOURCE: kept, NATURAL: made, REMADE_LONG: LONG_WINDOWS}[pick]
        assert found is not None
        out.append(found)
    return out


def is_legal(
    picks: Sequence[Pick],
    source: Sequence[FrameWindows | None],
    natural: Sequence[FrameWindows],
    before: FrameWindows | None,
    after: FrameWindows | None,
) -> bool:
    """Whether all follow one another, but for what the source itself has."""
    kinds = [SOURCE, *picks, SOURCE]
    every = [before, *shown(picks, source, natural), after]
    return all(
        one is None
        or other is None
        or kinds[place] is kinds[place + 1] is SOURCE
        or (one.last, other.first) in LEGAL_SUCCESSIONS
        for place, (one, other) in enumerate(pairwise(every))
    )


def cost(picks: Sequence[Pick]) -> int:
    """As if one frame with long windows were worth four with the encoder's own."""
    return sum((0, 1, 4)[pick] for pick in picks)


@st.composite
def runs(draw: st.DrawFn) -> tuple[list[FrameWindows | None], list[FrameWindows]]:
    natural = draw(st.lists(windows, min_size=1, max_size=5))
    source = draw(st.lists(beside, min_size=len(natural), max_size=len(natural)))
    return source, natural


@given(runs(), beside, beside)
@examples(400)
def test_picks_are_the_cheapest_legal_ones(
    run: tuple[list[FrameWindows | None], list[FrameWindows]],
    before: FrameWindows | None,
    after: FrameWindows | None,
) -> None:
    source, natural = run
    picks = legal_picks(source, natural, before, after)
    every = [
        choice
        for choice in product(*((list(Pick) if kept else list(Pick)[1:]) for kept in source))
        if is_legal(choice, source, natural, before, after)
    ]
    if picks is None:
        assert not every
        return
    assert is_legal(picks, source, natural, before, after)
    assert cost(picks) == min(map(cost, every))


@given(runs(), st.sampled_from((None, QUIET)), st.sampled_from((None, QUIET)))
@examples(100)
def test_between_long_slopes_there_is_always_a_way(
    run: tuple[list[FrameWindows | None], list[FrameWindows]],
    before: FrameWindows | None,
    after: FrameWindows | None,
) -> None:
    """Whatever the encoder chose and the source has."""
    source, natural = run
    assert legal_picks(source, natural, before, after) is not None


def test_what_fits_as_the_encoder_made_it_stays() -> None:
    natural = [FrameWindows(LONG, START), ATTACK, FrameWindows(STOP, LONG)]
    assert legal_picks([None] * 3, natural, QUIET, QUIET) == [NATURAL] * 3
    assert legal_picks([None], [ATTACK], FrameWindows(START, START), ATTACK) == [NATURAL]


def test_an_attack_that_fits_nothing_gets_long_windows() -> None:
    assert legal_picks([None], [ATTACK], QUIET, QUIET) == [REMADE_LONG]
    natural = [ATTACK, FrameWindows(STOP, LONG), QUIET]
    assert legal_picks([None] * 3, natural, QUIET, QUIET) == [REMADE_LONG, REMADE_LONG, NATURAL]


def test_a_border_is_copied_where_windows_fit_behind_it() -> None:
    """And re-made where they don't."""
    border = FrameWindows(START, START)
    assert legal_picks([border, None], [QUIET, ATTACK], QUIET, None) == [SOURCE, NATURAL]
    assert legal_picks([border, None], [QUIET, QUIET], QUIET, None) == [NATURAL, NATURAL]


@pytest.mark.parametrize("last", BlockType)
@pytest.mark.parametrize("first", BlockType)
def test_windows_are_alike_where_the_same_may_stand_beside_them(
    first: BlockType, last: BlockType
) -> None:
    one = FrameWindows(first, last)
    assert one.fits_long == (legal(QUIET, one) and legal(one, QUIET))
    for other in (FrameWindows(a, b) for a in BlockType for b in BlockType):
        same = all(
            legal(near, one) == legal(near, other) and legal(one, near) == legal(other, near)
            for near in (FrameWindows(block, block) for block in BlockType)
        )
        assert one.like(other) == same


@st.composite
def chains(draw: st.DrawFn) -> list[FrameWindows]:
    """Frames of two granules whose windows follow one another."""
    types = [draw(st.sampled_from(BlockType))]
    for _ in range(2 * draw(st.integers(1, 12)) - 1):
        types.append(draw(st.sampled_from([b for a, b in LEGAL_SUCCESSIONS if a == types[-1]])))
    return [FrameWindows(*pair) for pair in zip(types[::2], types[1::2], strict=True)]


long_before = st.sampled_from([None, LONG_WINDOWS, FrameWindows(SHORT, STOP)])
long_after = st.sampled_from([None, LONG_WINDOWS, FrameWindows(START, SHORT)])


@given(chains(), long_before, long_after)
@examples(200)
def test_only_the_ends_of_what_must_be_made_matter(
    natural: list[FrameWindows], before: FrameWindows | None, after: FrameWindows | None
) -> None:
    asked = set()

    def look(place: int) -> FrameWindows:
        asked.add(place)
        return natural[place]

    picks = natural_picks(look, len(natural), before, after)
    assert picks == legal_picks([None] * len(natural), natural, before, after)
    assert picks
    if picks[0] is picks[-1] is NATURAL:
        assert asked <= {0, len(natural) - 1}
