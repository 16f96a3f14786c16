# SPDX-License-Identifier: Apache-2.0
"""Settling a message once its command was tried: reported and deleted, or handed out again."""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Collection
from contextlib import suppress
from typing import Any

from audioengine.commands.alarms import command_alarm
from audioengine.commands.named_recordings import recordings_of
from audioengine.commands.shown import labelled
from audioengine.errors import AudioEngineError, InvalidRequestError, StorageError
from audioengine.execution.execute import storage_of
from audioengine.execution.outcome import Notification, Outcome
from audioengine.execution.reply_id import read_token
from audioengine.json_input import unambiguous
from audioengine.service.logs import log
from audioengine.service.metrics import Metrics
from audioengine.service.notifications.delivery import Delivery
from audioengine.service.queues.queue import CommandQueue, Message
from audioengine.service.worker.delete_guard import NEVER_MS, DeleteGuard, OwnedRecordings
from audioengine.service.worker.queued_command import Deployment, QueuedCommand
from audioengine.service.worker.retry_policy import RetryPolicy
from audioengine.settings import Settings

_KEEPING = ("STORERECORDING", "MERGERECORDINGS")


class Settlement:
    """Settles messages, for several threads at once."""

    def __init__(
        self, queue: CommandQueue, delivery: Delivery, deployment: Deployment, metrics: Metrics
    ) -> None:
        """Ask the queue nothing yet; the settings' table `worker` says how often to retry."""
        self._queue = queue
        self._delivery = delivery
        self._deployment = deployment
        self._metrics = metrics
        table = deployment.settings.worker
        self.retries = RetryPolicy(
            queue, max_receives=table.max_receives, backoff_s=table.backoff_s
        )
        self._guard = DeleteGuard(storage_of(deployment.settings))

    def before_attempt(self, message: Message, recordings: Collection[str]) -> None:
        """Note that a command fails to keep its recordings if the process that tries it is killed.

        Then no later command deletes them before that failure is reported. The first attempt needs
        no note: if it is killed, it comes again together with what was received after it.
        """
        if self._is_noted(message):
            self.note_pending(message, recordings)

    def expire_notes(self) -> None:
        """Delete notes of failures that are too old to matter. Raises StorageError."""
        self._guard.expire(temporary_buckets(self._deployment.settings))

    def _is_noted(self, message: Message) -> bool:
        return message.receives > 1 or self.retries.is_final(message)

    def note_pending(self, message: Message, recordings: Collection[str]) -> None:
        """Note that a command may still fail to keep its recordings, here or elsewhere."""
        command = QueuedCommand.of(message)
        if command.kind in _KEEPING and (owned := self._owned(command, recordings)) is not None:
            self._note(message, owned, is_pending=True)

    def _owned(self, command: QueuedCommand, recordings: Collection[str]) -> OwnedRecordings | None:
        """Return the recordings of a command with their owner; None if nothing proves it."""
        token = self._deployment.proven_token(command)
        if token is None:
            return None
        return OwnedRecordings(str(token.domain), token.temp_bucket, recordings)

    def _note(self, message: Message, owned: OwnedRecordings, *, is_pending: bool = False) -> None:
        """Note a failure, or a possible one, with the queue's own time."""
        try:
            now_ms = self._queue.now_ms()
        except AudioEngineError as error:
            log().warning("queue can't tell the time", error=str(error))
            now_ms = NEVER_MS
        self._guard.note(owned, message.message_id, now_ms, is_pending=is_pending)

    def tenant_of(self, message: Message) -> str:
        """Return the domain that a command's token proves; empty: none, or there is one tenant."""
        if self._deployment.settings.single_tenant:
            return ""
        with suppress(ValueError, TypeError, KeyError, RecursionError, AudioEngineError):
            reply_id = unambiguous(message.body)["replyId"]
            return read_token(reply_id, self._deployment.settings).domain or ""
        return ""

    def refusal(self, message: Message, recordings: Collection[str]) -> Outcome | None:
        """Return the outcome of a delete that must not be carried out; None if it may be.

        A recording is not deleted by a command that was sent before anybody could know that an
        earlier command failed to keep it. While that is undecided, the delete waits.
        """
        command = QueuedCommand.of(message)
        if command.kind != "DELETERECORDING":
            return None
        owned = self._owned(command, recordings)
        if owned is None:
            return None
        names = ", ".join(sorted(recordings))
        try:
            failures = self._guard.failures(owned)
        except AudioEngineError as error:
            return self._deployment.fail(command, error)
        if message.sent_ms < failures.known_ms:
            rule = "must not be deleted: a command before this one failed to keep it"
            refusal = InvalidRequestError.of("recordingId", names, rule)
            return self._deployment.fail(command, refusal)
        if failures.is_pending:
            rule = "can't be deleted yet: a command before this one may still keep it"
            wait = StorageError(f"recordingId = {names!r}: {rule}", retryable=True)
            return self._deployment.fail(command, wait)
        return None

    def settle(
        self, message: Message, outcome: Outcome, recordings: Collection[str] = ()
    ) -> int | None:
        """Report an outcome if it is a success, a final failure or the final attempt's.

        Returns None if the message is to be deleted, else after how many seconds it is to be handed
        out again.

        Raises StorageError if an event or alarm can neither be sent nor kept.
        """
        most = self.retries.max_receives()
        if outcome.retryable and message.receives < most:
            self._metrics.command(outcome.method, "retried")
            pause = self.retries.backoff_s(message)
            log().warning(
                "command is tried again", error=str(outcome.error), after_s=pause, **_about(outcome)
            )
            return pause
        if not outcome.is_reportable and message.receives <= most:
            # It belongs to the dead letters, if there are any, where somebody may look at it.
            self._metrics.command(outcome.method, "retried")
            sha256 = hashlib.sha256(message.body.encode(errors="surrogatepass")).hexdigest()
            named = {"message": message.message_id, "sha256": sha256}
            log().error(
                "message is no command", error=str(outcome.error), **named, **_about(outcome)
            )
            return 0
        self._report(message, outcome, recordings, was_noted=self._is_noted(message))
        return None

    def settle_dead_letter(self, message: Message) -> bool | None:
        """Report how a command ended whose last attempt was killed.

        Returns whether it is reported; False: it is no command; None: it may be later.

        Raises StorageError if an event or alarm can neither be sent nor kept.
        """
        recordings = recordings_of(message.body)
        self.note_pending(message, recordings)
        command = QueuedCommand.of(message)
        died = AudioEngineError("what worked on it died, each time or at the last")
        try:
            outcome = self._deployment.conclude(command, died)
        except Exception as error:  # noqa: BLE001 - as a bug ends other commands
            log_bug(error)
            outcome = self._deployment.fail(command, AudioEngineError(bug_message(error)))
        if outcome.is_reportable and not outcome.retryable:
            self._report(message, outcome, recordings, was_noted=True)
            return True
        return None if outcome.retryable else False

    def _report(
        self, message: Message, outcome: Outcome, recordings: Collection[str], *, was_noted: bool
    ) -> None:
        if outcome.method in _KEEPING and outcome.is_proven:
            owned = OwnedRecordings(str(outcome.domain), outcome.temp_bucket, recordings)
            if outcome.error is not None:
                self._note(message, owned)
            elif was_noted:
                self._guard.forget(owned, message.message_id)
        with self._metrics.timed("deliver"):
            command = QueuedCommand.of(message)
            shown = labelled(command.body, command.dialect, command.method)
            self._deliver(outcome, shown, message.message_id)
        self._log(outcome, recordings)

    def _deliver(self, outcome: Outcome, command: object, message_id: str) -> None:
        try:
            self._delivery.deliver(outcome, command, message_id)
        except AudioEngineError:
            raise
        except Exception as error:  # noqa: BLE001 - a bug must not keep a command from its end
            log_bug(error)
            bug = command_alarm("eventNotificationError", command, bug_message(error))
            event = outcome.event
            for alarm in (outcome.alarm, bug):
                # Without attributes, and without a domain, which might be called back.
                bare = Notification(
                    event=event,
                    alarm=alarm,
                    event_topic=outcome.event_topic,
                    alarm_topic=outcome.alarm_topic,
                )
                self._delivery.deliver(bare, command)
                event = None

    def _log(self, outcome: Outcome, recordings: Collection[str]) -> None:
        """Log how a command ended and its warnings, and count them."""
        result, warnings = outcome.result, outcome.notices
        report = None if result is None else result.report
        if result is not None:
            warnings += result.notices
        if report is not None:
            warnings += report.warnings
        named = {"recordings": sorted(recordings)} if len(recordings) > 1 else {}
        for warning in warnings:
            self._metrics.warned(warning.code)
            values = {"code": warning.code, "warning": warning.message}
            log().warning("command has a warning", **values, **named, **outcome.attributes)
        if result is None:
            self._metrics.command(outcome.method, "failed")
            why = {} if outcome.cause is None else {"why": outcome.cause}
            log().error("command failed", error=str(outcome.error), **why, **_about(outcome))
            return
        self._metrics.command(outcome.method, "repeated" if result.is_repeated else "done")
        if report is not None:
            seconds = report.output.samples / report.output.rate_hz
            self._metrics.audio(seconds, report.seconds_reencoded)
        log().info("command done", repeated=result.is_repeated, **_about(outcome))


def _about(outcome: Outcome) -> dict[str, Any]:
    return {**outcome.attributes, "kind": outcome.method, "seconds": round(outcome.seconds, 3)}


def temporary_buckets(settings: Settings) -> tuple[str, ...]:
    """Return the buckets of temporary recordings that settings name."""
    first = settings.fallbacks.temp_bucket
    return (*(() if first is None else (first,)), *settings.recorder.temp_buckets)


def bug_message(error: Exception) -> str:
    """Return what is said of a bug outside the log: its exception's message may hold anything."""
    return f"internal error: {type(error).__name__}"


def log_bug(error: Exception) -> None:
    """Log a bug and where it happened."""
    where = "".join(traceback.format_tb(error.__traceback__))
    log().error("internal error", error=type(error).__name__, where=where)
