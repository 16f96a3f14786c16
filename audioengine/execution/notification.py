# SPDX-License-Identifier: Apache-2.0
"""An event and its alarm, with the tenant they concern and the topics they go to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from audioengine.commands.alarms import Alarm
from audioengine.commands.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """An event, an alarm, or both."""

    event: Event | None = None
    alarm: Alarm | None = None
    domain: str | None = None
    recording_id: str | None = None
    """None for a merge, which has several."""
    digest: str | None = None
    """Of the command."""
    event_topic: str | None = None
    alarm_topic: str | None = None

    @property
    def attributes(self) -> Mapping[str, str]:
        """What a message carries beside its body; an unknown value has no attribute."""
        attributes = {
            "domain": self.domain,
            "recordingId": self.recording_id,
            "commandDigest": self.digest,
        }
        return {name: value for name, value in attributes.items() if value}
