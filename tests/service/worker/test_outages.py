# SPDX-License-Identifier: Apache-2.0
"""Buckets, topics and the queue fail for a while, over HTTP: nothing is lost, and order is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import audioengine as ae
from audioengine.service.metrics import Metrics
from audioengine.service.worker import worker as worker_module
from tests.execution.service import MASK
from tests.service.cloud import Cloud, Topic
from tests.service.hooks import InThread
from tests.service.proxy import Proxy, proxy
from tests.service.site import wait_for
from tests.service.test_aws import KEPT, Account
from tests.support import fixture

DATA = fixture("mpeg25-8k-32k")
RECORDINGS = 3


class Unsteady:
    """An account behind what fails."""

    def __init__(self, account: Account, between: Proxy) -> None:
        self.account = account
        self.between = between
        self.metrics = Metrics()
        self.names = [f"r{number}-{uuid4()}" for number in range(RECORDINGS)]
        self.commands: list[dict[str, Any]] = []
        for name in self.names:
            account.put(f"{name}.mp3", DATA, 1561988730000)
            own = {"recordingId": name, "replyId": account.token(name, f"{name}.mp3")}
            kept = {"destinationBucket": KEPT, "fileName": f"{name}.mp3"}
            edit = {"modificationParams": MASK} if len(self.commands) else {}
            self.commands.append({"method": "STORERECORDING", **kept, **edit, **own})
            self.commands.append({"method": "DELETERECORDING", **own})
        for command in self.commands:
            account.queue.send(json.dumps(command), group=command["recordingId"])

    def settings(self) -> dict[str, Any]:
        return {"endpoint_url": self.between.url, "visibility_s": 5}

    def retried(self) -> int:
        lines = self.metrics.text().decode().splitlines()
        return sum(int(float(line.split()[-1])) for line in lines if 'outcome="retried"' in line)

    def is_empty(self) -> bool:
        return self.account.queue.depth() == 0

    def check(self, topic: Topic, told: list[dict[str, Any]]) -> None:
        """Each recording is kept, deleted and told of, in this order."""
        told += [event for event, _ in topic.heard()]
        for name in self.names:
            events = [event["event"] for event in told if event["recordingId"] == name]
            assert events.index("RECORDINGDELETED") == events.count("RECORDINGSTORED") > 0
            assert set(events) == {"RECORDINGSTORED", "RECORDINGDELETED"}
            data = self.account.s3.get_object(Bucket=KEPT, Key=f"{name}.mp3")["Body"].read()
            assert ae.inspect(data).samples == ae.inspect(DATA).samples
            left = self.account.s3.list_objects_v2(Bucket=self.account.temp, Prefix=name)
            assert left["KeyCount"] == 0


@pytest.fixture(params=["standard", "fifo"])
def unsteady(
    request: pytest.FixtureRequest, cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Unsteady]:
    monkeypatch.setattr(worker_module, "WorkerProcess", InThread)
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    account = Account(cloud, tmp_path, fifo=request.param == "fifo", max_receives=1000)
    with proxy(cloud.url) as between:
        # S3 goes through it too.
        account.storage_url = between.url
        yield Unsteady(account, between)


def test_buckets(unsteady: Unsteady) -> None:
    account, failing = unsteady.account, unsteady.between.failing
    failing["s3"] = 1
    with account.working(unsteady.settings(), metrics=unsteady.metrics):
        wait_for(lambda: unsteady.retried() >= 2 * RECORDINGS)
        assert account.events.heard() == account.alarms.heard() == []
        failing["s3"] = 0.3
        wait_for(unsteady.is_empty)
    unsteady.check(account.events, [])
    assert account.alarms.heard() == []


def test_topics(unsteady: Unsteady) -> None:
    account, failing = unsteady.account, unsteady.between.failing
    failing["sns"] = 1
    told: list[dict[str, Any]] = []

    def all_told() -> bool:
        told.extend(event for event, _ in account.events.heard())
        return len(told) >= len(unsteady.commands)

    with account.working(unsteady.settings(), metrics=unsteady.metrics):
        wait_for(unsteady.is_empty)
        assert account.events.heard() == account.alarms.heard() == []
        failing["sns"] = 0.3
        wait_for(all_told)
        failing["sns"] = 0
        wait_for(lambda: b"audioengine_outbox_depth 0.0" in unsteady.metrics.text())
    unsteady.check(account.events, told)
    alarms = [alarm for alarm, _ in account.alarms.heard()]
    assert {alarm["type"] for alarm in alarms} == {"eventNotificationError"}
    of = {json.loads(alarm["event"])["replyId"] for alarm in alarms}
    assert of == {command["replyId"] for command in unsteady.commands}


def test_the_queue(unsteady: Unsteady) -> None:
    account, failing = unsteady.account, unsteady.between.failing
    failing["sqs"] = 0.4
    with account.working(unsteady.settings(), metrics=unsteady.metrics):
        wait_for(unsteady.is_empty)
    unsteady.check(account.events, [])
    assert account.alarms.heard() == []
