# SPDX-License-Identifier: Apache-2.0
"""Commands that whatever worked on them last has left with the dead letters: none vanishes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from audioengine.errors import StorageError
from audioengine.service.queues.embedded import EmbeddedQueue
from audioengine.service.queues.queue import CommandQueue
from audioengine.service.worker import worker as worker_module
from audioengine.service.worker.dead_letters import DeadLetters
from audioengine.service.worker.delete_guard import PREFIX
from tests.execution.service import ALARMS, DATA, KEPT, TEMP
from tests.service.cloud import Cloud
from tests.service.hooks import FailingWhile, InThread, Recorder
from tests.service.site import Site, delete, merge, reply_id, send, store, temp_key, wait_for

DIED = "what worked on it died, each time or at the last"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(worker_module, "WorkerProcess", InThread)
    return Site(tmp_path / "site")


@pytest.fixture(params=["embedded", "fifo"])
def queue(request: pytest.FixtureRequest, site: Site) -> CommandQueue:
    """One that hands each message out once."""
    if request.param == "embedded":
        return site.queue(max_receives=1)
    cloud: Cloud = request.getfixturevalue("cloud")
    return cloud.queue(fifo=True, max_receives=1)


def lose(queue: CommandQueue, *commands: Mapping[str, Any]) -> None:
    """As if a worker had died with these, each in hand for the last time."""
    for number, command in enumerate(commands):
        queue.send(json.dumps(command), group=f"{command.get('recordingId')}{number}")
    for message in queue.receive(10, 0):
        queue.release(message)


def end(site: Site, queue: CommandQueue, until: Callable[[], bool], **more: Any) -> None:
    with site.working(queue, settings=site.settings(visibility_s=1, wait_s=0), **more):
        wait_for(until)


def is_empty(queue: CommandQueue) -> Callable[[], bool]:
    dead = queue.dead_letters()
    assert dead is not None
    return lambda: queue.depth() == dead.depth() == 0


def is_after(queue: CommandQueue, site: Site) -> bool:
    """Whether what is sent now counts as sent after all failures that are noted."""
    names = [path.name for path in (site.root / TEMP / PREFIX).rglob("*") if path.is_file()]
    noted = [int(name.split("-")[0]) for name in names]
    return queue.now_ms() - (0 if isinstance(queue, EmbeddedQueue) else 1100) > max(noted)


def test_each_command_fails_with_its_event_and_its_alarm(site: Site, queue: CommandQueue) -> None:
    for recording in ("r0", "r1", "r2"):
        site.put(recording)
    stop = {"method": "STOPRECORDING", "recordingId": "r3", "replyId": reply_id("r3")}
    lose(queue, store("r0"), merge(["r0", "r1"], "m.mp3"), delete("r2"), stop)
    end(site, queue, is_empty(queue))
    told = {event["event"]: event["reason"] for event in site.heard()}
    assert told == {
        "STORERECORDINGFAILED": DIED,
        "MERGERECORDINGSFAILED": DIED,
        "DELETERECORDINGFAILED": DIED,
    }
    assert {alarm["type"] for alarm in site.heard(ALARMS)} == {
        "storeRecordingError",
        "mergeRecordingsError",
        "deleteRecordingError",
        "stopRecordingError",
    }
    assert len(list((site.root / TEMP).glob("*.mp3"))) == 3


def test_what_was_done_before_the_end_is_told_as_done(site: Site, queue: CommandQueue) -> None:
    """Killed between output and event: the event is that of the success, and of no other kind."""
    for recording in ("r0", "r1"):
        site.put(recording)
    commands = [store("r0"), merge(["r0", "r1"], "m.mp3"), delete("r0")]
    for number, command in enumerate(commands):
        queue.send(json.dumps(command), group=str(number))
    end(site, queue, is_empty(queue))
    first = site.heard()
    lose(queue, *commands)
    end(site, queue, is_empty(queue))
    assert sorted(map(str, site.heard()[3:])) == sorted(map(str, first))
    assert site.heard(ALARMS) == []


@pytest.mark.parametrize("also", ["alone", "while the bucket fails"])
def test_no_recording_is_deleted_that_they_were_to_keep(
    site: Site, queue: CommandQueue, also: str
) -> None:
    """The store is with the dead letters, so the queue hands out the delete that was behind it."""
    flag = site.folder / "failing"
    site.put("r0")
    stored, deleted = store("r0"), delete("r0")
    for command in (stored, deleted):
        send(queue, command)
    (message,) = queue.receive(1, 0)
    queue.release(message)
    if also != "alone":
        flag.touch()
        # What it may be that is done can't be told; the delete is told of.
        end(site, queue, lambda: bool(site.heard()), resolver=FailingWhile(flag))
        assert [event["event"] for event in site.heard()] == ["DELETERECORDINGFAILED"]
        flag.unlink()
    end(site, queue, is_empty(queue), resolver=FailingWhile(flag))
    told = site.by_command()
    assert [event["event"] for event in told[stored["replyId"]]] == ["STORERECORDINGFAILED"]
    assert [event["event"] for event in told[deleted["replyId"]]] == ["DELETERECORDINGFAILED"]
    assert (site.root / TEMP / temp_key("r0")).read_bytes() == DATA
    # Whoever knows may try again, and delete it then. SQS tells its time in whole seconds.
    wait_for(lambda: is_after(queue, site), 5)
    for command in (store("r0"), delete("r0")):
        send(queue, command)
    end(site, queue, is_empty(queue))
    assert [event["event"] for event in site.heard()[2:]] == ["RECORDINGSTORED", "RECORDINGDELETED"]


def test_what_is_no_command_stays_and_may_be_looked_at(site: Site) -> None:
    queue = site.queue(max_receives=1)
    site.put("r0")
    for number in range(15):
        queue.send("no JSON", group=str(number))
    lose(queue)
    lose(queue, store("r0"))
    end(site, queue, lambda: bool(site.heard()))
    dead = queue.dead_letters()
    # At once: they are hidden only while somebody looks.
    assert {one.body for one in dead.receive(10, 0)} == {"no JSON"}
    assert queue.dead() == 15
    assert [event["event"] for event in site.heard()] == ["STORERECORDINGFAILED"]
    assert list((site.root / KEPT).iterdir()) == []


def test_they_are_left_alone_where_that_is_set(site: Site) -> None:
    queue = site.queue(max_receives=1)
    lose(queue, store("r0"))
    site.put("r1")
    send(queue, delete("r1"))
    with site.working(queue, settings=site.settings(settle_dead_letters=False)):
        wait_for(lambda: queue.depth() == 0)
    assert queue.dead() == 1
    assert [event["event"] for event in site.heard()] == ["RECORDINGDELETED"]


def test_where_there_is_no_time_they_wait(site: Site) -> None:
    queue = site.queue(max_receives=1)
    lose(queue, store("r0"), delete("r1"))
    assert not queue.receive(10, 0)
    unused: Any = None
    letters = DeadLetters(
        queue.dead_letters,
        unused,
        is_held=lambda _id: False,
        is_late=lambda: True,
        every_s=1,
        changed=lambda: None,
    )
    with ThreadPoolExecutor(1) as pool:
        letters.look(pool)
    letters.close()
    assert len(queue.dead_letters().receive(10, 0)) == 2


class Closed(EmbeddedQueue):
    """Lets nobody look at its dead letters."""

    def dead_letters(self) -> EmbeddedQueue:
        raise StorageError("AccessDenied")


def test_who_may_not_look_at_them_works_all_the_same(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    queue = Closed(site.queue_path)
    for number in range(3):
        site.put(f"r{number}")
        send(queue, delete(f"r{number}"))
    with site.working(queue):
        wait_for(lambda: queue.depth() == 0)
    assert len(site.heard()) == 3
    assert len([line for line in caplog.messages if "can't be looked at" in line]) == 1


def test_what_is_in_work_here_is_not_ended_as_if_its_worker_had_died(site: Site) -> None:
    """Its time ran out, for the last time, but it goes on."""
    queue = EmbeddedQueue(site.queue_path, visibility_s=0.2, max_receives=1)
    recorder = Recorder(site.folder / "notes", seconds=1.5)
    send(queue, {**delete("r0"), "method": "STOPRECORDING"})
    settings = site.settings(visibility_s=1, wait_s=0)
    with site.working(queue, control=recorder, settings=settings):
        wait_for(lambda: queue.dead() == 1)
        time.sleep(1.1)
        assert queue.dead() == 1
        assert site.lines() == []
