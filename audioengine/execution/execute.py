# SPDX-License-Identifier: Apache-2.0
"""Carrying out commands: one function, from a command to its outcome.

It changes nothing but the storage, and a command that comes again finds what it did before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tenacity

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
    DeleteRecording,
    MergeRecordings,
    StopRecording,
    StoreRecording,
    command_values,
    modifications,
    parse_command,
)
from audioengine.custody.record import Recorder
from audioengine.edits import Dialect
from audioengine.errors import AudioEngineError, InvalidRequestError, NotAllowedError
from audioengine.execution.command_digest import command_digest
from audioengine.execution.control import Control
from audioengine.execution.destination import digest_of
from audioengine.execution.merging import merge_recordings
from audioengine.execution.outcome import Outcome
from audioengine.execution.reply_id import (
    Claims,
    check_recording,
    read_token,
    region_of,
    unverified,
)
from audioengine.execution.result import Result
from audioengine.execution.settling import result_there
from audioengine.execution.storing import store_recording
from audioengine.execution.temporary_objects import (
    Known,
    Resolver,
    check_own,
    nothing_known,
    own_locations,
)
from audioengine.json_input import unambiguous
from audioengine.notices import Notice
from audioengine.operations.recording_custody import require_record
from audioengine.render.execute import Progress
from audioengine.settings import Settings
from audioengine.storage import Storage
from audioengine.storage.base import DestinationChangedError
from audioengine.storage.buckets import Found
from audioengine.storage.folder import FolderStorage
from audioengine.storage.s3_storage import S3Storage

_ALARMS: Mapping[str, CommandAlarmType] = {
    "STORERECORDING": "storeRecordingError",
    "MERGERECORDINGS": "mergeRecordingsError",
    "DELETERECORDING": "deleteRecordingError",
    "STOPRECORDING": "stopRecordingError",
    "CANCELRECORDING": "cancelRecordingError",
}


# How often a destination is judged that changes each time before its output is there.
_MOST_JUDGED = 5


def storage_of(settings: Settings) -> Storage:
    """Return the storage that settings name: folders in a root, or S3."""
    place = settings.storage
    if place.root is None:
        return S3Storage(place.s3)
    return FolderStorage(place.root, mode=place.file_mode)


def execute(
    command: Command | Mapping[str, Any] | str | bytes,
    storage: Storage | None = None,
    settings: Settings | None = None,
    *,
    dialect: Dialect = "sqs",
    method: str | None = None,
    resolver: Resolver = nothing_known,
    record: Recorder | None = None,
    control: Control | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    given_up: AudioEngineError | None = None,
) -> Outcome:
    """Carry out a STORERECORDING, MERGERECORDINGS or DELETERECORDING.

    A STOPRECORDING or CANCELRECORDING is passed on to the recorder, whose reports tell of the rest:
    its outcome has no event.

    It never raises for what a command, its recordings or the storage are: every failure is an
    outcome with its event and its alarm.

    command: as a value, as JSON values, or as JSON.
    storage: by default the one that the settings name.
    settings: by default those of the environment.
    dialect, method: of a command that is no value yet; as in `parse_command`.
    resolver: tells what RECORDINGREADY events have told of a recording.
    record: a CustodyRecord that gets an entry for each output, also for one that is there already.
    control: reaches the recorder; None: there is none.
    workers: threads that decode and encode, default one a processor.
    progress: called with frames done and frames in all.
    given_up: why nothing is begun any more: the command has its result if an earlier time has left
        one, else it fails for this.
    """
    settings = settings or Settings()
    storage = storage or storage_of(settings)
    raw: object = command
    door = dialect, method
    text = command if isinstance(command, (str, bytes)) else None
    token = unverified(settings)
    notices: tuple[Notice, ...] = ()
    is_own = False
    try:
        if isinstance(command, (str, bytes)):
            raw = _who_asks(command)
            token = _token_of(raw, settings) or token
            raw = command = command_values(command)
        if isinstance(command, Mapping):
            # The token comes first: it tells where an event about all else goes.
            token = _token_of(raw, settings) or token
            command, notices = parse_command(raw, dialect, method, settings.unknown_keys)
        _check_kind(command)
        token = read_token(command.reply_id, settings)
        check_recording(command, token)
        is_own = True
        for path, modification in modifications(command):
            settings.store.check_masks(modification, path)
        require_record(record)
        if given_up is not None:
            result = result_there(command, token, given_up, resolver, storage, settings)
        elif isinstance(command, (StopRecording, CancelRecording)):
            result = _passed_on(command, token, control, settings)
        else:
            result = tenacity.Retrying(
                stop=tenacity.stop_after_attempt(_MOST_JUDGED),
                retry=tenacity.retry_if_exception_type(DestinationChangedError),
                reraise=True,
            )(_carried_out, command, token, resolver, storage, settings, record, workers, progress)
    except AudioEngineError as error:
        digest = digest_of(command, token, resolver, settings)
        is_own = is_own or not isinstance(error, NotAllowedError)
        return _failed(raw, error, token, notices, settings, door, digest, is_own, text)
    except Exception as error:  # noqa: BLE001 - a bug too must end the command with an event
        bug = AudioEngineError(f"internal error: {type(error).__name__}")
        bug.__cause__ = error
        return _failed(raw, bug, token, notices, settings, door, None, is_own, text)
    return Outcome(
        event=_success(command, result, token, settings),
        result=result,
        notices=notices,
        digest=result.digest,
        is_proven=True,
        domain=token.domain,
        recording_id=_recording_of(command, command.method),
        event_topic=token.event_topic,
        alarm_topic=token.alarm_topic,
        temp_bucket=token.temp_bucket,
    )


def failed(
    command: str | bytes,
    error: AudioEngineError,
    settings: Settings,
    *,
    dialect: Dialect = "sqs",
    method: str | None = None,
    resolver: Resolver = nothing_known,
) -> Outcome:
    """Return the outcome of a command, as JSON, that could not be carried out, whatever it is.

    error: why. The others are those of `execute`.
    """
    raw: object = command
    token, digest = unverified(settings), None
    notices: tuple[Notice, ...] = ()
    is_own = True
    try:
        raw = _who_asks(command)
        token = _token_of(raw, settings) or token
        raw = command_values(command)
        parsed, notices = parse_command(raw, dialect, method, settings.unknown_keys)
        digest = digest_of(parsed, token, resolver, settings)
        check_recording(parsed, token)
    except AudioEngineError as wrong:
        notices = ()  # what it does say is enough
        is_own = not isinstance(wrong, NotAllowedError)
    door = dialect, method
    return _failed(raw, error, token, notices, settings, door, digest, is_own, command)


def _check_kind(command: object) -> None:
    if type(command) not in COMMANDS.values():
        rule = "must be a command as a value, as JSON values, or as JSON"
        raise InvalidRequestError.of("command", f"<{type(command).__name__}>", rule)


def _who_asks(command: str | bytes) -> object:
    """What a command certainly says, as JSON values; of what is no command, the text itself.

    A command that repeats a key is refused, and whoever sent it is told so.
    """
    values = unambiguous(command) if len(command) <= MAX_COMMAND_BYTES else None
    return values if isinstance(values, dict) else command


def _token_of(raw: object, settings: Settings) -> Claims | None:
    reply_id = _text(raw, "replyId")
    try:
        return read_token(reply_id, settings) if reply_id else None
    except AudioEngineError:
        return None


def _carried_out(
    command: StoreRecording | MergeRecordings | DeleteRecording,
    token: Claims,
    resolver: Resolver,
    storage: Storage,
    settings: Settings,
    record: Recorder | None,
    workers: int | None,
    progress: Progress | None,
) -> Result:
    if isinstance(command, MergeRecordings):
        return merge_recordings(
            command, token, resolver, storage, settings, record, workers, progress
        )
    known = resolver(str(token.domain), command.recording_id)
    if isinstance(command, StoreRecording):
        return store_recording(command, token, known, storage, settings, record, workers, progress)
    return _deleted(command, token, known, storage, settings)


def _passed_on(
    command: StopRecording | CancelRecording,
    token: Claims,
    control: Control | None,
    settings: Settings,
) -> Result:
    domain = str(token.domain)
    if control is None:
        rule = "can't be carried out: no recorder is set that it could go to"
        raise InvalidRequestError.of("method", command.method, rule)
    control.pass_on(command, domain)
    return Result(digest=command_digest(command, domain, None, None, settings))


def _deleted(
    command: DeleteRecording,
    token: Claims,
    known: Known | None,
    storage: Storage,
    settings: Settings,
) -> Result:
    check_own(token, known, {}, settings)
    locations = own_locations(token, known, None)

    def judge(found: Found) -> None:
        check_own(token, known, found.metadata, settings)

    for location in locations:
        storage.delete(location, judge=judge)
    return Result(digest=command_digest(command, str(token.domain), None, None, settings))


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


def _failed(
    raw: object,
    error: AudioEngineError,
    token: Claims,
    notices: tuple[Notice, ...],
    settings: Settings,
    door: tuple[Dialect, str | None],
    digest: str | None,
    is_own: bool,
    text: str | bytes | None,
) -> Outcome:
    dialect, method = door
    kind = (method or _text(raw, "method") or "").upper()
    alarm: CommandAlarm | None = None
    if kind in _ALARMS:
        shown = raw if text is None else text
        alarm = command_alarm(_ALARMS[kind], shown, str(error), dialect=dialect, method=method)
    # Of a message that proves nothing, the alarm alone tells: nobody is told of whatever recording
    # it names.
    event = _failure(kind, raw, error, token, settings) if token.recording_id else None
    return Outcome(
        event=event,
        alarm=alarm,
        error=error,
        notices=notices,
        digest=digest,
        is_proven=is_own and bool(token.recording_id),
        domain=token.domain,
        recording_id=_recording_of(raw, kind),
        event_topic=token.event_topic,
        alarm_topic=token.alarm_topic,
        temp_bucket=token.temp_bucket,
    )


def _failure(
    kind: str, raw: object, error: AudioEngineError, token: Claims, settings: Settings
) -> FinalEvent | None:
    queue = token.command_queue or ""
    told: dict[str, Any] = {
        "command_queue": queue,
        "command_region": region_of(queue, settings.fallbacks),
        "domain": token.domain or "",
        "reason": cut(str(error), MAX_ERROR_BYTES),
        "reply_id": _text(raw, "replyId") or "",
    }
    if kind == "MERGERECORDINGS":
        return MergeRecordingsFailed(**told)
    recording_id = _text(raw, "recordingId")
    if recording_id is None:
        return None
    if kind == "STORERECORDING":
        return StoreRecordingFailed(recording_id=recording_id, **told)
    if kind == "DELETERECORDING":
        return DeleteRecordingFailed(recording_id=recording_id, **told)
    return None


def _recording_of(raw: object, kind: str) -> str | None:
    return None if kind == "MERGERECORDINGS" else _text(raw, "recordingId")


def _text(raw: object, key: str) -> str | None:
    """A text of a command, be it a value or JSON values; None where it has none."""
    names = {"replyId": "reply_id", "recordingId": "recording_id", "method": "method"}
    value = raw.get(key) if isinstance(raw, Mapping) else getattr(raw, names[key], None)
    return value if isinstance(value, str) and value else None
