# SPDX-License-Identifier: Apache-2.0
"""What a deployment may have: resolvers that fail for a while, recorders that are slow or deadly.

Values that other processes can be sent.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import audioengine as ae
from audioengine.commands.requests import CancelRecording, StopRecording
from audioengine.errors import StorageError
from audioengine.service.worker.queued_command import Deployment, QueuedCommand


@dataclass(frozen=True)
class FailingWhile:
    """Resolves nothing; while a file is there, it can't even tell that."""

    flag: Path
    retryable: bool = True

    def __call__(self, _domain: str, recording_id: str) -> None:
        if self.flag.exists() and recording_id.startswith("r"):
            raise StorageError("the bucket does not answer", retryable=self.retryable)


@dataclass(frozen=True)
class Deadly:
    """Kills the process that asks, if that is a worker's."""

    def __call__(self, _domain: str, _recording_id: str) -> None:
        if multiprocessing.parent_process() is not None:
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Recorder:
    """Takes its time, or kills who asks; notes each time that it is asked."""

    notes: Path
    seconds: float = 0

    def pass_on(self, command: StopRecording | CancelRecording, domain: str) -> None:
        with self.notes.open("a") as file:
            file.write(f"{command.method} {command.recording_id} {domain}\n")
        if command.recording_id.startswith("deadly"):
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(self.seconds)

    def noted(self) -> list[str]:
        return self.notes.read_text().splitlines() if self.notes.exists() else []


class InThread:
    """Stands for a process where none is needed."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment

    def run(self, command: QueuedCommand) -> ae.Outcome:
        return self._deployment.execute(command)

    def kill(self, _why: str) -> None:
        """It ends by itself."""

    def close(self) -> None:
        """There is nothing to end."""
