# SPDX-License-Identifier: Apache-2.0
"""A finished recording into temporary storage, as if a recorder had put it there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import uuid1

from audioengine.commands.alarms import TempStorageAlarm
from audioengine.errors import InvalidRequestError, StorageError
from audioengine.execution.temporary_objects import DOMAIN, RECORDING_ID, START_TIME, in_ascii
from audioengine.operations.captured import CaptureFile
from audioengine.operations.converting import Call, encode_call, opened_call
from audioengine.operations.inspection import inspect
from audioengine.operations.legs import PARTIES, LegFile, Legs
from audioengine.operations.workers import worker_count
from audioengine.service.notifications.delivery import Delivery
from audioengine.service.recorder.catalogue import Entry
from audioengine.service.recorder.event_routing import LiveEvent, alarm_notification
from audioengine.service.recorder.reports import ReportDesk
from audioengine.settings import Settings
from audioengine.storage import S3Options, Storage, open_source
from audioengine.storage.buckets import Location, ObjectPlace
from audioengine.times import Number, exact, plain

_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Ingested:
    """A recording in temporary storage."""

    event: LiveEvent
    """Its RECORDINGREADY, as it went out."""
    location: Location
    approximate: bool
    """Whether its start comes from the time of its file, which may be seconds off."""

    def to_json(self) -> str:
        """Return it as one JSON object; the event has its token."""
        return json.dumps(
            {
                "event": self.event.to_dict(),
                "output": str(self.location),
                "approximate": self.approximate,
            }
        )


def ingest(
    source: str | Legs | CaptureFile,
    report: Mapping[str, Any],
    *,
    storage: Storage,
    settings: Settings,
    delivery: Delivery,
    start_time_ms: Number | None = None,
    raw: str | None = None,
) -> Ingested:
    """Put a local recording into temporary storage as an MP3, and report it as ready.

    source: a file, a file of each party, or a packet capture; what is no MP3 is converted, as
        `convert` does.
    report: a RECORDINGREADY report, as JSON values; without a `recordingId` it gets a new one, and
        without `meta` the starts of what it is made of. The same with the same id may be ingested
        again.
    start_time_ms: when a file of both parties began, in epoch milliseconds. Where nothing tells a
        start, the recording is taken to have ended when its file was last written.
    raw: what a file without a header holds.

    Raises what `convert`, `inspect` and `ReportDesk.take` do. If the storage fails, the alarm
    tempStorageError reports that too.
    """
    with ExitStack() as stack:
        call = _call(source, raw, stack)
        report = {"recordingId": str(uuid1()), **report, "event": "RECORDINGREADY"}
        approximate = False
        if "meta" not in report:
            report["meta"], approximate = _meta(source, call, start_time_ms)
        desk = ReportDesk.of(settings, storage, delivery)
        try:
            entry = desk.entry_of(report)
            location = Location(entry.temp_bucket, entry.temp_key)
            _put(source, call, entry, location, storage)
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
    return Ingested(desk.take(report), location, approximate)


def _call(source: str | Legs | CaptureFile, raw: str | None, stack: ExitStack) -> Call | None:
    """What is to be converted; None: an MP3, which is put there as it is."""
    if isinstance(source, str) and raw is None and inspect(source).frames:
        return None
    return stack.enter_context(opened_call(source, raw=raw))


def _meta(
    source: str | Legs | CaptureFile, call: Call | None, start_time_ms: Number | None
) -> tuple[str, bool]:
    """`meta` with the starts of all streams, and whether they are approximate."""
    if call is not None and call.meta is not None:
        return call.meta, False
    approximate = False
    if call is not None and call.starts_at is not None:
        begun = [(one.party, one.starts_at) for one in call.pieces]
    elif start_time_ms is not None:
        begun = [("both", exact(start_time_ms, "start_time_ms"))]
    else:
        begun, approximate = [("both", _written_ms(source, call))], True
    streams = {
        f"{party}Streams": [
            {"start": _number(at)} for whose, at in begun if whose in (party, "both")
        ]
        for party in PARTIES
    }
    return json.dumps({"recordingsPartsInfo": streams}), approximate


def _written_ms(source: str | Legs | CaptureFile, call: Call | None) -> Fraction:
    """When the recording began, if it ended when its files were last written."""
    files: list[object] = [source]
    if isinstance(source, Legs):
        legs = (source.caller, source.callee)
        files = [leg.source if isinstance(leg, LegFile) else leg for leg in legs]
    written = [Path(one).stat().st_mtime for one in files if isinstance(one, str)]
    ended_s = max(written, default=None)
    if ended_s is None:
        rule = "must be given: only files have a time of their own"
        raise InvalidRequestError.of("start_time_ms", None, rule)
    if call is not None:
        length_ms = 1000 * call.sound.length / call.sound.rate
    else:
        length_ms = inspect(str(source)).duration_ms
    return Fraction(round(1000 * ended_s - length_ms))


def _number(start: Fraction | None) -> int | float | None:
    if start is None:
        return None
    return int(start) if start.denominator == 1 else float(start)


def _put(
    source: str | Legs | CaptureFile,
    call: Call | None,
    entry: Entry,
    location: Location,
    storage: Storage,
) -> None:
    metadata = {DOMAIN: in_ascii(entry.domain), RECORDING_ID: in_ascii(entry.recording_id)}
    if entry.start_time_ms is not None:
        metadata[START_TIME] = plain(exact(entry.start_time_ms, "startTime"))
    place = ObjectPlace(storage, location, S3Options(metadata=metadata))
    if call is not None:
        encode_call(call, place, workers=worker_count(None))
        return
    with closing(open_source(str(source))) as file, closing(place.staging()) as staging:
        for offset in range(0, file.size, _BLOCK_BYTES):
            staging.write(file.read(offset, _BLOCK_BYTES))
        file.check_unchanged()
        staging.publish()
