# SPDX-License-Identifier: Apache-2.0
"""Reports that come by a queue."""

from __future__ import annotations

from threading import Event

from audioengine.commands.requests import command_values
from audioengine.errors import AudioEngineError, StorageError
from audioengine.retries import REPORT
from audioengine.service.logs import log
from audioengine.service.queues.queue import CommandQueue, Message
from audioengine.service.recorder.reports import ReportDesk


def take_reports(
    queue: CommandQueue, desk: ReportDesk, stopping: Event, *, wait_s: float = 20
) -> None:
    """Take reports from a queue until `stopping` is set; wait so long for each.

    A report leaves the queue once nothing of it can be lost. One that can't be taken now is handed
    out again later, and one that never can goes to the dead letters, if the queue has them. While
    the queue itself fails, it is asked again and again.
    """
    failures = 0
    while not stopping.is_set():
        failure = _took_one(queue, desk, wait_s)
        if failure is None:
            failures = 0
            continue
        log().warning("can't take reports", error=str(failure))
        failures += 1
        stopping.wait(REPORT.pause_s(failures))


def _took_one(queue: CommandQueue, desk: ReportDesk, wait_s: float) -> StorageError | None:
    """Take the next report, if there is one; return why the queue fails, if so."""
    try:
        # One at a time: those in hand here would be kept from other takers.
        for message in queue.receive(1, wait_s):
            _take(queue, desk, message)
    except StorageError as error:
        return error
    return None


def _take(queue: CommandQueue, desk: ReportDesk, message: Message) -> None:
    try:
        desk.take(command_values(message.body, "report"))
    except AudioEngineError as error:
        log().warning("report can't be taken", message=message.message_id, error=str(error))
        is_passing = error.retryable
    except Exception:  # noqa: BLE001 - a bug must not stop the reports of others
        log().exception("report can't be taken", message=message.message_id)
        is_passing = False
    else:
        queue.delete(message)
        return
    if is_passing:
        queue.release(message, round(REPORT.pause_s(message.receives + 1)))
    elif queue.max_receives is None:
        queue.delete(message)
    else:
        queue.release(message)
