# SPDX-License-Identifier: Apache-2.0
"""A worker as a process of its own, which tests kill."""

from __future__ import annotations

import io
import signal
from pathlib import Path
from typing import Any
from unittest.mock import patch

import audioengine as ae
from audioengine.service import worker as worker_module
from audioengine.service.queue_embedded import EmbeddedQueue
from audioengine.service.running import worker_of
from audioengine.service.topics import LineTopics
from tests.service.core.hooks import InThread


def work(folder: Path, values: dict[str, Any], *, in_threads: bool) -> None:
    """Work until SIGTERM; in threads or in processes of the worker's own."""
    if in_threads:
        patch.object(worker_module, "Process", InThread).start()
    queue = EmbeddedQueue(
        folder / "queue.db", visibility_s=1, max_receives=values["worker"]["max_receives"]
    )
    topics = LineTopics(folder / "topics.jsonl", io.StringIO())
    with worker_of(ae.Settings(**values), queue=queue, senders={"topic": topics}) as worker:
        signal.signal(signal.SIGTERM, lambda *_: worker.stop())
        worker.run()
