# SPDX-License-Identifier: Apache-2.0
"""Who is heard when, against asking at every position."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from audioengine.edits import Span
from audioengine.plan.conference import (
    ConferenceSpan,
    Hearing,
    Presence,
    silence_around,
    who_is_heard,
)
from tests.strategies import examples

# Few positions, so that borders often meet; both reach outside what is tiled.
spans = st.builds(
    lambda start, length: Span(start, start + length), st.integers(-6, 36), st.integers(0, 24)
)
OPEN = 10**9


@st.composite
def presences(draw: st.DrawFn) -> Presence:
    """A recording whose segments may overlap, touch, repeat, reach outside, and never end."""
    conferences = draw(st.lists(spans, max_size=4))
    repeats, touches, lasts = (draw(st.booleans()) for _ in range(3))
    if conferences and repeats:
        conferences.append(draw(st.sampled_from(conferences)))
    if conferences and touches:
        last = conferences[-1]
        conferences.append(Span(last.end, last.end + draw(st.integers(1, 9))))
    if lasts:
        conferences.append(Span(draw(st.integers(-6, 40)), OPEN))
    return Presence(draw(spans), tuple(draw(st.permutations(conferences))))


wholes = st.one_of(
    st.just(Span(-10, 80)),
    st.builds(
        lambda start, length: Span(start, start + length), st.integers(-8, 20), st.integers(1, 40)
    ),
)


def within(position: int, span: Span) -> bool:
    return span.start <= position < span.end


def oracle(
    recordings: Sequence[Presence], position: int
) -> tuple[tuple[int, ...], tuple[int, ...], int | None]:
    """Of those in a conference here only the first to start is heard; all others are."""
    here = [n for n, one in enumerate(recordings) if within(position, one.audio)]
    confer = [n for n in here if any(within(position, c) for c in recordings[n].conferences)]
    silenced = confer[1:]
    heard = tuple(n for n in here if n not in silenced)
    return heard, tuple(silenced), confer[0] if silenced else None


def said(
    stretches: Sequence[ConferenceSpan],
) -> list[tuple[int, int, tuple[int, ...], tuple[int, ...]]]:
    return [(one.span.start, one.span.end, one.heard, one.silenced) for one in stretches]


@given(st.lists(presences(), max_size=5), wholes)
@examples(200)
def test_at_every_position_those_are_heard_that_the_rule_names(
    recordings: list[Presence], whole: Span
) -> None:
    for stretch in who_is_heard(recordings, whole):
        for position in range(stretch.span.start, stretch.span.end):
            expected = oracle(recordings, position)
            assert (stretch.heard, stretch.silenced, stretch.speaker) == expected, position


@given(st.lists(presences(), max_size=5), wholes)
@examples(100)
def test_stretches_tile_the_whole_and_neighbours_differ(
    recordings: list[Presence], whole: Span
) -> None:
    stretches = who_is_heard(recordings, whole)
    assert (stretches[0].span.start, stretches[-1].span.end) == (whole.start, whole.end)
    assert all(stretch.span.length > 0 for stretch in stretches)
    for before, after in pairwise(stretches):
        assert before.span.end == after.span.start
        assert (before.heard, before.silenced, before.speaker) != (
            after.heard,
            after.silenced,
            after.speaker,
        )


@given(st.lists(presences(), max_size=5), wholes)
@examples(100)
def test_the_speaker_is_heard_and_started_before_all_whom_it_silences(
    recordings: list[Presence], whole: Span
) -> None:
    for stretch in who_is_heard(recordings, whole):
        assert not set(stretch.heard) & set(stretch.silenced)
        assert (stretch.speaker is None) == (not stretch.silenced)
        if stretch.speaker is not None:
            assert stretch.speaker in stretch.heard
            assert stretch.speaker < min(stretch.silenced)


@given(st.lists(presences(), max_size=4), wholes, st.integers(-(10**12), 10**12))
@examples(50)
def test_nothing_depends_on_where_the_clock_begins(
    recordings: list[Presence], whole: Span, by: int
) -> None:
    def later(span: Span) -> Span:
        return Span(span.start + by, span.end + by)

    moved = [Presence(later(one.audio), tuple(map(later, one.conferences))) for one in recordings]
    expected = [
        ConferenceSpan(later(one.span), one.heard, one.silenced, one.speaker)
        for one in who_is_heard(recordings, whole)
    ]
    assert list(who_is_heard(moved, later(whole))) == expected


@given(st.lists(presences(), max_size=5), wholes)
@examples(100)
def test_hearing_says_the_same_by_recording(recordings: list[Presence], whole: Span) -> None:
    hearing = Hearing.of(who_is_heard(recordings, whole), len(recordings))
    for number in range(len(recordings)):
        heard, alone, silenced = (
            {position for span in spans[number] for position in range(span.start, span.end)}
            for spans in (hearing.heard, hearing.alone, hearing.silenced)
        )
        for position in range(whole.start, whole.end):
            here, left_out, _ = oracle(recordings, position)
            assert (position in heard) == (number in here)
            assert (position in alone) == (here == (number,))
            assert (position in silenced) == (number in left_out)
    for spans in (*hearing.heard, *hearing.alone, *hearing.silenced):
        assert all(before.end < after.start for before, after in pairwise(spans))


@given(st.lists(presences(), max_size=5), wholes)
@examples(100)
def test_it_is_silent_around_all_that_is_heard(recordings: list[Presence], whole: Span) -> None:
    silence = silence_around(who_is_heard(recordings, whole))
    for position in range(whole.start, whole.end):
        heard, _, _ = oracle(recordings, position)
        assert any(within(position, span) for span in silence) == (not heard)
    for outside in (-OPEN, whole.start - 1, whole.end, OPEN):
        assert any(within(outside, span) for span in silence)


def test_nobody_is_heard_without_recordings() -> None:
    assert who_is_heard((), Span(3, 9)) == (ConferenceSpan(Span(3, 9), (), (), None),)


def test_the_references_example() -> None:
    """Milliseconds from the first start; all three list the same segment.

    The third recording starts where the conference ends, so that its own segment lies outside it.
    """
    conference = (Span(3161, 9972),)
    recordings = [
        Presence(Span(0, 14_000), conference),
        Presence(Span(3161, 16_000), conference),
        Presence(Span(9972, 20_000), conference),
    ]
    stretches = who_is_heard(recordings, Span(0, 20_000))
    assert said(stretches) == [
        (0, 3161, (0,), ()),
        (3161, 9972, (0,), (1,)),
        (9972, 14_000, (0, 1, 2), ()),
        (14_000, 16_000, (1, 2), ()),
        (16_000, 20_000, (2,), ()),
    ]
    assert [stretch.speaker for stretch in stretches] == [None, 0, None, None, None]


def test_where_the_first_recording_ends_in_the_conference_the_next_takes_over() -> None:
    conference = (Span(20, 80),)
    recordings = [
        Presence(Span(0, 40), conference),
        Presence(Span(10, 60), conference),
        Presence(Span(15, 100), conference),
    ]
    stretches = who_is_heard(recordings, Span(0, 100))
    assert said(stretches) == [
        (0, 10, (0,), ()),
        (10, 15, (0, 1), ()),
        (15, 20, (0, 1, 2), ()),
        (20, 40, (0,), (1, 2)),
        (40, 60, (1,), (2,)),
        (60, 100, (2,), ()),
    ]
    assert [stretch.speaker for stretch in stretches] == [None, None, None, 0, 1, None]


def test_a_conference_is_heard_where_only_one_recording_has_audio() -> None:
    """Its recordings follow one another with a gap; nobody is silenced."""
    conference = (Span(0, 100),)
    recordings = [Presence(Span(0, 30), conference), Presence(Span(50, 100), conference)]
    assert said(who_is_heard(recordings, Span(0, 100))) == [
        (0, 30, (0,), ()),
        (30, 50, (), ()),
        (50, 100, (1,), ()),
    ]


def test_nested_repeated_and_touching_segments_are_as_their_union() -> None:
    audio = Span(0, 100)
    union = Presence(audio, (Span(10, 60),))
    pieces = Presence(
        audio, (Span(40, 60), Span(10, 40), Span(20, 30), Span(25, 26), Span(10, 40), Span(35, 50))
    )
    expected = [(0, 10, (0, 1), ()), (10, 60, (0,), (1,)), (60, 100, (0, 1), ())]
    for recordings in ([union, union], [union, pieces], [pieces, union], [pieces, pieces]):
        assert said(who_is_heard(recordings, audio)) == expected


def test_segments_that_differ_silence_only_where_both_have_one() -> None:
    recordings = [Presence(Span(0, 100), (Span(10, 50),)), Presence(Span(0, 100), (Span(12, 53),))]
    assert said(who_is_heard(recordings, Span(0, 100))) == [
        (0, 12, (0, 1), ()),
        (12, 50, (0,), (1,)),
        (50, 100, (0, 1), ()),
    ]


def test_a_recording_without_segments_is_heard_in_others_conference() -> None:
    """Even the one that started first silences nobody there."""
    conference = (Span(20, OPEN),)
    recordings = [
        Presence(Span(0, 100)),
        Presence(Span(0, 100), conference),
        Presence(Span(0, 100), conference),
    ]
    stretches = who_is_heard(recordings, Span(0, 100))
    assert said(stretches) == [(0, 20, (0, 1, 2), ()), (20, 100, (0, 1), (2,))]
    assert stretches[1].speaker == 1


def test_another_speaker_divides_a_stretch_in_which_the_same_are_heard() -> None:
    """The first recording's segment ends as the second's begins, while a third is silenced."""
    audio = Span(0, 60)
    recordings = [
        Presence(audio, (Span(0, 30),)),
        Presence(audio, (Span(30, 60),)),
        Presence(audio, (Span(0, 60),)),
    ]
    stretches = who_is_heard(recordings, audio)
    assert said(stretches) == [(0, 30, (0, 1), (2,)), (30, 60, (0, 1), (2,))]
    assert [stretch.speaker for stretch in stretches] == [0, 1]
