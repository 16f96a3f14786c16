# SPDX-License-Identifier: Apache-2.0
"""The alarms of the topic, with the reference's keys, and one of our own: mergeRecordingsError."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Literal, TypeAlias, get_args

from pydantic import Field

from audioengine.commands.redaction import redacted
from audioengine.commands.shown import labelled, shown_command
from audioengine.commands.wire import OptionalText, Wire, read_wire, unknown_keys
from audioengine.edits import Dialect
from audioengine.errors import InvalidRequestError
from audioengine.notices import Notice

MAX_ALARM_BYTES = 248 * 1024
"""Of an alarm's JSON: the topic takes 256 KB, of which attributes have some."""

MAX_ERROR_BYTES = 16 * 1024
"""Of the JSON of what went wrong, in an alarm and in an event."""

_CUT = "…[cut]"

CommandAlarmType: TypeAlias = Literal[
    "storeRecordingError",
    "mergeRecordingsError",
    "deleteRecordingError",
    "stopRecordingError",
    "cancelRecordingError",
    "eventNotificationError",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandAlarm(Wire):
    """A command failed, or its event could not be sent.

    `command_alarm` makes one of any command; `mergeRecordingsError` is ours.
    """

    type: CommandAlarmType
    event: OptionalText = None
    """The command, without its secrets, perhaps cut."""
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingFailedAlarm(Wire):
    """A recording failed."""

    event: Literal["recordingFailed"] = "recordingFailed"
    type: Literal["recordingFailed"] = "recordingFailed"
    recording_id: str
    domain: OptionalText = None
    error: OptionalText = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TempStorageAlarm(Wire):
    """A recording could not be put into temporary storage."""

    event: Literal["tempStorageError"] = "tempStorageError"
    type: Literal["tempStorageError"] = "tempStorageError"
    recording_id: str
    domain: OptionalText = None
    error: OptionalText = None
    error_details: OptionalText = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TempRecordingDeletedAlarm(Wire):
    """A recording expired in temporary storage."""

    event: Literal["tempRecordingDeleted"] = "tempRecordingDeleted"
    type: Literal["tempRecordingDeleted"] = "tempRecordingDeleted"
    recording_id: str
    domain: OptionalText = None
    service: OptionalText = None
    modified_date: OptionalText = None
    error: OptionalText = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRequestAlarm(Wire):
    """A request to the tenant's own API failed."""

    event: Literal["apiRequestError"] = "apiRequestError"
    type: Literal["apiRequestError"] = "apiRequestError"
    domain: OptionalText = None
    recording_id: str
    error: OptionalText = None
    method: OptionalText = None
    request_uri: OptionalText = None
    status_code: Annotated[int, Field(strict=True)] | None = None
    status_message: OptionalText = None


Alarm: TypeAlias = (
    CommandAlarm
    | RecordingFailedAlarm
    | TempStorageAlarm
    | TempRecordingDeletedAlarm
    | ApiRequestAlarm
)

ALARMS: Mapping[str, type[Alarm]] = {
    **dict.fromkeys(get_args(CommandAlarmType), CommandAlarm),
    "recordingFailed": RecordingFailedAlarm,
    "tempStorageError": TempStorageAlarm,
    "tempRecordingDeleted": TempRecordingDeletedAlarm,
    "apiRequestError": ApiRequestAlarm,
}
"""The alarms by their type."""


def command_alarm(
    type: CommandAlarmType,
    command: object,
    error: str,
    *,
    dialect: Dialect = "sqs",
    method: str | None = None,
) -> CommandAlarm:
    """Return the alarm for a command: a value, its JSON, or its text, whatever that is.

    Secrets are hidden, and both texts are cut to what the topic takes.

    dialect, method: of a text, where its door knows them; as in `parse_command`. Queued again as
        the alarm shows it, the command is the same.
    """
    text = shown_command(labelled(command, dialect, method))
    alarm = CommandAlarm(type=type, event="", error=cut(error, MAX_ERROR_BYTES))
    return replace(alarm, event=cut(text, MAX_ALARM_BYTES - _size(alarm.to_dict())))


def parse_alarm(data: object) -> tuple[Alarm, tuple[Notice, ...]]:
    """Read an alarm, as JSON values; warn of keys that mean nothing.

    Raises InvalidRequestError naming every wrong field.
    """
    if not isinstance(data, dict):
        raise InvalidRequestError.of("alarm", f"<{type(data).__name__}>", "must be an object")
    name = data.get("type")
    if not isinstance(name, str) or name not in ALARMS:
        rule = f"must be one of {', '.join(ALARMS)}"
        raise InvalidRequestError.of("type", redacted(name), rule)
    kind = ALARMS[name]
    alarm: Alarm = read_wire(kind, data)
    return alarm, tuple(unknown_keys(data, kind))


def _size(value: object) -> int:
    """Bytes of its JSON, with everything escaped that may be: no writer needs more."""
    return len(json.dumps(value))


def cut(text: str, most: int) -> str:
    """Return the text, or its longest beginning with a mark, that takes so many bytes of JSON."""
    if len(text) <= most and _size(text) <= most:
        return text
    low, high = 0, min(len(text), most)
    while low < high:
        middle = (low + high + 1) // 2
        if _size(text[:middle] + _CUT) <= most:
            low = middle
        else:
            high = middle - 1
    return text[:low] + _CUT
