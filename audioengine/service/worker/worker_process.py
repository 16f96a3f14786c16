# SPDX-License-Identifier: Apache-2.0
"""A process that carries out one command at a time; if it dies, the next command gets a new one."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

from audioengine.errors import AudioEngineError
from audioengine.execution.outcome import Outcome
from audioengine.service.logs import set_up_logs
from audioengine.service.worker.queued_command import Deployment, QueuedCommand

# Spawned, not forked: the parent has threads of libraries.
_CONTEXT = multiprocessing.get_context("spawn")
_ENDING_S = 5


class DiedError(AudioEngineError):
    """The process that carried out a command is gone; the command may be what killed it."""

    retryable = True


class WorkerProcess:
    """One process at a time: one thread calls `run`, any thread may call `kill`."""

    def __init__(self, deployment: Deployment) -> None:
        """Begin nothing yet."""
        self._deployment = deployment
        self._process: SpawnProcess | None = None
        self._connection: Connection | None = None
        self._why_killed: str | None = None

    def run(self, command: QueuedCommand) -> Outcome:
        """Carry out a command.

        Raises DiedError if the process ends first.
        """
        connection = self._begun()
        try:
            connection.send(command)
            outcome: Outcome = connection.recv()
        except (EOFError, OSError):
            why = self._why_killed or "the process that worked on it died"
            self.close()
            raise DiedError(why) from None
        return outcome

    def kill(self, why: str) -> None:
        """End the process now; its command fails for `why`."""
        self._why_killed = why
        if (process := self._process) is not None:
            with suppress(ValueError):  # it is closed already
                process.kill()

    def close(self) -> None:
        """Let the process finish its command, and wait for it; the next `run` begins another."""
        process, self._process = self._process, None
        connection, self._connection = self._connection, None
        self._why_killed = None
        if process is None or connection is None:
            return
        connection.close()
        process.join(_ENDING_S)
        if process.exitcode is None:
            process.kill()
            process.join()
        process.close()

    def _begun(self) -> Connection:
        if self._connection is None:
            ours, theirs = _CONTEXT.Pipe()
            self._process = _CONTEXT.Process(
                target=_serve, args=(theirs, self._deployment), daemon=True
            )
            with _stop_signals_blocked():
                self._process.start()
            theirs.close()
            self._connection = ours
        return self._connection


@contextmanager
def _stop_signals_blocked() -> Iterator[None]:
    """Let a process begin with the stop signals blocked: they may be sent to a whole group."""
    # Were it begun with the first process, it would unblock them again.
    resource_tracker.ensure_running()
    asking = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, asking)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(connection: Connection, deployment: Deployment) -> None:
    """Carry out commands until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # What libraries write goes where the parent's logs do, in the same form.
    set_up_logs(deployment.settings.worker.log_level)
    while True:
        try:
            command = connection.recv()
        except (EOFError, OSError):
            return
        connection.send(deployment.execute(command))


def _end_with_parent() -> None:
    # A parent that is killed cannot say so, and its queue hands the command to another worker.
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)
