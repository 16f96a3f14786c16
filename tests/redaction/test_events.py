# SPDX-License-Identifier: Apache-2.0
"""Events: from a pause to its resume all is masked, also where one of them is missing."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import audioengine as ae
from audioengine.redaction.events import EVENTS, KEYS_JOIN_S, MAX_BYTES, parse_events
from tests.strategies import examples

START_MS = 1_764_493_200_000  # 2025-11-30T09:00:00Z
SECRET = "4111111111111111"


def csv_of(*events: tuple[Any, ...]) -> bytes:
    """Events at seconds after the start."""
    rows = [f"{START_MS + round(1000 * at)},{name},{''.join(party)}" for at, name, *party in events]
    return "\n".join(["time,event,party", *rows]).encode()


def parsed(data: bytes, **options: Any) -> ae.Findings:
    return parse_events(data, START_MS, **{"lead_ms": 0, **options})


def told(found: ae.Findings) -> list[tuple[Any, ...]]:
    return [(one.party, one.kind, one.interval.start, one.interval.end) for one in found]


def codes(found: ae.Findings) -> list[str]:
    return [one.code for one in found.warnings]


def test_a_pause_lasts_to_its_resume() -> None:
    found = parsed(
        csv_of((10, "pause"), (12.5, "Resume"), (20, "mask", "caller"), (21, "unmask", "caller"))
    )
    assert told(found) == [(None, "PAUSE", 10, Fraction("12.5")), ("caller", "MASK", 20, 21)]
    assert not found.warnings


def test_a_pause_without_a_resume_lasts_to_the_end() -> None:
    found = parsed(csv_of((10, "pause"), (11, "resume"), (20, "pause"), (25, "pause")))
    assert told(found)[1] == (None, "PAUSE", 20, None)
    assert codes(found) == ["event_without_end"]


def test_a_resume_without_a_pause_lasts_from_the_start() -> None:
    found = parsed(csv_of((10, "resume"), (20, "resume")))
    assert told(found) == [(None, "PAUSE", None, 10), (None, "PAUSE", 10, 20)]
    assert codes(found) == ["event_without_start"] * 2


def test_agents_press_late() -> None:
    found = parse_events(
        csv_of((10, "pause"), (12, "resume"), (1, "mask"), (2, "unmask")), START_MS
    )
    assert told(found) == [
        (None, "MASK", None, Fraction("2.5")),
        (None, "PAUSE", 8, Fraction("12.5")),
    ]


def test_keys_near_to_each_other_are_one_finding() -> None:
    keys = [
        (at + up / 10, ("keydown", "keyup")[up], "caller") for at in (10, 11, 13) for up in (0, 1)
    ]
    later = 13.2 + KEYS_JOIN_S
    found = parsed(csv_of(*keys, (later, "keydown", "caller"), (later + 0.1, "keyup", "caller")))
    assert told(found) == [
        ("caller", "KEYS", Fraction("9.94"), Fraction("13.16")),
        ("caller", "KEYS", Fraction("16.14"), Fraction("16.36")),
    ]


def test_time_that_a_recorder_leaves_out_shifts_what_follows() -> None:
    events = csv_of((10, "pause"), (15, "resume"), (20, "mask"), (21, "unmask"), (30, "pause"))
    found = parsed(events, lead_ms=(2000, 500), paused_time="removed")
    assert told(found) == [
        (None, "PAUSE", 8, Fraction("10.5")),
        (None, "MASK", 13, Fraction("16.5")),
        (None, "PAUSE", 23, None),
    ]


def test_what_was_before_the_recording_is_left_out_with_a_warning() -> None:
    found = parsed(csv_of((-20, "pause"), (-10, "resume"), (-5, "pause"), (5, "resume")))
    assert told(found) == [(None, "PAUSE", None, 5)]
    assert codes(found) == ["event_outside"]


@pytest.mark.parametrize(
    "time",
    [
        "2025-11-30T09:00:02.5Z", "2025-11-30 10:00:02.500+01:00", "2025-11-30T03:30:02,5-0530",
        1_764_493_202_500, "1764493202500.00", 1_764_493_202_500.0,
    ],
)  # fmt: skip
def test_times_of_all_kinds(time: Any) -> None:
    lines = [
        {"time": time, "event": "pause", "agent": SECRET},
        {"time": START_MS + 3000, "event": "resume"},
    ]
    found = parsed("\n".join(map(json.dumps, lines)).encode())
    assert told(found) == [(None, "PAUSE", Fraction("2.5"), 3)]


def test_events_have_names_of_their_own() -> None:
    names = {"SuspendContactRecording": "pause", "go": "resume"}
    found = parsed(csv_of((1, "suspendcontactrecording"), (2, "GO")), names=names)
    assert told(found) == [(None, "PAUSE", 1, 2)]
    with pytest.raises(ae.InvalidRequestError, match="event_names"):
        parsed(csv_of((1, "pause")), names={"go": "stop"})


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (f"time,event\n{START_MS},pause\n{START_MS},{SECRET}\n", "line 3.event"),
        (f"time,event,party\n{START_MS},pause,{SECRET}\n", "line 2.party"),
        ("time,event\n2025-11-30T09:00:02,pause\n", "line 2.time"),
        ("time,event\n2025-13-30T09:00:02Z,pause\n", "line 2.time"),
        ("time,event\n12.5,pause\n", "line 2.time"),
        (f"time,event\n{START_MS},pause,{SECRET}\n", "line 2"),
        (f"{SECRET},event\n", "line 1"),
        ("", "line 1"),
        ('{"time": true, "event": "pause"}\n', "line 1.time"),
        (f'{{"time": NaN, "event": "{SECRET}"}}', "line 1.event"),
        (f'{{"time": {START_MS}, "event": "pause"}}\n[{SECRET}]', "line 2"),
        (f'{{"time": {START_MS}, "event": "pause", "party": {SECRET}}}', "line 1.party"),
    ],
)  # fmt: skip
def test_what_is_wrong_names_its_line_and_not_its_text(text: str, path: str) -> None:
    with pytest.raises(ae.InvalidRequestError) as caught:
        parsed(text.encode())
    assert caught.value.problems[0].path.startswith(path)
    assert "1111" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [{"lead_ms": -1}, {"lead_ms": (1, -1)}, {"paused_time": "gone"}],
)  # fmt: skip
def test_options_are_judged(options: dict[str, Any]) -> None:
    with pytest.raises(ae.InvalidRequestError):
        parsed(csv_of((1, "pause")), **options)
    with pytest.raises(ae.InvalidRequestError, match="start_time_ms"):
        parse_events(csv_of((1, "pause")), 0)
    with pytest.raises(ae.LimitError):
        parsed(b" " * (MAX_BYTES + 1))


@examples(100)
@given(
    st.lists(
        st.tuples(
            st.integers(-5, 60), st.sampled_from(EVENTS), st.sampled_from(("", "caller", "callee"))
        ),
        max_size=12,
    ),
    st.integers(0, 3000),
)
def test_all_that_is_paused_is_masked(events: list[tuple[int, str, str]], lead: int) -> None:
    """Whatever is missing: an instant between a pause and the next resume lies in a finding."""
    found = parsed(csv_of(*events), lead_ms=lead)
    for kind, begin, end in (("PAUSE", "pause", "resume"), ("MASK", "mask", "unmask")):
        for party in ("caller", "callee"):
            whose = [one for one in sorted(events, key=lambda one: one[0]) if one[2] == party]
            own = [one for one in whose if one[1] in (begin, end)]
            for number, (at, name, _) in enumerate(own):
                if name != begin:
                    continue
                until = own[number + 1][0] if number + 1 < len(own) else 100
                middle = Fraction(at + until, 2)
                if at < until and middle > 0:
                    assert any(
                        one.kind == kind
                        and one.party == party
                        and one.start <= middle
                        and (one.end is None or middle <= one.end)
                        for one in found
                    )


@examples(100)
@given(
    st.one_of(
        st.binary(max_size=60),
        st.text(max_size=60).map(str.encode),
        st.tuples(st.integers(0, 80), st.text('0",\n{}:eT-Z \x00', max_size=3)).map(
            lambda cut: (
                csv_of((1, "pause"), (2, "resume"), (3, "keydown", "caller"))[: cut[0]]
                + cut[1].encode()
            )
        ),
    )
)
def test_anything_is_findings_or_a_typed_error(data: bytes) -> None:
    try:
        found = parsed(data)
    except ae.AudioEngineError:
        return
    assert all(one.end is None or one.start <= one.end for one in found)


def test_iso_times_are_exact() -> None:
    moment = datetime(2025, 11, 30, 9, tzinfo=timezone.utc) + timedelta(seconds=1)
    data = f"time,event\n{moment.isoformat()},pause\n2025-11-30T09:00:01.123456789Z,resume\n"
    (found,) = parsed(data.encode())
    assert found.start == 1
    assert found.end == Fraction("1.123457")
