# SPDX-License-Identifier: Apache-2.0
"""What becomes of a message once its command was tried: told and deleted, or handed out again."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Collection
from dataclasses import replace

from audioengine.errors import AudioEngineError, InvalidRequestError
from audioengine.execution.execute import storage_of
from audioengine.service.carrying import Deployment, Done, Task, give_up, settle
from audioengine.service.delivery import Delivery
from audioengine.service.logs import log
from audioengine.service.messages import MESSAGE_ID, CommandQueue, Message
from audioengine.service.metrics import Metrics
from audioengine.service.turns import recordings_of
from audioengine.service.unkept import Recordings, Unkept

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
            self._foresee(message, recordings)

    def _is_foreseen(self, message: Message) -> bool:
        return message.receives > 1 or self.is_last(message)

    def _foresee(self, message: Message, recordings: Collection[str]) -> None:
        task = Task.of(message)
        if task.kind in _KEEPING:
            done = give_up(task, AudioEngineError("not begun"), self._deployment)
            if done.is_proven:
                self._unkept.note(_named(done, recordings), message.message_id)

    def refusal(self, message: Message, recordings: Collection[str]) -> Done | None:
        """Return how a command ends that must not be begun; None: it may be.

        A recording is not deleted by a command that was sent before it could be known that what
        should have been kept of the recording was not.
        """
        task = Task.of(message)
        if task.kind != "DELETERECORDING":
            return None
        rule = "must not be deleted: a command before this one failed to keep it"
        error = InvalidRequestError.of("recordingId", ", ".join(sorted(recordings)), rule)
        done = give_up(task, error, self._deployment)
        if not done.is_proven:
            return None
        try:
            failed_ms = self._unkept.failed_ms(_named(done, recordings))
        except AudioEngineError as unknown:
            return give_up(task, unknown, self._deployment)
        return done if message.sent_ms < failed_ms else None

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

    def settle(self, message: Message) -> bool:
        """Tell how a command ended that is with the dead letters: whatever worked on it last died.

        Returns whether it is told; otherwise it is no command, or what may pass is in the way.

        Raises StorageError where what is to be told can neither be sent nor kept.
        """
        recordings = recordings_of(message.body)
        self._foresee(message, recordings)
        died = AudioEngineError("what worked on it died, each time or at the last")
        done = settle(Task.of(message), died, self._deployment)
        is_over = done.can_be_told and not done.retryable
        if is_over:
            self._tell(message, done, recordings, is_foreseen=True)
        return is_over

    def _tell(
        self, message: Message, done: Done, recordings: Collection[str], *, is_foreseen: bool
    ) -> None:
        about = {**done.telling.attributes, "kind": done.kind, "seconds": round(done.seconds, 3)}
        if done.kind in _KEEPING and done.is_proven:
            named = _named(done, recordings)
            if done.error is not None:
                self._unkept.note(named, message.message_id)
            elif is_foreseen:
                self._unkept.forget(named, message.message_id)
        with self._metrics.timed("deliver"):
            attributes = {**done.telling.attributes, MESSAGE_ID: message.message_id}
            self._delivery.tell(replace(done.telling, attributes=attributes), message.body)
        if done.error is not None:
            self._metrics.command(done.kind, "failed")
            log().error("command failed", error=done.error, **about)
        else:
            self._metrics.command(done.kind, "repeated" if done.is_repeated else "done")
            self._metrics.audio(done.audio_s, done.remade_s)
            log().info("command done", repeated=done.is_repeated, **about)

    def backoff_s(self, message: Message) -> int:
        """Return how long to wait before the next try."""
        doubled: int = self._backoff_s * 2 ** min(message.receives - 1, 10)
        longest = min(_LONGEST_BACKOFF_S, doubled)
        return round(longest * random.uniform(0.8, 1.0))  # noqa: S311 - spreads tries


def _named(done: Done, recordings: Collection[str]) -> Recordings:
    return Recordings(str(done.telling.domain), done.temp_bucket, recordings)
