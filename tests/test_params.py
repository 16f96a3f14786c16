# SPDX-License-Identifier: Apache-2.0
"""modificationParams in every shape of both dialects, and every wrong field by its wire name."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioengine.edits import Interval, Modification, Span, resolve
from audioengine.errors import InvalidRequestError

# The queue's example command; numbers as published.
QUEUE_EXAMPLE: dict[str, object] = {
    "absoluteTimes": True,
    "mask": {
        "caller": [
            {"from": 1561988732565, "to": 1561988733565},
            {"from": 1561988735565, "to": 1561988735965},
            {"from": 1561988737565, "to": 1561988738565},
        ],
        "callee": [{"from": 1561988733565, "to": 1561988734565}],
    },
    "trim": {"from": 1561988732565, "to": 1561988738565},
}
REST_EXAMPLE = '{"absoluteTimes":true,"trim":{"from":1680179455424,"to":1680179460221}}'

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["absoluteTimes", "trim", "mask", "from", "to", "caller", "callee", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def refused(params: Any) -> dict[str, object]:
    with pytest.raises(InvalidRequestError) as caught:
        Modification.from_params(params)
    assert str(caught.value)
    return {problem.path: problem.value for problem in caught.value.problems}


@given(json_values)
def test_any_json_is_read_or_refused(params: Any) -> None:
    """No JSON value gets anything but a Modification or our own error out of the reader."""
    with contextlib.suppress(InvalidRequestError):
        assert isinstance(Modification.from_params(params), Modification)


def test_queue_example() -> None:
    """The published command, on a recording that began two seconds before its trim."""
    modification = Modification.from_params(QUEUE_EXAMPLE)
    edits = resolve(modification, rate_hz=8000, samples=80_000, start_time_ms=1561988732565 - 2000)
    assert edits.trim == Span(16_000, 64_000)
    assert edits.spans("caller") == (
        Span(16_000, 24_000),
        Span(40_000, 43_200),
        Span(56_000, 64_000),
    )
    assert edits.spans("callee") == (Span(24_000, 32_000),)


def test_rest_example() -> None:
    """The published REST parameters; absolute times are epoch ms in both dialects."""
    expected = Modification(trim=Interval(1680179455424, 1680179460221), absolute_times=True)
    assert Modification.from_params(json.loads(REST_EXAMPLE)) == expected
    rest = Modification.from_params(json.loads(REST_EXAMPLE), dialect="rest")
    assert (rest.trim, rest.absolute_times) == (expected.trim, True)


def test_the_other_spelling() -> None:
    """`absoluteTime` is the same key; saying both is fine while they agree."""
    assert Modification.from_params({"absoluteTime": True}).absolute_times
    assert Modification.from_params({"absoluteTime": True, "absoluteTimes": True}).absolute_times
    assert Modification.from_params({"absoluteTime": True, "absoluteTimes": None}).absolute_times
    assert refused({"absoluteTime": True, "absoluteTimes": False}) == {"absoluteTime": True}


def test_relative_times_are_seconds_or_milliseconds() -> None:
    """The dialect decides, never the numbers."""
    params = {"trim": {"from": 1, "to": 2}}
    queue = Modification.from_params(params)
    assert resolve(queue, rate_hz=8000, samples=480_000).trim == Span(8000, 16_000)
    rest = Modification.from_params(params, dialect="rest")
    assert resolve(rest, rate_hz=8000, samples=480_000).trim == Span(8, 16)


@pytest.mark.parametrize("dialect", ["sqs", "rest"])
@pytest.mark.parametrize("mask", [{"from": 1, "to": 2}, [{"from": 1, "to": 2}]])
def test_masks_of_both_parties(mask: object, dialect: Any) -> None:
    """One interval, or a list of them, applies to both."""
    modification = Modification.from_params({"mask": mask}, dialect)
    assert modification.mask == {"both": (Interval(1, 2),)}


@pytest.mark.parametrize("empty", [None, {}, []])
def test_empty_means_absent(empty: Any) -> None:
    """At every place where something may be left out."""
    absent = Modification()
    assert Modification.from_params(empty) == absent
    assert Modification.from_params({"trim": empty, "mask": empty}) == absent
    assert Modification.from_params({"mask": {"caller": empty, "callee": empty}}) == absent
    one = {"mask": {"caller": empty, "callee": [{"from": 1, "to": 2}]}}
    assert Modification.from_params(one).mask == {"callee": (Interval(1, 2),)}


def test_null_bounds() -> None:
    """A trim may lack either bound or both; a mask one of them."""
    assert Modification.from_params({"trim": {"from": 5}}).trim == Interval(5, None)
    assert Modification.from_params({"trim": {"from": None, "to": 5}}).trim == Interval(None, 5)
    assert Modification.from_params({"trim": {"to": None}}) == Modification()
    made = Modification.from_params({"mask": [{"from": 1}, {"from": None, "to": 2}]})
    assert made.mask == {"both": (Interval(1, None), Interval(None, 2))}
    wrong = {"mask": [{"from": 1}, {}, {"from": None, "to": None}]}
    assert refused(wrong) == {"mask[1]": {}, "mask[2]": {"from": None, "to": None}}


def test_decimals_survive() -> None:
    """JSON read with exact decimals is kept exact."""
    params = json.loads('{"trim": {"from": 0.1, "to": 12.345678}}', parse_float=Decimal)
    assert Modification.from_params(params).trim == Interval(Decimal("0.1"), Decimal("12.345678"))


@pytest.mark.parametrize(
    ("params", "problems"),
    [
        ([1], {"modificationParams": [1]}),
        ("trim", {"modificationParams": "<str>"}),
        ({"beep": 1}, {"beep": 1}),
        ({"absoluteTimes": 1}, {"absoluteTimes": 1}),
        ({"absoluteTimes": "true"}, {"absoluteTimes": "true"}),
        ({"trim": 5}, {"trim": 5}),
        ({"trim": [{"from": 1}]}, {"trim": [{"from": 1}]}),
        ({"trim": {"from": 1, "until": 2}}, {"trim.until": 2}),
        ({"trim": {"from": "1"}}, {"trim.from": "1"}),
        ({"trim": {"from": True}}, {"trim.from": True}),
        ({"mask": 5}, {"mask": 5}),
        ({"mask": {"left": []}}, {"mask.left": []}),
        ({"mask": {"both": [{"from": 1, "to": 2}]}}, {"mask.both": [{"from": 1, "to": 2}]}),
        ({"mask": {"from": 1, "to": 2, "caller": []}}, {"mask.caller": []}),
        ({"mask": {"caller": "all"}}, {"mask.caller": "all"}),
        ({"mask": {"caller": [None]}}, {"mask.caller[0]": None}),
        ({"mask": {"caller": [{"from": [], "to": 1}]}}, {"mask.caller[0].from": []}),
        ({"mask": [{"from": 1, "to": 2, "x": 3}]}, {"mask[0].x": 3}),
    ],
)
def test_refused_form(params: Any, problems: dict[str, object]) -> None:
    """Unknown keys and wrong types, by the wire's names."""
    assert refused(params) == problems


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_refused_json_constants(number: str) -> None:
    """What Python's JSON reader lets through is no time."""
    params = json.loads(f'{{"mask": {{"caller": [{{"from": {number}, "to": 1}}]}}}}')
    assert refused(params).keys() == {"mask.caller[0].from"}


def test_all_wrong_fields_at_once() -> None:
    """One error names them all, with what was given."""
    params = {
        "absoluteTimes": "yes",
        "trim": {"from": "1"},
        "mask": {"caller": [{"from": True, "to": 2}, {}], "agent": []},
        "note": "x",
    }
    assert refused(params) == {
        "absoluteTimes": "yes",
        "trim.from": "1",
        "mask.caller[0].from": True,
        "mask.caller[1]": {},
        "mask.agent": [],
        "note": "x",
    }


def test_later_refusals_use_the_wires_names() -> None:
    """What only the recording can tell is named as the command names it too."""
    modification = Modification.from_params({"mask": {"from": 70, "to": 80}})
    with pytest.raises(InvalidRequestError, match=r"^mask\.from = 70"):
        resolve(modification, rate_hz=8000, samples=480_000)
    modification = Modification.from_params({"mask": [{"from": 1, "to": 2}, {"from": 3, "to": 2}]})
    with pytest.raises(InvalidRequestError, match=r"^mask\[1\]\.to = 2"):
        resolve(modification, rate_hz=8000, samples=480_000)


def test_unknown_dialect() -> None:
    """The dialect is never guessed."""
    with pytest.raises(InvalidRequestError, match="dialect"):
        Modification.from_params({}, dialect="soap")  # type: ignore[arg-type]


def test_edits_do_not_import_pydantic() -> None:
    """It is slow to import, and only needed where params are read."""
    code = "import sys, audioengine.edits; sys.exit('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
