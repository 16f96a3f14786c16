# SPDX-License-Identifier: Apache-2.0
"""What leaves the service: a letter for a place, and what every kind of sender can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from audioengine.errors import AudioEngineError

Channel: TypeAlias = Literal["topic", "callback"]

MAX_FAILURE_BYTES = 1024
"""Of the `error` that an alarm of a letter is given, which must still fit into its topic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """An event, an alarm or a callback on its way out."""

    channel: Channel
    address: str
    """A topic's ARN or name; of a callback, the domain. Those of a lane keep their order."""
    body: str = field(repr=False)
    """JSON."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """Of a topic's message, at most 10; of a callback, `callback` with its name."""
    lane: int = 0
    """Letters to an address in different lanes may overtake one another."""
    alarm: Letter | None = field(default=None, repr=False)
    """Sent where this one can't be at its first time, with that for its `error`."""


class Sender(ABC):
    """Sends the letters of one channel."""

    @abstractmethod
    def send(self, letter: Letter) -> None:
        """Send it, once more where that may help.

        Raises StorageError, `retryable` where the same letter may go through later.
        """


def is_refused(letter: Letter, error: AudioEngineError) -> bool:
    """Whether a letter need not wait: a tenant has said no, and the next must not wait for it.

    A topic is the operator's own, who will mend whatever it is.
    """
    return letter.channel == "callback" and not error.retryable
