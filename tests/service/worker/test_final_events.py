# SPDX-License-Identifier: Apache-2.0
"""Whatever a command says, and whatever fails while it is told of: it ends, and with an event."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import audioengine as ae
from audioengine.commands.alarms import parse_alarm
from audioengine.commands.events import RecordingStored, parse_event
from audioengine.execution.outcome import Notification
from audioengine.execution.temporary_objects import in_ascii
from audioengine.service.notifications.delivery import Delivery
from audioengine.service.notifications.topics import topic_letter
from audioengine.service.worker import worker as worker_module
from audioengine.service.worker.settlement import Settlement
from tests.execution.service import ALARMS, DATA, EVENTS, OTHER, TEMP
from tests.service.hooks import InThread
from tests.service.senders import Unsteady
from tests.service.site import Site, delete, merge, send, store, temp_key, wait_for

LONE = "\ud800"
STORED = RecordingStored(
    command_queue="q",
    command_region="r",
    destination_bucket="b",
    file_name="f",
    recording_id="r0",
    reply_id="t",
)
METHOD = "STORERECORDING"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(worker_module, "WorkerProcess", InThread)
    return Site(tmp_path / "site")


HALVES = st.integers(0xD800, 0xDFFF).map(chr)
"""Of surrogate pairs."""


@given(st.text(st.characters() | HALVES, max_size=20))
def test_any_text_can_be_told_of(text: str) -> None:
    letter = topic_letter("events", "{}", {"recordingId": text, "domain": text})
    assert all(value.isascii() for value in letter.attributes.values())
    assert bool(in_ascii(text)) == bool(text)


@pytest.mark.parametrize(
    "command",
    [
        store("r0", recordingId=LONE),
        store("r0", fileName=f"{LONE}.mp3"),
        store("r0", destinationBucket=LONE),
        store("r0", modificationParams={LONE: 1}),
        {**store("r0"), LONE: "x"},
        delete("r0", recordingId=f"r0{LONE}"),
        merge(["r0", LONE], "m.mp3"),
    ],
    ids=["recording", "file", "bucket", "modification", "key", "delete", "merge"],
)
def test_text_that_is_not_unicode_fails_with_its_event(site: Site, command: dict[str, Any]) -> None:
    """Not again and again, and then without a word."""
    queue = site.queue(max_receives=1000)
    queue.send(json.dumps(command), group="g")
    with site.working(queue):
        wait_for(lambda: queue.depth() == 0)
    (event,) = site.heard()
    assert event["event"] in (
        "STORERECORDINGFAILED",
        "DELETERECORDINGFAILED",
        "MERGERECORDINGSFAILED",
    )
    (alarm,) = site.heard(ALARMS)
    assert parse_alarm(alarm)[0].type in (
        "storeRecordingError",
        "deleteRecordingError",
        "mergeRecordingsError",
    )


class Buggy:
    """Makes callbacks, but for a bug."""

    def __call__(self, event: Mapping[str, Any], domain: str | None) -> None:
        if domain is not None:
            raise ZeroDivisionError(event["event"])


def test_a_bug_in_telling_ends_with_the_event_all_the_same(site: Site) -> None:
    queue = site.queue(max_receives=1000)
    site.put("r0")
    for command in (store("r0"), store("r0", "r1.mp3", destinationBucket="elsewhere")):
        send(queue, command)
    with site.working(queue, callback=Buggy()):
        wait_for(lambda: queue.depth() == 0)
    stored, failed = sorted(set(map(json.dumps, site.heard())), reverse=True)
    assert parse_event(json.loads(stored))[0].event == "STORERECORDINGFAILED"
    assert parse_event(json.loads(failed))[0].event == "RECORDINGSTORED"
    types = [alarm["type"] for alarm in site.heard(ALARMS)]
    assert sorted(set(types)) == ["eventNotificationError", "storeRecordingError"]
    errors = {alarm["error"] for alarm in site.heard(ALARMS)}
    assert "internal error: ZeroDivisionError" in errors


def test_a_bug_before_a_command_is_begun_ends_it_and_no_other(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = site.queue(max_receives=1000)
    for name in ("r0", "r1"):
        site.put(name)
        send(queue, store(name))
    refusal = Settlement.refusal

    def buggy(self: Settlement, message: Any, recordings: Any) -> Any:
        if "r0" in recordings:
            raise ZeroDivisionError
        return refusal(self, message, recordings)

    monkeypatch.setattr(Settlement, "refusal", buggy)
    with site.working(queue):
        wait_for(lambda: queue.depth() == 0)
    events = {event["recordingId"]: event for event in site.heard()}
    assert events["r0"]["reason"] == "internal error: ZeroDivisionError"
    assert events["r1"]["event"] == "RECORDINGSTORED"


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(where=st.sampled_from(["attributes", "callback", "event"]))
def test_what_can_t_be_told_at_all_is_an_error(where: str) -> None:
    """Then the queue hands the command out again."""
    odd: Any = object()
    event = replace(STORED, file_name=odd) if where == "event" else STORED
    notification = Notification(
        event=event,
        domain="d",
        digest=odd if where == "attributes" else None,
        event_topic="events",
    )
    delivery = Delivery({}, None, callback=Buggy())
    with pytest.raises((TypeError, ZeroDivisionError)):
        delivery.deliver(notification, None)


@pytest.mark.parametrize("is_down", [False, True])
def test_alarms_of_rest_commands_say_their_method_and_dialect(site: Site, is_down: bool) -> None:
    """Whether the command failed, or its event could not be sent."""
    queue, topics = site.queue(), Unsteady({EVENTS} if is_down else ())
    command = store("r0", modificationParams={"mask": {"caller": [{"from": 1000, "to": 2000}]}})
    del command["method"]
    if is_down:
        site.put("r0")
    queue.send(json.dumps(command), group="g", attributes={"dialect": "rest", "method": METHOD})
    with site.working(queue, topics=topics):
        alarm = json.loads(wait_for(lambda: topics.bodies(ALARMS))[0])
    assert alarm["type"] == ("eventNotificationError" if is_down else "storeRecordingError")
    assert json.loads(alarm["event"]) == {"method": METHOD, "dialect": "rest", **command}


@pytest.mark.parametrize("theirs", [False, True])
def test_the_operator_s_log_tells_another_s_recording_from_none(
    site: Site, theirs: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Which nobody else is told."""
    if theirs:
        options = ae.S3Options(metadata={"domain": OTHER})
        with closing(site.storage.place(TEMP, temp_key("r0"), options).staging()) as staging:
            staging.write(DATA)
            staging.publish()
    queue = site.queue()
    send(queue, store("r0"))
    with site.working(queue):
        (event,) = wait_for(site.heard)
    (entry,) = (one.msg for one in caplog.records if isinstance(one.msg, dict) and "why" in one.msg)
    assert (OTHER in entry["why"]) is theirs
    assert entry["error"] == event["reason"]
    assert OTHER not in json.dumps([site.heard(), site.heard(ALARMS)])
