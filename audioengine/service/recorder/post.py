# SPDX-License-Identifier: Apache-2.0
"""What the recorder's side sends: letters to topics and tenants, by whatever delivers them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from audioengine.commands.alarms import Alarm
from audioengine.errors import StorageError
from audioengine.execution.temporary import in_ascii
from audioengine.service.callbacks import callback_letter
from audioengine.service.sending import Channel, Letter, Sender
from audioengine.settings import Settings

# What an event's callback has and its topic does not.
_OF_CALLBACKS: Mapping[str, str] = {
    "RECORDINGREADY": "sipRecCallId",
    "RECORDINGCANCELLED": "metaData",
}


class Post(Protocol):
    """Delivers letters."""

    def deliver(self, letters: Sequence[Letter]) -> None:
        """Send letters in order, or keep them durably until they can be sent.

        Raises StorageError where they can neither be sent nor kept.
        """


@dataclass(frozen=True, slots=True)
class DirectPost(Post):
    """Sends at once, and keeps nothing: for work that can simply be done again."""

    senders: Mapping[Channel, Sender]

    def deliver(self, letters: Sequence[Letter]) -> None:
        """Send each letter, whatever becomes of the others; then raise the first StorageError."""
        failures = [failure for letter in letters if (failure := self._failure(letter))]
        if failures:
            raise failures[0]

    def _failure(self, letter: Letter) -> StorageError | None:
        try:
            self.senders[letter.channel].send(letter)
        except StorageError as error:
            return error
        return None


def topics_of(domain: str | None, settings: Settings) -> tuple[str | None, str | None]:
    """Return where events and alarms of a domain go; None: nowhere."""
    tenant = settings.domains.get(domain or "")
    fallbacks = settings.fallbacks
    if tenant is None:
        return fallbacks.event_topic, fallbacks.alarm_topic
    return (
        tenant.event_topic or fallbacks.event_topic,
        tenant.alarm_topic or fallbacks.alarm_topic,
    )


def event_letters(told: Mapping[str, Any], domain: str, settings: Settings) -> list[Letter]:
    """Return what goes out of an event, given with the keys of its topic and of its callback."""
    topic, _ = topics_of(domain, settings)
    event = {name: one for name, one in told.items() if name != _OF_CALLBACKS.get(told["event"])}
    letters = [] if topic is None else [_letter(topic, event, told["event"], domain)]
    callback = callback_letter(told, domain, settings)
    return letters if callback is None else [*letters, callback]


def alarm_letters(alarm: Alarm, domain: str | None, settings: Settings) -> list[Letter]:
    """Return what goes out of an alarm: nothing where settings name no topic."""
    _, topic = topics_of(domain, settings)
    return [] if topic is None else [_letter(topic, alarm.to_dict(), alarm.type, domain)]


def _letter(topic: str, told: Mapping[str, Any], name: str, domain: str | None) -> Letter:
    attributes = {"event": name, "domain": domain, "recordingId": told.get("recordingId")}
    given = {key: in_ascii(text) for key, text in attributes.items() if text}
    return Letter(channel="topic", address=topic, body=json.dumps(told), attributes=given)
