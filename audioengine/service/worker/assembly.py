# SPDX-License-Identifier: Apache-2.0
"""A worker with all that it needs, as the settings say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager

from audioengine.errors import InvalidRequestError
from audioengine.execution.context import Control, Resolver, nothing_known
from audioengine.service.endpoints import queue_of, topic_sender
from audioengine.service.metrics import Metrics
from audioengine.service.notifications.delivery import Delivery, MakeCallback, no_callback
from audioengine.service.notifications.letter import Channel, Sender
from audioengine.service.notifications.outbox import Flusher, Outbox
from audioengine.service.queues.queue import CommandQueue
from audioengine.service.worker.queued_command import Deployment
from audioengine.service.worker.settlement import Settlement
from audioengine.service.worker.worker import Worker
from audioengine.settings import Settings


@contextmanager
def worker_of(
    settings: Settings,
    *,
    queue: CommandQueue | None = None,
    senders: Mapping[Channel, Sender] | None = None,
    callback: MakeCallback = no_callback,
    resolver: Resolver = nothing_known,
    control: Control | None = None,
    metrics: Metrics | None = None,
) -> Iterator[Worker]:
    """Make a worker, its outbox and what flushes that; what was left there goes out at once.

    queue, senders: by default those that the settings name.
    callback: makes what senders of the channel "callback" send.
    resolver, control: as in `execute`; values that can be pickled.

    Raises InvalidRequestError, StorageError.
    """
    table = settings.worker
    metrics = metrics or Metrics()
    if senders is None:
        senders = {"topic": topic_sender(settings)}
    with ExitStack() as stack:
        if queue is None:
            queue = stack.enter_context(closing(queue_of(settings)))
        outbox = stack.enter_context(closing(Outbox(table.outbox)))
        stack.enter_context(closing(Flusher(outbox, senders, metrics)))
        delivery = Delivery(senders, outbox, callback=callback, metrics=metrics)
        deployment = Deployment(settings=settings, resolver=resolver, control=control)
        settlement = Settlement(queue, delivery, deployment, metrics)
        worker = Worker(queue, settlement, deployment, metrics)
        metrics.watch(outbox=outbox.depth, held=worker.held, away=worker.away)
        if table.metrics_port is not None:
            stack.enter_context(_shown(metrics, table.metrics_host, table.metrics_port))
        yield worker


@contextmanager
def _shown(metrics: Metrics, host: str, port: int) -> Iterator[None]:
    """Let Prometheus read the figures over HTTP."""
    from prometheus_client import start_http_server

    try:
        server, thread = start_http_server(port, host, metrics.registry)
    except OSError as error:
        rule = f"must be a port that is free: {error.strerror}"
        raise InvalidRequestError.of("worker.metrics_port", port, rule) from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
