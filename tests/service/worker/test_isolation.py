# SPDX-License-Identifier: Apache-2.0
"""One tenant's trouble stays its own: the worker's part."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import audioengine as ae
from audioengine.commands.requests import CancelRecording, StopRecording
from audioengine.execution.context import Control
from audioengine.service.notifications.letter import Letter
from audioengine.service.queues.embedded import EmbeddedQueue
from audioengine.service.queues.queue import Message
from audioengine.service.worker import worker as worker_module
from audioengine.service.worker.settlement import Settlement
from tests.execution.service import DATA, DOMAIN, OTHER, OTHERS, TEMP, token
from tests.service.hooks import InThread
from tests.service.senders import Unsteady
from tests.service.site import Site, delete, send, store, temp_key, wait_for


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(worker_module, "WorkerProcess", InThread)
    return Site(tmp_path / "site")


@dataclass
class Recorder(Control):
    """Refuses for a while whatever a tenant asks of it, after it has let it wait."""

    hangs: threading.Event | None = None
    begun: list[str] = field(default_factory=list)

    def pass_on(self, command: StopRecording | CancelRecording, domain: str) -> None:
        assert domain == DOMAIN
        self.begun.append(command.recording_id)
        if self.hangs is not None and command.recording_id != "first":
            assert self.hangs.wait(60)
        raise ae.StorageError("503", retryable=True)


def stop(recording: str) -> dict[str, str]:
    reply = token(recordingId=recording, tempKey=temp_key(recording))
    return {"method": "STOPRECORDING", "recordingId": recording, "replyId": reply}


def others_store(site: Site, recording: str) -> dict[str, Any]:
    """A command of the other tenant."""
    place = site.storage.place(TEMP, temp_key(recording))
    staging = site.storage.staging(place.location, ae.S3Options(metadata={"domain": OTHER}))
    staging.write(DATA)
    staging.publish()
    staging.close()
    reply = token(recordingId=recording, tempKey=temp_key(recording), domain=OTHER)
    return store(recording, destinationBucket=OTHERS, replyId=reply)


def is_told(site: Site, recording: str) -> Callable[[], bool]:
    return lambda: any(event.get("recordingId") == recording for event in site.heard())


def test_retries_that_wait_hold_up_no_other_tenant(site: Site) -> None:
    queue, recorder = site.queue(max_receives=None), Recorder()
    for number in range(120):
        send(queue, stop(f"r{number}"))
    send(queue, others_store(site, "theirs"))
    with site.working(queue, control=recorder, settings=site.settings(backoff_s=600)) as worker:
        wait_for(is_told(site, "theirs"), 30)
        wait_for(lambda: worker.away() == 50)
        wait_for(lambda: worker.held() == 70)  # in hand, and not tried: each try counts
    (event,) = site.heard()
    assert event["event"] == "RECORDINGSTORED"
    assert len(recorder.begun) == len(set(recorder.begun)) == 50


def test_what_waits_for_them_holds_up_no_other_tenant_either(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond a bound it is given back, and keeps its place all the same."""
    monkeypatch.setattr(worker_module, "_MOST_OF_TENANT", 20)
    monkeypatch.setattr(worker_module, "_GIVEN_BACK_S", 1)
    queue, recorder = site.queue(max_receives=None), Recorder()
    site.put("r0")
    queue.send(json.dumps(stop("r0")), group="first")
    for number in range(60):  # as a queue without order hands them out
        queue.send(json.dumps(store("r0", f"{number}.mp3")), group=str(number))
    send(queue, others_store(site, "theirs"))
    settings = site.settings(backoff_s=3, max_receives=2)
    with site.working(queue, control=recorder, settings=settings) as worker:
        wait_for(is_told(site, "theirs"), 30)
        assert worker.held() <= 20 + 2
        assert recorder.begun == ["r0"]
        assert len(site.heard()) == 1
        wait_for(lambda: queue.depth() == 0)
    assert recorder.begun == ["r0"] * 2
    assert len(site.heard()) == 61


def test_tries_that_hang_leave_a_process_to_others(site: Site) -> None:
    queue, recorder = site.queue(max_receives=None), Recorder(hangs=threading.Event())
    assert recorder.hangs is not None
    send(queue, stop("first"))
    with site.working(queue, control=recorder, settings=site.settings(backoff_s=600)) as worker:
        wait_for(lambda: worker.away() == 1)
        for number in range(8):
            send(queue, stop(f"r{number}"))
        send(queue, others_store(site, "theirs"))
        wait_for(is_told(site, "theirs"), 30)
        assert len(recorder.begun) == 2
        recorder.hangs.set()


class Slow(Unsteady):
    """A tenant whose endpoint takes its time, which a test gives."""

    def __init__(self) -> None:
        super().__init__()
        self.may = threading.Event()

    def send(self, letter: Letter) -> None:
        if letter.address == DOMAIN:
            assert self.may.wait(60)
        super().send(letter)


def callback(event: Mapping[str, Any], domain: str | None) -> Letter:
    return Letter(channel="callback", address=str(domain), body=json.dumps(event))


def test_no_command_waits_for_a_callback(site: Site) -> None:
    queue, topics, tenants = site.queue(), Unsteady(), Slow()
    for number in range(30):
        site.put(f"r{number}")
        send(queue, store(f"r{number}"))
    send(queue, others_store(site, "theirs"))
    from audioengine.service.worker.assembly import worker_of

    senders: Any = {"topic": topics, "callback": tenants}
    made = worker_of(site.settings(), queue=queue, senders=senders, callback=callback)
    with made as worker:
        thread = threading.Thread(target=worker.run)
        thread.start()
        wait_for(lambda: queue.depth() == 0, 30)
        wait_for(lambda: tenants.bodies(OTHER), 30)
        assert not tenants.bodies(DOMAIN)
        tenants.may.set()
        wait_for(lambda: len(tenants.bodies(DOMAIN)) == 30)
        worker.stop()
        thread.join()


class Dead(EmbeddedQueue):
    """Counts what is asked of its dead letters."""

    asked: Counter[str]

    def dead_letters(self) -> EmbeddedQueue:
        made = Watched(self._path, visibility_s=self._visibility_s, max_receives=None, is_dead=True)
        made.asked = self.asked
        return made


class Watched(EmbeddedQueue):
    asked: Counter[str]

    def receive(self, limit: int, wait_s: float) -> Sequence[Message]:
        self.asked["receive"] += 1
        return super().receive(limit, wait_s)

    def release(self, message: Message, seconds: int = 0) -> None:
        self.asked["release"] += 1
        super().release(message, seconds)


@pytest.fixture
def dead(site: Site) -> Iterator[Dead]:
    """A queue with very many dead letters that are nobody's."""
    queue = Dead(site.queue_path, visibility_s=30, max_receives=1)
    queue.asked = Counter()
    with queue._database.writing() as connection:
        for number in range(250):
            connection.execute(
                "INSERT INTO messages (id, body, of_group, attributes, sent_ms, since, due_at,"
                " receives, is_dead) VALUES (?, 'no JSON', 'g', '{}', 1, 0, 0, 1, 1)",
                (f"foreign{number}",),
            )
    yield queue
    queue.close()


def test_dead_letters_of_others_are_looked_at_once(
    site: Site, dead: Dead, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They slow no delete, and hide no command that is behind them."""
    settled: Counter[str] = Counter()
    settle = Settlement.settle_dead_letter

    def counted(self: Settlement, message: Message) -> bool | None:
        settled[message.message_id] += 1
        return settle(self, message)

    monkeypatch.setattr(Settlement, "settle_dead_letter", counted)
    site.put("r0")
    lost = send(dead, store("r0"))
    for message in dead.receive(10, 0):
        dead.release(message)
    for number in range(1, 31):
        site.put(f"r{number}")
        send(dead, delete(f"r{number}"))
    with site.working(dead, settings=site.settings(max_receives=1)):
        wait_for(lambda: dead.depth() == 0 and is_told(site, "r0")() and dead.dead() == 250)
        wait_for(lambda: len(settled) == 251)
    kinds = Counter(event["event"] for event in site.heard())
    assert kinds == {"RECORDINGDELETED": 30, "STORERECORDINGFAILED": 1}
    assert settled[lost] == 1
    assert set(settled.values()) == {1}
    # Once through all of them, and once for each time that a delete has asked.
    assert dead.asked["receive"] <= 27 + 32
    seen = dead.dead_letters().receive(10, 0)
    assert len(seen) == 10  # at once, for whoever looks


def test_a_delete_waits_for_what_it_depends_on_alone(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not for dead commands of others, which may be very many."""
    queue, may = site.queue(max_receives=1), threading.Event()
    settle = Settlement.settle_dead_letter

    def slow(self: Settlement, message: Message) -> bool | None:
        assert may.wait(60)
        return settle(self, message)

    monkeypatch.setattr(Settlement, "settle_dead_letter", slow)
    for name in ("r0", "r1"):
        site.put(name)
    send(queue, store("r0"))
    for message in queue.receive(10, 0):
        queue.release(message)
    for name in ("r0", "r1"):
        send(queue, delete(name))
    with site.working(queue, settings=site.settings(max_receives=1)):
        wait_for(is_told(site, "r1"), 30)
        time.sleep(0.2)
        assert not is_told(site, "r0")()
        may.set()
        wait_for(lambda: queue.depth() == 0)
    told = [(event["event"], event["recordingId"]) for event in site.heard()]
    assert told[0] == ("RECORDINGDELETED", "r1")
    assert set(told[1:]) == {("STORERECORDINGFAILED", "r0"), ("DELETERECORDINGFAILED", "r0")}
    assert (site.root / TEMP / temp_key("r0")).exists()
