# SPDX-License-Identifier: Apache-2.0
"""The worker on two processors: commands a second, beside a batch of the same, and its memory.

Queue and topics are emulated on the same processors: in files, and by moto, whose own time is taken
out.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import boto3
import jwt
import pytest
import tomli_w

import audioengine as ae
from audioengine.service.queues.embedded import EmbeddedQueue
from audioengine.service.queues.queue import CommandQueue
from audioengine.service.queues.sqs import SqsQueue
from benchmarks import peers
from benchmarks.results import record
from benchmarks.test_batch_jobs import DIFFERENT, PROCESSORS, call_of, edit_of
from tests.storage.servers import ENVIRONMENT, moto_server

SUBJECT = "A worker: stores of 5 minutes at 8 kHz, a trim and two masks of 2 s"
COMMANDS = 200
WARM = COMMANDS // 4
"""Commands that are not timed: processes begin meanwhile."""
LEAST_SHARE = 0.6
FEW, MANY = 500, 10_000
MAX_EXTRA_MIB = 6
"""Between few commands and many: buffers, and what the allocator keeps."""
KEY = "a key of the benchmarks that is long enough for HS256"
DOMAIN, TEMP, KEPT = "sip.example.com", "temp", "kept"


class Deployment:
    """Folders as buckets, and recordings in them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "buckets"
        for bucket in (TEMP, KEPT):
            (self.root / bucket).mkdir(parents=True)
        storage = ae.FolderStorage(self.root)
        for number in range(DIFFERENT):
            place = storage.place(TEMP, f"{number}.mp3")
            ae.store(call_of(number).path, place)
        self.topics = {"eventTopic": "events", "alarmTopic": "alarms"}

    def values(self, **worker: Any) -> dict[str, Any]:
        return {
            "token_key": KEY,
            "domains": {DOMAIN: {"buckets": [KEPT]}},
            "storage": {"root": str(self.root)},
            "worker": {
                "outbox": str(self.folder / "outbox.db"),
                "processes": PROCESSORS,
                "log_level": "warning",
                **worker,
            },
        }

    def token(self, number: int) -> str:
        claims = {
            "domain": DOMAIN,
            "recordingId": str(number),
            "tempBucket": TEMP,
            "tempKey": f"{number % DIFFERENT}.mp3",
            **self.topics,
        }
        return jwt.encode(claims, KEY, algorithm="HS256")

    def command(self, number: int) -> dict[str, Any]:
        edit = edit_of(number)
        masks = {
            party: [{"from": start, "to": end} for start, end in of]
            for party, of in edit.masks.items()
        }
        return {
            "method": "STORERECORDING",
            "destinationBucket": KEPT,
            "fileName": f"{number}.mp3",
            "modificationParams": {
                "trim": dict(zip(("from", "to"), edit.keep, strict=True)),
                "mask": masks,
            },
            "recordingId": str(number),
            "replyId": self.token(number),
        }

    def clear(self) -> None:
        """No command finds its output."""
        for path in (self.root / KEPT).iterdir():
            path.unlink()


def batch_rate(site: Deployment) -> float:
    """Commands a second of a batch, without the first."""
    manifest, journal = site.folder / "commands.jsonl", site.folder / "journal"
    settings = site.folder / "settings.toml"
    settings.write_text(tomli_w.dumps(site.values()))
    with manifest.open("w") as file:
        for number in range(COMMANDS):
            file.write(f"{json.dumps(site.command(number))}\n")
    journal.unlink(missing_ok=True)
    verb = [sys.executable, "-m", "audioengine", "batch", str(manifest), "--journal", str(journal)]
    more = ["--settings", str(settings), "--concurrency", str(PROCESSORS)]
    root = Path(__file__).parent.parent
    done = subprocess.run([*verb, *more], capture_output=True, text=True, check=False, cwd=root)
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]
    entries = [json.loads(line) for line in journal.read_text().splitlines()[1:]]
    times = [datetime.fromisoformat(entry["time"]) for entry in entries]
    site.clear()
    return (COMMANDS - WARM) / (times[-1] - times[WARM - 1]).total_seconds()


@dataclass(frozen=True, slots=True)
class Emulator:
    """moto in a process of its own."""

    url: str
    pid: int

    def seconds(self) -> float:
        """How long it has worked, on one processor."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _emulate(told: Any) -> None:
    with moto_server() as url:
        told.send(url)
        told.recv()


@contextmanager
def emulator() -> Iterator[Emulator]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_emulate, args=(theirs,))
    process.start()
    try:
        assert process.pid is not None
        yield Emulator(ours.recv(), process.pid)
    finally:
        ours.send(None)
        process.join()


@pytest.fixture
def site(scratch: Path) -> Deployment:
    return Deployment(scratch)


def queue_all(queue: CommandQueue, commands: Iterator[Mapping[str, Any]]) -> None:
    for command in commands:
        queue.send(json.dumps(command), group=command["recordingId"])


def told(what: str, rate: float, batch: float, detail: str = "") -> None:
    share = rate / batch
    value = f"{rate:.0f} commands/s, {share:.0%} of a batch's {batch:.0f}{detail}"
    kept = share >= LEAST_SHARE
    record(SUBJECT, what, "audioengine", value, f"≥ {LEAST_SHARE:.0%}", kept=kept)


def test_embedded_queue_and_topics_as_lines(site: Deployment) -> None:
    batch = batch_rate(site)
    queue = EmbeddedQueue(site.folder / "queue.db")
    queue_all(queue, map(site.command, range(COMMANDS)))
    cost = peers.lone_worker(site.values(), str(site.folder), COMMANDS, WARM)
    told("embedded queue, topics as lines", (COMMANDS - WARM) / cost["seconds"], batch)


def test_queue_and_topics_of_moto(site: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    batch = batch_rate(site)
    with emulator() as moto:
        sns = boto3.client("sns", endpoint_url=moto.url)
        site.topics = {
            name: sns.create_topic(Name=name)["TopicArn"] for name in ("eventTopic", "alarmTopic")
        }
        sqs = boto3.client("sqs", endpoint_url=moto.url)
        url = sqs.create_queue(QueueName="commands")["QueueUrl"]
        queue_all(SqsQueue(url, endpoint_url=moto.url), map(site.command, range(COMMANDS)))
        values = site.values(queue_url=url, endpoint_url=moto.url)
        before = moto.seconds()
        cost = peers.lone_worker(values, None, COMMANDS, WARM)
        spent = (moto.seconds() - before) * (COMMANDS - WARM) / COMMANDS
    # What it takes of two processors, the worker can't have.
    own = cost["seconds"] - spent / PROCESSORS
    detail = f"; moto took {spent / PROCESSORS / cost['seconds']:.0%} of the processors"
    told("queue and topics of moto, its own time taken out", (COMMANDS - WARM) / own, batch, detail)


def test_memory_does_not_grow_with_commands(site: Deployment) -> None:
    def peak(commands: int) -> float:
        queue = EmbeddedQueue(site.folder / "queue.db")
        deletes = (
            {"method": "DELETERECORDING", "recordingId": str(one), "replyId": site.token(one)}
            for one in range(commands)
        )
        queue_all(queue, deletes)
        queue.close()
        began = time.perf_counter()
        cost = peers.lone_worker(site.values(), str(site.folder), commands, 1)
        assert EmbeddedQueue(site.folder / "queue.db").depth() == 0
        rates.append(commands / (time.perf_counter() - began))
        return cost["peak_mib"]

    rates: list[float] = []
    few, many = peak(FEW), peak(MANY)
    record(
        SUBJECT,
        f"{MANY:,} queued deletes: peak resident memory of the worker itself",
        "audioengine",
        f"{many:.0f} MiB, {many - few:.1f} over that of {FEW:,}; {rates[-1]:.0f} commands/s",
        f"≤ {MAX_EXTRA_MIB} MiB over",
        kept=many - few <= MAX_EXTRA_MIB,
    )
