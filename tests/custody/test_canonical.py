# SPDX-License-Identifier: Apache-2.0
"""Documents have one form, and numbers of a request one text."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import audioengine as ae
from audioengine.custody.canonical import canonical, parsed, plain_values

TEXTS = st.text('aZ01"\\/\n\0 é🙂\ud800', max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
DOCUMENTS = st.dictionaries(TEXTS, VALUES, max_size=4)


@given(DOCUMENTS)
def test_a_document_is_read_as_it_was_written(document: dict[str, Any]) -> None:
    """In ASCII, in one line, whatever order its keys came in; half characters too."""
    line = canonical(document)
    assert parsed(line) == document
    assert b"\n" not in line
    assert line.isascii()
    assert canonical(dict(reversed(document.items()))) == line


@given(DOCUMENTS, st.data())
def test_another_line_is_another_document_or_none(
    document: dict[str, Any], data: st.DataObject
) -> None:
    line = canonical(document)
    place = data.draw(st.integers(0, len(line) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != line[place]))
    assert parsed(line[:place] + bytes([byte]) + line[place + 1 :]) != document


@pytest.mark.parametrize(
    "line",
    [b"", b"[]", b"{", b'{"a": 1}', b'{"b":1,"a":1}', b'{"a":1,"a":1}', b'{"a":1.0}', b'{"a":NaN}',
     '{"a":"é"}'.encode(), b'{"a":01}', b'{"a":"\\u0061"}', b'{"a":1}\r', b"[" * 100_000],
)  # fmt: skip
def test_other_forms_are_refused(line: bytes) -> None:
    assert parsed(line) is None


@given(st.fractions() | st.decimals(allow_nan=False, allow_infinity=False, places=4))
def test_numbers_are_exact(number: Fraction | Decimal) -> None:
    told = plain_values(number)
    assert Fraction(told) == Fraction(number)
    assert isinstance(told, int) == (Fraction(number).denominator == 1)


def test_equal_numbers_are_told_alike() -> None:
    """A float is its shortest decimal."""
    assert plain_values([10, 10.0, Decimal("10.0")]) == [10, 10, 10]
    assert plain_values([0.1, Decimal("0.10"), -0.05]) == ["0.1", "0.1", "-0.05"]
    assert plain_values(Fraction(1, 3)) == "1/3"


def test_a_request_is_told_as_it_is() -> None:
    modification = ae.Modification(
        trim=ae.Interval(0.5, None), mask={"caller": [ae.Interval(1, Decimal("2.50"))]}
    )
    told = plain_values({"modification": modification, "beep": ae.Beep()})
    assert json.loads(canonical(told)) == {
        "modification": {
            "trim": ["0.5", None],
            "mask": {"caller": [[1, "2.5"]]},
            "absolute_times": False,
            "guard_ms": None,
            "clip_tolerance_s": None,
            "relative_unit": "s",
            "transcripts": [],
            "redact": [],
            "findings": [],
            "notices": [],
        },
        "beep": {"frequency_hz": 1000, "level_dbfs": -20, "fill": "beep"},
    }
