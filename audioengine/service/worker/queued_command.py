# SPDX-License-Identifier: Apache-2.0
"""A command of the queue and its deployment: values that can be sent to any process."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from audioengine.commands.requests import COMMANDS
from audioengine.edits import Dialect
from audioengine.errors import AudioEngineError
from audioengine.execution.context import Control, Resolver, nothing_known
from audioengine.execution.execute import conclude, execute, failure_outcome, storage_of
from audioengine.execution.outcome import Outcome
from audioengine.execution.received_command import proven_token
from audioengine.execution.reply_id import Claims
from audioengine.json_input import unambiguous
from audioengine.service.queues.queue import DIALECT, METHOD, Message
from audioengine.settings import Settings


@dataclass(frozen=True, slots=True)
class QueuedCommand:
    """A command as it came."""

    body: str = field(repr=False)
    dialect: Dialect = "sqs"
    """Checked where the command is parsed."""
    method: str | None = None
    """Of a REST body, which does not contain it."""

    @classmethod
    def of(cls, message: Message) -> QueuedCommand:
        """Return the command of a message."""
        dialect: Any = message.attributes.get(DIALECT, "sqs")
        return cls(message.body, dialect, message.attributes.get(METHOD))

    @property
    def kind(self) -> str | None:
        """The command's method; None if it names no known one."""
        method: object = self.method
        if method is None:
            values = unambiguous(self.body)
            method = values.get("method") if isinstance(values, dict) else None
        kind = method.upper() if isinstance(method, str) else None
        return kind if kind in COMMANDS else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What is the same for all commands."""

    settings: Settings
    resolver: Resolver = nothing_known
    """Says what RECORDINGREADY events have said; a value that can be pickled."""
    control: Control | None = None
    """Reaches the recorder; likewise."""

    def execute(self, command: QueuedCommand) -> Outcome:
        """Carry out a command; nothing is raised for what it is."""
        return execute(
            command.body,
            storage_of(self.settings),
            self.settings,
            dialect=command.dialect,
            method=command.method,
            resolver=self.resolver,
            control=self.control,
            workers=1,
        )

    def conclude(self, command: QueuedCommand, error: AudioEngineError) -> Outcome:
        """End a command whose process was killed, perhaps after it had its result.

        error: what the command fails for where it has none.
        """
        return conclude(
            command.body,
            error,
            storage_of(self.settings),
            self.settings,
            dialect=command.dialect,
            method=command.method,
            resolver=self.resolver,
        )

    def fail(self, command: QueuedCommand, error: AudioEngineError) -> Outcome:
        """End a command that is not carried out."""
        return failure_outcome(
            command.body,
            error,
            self.settings,
            dialect=command.dialect,
            method=command.method,
            resolver=self.resolver,
        )

    def proven_token(self, command: QueuedCommand) -> Claims | None:
        """Return what a command's token says; None if it is not valid for its recording."""
        return proven_token(
            command.body, self.settings, dialect=command.dialect, method=command.method
        )
