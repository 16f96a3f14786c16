# SPDX-License-Identifier: Apache-2.0
"""Dead letters: commands whose last attempt was killed.

They are reported and then deleted. A message that is no command stays there for somebody to look
at; for a while after each look it is hidden, so that the next look does not meet it again.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event, Lock

from audioengine.commands.named_recordings import recordings_of
from audioengine.errors import AudioEngineError
from audioengine.service.logs import log
from audioengine.service.queues.queue import CommandQueue, Message
from audioengine.service.worker.settlement import Settlement, log_bug

_MOST_RECEIVED = 10
_MOST_REMEMBERED = 10_000


class DeadLetters:
    """Looks at the dead letters of a queue regularly, and when it is asked to."""

    def __init__(
        self,
        opened: Callable[[], CommandQueue | None],
        settlement: Settlement,
        is_held: Callable[[str], bool],
        is_late: Callable[[], bool],
        every_s: float,
        changed: Callable[[], None],
    ) -> None:
        """Ask nothing yet.

        opened: returns their queue; None: there is none.
        is_held: whether this worker works on a message, by its id, all the same.
        is_late: whether the worker is about to end, so that the rest must wait.
        every_s: time between two looks that nobody asks for.
        changed: called when the answer of `may_delete` may have changed.
        """
        self._opened = opened
        self._settlement = settlement
        self._is_held = is_held
        self._is_late = is_late
        self._every_s = every_s
        self._changed = changed
        self._asked = Event()
        self._lock = Lock()
        self._looked = float("-inf")
        self._queue: CommandQueue | None = None
        # What has been found and not settled yet, as it was handed out last.
        self._unsettled: dict[str, tuple[Message, frozenset[str]]] = {}
        # What is no command, as it was handed out last.
        self._left: OrderedDict[str, Message] = OrderedDict()
        self._trouble: str | None = None

    def ask(self) -> None:
        """Ask for a look."""
        self._asked.set()

    def may_delete(self, recordings: frozenset[str], since: float) -> bool:
        """Whether a look has begun since then, and left nothing to settle on these recordings."""
        with self._lock:
            found = self._unsettled.values()
            return self._looked >= since and not any(recordings & of for _, of in found)

    def run(self, stopping: Event) -> None:
        """Look until `stopping` is set."""
        # One thread: the events of a recording keep their order.
        with ThreadPoolExecutor(1, "dead") as pool:
            while not stopping.is_set():
                self.look(pool)
                self._asked.wait(self._every_s)
                self._asked.clear()
        self.close()

    def close(self) -> None:
        """Let others see at once what is no command."""
        if self._queue is not None:
            for message in self._left.values():
                self._release(message, 0)
            self._queue.close()

    def look(self, pool: ThreadPoolExecutor) -> None:
        """Find what has come since the last look, and let the pool settle it.

        An error is logged once; the next look may go through.
        """
        began, until = time.monotonic(), time.monotonic() + self._every_s / 2
        found: list[Message] = []
        try:
            self._queue = self._queue or self._opened()
            while self._queue is not None and time.monotonic() < until:
                messages = self._queue.receive(_MOST_RECEIVED, 0)
                if not messages:
                    break
                found += messages
            self._trouble = None
        except AudioEngineError as error:
            if self._trouble != str(error):
                log().error("dead letters can't be looked at", error=str(error))
            self._trouble = str(error)
        with self._lock:
            known = self._unsettled.keys()
            new = [one for one in found if one.message_id not in known | self._left.keys()]
            self._unsettled |= {
                one.message_id: (one, recordings_of(one.body))
                for one in found
                if one.message_id not in self._left
            }
            self._looked = began
        self._changed()
        for message in new:
            pool.submit(self._settle, message)
        for message in found:
            if message.message_id in self._left:
                pool.submit(self._leave, message)

    def _settle(self, message: Message) -> None:
        is_over: bool | None = None
        try:
            if not self._is_late() and not self._is_held(message.message_id):
                is_over = self._settlement.settle_dead_letter(message)
        except AudioEngineError as error:
            log().error("command can't be reported", error=str(error))
        except Exception as error:  # noqa: BLE001 - a bug must not keep the others from their end
            log_bug(error)
        with self._lock:
            # Where it could not be settled, a note stands for it.
            message, _ = self._unsettled.pop(message.message_id)
        if is_over:
            self._delete(message)
        elif is_over is None:
            self._release(message, 0 if self._is_late() else self._hidden_s)
        else:
            self._leave(message)
        self._changed()

    @property
    def _hidden_s(self) -> int:
        """For most of the time, whoever looks at what is no command sees it."""
        return max(1, int(self._every_s / 3))

    def _leave(self, message: Message) -> None:
        self._left[message.message_id] = replace(message, body="")
        while len(self._left) > _MOST_REMEMBERED:
            self._left.popitem(last=False)
        self._release(message, self._hidden_s)

    def _delete(self, message: Message) -> None:
        assert self._queue is not None
        try:
            self._queue.delete(message)
        except AudioEngineError as error:
            # Then it is reported once more.
            log().warning("dead letter can't be deleted", error=str(error))

    def _release(self, message: Message, seconds: int) -> None:
        assert self._queue is not None
        try:
            self._queue.release(message, seconds)
        except AudioEngineError as error:
            # Then it comes again when its time has run out.
            log().warning("dead letter can't be given back", error=str(error))
