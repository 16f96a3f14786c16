# SPDX-License-Identifier: Apache-2.0
"""Whether a command may be queued: all of it that can be judged without its recording."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pydantic import SecretStr

from audioengine.commands.names import encryption_key, object_key
from audioengine.commands.requests import (
    COMMANDS,
    Command,
    MergeRecordings,
    StoreRecording,
    command_values,
    modifications,
    parse_command,
)
from audioengine.commands.wire import joined_path, keys, shown
from audioengine.edits import time_problems
from audioengine.errors import AudioEngineError, InvalidRequestError, NotAllowedError, Problem
from audioengine.execution.context import nothing_known
from audioengine.execution.destination import check_bucket, digest_of
from audioengine.execution.reply_id import check_recording, read_token
from audioengine.notices import Notice
from audioengine.operations.options import StoreOptions
from audioengine.settings import Settings

# A cheap bound on what judging costs: 10,000 wrong values take most of a second.
_MOST_COMMAS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A command that may be queued."""

    command: Command = field(repr=False)
    text: str = field(repr=False)
    """It as it came; where it named no recording, with that of its token."""
    recording_id: str
    """Of its token."""
    digest: str | None
    """None where the output's name depends on the recording."""
    notices: tuple[Notice, ...]


def judge_command(text: str, method: str, domain: str, settings: Settings) -> Judged:
    """Judge the body of a command, of the method and the domain of its path.

    Raises InvalidRequestError naming every wrong field, and NotAllowedError where the command's
    token proves nothing, or is of another domain or recording, or its bucket is not the domain's.
    Neither shows a secret.
    """
    if text.count(",") > _MOST_COMMAS:
        rule = f"must have fewer values: there may be {_MOST_COMMAS} commas"
        raise InvalidRequestError.of("command", "<str>", rule)
    values = command_values(text)
    text, values = _with_recording(text, values, method, settings)
    problems: list[Problem] = []
    parsed: tuple[Command, tuple[Notice, ...]] | None = None
    try:
        parsed = parse_command(values, "rest", method, settings.unknown_keys)
    except InvalidRequestError as error:
        problems += error.problems
    if parsed is not None:
        problems += _wrong_times(parsed[0], settings.store)
    problems += _wrong_names(values, method)
    if problems or parsed is None:
        raise InvalidRequestError(problems)
    command, notices = parsed
    token = read_token(command.reply_id, settings)
    if token.domain != domain:
        raise NotAllowedError("replyId must be of the domain that the path names")
    check_recording(command, token)
    if isinstance(command, (StoreRecording, MergeRecordings)):
        check_bucket(command, token, settings)
    return Judged(
        command=command,
        text=text,
        recording_id=token.recording_id,
        digest=digest_of(command, token, nothing_known, settings),
        notices=notices,
    )


def _with_recording(
    text: str, values: dict[str, Any], method: str, settings: Settings
) -> tuple[str, dict[str, Any]]:
    """A command with its `recordingId`: where it has none, that which its `replyId` proves.

    All that comes after the queue orders commands by what their text names.
    """
    if "recordingId" not in keys(COMMANDS[method]) or "recordingId" in values:
        return text, values
    reply_id = values.get("replyId")
    try:
        named = read_token(reply_id, settings).recording_id if isinstance(reply_id, str) else None
    except AudioEngineError:
        named = None  # the check of the command reports it
    if named is None:
        return text, values
    rest = text[text.index("{") + 1 :]
    return f'{{"recordingId": {json.dumps(named)}, {rest}', {"recordingId": named, **values}


def _wrong_times(command: Command, options: StoreOptions) -> list[Problem]:
    problems: list[Problem] = []
    for path, modification in modifications(command):
        wrong = time_problems(modification)
        problems += [Problem(joined_path(path, one.path), one.value, one.rule) for one in wrong]
        if not wrong:
            problems += _refused(partial(options.check_masks, modification, path))
    return problems


def _wrong_names(values: Mapping[str, Any], method: str) -> list[Problem]:
    """What is wrong with the output's name and key, which parsing leaves to those who use them."""
    known = keys(COMMANDS[method])
    name, key, region = (
        text if one in known and isinstance(text := values.get(one), str) else None
        for one in ("fileName", "encryptionKey", "destinationRegion")
    )
    problems: list[Problem] = []
    if name is not None:
        problems += _refused(lambda: object_key(name))
    if key is not None:
        problems += _refused(lambda: encryption_key(SecretStr(key), region))
    return [shown(one) for one in problems]


def _refused(check: Callable[[], object]) -> tuple[Problem, ...]:
    try:
        check()
    except InvalidRequestError as error:
        return error.problems
    return ()
