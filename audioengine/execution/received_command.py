# SPDX-License-Identifier: Apache-2.0
"""A command as it arrived, read step by step, and the outcome that reports its end.

Whatever fails, the outcome says as much of the command as was read and proven by then.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from audioengine.commands.alarms import (
    MAX_ERROR_BYTES,
    CommandAlarm,
    CommandAlarmType,
    command_alarm,
    cut,
)
from audioengine.commands.events import (
    DeleteRecordingFailed,
    FinalEvent,
    MergeRecordingsFailed,
    RecordingDeleted,
    RecordingsMerged,
    RecordingStored,
    StoreRecordingFailed,
)
from audioengine.commands.requests import (
    COMMANDS,
    MAX_COMMAND_BYTES,
    CancelRecording,
    Command,
    MergeRecordings,
    StopRecording,
    command_values,
    parse_command,
)
from audioengine.edits import Dialect
from audioengine.errors import (
    AudioEngineError,
    InvalidRequestError,
    NoRecordingError,
    NotAllowedError,
)
from audioengine.execution.outcome import Outcome, Result
from audioengine.execution.reply_id import (
    Claims,
    check_recording,
    read_token,
    region_of,
    unverified,
)
from audioengine.json_input import unambiguous
from audioengine.notices import Notice
from audioengine.settings import Settings

_ALARMS: Mapping[str, CommandAlarmType] = {
    "STORERECORDING": "storeRecordingError",
    "MERGERECORDINGS": "mergeRecordingsError",
    "DELETERECORDING": "deleteRecordingError",
    "STOPRECORDING": "stopRecordingError",
    "CANCELRECORDING": "cancelRecordingError",
}


class ReceivedCommand:
    """One command; `read` fills in what is known of it."""

    def __init__(
        self,
        given: Command | Mapping[str, Any] | str | bytes,
        settings: Settings,
        *,
        dialect: Dialect = "sqs",
        method: str | None = None,
    ) -> None:
        """Read nothing yet.

        given: the command as a value, as JSON values, or as JSON.
        dialect, method: as in `parse_command`.
        """
        self._given = given
        self._raw: object = given
        self._settings = settings
        self._dialect = dialect
        self._method = method
        self._notices: tuple[Notice, ...] = ()
        self._began = time.monotonic()
        self.command: Command | None = None
        """The command, once it is parsed."""
        self.token = unverified(settings)
        """What the token says, once it is verified; before, only what the settings say."""
        self.is_proven = False
        """Whether the token is valid and nothing says that it is another recording's."""

    def read(self) -> Command:
        """Parse the command and verify its token.

        Raises InvalidRequestError naming every wrong field, LimitError, and NotAllowedError where
        the token proves nothing or is another recording's.
        """
        try:
            command = self._read()
        except NotAllowedError:
            raise
        except AudioEngineError:
            self.is_proven = bool(self.token.recording_id)
            raise
        self.is_proven = True
        return command

    def _read(self) -> Command:
        command = self._given
        if isinstance(command, (str, bytes)):
            # What the text says beyond doubt. A command that repeats a key is refused, and its
            # sender must learn of it.
            values = unambiguous(command) if len(command) <= MAX_COMMAND_BYTES else None
            if isinstance(values, dict):
                self._raw = values
            self._read_token()
            self._raw = command = command_values(command)
        if isinstance(command, Mapping):
            # The token comes first: it says where an event about all the rest goes.
            self._read_token()
            command, self._notices = parse_command(
                self._raw, self._dialect, self._method, self._settings.unknown_keys
            )
        if type(command) not in COMMANDS.values():
            rule = "must be a command as a value, as JSON values, or as JSON"
            raise InvalidRequestError.of("command", f"<{type(command).__name__}>", rule)
        self.command = command
        if not self.token.recording_id:
            self.token = read_token(command.reply_id, self._settings)
        check_recording(command, self.token)
        return command

    def _read_token(self) -> None:
        reply_id = _text(self._raw, "replyId")
        if reply_id and not self.token.recording_id:
            with suppress(AudioEngineError):
                self.token = read_token(reply_id, self._settings)

    def success(self, result: Result) -> Outcome:
        """Return the outcome of a command that was carried out."""
        assert self.command is not None
        return self._outcome(
            event=_success(self.command, result, self.token, self._settings),
            result=result,
            digest=result.digest,
        )

    def failure(self, error: AudioEngineError, digest: str | None) -> Outcome:
        """Return the outcome of a command that failed, however much of it was read.

        digest: of the command, where it can be computed.
        """
        kind, alarm, event = self._kind, None, None
        if kind in _ALARMS:
            alarm = command_alarm(
                _ALARMS[kind],
                self._given if isinstance(self._given, (str, bytes)) else self._raw,
                str(error),
                dialect=self._dialect,
                method=self._method,
            )
        if self.token.recording_id:
            event = _failure(kind, self._raw, error, self.token, self._settings)
        # Without a valid token only the alarm reports it: its tenant could be anybody.
        hidden = isinstance(error, NoRecordingError)
        return self._outcome(
            event=event,
            alarm=alarm,
            error=error,
            cause=str(error.__cause__) if hidden else None,
            digest=digest,
        )

    @property
    def _kind(self) -> str:
        return (self._method or _text(self._raw, "method") or "").upper()

    def _outcome(
        self,
        *,
        event: FinalEvent | None,
        digest: str | None,
        alarm: CommandAlarm | None = None,
        **more: Any,
    ) -> Outcome:
        kind = self._kind
        return Outcome(
            event=event,
            alarm=alarm,
            method=kind if kind in COMMANDS else None,
            notices=self._notices,
            digest=digest,
            is_proven=self.is_proven,
            domain=self.token.domain,
            recording_id=None if kind == "MERGERECORDINGS" else _text(self._raw, "recordingId"),
            event_topic=self.token.event_topic,
            alarm_topic=self.token.alarm_topic,
            temp_bucket=self.token.temp_bucket,
            seconds=time.monotonic() - self._began,
            **more,
        )


def proven_token(
    command: str, settings: Settings, *, dialect: Dialect = "sqs", method: str | None = None
) -> Claims | None:
    """Return what the token of a command says; None if it is not valid for the command's recording.

    command: as JSON; it may be wrong otherwise.
    dialect, method: as in `parse_command`.
    """
    received = ReceivedCommand(command, settings, dialect=dialect, method=method)
    with suppress(AudioEngineError):
        received.read()
    return received.token if received.is_proven else None


def _success(
    command: Command, result: Result, token: Claims, settings: Settings
) -> FinalEvent | None:
    if isinstance(command, (StopRecording, CancelRecording)):
        return None
    queue = token.command_queue or ""
    region = region_of(queue, settings.fallbacks)
    location = result.location
    if location is None:
        assert not isinstance(command, MergeRecordings)
        return RecordingDeleted(
            command_queue=queue,
            command_region=region,
            recording_id=command.recording_id,
            reply_id=command.reply_id,
        )
    if isinstance(command, MergeRecordings):
        return RecordingsMerged(
            command_queue=queue,
            command_region=region,
            destination_bucket=location.bucket,
            domain=str(token.domain),
            file_name=location.key,
            reply_id=command.reply_id,
        )
    return RecordingStored(
        command_queue=queue,
        command_region=region,
        destination_bucket=location.bucket,
        file_name=location.key,
        recording_id=command.recording_id,
        reply_id=command.reply_id,
    )


def _failure(
    kind: str, raw: object, error: AudioEngineError, token: Claims, settings: Settings
) -> FinalEvent | None:
    queue = token.command_queue or ""
    fields: dict[str, Any] = {
        "command_queue": queue,
        "command_region": region_of(queue, settings.fallbacks),
        "domain": token.domain or "",
        "reason": cut(str(error), MAX_ERROR_BYTES),
        "reply_id": _text(raw, "replyId") or "",
    }
    if kind == "MERGERECORDINGS":
        return MergeRecordingsFailed(**fields)
    recording_id = _text(raw, "recordingId")
    if recording_id is None:
        return None
    if kind == "STORERECORDING":
        return StoreRecordingFailed(recording_id=recording_id, **fields)
    if kind == "DELETERECORDING":
        return DeleteRecordingFailed(recording_id=recording_id, **fields)
    return None


def _text(raw: object, key: str) -> str | None:
    """A text of a command, be it a value or JSON values; None if it has none."""
    names = {"replyId": "reply_id", "recordingId": "recording_id", "method": "method"}
    value = raw.get(key) if isinstance(raw, Mapping) else getattr(raw, names[key], None)
    return value if isinstance(value, str) and value else None
