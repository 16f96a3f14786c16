# SPDX-License-Identifier: Apache-2.0
"""Carrying out one command: what goes to the process that does it, and what comes back.

Plain values both, so that any process can be sent them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from audioengine.commands.requests import COMMANDS
from audioengine.edits import Dialect
from audioengine.errors import AudioEngineError, NoRecordingError
from audioengine.execution.control import Control
from audioengine.execution.execute import execute, failed, storage_of
from audioengine.execution.outcome import Outcome
from audioengine.execution.temporary_objects import Resolver, nothing_known
from audioengine.json_input import unambiguous
from audioengine.notices import Notice
from audioengine.report import MergeReport, StoreReport
from audioengine.service.notifications.delivery import Telling
from audioengine.service.queues.queue import DIALECT, METHOD, Message
from audioengine.settings import Settings


@dataclass(frozen=True, slots=True)
class Task:
    """A command as it came."""

    body: str = field(repr=False)
    dialect: Dialect = "sqs"
    """Judged where the command is parsed."""
    method: str | None = None
    """Of a REST body, which does not say it."""

    @classmethod
    def of(cls, message: Message) -> Task:
        """Return what a message asks for."""
        dialect: Any = message.attributes.get(DIALECT, "sqs")
        return cls(message.body, dialect, message.attributes.get(METHOD))

    @property
    def kind(self) -> str | None:
        """The command's method; None where it names none that there is."""
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
    """Tells what RECORDINGREADY events have told; a value that can be pickled."""
    control: Control | None = None
    """Reaches the recorder; likewise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How a command, or a try at it, ended."""

    telling: Telling
    kind: str | None
    """Its method; None where it names none that there is."""
    error: str | None = None
    why: str | None = None
    """What the error does not tell, because tenants are told of it; for the operator alone."""
    retryable: bool = False
    is_proven: bool = False
    """Whether its token counts: what it says is its own tenant's."""
    temp_bucket: str | None = None
    """Where its temporary recordings are."""
    is_repeated: bool = False
    """Whether its output was there already."""
    warnings: tuple[Notice, ...] = ()
    """What was done all the same, and what keys of the command mean nothing."""
    audio_s: float = 0
    """Of the output."""
    remade_s: float = 0
    """Seconds of audio that were re-encoded."""
    seconds: float = 0
    """That it took."""

    @property
    def can_be_told(self) -> bool:
        """Whether there is an event or an alarm, or no need of one."""
        return not (self.error and self.telling.event is None and self.telling.alarm is None)


def carry_out(task: Task, deployment: Deployment) -> Done:
    """Carry out a command; nothing is raised for what it is."""
    return _executed(task, deployment, None)


def settle(task: Task, error: AudioEngineError, deployment: Deployment) -> Done:
    """Return the end of a command that something was killed at, which may have been done by then.

    error: what it fails for if not.
    """
    return _executed(task, deployment, error)


def _executed(task: Task, deployment: Deployment, given_up: AudioEngineError | None) -> Done:
    began = time.monotonic()
    outcome = execute(
        task.body,
        storage_of(deployment.settings),
        deployment.settings,
        dialect=task.dialect,
        method=task.method,
        resolver=deployment.resolver,
        control=deployment.control,
        workers=1,
        given_up=given_up,
    )
    return _done(task, outcome, time.monotonic() - began)


def give_up(task: Task, error: AudioEngineError, deployment: Deployment) -> Done:
    """Return the end of a command that was not carried out, and why."""
    outcome = failed(
        task.body,
        error,
        deployment.settings,
        dialect=task.dialect,
        method=task.method,
        resolver=deployment.resolver,
    )
    return _done(task, outcome, 0)


def _done(task: Task, outcome: Outcome, seconds: float) -> Done:
    attributes = {name: value for name, value in outcome.attributes.items() if name != "event"}
    report = outcome.result.report if outcome.result is not None else None
    audio_s, remade_s = _seconds(report)
    warnings = outcome.notices
    if outcome.result is not None:
        warnings += outcome.result.notices
    if report is not None:
        warnings += report.warnings
    return Done(
        telling=Telling(
            event=None if outcome.event is None else outcome.event.to_dict(),
            alarm=None if outcome.alarm is None else outcome.alarm.to_dict(),
            attributes=attributes,
            domain=outcome.domain,
            event_topic=outcome.event_topic,
            alarm_topic=outcome.alarm_topic,
        ),
        kind=task.kind,
        error=None if outcome.error is None else str(outcome.error),
        why=_why(outcome.error),
        retryable=outcome.retryable,
        is_proven=outcome.is_proven,
        temp_bucket=outcome.temp_bucket,
        is_repeated=outcome.result is not None and outcome.result.is_repeated,
        warnings=warnings,
        audio_s=audio_s,
        remade_s=remade_s,
        seconds=seconds,
    )


def _why(error: AudioEngineError | None) -> str | None:
    return str(error.__cause__) if isinstance(error, NoRecordingError) else None


def _seconds(report: StoreReport | MergeReport | None) -> tuple[float, float]:
    """Of an output, and of what was re-encoded for it."""
    if report is None:
        return 0, 0
    return report.output.samples / report.output.rate_hz, report.seconds_reencoded
