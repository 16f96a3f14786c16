# SPDX-License-Identifier: Apache-2.0
"""STORERECORDING: an edit of the recording or, with nothing to edit, a copy of its object."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from fractions import Fraction

from audioengine.commands.requests import StoreRecording
from audioengine.custody.record import Recorder
from audioengine.edits import Modification
from audioengine.errors import InvalidRequestError
from audioengine.execution.custody import CommandRecord
from audioengine.execution.destination import (
    Destination,
    destination_of,
    refuse_over,
    repeated,
    versions_before,
)
from audioengine.execution.reply_id import Claims
from audioengine.execution.result import Result
from audioengine.execution.temporary_objects import (
    START_TIME,
    Known,
    check_own,
    found_of,
    own_locations,
    own_place,
)
from audioengine.notices import Notice
from audioengine.operations.facts import ENGINE_VERSION, SOURCE_DIGEST
from audioengine.operations.recording_ids import implausible_start
from audioengine.operations.refusing import refuse_warnings
from audioengine.operations.store import store
from audioengine.render.execute import Progress
from audioengine.settings import Settings
from audioengine.storage import Storage
from audioengine.storage.buckets import Found, Location
from audioengine.times import Number, exact
from audioengine.version import VERSION


def store_recording(
    command: StoreRecording,
    token: Claims,
    known: Known | None,
    storage: Storage,
    settings: Settings,
    record: Recorder | None,
    workers: int | None,
    progress: Progress | None,
) -> Result:
    """Carry out a STORERECORDING.

    Raises what `store` raises, and NotAllowedError.
    """
    check_own(token, known, {}, settings)
    locations = own_locations(token, known, command.start_time_ms)
    destination = destination_of(command, token, known, storage, settings)
    refuse_over(destination, locations)
    kept = None if record is None else CommandRecord(record, command, destination.digest)
    if destination.is_done:
        if kept is not None:
            kept.add_repeat(destination)
        return repeated(destination, storage, settings)
    if command.modification is None:
        return _copied(command, token, known, storage, settings, locations, destination, kept)
    place = own_place(storage, token, known, command.start_time_ms, settings)
    source_at = place.location
    with closing(place.source()) as source:
        start = _start(command, known, source.metadata)
        options = settings.store
        notices = _notices(command, start)
        refuse_warnings(notices, options.refuse)
        report = store(
            source,
            destination.place(storage, _output_start(command.modification, start)),
            command.modification,
            options.for_many(),
            start_time_ms=start,
            record=None if kept is None else kept.of_source(source_at, notices),
            workers=workers,
            progress=progress,
        )
    return Result(
        location=destination.location,
        digest=destination.digest,
        report=report,
        notices=notices,
        versions_before=versions_before(destination, storage, settings),
    )


def _copied(
    command: StoreRecording,
    token: Claims,
    known: Known | None,
    storage: Storage,
    settings: Settings,
    locations: list[Location],
    destination: Destination,
    kept: CommandRecord | None,
) -> Result:
    """The object copied where it is: no audio passes through here."""
    source_at, found = found_of(storage, locations, token)
    check_own(token, known, found.metadata, settings)
    start = _start(command, known, found.metadata)
    notices = _notices(command, start)
    refuse_warnings(notices, settings.store.refuse)
    place = destination.place(storage, None if start is None else exact(start, START_TIME))
    options = place.options
    assert options is not None
    metadata = {**options.metadata, SOURCE_DIGEST: _told(found), ENGINE_VERSION: VERSION}
    storage.copy(source_at, destination.location, found, replace(options, metadata=metadata))
    if kept is not None:
        kept.of_source(source_at, notices).add_copy(source_at, found, destination, storage)
    return Result(
        location=destination.location,
        digest=destination.digest,
        notices=notices,
        versions_before=versions_before(destination, storage, settings),
    )


def _told(found: Found) -> str:
    """What the store itself says of an object that nobody here has read."""
    facts = {"etag": found.etag.strip('"'), "version": found.version, "sha256": found.sha256}
    return ";".join(f"{name}:{value}" for name, value in facts.items() if value is not None)


def _start(
    command: StoreRecording, known: Known | None, metadata: Mapping[str, str]
) -> Number | None:
    """When the recording began: as its streams say, else the command, else its object."""
    if known is not None and known.start_time_ms is not None:
        return known.start_time_ms
    if command.start_time_ms is not None:
        return command.start_time_ms
    told = metadata.get(START_TIME)
    if told is None:
        return None
    try:
        return Decimal(told)
    except InvalidOperation:
        rule = "must be epoch milliseconds"
        raise InvalidRequestError.of(f"metadata.{START_TIME}", told, rule) from None


def _output_start(modification: Modification, start: Number | None) -> Fraction | None:
    """When an output begins: where the trim does, if that is inside the recording."""
    if start is None:
        return None
    begins = exact(start, "startTime")
    trim = modification.trim
    if trim is None or trim.start is None:
        return begins
    first = exact(trim.start, "trim.from")
    if modification.absolute_times:
        return max(begins, first)
    return begins + max(Fraction(0), first) * (1 if modification.relative_unit == "ms" else 1000)


def _notices(command: StoreRecording, start: Number | None) -> tuple[Notice, ...]:
    if start is None:
        return ()
    return tuple(implausible_start(command.recording_id, exact(start, "startTime")))
