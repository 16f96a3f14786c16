# SPDX-License-Identifier: Apache-2.0
"""Where the events and alarms of the recorder's side go."""

from __future__ import annotations

from typing import TypeAlias

from audioengine.commands.alarms import (
    ApiRequestAlarm,
    RecordingFailedAlarm,
    TempRecordingDeletedAlarm,
    TempStorageAlarm,
)
from audioengine.commands.events import (
    RecordingCancelled,
    RecordingFailed,
    RecordingReady,
    RecordingStarted,
)
from audioengine.execution.addresses import addresses_of
from audioengine.execution.outcome import Notification
from audioengine.settings import Settings

LiveEvent: TypeAlias = RecordingStarted | RecordingReady | RecordingCancelled | RecordingFailed
RecorderAlarm: TypeAlias = (
    RecordingFailedAlarm | TempStorageAlarm | TempRecordingDeletedAlarm | ApiRequestAlarm
)


def event_notification(
    event: LiveEvent, settings: Settings, alarm: RecorderAlarm | None = None
) -> Notification:
    """Return the notification of an event, and of the alarm that is raised with it."""
    addresses = addresses_of(event.domain, settings)
    return Notification(
        event=event,
        alarm=alarm,
        domain=event.domain,
        recording_id=event.recording_id,
        event_topic=addresses.event_topic,
        alarm_topic=addresses.alarm_topic,
    )


def alarm_notification(alarm: RecorderAlarm, settings: Settings) -> Notification:
    """Return the notification of an alarm alone."""
    return Notification(
        alarm=alarm,
        domain=alarm.domain,
        recording_id=alarm.recording_id,
        alarm_topic=addresses_of(alarm.domain, settings).alarm_topic,
    )
