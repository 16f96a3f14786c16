# SPDX-License-Identifier: Apache-2.0
"""STORERECORDING: an edit of the recording or, with nothing to edit, a copy of its object."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from fractions import Fraction

from audioengine.commands.requests import StoreRecording
from audioengine.edits import Modification
from audioengine.errors import InvalidRequestError
from audioengine.execution.command_custody import CommandCustody, custody_of
from audioengine.execution.command_transcripts import with_command_transcripts
from audioengine.execution.context import CommandContext, Known
from audioengine.execution.destination import (
    Destination,
    destination_of,
    refuse_over,
    repeated,
    versions_before,
)
from audioengine.execution.outcome import Result
from audioengine.execution.temporary_objects import (
    START_TIME,
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
from audioengine.storage.buckets import Found, Location
from audioengine.times import Number, exact
from audioengine.version import VERSION


def store_recording(command: StoreRecording, context: CommandContext) -> Result:
    """Carry out a STORERECORDING.

    Raises what `store` raises, and NotAllowedError.
    """
    known = context.known(command.recording_id)
    check_own(context, known, {})
    locations = own_locations(context.token, known, command.start_time_ms)
    destination = destination_of(command, known, context)
    refuse_over(destination, locations)
    custody = custody_of(command, destination, context)
    if destination.is_done:
        if custody is not None:
            custody.add_repeat(destination)
        return repeated(destination, context)
    if command.modification is None:
        return _copied(command, known, locations, destination, custody, context)
    place = own_place(context, known, command.start_time_ms)
    with closing(place.source()) as source:
        start = _start(command, known, source.metadata)
        options = context.settings.store
        notices = _notices(command, start)
        refuse_warnings(notices, options.refuse)
        report = store(
            source,
            destination.place(context.storage, _output_start(command.modification, start)),
            with_command_transcripts(command.modification, options, context),
            options.for_many(),
            start_time_ms=start,
            record=None if custody is None else custody.of_source(place.location, notices),
            workers=context.workers,
            progress=context.progress,
        )
    return Result(
        location=destination.location,
        digest=destination.digest,
        report=report,
        notices=notices,
        versions_before=versions_before(destination, context),
    )


def _copied(
    command: StoreRecording,
    known: Known | None,
    locations: list[Location],
    destination: Destination,
    custody: CommandCustody | None,
    context: CommandContext,
) -> Result:
    """Copy the object within the storage: no audio passes through here."""
    storage = context.storage
    source_at, found = found_of(context, locations)
    check_own(context, known, found.metadata)
    start = _start(command, known, found.metadata)
    notices = _notices(command, start)
    refuse_warnings(notices, context.settings.store.refuse)
    place = destination.place(storage, None if start is None else exact(start, START_TIME))
    options = place.options
    assert options is not None
    metadata = {**options.metadata, SOURCE_DIGEST: _store_digest(found), ENGINE_VERSION: VERSION}
    storage.copy(source_at, destination.location, found, replace(options, metadata=metadata))
    if custody is not None:
        custody.of_source(source_at, notices).add_copy(source_at, found, destination, storage)
    return Result(
        location=destination.location,
        digest=destination.digest,
        notices=notices,
        versions_before=versions_before(destination, context),
    )


def _store_digest(found: Found) -> str:
    """Describe an object as its store does: nobody here has read it."""
    facts = {"etag": found.etag.strip('"'), "version": found.version, "sha256": found.sha256}
    return ";".join(f"{name}:{value}" for name, value in facts.items() if value is not None)


def _start(
    command: StoreRecording, known: Known | None, metadata: Mapping[str, str]
) -> Number | None:
    """Return when the recording began: as its streams say, else the command, else its object."""
    if known is not None and known.start_time_ms is not None:
        return known.start_time_ms
    if command.start_time_ms is not None:
        return command.start_time_ms
    text = metadata.get(START_TIME)
    if text is None:
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        rule = "must be epoch milliseconds"
        raise InvalidRequestError.of(f"metadata.{START_TIME}", text, rule) from None


def _output_start(modification: Modification, start: Number | None) -> Fraction | None:
    """Return when an output begins: where its trim does, if that is inside the recording."""
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
