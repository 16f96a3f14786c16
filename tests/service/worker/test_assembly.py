# SPDX-License-Identifier: Apache-2.0
"""A worker as settings say: its queue, its figures over HTTP, and what is wrong with settings."""

from __future__ import annotations

import socket
import urllib.request
from pathlib import Path
from typing import Any

import pytest

import audioengine as ae
from audioengine.service.endpoints import queue_of
from audioengine.service.metrics import Metrics
from audioengine.service.queues.embedded import EmbeddedQueue
from audioengine.service.queues.queue import CommandQueue
from audioengine.service.queues.sqs import SqsQueue
from audioengine.service.worker.assembly import worker_of
from tests.service.senders import Unsteady
from tests.service.site import Site


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def test_figures_are_shown_over_http(tmp_path: Path) -> None:
    site, port, metrics = Site(tmp_path / "site"), free_port(), Metrics()
    queue = EmbeddedQueue(site.queue_path)
    options: dict[str, Any] = {"queue": queue, "senders": {"topic": Unsteady()}}
    settings = site.settings(metrics_port=port)
    with worker_of(settings, metrics=metrics, **options):
        metrics.command("STORERECORDING", "done")
        metrics.received(sent_ms=1000, now=3.5)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        assert text == metrics.text().decode()
        with (
            pytest.raises(ae.InvalidRequestError, match="must be a port that is free"),
            worker_of(settings, **options),
        ):
            pass
    for line in (
        'audioengine_commands_total{kind="STORERECORDING",outcome="done"} 1.0',
        "audioengine_queue_age_seconds 2.5",
        "audioengine_outbox_depth 0.0",
        "audioengine_commands_held 0.0",
    ):
        assert line in text.splitlines()


def test_the_queue_is_the_worker_s_or_that_of_the_fallbacks(tmp_path: Path) -> None:
    values = Site(tmp_path / "site").values()
    url = "https://sqs.eu-west-1.amazonaws.com/1/a"
    with pytest.raises(ae.InvalidRequestError, match=r"worker\.queue_url"):
        queue_of(ae.Settings(**values))
    values["fallbacks"]["command_queue"] = f"{url}.fifo"
    assert is_fifo(queue_of(ae.Settings(**values)))
    values["worker"]["queue_url"] = url
    assert not is_fifo(queue_of(ae.Settings(**values)))


def is_fifo(queue: CommandQueue) -> bool:
    assert isinstance(queue, SqsQueue)
    return queue.is_fifo


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("processes", 0, "greater than or equal to 1"),
        ("visibility_s", 0, "greater than or equal to 1"),
        ("longest_s", 12 * 3600, "less than or equal to 21600"),
        ("wait_s", 21, "less than or equal to 20"),
        ("wait_s", "soon", "must be a whole number"),
        ("endpoint_url", "ftp://x", "must be an http:// or https:// URL"),
        ("metrics_port", 65536, "less than or equal to 65535"),
        ("log_level", "loud", "'debug', 'info', 'warning' or 'error'"),
        ("misspelt", 1, "queue_url"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, field: str, value: object, rule: str) -> None:
    with pytest.raises(ae.InvalidRequestError, match=rf"worker\.{field}") as caught:
        Site(tmp_path / "site").settings(**{field: value})
    assert rule in str(caught.value)
