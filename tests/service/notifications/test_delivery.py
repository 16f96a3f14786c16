# SPDX-License-Identifier: Apache-2.0
"""Events and alarms: to their topics over HTTP, and what happens when they can't be published."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import audioengine as ae
from audioengine.commands.alarms import parse_alarm
from audioengine.commands.events import parse_event
from audioengine.execution.outcome import Notification
from audioengine.service.metrics import Metrics
from audioengine.service.notifications.delivery import Delivery
from audioengine.service.notifications.letter import Channel, Letter, Sender
from audioengine.service.notifications.outbox import Outbox
from audioengine.service.notifications.topics import (
    MAX_LETTER_BYTES,
    LineTopics,
    SnsTopics,
    repeat_id,
    size_of,
    topic_letter,
)
from tests.commands import reference
from tests.service.cloud import Cloud
from tests.service.senders import Unsteady

DOMAIN = "sip.example.com"
COMMAND = {**reference.STORE, "encryptionKey": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I="}
STORED = next(one for one in reference.EVENTS if one["event"] == "RECORDINGSTORED")
FAILED = next(one for one in reference.EVENTS if one["event"] == "STORERECORDINGFAILED")
ALARM = {"type": "storeRecordingError", "event": "{}", "error": "no"}
ABOUT = {"domain": DOMAIN, "recordingId": "4711", "commandDigest": "ab12"}


def notification(
    event: dict[str, Any] = STORED, alarm: dict[str, Any] | None = None, **more: Any
) -> Notification:
    values: dict[str, Any] = {
        "domain": DOMAIN,
        "recording_id": "4711",
        "digest": "ab12",
        "event_topic": "events",
        "alarm_topic": "alarms",
    }
    raised = None if alarm is None else parse_alarm(alarm)[0]
    return Notification(event=parse_event(event)[0], alarm=raised, **{**values, **more})


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Outbox]:
    made = Outbox(tmp_path / "box.db", first_pause_s=0)
    yield made
    made.close()


def alarms_of(sender: Unsteady) -> list[dict[str, Any]]:
    return [json.loads(body) for body in sender.bodies("alarms")]


def test_events_and_alarms_are_published_with_attributes(cloud: Cloud, box: Outbox) -> None:
    events, alarms = cloud.topic(), cloud.topic()
    delivery = Delivery({"topic": SnsTopics()}, box)
    told = notification(event=FAILED, alarm=ALARM, event_topic=events.arn, alarm_topic=alarms.arn)
    delivery.deliver(told, COMMAND)
    assert events.heard() == [(FAILED, {"event": "STORERECORDINGFAILED", **ABOUT})]
    assert alarms.heard() == [(ALARM, {"event": "storeRecordingError", **ABOUT})]
    assert box.depth() == 0


def test_a_fifo_topic_gets_a_group_and_hears_repeats_once(cloud: Cloud) -> None:
    sns = cloud.client("sns")
    arn = sns.create_topic(Name="t.fifo", Attributes={"FifoTopic": "true"})["TopicArn"]
    sent: list[dict[str, Any]] = []
    letter = topic_letter(arn, json.dumps(STORED), {"recordingId": "a b/c"})
    from audioengine.service.aws_clients import aws_client

    aws_client("sns", "us-east-1", None).meta.events.register(
        "provide-client-params.sns.Publish", lambda params, **_: sent.append(dict(params))
    )
    topics = SnsTopics()
    topics.send(letter)
    topics.send(letter)
    assert sent[0] == sent[1]
    assert sent[0]["MessageGroupId"] == "a_b_c"
    assert sent[0]["MessageDeduplicationId"] == repeat_id(letter)


ABOUT_MESSAGE = {**ABOUT, "event": "RECORDINGSTORED", "messageId": "m1"}


@pytest.mark.parametrize(
    ("change", "is_heard"),
    [
        ({}, False),
        ({"commandDigest": "another"}, True),
        ({"messageId": "m2"}, True),
        ({"event": "storeRecordingError"}, True),
        ({"domain": "of no account"}, False),
    ],
)
def test_only_the_same_answer_is_a_repeat(change: dict[str, str], is_heard: bool) -> None:
    """Another command on the recording is none, nor is the same one that was sent again."""
    body = json.dumps(STORED)
    first = topic_letter("t.fifo", body, ABOUT_MESSAGE)
    other = topic_letter("t.fifo", body, {**ABOUT_MESSAGE, **change})
    assert (repeat_id(first) != repeat_id(other)) is is_heard
    assert repeat_id(first) != repeat_id(topic_letter("t.fifo", "{}", ABOUT_MESSAGE))


def test_what_tells_repeats_apart_is_not_heard(cloud: Cloud, tmp_path: Path) -> None:
    """The answer to a command that is sent again is the same in all that consumers see."""
    events = cloud.topic()
    letter = topic_letter(events.arn, json.dumps(STORED), {**ABOUT, "messageId": "m1"})
    SnsTopics().send(letter)
    assert events.heard() == [(STORED, ABOUT)]
    LineTopics(tmp_path / "topics.jsonl").send(letter)
    assert json.loads((tmp_path / "topics.jsonl").read_text())["attributes"] == ABOUT


def test_attributes_are_what_sns_takes() -> None:
    told = {"event": "E", "domain": "sip.exämple\n.com", "recordingId": "x" * 2000, "empty": ""}
    letter = topic_letter("t", "{}", told)
    assert letter.attributes == {"event": "E", "domain": "sip.ex%C3%A4mple%0A.com"}
    assert len(topic_letter("t", "{}", {str(n): "x" for n in range(20)}).attributes) == 10


def test_an_event_that_can_t_be_published_waits_and_an_alarm_tells_of_it(box: Outbox) -> None:
    sender = Unsteady({"events"})
    metrics = Metrics()
    delivery = Delivery({"topic": sender}, box, metrics=metrics)
    delivery.deliver(notification(), COMMAND)
    (alarm,) = alarms_of(sender)
    assert list(alarm) == ["type", "event", "error"]
    assert parse_alarm(alarm)[1] == ()
    assert alarm["type"] == "eventNotificationError"
    assert alarm["error"] == "events: can't send to events: down"
    assert json.loads(alarm["event"]) == {**COMMAND, "encryptionKey": "***"}
    assert box.depth() == 1
    assert b'audioengine_letters_total{channel="topic",outcome="waiting"} 1.0' in metrics.text()
    sender.down.clear()
    box.flush({"topic": sender})
    (event,) = sender.bodies("events")
    assert json.loads(event) == STORED
    assert sender.taken[-1].attributes == {"event": "RECORDINGSTORED", **ABOUT}


def test_order_is_kept_when_a_topic_works_again(box: Outbox) -> None:
    sender = Unsteady({"events", "alarms"})
    delivery = Delivery({"topic": sender}, box)
    for number in range(4):
        if number == 2:
            sender.down.clear()  # the next ones must wait all the same
        delivery.deliver(notification(event={**STORED, "fileName": str(number)}), COMMAND)
    assert sender.taken == []
    assert box.depth() == 8
    box.flush({"topic": sender})
    files = [json.loads(body)["fileName"] for body in sender.bodies("events")]
    assert files == ["0", "1", "2", "3"]
    assert [alarm["type"] for alarm in alarms_of(sender)] == ["eventNotificationError"] * 4
    delivery.deliver(notification(event={**STORED, "fileName": "4"}), COMMAND)
    assert json.loads(sender.bodies("events")[-1])["fileName"] == "4"


class Callback:
    """Makes one for a tenant at an address that is down."""

    def __init__(self) -> None:
        self.tenant = Unsteady({DOMAIN})

    def __call__(self, event: Mapping[str, Any], domain: str | None) -> Letter:
        return Letter(channel="callback", address=str(domain), body=json.dumps(event))


def test_callbacks_wait_for_the_outbox_and_nobody_waits_for_them(box: Outbox) -> None:
    callback, topics = Callback(), Unsteady()
    senders: dict[Channel, Sender] = {"topic": topics, "callback": callback.tenant}
    delivery = Delivery(senders, box, callback=callback)
    delivery.deliver(notification(), COMMAND)
    assert callback.tenant.tried == []
    assert [one.address for one in topics.taken] == ["events"]
    assert box.depth() == 1
    callback.tenant.down.clear()
    assert box.flush(senders) == 1
    assert [json.loads(one.body) for one in callback.tenant.taken] == [STORED]
    assert alarms_of(topics) == []


@pytest.mark.parametrize("passing", [True, False])
def test_an_alarm_tells_once_that_a_callback_can_t_be_sent(box: Outbox, passing: bool) -> None:
    callback, topics, metrics = Callback(), Unsteady(), Metrics()

    class Refusing(Sender):
        def send(self, letter: Letter) -> None:
            assert letter.channel == "callback"
            raise ae.StorageError("can't call back: 418 " + "ä" * 2000, retryable=passing)

    delivery = Delivery({"topic": topics}, box, callback=callback)
    delivery.deliver(notification(), {**COMMAND, "more": "x" * 300_000})
    senders: dict[Channel, Sender] = {"topic": topics, "callback": Refusing()}
    for _ in range(3):
        for line in box.due(senders.keys()):
            assert box.take(line)
            box.send(line, senders, metrics=metrics)
    (alarm,) = alarms_of(topics)
    assert parse_alarm(alarm)[0].type == "eventNotificationError"
    assert alarm["error"].startswith(f"{DOMAIN}: can't call back: 418 ")
    assert "encryptionKey" in alarm["event"]
    assert COMMAND["encryptionKey"] not in alarm["event"]
    assert size_of(topics.taken[-1]) <= MAX_LETTER_BYTES
    assert box.depth() == (1 if passing else 0)
    outcome = "waiting" if passing else "lost"
    counted = f'audioengine_letters_total{{channel="callback",outcome="{outcome}"}} 1.0'
    assert counted in metrics.text().decode()


def test_an_event_without_a_topic_or_too_big_for_it_is_told_by_an_alarm(box: Outbox) -> None:
    sender = Unsteady()
    delivery = Delivery({"topic": sender}, box)
    delivery.deliver(notification(event_topic=None), COMMAND)
    delivery.deliver(
        notification(event={**STORED, "replyId": "x" * 300_000}), {"replyId": "x" * 300_000}
    )
    first, second = alarms_of(sender)
    assert "fallbacks.event_topic" in first["error"]
    assert "bytes is more than it takes" in second["error"]
    assert box.depth() == 0
    delivery.deliver(
        notification(event_topic=None, alarm_topic=None, alarm=ALARM), COMMAND
    )  # logged
    assert len(sender.taken) == 2


def test_without_an_outbox_what_can_t_be_sent_is_an_error() -> None:
    delivery = Delivery({"topic": Unsteady({"events"})}, None)
    with pytest.raises(ae.StorageError, match="can't send to 'events'") as caught:
        delivery.deliver(notification(), COMMAND)
    assert caught.value.retryable


def test_topics_as_lines_are_kept_and_printed(tmp_path: Path) -> None:
    printed = io.StringIO()
    topics = LineTopics(tmp_path / "topics.jsonl", printed)
    for number in range(2):
        topics.send(topic_letter("events", json.dumps({**STORED, "fileName": f"ä{number}"}), ABOUT))
    lines = (tmp_path / "topics.jsonl").read_text().splitlines()
    assert printed.getvalue().splitlines() == lines
    told = [json.loads(line) for line in lines]
    assert [one["message"]["fileName"] for one in told] == ["ä0", "ä1"]
    assert told[0] | {"time": ""} == {
        "time": "",
        "topic": "events",
        "attributes": ABOUT,
        "message": {**STORED, "fileName": "ä0"},
    }
    with pytest.raises(ae.StorageError, match="can't write topics"):
        LineTopics(tmp_path).send(topic_letter("events", "{}"))
