# SPDX-License-Identifier: Apache-2.0
"""What every kind of queue promises: SQS's two, over HTTP, and the embedded one."""

from __future__ import annotations

import multiprocessing
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias
from uuid import uuid4

import pytest

import audioengine as ae
from audioengine.service.aws_clients import aws_client
from audioengine.service.queues.embedded import EmbeddedQueue
from audioengine.service.queues.queue import CommandQueue, Message
from audioengine.service.queues.sqs import SqsQueue
from tests.service.cloud import Cloud

Maker: TypeAlias = Callable[..., CommandQueue]


@pytest.fixture(params=["embedded", "standard", "fifo"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Maker]:
    """Makes a queue of one kind; each test makes one."""
    opened: list[EmbeddedQueue] = []

    def made(*, visibility_s: int = 30, max_receives: int | None = None) -> CommandQueue:
        if request.param == "embedded":
            path = tmp_path / "queue.db"
            queue = EmbeddedQueue(path, visibility_s=visibility_s, max_receives=max_receives)
            opened.append(queue)
            return queue
        cloud: Cloud = request.getfixturevalue("cloud")
        fifo = request.param == "fifo"
        return cloud.queue(fifo=fifo, visibility_s=visibility_s, max_receives=max_receives)

    yield made
    for queue in opened:
        queue.close()


def one(queue: CommandQueue, wait_s: float = 5) -> Message:
    (message,) = queue.receive(1, wait_s)
    return message


def test_a_message_comes_as_it_was_sent_and_is_gone_when_it_is_deleted(make: Maker) -> None:
    queue = make()
    before = time.time() * 1000
    sent = queue.send('{"ä": "\\u0001"}', group="gr øup/1", attributes={"dialect": "rest"})
    message = one(queue)
    assert (message.message_id, message.body) == (sent, '{"ä": "\\u0001"}')
    assert (message.receives, message.attributes) == (1, {"dialect": "rest"})
    assert before - 1000 < message.sent_ms < before + 10_000
    assert queue.depth() == 1
    queue.delete(message)
    assert queue.depth() == 0
    assert queue.receive(10, 0) == [] or queue.receive(10, 0) == ()


def test_a_queue_tells_its_own_time_and_never_too_early(
    make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever this machine believes."""
    queue = make()
    queue.send("before", group="a")
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - 20)
    monkeypatch.setattr(time, "time_ns", lambda: int((real() - 20) * 1e9))
    now_ms = queue.now_ms()
    message = one(queue)
    assert message.sent_ms <= now_ms < message.sent_ms + 5000
    monkeypatch.undo()
    queue.send("after", group="b")
    assert now_ms - 1100 < one(queue).sent_ms
    assert isinstance(queue, SqsQueue) or one_sent_ms(queue) > now_ms


def one_sent_ms(queue: CommandQueue) -> int:
    """When a message is sent that is sent now."""
    queue.send("now", group=str(uuid4()))
    return max(message.sent_ms for message in queue.receive(10, 1))


@pytest.mark.parametrize(
    ("kind", "step_s"), [("of the day", -3600), ("of the day", 3600), ("of the machine", -3600)]
)
def test_a_clock_that_is_set_stalls_no_embedded_queue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, step_s: float
) -> None:
    """That of the machine begins anew with a boot, and then another process uses the file."""
    now = [10_000.0]
    path = tmp_path / "queue.db"

    def opened() -> EmbeddedQueue:
        return EmbeddedQueue(path, visibility_s=10, clock=lambda: now[0])

    queue = opened()
    for body in ("held", "released", "sent"):
        queue.send(body, group=body)
    held, released = queue.receive(2, 0)
    queue.release(released, 5)
    if kind == "of the day":
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + step_s)
    else:
        queue.close()
        now[0] += step_s
        queue = opened()
    assert [message.body for message in queue.receive(10, 0)] == ["sent"]
    now[0] += 5
    assert [message.body for message in queue.receive(10, 0)] == ["released"]
    queue.extend(held, 10)
    now[0] += 5.5
    assert not any(message.body == "held" for message in queue.receive(10, 0))
    now[0] += 5
    assert any(message.body == "held" for message in queue.receive(10, 0))
    assert one_sent_ms(queue) > held.sent_ms
    queue.close()


def test_nobody_else_gets_a_message_until_its_time_is_over_or_it_is_released(make: Maker) -> None:
    queue = make(visibility_s=1)
    queue.send("a", group="g")
    first = one(queue)
    assert not queue.receive(1, 0)
    queue.extend(first, 3)
    time.sleep(1.2)
    assert not queue.receive(1, 0)  # moto frees a group after the queue's own time
    queue.release(first)
    second = one(queue)
    assert (second.message_id, second.receives) == (first.message_id, 2)
    assert second.receipt != first.receipt
    queue.release(second, 1)
    assert not queue.receive(1, 0)
    assert one(queue).receives == 3


def test_a_wait_ends_as_soon_as_there_is_a_message(make: Maker) -> None:
    queue = make()
    began = time.monotonic()
    assert not queue.receive(10, 1)
    assert 0.9 < time.monotonic() - began < 3
    queue.send("a", group="g")
    began = time.monotonic()
    assert one(queue, wait_s=10).body == "a"
    assert time.monotonic() - began < 2


def test_after_its_last_receive_a_message_is_with_the_dead_letters(make: Maker) -> None:
    queue = make(max_receives=2)
    assert queue.max_receives == 2
    queue.send("a", group="g")
    for receives in (1, 2):
        message = one(queue)
        assert message.receives == receives
        queue.release(message)
    assert not queue.receive(1, 0)
    assert queue.depth() == 0


def test_dead_letters_are_handed_out_again_and_again_until_they_are_deleted(make: Maker) -> None:
    queue = make(max_receives=1)
    sent = [queue.send(body, group="g", attributes={"dialect": "rest"}) for body in "ab"]
    for _ in sent:
        for message in queue.receive(10, 1):
            queue.release(message)
    assert not queue.receive(10, 0)
    dead = queue.dead_letters()
    assert dead is not None
    assert (dead.depth(), dead.max_receives) == (2, None)
    for _ in range(2):
        messages = dead.receive(10, 1)
        assert [(one.message_id, one.body) for one in messages] == list(
            zip(sent, "ab", strict=True)
        )
        assert messages[0].attributes == {"dialect": "rest"}
        assert not dead.receive(10, 0)
        for message in messages:
            dead.release(message)
    for message in dead.receive(10, 1):
        dead.extend(message, 5)
        dead.delete(message)
    assert dead.depth() == queue.depth() == 0
    dead.close()


def test_of_dead_letters_that_queues_share_each_gets_its_own(cloud: Cloud) -> None:
    queue = cloud.queue(max_receives=1)
    dead = queue.dead_letters()
    assert dead is not None
    for body in ("ours", "theirs", "a person's"):
        dead.send(body, group="g")
    arns = {"ours": queue._attributes("QueueArn")["QueueArn"], "theirs": "arn:aws:sqs:x:1:other"}

    def tell_source(parsed: dict[str, Any], **_: Any) -> None:  # moto does not
        for one in parsed["Messages"]:
            if one["Body"] in arns:
                one["Attributes"]["DeadLetterQueueSourceArn"] = arns[one["Body"]]

    aws_client("sqs", None, None).meta.events.register("after-call.sqs.ReceiveMessage", tell_source)
    assert {one.body for one in dead.receive(10, 1)} == {"ours", "a person's"}
    # Those of others are let go at once.
    assert {one.body for one in SqsQueue(dead._url).receive(10, 1)} == {"theirs"}


def test_without_dead_letters_there_is_no_last_receive(make: Maker) -> None:
    queue = make()
    assert queue.max_receives is None
    assert isinstance(queue, EmbeddedQueue) or queue.dead_letters() is None


@pytest.mark.parametrize("kind", ["embedded", "fifo"])
def test_messages_of_a_group_come_in_order_and_no_two_at_once(
    kind: str, tmp_path: Path, cloud: Cloud
) -> None:
    queue: CommandQueue = EmbeddedQueue(tmp_path / "queue.db")
    if kind == "fifo":
        queue = cloud.queue(fifo=True)
    for number in range(3):
        for group in ("a", "b"):
            queue.send(f"{group}{number}", group=group)
    got: dict[str, list[str]] = {"a": [], "b": []}
    for number in range(3):
        messages = [*queue.receive(1, 2), *queue.receive(1, 2)]
        assert {message.group for message in messages} == {"a", "b"}
        assert not queue.receive(1, 0)
        if number == 0:  # what is hidden for a while holds up those behind it
            queue.release(messages[0], 1)
            assert not queue.receive(1, 0)
            (again,) = queue.receive(1, 3)
            assert again.message_id == messages[0].message_id
            messages[0] = again
        for message in messages:
            got[str(message.group)].append(message.body)
            queue.delete(message)
    assert got == {"a": ["a0", "a1", "a2"], "b": ["b0", "b1", "b2"]}


def test_who_held_a_message_before_can_no_longer_delete_it(tmp_path: Path) -> None:
    queue = EmbeddedQueue(tmp_path / "queue.db", visibility_s=0)
    queue.send("a", group="g")
    first, second = one(queue), one(queue)
    for late in (queue.delete, queue.release, lambda message: queue.extend(message, 9)):
        with pytest.raises(ae.StorageError, match="handed out to another"):
            late(first)
    queue.delete(second)
    with pytest.raises(ae.InvalidRequestError, match="limit"):
        queue.receive(11, 0)


def _take_all(path: str, taken: multiprocessing.Queue[str]) -> None:
    queue = EmbeddedQueue(path)
    while messages := queue.receive(3, 0.2):
        for message in messages:
            taken.put(message.body)
            queue.delete(message)
    taken.put("")


def test_processes_share_the_embedded_queue_and_it_survives_them(tmp_path: Path) -> None:
    path = str(tmp_path / "queue.db")
    queue = EmbeddedQueue(path)
    for number in range(60):
        queue.send(str(number), group=str(number % 20))
    queue.close()
    assert stat.S_IMODE((tmp_path / "queue.db").stat().st_mode) == 0o600
    context = multiprocessing.get_context("spawn")
    taken = context.Queue()
    workers = [context.Process(target=_take_all, args=(path, taken), daemon=True) for _ in range(2)]
    for worker in workers:
        worker.start()
    got: list[str] = []
    while got.count("") < len(workers):
        got.append(taken.get(timeout=30))
    for worker in workers:
        worker.join()
    assert sorted(filter(None, got), key=int) == [str(number) for number in range(60)]
    assert EmbeddedQueue(path).depth() == 0


def test_a_queue_that_is_not_there_is_an_error_that_does_not_pass(
    cloud: Cloud, tmp_path: Path
) -> None:
    with pytest.raises(ae.StorageError, match="NonExistentQueue") as caught:
        SqsQueue(f"{cloud.url}/123456789012/nothing").receive(1, 0)
    assert not caught.value.retryable
    with pytest.raises(ae.StorageError, match="can't use the database"):
        EmbeddedQueue(tmp_path / "no" / "queue.db")


def test_a_queue_that_can_t_be_reached_may_be_reached_later(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    assert cloud.url
    queue = SqsQueue("http://127.0.0.1:9/1/q", endpoint_url="http://127.0.0.1:9")
    with pytest.raises(ae.StorageError) as caught:
        queue.send('{"replyId": "x.y.z"}', group="g")
    assert caught.value.retryable
    assert "x.y.z" not in str(caught.value)
