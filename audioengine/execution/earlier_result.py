# SPDX-License-Identifier: Apache-2.0
"""The result that an earlier attempt at a command left, where nobody reported it."""

from __future__ import annotations

from audioengine.commands.requests import (
    Command,
    DeleteRecording,
    MergeRecordings,
    StoreRecording,
)
from audioengine.errors import AudioEngineError
from audioengine.execution.command_digest import command_digest
from audioengine.execution.context import CommandContext
from audioengine.execution.destination import destination_of, repeated
from audioengine.execution.outcome import Result
from audioengine.execution.temporary_objects import check_own, own_locations


def earlier_result(command: Command, error: AudioEngineError, context: CommandContext) -> Result:
    """Return the result that a command has already; nothing is made or deleted for it.

    Raises `error` if there is none, and what the command itself raises where it is wrong.
    """
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
