# SPDX-License-Identifier: Apache-2.0
"""Whatever comes and ends, commands on one recording are begun in order, one at a time."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from audioengine.commands.named_recordings import recordings_of
from audioengine.service.queues.queue import Message
from audioengine.service.worker.recording_order import HeldMessage, RecordingOrder

STEPS = ["begin", "end", "back", "again", "drop"]


def message(number: int) -> Message:
    return Message(message_id=str(number), body="{}", receipt="r", receives=1, sent_ms=0)


def held(number: int, recordings: str, tenant: str = "") -> HeldMessage:
    return HeldMessage(message(number), frozenset(recordings), 0, tenant)


@given(
    st.lists(st.text("abc", max_size=2), max_size=12),
    st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 9))),
)
def test_order_is_kept_and_nothing_gets_stuck(
    commands: list[str], steps: list[tuple[str, int]]
) -> None:
    order, running, away = RecordingOrder(9, 9), list[HeldMessage](), list[HeldMessage]()
    begun: list[HeldMessage] = []
    waiting = []
    for number, recordings in enumerate(commands):
        waiting.append(held(number, recordings))
        order.add(waiting[-1])

    def begin() -> bool:
        one = order.begin(1.0)
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
            order.end(waiting.pop(place % len(waiting)))
        elif step == "again" and away:
            one = away.pop(place % len(away))
            order.come_again(one, replace(one.message, receipt="new"), 2.0)
        elif step in ("end", "back") and running:
            one = running.pop(place % len(running))
            if step == "end":
                order.end(one)
            else:
                order.give_back(one, 9.0, has_failed=True)
                away.append(one)
        assert order.away == len(away)
        assert order.in_hand + order.away == len(waiting) + len(running) + len(away) + turns_unseen(
            order, waiting, running, away
        )
    for one in away:
        order.come_again(one, one.message, 3.0)
    away.clear()
    while True:
        while begin():
            pass
        if not running:
            break
        order.end(running.pop())
    assert order.in_hand == order.away == 0
    assert waiting == []


def turns_unseen(order: RecordingOrder, *seen: list[HeldMessage]) -> int:
    """Those that came again and have not been begun once more."""
    known = {id(one) for of in seen for one in of}
    return sum(id(one) not in known for one in order)


STEPS_OF_TENANTS = [*STEPS, "add", "late", "let"]


@given(
    st.integers(1, 3),
    st.integers(1, 3),
    st.lists(
        st.tuples(st.sampled_from(STEPS_OF_TENANTS), st.integers(0, 9), st.text("abc", max_size=2)),
        max_size=60,
    ),
)
def test_tenants_have_their_turns_whatever_happens(
    most_of_troubled: int, most_troubled: int, steps: list[tuple[str, int, str]]
) -> None:
    order, numbers = RecordingOrder(most_of_troubled, most_troubled), iter(range(1000))
    held_by: dict[str, list[HeldMessage]] = {"waiting": [], "running": [], "away": []}
    waiting, running, away = held_by.values()

    def take(of: list[HeldMessage], place: int) -> HeldMessage:
        return of.pop(place % len(of))

    for step, place, recordings in steps:
        if step == "add":
            one = held(next(numbers), recordings, f"tenant{place % 3}")
            one.waits = place > 7
            order.add(one)
            waiting.append(one)
        elif step == "begin" and (begun := order.begin(1.0)) is not None:
            assert begun in waiting
            assert not begun.waits
            others = [one for one in running if order.has_trouble(one.tenant)]
            of_it = [one for one in running if one.tenant == begun.tenant]
            if order.has_trouble(begun.tenant):
                assert len(of_it) < most_of_troubled
                assert len(others) < most_troubled
            waiting.remove(begun)
            running.append(begun)
        elif step == "let" and waiting:
            order.let(waiting[place % len(waiting)])
        elif step == "end" and running:
            order.end(take(running, place))
        elif step == "drop" and waiting:
            order.end(take(waiting, place))
        elif step == "back" and (of := running if place % 2 else waiting):
            one = take(of, place)
            order.give_back(one, float(place), has_failed=of is running)
            away.append(one)
            assert one.message.body == ""
        elif step == "again" and away:
            one = take(away, place)
            order.come_again(one, message(int(one.message.message_id)), 2.0)
            waiting.append(one)
        elif step == "late":
            order.forget_late(float(place))
            away[:] = [one for one in away if (one.away_until or 0) >= place]
        every = [*waiting, *running, *away]
        assert set(order) == set(every)
        assert (order.in_hand, order.away) == (len(waiting) + len(running), len(away))
        for tenant in ("tenant0", "tenant1", "tenant2"):
            own = [one for one in every if one.tenant == tenant]
            assert order.has_trouble(tenant) == any(one.has_failed for one in own)
            assert order.in_hand_of(tenant) == sum(one.away_until is None for one in own)
            assert order.away_of(tenant) == sum(one in away for one in own)
    order.forget_late(float("inf"))
    for one in waiting:
        order.let(one)
    while waiting or running:
        while (begun := order.begin(3.0)) is not None:
            waiting.remove(begun)
            running.append(begun)
        order.end(running.pop())  # there is one, or something is stuck
    assert list(order) == []


def test_one_tenant_s_retries_leave_room_for_others() -> None:
    order = RecordingOrder(most_of_troubled=2, most_troubled=3)
    for number in range(300):
        order.add(held(number, chr(1000 + number), "bad"))
    begun = [order.begin(0.0) for _ in range(4)]
    for one in begun:
        assert one is not None
        order.give_back(one, 9.0, has_failed=True)
    order.add(held(300, "b", "good"))
    tenants = [one.tenant for _ in range(9) if (one := order.begin(1.0)) is not None]
    assert sorted(tenants) == ["bad", "bad", "good"]
    assert "good" in tenants[:2]
    assert order.ready == 1


def test_who_has_just_failed_several_times_leaves_room_too() -> None:
    """Each such command may be as slow as one that succeeds, and of no use to anybody."""
    now = [100.0]
    order = RecordingOrder(most_of_troubled=1, most_troubled=2, clock=lambda: now[0])
    for number in range(20):
        order.add(held(number, chr(1000 + number), "bad"))
    for _ in range(3):
        begun = order.begin(now[0])
        assert begun is not None
        assert not order.has_trouble("bad")
        order.end(begun)
        order.note_failure("bad")
    assert order.has_trouble("bad")
    assert not order.has_trouble("good")
    assert order.ready == 1
    assert order.begin(now[0]) is not None
    assert order.begin(now[0]) is None
    now[0] += 61
    assert not order.has_trouble("bad")
    assert order.begin(now[0]) is not None


def test_while_many_are_tried_again_no_more_are_begun() -> None:
    """They keep their tries for later, when what is wrong with all of them may be over."""
    order = RecordingOrder(9, 9)
    every = [held(number, chr(1000 + number), "bad") for number in range(100)]
    for one in every:
        order.add(one)
    tried: set[str] = set()
    for _ in range(20):
        while (begun := order.begin(0.0)) is not None:
            tried.add(begun.message.message_id)
            order.give_back(begun, 9.0, has_failed=True)
        for one in every:
            if one.away_until is not None:
                order.come_again(one, one.message, 1.0)
    assert len(tried) == 50
    while (begun := order.begin(0.0)) is not None:
        order.end(begun)
    assert order.in_hand == 0


def test_what_is_handed_out_twice_is_held_once() -> None:
    order, one = RecordingOrder(9, 9), held(1, "a")
    order.add(one)
    newer = replace(one.message, receipt="newer", receives=2)
    assert order.find("1") is one
    order.come_again(one, newer, 5.0)
    assert order.ready == 1
    assert order.begin(6.0) is one
    order.come_again(one, replace(newer, receipt="newest"), 7.0)
    assert order.begin(8.0) is None
    assert one.message.receipt == "newest"


def test_recordings_of_a_merge_are_all_that_it_names() -> None:
    entries = [{"recordingId": "b"}, {"recordingId": "c"}]
    assert recordings_of(json.dumps({"recordingId": "a"})) == {"a"}
    assert recordings_of(json.dumps({"toMerge": entries})) == {"b", "c"}
    assert recordings_of('{"recordingId": "a"') == {"a"}
    assert recordings_of("no \ud800 JSON") == frozenset()


def test_no_tenant_s_command_stands_before_another_s_on_the_same_id() -> None:
    order = RecordingOrder(9, 9)
    theirs, mine = held(0, "a", "theirs"), held(1, "a", "mine")
    order.add(theirs)
    order.add(mine)
    assert {order.begin(1.0), order.begin(1.0)} == {theirs, mine}
