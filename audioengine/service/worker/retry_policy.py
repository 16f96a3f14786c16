# SPDX-License-Identifier: Apache-2.0
"""What becomes of a message once its command was tried: told and deleted, or handed out again."""

from __future__ import annotations

import hashlib
import random
import traceback
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace

from audioengine.commands.alarms import command_alarm
from audioengine.commands.shown import labelled
from audioengine.errors import AudioEngineError, InvalidRequestError, StorageError
from audioengine.execution.execute import storage_of
from audioengine.execution.reply_id import read_token
from audioengine.json_input import unambiguous
from audioengine.service.logs import log
from audioengine.service.metrics import Metrics
from audioengine.service.notifications.delivery import Delivery, Telling
from audioengine.service.queues.queue import MESSAGE_ID, CommandQueue, Message
from audioengine.service.worker.delete_guard import NEVER_MS, Recordings, Unkept
from audioengine.service.worker.recording_order import recordings_of
from audioengine.service.worker.task import Deployment, Done, Task, give_up, settle
from audioengine.settings import Settings

MOST_RECEIVES = 10
"""How often a command is tried where its queue has no dead letters."""

_LONGEST_BACKOFF_S = 900
_KEEPING = ("STORERECORDING", "MERGERECORDINGS")


class Handling:
    """Ends tries at commands; for several threads at once."""

    def __init__(
        self,
        queue: CommandQueue,
        delivery: Delivery,
        deployment: Deployment,
        metrics: Metrics,
        *,
        max_receives: int | None = None,
        backoff_s: int = 5,
    ) -> None:
        """Ask nothing yet.

        max_receives: how often a command is tried, and no more often than the queue lets it be;
            None: as often as that, else `MOST_RECEIVES`.
        backoff_s: before a second try; each further one doubles it.
        """
        self._queue = queue
        self._delivery = delivery
        self._deployment = deployment
        self._metrics = metrics
        self._most = max_receives
        self._backoff_s = backoff_s
        self._unkept = Unkept(storage_of(deployment.settings))

    def most_receives(self) -> int:
        """Return how often a command is tried. Raises StorageError where the queue must tell."""
        # Where the queue gives a message up earlier, no later time comes.
        told = [most for most in (self._most, self._queue.max_receives) if most is not None]
        return min(told, default=MOST_RECEIVES)

    def is_last(self, message: Message) -> bool:
        """Whether a message would not be handed out again. Raises StorageError."""
        return message.receives >= self.most_receives()

    def foresee(self, message: Message, recordings: Collection[str]) -> None:
        """Note what comes to nothing if whatever carries a command out now is killed.

        Then no later command deletes its recordings before it is told of. Not at the first time:
        that is the usual one, and what is handed out next comes again together with it.
        """
        if self._is_foreseen(message):
            self.note_pending(message, recordings)

    def expire_notes(self) -> None:
        """Delete notes of failures that are too old to matter. Raises StorageError."""
        self._unkept.expire(temporary_buckets(self._deployment.settings))

    def _is_foreseen(self, message: Message) -> bool:
        return message.receives > 1 or self.is_last(message)

    def note_pending(self, message: Message, recordings: Collection[str]) -> None:
        """Note that a command may still fail to keep its recordings, and may do so elsewhere."""
        task = Task.of(message)
        if task.kind in _KEEPING:
            done = give_up(task, AudioEngineError("not begun"), self._deployment)
            if done.is_proven:
                self._note(message, done, recordings, is_pending=True)

    def _note(
        self, message: Message, done: Done, recordings: Collection[str], *, is_pending: bool = False
    ) -> None:
        """Note a failure, or what may come to be one, at the time that the queue tells."""
        try:
            now_ms = self._queue.now_ms()
        except AudioEngineError as error:
            log().warning("queue can't tell the time", error=str(error))
            now_ms = NEVER_MS
        named = _named(done, recordings)
        self._unkept.note(named, message.message_id, now_ms, is_pending=is_pending)

    def tenant_of(self, message: Message) -> str:
        """Return the domain that a command's token proves; empty: none, or all are one tenant."""
        if self._deployment.settings.single_tenant:
            return ""
        with suppress(ValueError, TypeError, KeyError, RecursionError, AudioEngineError):
            reply_id = unambiguous(message.body)["replyId"]
            return read_token(reply_id, self._deployment.settings).domain or ""
        return ""

    def refusal(self, message: Message, recordings: Collection[str]) -> Done | None:
        """Return how a command ends that must not be begun; None: it may be.

        A recording is not deleted by a command that was sent before it could be known that what
        should have been kept of the recording was not. While that is not known yet, it waits.
        """
        task = Task.of(message)
        if task.kind != "DELETERECORDING":
            return None
        names = ", ".join(sorted(recordings))
        rule = "must not be deleted: a command before this one failed to keep it"
        failed = give_up(task, InvalidRequestError.of("recordingId", names, rule), self._deployment)
        if not failed.is_proven:
            return None
        try:
            known = self._unkept.failures(_named(failed, recordings))
        except AudioEngineError as unknown:
            return give_up(task, unknown, self._deployment)
        if message.sent_ms < known.known_ms:
            return failed
        if known.is_pending:
            rule = "can't be deleted yet: a command before this one may still keep it"
            waits = StorageError(f"recordingId = {names!r}: {rule}", retryable=True)
            return give_up(task, waits, self._deployment)
        return None

    def end(self, message: Message, done: Done, recordings: Collection[str] = ()) -> int | None:
        """Tell how a try ended, where it was the last one or the command's own.

        Returns None where the message is to be deleted, else after how many seconds it is to be
        handed out again.

        Raises StorageError where what is to be told can neither be sent nor kept.
        """
        about = {**done.telling.attributes, "kind": done.kind, "seconds": round(done.seconds, 3)}
        most = self.most_receives()
        if done.retryable and message.receives < most:
            self._metrics.command(done.kind, "retried")
            pause = self.backoff_s(message)
            log().warning("command is tried again", error=done.error, after_s=pause, **about)
            return pause
        if not done.can_be_told and message.receives <= most:
            # It belongs to the dead letters, if there are any, where somebody may look at it.
            self._metrics.command(done.kind, "retried")
            sha256 = hashlib.sha256(message.body.encode(errors="surrogatepass")).hexdigest()
            told = {"message": message.message_id, "sha256": sha256}
            log().error("message is no command", error=done.error, **told, **about)
            return 0
        self._tell(message, done, recordings, is_foreseen=self._is_foreseen(message))
        return None

    def settle(self, message: Message) -> bool | None:
        """Tell how a command ended that is with the dead letters: whatever worked on it last died.

        Returns whether it is told; false: it is no command; None: what may pass is in the way.

        Raises StorageError where what is to be told can neither be sent nor kept.
        """
        recordings = recordings_of(message.body)
        self.note_pending(message, recordings)
        died = AudioEngineError("what worked on it died, each time or at the last")
        try:
            done = settle(Task.of(message), died, self._deployment)
        except Exception as error:  # noqa: BLE001 - as a bug ends other commands
            log_bug(error)
            done = give_up(Task.of(message), AudioEngineError(bug_of(error)), self._deployment)
        if done.can_be_told and not done.retryable:
            self._tell(message, done, recordings, is_foreseen=True)
            return True
        return None if done.retryable else False

    def _tell(
        self, message: Message, done: Done, recordings: Collection[str], *, is_foreseen: bool
    ) -> None:
        about = {**done.telling.attributes, "kind": done.kind, "seconds": round(done.seconds, 3)}
        if done.kind in _KEEPING and done.is_proven:
            if done.error is not None:
                self._note(message, done, recordings)
            elif is_foreseen:
                self._unkept.forget(_named(done, recordings), message.message_id)
        with self._metrics.timed("deliver"):
            attributes = {**done.telling.attributes, MESSAGE_ID: message.message_id}
            task = Task.of(message)
            command = labelled(task.body, task.dialect, task.method)
            self._deliver(replace(done.telling, attributes=attributes), command)
        self._warn(done, recordings)
        if done.error is not None:
            self._metrics.command(done.kind, "failed")
            why = {} if done.why is None else {"why": done.why}
            log().error("command failed", error=done.error, **why, **about)
        else:
            self._metrics.command(done.kind, "repeated" if done.is_repeated else "done")
            self._metrics.audio(done.audio_s, done.remade_s)
            log().info("command done", repeated=done.is_repeated, **about)

    def _deliver(self, telling: Telling, about: object) -> None:
        try:
            self._delivery.tell(telling, about)
        except AudioEngineError:
            raise
        except Exception as error:  # noqa: BLE001 - a bug must not keep a command from its end
            log_bug(error)
            bug = command_alarm("eventNotificationError", about, bug_of(error)).to_dict()
            for alarm in (telling.alarm, bug):
                # Without attributes, and without a domain, which might be called back.
                bare = replace(telling, alarm=alarm, attributes={}, domain=None, callback=None)
                self._delivery.tell(bare, about)
                telling = replace(telling, event=None)

    def _warn(self, done: Done, recordings: Collection[str]) -> None:
        """Log what there is to warn of, and count it."""
        named = {"recordings": sorted(recordings)} if len(recordings) > 1 else {}
        for one in done.warnings:
            self._metrics.warned(one.code)
            told = {"code": one.code, "warning": one.message}
            log().warning("command has a warning", **told, **named, **done.telling.attributes)

    def backoff_s(self, message: Message) -> int:
        """Return how long to wait before the next try."""
        doubled: int = self._backoff_s * 2 ** min(message.receives - 1, 10)
        longest = min(_LONGEST_BACKOFF_S, doubled)
        return round(longest * random.uniform(0.8, 1.0))  # noqa: S311 - spreads tries


def _named(done: Done, recordings: Collection[str]) -> Recordings:
    return Recordings(str(done.telling.domain), done.temp_bucket, recordings)


def temporary_buckets(settings: Settings) -> tuple[str, ...]:
    """Return the buckets of temporary recordings that settings name."""
    first = settings.fallbacks.temp_bucket
    return (*(() if first is None else (first,)), *settings.recorder.temp_buckets)


def bug_of(error: Exception) -> str:
    """Return what is told of a bug; its exception's message may hold anything."""
    return f"internal error: {type(error).__name__}"


def log_bug(error: Exception) -> None:
    """Log a bug and where it was met."""
    where = "".join(traceback.format_tb(error.__traceback__))
    log().error("internal error", error=type(error).__name__, where=where)
