# SPDX-License-Identifier: Apache-2.0
"""How often a command is tried, and how long it waits between two attempts."""

from __future__ import annotations

from dataclasses import replace

from audioengine import retries
from audioengine.service.queues.queue import CommandQueue, Message

MOST_RECEIVES = 10
"""How often a command is tried where its queue has no dead letters."""


class RetryPolicy:
    """The attempts at the commands of a queue."""

    def __init__(
        self, queue: CommandQueue, *, max_receives: int | None = None, backoff_s: float = 5
    ) -> None:
        """Ask the queue nothing yet.

        max_receives: how often a command is tried, and no more often than the queue's redrive
            policy allows; None: as often as that, else `MOST_RECEIVES`.
        backoff_s: pause before the second attempt; it doubles for each further one.
        """
        self._queue = queue
        self._max_receives = max_receives
        self._backoff = replace(retries.COMMAND, first_s=backoff_s)

    def max_receives(self) -> int:
        """Return how often a command is tried. Raises StorageError if the queue cannot say."""
        limits = (self._max_receives, self._queue.max_receives)
        return min((limit for limit in limits if limit is not None), default=MOST_RECEIVES)

    def is_final(self, message: Message) -> bool:
        """Whether this is a command's final attempt. Raises StorageError."""
        return message.receives >= self.max_receives()

    def backoff_s(self, message: Message) -> int:
        """Return the pause before the next attempt, in whole seconds as queues take them."""
        return round(self._backoff.pause_s(message.receives))
