# SPDX-License-Identifier: Apache-2.0
"""The worker over HTTP: SQS, SNS, S3 and KMS as moto speaks them, and the reference's examples."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import audioengine as ae
from audioengine.service.queues.sqs import SqsQueue
from audioengine.service.worker import worker as worker_module
from audioengine.service.worker.assembly import worker_of
from tests.commands import reference
from tests.execution.service import DOMAIN, KEY, token
from tests.service.cloud import Cloud, Topic
from tests.service.hooks import FailingWhile, InThread, Recorder
from tests.service.site import wait_for
from tests.support import FIXTURES, fixture

TEMP, KEPT = "temp", "recordingstorage.company.com"
PARTS = ("conference-a-8k", "conference-b-8k", "conference-c-8k")
RESERVED = {"domain", "recordingId", "commandDigest", "event"}


class Account:
    """A tenant's queue, topics and buckets."""

    def __init__(self, cloud: Cloud, folder: Path, *, fifo: bool, max_receives: int) -> None:
        self.cloud = cloud
        self.storage_url = cloud.url
        self.folder = folder
        self.events, self.alarms = cloud.topic(), cloud.topic()
        self.url = cloud.queue_url(fifo=fifo, max_receives=max_receives)
        self.queue = SqsQueue(self.url)
        self.s3 = cloud.client("s3")
        self.temp = f"{TEMP}-{uuid4()}"
        self.s3.create_bucket(Bucket=self.temp)
        west = {"LocationConstraint": "us-west-2"}
        names = {one["Name"] for one in self.s3.list_buckets()["Buckets"]}
        if KEPT not in names:
            self.s3.create_bucket(Bucket=KEPT, CreateBucketConfiguration=west)

    def values(self, **worker: Any) -> dict[str, Any]:
        return {
            "token_key": KEY,
            "domains": {DOMAIN: {"buckets": [KEPT]}},
            "fallbacks": {"event_topic": self.events.arn, "alarm_topic": self.alarms.arn},
            "storage": {"endpoint_url": self.storage_url},
            "worker": {
                "queue_url": self.url,
                "outbox": str(self.folder / "outbox.db"),
                "processes": 2,
                "wait_s": 1,
                "backoff_s": 0,
                **worker,
            },
        }

    @contextmanager
    def working(self, worker: Mapping[str, Any] | None = None, **more: Any) -> Iterator[None]:
        settings = ae.Settings(**self.values(**(worker or {})))
        with worker_of(settings, **more) as works:
            thread = threading.Thread(target=works.run, daemon=True)
            thread.start()
            try:
                yield
            finally:
                works.stop()
                thread.join(60)
                assert not thread.is_alive()

    def token(self, recording: str, key: str, **claims: Any) -> str:
        given = {
            "recordingId": recording,
            "tempBucket": self.temp,
            "tempKey": key,
            "commandQueue": reference.QUEUE,
            "eventTopic": self.events.arn,
            "alarmTopic": self.alarms.arn,
        }
        return token(**{**given, **claims})

    def put(self, key: str, data: bytes, start_ms: int) -> None:
        metadata = {"domain": DOMAIN, "start-time-ms": str(start_ms)}
        self.s3.put_object(Bucket=self.temp, Key=key, Body=data, Metadata=metadata)

    def run(self, *commands: Mapping[str, Any], **more: Any) -> None:
        """Queue commands, and work until they are gone."""
        for command in commands:
            self.queue.send(json.dumps(command), group=group_of(command))
        with self.working(**more):
            # moto counts a message twice or not at all while it is given back.
            wait_for(lambda: not any(self.queue.depth() for _ in range(3)))


def group_of(command: Mapping[str, Any]) -> str:
    return str(command.get("recordingId") or command["toMerge"][0]["recordingId"])


@pytest.fixture(params=["standard", "fifo"])
def account(
    request: pytest.FixtureRequest, cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Account:
    monkeypatch.setattr(worker_module, "WorkerProcess", InThread)
    return Account(cloud, tmp_path, fifo=request.param == "fifo", max_receives=4)


def example_of(event: str) -> dict[str, Any]:
    return next(one for one in reference.EVENTS if one["event"] == event)


def check_like(told: dict[str, Any], command: Mapping[str, Any]) -> None:
    """The keys are those of the reference's example, in its order, and say where it came from."""
    example = example_of(told["event"])
    assert list(told) == list(example)
    assert (told["commandQueue"], told["commandRegion"]) == (reference.QUEUE, "eu-west-1")
    assert told["replyId"] == command["replyId"]
    for key in ("recordingId", "destinationBucket", "fileName"):
        if key in told and key in command:
            assert told[key] == command[key]
    if "domain" in told:
        assert told["domain"] == DOMAIN


def only(topic: Topic) -> tuple[dict[str, Any], dict[str, str]]:
    (heard,) = topic.heard()
    return heard


def test_the_reference_s_examples_as_they_should_be(account: Account) -> None:
    """With a token that counts and a key that there is, each ends as the reference says."""
    kms = account.cloud.session.client(
        "kms", endpoint_url=account.cloud.url, region_name="us-west-2"
    )
    arn = kms.create_key()["KeyMetadata"]["Arn"]
    recording = reference.RECORDING
    account.put("a.mp3", fixture("demo-call"), 1561988730000)
    stored = {**reference.STORE, "encryptionKey": arn, "replyId": account.token(recording, "a.mp3")}
    account.run(stored)
    event, attributes = only(account.events)
    assert event["event"] == "RECORDINGSTORED"
    check_like(event, stored)
    assert attributes["event"] == "RECORDINGSTORED"
    assert attributes["recordingId"] == recording
    assert attributes.keys() == RESERVED
    head = account.s3.head_object(Bucket=KEPT, Key="myrecording.mp3")
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", arn)
    output = account.s3.get_object(Bucket=KEPT, Key="myrecording.mp3")["Body"].read()
    assert ae.inspect(output).duration_ms == 6000

    entries = reference.MERGE["toMerge"]
    for entry, name in zip(entries, PARTS, strict=True):
        account.put(f"241014-{entry['recordingId']}.mp3", fixture(name), entry["startTime"])
    first = entries[0]["recordingId"]
    merged = {
        **reference.MERGE,
        "encryptionKey": arn,
        "replyId": account.token(first, f"241014-{first}.mp3"),
    }
    account.run(merged)
    event, attributes = only(account.events)
    assert event["event"] == "RECORDINGSMERGED"
    check_like(event, merged)
    assert attributes.keys() == RESERVED - {"recordingId"}

    deleted = {**reference.COMMANDS[2], "replyId": account.token(recording, "a.mp3")}
    account.run(deleted)
    event, _ = only(account.events)
    assert event["event"] == "RECORDINGDELETED"
    check_like(event, deleted)
    left = account.s3.list_objects_v2(Bucket=account.temp)
    assert "a.mp3" not in [one["Key"] for one in left["Contents"]]

    recorder = Recorder(account.folder / "notes")
    passed_on = [
        {**command, "replyId": account.token(recording, "a.mp3")}
        for command in reference.COMMANDS[3:]
    ]
    account.run(*passed_on, control=recorder)
    assert [note.split()[0] for note in recorder.noted()] == ["STOPRECORDING", "CANCELRECORDING"]
    # The recorder's own reports are what tells of these.
    assert account.events.heard() == account.alarms.heard() == []


def test_the_reference_s_examples_as_they_are(account: Account) -> None:
    """Their tokens are none: each fails, with the alarm that the reference names, and no event."""
    account.run(*reference.COMMANDS)
    assert account.events.heard() == []
    alarms = {alarm["type"]: alarm for alarm, _ in account.alarms.heard()}
    assert alarms.keys() == {
        "storeRecordingError",
        "mergeRecordingsError",  # ours
        "deleteRecordingError",
        "stopRecordingError",
        "cancelRecordingError",
    }
    shown = {**reference.STORE, "encryptionKey": "***"}
    assert json.loads(alarms["storeRecordingError"]["event"]) == shown
    for alarm in alarms.values():
        assert list(alarm) == ["type", "event", "error"]


def test_a_token_of_another_recording_has_the_reference_s_text(account: Account) -> None:
    other = account.token("another", "a.mp3")
    account.run(*({**command, "replyId": other} for command in reference.COMMANDS))
    events = {event["event"]: event for event, _ in account.events.heard()}
    assert events.keys() == {
        "STORERECORDINGFAILED",
        "MERGERECORDINGSFAILED",
        "DELETERECORDINGFAILED",
    }
    for name, event in events.items():
        assert list(event) == list(example_of(name))
        assert event["replyId"] == other
        assert event["reason"]
    alarms = [alarm for alarm, _ in account.alarms.heard()]
    assert len(alarms) == 5
    by_type = {alarm["type"]: alarm for alarm in alarms}
    for example in reference.ALARMS[:4]:
        assert by_type[example["type"]]["error"].endswith(example["error"])


def test_duplicates_tell_the_same_and_what_comes_late_does_no_harm(account: Account) -> None:
    recording = reference.RECORDING
    account.put("a.mp3", fixture("mpeg25-8k-32k"), 1561988730000)
    reply_id = account.token(recording, "a.mp3")
    name = f"{uuid4()}.mp3"
    stored = {
        "method": "STORERECORDING",
        "destinationBucket": KEPT,
        "fileName": name,
        "modificationParams": {"mask": {"caller": [{"from": 1, "to": 2}]}},
        "recordingId": recording,
        "replyId": reply_id,
    }
    deleted = {"method": "DELETERECORDING", "recordingId": recording, "replyId": reply_id}
    account.run(stored, stored, deleted)
    account.run(deleted, stored)
    heard = account.events.heard()
    told = sorted(event["event"] for event, _ in heard)
    assert told == ["RECORDINGDELETED"] * 2 + ["RECORDINGSTORED"] * 3
    assert len({json.dumps(one) for one in heard}) == 2
    assert len(account.s3.list_objects_v2(Bucket=KEPT, Prefix=name)["Contents"]) == 1


def test_a_command_that_may_pass_fails_on_its_last_receive(account: Account) -> None:
    flag = account.folder / "failing"
    flag.touch()
    recording = f"r-{uuid4()}"
    account.put("a.mp3", fixture("mpeg25-8k-32k"), 1561988730000)
    command = {**reference.COMMANDS[2], "recordingId": recording}
    command["replyId"] = account.token(recording, "a.mp3")
    account.run(command, resolver=FailingWhile(flag))
    event, _ = only(account.events)
    assert event["event"] == "DELETERECORDINGFAILED"
    check_like(event, command)
    alarm, _ = only(account.alarms)
    assert alarm["error"] == "the bucket does not answer"


def test_a_topic_that_is_away_for_a_while_loses_nothing_and_keeps_order(account: Account) -> None:
    recording, arn = reference.RECORDING, account.events.arn
    sns = account.cloud.client("sns")
    sns.delete_topic(TopicArn=arn)
    account.put("a.mp3", fixture("mpeg25-8k-32k"), 1561988730000)
    reply_id = account.token(recording, "a.mp3")
    stored = {
        "method": "STORERECORDING",
        "destinationBucket": KEPT,
        "fileName": f"{uuid4()}.mp3",
        "recordingId": recording,
        "replyId": reply_id,
    }
    deleted = {"method": "DELETERECORDING", "recordingId": recording, "replyId": reply_id}
    account.run(stored, deleted)
    alarms = [alarm for alarm, _ in account.alarms.heard()]
    assert [alarm["type"] for alarm in alarms] == ["eventNotificationError"] * 2
    assert [json.loads(alarm["event"]) for alarm in alarms] == [stored, deleted]
    assert "NotFound" in alarms[0]["error"]
    back = account.cloud.topic(arn.rpartition(":")[2])
    assert back.arn == arn
    heard: list[str] = []
    with account.working():

        def both() -> bool:
            heard.extend(event["event"] for event, _ in back.heard())
            return len(heard) == 2

        wait_for(both)
    assert heard == ["RECORDINGSTORED", "RECORDINGDELETED"]


def test_a_long_command_is_kept_from_others_over_http(cloud: Cloud, tmp_path: Path) -> None:
    account = Account(cloud, tmp_path, fifo=False, max_receives=4)
    recorder = Recorder(tmp_path / "notes", seconds=4)
    command = {**reference.COMMANDS[3], "replyId": account.token(reference.RECORDING, "a.mp3")}
    account.queue.send(json.dumps(command), group="g")
    worker = {"visibility_s": 2, "processes": 1}
    with account.working(worker, control=recorder):
        wait_for(recorder.noted)
        for _ in range(3):
            time.sleep(1)
            assert not account.queue.receive(1, 0)
        wait_for(lambda: account.queue.depth() == 0)
    assert len(recorder.noted()) == 1


def test_the_verb_works_until_sigterm(cloud: Cloud, tmp_path: Path) -> None:
    """As a process of its own, with its processes, and settings from the environment."""
    account = Account(cloud, tmp_path, fifo=False, max_receives=3)
    account.put("a.mp3", fixture("mpeg25-8k-32k"), 1561988730000)
    name = f"{uuid4()}.mp3"
    command = {
        "method": "STORERECORDING",
        "destinationBucket": KEPT,
        "fileName": name,
        "modificationParams": {"trim": {"from": 1}},
        "recordingId": reference.RECORDING,
        "replyId": account.token(reference.RECORDING, "a.mp3"),
    }
    account.queue.send(json.dumps(command), group="g")
    account.queue.send("no JSON", group="g")
    values = account.values(processes=1)
    environment = {**os.environ, "PYTHONPATH": str(FIXTURES.parent)}
    for name_of, value in values.items():
        text = value if isinstance(value, str) else json.dumps(value)
        environment[f"AUDIOENGINE_{name_of.upper()}"] = text
    process = subprocess.Popen(
        [sys.executable, "-m", "audioengine", "worker"],
        env=environment,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    with process:
        try:
            wait_for(lambda: account.queue.depth() == 0, 120)
            os.killpg(process.pid, signal.SIGTERM)  # as systemd does it
            assert process.stderr is not None
            lines = [json.loads(line) for line in process.stderr.read().splitlines()]
            assert process.wait(60) == 0
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    event, _ = only(account.events)
    check_like(event, command)
    told = [line["event"] for line in lines]
    assert told[0] == "worker began"
    assert told[-2:] == ["worker drains", "worker ended"]
    (done,) = [line for line in lines if line["event"] == "command done"]
    assert (done["recordingId"], done["domain"]) == (reference.RECORDING, DOMAIN)
    assert len(done["commandDigest"]) == 64
    assert "eyJ" not in json.dumps(lines)
