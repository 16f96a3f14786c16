# SPDX-License-Identifier: Apache-2.0
"""Turns: whatever comes and ends, commands on one recording are begun in order, one at a time."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from audioengine.service.messages import Message
from audioengine.service.turns import Held, Turns, recordings_of

STEPS = ["begin", "end", "back", "again", "drop"]


def message(number: int) -> Message:
    return Message(message_id=str(number), body="{}", receipt="r", receives=1, sent_ms=0)


def held(number: int, recordings: str) -> Held:
    return Held(message(number), frozenset(recordings), 0)


@given(
    st.lists(st.text("abc", max_size=2), max_size=12),
    st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 9))),
)
def test_order_is_kept_and_nothing_gets_stuck(
    commands: list[str], steps: list[tuple[str, int]]
) -> None:
    turns, running, away = Turns(), list[Held](), list[Held]()
    begun: list[Held] = []
    waiting = []
    for number, recordings in enumerate(commands):
        waiting.append(held(number, recordings))
        turns.add(waiting[-1])

    def begin() -> bool:
        one = turns.begin(1.0)
        if one is None:
            return False
        assert not any(one.recordings & other.recordings for other in (*running, *away))
        earlier = [other for other in waiting if other is not one]
        earlier = earlier[: waiting.index(one)] if one in waiting else []
        assert not any(one.recordings & other.recordings for other in earlier)
        if one in waiting:
            waiting.remove(one)
        running.append(one)
        begun.append(one)
        return True

    for step, place in steps:
        if step == "begin":
            begin()
        elif step == "drop" and waiting:
            turns.end(waiting.pop(place % len(waiting)))
        elif step == "again" and away:
            one = away.pop(place % len(away))
            turns.come_again(one, replace(one.message, receipt="new"), 2.0)
        elif step in ("end", "back") and running:
            one = running.pop(place % len(running))
            if step == "end":
                turns.end(one)
            else:
                turns.give_back(one, 9.0)
                away.append(one)
        assert len(turns) == len(waiting) + len(running) + len(away) + turns_unseen(
            turns, waiting, running, away
        )
    for one in away:
        turns.come_again(one, one.message, 3.0)
    away.clear()
    while True:
        while begin():
            pass
        if not running:
            break
        turns.end(running.pop())
    assert len(turns) == 0
    assert waiting == []


def turns_unseen(turns: Turns, *seen: list[Held]) -> int:
    """Those that came again and have not been begun once more."""
    known = {id(one) for of in seen for one in of}
    return sum(id(one) not in known for one in turns)


def test_what_is_handed_out_twice_is_held_once() -> None:
    turns, one = Turns(), held(1, "a")
    turns.add(one)
    newer = replace(one.message, receipt="newer", receives=2)
    assert turns.find("1") is one
    turns.come_again(one, newer, 5.0)
    assert turns.ready == 1
    assert turns.begin(6.0) is one
    turns.come_again(one, replace(newer, receipt="newest"), 7.0)
    assert turns.begin(8.0) is None
    assert one.message.receipt == "newest"


def test_recordings_of_a_merge_are_all_that_it_names() -> None:
    entries = [{"recordingId": "b"}, {"recordingId": "c"}]
    assert recordings_of(json.dumps({"recordingId": "a"})) == {"a"}
    assert recordings_of(json.dumps({"toMerge": entries})) == {"b", "c"}
    assert recordings_of('{"recordingId": "a"') == {"a"}
    assert recordings_of("no \ud800 JSON") == frozenset()
