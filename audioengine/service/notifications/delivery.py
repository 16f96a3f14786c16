# SPDX-License-Identifier: Apache-2.0
"""Delivery of events and alarms: to topics at once or by the outbox, as callbacks by the outbox.

When `Delivery.deliver` returns, each letter was sent or is on the disk. Nobody waits for a tenant.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeAlias

from audioengine.commands.alarms import Alarm, command_alarm
from audioengine.commands.events import topic_form
from audioengine.errors import AudioEngineError, StorageError
from audioengine.execution.outcome import Notification
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
from audioengine.service.queues.queue import MESSAGE_ID

MakeCallback: TypeAlias = Callable[[Mapping[str, Any], str | None], Letter | None]
"""Makes the callback of an event, given as JSON values, for a domain; None: there is none."""


def no_callback(_event: Mapping[str, Any], _domain: str | None) -> None:
    """Make no callback."""


class Delivery:
    """Sends letters: to a topic at once if none waits before it, all others by the outbox."""

    def __init__(
        self,
        senders: Mapping[Channel, Sender],
        outbox: Outbox | None,
        *,
        callback: MakeCallback = no_callback,
        metrics: Metrics | None = None,
    ) -> None:
        """Send nothing yet.

        outbox: where letters wait; None: callbacks too are sent at once, and a letter that can't be
            sent is an error.
        """
        self._senders = senders
        self._outbox = outbox
        self._callback = callback
        self._metrics = metrics

    def deliver(
        self, notification: Notification, command: object, message_id: str | None = None
    ) -> None:
        """Send an event and its alarm, and leave the callback to whoever flushes the outbox.

        An event that can't be sent waits in the outbox, and the alarm eventNotificationError says
        so; for a callback it does after its first failed attempt. An alarm that can't be sent waits
        too. A callback that the tenant refuses does not wait.

        command: what the alarm shows, without its secrets: a command or anything else.
        message_id: of the queue's message that brought the command; repeats have the same.

        Raises StorageError if a letter can neither be sent nor kept: then all must be sent again.
        """
        letters = self._event_letters(notification, message_id)
        failures = []
        for letter in letters:
            if letter.channel == "callback" and self._outbox is not None:
                warning = _failure_letter(command, notification, message_id)
                self._outbox.put(replace(letter, alarm=warning), has_failed=False)
            elif (failure := self._failure(letter)) is not None:
                failures.append(failure)
        if notification.event is not None and not letters:
            failures.append(
                "no topic: eventTopic must be in the token, or in fallbacks.event_topic"
            )
        alarms = [] if notification.alarm is None else [notification.alarm]
        for failure in failures:
            log().error("event can't be published", error=failure, **notification.attributes)
            alarms.append(command_alarm("eventNotificationError", command, failure))
        for alarm in alarms:
            self._raise_alarm(alarm, notification, message_id)

    @contextmanager
    def announced(self, notification: Notification) -> Iterator[None]:
        """Keep an alarm before a block does what it reports; it goes out when the block ends.

        If the block raises, nothing is sent. If its process dies, `release_announced` sends it
        later.

        Raises StorageError if the alarm can't be kept.
        """
        outbox, alarm, topic = self._outbox, notification.alarm, notification.alarm_topic
        assert outbox is not None
        assert alarm is not None
        if topic is None:
            yield
            _log_without_topic(alarm, notification)
            return
        letter = _alarm_letter(alarm, topic, notification)
        number = outbox.put(letter, has_failed=False, is_held=True)
        try:
            yield
        except BaseException:
            outbox.withdraw((number,))
            raise
        outbox.release((number,))

    def release_announced(self) -> None:
        """Send alarms that a process announced before it died; it may have done what they report.

        Raises StorageError.
        """
        assert self._outbox is not None
        self._outbox.release()

    def _event_letters(self, notification: Notification, message_id: str | None) -> list[Letter]:
        event = notification.event
        if event is None:
            return []
        letters = []
        if notification.event_topic is not None:
            attributes = _attributes(event.event, notification, message_id)
            body = json.dumps(topic_form(event))
            letters.append(topic_letter(notification.event_topic, body, attributes))
        callback = self._callback(event.to_dict(), notification.domain)
        return letters if callback is None else [*letters, callback]

    def _raise_alarm(
        self, alarm: Alarm, notification: Notification, message_id: str | None
    ) -> None:
        if notification.alarm_topic is None:
            _log_without_topic(alarm, notification)
            return
        letter = _alarm_letter(alarm, notification.alarm_topic, notification, message_id)
        if (failure := self._failure(letter)) is not None:
            log().error("alarm can't be published", error=failure, **notification.attributes)

    def _failure(self, letter: Letter) -> str | None:
        """Send a letter or keep it; return why it could not be sent."""
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
            raise StorageError(f"can't send to {letter.address!r}: {failure}", retryable=True)
        outbox.put(letter)
        self._count(letter, "waiting")
        return f"{letter.address}: {failure}"

    def _count(self, letter: Letter, outcome: Any) -> None:
        if self._metrics is not None:
            self._metrics.letter(letter.channel, outcome)


def _attributes(name: str, notification: Notification, message_id: str | None) -> dict[str, str]:
    brought_by = {} if message_id is None else {MESSAGE_ID: message_id}
    return {"event": name, **notification.attributes, **brought_by}


def _alarm_letter(
    alarm: Alarm, topic: str, notification: Notification, message_id: str | None = None
) -> Letter:
    attributes = _attributes(alarm.type, notification, message_id)
    return topic_letter(topic, alarm.to_json(), attributes)


def _failure_letter(
    command: object, notification: Notification, message_id: str | None
) -> Letter | None:
    """Return the alarm for a callback that can't be sent; None if there is no topic for it."""
    if notification.alarm_topic is None:
        return None
    room = " " * MAX_FAILURE_BYTES
    alarm = command_alarm("eventNotificationError", command, room)
    return _alarm_letter(alarm, notification.alarm_topic, notification, message_id)


def _log_without_topic(alarm: Alarm, notification: Notification) -> None:
    log().error("no topic for an alarm", alarm=alarm.to_dict(), **notification.attributes)
