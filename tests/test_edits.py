# SPDX-License-Identifier: Apache-2.0
"""A request is placed on a recording's clock exactly, or refused with every reason."""

from __future__ import annotations

import dataclasses
import math
import pickle
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioengine.edits import (
    AppliedMask,
    Beep,
    Edits,
    Interval,
    Modification,
    Party,
    Span,
    join,
    resolve,
    time_problems,
    touching,
)
from audioengine.errors import InvalidRequestError, Problem

RATE = 8000
SAMPLES = 60 * RATE
EPOCH = 1561988732565

rates = st.sampled_from((8000, 11025, 16000, 22050, 44100, 48000))
spans = st.builds(
    lambda start, length: Span(start, start + length), st.integers(0, 300), st.integers(1, 40)
)
# As far beyond the minute as the tolerance lets.
times = st.integers(0, 65_000).map(lambda ms: Decimal(ms) / 1000)


def place(modification: Modification, **recording: Any) -> Edits:
    """Resolve for a tagged minute at 8 kHz, unless told otherwise."""
    return resolve(modification, **{"rate_hz": RATE, "samples": SAMPLES, **recording})


def refusals(modification: Modification, **recording: Any) -> dict[str, Problem]:
    with pytest.raises(InvalidRequestError) as caught:
        place(modification, **recording)
    by_path = {problem.path: problem for problem in caught.value.problems}
    assert len(by_path) == len(caught.value.problems)
    return by_path


def test_nothing_asked_is_the_identity() -> None:
    """No edit, or a trim to what is there, leaves a plain copy to do."""
    assert place(Modification()) == Edits(SAMPLES, Span(0, SAMPLES))
    assert place(Modification()).is_identity
    assert place(Modification(trim=Interval(0, 60))).is_identity
    assert place(Modification(trim=Interval(None, None), mask={"caller": []})).is_identity
    assert place(Modification(absolute_times=True)).is_identity
    assert resolve(Modification(), rate_hz=RATE, samples=0).is_identity


def test_any_edit_is_not_the_identity() -> None:
    """A sample less, or one mask, is a change."""
    one_less = Modification(trim=Interval(0, Decimal(SAMPLES - 1) / RATE))
    assert not place(one_less).is_identity
    assert not place(Modification(mask={"callee": [Interval(1, 2)]})).is_identity


@given(times, times, rates)
def test_trim_is_exact(start: Decimal, end: Decimal, rate_hz: int) -> None:
    """The length is floor(to·rate + 1/2) - floor(from·rate + 1/2) of the clipped bounds."""
    samples = 60 * rate_hz
    half, length = Fraction(1, 2), Fraction(samples)
    expected = Span(
        math.floor(min(Fraction(start) * rate_hz, length) + half),
        math.floor(min(Fraction(end) * rate_hz, length) + half),
    )
    modification = Modification(trim=Interval(start, end))
    if expected.length < 1:
        with pytest.raises(InvalidRequestError):
            resolve(modification, rate_hz=rate_hz, samples=samples)
        return
    edits = resolve(modification, rate_hz=rate_hz, samples=samples)
    assert edits.trim == expected
    assert edits.trim_asked is not None
    assert edits.trim_asked.clipped(Span(0, samples)) == expected


@given(
    times,
    st.integers(1, 5000),
    rates,
    st.tuples(st.integers(0, 200), st.integers(0, 200)),
    st.sampled_from(("caller", "callee", "both")),
)
def test_masks_cover_what_was_asked(
    start: Decimal, length_ms: int, rate_hz: int, guard: tuple[int, int], party: str
) -> None:
    """Asked is the smallest cover; applied adds the guard and stays inside the recording."""
    samples = 60 * rate_hz
    end = start + Decimal(length_ms) / 1000
    modification = Modification(mask={party: [Interval(start, end)]}, guard_ms=guard)
    if start >= 60:
        with pytest.raises(InvalidRequestError):
            resolve(modification, rate_hz=rate_hz, samples=samples)
        return
    edits = resolve(modification, rate_hz=rate_hz, samples=samples)
    (mask,) = edits.masks
    first, last = Fraction(start) * rate_hz, Fraction(end) * rate_hz
    assert mask.asked == Span(math.floor(first), math.ceil(last))
    before, after = (Fraction(ms * rate_hz, 1000) for ms in guard)
    assert mask.applied == Span(
        max(0, math.floor(first - before)), min(samples, math.ceil(last + after))
    )
    assert edits.spans("caller") == ((mask.applied,) if party != "callee" else ())
    assert edits.spans("callee") == ((mask.applied,) if party != "caller" else ())


@given(st.lists(spans))
def test_join_keeps_the_samples(parts: list[Span]) -> None:
    """The same samples, sorted, and no two spans overlap or touch."""
    joined = join(parts)
    assert {k for s in joined for k in range(s.start, s.end)} == {
        k for s in parts for k in range(s.start, s.end)
    }
    assert all(a.end < b.start for a, b in pairwise(joined))
    assert join(joined) == joined
    assert join(reversed(parts)) == joined


@given(st.lists(spans, max_size=8), spans)
def test_those_that_touch_a_window_are_found_among_all(parts: list[Span], window: Span) -> None:
    joined = join(parts)
    found = [s for s in joined if s.start <= window.end and s.end >= window.start]
    assert list(touching(joined, window)) == found


@given(spans, spans)
def test_clipping(span: Span, bounds: Span) -> None:
    """Clipping keeps exactly the common samples, and a second time changes nothing."""
    clipped = span.clipped(bounds)
    common = set(range(span.start, span.end)) & set(range(bounds.start, bounds.end))
    assert set(range(clipped.start, clipped.end)) == common
    assert clipped.length == len(common)
    assert bounds.start <= clipped.start <= clipped.end <= bounds.end
    assert clipped.clipped(bounds) == clipped


@given(st.lists(st.tuples(st.sampled_from(("caller", "callee", "both")), spans)))
def test_spans_of_a_party(masks: list[tuple[Any, Span]]) -> None:
    """A party's spans are its own masks and those of both."""
    edits = Edits(400, Span(0, 400), masks=tuple(AppliedMask(p, s, s) for p, s in masks))
    parties: tuple[Party, ...] = ("caller", "callee")
    for party in parties:
        assert edits.spans(party) == join(s for p, s in masks if p in (party, "both"))


def test_masks_keep_the_order_of_the_request() -> None:
    """Entry k of a party in the request is entry k of that party in the result."""
    edits = place(
        Modification(
            mask={"both": [Interval(30, 31)], "caller": [Interval(12.5, 15), Interval(1, 2)]}
        )
    )
    assert [(m.party, m.asked) for m in edits.masks] == [
        ("caller", Span(100_000, 120_000)),
        ("caller", Span(8000, 16_000)),
        ("both", Span(240_000, 248_000)),
    ]


def test_milliseconds_of_the_rest_dialect() -> None:
    """The same edit in milliseconds is the same edit."""
    seconds = Modification(trim=Interval(1.5, 20), mask={"both": [Interval(3, 4.25)]})
    ms = Modification(
        trim=Interval(1500, 20_000), mask={"both": [Interval(3000, 4250)]}, relative_unit="ms"
    )
    assert place(ms) == place(seconds)


def test_absolute_times_count_from_the_start_time() -> None:
    """Epoch milliseconds, less the recording's start, are the position."""
    modification = Modification(
        trim=Interval(EPOCH, EPOCH + 6000),
        mask={"caller": [Interval(EPOCH + 1000, EPOCH + 2000.5)]},
        absolute_times=True,
    )
    edits = place(modification, start_time_ms=EPOCH - 500)
    assert edits.trim == Span(4000, 52_000)
    assert edits.masks[0].asked == Span(12_000, 20_004)
    assert edits.warnings == ()


def test_absolute_times_on_an_untagged_source() -> None:
    """Sample `encoder_delay` is at the start, and the 1105 case is spelt out."""
    modification = Modification(trim=Interval(EPOCH + 1000, None), absolute_times=True)
    plain = place(modification, start_time_ms=EPOCH, tagged=False)
    late = place(modification, start_time_ms=EPOCH, tagged=False, encoder_delay=1105)
    assert plain.trim.start == 8000
    assert late.trim.start == 9105
    for edits in (plain, late):
        (notice,) = edits.warnings
        assert notice.code == "untagged_absolute_times"
        assert "1105 samples (138.125 ms)" in notice.message


def test_relative_times_ignore_the_encoder_delay() -> None:
    """Relative times count what players play, tag or not."""
    modification = Modification(trim=Interval(1, 2))
    edits = place(modification, tagged=False, encoder_delay=1105)
    assert edits.trim == Span(8000, 16_000)
    assert edits.warnings == ()


def test_partly_outside_is_clipped_and_both_are_shown() -> None:
    """What was asked is kept beside what applies."""
    modification = Modification(
        trim=Interval(50, 3600),
        mask={"callee": [Interval(59, 61)]},
        guard_ms=10,
        clip_tolerance_s=3540,
    )
    edits = place(modification)
    assert (edits.trim, edits.trim_asked) == (Span(400_000, SAMPLES), Span(400_000, 28_800_000))
    assert [one.code for one in edits.warnings] == ["trim_clipped", "mask_clipped"]
    assert "asked 59 to 61 s, applied 59 to 60 s" in edits.warnings[1].message
    assert edits.masks[0].asked == Span(472_000, 488_000)
    assert edits.masks[0].applied == Span(471_920, SAMPLES)


def test_absolute_interval_that_begins_before_the_recording() -> None:
    """Unlike a negative relative time it is partly outside, so clipped."""
    modification = Modification(
        trim=Interval(EPOCH - 1000, EPOCH + 1000),
        mask={"caller": [Interval(EPOCH - 1, EPOCH + 99)]},
        absolute_times=True,
    )
    edits = place(modification, start_time_ms=EPOCH)
    assert (edits.trim, edits.trim_asked) == (Span(0, 8000), Span(-8000, 8000))
    assert edits.masks[0] == AppliedMask("caller", Span(-8, 792), Span(0, 792))


def test_mask_outside_the_trim_is_fine() -> None:
    """It has nothing to do, and the trim does the rest."""
    edits = place(Modification(trim=Interval(10, 20), mask={"caller": [Interval(30, 31)]}))
    assert edits.masks[0].applied == Span(240_000, 248_000)
    assert edits.trim == Span(80_000, 160_000)


@pytest.mark.parametrize(("length_ms", "warned"), [(49, True), (50, False), (5000, False)])
def test_short_mask_is_warned_of(length_ms: int, warned: bool) -> None:
    """Under 50 ms, guard not counted."""
    interval = Interval(1, 1 + Fraction(length_ms, 1000))  # type: ignore[arg-type]
    edits = place(Modification(mask={"caller": [interval]}, guard_ms=100))
    assert [notice.code for notice in edits.warnings] == ["short_mask"] * warned
    assert all("mask.caller[0]" in notice.message for notice in edits.warnings)


def test_guard_before_and_after() -> None:
    """A pair widens each side by its own."""
    modification = Modification(mask={"caller": [Interval(1, 2)]}, guard_ms=(10, 40.1))
    assert place(modification).masks[0].applied == Span(7920, 16_321)


def test_one_sample() -> None:
    """The shortest edits there are."""
    one = Interval(Decimal(1) / RATE, Decimal(2) / RATE)
    assert place(Modification(trim=one)).trim == Span(1, 2)
    assert place(Modification(mask={"both": [one]})).masks[0].applied == Span(1, 2)


@pytest.mark.parametrize(
    ("interval", "path"),
    [
        (Interval(5, 5), "to"),
        (Interval(6, 5), "to"),
        (Interval(-1, 5), "from"),
        (Interval(-0.001, 5), "from"),
        (Interval(math.nan, 5), "from"),
        (Interval(1, math.inf), "to"),
        (Interval(False, 5), "from"),
        (Interval("1", 5), "from"),  # type: ignore[arg-type]
        (Interval(1, EPOCH), "to"),
        (Interval(10**9, 10**9 + 1), "from"),
        (Interval(60, 61), "from"),
        (Interval(61, 62), "from"),
        (Interval(1, 1.00001), ""),
    ],
)
@pytest.mark.parametrize("field", ["trim", "mask.caller[0]", "mask.both[0]"])
def test_refused_interval(interval: Interval, path: str, field: str) -> None:
    """Each refusal names the field and the value."""
    if field == "trim":
        modification = Modification(trim=interval)
    else:
        modification = Modification(mask={field[5:-3]: [interval]})
    problems = refusals(modification)
    problem = problems[f"{field}.{path}".rstrip(".")]
    given = {"from": interval.start, "to": interval.end}.get(path, "1 to 1.00001")
    assert repr(problem.value) == repr(given)


def test_epoch_too_old_for_the_rest_dialect() -> None:
    """In milliseconds too, an epoch given as a relative time is told apart."""
    modification = Modification(trim=Interval(0, EPOCH), relative_unit="ms")
    assert "less than 1000000000000 ms" in refusals(modification)["trim.to"].rule


def test_relative_values_with_absolute_times() -> None:
    """Seconds are no epoch."""
    modification = Modification(
        trim=Interval(10, EPOCH), mask={"callee": [Interval(0, 5)]}, absolute_times=True
    )
    problems = refusals(modification, start_time_ms=EPOCH)
    assert problems.keys() == {"trim.from", "mask.callee[0].from", "mask.callee[0].to"}


def test_absolute_times_need_a_start() -> None:
    """Without one, or with one that is no epoch, nothing can be placed."""
    modification = Modification(trim=Interval(EPOCH, EPOCH + 1000), absolute_times=True)
    assert refusals(modification).keys() == {"absoluteTimes"}
    assert refusals(modification, start_time_ms=1561988732).keys() == {"start_time_ms"}
    assert refusals(modification, start_time_ms=math.nan).keys() == {"start_time_ms"}


def test_absolute_interval_wholly_outside() -> None:
    """The allowed range is told in the request's own unit."""
    before = Interval(EPOCH - 2000, EPOCH)
    after = Interval(EPOCH + 60_000, EPOCH + 61_000)
    modification = Modification(mask={"caller": [before, after]}, absolute_times=True)
    problems = refusals(modification, start_time_ms=EPOCH)
    assert problems.keys() == {"mask.caller[0].to", "mask.caller[1].from"}
    for problem in problems.values():
        assert f"{EPOCH} to {EPOCH + 60_000} epoch ms" in problem.rule


def test_a_guard_does_not_save_a_mask_outside() -> None:
    """A mask that hits nothing means that the clock is wrong."""
    modification = Modification(mask={"caller": [Interval(60.1, 61)]}, guard_ms=1000)
    problem = refusals(modification)["mask.caller[0].from"]
    assert "0 to 60 s" in problem.rule


def test_a_mask_may_be_open_at_one_end() -> None:
    """It is masked from the recording's start, or to its end; never all by mistake."""
    modification = Modification(mask={"caller": [Interval(None, 5), Interval(5, None)]})
    edits = place(modification)
    assert [mask.applied for mask in edits.masks] == [Span(0, 40_000), Span(40_000, SAMPLES)]
    assert [mask.asked for mask in edits.masks] == [mask.applied for mask in edits.masks]
    assert not edits.warnings
    nothing = Modification(mask={"caller": [Interval(None, None)]})
    assert refusals(nothing).keys() == {"mask.caller[0]"}
    late = Modification(mask={"caller": [Interval(60, None)], "callee": [Interval(None, 0)]})
    assert refusals(late).keys() == {"mask.caller[0].from", "mask.callee[0].to"}
    bounds = [Interval(None, EPOCH + 5000), Interval(EPOCH + 5000, None)]
    absolute = Modification(mask={"caller": bounds}, absolute_times=True)
    for start in (EPOCH, EPOCH + 4000, EPOCH - 50_000):
        applied = [mask.applied for mask in place(absolute, start_time_ms=start).masks]
        assert join(applied) == (Span(0, SAMPLES),)
        assert applied[0].end == applied[1].start == (EPOCH + 5000 - start) * 8


def test_open_trim() -> None:
    """A missing bound is the recording's own."""
    assert place(Modification(trim=Interval(10, None))).trim == Span(80_000, SAMPLES)
    assert place(Modification(trim=Interval(None, 10))).trim == Span(0, 80_000)
    assert refusals(Modification(trim=Interval(None, 0))).keys() == {"trim.to"}
    assert refusals(Modification(trim=Interval(60, None))).keys() == {"trim.from"}


@pytest.mark.parametrize("guard", [-1, (0, -1), math.nan, "5", (1, 2, 3), (1,), (), True])
def test_refused_guard(guard: Any) -> None:
    """A guard is one or two finite numbers, at least 0."""
    assert refusals(Modification(guard_ms=guard)).keys() == {"guard_ms"}


def test_all_problems_at_once() -> None:
    """Every wrong field is in the one error, and its message names them all."""
    modification = Modification(
        trim=Interval(5, 1),
        mask={"caller": [Interval(1, 2), Interval(-1, 99)], "both": [Interval(70, 80)]},
        guard_ms=-5,
    )
    problems = refusals(modification)
    assert problems.keys() == {"guard_ms", "trim.to", "mask.caller[1].from", "mask.both[0].from"}
    with pytest.raises(ValueError, match=r"guard_ms.*trim\.to.*caller\[1\].*both\[0\]"):
        place(modification)


def test_origin_names_the_interval() -> None:
    """A shell may say where it read an interval; equality does not depend on it."""
    interval = Interval(-1, 2, origin="--mask 3")
    assert interval == Interval(-1, 2)
    assert refusals(Modification(mask={"both": [interval]})).keys() == {"--mask 3.from"}


def test_modification_is_a_value() -> None:
    """Frozen, equal by content, hashable, picklable, apart from the caller's own containers."""
    intervals = [Interval(1, 2)]
    modification = Modification(mask={"caller": intervals})
    intervals.append(Interval(3, 4))
    assert modification == Modification(mask={"caller": (Interval(1, 2),)})
    assert hash(modification) == hash(Modification(mask={"caller": [Interval(1, 2)]}))
    assert pickle.loads(pickle.dumps(modification)) == modification
    with pytest.raises(dataclasses.FrozenInstanceError):
        modification.trim = None  # type: ignore[misc]


def test_modification_of_wrong_types() -> None:
    """All wrong fields are named when it is made."""
    wrong: dict[str, Any] = {
        "trim": (1, 2),
        "mask": {"left": [], "caller": [(1, 2)]},
        "absolute_times": "false",
        "relative_unit": "h",
    }
    with pytest.raises(InvalidRequestError) as caught:
        Modification(**wrong)
    assert {problem.path for problem in caught.value.problems} == {
        "trim",
        "mask.left",
        "mask.caller[0]",
        "absoluteTimes",
        "relative_unit",
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"frequency_hz": 199},
        {"frequency_hz": 3000.5},
        {"frequency_hz": math.nan},
        {"frequency_hz": "1000"},
        {"level_dbfs": -60.1},
        {"level_dbfs": 0},
        {"level_dbfs": True},
        {"fill": "noise"},
    ],
)
def test_refused_beep(wrong: dict[str, Any]) -> None:
    """A beep out of range can't be made."""
    with pytest.raises(InvalidRequestError) as caught:
        Beep(**wrong)
    assert [p.path for p in caught.value.problems] == [f"beep.{name}" for name in wrong]


def test_beep_against_the_rate() -> None:
    """The frequency stays below 0.35 of the rate: 2800 Hz at 8 kHz."""
    Beep(frequency_hz=2799.9).check_rate(8000)
    Beep(frequency_hz=3000).check_rate(11025)
    Beep(frequency_hz=3000, fill="silence").check_rate(8000)
    with pytest.raises(InvalidRequestError, match="below 2800 Hz"):
        Beep(frequency_hz=2800).check_rate(8000)


def test_times_that_no_recording_can_honour() -> None:
    """They are told without one, and what depends on it is not."""
    asked = Modification(
        trim=Interval(5, 3),
        mask={"caller": [Interval(1, 2), Interval(-1, 1)], "both": [Interval(None, None)]},
    )
    assert [one.path for one in time_problems(asked)] == [
        "trim.to",
        "mask.caller[1].from",
        "mask.both[0]",
    ]
    epoch = Modification(trim=Interval(1_680_179_455_424, 5), absolute_times=True)
    assert [one.path for one in time_problems(epoch)] == ["trim.to"]
    assert not time_problems(Modification(trim=Interval(10**6, 10**7)))
