# SPDX-License-Identifier: Apache-2.0
"""The Lambda handler: batches of SQS, answered with what comes again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from audioengine.service import aws_lambda
from audioengine.service.aws_lambda import Batches, handler
from audioengine.service.metrics import Metrics
from audioengine.service.notifications.delivery import Delivery
from audioengine.service.queues.embedded import EmbeddedQueue
from audioengine.service.queues.queue import Message
from audioengine.service.worker.delete_guard import PREFIX
from audioengine.service.worker.queued_command import Deployment
from audioengine.service.worker.settlement import Settlement
from tests.execution.service import ALARMS, EVENTS, KEPT, TEMP, token
from tests.service.cloud import Cloud
from tests.service.hooks import FailingWhile
from tests.service.senders import Unsteady
from tests.service.site import Site, delete, send, store, temp_key

DEAD = "arn:aws:sqs:eu-west-1:1:dead"


@dataclass
class Time:
    """What is left of it."""

    left_ms: int = 300_000

    def get_remaining_time_in_millis(self) -> int:
        return self.left_ms


class Function:
    """The function and its queue."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.queue = EmbeddedQueue(site.queue_path, visibility_s=0, max_receives=3)
        self.topics = Unsteady()
        self.flag = site.folder / "failing"
        deployment = Deployment(
            settings=site.settings(backoff_s=0), resolver=FailingWhile(self.flag)
        )
        delivery = Delivery({"topic": self.topics}, None)
        settlement = Settlement(self.queue, delivery, deployment, Metrics())
        self.batches = Batches(self.queue, settlement, deployment, DEAD)

    def call(self, *commands: dict[str, Any], left_ms: int = 300_000) -> list[dict[str, Any]]:
        """Queue commands, hand over all that there are, and delete what does not come again."""
        for number, command in enumerate(commands):
            self.queue.send(json.dumps(command), group=str(number))
        messages = self.queue.receive(10, 0)
        answer = self.batches.handle({"Records": records(messages)}, Time(left_ms))
        again = {one["itemIdentifier"] for one in answer["batchItemFailures"]}
        for message in messages:
            if message.message_id not in again:
                self.queue.delete(message)
        return [json.loads(one.body) for one in messages if one.message_id in again]

    def told(self, topic: str = EVENTS) -> list[str]:
        bodies = map(json.loads, self.topics.bodies(topic))
        return [body["event"] if topic == EVENTS else body["type"] for body in bodies]


def records(messages: Sequence[Message]) -> list[dict[str, Any]]:
    return [
        {
            "messageId": one.message_id,
            "receiptHandle": one.receipt,
            "body": one.body,
            "attributes": {
                "ApproximateReceiveCount": str(one.receives),
                "SentTimestamp": str(one.sent_ms),
                "MessageGroupId": one.group,
            },
            "messageAttributes": {
                name: {"stringValue": value, "dataType": "String"}
                for name, value in one.attributes.items()
            },
        }
        for one in messages
    ]


@pytest.fixture
def function(tmp_path: Path) -> Iterator[Function]:
    made = Function(Site(tmp_path / "site"))
    for name in ("r0", "other"):
        made.site.put(name)
    yield made
    made.queue.close()


def test_what_is_told_does_not_come_again(function: Function) -> None:
    commands = [store("r0"), delete("r0"), store("other", destinationBucket="elsewhere")]
    assert function.call(*commands) == []
    assert function.told() == ["RECORDINGSTORED", "RECORDINGDELETED", "STORERECORDINGFAILED"]
    assert function.told(ALARMS) == ["storeRecordingError"]


def test_what_may_pass_comes_again_and_holds_up_its_recording(function: Function) -> None:
    function.flag.touch()
    commands = [store("r0"), store("other"), delete("r0")]
    assert function.call(*commands) == [commands[0], commands[2]]
    assert function.told() == ["RECORDINGSTORED"]
    function.flag.unlink()
    assert function.call() == []
    assert function.told() == ["RECORDINGSTORED", "RECORDINGSTORED", "RECORDINGDELETED"]


def test_the_last_receive_fails_for_good(function: Function) -> None:
    function.flag.touch()
    command = store("r0")
    assert function.call(command) == [command]
    assert function.call() == [command]
    assert function.call() == []
    assert function.told() == ["STORERECORDINGFAILED"]
    # It is not deleted by who could not know.
    late = delete("r0")
    function.flag.unlink()
    message = Message(
        message_id="1", body=json.dumps(late), receipt="", receives=1, sent_ms=0, group="g"
    )
    function.batches.handle({"Records": records([message])}, Time())
    assert function.told() == ["STORERECORDINGFAILED", "DELETERECORDINGFAILED"]


def test_what_a_call_took_too_long_for_is_ended_from_the_dead_letters(function: Function) -> None:
    stored, lost = store("r0"), store("other")
    assert function.call(stored) == []
    bodies = [json.dumps(stored), json.dumps(lost), "no JSON"]
    given = [
        # However often it came; a person may have put it there.
        Message(message_id=str(number), body=body, receipt="", receives=1, sent_ms=0)
        for number, body in enumerate(bodies)
    ]
    from_dead = [{**record, "eventSourceARN": DEAD} for record in records(given)]
    answer = function.batches.handle({"Records": from_dead}, Time())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "2"}]}
    assert function.told() == ["RECORDINGSTORED", "RECORDINGSTORED", "STORERECORDINGFAILED"]
    assert len(list((function.site.root / KEPT).glob("*.mp3"))) == 1
    # Of what was kept there is no note.
    notes = (function.site.root / TEMP / PREFIX).rglob("*")
    assert len({path.parent for path in notes if path.is_file()}) == 1
    function.topics.down = {EVENTS}
    answer = function.batches.handle({"Records": from_dead[1:2]}, Time())
    assert len(answer["batchItemFailures"]) == 1


def test_what_can_t_be_told_comes_again(function: Function) -> None:
    function.topics.down = {EVENTS}
    command = store("r0")
    assert function.call(command) == [command]
    function.topics.down.clear()
    assert function.call() == []
    assert function.told() == ["RECORDINGSTORED"]


def test_nothing_is_begun_without_time(function: Function) -> None:
    command = store("r0")
    assert function.call(command, left_ms=1000) == [command]
    assert function.told() == []


def test_the_handler_reads_the_environment(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(tmp_path / "site")
    site.put("r0")
    events, alarms = cloud.topic(), cloud.topic()
    queue = cloud.queue(max_receives=3)
    values = site.values(queue_url=queue._url)
    values["fallbacks"] = {"event_topic": events.arn, "alarm_topic": alarms.arn}
    for name, value in values.items():
        text = value if isinstance(value, str) else json.dumps(value)
        monkeypatch.setenv(f"AUDIOENGINE_{name.upper()}", text)
    monkeypatch.setattr(aws_lambda, "set_up_logs", lambda _level: None)
    aws_lambda._batches.cache_clear()
    bare = token(recordingId="r0", tempKey=temp_key("r0"), eventTopic=None, alarmTopic=None)
    send(queue, store("r0", replyId=bare, destinationBucket="nowhere"))
    answer = handler({"Records": records(queue.receive(1, 1))}, Time())
    aws_lambda._batches.cache_clear()
    assert answer["batchItemFailures"] == []
    ((event, _),) = events.heard()
    assert event["event"] == "STORERECORDINGFAILED"
    assert [alarm["type"] for alarm, _ in alarms.heard()] == ["storeRecordingError"]
