# SPDX-License-Identifier: Apache-2.0
"""How commands about a recording that goes on reach what records it."""

from __future__ import annotations

from typing import Protocol

from audioengine.commands.requests import CancelRecording, StopRecording


class Control(Protocol):
    """Reaches the recorder."""

    def pass_on(self, command: StopRecording | CancelRecording, domain: str) -> None:
        """Ask the recorder to end a recording of this domain; once more does no harm.

        Raises StorageError, `retryable` where it may be reached later.
        """
