# SPDX-License-Identifier: Apache-2.0
"""A deployment on this machine: folders as buckets, an embedded queue, topics as lines."""

from __future__ import annotations

import io
import json
import shutil
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import audioengine as ae
from audioengine.service.metrics import Metrics
from audioengine.service.notifications.letter import Sender
from audioengine.service.notifications.topics import LineTopics
from audioengine.service.queues.embedded import EmbeddedQueue
from audioengine.service.queues.queue import CommandQueue
from audioengine.service.worker.assembly import worker_of
from audioengine.service.worker.worker import Worker
from tests.execution.service import (
    ALARMS,
    DATA,
    DOMAIN,
    EVENTS,
    KEPT,
    KEY,
    MASK,
    OTHER,
    OTHERS,
    START,
    TEMP,
    token,
)


def wait_for(happened: Callable[[], Any], seconds: float = 60) -> Any:
    """What a condition gives, once that is something."""
    until = time.monotonic() + seconds
    while not (found := happened()):
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.02)
    return found


class Site:
    """What workers share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "buckets"
        for bucket in (TEMP, KEPT, OTHERS):
            (self.root / bucket).mkdir(parents=True)
        self.storage = ae.FolderStorage(self.root)
        self.topics = folder / "topics.jsonl"
        self.queue_path = folder / "queue.db"

    def values(self, **worker: Any) -> dict[str, Any]:
        """The settings, as a file has them."""
        table = {
            "outbox": str(self.folder / "outbox.db"),
            "processes": 2,
            "visibility_s": 30,
            "wait_s": 1,
            "backoff_s": 0,
            **worker,
        }
        return {
            "token_key": KEY,
            "domains": {DOMAIN: {"buckets": [KEPT]}, OTHER: {"buckets": [OTHERS]}},
            "fallbacks": {"event_topic": EVENTS, "alarm_topic": ALARMS},
            "storage": {"root": str(self.root)},
            "worker": table,
        }

    def settings(self, **worker: Any) -> ae.Settings:
        return ae.Settings(**self.values(**worker))

    def queue(self, **options: Any) -> EmbeddedQueue:
        return EmbeddedQueue(self.queue_path, **{"visibility_s": 30, "max_receives": 5, **options})

    def put(self, recording: str, data: bytes = DATA) -> None:
        """A temporary recording with its metadata."""
        location = self.storage.place(TEMP, temp_key(recording))
        options = ae.S3Options(metadata={"domain": DOMAIN, "start-time-ms": str(START)})
        staging = location.storage.staging(location.location, options)
        staging.write(data)
        staging.publish()
        staging.close()

    def heard(self, topic: str = EVENTS) -> list[dict[str, Any]]:
        """What was published to a topic, in order."""
        return [line["message"] for line in self.lines() if line["topic"] == topic]

    def lines(self) -> list[dict[str, Any]]:
        """All that was published."""
        if not self.topics.exists():
            return []
        return [json.loads(line) for line in self.topics.read_text().splitlines()]

    def by_command(self) -> Mapping[str, list[dict[str, Any]]]:
        """Events by their token, which is another one for each command."""
        told = defaultdict(list)
        for event in self.heard():
            told[event["replyId"]].append(event)
        return told

    @contextmanager
    def working(
        self,
        queue: CommandQueue | None = None,
        topics: Sender | None = None,
        settings: ae.Settings | None = None,
        metrics: Metrics | None = None,
        **more: Any,
    ) -> Iterator[Worker]:
        """A worker that runs, in this process, and drains in the end."""
        queue = queue or self.queue()
        with worker_of(
            settings or self.settings(),
            queue=queue,
            senders={"topic": topics or LineTopics(self.topics, io.StringIO())},
            metrics=metrics,
            **more,
        ) as worker:
            thread = threading.Thread(target=worker.run, daemon=True)
            thread.start()
            try:
                yield worker
            finally:
                worker.stop()
                thread.join(60)
                assert not thread.is_alive()

    def clear(self) -> None:
        shutil.rmtree(self.folder)


def store(recording: str, name: str | None = None, **more: Any) -> dict[str, Any]:
    """A STORERECORDING with a mask."""
    command = {
        "method": "STORERECORDING",
        "destinationBucket": KEPT,
        "fileName": name or f"{recording}.mp3",
        "modificationParams": MASK,
        "recordingId": recording,
        "replyId": reply_id(recording),
        **more,
    }
    return {name: value for name, value in command.items() if value is not None}


def delete(recording: str, **more: Any) -> dict[str, Any]:
    """A DELETERECORDING."""
    reply = reply_id(recording)
    return {"method": "DELETERECORDING", "recordingId": recording, "replyId": reply, **more}


def merge(recordings: list[str], name: str, **more: Any) -> dict[str, Any]:
    """A MERGERECORDINGS of recordings that began at once."""
    return {
        "method": "MERGERECORDINGS",
        "destinationBucket": KEPT,
        "fileName": name,
        "toMerge": [{"recordingId": one, "startTime": START} for one in recordings],
        "replyId": reply_id(recordings[0]),
        **more,
    }


_made = iter(range(10**9))


def temp_key(recording: str) -> str:
    """The key of a temporary recording."""
    return f"190110-{recording}.mp3"


def reply_id(recording: str) -> str:
    """Another token each time."""
    return token(recordingId=recording, tempKey=temp_key(recording), number=next(_made))


def send(queue: CommandQueue, command: Mapping[str, Any]) -> str:
    """Queue a command as its sender does."""
    group = command.get("recordingId") or command["toMerge"][0]["recordingId"]
    return queue.send(json.dumps(command), group=group)
