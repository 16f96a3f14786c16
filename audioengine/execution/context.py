# SPDX-License-Identifier: Apache-2.0
"""What a command is carried out with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from audioengine.commands.requests import CancelRecording, StopRecording
from audioengine.custody.writer import CustodyWriter
from audioengine.execution.reply_id import Claims
from audioengine.render.execute import Progress
from audioengine.settings import Settings
from audioengine.storage import Storage
from audioengine.times import Number


@dataclass(frozen=True, slots=True)
class Known:
    """What a RECORDINGREADY event said of a recording."""

    domain: str
    start_time_ms: Number | None = None
    """Epoch time of the earliest of its streams."""
    bucket: str | None = None
    key: str | None = None


Resolver: TypeAlias = Callable[[str, str], Known | None]
"""Looks a recording up by its domain and its id; None if it is not known."""


def nothing_known(_domain: str, _recording_id: str) -> None:
    """Know no recording: everything must then come from tokens and objects."""


class Control(Protocol):
    """Reaches the recorder."""

    def pass_on(self, command: StopRecording | CancelRecording, domain: str) -> None:
        """Ask the recorder to end a recording of this domain; asking again does no harm.

        Raises StorageError, `retryable` where the recorder may be reached later.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandContext:
    """The surroundings of one command."""

    token: Claims
    """What the command's `replyId` says, once it is verified."""
    settings: Settings
    storage: Storage
    resolver: Resolver = nothing_known
    control: Control | None = None
    """Reaches the recorder; None if there is none."""
    custody: CustodyWriter | None = None
    """Takes an entry for each output."""
    workers: int | None = None
    """Threads that decode and encode; None: one for each processor."""
    progress: Progress | None = None

    @property
    def domain(self) -> str:
        """The tenant's domain."""
        return str(self.token.domain)

    def known(self, recording_id: str) -> Known | None:
        """Return what is known of one of the tenant's recordings."""
        return self.resolver(self.domain, recording_id)
