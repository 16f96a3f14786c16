# SPDX-License-Identifier: Apache-2.0
"""Reports that come by a queue: moto's SQS, and its S3 for the catalogue."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

import audioengine as ae
from audioengine.retries import Backoff
from audioengine.service.notifications.delivery import Delivery
from audioengine.service.notifications.letter import Channel, Letter, Sender
from audioengine.service.notifications.outbox import Outbox
from audioengine.service.queues.queue import CommandQueue, Message
from audioengine.service.queues.sqs import SqsQueue
from audioengine.service.recorder.catalogue import Catalogue
from audioengine.service.recorder.intake import take_reports
from audioengine.service.recorder.reports import ReportDesk
from audioengine.service.recorder.wiring import callbacks_of
from tests.execution.service import DOMAIN, EVENTS, RECORDING, TEMP
from tests.service.cloud import Cloud
from tests.service.recorder import deployment
from tests.service.recorder.deployment import Post, report

SETTINGS = deployment.settings()


def names(post: Post) -> list[str]:
    return [json.loads(letter.body)["event"] for letter in post.to(EVENTS)]


def desk(post: Post, storage: ae.Storage | None = None) -> ReportDesk:
    return ReportDesk(
        SETTINGS, Catalogue(storage or ae.MemoryStorage(TEMP), SETTINGS), post.delivery(SETTINGS)
    )


class Polled(SqsQueue):
    """A queue that nobody waits at: moto's spin while messages wait behind others."""

    def receive(self, limit: int, wait_s: float) -> Sequence[Message]:
        found = super().receive(limit, 0)
        if not found:
            time.sleep(0.05 * wait_s)
        return found


def run(queue: CommandQueue, to: ReportDesk, until: Callable[[], bool]) -> None:
    """Take reports until something is so, which takes no long time."""
    stopping = Event()
    thread = Thread(target=take_reports, args=(queue, to, stopping), kwargs={"wait_s": 1})
    thread.daemon = True
    thread.start()
    try:
        for _ in range(500):
            if until():
                return
            stopping.wait(0.02)
        raise AssertionError("it has not come to that")
    finally:
        stopping.set()
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.usefixtures("temp_bucket")
def test_reports_are_taken_in_order_and_gone(cloud: Cloud) -> None:
    """Into S3, where commands of another process find them."""
    queue = Polled(cloud.queue_url(fifo=True))
    for event in ("RECORDINGSTARTED", "RECORDINGREADY"):
        queue.send(json.dumps(report(event)), group=RECORDING)
    post = Post()
    run(queue, desk(post, ae.S3Storage()), lambda: queue.depth() == 0)
    assert names(post) == ["RECORDINGSTARTED", "RECORDINGREADY"]
    known = Catalogue(ae.S3Storage(), SETTINGS).resolve(DOMAIN, RECORDING)
    assert known is not None
    assert known.start_time_ms == deployment.START


class Given(CommandQueue):
    """A queue that hands out what it is given, and notes what becomes of it."""

    def __init__(self, *bodies: object, max_receives: int | None = None) -> None:
        self.waiting = [
            Message(
                message_id=str(number),
                body=body if isinstance(body, str) else json.dumps(body),
                receipt="",
                receives=1,
                sent_ms=0,
                group=body.get("recordingId") if isinstance(body, dict) else None,
            )
            for number, body in enumerate(bodies)
        ]
        self.errors: list[ae.StorageError] = []
        self.deleted: list[str] = []
        self.released: list[tuple[str, int]] = []
        self._max_receives = max_receives

    def send(self, body: str, *, group: str, attributes: Any = None) -> str:
        raise NotImplementedError

    def receive(self, limit: int, wait_s: float) -> list[Message]:
        time.sleep(0.01 * wait_s)
        if self.errors:
            raise self.errors.pop(0)
        first, self.waiting = self.waiting[:limit], self.waiting[limit:]
        return first

    def extend(self, message: Message, seconds: int) -> None:
        raise NotImplementedError

    def release(self, message: Message, seconds: int = 0) -> None:
        self.released.append((message.message_id, seconds))

    def delete(self, message: Message) -> None:
        self.deleted.append(message.message_id)

    @property
    def max_receives(self) -> int | None:
        return self._max_receives

    def now_ms(self) -> int:
        raise NotImplementedError

    def depth(self) -> int:
        return len(self.waiting)


def ended(queue: Given, count: int) -> Callable[[], bool]:
    return lambda: len(queue.deleted) + len(queue.released) == count


def test_what_may_pass_comes_again_and_stops_nobody_else() -> None:
    queue = Given(report("RECORDINGREADY"), report("RECORDINGSTARTED", recordingId="another"))

    class Picky(Post):
        def send(self, letter: Letter) -> None:
            if RECORDING in letter.body:
                raise ae.StorageError("the disk is full", retryable=True)
            super().send(letter)

    post = Picky()
    run(queue, desk(post), ended(queue, 2))
    assert queue.deleted == ["1"]
    assert queue.released == [("0", 2)]
    assert names(post) == ["RECORDINGSTARTED"]


def test_no_report_waits_for_a_callback(tmp_path: Path) -> None:
    """Not for that of the report before it, and not for its own."""
    chosen = deployment.settings("http://tenant.example.com")
    queue = Given(*(report("RECORDINGSTARTED", recordingId=str(one)) for one in range(20)))
    called: list[Letter] = []

    class Tenant(Sender):
        def send(self, letter: Letter) -> None:
            called.append(letter)

    post, storage = Post(), ae.MemoryStorage(TEMP)
    senders: dict[Channel, Sender] = {"topic": post, "callback": Tenant()}
    with closing(Outbox(tmp_path / "outbox.db")) as outbox:
        taking = ReportDesk.of(
            chosen, storage, Delivery(senders, outbox, callback=callbacks_of(chosen))
        )
        run(queue, taking, ended(queue, 20))
        assert len(queue.deleted) == len(post.to(EVENTS)) == outbox.depth() == 20
        assert called == []
        assert outbox.flush(senders) == 20
    lanes = {letter.lane for letter in called}
    assert len(lanes) > 1
    assert max(lanes) < chosen.callbacks.concurrency


def test_what_is_behind_it_waits(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a queue that keeps order."""
    monkeypatch.setattr("audioengine.service.recorder.intake.REPORT", Backoff(0, 0, 0))
    queue = Polled(cloud.queue_url(fifo=True))
    for event in ("RECORDINGSTARTED", "RECORDINGREADY"):
        queue.send(json.dumps(report(event)), group=RECORDING)

    class Failing(Post):
        failures = 3

        def send(self, letter: Letter) -> None:
            self.failures -= 1
            if self.failures >= 0:
                raise ae.StorageError("the disk is full", retryable=True)
            super().send(letter)

    post = Failing()
    run(queue, desk(post), lambda: queue.depth() == 0)
    assert names(post) == ["RECORDINGSTARTED", "RECORDINGREADY"]


@pytest.mark.parametrize("max_receives", [5, None])
def test_a_poison_report_is_left_to_the_dead_letters(max_receives: int | None) -> None:
    """Where there are any; it stops nobody else."""
    poison = ["", "{", "[" * 100_000, "null", {"event": "RECORDINGREADY", "domain": 3}]
    queue = Given(*poison, report("RECORDINGREADY"), max_receives=max_receives)
    post = Post()
    run(queue, desk(post), ended(queue, 6))
    assert names(post) == ["RECORDINGREADY"]
    assert len(queue.released) == (5 if max_receives else 0)
    assert queue.deleted[-1] == "5"


def test_a_bug_stops_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Given(report("RECORDINGSTARTED", recordingId="bug"), report("RECORDINGSTARTED"))
    post = Post()
    to = desk(post)
    take = to.take

    def broken(values: Any) -> Any:
        return take(values) if values["recordingId"] == RECORDING else values["no such"]

    monkeypatch.setattr(to, "take", broken)
    run(queue, to, ended(queue, 2))
    assert names(post) == ["RECORDINGSTARTED"]


def test_a_queue_that_fails_for_a_while_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audioengine.service.recorder.intake.REPORT", Backoff(0.01, 0.01, 0))
    queue = Given(report("RECORDINGSTARTED"))
    queue.errors = [ae.StorageError("throttled", retryable=True)] * 3
    queue.errors += [ae.StorageError("no such queue")]
    run(queue, desk(Post()), ended(queue, 1))
    assert queue.deleted == ["0"]
