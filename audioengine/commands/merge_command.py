# SPDX-License-Identifier: Apache-2.0
"""A MERGERECORDINGS command out of the RECORDINGREADY events of one conversation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pydantic import SecretStr

from audioengine.commands.events import RecordingReady, RelatedRecording
from audioengine.commands.meta import parse_meta
from audioengine.commands.requests import MergeEntry, MergeRecordings, merge_problems
from audioengine.commands.wire import joined_path
from audioengine.errors import InvalidRequestError, Problem


def merge_command(
    events: RecordingReady | Sequence[RecordingReady],
    destination_bucket: str,
    *,
    file_name: str | None = None,
    destination_region: str | None = None,
    encryption_key: str | None = None,
    remove_duplicates: bool = True,
) -> MergeRecordings:
    """Return the command that merges the recordings of these events and those related to them.

    A recording starts where the `meta` of its own event says, or, where that event is not among
    these, where the last one that lists it does. The command replies to the last event.
    remove_duplicates: whether conferences are listed, so that each is heard once.

    Raises InvalidRequestError where there is no event, an event comes twice or has no start, or a
    related recording is still active: it can be merged once its own event has come.
    """
    if isinstance(events, RecordingReady):
        events = [events]
    if not events:
        raise InvalidRequestError.of("events", "none", "must be at least one RECORDINGREADY")
    problems: list[Problem] = []
    entries: dict[str, MergeEntry] = {}
    for number, event in enumerate(events):
        path = f"events[{number}]"
        if event.recording_id in entries:
            rule = "must be another recording than that of the events before"
            problems.append(Problem(f"{path}.recordingId", event.recording_id, rule))
        entries[event.recording_id] = _own_entry(event, path, problems)
    own = set(entries)
    active: dict[str, Problem] = {}
    for number, event in enumerate(events):
        for place, related in enumerate(event.related_recordings or ()):
            if related.recording_id in own:
                continue
            if related.state == "active":
                path = f"events[{number}].relatedRecordings[{place}].state"
                rule = f"must not be active: {related.recording_id} still goes on"
                active[related.recording_id] = Problem(path, related.state, rule)
            else:
                entries[related.recording_id] = _related_entry(related)
    # Another event may know by now that it has ended.
    problems += [problem for name, problem in active.items() if name not in entries]
    problems = problems or merge_problems(tuple(entries.values()))
    if problems:
        raise InvalidRequestError(problems)
    merged = [
        entry if remove_duplicates else replace(entry, conference_segments=())
        for entry in entries.values()
    ]
    return MergeRecordings(
        destination_bucket=destination_bucket,
        destination_region=destination_region,
        to_merge=tuple(merged),
        file_name=file_name,
        encryption_key=None if encryption_key is None else SecretStr(encryption_key),
        reply_id=events[-1].reply_id,
    )


def _own_entry(event: RecordingReady, path: str, problems: list[Problem]) -> MergeEntry:
    start = None
    try:
        start = None if event.meta is None else parse_meta(event.meta).start_time_ms
        if start is None:
            rule = "must tell the start of at least one stream"
            problems.append(Problem(f"{path}.meta", event.meta, rule))
    except InvalidRequestError as error:
        problems += [Problem(joined_path(path, p.path), p.value, p.rule) for p in error.problems]
    return MergeEntry(
        recording_id=event.recording_id,
        start_time_ms=0 if start is None else start,
        conference_segments=event.conference_segments or (),
    )


def _related_entry(related: RelatedRecording) -> MergeEntry:
    return MergeEntry(
        recording_id=related.recording_id,
        start_time_ms=related.start_time_ms,
        conference_segments=related.conference_segments or (),
    )
