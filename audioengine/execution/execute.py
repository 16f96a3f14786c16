# SPDX-License-Identifier: Apache-2.0
"""Carrying out a command: from the command to its outcome.

Nothing but the storage changes, and a command that comes again finds what it did before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import tenacity

from audioengine.commands.requests import (
    CancelRecording,
    Command,
    DeleteRecording,
    MergeRecordings,
    StopRecording,
    StoreRecording,
    modifications,
)
from audioengine.custody.writer import CustodyWriter
from audioengine.edits import Dialect
from audioengine.errors import AudioEngineError, InvalidRequestError
from audioengine.execution.command_digest import command_digest
from audioengine.execution.context import CommandContext, Control, Resolver, nothing_known
from audioengine.execution.destination import destination_of, digest_of, repeated
from audioengine.execution.merge_recordings import merge_recordings
from audioengine.execution.outcome import Outcome, Result
from audioengine.execution.received_command import ReceivedCommand
from audioengine.execution.store_recording import store_recording
from audioengine.execution.temporary_objects import check_own, own_locations
from audioengine.operations.recording_custody import require_record
from audioengine.render.execute import Progress
from audioengine.settings import Settings
from audioengine.storage import Storage
from audioengine.storage.base import DestinationChangedError
from audioengine.storage.buckets import Found
from audioengine.storage.folder import FolderStorage
from audioengine.storage.s3_storage import S3Storage

# A destination that changes each time before the output is there is judged so often.
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
    record: CustodyWriter | None = None,
    control: Control | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Carry out a command.

    STORERECORDING, MERGERECORDINGS and DELETERECORDING end with an event. STOPRECORDING and
    CANCELRECORDING are passed on to the recorder, which reports the rest itself: their outcome has
    no event.

    Nothing is raised for what the command, its recordings or the storage are: every failure is an
    outcome with its event and its alarm.

    command: as a value, as JSON values, or as JSON.
    storage: by default the one that the settings name.
    settings: by default those of the environment.
    dialect, method: of a command that is no value yet; as in `parse_command`.
    resolver: says what RECORDINGREADY events have said of a recording.
    record: a CustodyRecord that gets an entry for each output, even for one that exists already.
    control: reaches the recorder; None: there is none.
    workers: threads that decode and encode, by default one for each processor.
    progress: called with frames done and frames in all.
    """
    settings = settings or Settings()
    received = ReceivedCommand(command, settings, dialect=dialect, method=method)
    context = CommandContext(
        token=received.token,
        settings=settings,
        storage=storage or storage_of(settings),
        resolver=resolver,
        control=control,
        custody=record,
        workers=workers,
        progress=progress,
    )
    return _outcome(received, context, _carry_out)


def conclude(
    command: str | bytes,
    error: AudioEngineError,
    storage: Storage,
    settings: Settings,
    *,
    dialect: Dialect = "sqs",
    method: str | None = None,
    resolver: Resolver = nothing_known,
) -> Outcome:
    """End a command that is not tried any more: with the result of an earlier attempt, if any.

    Nothing is made or deleted for it. Whether a STOPRECORDING or CANCELRECORDING reached the
    recorder cannot be known, so it is reported as failed.

    error: what the command fails for where no earlier attempt left its result.
    command, storage, settings, dialect, method, resolver: as in `execute`.
    """
    received = ReceivedCommand(command, settings, dialect=dialect, method=method)
    context = CommandContext(
        token=received.token, settings=settings, storage=storage, resolver=resolver
    )
    return _outcome(received, context, partial(_earlier_result, error=error))


def failure_outcome(
    command: str | bytes,
    error: AudioEngineError,
    settings: Settings,
    *,
    dialect: Dialect = "sqs",
    method: str | None = None,
    resolver: Resolver = nothing_known,
) -> Outcome:
    """Return the outcome of a command that is not carried out, whatever is wrong with it.

    error: why.
    command, settings, dialect, method, resolver: as in `execute`.
    """
    received = ReceivedCommand(command, settings, dialect=dialect, method=method)
    with suppress(AudioEngineError):
        received.read()  # as much of it as can be read is enough
    return received.failure(error, digest_of(received.command, received.token, resolver, settings))


def _outcome(
    received: ReceivedCommand,
    context: CommandContext,
    action: Callable[[Command, CommandContext], Result],
) -> Outcome:
    try:
        command = received.read()
        for path, modification in modifications(command):
            context.settings.store.check_masks(modification, path)
        return received.success(action(command, replace(context, token=received.token)))
    except AudioEngineError as error:
        digest = digest_of(received.command, received.token, context.resolver, context.settings)
        return received.failure(error, digest)
    except Exception as error:  # noqa: BLE001 - a bug too must end the command with an event
        bug = AudioEngineError(f"internal error: {type(error).__name__}")
        bug.__cause__ = error
        return received.failure(bug, None)


def _carry_out(command: Command, context: CommandContext) -> Result:
    require_record(context.custody)
    if isinstance(command, (StopRecording, CancelRecording)):
        return _pass_on(command, context)
    judging = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(_MOST_JUDGED),
        retry=tenacity.retry_if_exception_type(DestinationChangedError),
        reraise=True,
    )
    if isinstance(command, MergeRecordings):
        return judging(merge_recordings, command, context)
    if isinstance(command, StoreRecording):
        return judging(store_recording, command, context)
    return judging(_delete, command, context)


def _pass_on(command: StopRecording | CancelRecording, context: CommandContext) -> Result:
    if context.control is None:
        rule = "can't be carried out: no recorder is set that it could go to"
        raise InvalidRequestError.of("method", command.method, rule)
    context.control.pass_on(command, context.domain)
    return Result(digest=command_digest(command, context.domain, None, None, context.settings))


def _delete(command: DeleteRecording, context: CommandContext) -> Result:
    known = context.known(command.recording_id)
    check_own(context, known, {})

    def judge(found: Found) -> None:
        check_own(context, known, found.metadata)

    for location in own_locations(context.token, known, None):
        context.storage.delete(location, judge=judge)
    return Result(digest=command_digest(command, context.domain, None, None, context.settings))


def _earlier_result(
    command: Command, context: CommandContext, *, error: AudioEngineError
) -> Result:
    """Return the result that a command has already. Raises `error` if there is none."""
    storage = context.storage
    if isinstance(command, (StoreRecording, MergeRecordings)):
        is_store = isinstance(command, StoreRecording)
        known = context.known(context.token.recording_id) if is_store else None
        check_own(context, known, {})
        destination = destination_of(command, known, context)
        if destination.is_done:
            return repeated(destination, context)
        # In a folder, this removes what a killed attempt was about to write.
        storage.staging(destination.location, destination.options).close()
    elif isinstance(command, DeleteRecording):
        known = context.known(command.recording_id)
        check_own(context, known, {})
        locations = own_locations(context.token, known, None)
        if all(storage.find(location) is None for location in locations):
            digest = command_digest(command, context.domain, None, None, context.settings)
            return Result(digest=digest, is_repeated=True)
    raise error
