# SPDX-License-Identifier: Apache-2.0
"""What becomes of a message once its command was tried: told and deleted, or handed out again."""

from __future__ import annotations

import random
import time
from collections import OrderedDict
from collections.abc import Collection
from threading import Lock

from audioengine.errors import InvalidRequestError
from audioengine.service.carrying import Deployment, Done, Task, give_up
from audioengine.service.delivery import Delivery
from audioengine.service.logs import log
from audioengine.service.messages import CommandQueue, Message
from audioengine.service.metrics import Metrics

MOST_RECEIVES = 10
"""How often a command is tried where its queue has no dead letters."""

_LONGEST_BACKOFF_S = 900
_MOST_REMEMBERED = 10_000


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

        max_receives: how often a command is tried; None: as the queue says, else `MOST_RECEIVES`.
        backoff_s: before a second try; each further one doubles it.
        """
        self._queue = queue
        self._delivery = delivery
        self._deployment = deployment
        self._metrics = metrics
        self._most = max_receives
        self._backoff_s = backoff_s
        # By domain and recording, when a command failed, in epoch milliseconds.
        self._unkept: OrderedDict[tuple[str | None, str], int] = OrderedDict()
        self._lock = Lock()

    def most_receives(self) -> int:
        """Return how often a command is tried. Raises StorageError where the queue must tell."""
        return self._most or self._queue.max_receives or MOST_RECEIVES

    def is_last(self, message: Message) -> bool:
        """Whether a message would not be handed out again. Raises StorageError."""
        return message.receives >= self.most_receives()

    def refusal(self, message: Message, recordings: Collection[str]) -> Done | None:
        """Return how a command ends that must not be begun; None: it may be.

        A recording is not deleted by a command that was sent before it could be known that what
        should have been kept of the recording was not.
        """
        task = Task.of(message)
        if task.kind != "DELETERECORDING" or not self._unkept:
            return None
        rule = "must not be deleted: a command before this one failed to keep it"
        error = InvalidRequestError.of("recordingId", ", ".join(sorted(recordings)), rule)
        done = give_up(task, error, self._deployment)
        domain = done.telling.domain
        with self._lock:
            failed_ms = max((self._unkept.get((domain, one), 0) for one in recordings), default=0)
        return done if done.is_proven and message.sent_ms < failed_ms else None

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
            log().error("message is no command", error=done.error, **about)
            return 0
        if done.error is not None and done.is_proven:
            self._note_failure(done, recordings)
        with self._metrics.timed("deliver"):
            self._delivery.tell(done.telling, message.body)
        if done.error is not None:
            self._metrics.command(done.kind, "failed")
            log().error("command failed", error=done.error, **about)
        else:
            self._metrics.command(done.kind, "repeated" if done.is_repeated else "done")
            self._metrics.audio(done.audio_s, done.remade_s)
            log().info("command done", repeated=done.is_repeated, **about)
        return None

    def backoff_s(self, message: Message) -> int:
        """Return how long to wait before the next try."""
        doubled: int = self._backoff_s * 2 ** min(message.receives - 1, 10)
        longest = min(_LONGEST_BACKOFF_S, doubled)
        return round(longest * random.uniform(0.8, 1.0))  # noqa: S311 - spreads tries

    def _note_failure(self, done: Done, recordings: Collection[str]) -> None:
        if done.kind not in ("STORERECORDING", "MERGERECORDINGS"):
            return
        now = int(time.time() * 1000)
        with self._lock:
            for recording in recordings:
                self._unkept[done.telling.domain, recording] = now
            while len(self._unkept) > _MOST_REMEMBERED:
                self._unkept.popitem(last=False)
