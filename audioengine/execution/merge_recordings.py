# SPDX-License-Identifier: Apache-2.0
"""MERGERECORDINGS: the recordings of one conversation, found, proven to be the tenant's, merged."""

from __future__ import annotations

from audioengine.commands.requests import MergeEntry, MergeRecordings
from audioengine.edits import IfUntagged
from audioengine.execution.command_custody import custody_of
from audioengine.execution.command_transcripts import with_command_transcripts
from audioengine.execution.context import CommandContext
from audioengine.execution.destination import (
    destination_of,
    refuse_over,
    repeated,
    versions_before,
)
from audioengine.execution.outcome import Result
from audioengine.execution.temporary_objects import RecordingPlace, other_place, own_place
from audioengine.notices import Notice
from audioengine.operations.merge import merge
from audioengine.parts import MergePart
from audioengine.storage import ObjectPlace
from audioengine.times import exact


def merge_recordings(command: MergeRecordings, context: CommandContext) -> Result:
    """Carry out a MERGERECORDINGS, whose recordings include the token's.

    Raises what `merge` raises, and NotAllowedError. A recording that is left out is named in the
    notices, which alone say why.
    """
    settings = context.settings
    destination = destination_of(command, None, context)
    custody = custody_of(command, destination, context)
    if destination.is_done:
        if custody is not None:
            custody.add_repeat(destination)
        return repeated(destination, context)
    places = [_place(entry, context) for entry in command.to_merge]
    refuse_over(destination, [place.location for place in places])
    report = merge(
        [
            _part(entry, place, context)
            for entry, place in zip(command.to_merge, places, strict=True)
        ],
        destination.place(context.storage, exact(command.first.start_time_ms, "startTime")),
        settings.merge.over(settings.store),
        record=custody,
        workers=context.workers,
        progress=context.progress,
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
        versions_before=versions_before(destination, context),
    )


def _place(entry: MergeEntry, context: CommandContext) -> RecordingPlace:
    known = context.known(entry.recording_id)
    if entry.recording_id == context.token.recording_id:
        return own_place(context, known, entry.start_time_ms)
    return other_place(context, entry.recording_id, entry.start_time_ms, known)


def _part(entry: MergeEntry, place: ObjectPlace, context: CommandContext) -> MergePart:
    settings = context.settings
    return MergePart(
        place,
        entry.start_time_ms,
        entry.conference_segments,
        with_command_transcripts(entry.modification, settings.store, context),
        recording_id=entry.recording_id,
        state=entry.state,
        encoder_delay=IfUntagged(settings.store.encoder_delay),
    )
