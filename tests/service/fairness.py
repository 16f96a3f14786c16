# SPDX-License-Identifier: Apache-2.0
"""Tenants with equal load, one of which misbehaves: how long the others wait for their events.

Folders as buckets and an embedded queue, so that only what the service itself shares is measured.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import jwt

import audioengine as ae
from audioengine.commands.requests import CancelRecording, StopRecording
from audioengine.execution.context import Control
from audioengine.service.notifications.letter import Letter, Sender
from audioengine.service.queues.embedded import EmbeddedQueue
from audioengine.service.recorder.new_call import NewCall, NewCalls
from audioengine.service.worker.assembly import worker_of
from tests.execution.service import DATA, DOMAIN, KEY, MASK, RECORDING, token
from tests.service.recorder.deployment import SECRET
from tests.service.rest.deployment import bearer, served

TEMP, EVENTS, ALARMS = "temp", "events", "alarms"
BAD = "t0.example.com"
WAYS = ("retries", "callbacks", "merges", "dead letters")
"""In which a tenant may misbehave, as far as the worker knows."""

_HANGS_S = 8.0
_DEAD = 250


@dataclass(frozen=True)
class Failing(Control):
    """A recorder that takes its time, and then can't be reached."""

    seconds: float = 0.5

    def pass_on(self, command: StopRecording | CancelRecording, domain: str) -> None:
        time.sleep(self.seconds)
        raise ae.StorageError(f"{command.method} {domain}: 503", retryable=True)


@dataclass
class Topics(Sender):
    """Notes when each event was told, by its token."""

    told_at: dict[str, float] = field(default_factory=dict)

    def send(self, letter: Letter) -> None:
        reply_id = json.loads(letter.body).get("replyId")
        if reply_id is not None:
            self.told_at.setdefault(reply_id, time.monotonic())


@dataclass
class Tenants(Sender):
    """Take callbacks, but for one of them, which hangs."""

    bad: str | None
    over: threading.Event = field(default_factory=threading.Event)

    def send(self, letter: Letter) -> None:
        if letter.address == self.bad:
            self.over.wait(_HANGS_S)


def _callback(event: Mapping[str, Any], domain: str | None) -> Letter:
    lane = hash(event.get("recordingId")) % 8
    return Letter(channel="callback", address=str(domain), body=json.dumps(event), lane=lane)


class Town:
    """A deployment with tenants, of whom one may misbehave."""

    def __init__(self, folder: Path, tenants: int, processes: int, merged: int = 300) -> None:
        """merged: recordings of a merge that fails."""
        self.folder = folder
        self.tenants = [f"t{number}.example.com" for number in range(tenants)]
        self.root = folder / "buckets"
        for bucket in (TEMP, *self.tenants):
            (self.root / bucket).mkdir(parents=True)
        self.storage = ae.FolderStorage(self.root)
        self.processes = processes
        self.merged = merged
        self._numbers = itertools.count()

    def settings(self, outbox: Path) -> ae.Settings:
        return ae.Settings(
            token_key=KEY,
            domains={name: {"buckets": [name]} for name in self.tenants},
            fallbacks={"event_topic": EVENTS, "alarm_topic": ALARMS},
            storage={"root": str(self.root)},
            worker={
                "outbox": str(outbox),
                "processes": self.processes,
                "wait_s": 1,
                "log_level": "error",
            },
        )

    def p99_s(self, way: str | None, each: int, every_s: float) -> float:
        """The 99th percentile of the others' seconds from sending a command to its event.

        way: in which the bad tenant misbehaves; None: it does as the others.
        each, every_s: stores, each with a delete behind it, of a tenant, one so often.
        """
        topics, tenants = Topics(), Tenants(BAD if way == "callbacks" else None)
        number = next(self._numbers)
        path = self.folder / f"queue{number}.db"
        settings = self.settings(self.folder / f"outbox{number}.db")
        with closing(EmbeddedQueue(path, visibility_s=60, max_receives=1000)) as queue:
            if way == "dead letters":
                _fill_dead_letters(queue)
            made = worker_of(
                settings,
                queue=queue,
                senders={"topic": topics, "callback": tenants},
                callback=_callback,
                control=Failing(),
            )
            with made as worker:
                thread = threading.Thread(target=worker.run)
                thread.start()
                try:
                    self._warm(queue, topics)
                    sent = self._send(queue, way, each, every_s)
                    _wait(lambda: all(one in topics.told_at for one in sent))
                finally:
                    tenants.over.set()
                    worker.stop()
                    thread.join()
        return p99([topics.told_at[one] - at for one, at in sent.items()])

    def _warm(self, queue: EmbeddedQueue, topics: Topics) -> None:
        """Let all processes begin, and the look at what is dead."""
        for _ in range(4 * self.processes):
            commands = list(self._pair(self.tenants[-1]))
            for command in commands:
                _queue(queue, command)
        _wait(lambda: len(topics.told_at) == 8 * self.processes)

    def _send(
        self, queue: EmbeddedQueue, way: str | None, each: int, every_s: float
    ) -> Mapping[str, float]:
        """When each command of the others was sent, by its token."""
        sent: dict[str, float] = {}
        begun = time.monotonic()
        for turn in range(each):
            for tenant in self.tenants:
                is_bad = tenant == BAD and way is not None
                for command in self._bad(way) if is_bad else self._pair(tenant):
                    _queue(queue, command)
                    if tenant != BAD:
                        sent[command["replyId"]] = time.monotonic()
            time.sleep(max(0.0, begun + (turn + 1) * every_s - time.monotonic()))
        return sent

    def _pair(self, tenant: str) -> Iterator[dict[str, Any]]:
        """A store, and a delete behind it."""
        recording = f"r{next(self._numbers)}"
        place = self.storage.place(TEMP, f"{recording}.mp3")
        options = ae.S3Options(metadata={"domain": tenant})
        with closing(self.storage.staging(place.location, options)) as staging:
            staging.write(DATA)
            staging.publish()
        yield {
            "method": "STORERECORDING",
            "destinationBucket": tenant,
            "modificationParams": MASK,
            **self._names(tenant, recording),
        }
        yield {"method": "DELETERECORDING", **self._names(tenant, recording)}

    def _bad(self, way: str | None) -> Iterator[dict[str, Any]]:
        """As many commands of the bad tenant."""
        if way not in ("retries", "merges"):
            yield from self._pair(BAD)
            return
        for _ in range(2):
            recording = f"r{next(self._numbers)}"
            names = self._names(BAD, recording)
            if way == "retries":
                yield {"method": "STOPRECORDING", **names}
                continue
            ids = [recording, *(f"{recording}-{number}" for number in range(self.merged))]
            yield {
                "method": "MERGERECORDINGS",
                "destinationBucket": BAD,
                "fileName": f"{recording}.mp3",
                "toMerge": [{"recordingId": one, "startTime": 1.5e12} for one in ids],
                "replyId": names["replyId"],
            }

    def _names(self, tenant: str, recording: str) -> dict[str, str]:
        claims = {
            "domain": tenant,
            "recordingId": recording,
            "tempBucket": TEMP,
            "tempKey": f"{recording}.mp3",
            "number": next(self._numbers),
        }
        return {"recordingId": recording, "replyId": jwt.encode(claims, KEY)}


def _queue(queue: EmbeddedQueue, command: Mapping[str, Any]) -> None:
    group = command.get("recordingId") or command["toMerge"][0]["recordingId"]
    queue.send(json.dumps(command), group=group)


def _fill_dead_letters(queue: EmbeddedQueue) -> None:
    """With what is nobody's command."""
    with queue._database.writing() as connection:
        for number in range(_DEAD):
            connection.execute(
                "INSERT INTO messages (id, body, of_group, attributes, sent_ms, since, due_at,"
                " receives, is_dead) VALUES (?, 'no JSON', 'g', '{}', 1, 0, 0, 1, 1)",
                (f"foreign{number}",),
            )


def _wait(happened: Any) -> None:
    until = time.monotonic() + 600
    while not happened():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.02)


def p99(seconds: Sequence[float]) -> float:
    """The 99th percentile."""
    return sorted(seconds)[math.ceil(0.99 * len(seconds)) - 1]


@contextmanager
def asked(urls: Mapping[str, str]) -> Iterator[NewCalls]:
    """What asks tenants at these URLs."""
    domains = {
        name: {"buckets": [name], "callback_url": url, "callback_secret": SECRET}
        for name, url in urls.items()
    }
    yield NewCalls(ae.Settings(domains=domains, callbacks={"allow_http": True}))


def new_call_p99_s(urls: Mapping[str, str], each: int, bad_each: int) -> float:
    """The same for newCall of the others, while the bad tenant is asked so often at once."""

    async def all_of_it(calls: NewCalls) -> list[float]:
        async def ask(domain: str) -> float:
            begun = time.monotonic()
            await calls.decide(NewCall(domain=domain, recording_id="r"))
            return time.monotonic() - begun

        hanging = [asyncio.create_task(ask(BAD)) for _ in range(bad_each)]
        await asyncio.sleep(0)
        seconds = []
        for _ in range(each):
            seconds += await asyncio.gather(*(ask(name) for name in urls if name != BAD))
        for one in hanging:
            one.cancel()
        return seconds

    with asked(urls) as calls:
        return p99(asyncio.run(all_of_it(calls)))


def rest_p99_s(each: int, idle: int) -> float:
    """The same for commands over HTTP of clients that are there, and so many who say nothing."""
    body = {"recordingId": RECORDING, "replyId": token()}
    with ExitStack() as stack:
        most = idle + 5
        options: dict[str, Any] = {"max_connections": most, "max_connections_per_address": None}
        service = stack.enter_context(served(**options))
        clients = [
            stack.enter_context(httpx.Client(base_url=service.url, headers=bearer()))
            for _ in range(4)
        ]
        for client in clients:
            client.get("/healthz")
        for _ in range(idle + 20):  # more than are let in
            address = ("127.0.0.1", service.port)
            stack.enter_context(socket.create_connection(address, 10))
        seconds = []
        for _ in range(each):
            for client in clients:
                begun = time.monotonic()
                answer = client.post(f"/{DOMAIN}/deleterecording", json=body)
                seconds.append(time.monotonic() - begun)
                assert answer.status_code == 200
    return p99(seconds)
