# SPDX-License-Identifier: Apache-2.0
"""The reference from end to end: each name of it is answered, over HTTP, key for key.

A recorder, a tenant, REST, a worker, and moto's queue, topics and buckets.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

import audioengine as ae
from audioengine.execution.execute import storage_of
from audioengine.service.endpoints import queue_of
from audioengine.service.notifications.delivery import Delivery
from audioengine.service.notifications.outbox import Outbox
from audioengine.service.recorder.ingest import ingest
from audioengine.service.recorder.sweep import sweep
from audioengine.service.recorder.wiring import (
    callbacks_of,
    routes_served,
    senders_of,
    whole_worker,
)
from audioengine.service.rest.app import make_app
from audioengine.service.worker import worker as worker_module
from tests.commands import reference
from tests.commands.reference import ALARMS, CALLBACKS, EVENTS, REST_COMMANDS
from tests.execution.service import DATA, DOMAIN, OTHER, TEMP
from tests.service.cloud import Cloud, Topic
from tests.service.hooks import InThread
from tests.service.recorder import deployment
from tests.service.recorder.deployment import SECRET, START, recorder_token, report
from tests.service.recorder.servers import Host, answering
from tests.service.rest.deployment import REST_KEY, access, listening
from tests.service.site import wait_for
from tests.support import FIXTURES

# Of the REST page's samples; the bucket is there, and the tenant's.
BUCKET = RECORDING = "string"
KEY = f"190515-{RECORDING}.mp3"
IMPLIED = ("recordingStored", "recordingDeleted", "recordingsMerged")  # the last is ours
CALLED_BACK = {name.upper(): name for name in (*CALLBACKS, *IMPLIED)}


class Whole:
    """All of a deployment, and what it has told."""

    def __init__(
        self, url: str, settings: ae.Settings, events: Topic, alarms: Topic, tenant: Host
    ) -> None:
        self.url = url
        self.settings = settings
        self._topics = (events, alarms)
        self._tenant = tenant
        self.events: list[dict[str, Any]] = []
        self.alarms: list[dict[str, Any]] = []

    def post(self, path: str, body: object, token: str | None = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token or access()}"}
        return httpx.post(f"{self.url}/{path}", json=body, headers=headers, trust_env=False)

    def command(self, path: str, body: Mapping[str, Any]) -> None:
        """Over REST; it is taken."""
        answer = self.post(f"{DOMAIN}/{path}", body)
        assert (answer.status_code, answer.json()) == (200, {"success": True}), answer.text

    def report(self, event: str, *alarms: str, **more: Any) -> str:
        """As the recorder does; the token that went out with it."""
        told = report(event, **{"recordingId": RECORDING, **more})
        answer = self.post("recorder/reports", told, recorder_token())
        assert (answer.status_code, answer.json()) == (200, {"success": True}), answer.text
        return str(self.told(event, *alarms)[0]["replyId"])

    def told(self, event: str | None, *alarms: str) -> list[Any]:
        """The event, with its callback, and the alarms that come now: these and no others."""
        wanted = ([event] if event else [], sorted(alarms))
        heard: tuple[list[dict[str, Any]], list[dict[str, Any]]] = ([], [])

        def enough() -> bool:
            for told, topic in zip(heard, self._topics, strict=True):
                for message, attributes in topic.heard():
                    assert attributes["event"] == message.get("type", message.get("event"))
                    told.append(message)
            return all(len(told) >= len(names) for told, names in zip(heard, wanted, strict=True))

        wait_for(enough)
        assert [one["event"] for one in heard[0]] == wanted[0]
        assert sorted(one["type"] for one in heard[1]) == wanted[1]
        for one in heard[0]:
            check_event(one)
        for one in heard[1]:
            check_alarm(one)
        self.events += heard[0]
        self.alarms += heard[1]
        if event in CALLED_BACK:
            wait_for(lambda: f"/{CALLED_BACK[event]}" in self._tenant.paths)
        return [*heard[0], *heard[1]]


def check_event(told: Mapping[str, Any]) -> None:
    """Its keys are those of the example, in its order; some may be missing."""
    (example,) = (one for one in EVENTS if one["event"] == told["event"])
    assert list(told) == [key for key in example if key in told]
    optional = {"calledParty", "conferenceSegments", "relatedRecordings", "warning"}
    assert example.keys() - told.keys() <= optional
    assert (told["commandQueue"], told["commandRegion"]) == (reference.QUEUE, "eu-west-1")
    assert told.get("domain", DOMAIN) == DOMAIN


def check_alarm(told: Mapping[str, Any]) -> None:
    """Its keys are those that the reference describes; the command itself is not in its samples."""
    example = next(
        (one for one in ALARMS if one["type"] == told["type"]), {"type": "", "error": ""}
    )
    described = {
        "tempStorageError": {"error", "errorDetails"},
        "tempRecordingDeleted": {"modifiedDate"},
    }
    more = described.get(told["type"], set() if "event" in example else {"event"})
    assert told.keys() == example.keys() | more


@pytest.fixture
def whole(
    cloud: Cloud,
    temp_bucket: Any,
    tenant: Host,
    recorder: Host,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    impatient: None,
) -> Iterator[Whole]:
    del impatient
    monkeypatch.setattr(worker_module, "WorkerProcess", InThread)
    temp_bucket.create_bucket(Bucket=BUCKET)
    events, alarms = cloud.topic(), cloud.topic()
    hook = {"callback_url": tenant.url, "callback_secret": SECRET}
    settings = deployment.settings(
        domains={DOMAIN: {"buckets": [BUCKET], **hook}},
        fallbacks={
            "command_queue": reference.QUEUE,
            "event_topic": events.arn,
            "alarm_topic": alarms.arn,
        },
        callbacks={"attempts": 1},
        recorder={"control_url": recorder.url, "control_secret": SECRET, "expires_after_s": 1e-6},
        rest={"keys": {"first": REST_KEY}, "port": 0},
        worker={
            "queue_url": cloud.queue_url(max_receives=2),
            "outbox": str(tmp_path / "outbox.db"),
            "processes": 1,
            "wait_s": 1,
        },
    )
    senders = senders_of(settings)
    with routes_served(settings, senders) as routes:
        app = make_app(settings, queue_of(settings), routes)
        with listening(app, settings.rest) as url, working(settings):
            yield Whole(url, settings, events, alarms, tenant)
    for one in temp_bucket.list_objects_v2(Bucket=BUCKET).get("Contents", ()):
        temp_bucket.delete_object(Bucket=BUCKET, Key=one["Key"])
    temp_bucket.delete_bucket(Bucket=BUCKET)


@contextmanager
def working(settings: ae.Settings) -> Iterator[None]:
    with whole_worker(settings, senders_of(settings)) as worker:
        thread = Thread(target=worker.run)
        thread.start()
        try:
            yield
        finally:
            worker.stop()
            thread.join(30)


def example(path: str, reply_id: str, **more: Any) -> dict[str, Any]:
    """A sample of the REST page with a token that counts, and without its key, which is none."""
    body = {**REST_COMMANDS[path], "replyId": reply_id, **more}
    return {name: value for name, value in body.items() if name != "encryptionKey"}


def test_every_name_of_the_reference_is_answered(
    whole: Whole, temp_bucket: Any, tenant: Host, recorder: Host
) -> None:
    asks(whole, tenant)
    refused_as_they_are(whole)
    lives(whole, temp_bucket, recorder)
    stores_merges_and_deletes(whole, temp_bucket)
    fails(whole, temp_bucket, recorder, tenant)
    recorder_s_own_alarms(whole)
    whole.told(None)
    assert {one["event"] for one in whole.events} == {one["event"] for one in EVENTS}
    raised = {one["type"] for one in ALARMS} | {"mergeRecordingsError"}
    assert {one["type"] for one in whole.alarms} == raised
    assert set(tenant.paths) == {f"/{name}" for name in ("newCall", *CALLED_BACK.values())}
    for asked in tenant.asked:
        name = asked.path.strip("/")
        if name in CALLBACKS:  # the queue is described, and not in the samples
            assert asked.json.keys() == {*CALLBACKS[name], "commandQueue"}
        elif name != "newCall":
            assert asked.json in whole.events


def asks(whole: Whole, tenant: Host) -> None:
    """The sample of newCall, and the answer that the reference shows."""
    call = {
        "recordingId": "015b5b80-c275-11ed-a32c-fddf7fd4273c",
        "metaData": '<?xml version="1.0" encoding="UTF-8"?>\r\n<recording/>\r\n',
        "sipRecCallId": 7260041678961334000,
    }
    tenant.replies = [answering(200, b'{"recordCall": true}')]
    answer = whole.post("recorder/newcall", {"domain": DOMAIN, **call}, recorder_token())
    assert answer.json() == {"recordCall": True}
    (asked,) = tenant.asked
    assert (asked.method, asked.path, asked.json) == ("POST", "/newCall", call)
    tenant.replies = [answering(500)]
    answer = whole.post("recorder/newcall", {"domain": DOMAIN, **call}, recorder_token())
    assert answer.json() == {"recordCall": True}
    (alarm,) = whole.told(None, "apiRequestError")
    assert (alarm["statusCode"], alarm["statusMessage"]) == (500, "Internal Server Error")


def refused_as_they_are(whole: Whole) -> None:
    """Samples have neither token nor key: they are refused, and there is nothing to tell of."""
    for path, body in REST_COMMANDS.items():
        answer = whole.post(f"{DOMAIN}/{path}", body)
        assert answer.status_code == (400 if "encryptionKey" in body else 403)
        asked = httpx.options(f"{whole.url}/{DOMAIN}/{path}", trust_env=False)
        assert (asked.status_code, asked.json()) == (200, {})


def lives(whole: Whole, temp_bucket: Any, recorder: Host) -> None:
    """From the start to the two ends that commands make, and to a failure."""
    meta = {"metaData": "<xml>"}
    for path, kind, more in (
        ("cancelrecording", "RECORDINGCANCELLED", {"reason": "cancelCommand", **meta}),
        ("stoprecording", "RECORDINGREADY", {"tempKey": KEY, "sipRecCallId": 7}),
    ):
        started = whole.report("RECORDINGSTARTED", **meta)
        whole.command(path, example(path, started))
        wait_for(lambda: recorder.asked)
        passed_on = {"method": path.upper(), "recordingId": RECORDING, "domain": DOMAIN}
        assert recorder.asked.pop().json == passed_on
        temp_bucket.put_object(Bucket=TEMP, Key=KEY, Body=DATA)
        whole.report(kind, **more)
    reason = "Error No RTP media received"
    whole.report("RECORDINGFAILED", "recordingFailed", recordingId="failed", reason=reason)
    assert whole.alarms[-1]["error"] == reason


def stores_merges_and_deletes(whole: Whole, temp_bucket: Any) -> None:
    reply = str(whole.events[-2]["replyId"])
    stored = example("storerecording", reply)
    merged = {
        **{name: reference.MERGE[name] for name in ("method", "fileName")},
        "destinationBucket": BUCKET,
        "toMerge": [
            {**reference.MERGE["toMerge"][0], "recordingId": RECORDING, "startTime": START}
        ],
        "replyId": reply,
    }
    for path, body, kind, output in (
        ("storerecording", stored, "RECORDINGSTORED", "string"),
        ("mergerecordings", merged, "RECORDINGSMERGED", "mergedrecording.mp3"),
        ("deleterecording", example("deleterecording", reply), "RECORDINGDELETED", None),
    ):
        whole.command(path, body)
        (told,) = whole.told(kind)
        assert told["replyId"] == reply
        assert (told.get("fileName"), told.get("destinationBucket")) == (
            output,
            BUCKET if output else None,
        )
        if output is not None:
            assert temp_bucket.get_object(Bucket=BUCKET, Key=output)["Body"].read() == DATA
    assert KEY not in str(temp_bucket.list_objects_v2(Bucket=TEMP).get("Contents"))


def fails(whole: Whole, temp_bucket: Any, recorder: Host, tenant: Host) -> None:
    """Each command once more, where it can't be done."""
    reply = str(whole.events[-1]["replyId"])
    temp_bucket.put_object(Bucket=TEMP, Key=KEY, Body=DATA, Metadata={"domain": OTHER})
    recorder.always = answering(404)
    merged = {
        "destinationBucket": BUCKET,
        "toMerge": [{"recordingId": RECORDING, "startTime": START}],
        "replyId": reply,
    }
    again = example("storerecording", reply, fileName="again.mp3")
    named: Sequence[tuple[str, Mapping[str, Any], str | None, str]] = (
        ("storerecording", again, "STORERECORDINGFAILED", "store"),
        ("deleterecording", example("deleterecording", reply), "DELETERECORDINGFAILED", "delete"),
        ("mergerecordings", merged, "MERGERECORDINGSFAILED", "merge"),
        ("stoprecording", example("stoprecording", reply), None, "stop"),
        ("cancelrecording", example("cancelrecording", reply), None, "cancel"),
    )
    for path, body, event, kind in named:
        whole.command(path, body)
        alarm = f"{kind}Recording{'s' if kind == 'merge' else ''}Error"
        *told, raised = whole.told(event, alarm)
        assert json.loads(raised["event"]) == {"method": path.upper(), "dialect": "rest", **body}
        assert all(one["reason"] == raised["error"] and one["replyId"] == reply for one in told)
    tenant.always = answering(404)
    whole.report("RECORDINGSTARTED", "eventNotificationError", metaData="<xml>")
    tenant.always = answering(200)


def recorder_s_own_alarms(whole: Whole) -> None:
    """Of temporary storage that is not there, and of what is too old in it."""
    storage, senders = storage_of(whole.settings), senders_of(whole.settings)
    delivery = Delivery(senders, None, callback=callbacks_of(whole.settings))
    gone = whole.settings.model_copy(
        update={"fallbacks": whole.settings.fallbacks.model_copy(update={"temp_bucket": "gone"})}
    )
    meta = {"domain": DOMAIN, "meta": deployment.META}
    with pytest.raises(ae.StorageError):
        ingest(
            str(FIXTURES / "mpeg25-8k-32k.mp3"),
            meta,
            storage=storage,
            settings=gone,
            delivery=delivery,
        )
    whole.told(None, "tempStorageError")
    with closing(Outbox(whole.settings.worker.outbox)) as outbox:
        sweep(storage, whole.settings, Delivery(senders, outbox))
        outbox.flush(senders)
    (alarm,) = whole.told(None, "tempRecordingDeleted")
    assert (alarm["recordingId"], alarm["domain"]) == (RECORDING, OTHER)
