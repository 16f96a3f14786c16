# SPDX-License-Identifier: Apache-2.0
"""How an event and its alarm leave: to their topics and as callbacks, now or from the outbox.

When `Delivery.tell` returns, each letter was sent or is on the disk.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from audioengine.commands.alarms import command_alarm
from audioengine.errors import AudioEngineError, StorageError
from audioengine.service.logs import log
from audioengine.service.metrics import Metrics
from audioengine.service.outbox import Outbox
from audioengine.service.sending import Channel, Letter, Sender, is_refused
from audioengine.service.topics import MAX_LETTER_BYTES, size_of, topic_letter


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """What is to be told, as JSON values, and where."""

    event: Mapping[str, Any] | None = None
    alarm: Mapping[str, Any] | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    """Of the event's message: domain, recordingId, commandDigest; `event` is added."""
    domain: str | None = None
    event_topic: str | None = None
    alarm_topic: str | None = None
    callback: Letter | None = None
    """Of an event whose callback has other keys; None: as the delivery makes it."""


MakeCallback: TypeAlias = Callable[[Mapping[str, Any], str | None], Letter | None]
"""Makes the callback for an event of a domain, if there is one."""


def no_callback(_event: Mapping[str, Any], _domain: str | None) -> None:
    """Make none."""


class Delivery:
    """Sends letters, each at once where none waits before it, else through the outbox."""

    def __init__(
        self,
        senders: Mapping[Channel, Sender],
        outbox: Outbox | None,
        *,
        callback: MakeCallback = no_callback,
        metrics: Metrics | None = None,
    ) -> None:
        """Send nothing yet.

        outbox: where letters wait; None: what can't be sent is an error.
        """
        self._senders = senders
        self._outbox = outbox
        self._callback = callback
        self._metrics = metrics

    def tell(self, telling: Telling, about: object) -> None:
        """Send event, callback and alarm, in this order.

        What can't be sent waits in the outbox, and the alarm eventNotificationError tells of it;
        it waits too where it can't be sent. What a tenant refuses does not wait.

        about: the command, or whatever else the alarm is to show, without its secrets.

        Raises StorageError where a letter can neither be sent nor kept: then all is to be told
        again.
        """
        letters = self._event_letters(telling)
        failures = [failure for letter in letters if (failure := self._failure(letter)) is not None]
        if telling.event is not None and not letters:
            failures.append(
                "no topic: eventTopic must be in the token, or in fallbacks.event_topic"
            )
        alarms = [] if telling.alarm is None else [telling.alarm]
        for failure in failures:
            log().error("event can't be published", error=failure, **telling.attributes)
            alarms.append(command_alarm("eventNotificationError", about, failure).to_dict())
        for alarm in alarms:
            self._raise_alarm(alarm, telling)

    def _event_letters(self, telling: Telling) -> list[Letter]:
        if telling.event is None:
            return []
        letters = []
        if telling.event_topic is not None:
            attributes = {"event": telling.event["event"], **telling.attributes}
            body = json.dumps(telling.event)
            letters.append(topic_letter(telling.event_topic, body, attributes))
        callback = telling.callback or self._callback(telling.event, telling.domain)
        return letters if callback is None else [*letters, callback]

    def _raise_alarm(self, alarm: Mapping[str, Any], telling: Telling) -> None:
        if telling.alarm_topic is None:
            log().error("no topic for an alarm", alarm=alarm, **telling.attributes)
            return
        attributes = {**telling.attributes, "event": alarm["type"]}
        failure = self._failure(topic_letter(telling.alarm_topic, json.dumps(alarm), attributes))
        if failure is not None:
            log().error("alarm can't be published", error=failure, **telling.attributes)

    def _failure(self, letter: Letter) -> str | None:
        """Send a letter or keep it; why it could not be sent, if so."""
        if letter.channel == "topic" and size_of(letter) > MAX_LETTER_BYTES:
            self._count(letter, "lost")
            return f"{letter.address}: a message of {size_of(letter)} bytes is more than it takes"
        outbox = self._outbox
        if outbox is not None and outbox.holds(letter.channel, letter.address):
            failure = "others wait to be sent before it"
        else:
            try:
                self._senders[letter.channel].send(letter)
            except AudioEngineError as error:
                failure = str(error)
                if is_refused(letter, error):
                    self._count(letter, "lost")
                    return f"{letter.address}: {failure}"
            else:
                self._count(letter, "sent")
                return None
        if outbox is None:
            raise StorageError(f"can't tell {letter.address!r}: {failure}", retryable=True)
        outbox.put(letter)
        self._count(letter, "waiting")
        return f"{letter.address}: {failure}"

    def _count(self, letter: Letter, outcome: Any) -> None:
        if self._metrics is not None:
            self._metrics.letter(letter.channel, outcome)
