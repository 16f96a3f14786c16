# SPDX-License-Identifier: Apache-2.0
"""The worker as a Lambda function of the queue, with partial batch responses.

`audioengine.service.aws_lambda.handler`; settings come from the environment. There is no outbox:
a command whose event can't be sent counts as not done, and comes again.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Protocol

from audioengine.commands.named_recordings import recordings_of
from audioengine.errors import AudioEngineError
from audioengine.service.endpoints import queue_of
from audioengine.service.logs import log, set_up_logs
from audioengine.service.metrics import Metrics
from audioengine.service.notifications.delivery import Delivery
from audioengine.service.queues.queue import CommandQueue, Message, unwrapped
from audioengine.service.recorder.control import control_of
from audioengine.service.recorder.wiring import callbacks_of, resolver_of, senders_of
from audioengine.service.worker.queued_command import Deployment, QueuedCommand
from audioengine.service.worker.settlement import Settlement
from audioengine.settings import load_settings

# So much of a function's time must be left for another command.
_LEAST_LEFT_MS = 15_000


class Context(Protocol):
    """What Lambda says of an invocation."""

    def get_remaining_time_in_millis(self) -> int:
        """Return how long it may still take."""


class Batches:
    """Handles batches of messages, one command after another."""

    def __init__(
        self,
        queue: CommandQueue,
        settlement: Settlement,
        deployment: Deployment,
        dead_arn: str | None = None,
    ) -> None:
        """Ask nothing yet.

        dead_arn: of the queue's dead letters, which the function may be given too: calls that took
            too long, or too much memory, have left them there.
        """
        self._dead_arn = dead_arn
        self._queue = queue
        self._settlement = settlement
        self._deployment = deployment

    def handle(self, event: Mapping[str, Any], context: Context) -> dict[str, Any]:
        """Carry out the commands of an event; the answer names the messages that come again.

        A command that comes again holds up those behind it on the same recordings.
        """
        again: list[str] = []
        held_up: set[tuple[str, ...]] = set()
        for record in event["Records"]:
            message = _message(record)
            keys = _keys(message, self._settlement.tenant_of(message))
            is_late = context.get_remaining_time_in_millis() < _LEAST_LEFT_MS
            is_dead = record.get("eventSourceARN") == (self._dead_arn or "none")
            is_over = self._is_settled if is_dead else self._is_over
            if is_late or held_up & keys or not is_over(message):
                again.append(message.message_id)
                held_up |= keys
        return {"batchItemFailures": [{"itemIdentifier": one} for one in again]}

    def _is_over(self, message: Message) -> bool:
        recordings = recordings_of(message.body)
        try:
            self._settlement.before_attempt(message, recordings)
            outcome = self._settlement.refusal(message, recordings)
            if outcome is None:
                outcome = self._deployment.execute(QueuedCommand.of(message))
            pause = self._settlement.settle(message, outcome, recordings)
        except AudioEngineError as error:
            log().error("command can't be reported", error=str(error))
            pause = self._settlement.retries.backoff_s(message)
        if pause is None:
            return True
        try:
            self._queue.release(message, pause)
        except AudioEngineError as error:
            log().warning("message can't be given back", error=str(error))
        return False

    def _is_settled(self, message: Message) -> bool:
        try:
            return bool(self._settlement.settle_dead_letter(message))
        except AudioEngineError as error:
            log().error("command can't be reported", error=str(error))
            return False


def handler(event: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Handle an event of SQS; the function to set as its handler.

    Its event source mapping must have the function response type ReportBatchItemFailures.
    """
    return _batches().handle(event, context)


@cache
def _batches() -> Batches:
    settings = load_settings()
    set_up_logs(settings.worker.log_level)
    queue, metrics = queue_of(settings), Metrics()
    deployment = Deployment(
        settings=settings, resolver=resolver_of(settings), control=control_of(settings)
    )
    settlement = Settlement(
        queue,
        Delivery(senders_of(settings), None, callback=callbacks_of(settings), metrics=metrics),
        deployment,
        metrics,
    )
    return Batches(queue, settlement, deployment, queue.dead_arn)


def _keys(message: Message, tenant: str) -> set[tuple[str, ...]]:
    """What orders a message: its tenant's recordings and its group, which can't be mixed up."""
    group = () if message.group is None else ((message.group,),)
    return {*((tenant, one) for one in recordings_of(message.body)), *group}


def _message(record: Mapping[str, Any]) -> Message:
    system = record["attributes"]
    own = {
        name: value["stringValue"]
        for name, value in record.get("messageAttributes", {}).items()
        if value.get("stringValue") is not None
    }
    body, attributes = unwrapped(record["body"], own)
    return Message(
        message_id=record["messageId"],
        body=body,
        receipt=record["receiptHandle"],
        receives=int(system["ApproximateReceiveCount"]),
        sent_ms=int(system["SentTimestamp"]),
        group=system.get("MessageGroupId"),
        attributes=attributes,
    )
