# SPDX-License-Identifier: Apache-2.0
"""MERGERECORDINGS: the recordings of one conversation, found, proven to be the tenant's, merged."""

from __future__ import annotations

from audioengine.commands.requests import MergeEntry, MergeRecordings
from audioengine.custody.record import Recorder
from audioengine.edits import IfUntagged
from audioengine.execution.custody import CommandRecord
from audioengine.execution.destination import (
    destination_of,
    refuse_over,
    repeated,
    versions_before,
)
from audioengine.execution.reply_id import Claims
from audioengine.execution.result import Result
from audioengine.execution.temporary_objects import RecordingPlace, Resolver, other_place, own_place
from audioengine.notices import Notice
from audioengine.operations.merge import merge
from audioengine.parts import MergePart
from audioengine.render.execute import Progress
from audioengine.settings import Settings
from audioengine.storage import ObjectPlace, Storage
from audioengine.times import exact


def merge_recordings(
    command: MergeRecordings,
    token: Claims,
    resolver: Resolver,
    storage: Storage,
    settings: Settings,
    record: Recorder | None,
    workers: int | None,
    progress: Progress | None,
) -> Result:
    """Carry out a MERGERECORDINGS, whose recordings include the token's.

    Raises what `merge` raises, and NotAllowedError; a recording that is left out is named in the
    notices, which alone say why.
    """
    destination = destination_of(command, token, None, storage, settings)
    kept = None if record is None else CommandRecord(record, command, destination.digest)
    if destination.is_done:
        if kept is not None:
            kept.add_repeat(destination)
        return repeated(destination, storage, settings)
    places = [_place(entry, token, resolver, storage, settings) for entry in command.to_merge]
    refuse_over(destination, [place.location for place in places])
    report = merge(
        [
            _part(entry, place, settings)
            for entry, place in zip(command.to_merge, places, strict=True)
        ],
        destination.place(storage, exact(command.first.start_time_ms, "startTime")),
        settings.merge.over(settings.store),
        record=kept,
        workers=workers,
        progress=progress,
    )
    return Result(
        location=destination.location,
        digest=destination.digest,
        report=report,
        notices=tuple(
            Notice(
                "recording_left_out", f"Recording {entry.recording_id!r} was left out: {place.why}"
            )
            for entry, place in zip(command.to_merge, places, strict=True)
            if place.why is not None
        ),
        versions_before=versions_before(destination, storage, settings),
    )


def _place(
    entry: MergeEntry, token: Claims, resolver: Resolver, storage: Storage, settings: Settings
) -> RecordingPlace:
    known = resolver(str(token.domain), entry.recording_id)
    if entry.recording_id != token.recording_id:
        start = entry.start_time_ms
        return other_place(storage, token, entry.recording_id, start, known, settings)
    return own_place(storage, token, known, entry.start_time_ms, settings)


def _part(entry: MergeEntry, place: ObjectPlace, settings: Settings) -> MergePart:
    return MergePart(
        place,
        entry.start_time_ms,
        entry.conference_segments,
        entry.modification,
        recording_id=entry.recording_id,
        state=entry.state,
        encoder_delay=IfUntagged(settings.store.encoder_delay),
    )
