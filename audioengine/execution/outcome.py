# SPDX-License-Identifier: Apache-2.0
"""How a command ended: the event and the alarm that tell of it, and what only reports say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from audioengine.commands.alarms import CommandAlarm
from audioengine.commands.events import FinalEvent
from audioengine.errors import AudioEngineError
from audioengine.execution.result import Result
from audioengine.notices import Notice


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The end of a command, or of a try at it."""

    event: FinalEvent | None
    """Success or failure; None where a command says too little of itself for one."""
    alarm: CommandAlarm | None = None
    """Of a failure."""
    result: Result | None = None
    """Of a success."""
    error: AudioEngineError | None = None
    """Of a failure."""
    notices: tuple[Notice, ...] = ()
    """Keys of the command that mean nothing."""
    digest: str | None = None
    """Of the command, where its token counts and its destination can be told."""
    is_proven: bool = False
    """Whether its token counts: what it says is its own tenant's."""
    domain: str | None = None
    recording_id: str | None = None
    """As the command says; None of a merge, which has several."""
    event_topic: str | None = None
    alarm_topic: str | None = None
    """Where event and alarm go: as the verified token says, else the settings."""
    temp_bucket: str | None = None
    """Of temporary recordings, likewise."""

    @property
    def retryable(self) -> bool:
        """Whether the same command may succeed later: then it is tried again, and not told yet."""
        return self.error is not None and self.error.retryable

    @property
    def attributes(self) -> Mapping[str, str]:
        """What a message with the event carries beside it; what is not known has no name."""
        attributes = {
            "event": self.event.event if self.event is not None else None,
            "domain": self.domain,
            "recordingId": self.recording_id,
            "commandDigest": self.digest,
        }
        return {name: value for name, value in attributes.items() if value}

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values; the event has the token, as it must."""
        told: dict[str, Any] = {
            "event": None if self.event is None else self.event.to_dict(),
            "alarm": None if self.alarm is None else self.alarm.to_dict(),
            "warnings": [asdict(one) for one in self.notices],
            "retryable": self.retryable,
            "commandDigest": self.digest,
        }
        if self.result is not None:
            result = self.result
            told["warnings"] += [asdict(one) for one in result.notices]
            told |= {
                "output": None if result.location is None else str(result.location),
                "repeated": result.is_repeated,
                "versionsBefore": list(result.versions_before),
                "report": None if result.report is None else result.report.to_dict(),
            }
        return told
