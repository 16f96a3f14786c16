# SPDX-License-Identifier: Apache-2.0
"""The recorder's side with all that it needs, as the settings say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from threading import Event, Thread
from typing import TYPE_CHECKING

from audioengine.execution.context import Resolver
from audioengine.execution.execute import storage_of
from audioengine.service.endpoints import queue_at, topic_sender
from audioengine.service.metrics import Metrics
from audioengine.service.notifications.callbacks import CallbackSender, callback_letter
from audioengine.service.notifications.delivery import Delivery, MakeCallback
from audioengine.service.notifications.letter import Channel, Sender
from audioengine.service.notifications.outbox import Flusher, Outbox
from audioengine.service.queues.queue import CommandQueue
from audioengine.service.recorder.catalogue import Catalogue
from audioengine.service.recorder.control import control_of
from audioengine.service.recorder.intake import take_reports
from audioengine.service.recorder.reports import ReportDesk
from audioengine.service.worker.assembly import worker_of
from audioengine.service.worker.worker import Worker
from audioengine.settings import Settings

if TYPE_CHECKING:
    from starlette.routing import BaseRoute


def senders_of(settings: Settings) -> Mapping[Channel, Sender]:
    """Return what sends to topics and to tenants."""
    return {
        "topic": topic_sender(settings),
        "callback": CallbackSender(settings),
    }


def callbacks_of(settings: Settings) -> MakeCallback:
    """Return what makes the callbacks of events."""
    return partial(callback_letter, settings=settings)


def resolver_of(settings: Settings) -> Resolver:
    """Return what looks recordings up for commands: the catalogue; it can be pickled."""
    return Catalogue(storage_of(settings), settings).resolve


@contextmanager
def whole_worker(
    settings: Settings,
    senders: Mapping[Channel, Sender],
    *,
    queue: CommandQueue | None = None,
    metrics: Metrics | None = None,
) -> Iterator[Worker]:
    """Make a worker as `worker_of` does, with all of this side, and take reports meanwhile."""
    made = worker_of(
        settings,
        queue=queue,
        senders=senders,
        callback=callbacks_of(settings),
        resolver=resolver_of(settings),
        control=control_of(settings),
        metrics=metrics,
    )
    with made as worker, reports_taken(settings, senders, metrics):
        yield worker


@contextmanager
def reports_taken(
    settings: Settings, senders: Mapping[Channel, Sender], metrics: Metrics | None = None
) -> Iterator[None]:
    """Take reports from `recorder.report_queue` meanwhile, if settings name one.

    What can't be sent waits in the worker's outbox.
    """
    url = settings.recorder.report_queue
    if url is None:
        yield
        return
    stopping = Event()
    with (
        closing(Outbox(settings.worker.outbox)) as outbox,
        closing(queue_at(url, settings)) as queue,
    ):
        delivery = Delivery(senders, outbox, callback=callbacks_of(settings), metrics=metrics)
        desk = ReportDesk.of(settings, storage_of(settings), delivery)
        thread = Thread(
            target=take_reports,
            args=(queue, desk, stopping),
            kwargs={"wait_s": settings.worker.wait_s},
            name="reports",
        )
        thread.start()
        try:
            yield
        finally:
            stopping.set()
            thread.join()


@contextmanager
def routes_served(
    settings: Settings, senders: Mapping[Channel, Sender], metrics: Metrics | None = None
) -> Iterator[Sequence[BaseRoute]]:
    """Give the routes of recorders, for an application of Starlette's; none without a key for them.

    What can't be sent waits in the worker's outbox, and goes out from here too.

    metrics: get to know what is sent, and what waits.
    """
    if settings.recorder.token_key is None:
        yield ()
        return
    from audioengine.service.recorder.routes import recorder_routes

    with (
        closing(Outbox(settings.worker.outbox)) as outbox,
        closing(Flusher(outbox, senders, metrics)),
    ):
        if metrics is not None:
            metrics.watch(outbox=outbox.depth)
        delivery = Delivery(senders, outbox, callback=callbacks_of(settings), metrics=metrics)
        desk = ReportDesk.of(settings, storage_of(settings), delivery)
        yield recorder_routes(settings, desk, delivery)
