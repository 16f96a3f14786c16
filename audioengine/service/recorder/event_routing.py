# SPDX-License-Identifier: Apache-2.0
"""What the recorder's side tells, and where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audioengine.commands.alarms import Alarm
from audioengine.execution.addresses import addresses_of
from audioengine.service.notifications.callbacks import callback_letter
from audioengine.service.notifications.delivery import Telling
from audioengine.settings import Settings

# What an event's callback has and its topic does not.
_OF_CALLBACKS: Mapping[str, str] = {
    "RECORDINGREADY": "sipRecCallId",
    "RECORDINGCANCELLED": "metaData",
}


def telling_of(
    told: Mapping[str, Any], domain: str, settings: Settings, alarm: Alarm | None = None
) -> Telling:
    """Return what there is to tell of an event, given with the keys of its topic and its callback.

    alarm: raised with it.
    """
    addresses = addresses_of(domain, settings)
    return Telling(
        event={name: one for name, one in told.items() if name != _OF_CALLBACKS.get(told["event"])},
        alarm=None if alarm is None else alarm.to_dict(),
        attributes={"domain": domain, "recordingId": told["recordingId"]},
        domain=domain,
        event_topic=addresses.event_topic,
        alarm_topic=addresses.alarm_topic,
        callback=callback_letter(told, domain, settings),
    )


def alarm_of(alarm: Alarm, domain: str | None, settings: Settings) -> Telling:
    """Return what there is to tell of an alarm alone."""
    told = alarm.to_dict()
    attributes = {"domain": domain, "recordingId": told.get("recordingId")}
    return Telling(
        alarm=told,
        attributes={name: text for name, text in attributes.items() if text},
        domain=domain,
        alarm_topic=addresses_of(domain, settings).alarm_topic,
    )
