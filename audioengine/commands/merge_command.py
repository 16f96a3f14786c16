# SPDX-License-Identifier: Apache-2.0
"""Building a MERGERECORDINGS command from the RECORDINGREADY events of one conversation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from pydantic import SecretStr

from audioengine.commands.events import RecordingReady, RelatedRecording, parse_event
from audioengine.commands.meta import parse_meta
from audioengine.commands.requests import MergeEntry, MergeRecordings, merge_problems
from audioengine.commands.wire import joined_path
from audioengine.errors import InvalidRequestError, Problem
from audioengine.json_input import parse_object

ReadyEvent: TypeAlias = RecordingReady | Mapping[str, Any] | str | bytes
"""A RECORDINGREADY: as a value, as JSON values, or as JSON."""


def merge_command(
    events: ReadyEvent | Sequence[ReadyEvent],
    destination_bucket: str,
    *,
    file_name: str | None = None,
    destination_region: str | None = None,
    encryption_key: str | None = None,
    remove_duplicates: bool = True,
) -> MergeRecordings:
    """Build the command that merges the recordings of these events and those related to them.

    A recording starts where the `meta` of its own event says. If its event is not given, the last
    event that lists it as related says when. The command's `replyId` is that of the last event.
    Send `merge_command(…).to_json()` to the command queue.

    events: one RECORDINGREADY or several of one conversation, in the order in which they came; each
        as JSON, as JSON values, or as a parsed event.
    destination_bucket, file_name, destination_region, encryption_key: as in the command.
    remove_duplicates: list the conferences, so that each is heard once.

    Raises InvalidRequestError, naming every wrong field, where there is no event, an event is
    malformed, comes twice or has no start, or a related recording is still active: it can be merged
    once its own event has come.
    """
    if isinstance(events, (RecordingReady, Mapping, str, bytes)):
        events = [events]
    if not events:
        raise InvalidRequestError.of("events", "none", "must be at least one RECORDINGREADY")
    ready = _parsed(events)
    problems: list[Problem] = []
    entries: dict[str, MergeEntry] = {}
    for number, event in enumerate(ready):
        path = f"events[{number}]"
        if event.recording_id in entries:
            rule = "must be another recording than that of the events before"
            problems.append(Problem(f"{path}.recordingId", event.recording_id, rule))
        entries[event.recording_id] = _own_entry(event, path, problems)
    own = set(entries)
    active: dict[str, Problem] = {}
    for number, event in enumerate(ready):
        for place, related in enumerate(event.related_recordings or ()):
            if related.recording_id in own:
                continue
            if related.state == "active":
                path = f"events[{number}].relatedRecordings[{place}].state"
                rule = f"must not be active: {related.recording_id} still goes on"
                active[related.recording_id] = Problem(path, related.state, rule)
            else:
                entries[related.recording_id] = _related_entry(related)
    # A later event may say that it has ended.
    problems += [problem for name, problem in active.items() if name not in entries]
    problems = problems or merge_problems(tuple(entries.values()))
    if problems:
        raise InvalidRequestError(problems)
    merged = list(entries.values())
    if not remove_duplicates:
        merged = [replace(entry, conference_segments=()) for entry in merged]
    return MergeRecordings(
        destination_bucket=destination_bucket,
        destination_region=destination_region,
        to_merge=tuple(merged),
        file_name=file_name,
        encryption_key=None if encryption_key is None else SecretStr(encryption_key),
        reply_id=ready[-1].reply_id,
    )


def _parsed(events: Sequence[ReadyEvent]) -> list[RecordingReady]:
    problems: list[Problem] = []
    parsed = [_event(event, f"events[{place}]", problems) for place, event in enumerate(events)]
    if problems:
        raise InvalidRequestError(problems)
    return [event for event in parsed if event is not None]


def _event(event: ReadyEvent, path: str, problems: list[Problem]) -> RecordingReady | None:
    if isinstance(event, RecordingReady):
        return event
    try:
        values = parse_object(event, path) if isinstance(event, (str, bytes)) else dict(event)
    except InvalidRequestError as error:
        problems += error.problems
        return None
    try:
        parsed, _ = parse_event(values)
    except InvalidRequestError as error:
        problems += _under(path, error)
        return None
    if isinstance(parsed, RecordingReady):
        return parsed
    problems.append(Problem(f"{path}.event", parsed.event, "must be RECORDINGREADY"))
    return None


def _under(path: str, error: InvalidRequestError) -> list[Problem]:
    return [replace(one, path=joined_path(path, one.path)) for one in error.problems]


def _own_entry(event: RecordingReady, path: str, problems: list[Problem]) -> MergeEntry:
    start = None
    try:
        start = None if event.meta is None else parse_meta(event.meta).start_time_ms
        if start is None:
            rule = "must contain the start of at least one stream"
            problems.append(Problem(f"{path}.meta", event.meta, rule))
    except InvalidRequestError as error:
        problems += _under(path, error)
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
