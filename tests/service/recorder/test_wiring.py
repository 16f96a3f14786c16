# SPDX-License-Identifier: Apache-2.0
"""All of it together: a recorder, a tenant, a worker, and moto's queues, topics and buckets."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

import audioengine as ae
from audioengine.retries import Backoff
from audioengine.service.queues.sqs import SqsQueue
from audioengine.service.recorder.wiring import senders_of, whole_worker
from tests.execution.service import DATA, DOMAIN, KEPT, RECORDING, TEMP, TEMP_KEY
from tests.service.cloud import Cloud
from tests.service.recorder import deployment
from tests.service.recorder.deployment import SECRET, START, report
from tests.service.recorder.servers import Handler, Host

ABSOLUTE = {"absoluteTimes": True, "mask": {"caller": [{"from": START + 1000, "to": START + 2000}]}}


@contextmanager
def running(settings: ae.Settings) -> Iterator[None]:
    """What `audioengine worker` does, in this process and one of its own."""
    with whole_worker(settings, senders_of(settings)) as worker:
        thread = Thread(target=worker.run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            worker.stop()
            thread.join(30)
            assert not thread.is_alive()


def wait_for(what: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not what():
        assert time.monotonic() < end, "it has not come to that"
        time.sleep(0.2)


@pytest.mark.usefixtures("impatient")
def test_from_report_to_callbacks_while_a_tenant_sleeps(
    cloud: Cloud,
    temp_bucket: Any,
    tenant: Host,
    recorder: Host,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is lost, and the order is kept."""
    monkeypatch.setattr("audioengine.service.notifications.outbox.LETTER", Backoff(1, 0.5, 0.2))
    temp_bucket.create_bucket(Bucket=KEPT)
    temp_bucket.put_object(Bucket=TEMP, Key=TEMP_KEY, Body=DATA)
    # No FIFO queues: moto's spin while messages wait behind others.
    commands, reports = cloud.queue_url(), cloud.queue_url()
    events, alarms = cloud.topic(), cloud.topic()
    settings = deployment.settings(
        tenant.url,
        fallbacks={
            "command_queue": commands,
            "event_topic": events.arn,
            "alarm_topic": alarms.arn,
            "temp_bucket": TEMP,
        },
        callbacks={"allow_http": True, "attempts": 1, "timeout_s": 5},
        recorder={
            "report_queue": reports,
            "control_url": recorder.url,
            "control_secret": SECRET,
        },
        worker={"processes": 1, "outbox": str(tmp_path / "outbox.db"), "wait_s": 1},
    )
    asleep = True
    heard: list[str] = []

    def answer(handler: Handler) -> None:
        if not asleep:
            heard.append(handler.path)
        handler.answer(503 if asleep else 200)

    tenant.always = answer
    told: list[dict[str, Any]] = []

    def has_told(name: str) -> bool:
        told.extend(event for event, _ in events.heard())
        return name in {event["event"] for event in told}

    with running(settings):
        for name in ("RECORDINGSTARTED", "RECORDINGREADY"):
            SqsQueue(reports).send(json.dumps(report(name)), group=RECORDING)
            wait_for(partial(has_told, name))
        reply_id = told[-1]["replyId"]
        command = {"recordingId": RECORDING, "replyId": reply_id}
        store = {
            "destinationBucket": KEPT,
            "fileName": "masked.mp3",
            "modificationParams": ABSOLUTE,
        }
        for method, more in (
            ("STOPRECORDING", {}),
            ("STORERECORDING", store),
            ("DELETERECORDING", {}),
        ):
            body = json.dumps({"method": method, **command, **more})
            SqsQueue(commands).send(body, group=RECORDING)
        wait_for(partial(has_told, "RECORDINGDELETED"))
        asleep = False
        wait_for(lambda: len(heard) == 4)
    assert heard == [
        "/recordingStarted",
        "/recordingReady",
        "/recordingStored",
        "/recordingDeleted",
    ]
    assert [one.json["method"] for one in recorder.asked] == ["STOPRECORDING"]
    assert {alarm["type"] for alarm, _ in alarms.heard()} == {"eventNotificationError"}
    kept = temp_bucket.get_object(Bucket=KEPT, Key="masked.mp3")
    assert kept["Metadata"]["domain"] == DOMAIN
    assert ae.inspect(kept["Body"].read()).samples == ae.inspect(DATA).samples
    temp_bucket.delete_object(Bucket=KEPT, Key="masked.mp3")
    temp_bucket.delete_bucket(Bucket=KEPT)
