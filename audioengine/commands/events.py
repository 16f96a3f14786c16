# SPDX-License-Identifier: Apache-2.0
"""The events of the topic, with exactly the reference's keys, in its order.

Those of recordings that go on also come as callbacks, which leave out some keys and have others:
what only one of the two forms has is None in the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import Field

from audioengine.commands.redaction import redacted
from audioengine.commands.wire import (
    OptionalSegments,
    OptionalText,
    Text,
    Wire,
    WireNumber,
    read_wire,
    unknown_keys,
)
from audioengine.errors import InvalidRequestError
from audioengine.notices import Notice
from audioengine.parts import ConferenceSegment

SipCallId: TypeAlias = Annotated[int, Field(strict=True)] | str | None
"""Of the request that began a recording."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingStored(Wire):
    """A recording is in permanent storage."""

    event: Literal["RECORDINGSTORED"] = "RECORDINGSTORED"
    command_queue: str
    command_region: str
    destination_bucket: str
    file_name: str
    recording_id: Text
    reply_id: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRecordingFailed(Wire):
    """A STORERECORDING failed."""

    event: Literal["STORERECORDINGFAILED"] = "STORERECORDINGFAILED"
    command_queue: str
    command_region: str
    domain: str
    reason: str
    recording_id: Text
    reply_id: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingsMerged(Wire):
    """A merge is in permanent storage."""

    event: Literal["RECORDINGSMERGED"] = "RECORDINGSMERGED"
    command_queue: str
    command_region: str
    destination_bucket: str
    domain: str
    file_name: str
    reply_id: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeRecordingsFailed(Wire):
    """A MERGERECORDINGS failed."""

    event: Literal["MERGERECORDINGSFAILED"] = "MERGERECORDINGSFAILED"
    command_queue: str
    command_region: str
    domain: str
    reason: str
    reply_id: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingDeleted(Wire):
    """A recording is gone from temporary storage."""

    event: Literal["RECORDINGDELETED"] = "RECORDINGDELETED"
    command_queue: str
    command_region: str
    recording_id: Text
    reply_id: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteRecordingFailed(Wire):
    """A DELETERECORDING failed."""

    event: Literal["DELETERECORDINGFAILED"] = "DELETERECORDINGFAILED"
    command_queue: str
    command_region: str
    domain: str
    reason: str
    recording_id: Text
    reply_id: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RelatedRecording(Wire):
    """A recording of the same conversation, as the event of another one lists it."""

    NESTED: ClassVar[Mapping[str, type[Any]]] = {"conferenceSegments": ConferenceSegment}

    recording_id: Text
    start_time_ms: WireNumber
    """Epoch time."""
    state: OptionalText = None
    """`active` or `stopped`."""
    recording_role: OptionalText = None
    """`parent`, `child` or `sibling`."""
    conference_segments: OptionalSegments = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingReady(Wire):
    """A recording is in temporary storage; the event carries what a merge needs."""

    NESTED: ClassVar[Mapping[str, type[Any]]] = {
        "conferenceSegments": ConferenceSegment,
        "relatedRecordings": RelatedRecording,
    }

    event: Literal["RECORDINGREADY"] = "RECORDINGREADY"
    called_party: OptionalText = None
    command_queue: OptionalText = None
    command_region: OptionalText = None
    domain: OptionalText = None
    meta: OptionalText = None
    """As it came; `meta.parse_meta` reads it."""
    recording_id: Text
    conference_segments: OptionalSegments = None
    related_recordings: tuple[RelatedRecording, ...] | None = None
    reply_id: Text = field(repr=False)
    warning: OptionalText = None
    """Why the recording may lack something, for instance `rtpTimeout`."""
    sip_rec_call_id: SipCallId = None
    """Of the callback alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingStarted(Wire):
    """A recording has begun."""

    event: Literal["RECORDINGSTARTED"] = "RECORDINGSTARTED"
    called_party: OptionalText = None
    command_queue: OptionalText = None
    command_region: OptionalText = None
    domain: OptionalText = None
    meta_data: OptionalText = None
    recording_id: Text
    reply_id: Text = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingCancelled(Wire):
    """A recording was dropped."""

    event: Literal["RECORDINGCANCELLED"] = "RECORDINGCANCELLED"
    called_party: OptionalText = None
    command_queue: OptionalText = None
    command_region: OptionalText = None
    domain: OptionalText = None
    meta_data: OptionalText = None
    """Of the callback alone."""
    reason: OptionalText = None
    recording_id: Text
    reply_id: Text = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingFailed(Wire):
    """A recording that had begun came to nothing."""

    event: Literal["RECORDINGFAILED"] = "RECORDINGFAILED"
    called_party: OptionalText = None
    command_queue: OptionalText = None
    command_region: OptionalText = None
    domain: OptionalText = None
    reason: OptionalText = None
    recording_id: Text
    reply_id: Text = field(repr=False)


FinalEvent: TypeAlias = (
    RecordingStored
    | StoreRecordingFailed
    | RecordingsMerged
    | MergeRecordingsFailed
    | RecordingDeleted
    | DeleteRecordingFailed
)
"""What a command ends with."""
Event: TypeAlias = (
    FinalEvent | RecordingReady | RecordingStarted | RecordingCancelled | RecordingFailed
)

_CALLBACK_ONLY = {"RECORDINGREADY": "sipRecCallId", "RECORDINGCANCELLED": "metaData"}

EVENTS: Mapping[str, type[Event]] = {
    "RECORDINGSTORED": RecordingStored,
    "STORERECORDINGFAILED": StoreRecordingFailed,
    "RECORDINGSMERGED": RecordingsMerged,
    "MERGERECORDINGSFAILED": MergeRecordingsFailed,
    "RECORDINGDELETED": RecordingDeleted,
    "DELETERECORDINGFAILED": DeleteRecordingFailed,
    "RECORDINGREADY": RecordingReady,
    "RECORDINGSTARTED": RecordingStarted,
    "RECORDINGCANCELLED": RecordingCancelled,
    "RECORDINGFAILED": RecordingFailed,
}
"""The events by their name."""


def topic_form(event: Event) -> dict[str, Any]:
    """Return an event as its topic gets it, without the key that only its callback has."""
    left_out = _CALLBACK_ONLY.get(event.event)
    return {key: value for key, value in event.to_dict().items() if key != left_out}


def parse_event(data: object, event: str | None = None) -> tuple[Event, tuple[Notice, ...]]:
    """Read an event, as JSON values; warn of keys that mean nothing.

    event: which it is where its body need not say so, as in a callback, whose path does; the path's
    spelling, `recordingReady`, is fine.

    Raises InvalidRequestError naming every wrong field.
    """
    if not isinstance(data, dict):
        raise InvalidRequestError.of("event", f"<{type(data).__name__}>", "must be an object")
    name = data.get("event") if event is None else event.upper()
    if name is None:
        raise InvalidRequestError.of("event", None, "must be given")
    if not isinstance(name, str) or name not in EVENTS:
        rule = f"must be one of {', '.join(EVENTS)}"
        raise InvalidRequestError.of("event", redacted(name), rule)
    kind = EVENTS[name]
    given = {key: value for key, value in data.items() if key != "event" or value is not None}
    value: Event = read_wire(kind, given)
    return value, tuple(unknown_keys(data, kind))
