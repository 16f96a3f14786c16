# SPDX-License-Identifier: Apache-2.0
"""The queue that commands come from: what a message is, and what every kind of queue can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from audioengine.errors import InvalidRequestError
from audioengine.json_input import parse_json

DIALECT = "dialect"
"""Attribute of a command that REST took in: ``rest``. Without it, it speaks the queue's dialect."""
MESSAGE_ID = "messageId"
"""Attribute of a letter, which no topic hears: the id of the message whose command it answers."""
METHOD = "method"
"""Attribute that names the method, which a REST body does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message that a queue has handed out; others don't see it until its time runs out."""

    message_id: str
    """The same each time that the message is handed out."""
    body: str = field(repr=False)
    receipt: str = field(repr=False)
    """Names this handing out: what deletes, extends or releases it."""
    receives: int
    """How often it has been handed out, with this time; from 1."""
    sent_ms: int
    """When it was sent, in epoch milliseconds, on the queue's own clock."""
    group: str | None = None
    """Messages of a group are handed out in order, each when the one before is gone."""
    attributes: Mapping[str, str] = field(default_factory=dict)


def unwrapped(body: str, attributes: Mapping[str, str]) -> tuple[str, Mapping[str, str]]:
    """Return the message of a topic, with its attributes, out of SNS's envelope if it has one.

    Without raw message delivery, SNS puts what it passes on into JSON of its own, attributes too.
    Anything else is returned as it is: so is what REST took in, where a body that looks like an
    envelope was judged as the command that it is.
    """
    if attributes.keys() & {DIALECT, METHOD}:
        return body, attributes
    try:
        envelope = parse_json(body, "message")
    except InvalidRequestError:  # what names a key twice is nothing that SNS has written
        return body, attributes
    if not isinstance(envelope, dict) or envelope.get("Type") != "Notification":
        return body, attributes
    message, passed_on = envelope.get("Message"), envelope.get("MessageAttributes", {})
    if (
        not isinstance(message, str)
        or "TopicArn" not in envelope
        or not isinstance(passed_on, dict)
    ):
        return body, attributes
    named = {
        name: one["Value"]
        for name, one in passed_on.items()
        if isinstance(one, dict) and isinstance(one.get("Value"), str)
    }
    return message, named


class CommandQueue(ABC):
    """A queue with at-least-once delivery. Every method raises StorageError, `retryable` or not."""

    @abstractmethod
    def send(self, body: str, *, group: str, attributes: Mapping[str, str] | None = None) -> str:
        """Queue a message durably, and return its id."""

    @abstractmethod
    def receive(self, limit: int, wait_s: float) -> Sequence[Message]:
        """Return up to `limit` messages (1 to 10), as soon as there is one; none after `wait_s`."""

    @abstractmethod
    def extend(self, message: Message, seconds: int) -> None:
        """Keep a message from others for so long from now."""

    @abstractmethod
    def release(self, message: Message, seconds: int = 0) -> None:
        """Hand a message out again, after so long."""

    @abstractmethod
    def delete(self, message: Message) -> None:
        """Take a message out of the queue for good."""

    @property
    @abstractmethod
    def max_receives(self) -> int | None:
        """How often a message is handed out before it goes to the dead letters; None: for ever."""

    @property
    def dead_arn(self) -> str | None:
        """The name that AWS gives to `dead_letters`; None: there are none, or it is none of AWS."""
        return None

    def dead_letters(self) -> CommandQueue | None:
        """Return the queue where messages are after their last time; None: there is none."""
        return None

    @abstractmethod
    def now_ms(self) -> int:
        """Return the time on the clock of `sent_ms`, in epoch milliseconds.

        Never before `sent_ms` of what was sent before, and after that by a second or two at most.
        """

    @abstractmethod
    def depth(self) -> int:
        """Return about how many messages wait, those in work included."""

    def close(self) -> None:  # noqa: B027 - most hold nothing
        """Let go of what it holds here; its messages stay."""
