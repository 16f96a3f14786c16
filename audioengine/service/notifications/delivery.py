# SPDX-License-Identifier: Apache-2.0
"""How an event and its alarm leave: to their topics now or from the outbox, as callbacks from it.

When `Delivery.tell` returns, each letter was sent or is on the disk. Nobody waits for a tenant.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from audioengine.commands.alarms import command_alarm
from audioengine.errors import AudioEngineError, StorageError
from audioengine.service.logs import log
from audioengine.service.metrics import Metrics
from audioengine.service.notifications.letter import (
    MAX_FAILURE_BYTES,
    Channel,
    Letter,
    Sender,
    is_refused,
)
from audioengine.service.notifications.outbox import Outbox
from audioengine.service.notifications.topics import MAX_LETTER_BYTES, size_of, topic_letter


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
    """Sends letters: to a topic at once where none waits before it; all others by the outbox."""

    def __init__(
        self,
        senders: Mapping[Channel, Sender],
        outbox: Outbox | None,
        *,
        callback: MakeCallback = no_callback,
        metrics: Metrics | None = None,
    ) -> None:
        """Send nothing yet.

        outbox: where letters wait; None: callbacks are sent at once too, and what can't be sent is
            an error.
        """
        self._senders = senders
        self._outbox = outbox
        self._callback = callback
        self._metrics = metrics

    def tell(self, telling: Telling, about: object) -> None:
        """Send the event and its alarm, and leave the callback to whoever flushes the outbox.

        What can't be sent waits in the outbox, and the alarm eventNotificationError tells of it,
        of a callback when its first try has failed; it waits too where it can't be sent. What a
        tenant refuses does not wait.

        about: the command, or whatever else the alarm is to show, without its secrets.

        Raises StorageError where a letter can neither be sent nor kept: then all is to be told
        again.
        """
        letters = self._event_letters(telling)
        failures = []
        for letter in letters:
            if letter.channel == "callback" and self._outbox is not None:
                kept = replace(letter, alarm=_failure_letter(about, telling))
                self._outbox.put(kept, has_failed=False)
            elif (failure := self._failure(letter)) is not None:
                failures.append(failure)
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

    @contextmanager
    def announced(self, telling: Telling) -> Iterator[None]:
        """Keep an alarm before a block does what it tells of; it goes out when the block ends.

        Where the block raises, nothing is told. If its process dies, `tell_kept` tells it later.

        Raises StorageError where the alarm can't be kept.
        """
        outbox, alarm = self._outbox, telling.alarm
        assert outbox is not None
        assert alarm is not None
        if telling.alarm_topic is None:
            yield
            log().error("no topic for an alarm", alarm=alarm, **telling.attributes)
            return
        letter = _alarm_letter(alarm, telling.alarm_topic, telling)
        number = outbox.put(letter, has_failed=False, is_held=True)
        try:
            yield
        except BaseException:
            outbox.withdraw((number,))
            raise
        outbox.release((number,))

    def tell_kept(self) -> None:
        """Let alarms go out that a process has announced and then died; it may have done it.

        Raises StorageError.
        """
        assert self._outbox is not None
        self._outbox.release()

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
        failure = self._failure(_alarm_letter(alarm, telling.alarm_topic, telling))
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


def _alarm_letter(alarm: Mapping[str, Any], topic: str, telling: Telling) -> Letter:
    attributes = {**telling.attributes, "event": alarm["type"]}
    return topic_letter(topic, json.dumps(alarm), attributes)


def _failure_letter(about: object, telling: Telling) -> Letter | None:
    """What is to tell that a callback could not be sent; None: there is no topic for it."""
    if telling.alarm_topic is None:
        return None
    room = " " * MAX_FAILURE_BYTES
    alarm = command_alarm("eventNotificationError", about, room).to_dict()
    return _alarm_letter(alarm, telling.alarm_topic, telling)
