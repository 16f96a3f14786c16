# SPDX-License-Identifier: Apache-2.0
"""How a command ended: its event and alarm, whom they concern, and what it produced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from audioengine.commands.alarms import Alarm, CommandAlarm
from audioengine.commands.events import Event, FinalEvent
from audioengine.errors import AudioEngineError
from audioengine.notices import Notice
from audioengine.report import MergeReport, StoreReport
from audioengine.storage.buckets import Location


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """An event, an alarm, or both, with the tenant they concern and the topics they go to."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a successful command produced."""

    location: Location | None = None
    """Where the output is; None if the command makes none."""
    digest: str
    """Of the command."""
    report: StoreReport | MergeReport | None = None
    """None where no audio was processed."""
    is_repeated: bool = False
    """Whether an earlier run had produced it already."""
    notices: tuple[Notice, ...] = ()
    versions_before: tuple[str, ...] = ()
    """Versions that the output replaced; they still exist unless the settings purge them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Notification):
    """The end of a command, or of one attempt at it."""

    event: FinalEvent | None = None
    """Success or failure; None where the command does not say enough for an event."""
    alarm: CommandAlarm | None = None
    """Raised by a failure."""
    method: str | None = None
    """The command's method; None if it names no known one."""
    result: Result | None = None
    """None after a failure."""
    error: AudioEngineError | None = None
    """None after a success."""
    cause: str | None = None
    """A reason that the error hides from tenants; for the operator's log only."""
    notices: tuple[Notice, ...] = ()
    """Keys of the command that mean nothing."""
    is_proven: bool = False
    """Whether the token is valid and covers the recording: what it says is the tenant's own."""
    temp_bucket: str | None = None
    """Where the tenant's temporary recordings are."""
    seconds: float = 0
    """How long the attempt took."""

    @property
    def retryable(self) -> bool:
        """Whether the same command may succeed later; then it is retried before it is reported."""
        return self.error is not None and self.error.retryable

    @property
    def is_reportable(self) -> bool:
        """Whether a failure has an event or an alarm; a success always counts as reportable."""
        return self.error is None or self.event is not None or self.alarm is not None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; the event contains the token, as the wire requires."""
        values: dict[str, Any] = {
            "event": None if self.event is None else self.event.to_dict(),
            "alarm": None if self.alarm is None else self.alarm.to_dict(),
            "warnings": [asdict(notice) for notice in self.notices],
            "retryable": self.retryable,
            "commandDigest": self.digest,
        }
        if self.result is not None:
            result = self.result
            values["warnings"] += [asdict(notice) for notice in result.notices]
            values |= {
                "output": None if result.location is None else str(result.location),
                "repeated": result.is_repeated,
                "versionsBefore": list(result.versions_before),
                "report": None if result.report is None else result.report.to_dict(),
            }
        return values
