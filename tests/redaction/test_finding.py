# SPDX-License-Identifier: Apache-2.0
"""Findings: nothing of them is lost on the way to a mask, and nothing of them is text."""

from __future__ import annotations

import pickle
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import audioengine as ae
from audioengine.edits import FindingsFile, FoundStretch, Party, resolve
from tests.strategies import examples

DIGEST = "0123456789abcdef" * 4
SECRET = "4111111111111111"

parties: st.SearchStrategy[Party | None] = st.sampled_from(("caller", "callee", None))
numbers = st.one_of(
    st.integers(0, 100),
    st.floats(0, 100),
    st.decimals(0, 100, places=9),
)


@st.composite
def some(draw: st.DrawFn) -> ae.Finding:
    start, end = sorted((draw(numbers), draw(numbers)))
    open_at = draw(st.sampled_from(("", "", "", "start", "end", "both")))
    interval = ae.Interval(
        None if open_at in ("start", "both") else start,
        None if open_at in ("end", "both") else end,
    )
    confidence = draw(st.none() | st.floats(0, 1))
    return ae.Finding(draw(parties), interval, draw(st.sampled_from("ABC")), confidence)


def finding(start: Any = 1, end: Any = 2, **fields: Any) -> ae.Finding:
    fields = {"party": "caller", "kind": "PIN", **fields}
    return ae.Finding(interval=ae.Interval(start, end), **fields)


def masked(modification: ae.Modification, party: Party) -> list[tuple[Fraction, Fraction]]:
    return [
        (Fraction(one.start or 0), Fraction(10**12) if one.end is None else Fraction(one.end))
        for key in (party, "both")
        for one in modification.mask.get(key, ())
    ]


@given(st.lists(some(), max_size=8), st.integers(0, 400), st.integers(0, 2000))
def test_masks_cover_every_finding(items: list[ae.Finding], guard: int, join: int) -> None:
    """Whatever the guard and the joining, each finding lies in one mask of each of its parties."""
    modification = ae.Findings(tuple(items)).modification(guard_ms=guard, join_ms=join)
    widened = Fraction(guard, 1000)
    for one in items:
        end = Fraction(10**11) if one.end is None else one.end + widened
        start = max(one.start - widened, Fraction(0))
        heard: tuple[Party, ...] = ("caller", "callee") if one.party is None else (one.party,)
        for party in heard:
            assert any(a <= start and end <= b for a, b in masked(modification, party))
    named = {one.party for one in items}
    for other in ("caller", "callee"):
        assert (other in modification.mask) == (other in named)


@examples(25)
@given(st.lists(some(), min_size=1, max_size=6), st.sampled_from((8000, 44100)))
def test_masked_samples_cover_findings_inside_the_recording(
    items: list[ae.Finding], rate_hz: int
) -> None:
    """On the recording's clock, masked is the findings that lie in it, and never less."""
    samples = 101 * rate_hz
    edits = resolve(
        ae.Findings(tuple(items), guard_ms=150).modification(), rate_hz=rate_hz, samples=samples
    )
    for one in items:
        first = int(one.start * rate_hz)
        last = samples if one.end is None else min(-int(-one.end * rate_hz // 1), samples)
        heard: tuple[Party, ...] = ("caller", "callee") if one.party is None else (one.party,)
        for party in heard:
            assert any(a.start <= first and last <= a.end for a in edits.spans(party))


def test_bounds_round_outward_to_microseconds() -> None:
    one = finding(Decimal("1.0000019"), Decimal("2.0000011"))
    (interval,) = ae.Findings((one,)).modification().mask["caller"]
    assert (interval.start, interval.end) == (Decimal("1.000001"), Decimal("2.000002"))


def test_neighbours_join_before_they_are_widened() -> None:
    items = (finding(5, 6), finding(1, 2), finding(Decimal("2.3"), 3), finding(Decimal("3.301"), 4))
    modification = ae.Findings(items, guard_ms=(100, 200), join_ms=300).modification()
    bounds = [(float(one.start or 0), float(one.end or 0)) for one in modification.mask["caller"]]
    assert bounds == [(0.9, 3.2), (3.201, 4.2), (4.9, 6.2)]


def test_a_finding_without_a_party_masks_both() -> None:
    modification = ae.Findings((finding(party=None),)).modification()
    assert list(modification.mask) == ["both"]


def test_a_finding_that_is_open_at_both_ends_masks_everything() -> None:
    modification = ae.Findings((finding(None, None),)).modification()
    edits = resolve(modification, rate_hz=8000, samples=80_000)
    assert edits.spans("caller") == (ae.edits.Span(0, 80_000),)


def test_an_instant_without_a_guard_is_refused() -> None:
    modification = ae.Findings((finding(1, 1),)).modification()
    with pytest.raises(ae.InvalidRequestError, match="must be more than from"):
        resolve(modification, rate_hz=8000, samples=80_000)
    assert resolve(
        ae.Findings((finding(1, 1),)).modification(guard_ms=1), rate_hz=8000, samples=80_000
    ).masks


@pytest.mark.parametrize(
    ("kinds", "chosen"),
    [
        (None, "ABC"),
        (["ALL"], "ABC"),
        (["all", "PIN"], "ABC"),
        (["*"], "ABC"),
        (["credit_debit_number"], "A"),
        (["Credit-Debit Number"], "A"),
        (["CREDIT_*"], "AB"),
        (["PIN", "SSN"], "C"),
        (["SSN"], ""),
    ],
)
def test_kinds_choose(kinds: list[str] | None, chosen: str) -> None:
    items = {
        "A": finding(kind="CREDIT_DEBIT_NUMBER"),
        "B": finding(kind="credit-debit-cvv"),
        "C": finding(kind="PIN"),
    }
    assert ae.Findings(tuple(items.values())).selected(kinds) == tuple(items[one] for one in chosen)


def test_a_kind_that_is_not_known_can_not_be_chosen_by() -> None:
    """Nothing is left out silently, not even where other findings have the kind."""
    origin = ae.Origin("contact-lens", DIGEST, "Transcript[3].Redaction.RedactedTimestamps[0]")
    findings = ae.Findings((finding(), finding(kind=None, origin=origin)))
    with pytest.raises(ae.InvalidRequestError, match=r"Transcript\[3\]\.Redaction") as caught:
        findings.modification(["PIN"])
    assert "only ALL can be masked" in str(caught.value)
    assert findings.modification(["ALL"]).asks


@pytest.mark.parametrize("kinds", ["PIN", [], [""], [7]])
def test_kinds_of_another_form_are_refused(kinds: Any) -> None:
    with pytest.raises(ae.InvalidRequestError, match="kinds"):
        ae.Findings().selected(kinds)


def test_confidence_chooses_and_the_unknown_stays() -> None:
    items = tuple(finding(confidence=one) for one in (None, 0.5, Decimal("0.49"), 1))
    assert ae.Findings(items).selected(min_confidence=0.5) == (items[0], items[1], items[3])


def test_nothing_found_is_no_mask_or_refused() -> None:
    assert not ae.Findings((finding(),)).modification(["SSN"]).asks
    with pytest.raises(ae.InvalidRequestError, match="require_match"):
        ae.Findings((finding(),)).modification(["SSN"], require_match=True)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"guard_ms": -1}, "guard_ms"),
        ({"guard_ms": (1, 2, 3)}, "guard_ms"),
        ({"join_ms": -1}, "join_ms"),
        ({"join_ms": float("nan")}, "join_ms"),
        ({"min_confidence": 2}, "min_confidence"),
    ],
)
def test_wrong_arguments_are_named(asked: dict[str, Any], field: str) -> None:
    with pytest.raises(ae.InvalidRequestError, match=field):
        ae.Findings((finding(),)).modification(**asked)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"start": -1}, "items[7].from"),
        ({"start": 3}, "items[7].to"),
        ({"start": float("nan")}, "items[7].from"),
        ({"start": float("inf")}, "items[7].from"),
        ({"end": "2.5"}, "items[7].to"),
        ({"end": True}, "items[7].to"),
        ({"end": 1728890677283}, "items[7].to"),
        ({"party": "agent"}, "items[7].party"),
        ({"kind": SECRET}, "items[7].kind"),
        ({"kind": "card " + SECRET}, "items[7].kind"),
        ({"kind": ""}, "items[7].kind"),
        ({"kind": 7}, "items[7].kind"),
        ({"confidence": 1.5}, "items[7].confidence"),
        ({"confidence": "0.9"}, "items[7].confidence"),
    ],
)
def test_a_finding_that_is_none_names_its_place(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(ae.InvalidRequestError) as caught:
        finding(**fields, origin=ae.Origin("words", DIGEST, "items[7]"))
    assert [one.path for one in caught.value.problems] == [path]
    assert SECRET not in str(caught.value)


def test_an_origin_needs_a_digest() -> None:
    with pytest.raises(ae.InvalidRequestError, match="SHA-256"):
        ae.Origin("words", "abc")


def test_findings_are_values_without_text() -> None:
    one = finding(confidence=0.9, origin=ae.Origin("words", DIGEST, "items[0]"))
    findings = ae.Findings((one,), (ae.Origin("words", DIGEST),))
    assert pickle.loads(pickle.dumps(findings)) == findings
    assert len({one, finding(confidence=0.9, origin=one.origin)}) == 1
    assert list(findings) == [findings[0]] == list(findings[:1])
    (file,) = findings.modification().findings
    assert file == FindingsFile("words", DIGEST, (FoundStretch("caller", 1.0, 2.0, "PIN", 0.9),))
    with pytest.raises(AttributeError):
        one.kind = "other"  # type: ignore[misc]


def test_too_many_masks_are_a_limit() -> None:
    many = ae.Findings(tuple(finding(2 * i, 2 * i + 1) for i in range(10_001)))
    with pytest.raises(ae.LimitError):
        many.modification()
