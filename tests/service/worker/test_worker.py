# SPDX-License-Identifier: Apache-2.0
"""The worker, with an embedded queue and folders as buckets."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import audioengine as ae
from audioengine.commands.alarms import parse_alarm
from audioengine.commands.named_recordings import recordings_of
from audioengine.errors import StorageError
from audioengine.service.metrics import Metrics
from audioengine.service.notifications.delivery import Delivery
from audioengine.service.queues.embedded import EmbeddedQueue
from audioengine.service.queues.queue import Message
from audioengine.service.worker import worker as worker_module
from audioengine.service.worker.assembly import worker_of
from audioengine.service.worker.queued_command import Deployment, QueuedCommand
from audioengine.service.worker.settlement import Settlement
from tests.execution.service import ALARMS, DATA, EVENTS, KEPT, TEMP
from tests.service.hooks import Deadly, FailingWhile, InThread, Recorder
from tests.service.senders import Unsteady
from tests.service.site import Site, delete, merge, reply_id, send, store, temp_key, wait_for


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "site")


@pytest.fixture
def in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands are carried out in this process."""
    monkeypatch.setattr(worker_module, "WorkerProcess", InThread)


def stop_command(recording: str) -> dict[str, str]:
    return {"method": "STOPRECORDING", "recordingId": recording, "replyId": reply_id(recording)}


def test_commands_are_carried_out_in_processes_told_of_and_deleted(site: Site) -> None:
    queue, metrics = site.queue(), Metrics()
    commands = []
    for number in range(6):
        site.put(f"r{number}")
        commands += [store(f"r{number}"), delete(f"r{number}")]
    for command in commands:
        send(queue, command)
    with site.working(queue, metrics=metrics):
        wait_for(lambda: queue.depth() == 0)
        assert b"audioengine_outbox_depth 0.0" in metrics.text()
    told = site.by_command()
    for command in commands:
        (event,) = told[command["replyId"]]
        wanted = {"STORERECORDING": "RECORDINGSTORED", "DELETERECORDING": "RECORDINGDELETED"}
        assert event["event"] == wanted[command["method"]]
    made = io.BytesIO()
    ae.store(DATA, made, ae.Modification.from_params(commands[0]["modificationParams"]))
    outputs = sorted((site.root / KEPT).glob("*.mp3"))
    assert len(outputs) == 6
    assert {path.read_bytes() for path in outputs} == {made.getvalue()}
    assert list((site.root / TEMP).glob("*.mp3")) == []
    text = metrics.text().decode()
    seconds = ae.inspect(DATA).duration_ms / 1000
    assert 'audioengine_commands_total{kind="STORERECORDING",outcome="done"} 6.0' in text
    assert f"audioengine_audio_seconds_total {6 * seconds}" in text
    for name in ("remade_seconds_total", "queue_age_seconds", "commands_held 0.0"):
        assert f"audioengine_{name}" in text
    for stage in ("queue", "turn", "execute", "deliver", "delete"):
        assert f'audioengine_stage_seconds_count{{stage="{stage}"}} 12.0' in text


@pytest.mark.usefixtures("in_threads")
def test_commands_on_a_recording_run_in_order_a_merge_after_all_that_it_names(site: Site) -> None:
    queue = site.queue()
    for recording in ("r0", "r1"):
        site.put(recording)
    commands = [
        store("r0", modificationParams={"trim": {"from": 0.1}}),
        store("r1"),
        merge(["r0", "r1"], "both.mp3"),
        delete("r1"),
        delete("r0"),
    ]
    for number, command in enumerate(commands):
        # A group each: the queue hands them all out, and the order is the worker's alone.
        queue.send(json.dumps(command), group=str(number))
    with site.working(queue, settings=site.settings(processes=4)):
        wait_for(lambda: queue.depth() == 0)
    told = [(event["event"], event.get("recordingId")) for event in site.heard()]
    assert sorted(told[:2]) == [("RECORDINGSTORED", "r0"), ("RECORDINGSTORED", "r1")]
    assert told[2] == ("RECORDINGSMERGED", None)
    assert sorted(told[3:]) == [("RECORDINGDELETED", "r0"), ("RECORDINGDELETED", "r1")]


@pytest.mark.usefixtures("in_threads")
def test_what_may_pass_is_tried_again_and_nothing_overtakes_it(site: Site) -> None:
    """The bucket fails for a while: only then is the temporary recording deleted."""
    queue, flag = site.queue(max_receives=None), site.folder / "failing"
    flag.touch()
    site.put("r0")
    site.put("other")
    for command in (store("r0"), delete("r0"), store("other")):
        send(queue, command)
    metrics = Metrics()
    with site.working(
        queue,
        resolver=FailingWhile(flag),
        metrics=metrics,
        settings=site.settings(max_receives=10_000),
    ):
        wait_for(lambda: site.heard() and b'outcome="retried"' in metrics.text())
        assert [event["recordingId"] for event in site.heard()] == ["other"]
        assert (site.root / TEMP / temp_key("r0")).exists()
        flag.unlink()
        wait_for(lambda: queue.depth() == 0)
    told = [event["event"] for event in site.heard()]
    assert told == ["RECORDINGSTORED", "RECORDINGSTORED", "RECORDINGDELETED"]
    assert site.heard(ALARMS) == []


@pytest.mark.usefixtures("in_threads")
def test_on_the_last_receive_a_command_fails_with_its_event_and_its_alarm(site: Site) -> None:
    queue, flag = site.queue(max_receives=3), site.folder / "failing"
    settings = site.settings(max_receives=99)  # the queue knows better
    flag.touch()
    site.put("r0")
    command = store("r0", encryptionKey="c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I=")
    send(queue, command)
    send(queue, delete("r0"))
    send(queue, merge(["r0"], "m.mp3"))
    with site.working(queue, resolver=FailingWhile(flag), settings=settings):
        wait_for(lambda: queue.depth() == 0)
    assert queue.dead() == 0
    failed, kept, merged = site.heard()
    assert failed == {
        "event": "STORERECORDINGFAILED",
        "commandQueue": failed["commandQueue"],
        "commandRegion": "eu-west-1",
        "domain": "sip.example.com",
        "reason": "the bucket does not answer",
        "recordingId": "r0",
        "replyId": command["replyId"],
    }
    # It was sent before anyone could know that the store fails.
    assert kept["event"] == "DELETERECORDINGFAILED"
    assert "a command before this one failed to keep it" in kept["reason"]
    assert (site.root / TEMP / temp_key("r0")).exists()
    assert merged["event"] == "MERGERECORDINGSFAILED"
    alarms = site.heard(ALARMS)
    assert [parse_alarm(alarm)[0].type for alarm in alarms] == [
        "storeRecordingError",
        "deleteRecordingError",
        "mergeRecordingsError",
    ]
    assert json.loads(alarms[0]["event"]) == {**command, "encryptionKey": "***"}
    flag.unlink()
    send(queue, delete("r0"))  # from somebody who knows
    with site.working(queue, resolver=FailingWhile(flag)):
        wait_for(lambda: queue.depth() == 0)
    assert site.heard()[-1]["event"] == "RECORDINGDELETED"


@pytest.mark.usefixtures("in_threads")
def test_a_recording_that_was_not_kept_is_not_deleted_by_another_worker_either(site: Site) -> None:
    """The one that knew was killed, say."""
    queue = site.queue()
    site.put("r0")
    send(queue, store("r0", destinationBucket="elsewhere"))
    late = EmbeddedQueue(site.folder / "late.db")
    send(late, delete("r0"))
    with site.working(queue):
        wait_for(lambda: queue.depth() == 0)
    with site.working(late):
        wait_for(lambda: late.depth() == 0)
    assert [event["event"] for event in site.heard()] == [
        "STORERECORDINGFAILED",
        "DELETERECORDINGFAILED",
    ]
    assert (site.root / TEMP / temp_key("r0")).exists()


@pytest.mark.usefixtures("in_threads")
@pytest.mark.parametrize("offset_s", [-20, 20])
def test_order_is_the_queue_s_whatever_clock_the_worker_has(
    site: Site, monkeypatch: pytest.MonkeyPatch, offset_s: float
) -> None:
    queue = site.queue()
    for number in range(3):
        site.put(f"r{number}")
        for command in (store(f"r{number}", destinationBucket="elsewhere"), delete(f"r{number}")):
            queue.send(json.dumps(command), group=f"{command['method']}{number}")  # in no order
    now, now_ns = time.time, time.time_ns
    monkeypatch.setattr(time, "time", lambda: now() + offset_s)
    monkeypatch.setattr(time, "time_ns", lambda: now_ns() + int(offset_s * 1e9))
    with site.working(queue):
        wait_for(lambda: queue.depth() == 0)
        assert len(site.heard()) == 6
        assert len(list((site.root / TEMP).glob("*.mp3"))) == 3
        monkeypatch.setattr(time, "time", now)
        monkeypatch.setattr(time, "time_ns", now_ns)
        # Whoever knows may delete it, whatever clock they have.
        send(queue, delete("r0"))
        wait_for(lambda: queue.depth() == 0)
    assert site.heard()[-1]["event"] == "RECORDINGDELETED"


@pytest.mark.usefixtures("in_threads")
def test_a_worker_deletes_notes_that_are_too_old(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.uniform", lambda *_: 0)
    notes = site.root / TEMP / ".audioengine" / "unkept" / "domain" / "recording"
    notes.mkdir(parents=True)
    for name, days in (("1-aa", 17), ("2-bb", 15)):
        (notes / name).write_text("null")
        then = time.time() - days * 86_400
        os.utime(notes / name, (then, then))
    values = site.values()
    values["fallbacks"]["temp_bucket"] = TEMP
    with site.working(settings=ae.Settings(**values)):
        wait_for(lambda: not (notes / "1-aa").exists(), 10)
    assert (notes / "2-bb").exists()


@pytest.mark.usefixtures("in_threads")
def test_while_a_store_is_tried_again_no_other_worker_deletes_its_recording(site: Site) -> None:
    """A queue without order hands the delete to another worker meanwhile."""
    queue, flag, metrics = site.queue(max_receives=None), site.folder / "failing", Metrics()
    late = EmbeddedQueue(site.folder / "late.db")
    site.put("r0")
    send(queue, store("r0"))
    send(late, delete("r0"))
    flag.touch()
    with site.working(
        queue,
        resolver=FailingWhile(flag),
        metrics=metrics,
        settings=site.settings(max_receives=10_000),
    ):
        again = {"kind": "STORERECORDING", "outcome": "retried"}
        counted = metrics.registry.get_sample_value
        wait_for(lambda: (counted("audioengine_commands_total", again) or 0) >= 2)
    with site.working(late):
        wait_for(lambda: late.depth() == 0)
    assert [event["event"] for event in site.heard()] == ["DELETERECORDINGFAILED"]
    send(queue, delete("r0"))
    with site.working(queue):
        wait_for(lambda: queue.depth() == 0)
    assert [event["event"] for event in site.heard()[1:]] == ["RECORDINGSTORED", "RECORDINGDELETED"]
    assert not [path for path in (site.root / TEMP).rglob("*") if path.is_file()]


@pytest.mark.usefixtures("in_threads")
def test_a_later_delete_waits_while_it_is_not_known_whether_a_store_fails(site: Site) -> None:
    """Its worker was killed, say, and another queue, or one without order, hands the delete out."""
    queue, late = site.queue(max_receives=1), EmbeddedQueue(site.folder / "late.db")
    site.put("r0")
    send(queue, store("r0"))
    (message,) = queue.receive(1, 0)
    queue.release(message)
    settings = site.settings()
    deployment = Deployment(settings=settings)
    settlement = Settlement(queue, Delivery({"topic": Unsteady()}, None), deployment, Metrics())
    settlement.before_attempt(message, recordings_of(message.body))
    noted_ms = queue.now_ms()
    wait_for(lambda: late.now_ms() > noted_ms)
    send(late, delete("r0"))
    metrics = Metrics()
    with site.working(late, metrics=metrics, settings=site.settings(max_receives=1000)):
        again = {"kind": "DELETERECORDING", "outcome": "retried"}
        counted = metrics.registry.get_sample_value
        wait_for(lambda: (counted("audioengine_commands_total", again) or 0) >= 2)
        assert site.lines() == []
        assert (site.root / TEMP / temp_key("r0")).exists()
        settlement.settle(message, deployment.execute(QueuedCommand.of(message)), ["r0"])
        wait_for(lambda: late.depth() == 0)
    assert [event["event"] for event in site.heard()] == ["RECORDINGDELETED"]


@pytest.mark.usefixtures("in_threads")
def test_what_is_no_command_is_left_to_the_dead_letters(site: Site) -> None:
    queue = site.queue(max_receives=2)
    for number, body in enumerate(["no JSON", "[]", '{"method": "DANCE"}', "[" * 100_000]):
        queue.send(body, group=str(number))
    queue.send('{"method": "STORERECORDING"}', group="5")  # this has an alarm
    with site.working(queue):
        wait_for(lambda: queue.depth() == 0 and site.heard(ALARMS))
    assert queue.dead() == 4
    assert site.heard() == []
    (alarm,) = site.heard(ALARMS)
    assert alarm["type"] == "storeRecordingError"
    # Without dead letters they are dropped at last.
    endless = EmbeddedQueue(site.folder / "endless.db", max_receives=None)
    endless.send("no JSON", group="1")
    with site.working(endless, settings=site.settings(max_receives=2)):
        wait_for(lambda: endless.depth() == 0)


@pytest.mark.usefixtures("in_threads")
def test_topics_that_fail_for_a_while_lose_nothing_and_keep_order(site: Site) -> None:
    queue, topics = site.queue(), Unsteady({EVENTS, ALARMS})
    commands = []
    for number in range(4):
        site.put(f"r{number}")
        commands += [store(f"r{number}"), delete(f"r{number}")]
        for command in commands[-2:]:
            send(queue, command)
    with site.working(queue, topics=topics):
        wait_for(lambda: queue.depth() == 0)
    assert topics.taken == []
    topics.down.clear()
    with site.working(queue, topics=topics):  # which knows of it by the outbox alone
        site.put("late")
        send(queue, store("late"))
        wait_for(lambda: len(topics.bodies(EVENTS)) == 9 and len(topics.bodies(ALARMS)) >= 8)
    events = [json.loads(body) for body in topics.bodies(EVENTS)]
    for number in range(4):
        told = [one["event"] for one in events if one["recordingId"] == f"r{number}"]
        assert told == ["RECORDINGSTORED", "RECORDINGDELETED"]
    alarms = [json.loads(body) for body in topics.bodies(ALARMS)]
    assert {alarm["type"] for alarm in alarms} == {"eventNotificationError"}
    told_of = [json.loads(alarm["event"])["replyId"] for alarm in alarms]
    assert set(told_of) >= {command["replyId"] for command in commands}


class Deaf(EmbeddedQueue):
    """Keeps no message for longer, and can't delete what it is told for the first time."""

    refusals = 0

    def extend(self, message: Message, seconds: int) -> None:
        raise StorageError(f"{message.message_id}: {seconds}", retryable=True)

    def delete(self, message: Message) -> None:
        if self.refusals:
            self.refusals -= 1
            raise StorageError("no", retryable=False)
        super().delete(message)


@pytest.mark.usefixtures("in_threads")
def test_what_is_handed_out_again_while_it_is_in_work_is_not_begun_twice(site: Site) -> None:
    queue = Deaf(site.queue_path, visibility_s=0.3)
    recorder = Recorder(site.folder / "notes", seconds=1.5)
    send(queue, stop_command("r0"))
    with site.working(queue, control=recorder, settings=site.settings(wait_s=0)):
        wait_for(lambda: queue.depth() == 0)
    assert recorder.noted() == ["STOPRECORDING r0 sip.example.com"]
    assert site.lines() == []


@pytest.mark.usefixtures("in_threads")
def test_a_command_whose_message_can_t_be_deleted_tells_the_same_again(site: Site) -> None:
    queue = Deaf(site.queue_path, visibility_s=1)
    queue.refusals = 1
    site.put("r0")
    send(queue, store("r0"))
    metrics = Metrics()
    with site.working(queue, metrics=metrics):
        wait_for(lambda: queue.depth() == 0)
    first, second = site.lines()
    assert first["attributes"]["commandDigest"]
    assert {**first, "time": ""} == {**second, "time": ""}
    assert b'{kind="STORERECORDING",outcome="repeated"} 1.0' in metrics.text()


@pytest.mark.usefixtures("in_threads")
def test_a_long_command_is_kept_from_other_workers(site: Site) -> None:
    queue = EmbeddedQueue(site.queue_path, visibility_s=1)
    recorder = Recorder(site.folder / "notes", seconds=3)
    settings = site.settings(visibility_s=3, wait_s=0)
    send(queue, stop_command("r0"))
    with site.working(queue, control=recorder, settings=settings):
        wait_for(recorder.noted)
        time.sleep(0.5)
        queue.extend(held_by(queue), 1)  # as long as the queue itself gives
        with site.working(EmbeddedQueue(site.queue_path), control=recorder, settings=settings):
            wait_for(lambda: queue.depth() == 0)
    assert len(recorder.noted()) == 1


def held_by(queue: EmbeddedQueue) -> Message:
    """The message that somebody has in hand."""
    with queue._database.reading() as connection:
        row = connection.execute("SELECT * FROM messages").fetchone()
    return Message(
        message_id=row["id"], body=row["body"], receipt=row["receipt"], receives=1, sent_ms=0
    )


def test_a_command_that_kills_its_process_fails_in_the_end_and_no_other_does(site: Site) -> None:
    queue = site.queue(max_receives=2)
    recorder = Recorder(site.folder / "notes")
    site.put("r0")
    for command in (stop_command("deadly"), store("r0"), stop_command("r1"), delete("r0")):
        send(queue, command)
    with site.working(queue, control=recorder, settings=site.settings(processes=1)):
        wait_for(lambda: queue.depth() == 0)
    assert queue.dead() == 0
    (alarm,) = site.heard(ALARMS)
    assert (alarm["type"], alarm["error"]) == (
        "stopRecordingError",
        "the process that worked on it died",
    )
    assert [event["event"] for event in site.heard()] == ["RECORDINGSTORED", "RECORDINGDELETED"]
    assert len([note for note in recorder.noted() if "deadly" in note]) == 2


def test_what_was_done_is_told_though_its_process_died_before_it_could_say_so(site: Site) -> None:
    queue = site.queue(max_receives=1)
    site.put("r0")
    ae.execute(store("r0"), site.storage, site.settings())
    send(queue, store("r0"))
    with site.working(queue, resolver=Deadly(), settings=site.settings(processes=1)):
        wait_for(lambda: queue.depth() == 0)
    assert [event["event"] for event in site.heard()] == ["RECORDINGSTORED"]
    assert site.heard(ALARMS) == []


def test_a_command_that_takes_too_long_is_ended(site: Site) -> None:
    queue = site.queue(max_receives=1)
    recorder = Recorder(site.folder / "notes", seconds=600)
    send(queue, stop_command("r0"))
    settings = site.settings(longest_s=1, visibility_s=3, processes=1)
    with site.working(queue, control=recorder, settings=settings):
        wait_for(lambda: queue.depth() == 0)
    (alarm,) = site.heard(ALARMS)
    assert alarm["error"] == "it took longer than 1 s"


@pytest.mark.usefixtures("in_threads")
def test_draining_ends_what_is_begun_and_gives_back_the_rest(site: Site) -> None:
    queue = site.queue()
    recorder = Recorder(site.folder / "notes", seconds=1)
    for number in range(8):
        send(queue, stop_command(f"r{number}"))
    with site.working(queue, control=recorder, settings=site.settings(processes=1)):
        wait_for(recorder.noted)
    assert len(recorder.noted()) < 4
    assert queue.depth() == 8 - len(recorder.noted())
    left: Sequence[Message] = queue.receive(10, 0)  # at once
    assert len(left) == queue.depth()


def test_a_drain_that_takes_too_long_gives_back_what_runs(site: Site) -> None:
    queue = site.queue()
    recorder = Recorder(site.folder / "notes", seconds=600)
    send(queue, stop_command("r0"))
    settings = site.settings(processes=1, drain_s=0)
    with site.working(queue, control=recorder, settings=settings):
        wait_for(recorder.noted)
    (message,) = queue.receive(10, 0)
    assert message.receives == 2
    assert site.lines() == []


class Counted(EmbeddedQueue):
    """Counts how often it is asked."""

    asked = 0

    def receive(self, limit: int, wait_s: float) -> Sequence[Message]:
        self.asked += 1
        return super().receive(limit, wait_s)


@pytest.mark.usefixtures("in_threads")
def test_an_empty_queue_is_not_asked_without_end(site: Site) -> None:
    queue = Counted(site.queue_path)
    with site.working(queue, settings=site.settings(wait_s=0)):
        time.sleep(0.5)
    assert 1 <= queue.asked <= 12


class Broken(EmbeddedQueue):
    """Has a bug."""

    def receive(self, limit: int, wait_s: float) -> Sequence[Message]:
        raise ZeroDivisionError(f"{limit} {wait_s}")


@pytest.mark.usefixtures("in_threads")
def test_a_bug_in_a_thread_ends_the_worker(site: Site) -> None:
    """Whoever runs it starts another; one that only seems to work helps nobody."""
    options: Any = {"queue": Broken(site.queue_path), "senders": {"topic": Unsteady()}}
    with worker_of(site.settings(), **options) as worker, pytest.raises(ZeroDivisionError):
        worker.run()
