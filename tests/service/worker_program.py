# SPDX-License-Identifier: Apache-2.0
"""A worker as a process of its own, which tests kill."""

from __future__ import annotations

import io
import signal
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import audioengine as ae
from audioengine.service.notifications.topics import LineTopics
from audioengine.service.queues.embedded import EmbeddedQueue
from audioengine.service.worker import worker as worker_module
from audioengine.service.worker.assembly import worker_of
from tests.service.hooks import InThread


def set_clock(offset_s: float) -> None:
    """Let the clock of the day be wrong in this process; the machine's own is nobody's to set."""
    now, now_ns = time.time, time.time_ns
    patch.object(time, "time", lambda: now() + offset_s).start()
    patch.object(time, "time_ns", lambda: now_ns() + int(offset_s * 1e9)).start()


def work(folder: Path, values: dict[str, Any], *, in_threads: bool, offset_s: float = 0) -> None:
    """Work until SIGTERM; in threads or in processes of the worker's own.

    offset_s: by how much the clock is ahead.
    """
    set_clock(offset_s)
    if in_threads:
        patch.object(worker_module, "WorkerProcess", InThread).start()
    queue = EmbeddedQueue(
        folder / "queue.db", visibility_s=1, max_receives=values["worker"]["max_receives"]
    )
    topics = LineTopics(folder / "topics.jsonl", io.StringIO())
    with worker_of(ae.Settings(**values), queue=queue, senders={"topic": topics}) as worker:
        signal.signal(signal.SIGTERM, lambda *_: worker.stop())
        worker.run()
