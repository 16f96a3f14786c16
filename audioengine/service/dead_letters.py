# SPDX-License-Identifier: Apache-2.0
"""Commands that are with the dead letters, because whatever worked on them last was killed.

They are told of, and then deleted. What is no command stays there for somebody to look at.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from threading import Event, Lock

from audioengine.errors import AudioEngineError
from audioengine.service.handling import Handling
from audioengine.service.logs import log
from audioengine.service.messages import CommandQueue, Message

_MOST_RECEIVED = 10
# Of what stays there, for each time that it is looked at.
_MOST_LEFT = 200


class DeadLetters:
    """Looks at the dead letters of a queue now and then."""

    def __init__(
        self,
        opened: Callable[[], CommandQueue | None],
        handling: Handling,
        is_held: Callable[[str], bool],
        is_late: Callable[[], bool],
        every_s: float,
    ) -> None:
        """Ask nothing yet.

        opened: gives the queue of them, which is closed after each look; None: there is none.
        is_held: whether a message, by its id, is in work here all the same.
        is_late: whether there is no time any more, so that the rest must wait.
        every_s: how long there is between two looks.
        """
        self._opened = opened
        self._handling = handling
        self._is_held = is_held
        self._is_late = is_late
        self._every_s = every_s
        self._lock = Lock()
        self._looked = float("-inf")
        self._trouble: str | None = None

    def run(self, stopping: Event) -> None:
        """Look until `stopping` is set."""
        while not stopping.is_set():
            self.look(time.monotonic())
            stopping.wait(self._every_s)

    def look(self, since: float) -> None:
        """Look, if nobody has begun to since then, on the monotonic clock.

        What is in the way is logged once, and may pass.
        """
        with self._lock:
            if self._looked >= since:
                return
            began = time.monotonic()
            try:
                self._look()
                self._trouble = None
            except AudioEngineError as error:
                if self._trouble != str(error):
                    log().error("dead letters can't be looked at", error=str(error))
                self._trouble = str(error)
            self._looked = began

    def _look(self) -> None:
        dead = self._opened()
        if dead is None:
            return
        left: list[Message] = []
        with closing(dead):
            while len(left) < _MOST_LEFT and (messages := dead.receive(_MOST_RECEIVED, 0)):
                for message in messages:
                    if self._is_over(message):
                        dead.delete(message)
                    else:
                        left.append(message)
            # Not before, or the same ones would come again and hide those behind them.
            for message in left:
                dead.release(message)

    def _is_over(self, message: Message) -> bool:
        if self._is_late() or self._is_held(message.message_id):
            return False
        try:
            return self._handling.settle(message)
        except AudioEngineError as error:
            log().error("command can't be told of", error=str(error))
        except Exception as error:  # noqa: BLE001 - a bug must not keep the others from their end
            log().error("internal error", error=f"{type(error).__name__}: {error}")
        return False
