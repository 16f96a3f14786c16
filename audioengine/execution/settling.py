# SPDX-License-Identifier: Apache-2.0
"""A command that is not tried any more: what an earlier time has left of it, which nobody told."""

from __future__ import annotations

from audioengine.commands.requests import (
    Command,
    DeleteRecording,
    MergeRecordings,
    StoreRecording,
)
from audioengine.errors import AudioEngineError
from audioengine.execution.command_digest import command_digest
from audioengine.execution.destination import destination_of, repeated
from audioengine.execution.reply_id import Claims
from audioengine.execution.result import Result
from audioengine.execution.temporary_objects import Resolver, check_own, own_locations
from audioengine.settings import Settings
from audioengine.storage import Storage


def result_there(
    command: Command,
    token: Claims,
    error: AudioEngineError,
    resolver: Resolver,
    storage: Storage,
    settings: Settings,
) -> Result:
    """Return the result that a command has already; nothing is made or deleted for it.

    Raises `error` where there is none, and what the command itself raises where it is wrong. Of
    what was passed on to the recorder nothing can be known.
    """
    domain = str(token.domain)
    if isinstance(command, (StoreRecording, MergeRecordings)):
        is_store = isinstance(command, StoreRecording)
        known = resolver(domain, token.recording_id) if is_store else None
        check_own(token, known, {}, settings)
        destination = destination_of(command, token, known, storage, settings)
        if destination.is_done:
            return repeated(destination, storage, settings)
        # In a folder, this removes what it was about to write.
        storage.staging(destination.location, destination.options).close()
    elif isinstance(command, DeleteRecording):
        known = resolver(domain, command.recording_id)
        check_own(token, known, {}, settings)
        if all(storage.find(one) is None for one in own_locations(token, known, None)):
            digest = command_digest(command, domain, None, None, settings)
            return Result(digest=digest, is_repeated=True)
    raise error
