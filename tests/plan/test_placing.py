# SPDX-License-Identifier: Apache-2.0
"""A recording on the clock of a merge: both ways exact, at its own rate and at another."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioengine.edits import Edits, Span
from audioengine.mp3.header import StreamFormat, Version
from audioengine.plan.placing import PlacedPart, apart
from tests.strategies import examples
from tests.support import index_of

FORMATS = {
    8000: StreamFormat(Version.MPEG_2_5, 2, 2),
    16000: StreamFormat(Version.MPEG_2, 2, 2),
    44100: StreamFormat(Version.MPEG_1, 0, 2),
}
# The recording's and the output's.
RATES = (
    (8000, 8000),
    (16000, 16000),
    (44100, 44100),
    (8000, 16000),
    (8000, 44100),
    (16000, 44100),
)


def placed(
    rates: tuple[int, int],
    trim: Span | None = None,
    *,
    offset: int = 0,
    zero: int = 0,
    tag: tuple[int, int] | None = None,
    masked: tuple[tuple[Span, ...], ...] = ((), ()),
) -> PlacedPart:
    """A recording of two frames on the timeline of an output."""
    index = index_of(FORMATS[rates[0]], [5, 5], delay_and_padding=tag)
    edits = Edits(index.samples, trim or Span(0, index.samples))
    return PlacedPart(index, edits, (), masked, rates[1], offset, zero)


@st.composite
def parts(draw: st.DrawFn, rates: st.SearchStrategy[tuple[int, int]] | None = None) -> PlacedPart:
    """Tagged and untagged, whole and trimmed, from its first sample on or later."""
    both = draw(st.sampled_from(RATES) if rates is None else rates)
    tag = draw(st.sampled_from((None, (576, 600), (47, 529))))
    length = placed(both, tag=tag).index.samples
    start = draw(st.integers(0, length - 1))
    trim = draw(
        st.one_of(
            st.just(Span(0, length)),
            st.just(Span(start, draw(st.integers(start + 1, length)))),
        )
    )
    return placed(
        both,
        trim,
        offset=draw(st.integers(0, 10**10)),
        zero=draw(st.one_of(st.just(0), st.integers(0, length))) if tag is None else 0,
        tag=tag,
    )


own_rates = st.sampled_from([rates for rates in RATES if rates[0] == rates[1]])


@st.composite
def near(draw: st.DrawFn, part: PlacedPart) -> Span:
    """A stretch of the timeline in or around a recording, often one of few samples."""
    most = int(part.index.samples * part.ratio)
    start = part.offset + draw(st.integers(-most - 50, most + 50))
    return Span(start, start + draw(st.one_of(st.integers(0, 12), st.integers(0, 2 * most))))


def place(part: PlacedPart, sample: int) -> Fraction:
    """Where a sample of its clock lies exactly."""
    rate = Fraction(part.rate_hz, part.index.format.rate_hz)
    return part.offset + (sample - part.zero) * rate


def played(part: PlacedPart) -> range:
    """The samples of its clock that the output plays."""
    return range(max(part.edits.trim.start, part.zero), part.edits.trim.end)


@given(parts(), st.integers(-(10**9), 10**9))
def test_a_sample_lies_at_the_nearest_place(part: PlacedPart, sample: int) -> None:
    assert part.resampled == (part.rate_hz != part.index.format.rate_hz)
    away = part.at(sample) - place(part, sample)
    assert Fraction(-1, 2) < away <= Fraction(1, 2)
    assert part.at(part.zero) == part.offset
    if not part.resampled:
        assert away == 0


@given(parts(), st.data())
@examples(60)
def test_the_samples_of_a_stretch_are_those_played_that_lie_in_it(
    part: PlacedPart, data: st.DataObject
) -> None:
    """By their exact places: the nearest one of the last may be the stretch's end."""
    span = data.draw(near(part))
    got = part.samples_of(span)
    expected = [k for k in played(part) if span.start <= place(part, k) < span.end]
    assert list(range(got.start, got.end)) == expected
    assert got.length >= 0


@given(parts(), st.data())
def test_stretches_side_by_side_share_no_sample_and_leave_out_none(
    part: PlacedPart, data: st.DataObject
) -> None:
    span = data.draw(near(part))
    middle = data.draw(st.integers(span.start, span.end))
    pieces = (part.samples_of(Span(span.start, middle)), part.samples_of(Span(middle, span.end)))
    whole = part.samples_of(span)
    assert [k for piece in pieces for k in range(piece.start, piece.end)] == list(
        range(whole.start, whole.end)
    )


@given(parts(), st.data())
def test_times_are_exact_and_lead_back(part: PlacedPart, data: st.DataObject) -> None:
    start = data.draw(st.integers(-3000, 3000))
    span = Span(start, start + data.draw(st.integers(0, 3000)))
    start_time, end_time = part.time_of(span)
    assert (start_time, end_time) == (place(part, span.start), place(part, span.end))
    assert part.samples_around(start_time, end_time) == span


@given(parts(), st.data())
def test_the_samples_around_a_stretch_are_the_fewest_that_cover_it(
    part: PlacedPart, data: st.DataObject
) -> None:
    """Also those that aren't played: a mask may begin before a trim does."""
    fractions = st.fractions(-4000, 9000, max_denominator=441)
    start, end = sorted(part.offset + data.draw(fractions) for _ in range(2))
    around = part.samples_around(start, end)
    assert place(part, around.start) <= start < place(part, around.start + 1)
    assert place(part, around.end - 1) < end <= place(part, around.end)


@given(parts(own_rates))
def test_at_its_own_rate_it_has_audio_where_its_played_samples_lie(part: PlacedPart) -> None:
    audio = part.audio
    assert list(range(audio.start, audio.end)) == [part.at(k) for k in played(part)]
    assert part.samples_of(audio).length == len(played(part))


@given(parts())
def test_it_has_audio_from_its_first_played_sample_to_its_last(part: PlacedPart) -> None:
    """At most half a sample of the timeline from the exact times at either end."""
    samples = played(part)
    if samples:
        assert abs(part.audio.start - place(part, samples.start)) <= Fraction(1, 2)
        assert abs(part.audio.end - place(part, samples.stop)) <= Fraction(1, 2)
    else:
        assert part.audio == Span(part.offset, part.offset)
        assert part.samples_of(Span(part.offset - 9000, part.offset + 9000)).length == 0


@given(parts(own_rates))
def test_raw_samples_lie_around_those_of_its_clock(part: PlacedPart) -> None:
    """The clock's sample 0 is raw sample `index.start`."""
    assert part.raw.length == part.index.raw_samples
    for sample in (0, part.zero, part.index.samples - 1):
        raw = part.index.start + sample
        assert part.raw_zero + raw == part.at(sample)
        assert part.raw.start <= part.at(sample) < part.raw.end


@given(parts(), st.integers(-(10**6), 10**6), st.integers(-(10**6), 10**6), st.data())
def test_moved_it_is_the_same_later(
    part: PlacedPart, by: int, more: int, data: st.DataObject
) -> None:
    span = data.draw(near(part))
    before = part.audio, part.offset, part.moved
    later = part.moved_by(by)
    assert (later.audio.start, later.audio.end) == (part.audio.start + by, part.audio.end + by)
    assert later.samples_of(Span(span.start + by, span.end + by)) == part.samples_of(span)
    assert later.at(17) == part.at(17) + by
    assert (later.moved, later.moved_by(more).moved) == (by, by + more)
    assert later.moved_by(more).offset == part.offset + by + more
    assert (later.index, later.edits, later.zero) == (part.index, part.edits, part.zero)
    assert (part.audio, part.offset, part.moved) == before


@given(parts(), parts())
@examples(50)
def test_two_overlap_where_an_instant_has_audio_of_both(one: PlacedPart, other: PlacedPart) -> None:
    other = other.moved_by(one.offset - other.offset + 400)
    a, b = one.audio, other.audio
    both = set(range(a.start, a.end)) & set(range(b.start, b.end))
    if a.length and b.length:
        assert apart([one, other]) == apart([other, one]) == (not both, not both)
    assert apart([one]) == (True,)


@pytest.mark.parametrize("rates", RATES)
def test_recordings_that_touch_do_not_overlap(rates: tuple[int, int]) -> None:
    first = placed(rates, offset=100)
    behind, before = first.moved_by(first.audio.length), first.moved_by(-first.audio.length)
    assert apart([first, behind, before]) == (True, True, True)
    assert apart([first, behind, before, behind.moved_by(1)]) == (True, False, True, False)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=9))
@examples(100)
def test_each_recording_is_apart_where_it_overlaps_none(places: list[tuple[int, int]]) -> None:
    """However long one is that others lie inside of."""
    parts = [placed((8000, 8000), Span(0, length), offset=offset) for offset, length in places]
    spans = [set(range(offset, offset + length)) for offset, length in places]
    wanted = tuple(
        not any(mine & spans[at] for at in range(len(spans)) if at != number)
        for number, mine in enumerate(spans)
    )
    assert apart(parts) == wanted


def test_masks_lie_on_the_timeline_where_their_samples_do() -> None:
    """Raw samples: those before sample 0 of the clock lie before the start time."""
    tag = (47, 529)  # sample 0 is raw sample 576
    masked = ((Span(576, 676), Span(700, 701)), (Span(500, 580),))
    same = placed((16000, 16000), offset=1000, tag=tag, masked=masked)
    assert same.masked_on_timeline == (
        (Span(1000, 1100), Span(1124, 1125)),
        (Span(924, 1004),),
    )
    double = placed((8000, 16000), offset=1000, tag=tag, masked=masked)
    assert double.masked_on_timeline == (
        (Span(1000, 1200), Span(1248, 1250)),
        (Span(848, 1008),),
    )


def test_an_encoder_delay_stands_before_the_start_time() -> None:
    """What an untagged source holds before its start is not played, trimmed or not."""
    part = placed((8000, 16000), offset=500, zero=105)
    end = 500 + 2 * (2 * 576 - 105)
    assert part.audio == Span(500, end)
    assert part.samples_of(Span(0, 10**6)) == Span(105, 2 * 576)
    assert part.samples_of(Span(0, 500)).length == 0
    assert part.samples_of(Span(501, 505)) == Span(106, 108)
    assert placed((8000, 16000), Span(0, 110), offset=500, zero=105).audio == Span(500, 510)
    assert placed((8000, 16000), Span(0, 90), offset=500, zero=105).audio == Span(500, 500)
