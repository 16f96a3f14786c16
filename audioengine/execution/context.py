# SPDX-License-Identifier: Apache-2.0
"""What a command is carried out with."""

from __future__ import annotations

from dataclasses import dataclass

from audioengine.custody.writer import CustodyWriter
from audioengine.execution.control import Control
from audioengine.execution.known_recordings import Known, Resolver, nothing_known
from audioengine.execution.reply_id import Claims
from audioengine.render.execute import Progress
from audioengine.settings import Settings
from audioengine.storage import Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandContext:
    """The surroundings of one command, whose token is verified."""

    token: Claims
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
