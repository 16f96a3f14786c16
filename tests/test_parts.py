# SPDX-License-Identifier: Apache-2.0
"""What a merge is asked for is put in order, or refused with all that is wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import audioengine as ae
from audioengine.errors import InvalidRequestError, Problem
from audioengine.parts import timed

EPOCH = 1_728_890_677_283

epochs = st.one_of(
    st.integers(EPOCH, EPOCH + 3),  # ties
    st.integers(10**11 + 1, 10**14 - 1),
    st.floats(10**11 + 1, 10**14 - 1),
    st.decimals(10**11 + 1, 10**14 - 1, places=3),
)


def part(source: Any = b"a", start: Any = EPOCH, **more: Any) -> ae.MergePart:
    return ae.MergePart(source, start, **more)


def segment(start: Any = EPOCH, end: Any = None, **more: Any) -> ae.ConferenceSegment:
    return ae.ConferenceSegment(start, end, **more)


def problems(parts: Sequence[Any]) -> tuple[Problem, ...]:
    with pytest.raises(InvalidRequestError) as caught:
        timed(parts)
    assert isinstance(caught.value, ValueError)
    for problem in caught.value.problems:
        assert str(problem) in str(caught.value)
    return caught.value.problems


def paths(parts: Sequence[Any]) -> list[str]:
    return [problem.path for problem in problems(parts)]


@given(st.lists(epochs, min_size=1, max_size=8))
def test_parts_are_in_order_of_start_and_those_that_tie_in_that_of_the_request(
    starts: list[int | float | Decimal],
) -> None:
    """A float stands for its shortest decimal, as everywhere."""
    parts = [part(bytes([number]), start) for number, start in enumerate(starts)]
    exact = [Fraction(repr(x)) if isinstance(x, float) else Fraction(x) for x in starts]
    out = timed(parts)
    order = sorted(range(len(parts)), key=lambda number: (exact[number], number))
    assert [one.part for one in out] == [parts[number] for number in order]
    assert [one.start_ms for one in out] == [exact[number] for number in order]
    assert [one.path for one in out] == [f"parts[{number}]" for number in order]


@given(st.permutations(range(5)))
def test_any_order_of_different_starts_gives_the_same(order: list[int]) -> None:
    parts = [part(bytes([n]), EPOCH + 100 * n, recording_id=f"id {n}") for n in range(5)]
    out = timed([parts[number] for number in order])
    assert [one.name for one in out] == [f"id {n}" for n in range(5)]


def test_a_part_is_named_by_its_id_else_by_its_path_else_by_its_place(tmp_path: Path) -> None:
    parts = [
        part(b"a"),
        part("some/where.mp3"),
        part(tmp_path / "b.mp3"),
        part("c.mp3", recording_id="5e32bf50"),
        part(BytesIO(b"d")),
    ]
    names = [one.name for one in timed(parts)]
    assert names == ["part 1", "some/where.mp3", str(tmp_path / "b.mp3"), "5e32bf50", "part 5"]


def test_segments_keep_their_order_and_exact_times() -> None:
    segments = (
        segment(EPOCH + 5, EPOCH + 9.1, aor="user", state="stopped"),
        segment(Decimal(EPOCH) + Decimal("0.25"), state="active"),
        segment(EPOCH + 5, EPOCH + 6),
        segment(EPOCH - 10_000, EPOCH - 5000),
    )
    (out,) = timed([part(conference_segments=segments, state="stopped", encoder_delay=1105)])
    start = Fraction(EPOCH)
    assert out.segments_ms == (
        (start + 5, start + 9 + Fraction(1, 10)),
        (start + Fraction(1, 4), None),
        (start + 5, start + 6),
        (start - 10_000, start - 5000),
    )


def test_one_part_is_enough_and_none_is_too_few() -> None:
    assert len(timed([part()])) == 1
    (problem,) = problems([])
    assert problem.path == "parts"
    assert "at least one" in problem.rule


WRONG_TIMES = (
    pytest.param(0, id="zero"),
    pytest.param(12.5, id="relative"),
    pytest.param(EPOCH // 1000, id="seconds"),
    pytest.param(EPOCH / 1000, id="seconds-float"),
    pytest.param(EPOCH * 1000, id="microseconds"),
    pytest.param(EPOCH * 10**6, id="nanoseconds"),
    pytest.param(-EPOCH, id="negative"),
    pytest.param(10**11, id="lowest"),
    pytest.param(10**14, id="highest"),
    pytest.param(True, id="bool"),
    pytest.param(math.nan, id="nan"),
    pytest.param(math.inf, id="infinity"),
    pytest.param(Decimal("NaN"), id="decimal-nan"),
    pytest.param(str(EPOCH), id="str"),
    pytest.param(10**5000, id="huge"),
)


@pytest.mark.parametrize("value", [*WRONG_TIMES, pytest.param(None, id="none")])
def test_a_start_that_is_no_epoch_in_ms_is_refused(value: Any) -> None:
    (problem,) = problems([part(b"a"), part(b"b", value)])
    assert problem.path == "parts[1].start_time_ms"
    if isinstance(value, (int, float)) and 0 < abs(value) < 10**30 and value is not True:
        assert problem.value == value
        assert "epoch milliseconds" in problem.rule or "finite" in problem.rule


@pytest.mark.parametrize("value", WRONG_TIMES)
def test_a_segment_whose_times_are_no_epochs_in_ms_is_refused(value: Any) -> None:
    """Its end alone is named where its end alone is wrong."""
    fine = segment(EPOCH, EPOCH + 1)
    at = "parts[0].conference_segments[1]"
    assert paths([part(conference_segments=(fine, segment(value)))]) == [f"{at}.start_time_ms"]
    assert paths([part(conference_segments=(fine, segment(value, EPOCH)))]) == [
        f"{at}.start_time_ms"
    ]
    assert paths([part(conference_segments=(fine, segment(EPOCH, value)))]) == [f"{at}.end_time_ms"]


@pytest.mark.parametrize("early", [0, 1, 0.5, 60_000])
def test_a_segment_that_does_not_end_after_it_starts_is_refused(early: float) -> None:
    (problem,) = problems([part(conference_segments=[segment(EPOCH, EPOCH - early)])])
    assert problem.path == "parts[0].conference_segments[0].end_time_ms"
    assert problem.value == EPOCH - early
    assert str(EPOCH) in problem.rule


def test_a_recording_that_still_goes_on_is_refused() -> None:
    (problem,) = problems([part(b"a", state="stopped"), part(b"b", state="active"), part(b"c")])
    assert (problem.path, problem.value) == ("parts[1].state", "active")


@pytest.mark.parametrize("delay", [-1, -1105, 1.5, 1105.0, True, "1105", None])
def test_an_encoder_delay_that_is_no_number_of_samples_is_refused(delay: Any) -> None:
    (problem,) = problems([part(encoder_delay=delay)])
    assert (problem.path, problem.value) == ("parts[0].encoder_delay", delay)
    assert problem.rule in ("must be a whole number", "must be at least 0 samples")


def test_what_is_of_another_type_is_refused() -> None:
    assert paths([part(modification={"mask": {}})]) == ["parts[0].modification"]
    assert paths([("a.mp3", EPOCH), part()]) == ["parts[0]"]
    segments = [(EPOCH, EPOCH + 1), segment()]
    assert paths([part(conference_segments=segments)]) == ["parts[0].conference_segments[0]"]
    assert timed([part(modification=ae.Modification())])


def test_the_same_id_twice_is_refused() -> None:
    """Every repetition, with the one that it repeats."""
    ids = ("x", "y", "x", None, None, "x")
    found = problems([part(bytes([n]), recording_id=name) for n, name in enumerate(ids)])
    assert [(problem.path, problem.value) for problem in found] == [
        ("parts[2].recording_id", "x"),
        ("parts[5].recording_id", "x"),
    ]
    assert all("parts[0]" in problem.rule for problem in found)


def test_the_same_file_twice_is_refused(tmp_path: Path) -> None:
    """Also under other ids, spelled in another way, or by a link."""
    path = tmp_path / "a.mp3"
    path.write_bytes(b"a")
    link = tmp_path / "link.mp3"
    link.symlink_to(path)
    same = (str(path), path, tmp_path / "." / "b" / ".." / "a.mp3", link)
    found = problems([part(source, recording_id=str(n)) for n, source in enumerate(same)])
    assert [problem.path for problem in found] == [f"parts[{n}].source" for n in (1, 2, 3)]
    assert all("parts[0]" in problem.rule for problem in found)
    assert len(timed([part(path), part(tmp_path / "b.mp3")])) == 2


def test_the_same_bytes_twice_are_refused_and_not_shown() -> None:
    """Whatever holds them; a message is no place for audio."""
    audio = b"\xff\xfb" * 1000
    found = problems([part(audio), part(b"b"), part(bytearray(audio)), part(memoryview(audio))])
    assert [problem.path for problem in found] == ["parts[2].source", "parts[3].source"]
    for problem in found:
        assert isinstance(problem.value, str)
        assert "bytes" in problem.value
        assert "parts[0]" in problem.rule


def test_the_same_file_object_twice_is_refused() -> None:
    opened = BytesIO(b"a")
    assert paths([part(opened), part(opened)]) == ["parts[1].source"]
    assert len(timed([part(BytesIO(b"a")), part(BytesIO(b"b"))])) == 2


def test_all_that_is_wrong_is_named_at_once() -> None:
    """In the order of the request, what concerns several parts last."""
    wrong = [
        part(
            "a.mp3",
            EPOCH // 1000,
            conference_segments=[
                segment(EPOCH, EPOCH),
                segment(math.nan, True),
                segment(EPOCH, EPOCH + 1),
            ],
            recording_id="x",
        ),
        part("b.mp3", EPOCH, state="active", encoder_delay=-1, recording_id="x"),
        "c.mp3",
        part("./a.mp3", None, modification=3),
    ]
    found = problems(wrong)
    assert [problem.path for problem in found] == [
        "parts[0].start_time_ms",
        "parts[0].conference_segments[0].end_time_ms",
        "parts[0].conference_segments[1].start_time_ms",
        "parts[0].conference_segments[1].end_time_ms",
        "parts[1].encoder_delay",
        "parts[1].state",
        "parts[2]",
        "parts[3].start_time_ms",
        "parts[3].modification",
        "parts[1].recording_id",
        "parts[3].source",
    ]
    assert all(problem.rule.startswith("must ") for problem in found)
    message = str(InvalidRequestError(found))
    assert f"parts[0].start_time_ms = {EPOCH // 1000}: must be epoch milliseconds" in message
