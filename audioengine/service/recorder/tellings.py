# SPDX-License-Identifier: Apache-2.0
"""What the recorder's side tells, and where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audioengine.commands.alarms import Alarm
from audioengine.service.callbacks import callback_letter
from audioengine.service.delivery import Telling
from audioengine.settings import Settings

# What an event's callback has and its topic does not.
_OF_CALLBACKS: Mapping[str, str] = {
    "RECORDINGREADY": "sipRecCallId",
    "RECORDINGCANCELLED": "metaData",
}


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


def telling_of(
    told: Mapping[str, Any], domain: str, settings: Settings, alarm: Alarm | None = None
) -> Telling:
    """Return what there is to tell of an event, given with the keys of its topic and its callback.

    alarm: raised with it.
    """
    event_topic, alarm_topic = topics_of(domain, settings)
    return Telling(
        event={name: one for name, one in told.items() if name != _OF_CALLBACKS.get(told["event"])},
        alarm=None if alarm is None else alarm.to_dict(),
        attributes={"domain": domain, "recordingId": told["recordingId"]},
        domain=domain,
        event_topic=event_topic,
        alarm_topic=alarm_topic,
        callback=callback_letter(told, domain, settings),
    )


def alarm_of(alarm: Alarm, domain: str | None, settings: Settings) -> Telling:
    """Return what there is to tell of an alarm alone."""
    _, alarm_topic = topics_of(domain, settings)
    told = alarm.to_dict()
    attributes = {"domain": domain, "recordingId": told.get("recordingId")}
    return Telling(
        alarm=told,
        attributes={name: text for name, text in attributes.items() if text},
        domain=domain,
        alarm_topic=alarm_topic,
    )
