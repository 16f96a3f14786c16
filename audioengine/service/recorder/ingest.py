# SPDX-License-Identifier: Apache-2.0
"""A finished recording into temporary storage, as if a recorder had put it there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from uuid import uuid1

from audioengine.commands.alarms import TempStorageAlarm
from audioengine.errors import StorageError
from audioengine.execution.temporary_objects import DOMAIN, RECORDING_ID, START_TIME, in_ascii
from audioengine.operations.inspection import inspect
from audioengine.service.notifications.delivery import Delivery
from audioengine.service.recorder.catalogue import Entry
from audioengine.service.recorder.event_routing import LiveEvent, alarm_notification
from audioengine.service.recorder.reports import ReportDesk
from audioengine.settings import Settings
from audioengine.storage import S3Options, Storage, open_source
from audioengine.storage.buckets import Location
from audioengine.times import exact, plain

_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Ingested:
    """A recording in temporary storage."""

    event: LiveEvent
    """Its RECORDINGREADY, as it went out."""
    location: Location

    def to_json(self) -> str:
        """Return it as one JSON object; the event has its token."""
        return json.dumps({"event": self.event.to_dict(), "output": str(self.location)})


def ingest(
    path: str,
    report: Mapping[str, Any],
    *,
    storage: Storage,
    settings: Settings,
    delivery: Delivery,
) -> Ingested:
    """Put a local MP3 file into temporary storage, and report it as ready.

    report: a RECORDINGREADY report, as JSON values; without a `recordingId` it gets a new one. The
        same file with the same id may be ingested again.

    Raises what `inspect` and `ReportDesk.take` do. If the storage fails, the alarm tempStorageError
    reports that too.
    """
    inspect(path)  # a file that is no recording is refused here, not by a later command
    report = {"recordingId": str(uuid1()), **report, "event": "RECORDINGREADY"}
    desk = ReportDesk.of(settings, storage, delivery)
    try:
        entry = desk.entry_of(report)
        location = Location(entry.temp_bucket, entry.temp_key)
        _put(path, entry, location, storage)
    except StorageError as error:  # the report itself is right, then
        domain = report.get("domain") or settings.fallbacks.domain
        alarm = TempStorageAlarm(
            recording_id=report["recordingId"],
            domain=domain,
            error="The recording could not be put into temporary storage",
            error_details=str(error),
        )
        delivery.deliver(alarm_notification(alarm, settings), command=None)
        raise
    return Ingested(desk.take(report), location)


def _put(path: str, entry: Entry, location: Location, storage: Storage) -> None:
    metadata = {DOMAIN: in_ascii(entry.domain), RECORDING_ID: in_ascii(entry.recording_id)}
    if entry.start_time_ms is not None:
        metadata[START_TIME] = plain(exact(entry.start_time_ms, "startTime"))
    with (
        closing(open_source(path)) as source,
        closing(storage.staging(location, S3Options(metadata=metadata))) as staging,
    ):
        for offset in range(0, source.size, _BLOCK_BYTES):
            staging.write(source.read(offset, _BLOCK_BYTES))
        source.check_unchanged()
        staging.publish()
