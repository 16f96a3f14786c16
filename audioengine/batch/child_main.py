# SPDX-License-Identifier: Apache-2.0
"""One process of a batch: it does several jobs at once, and reports each as it ends."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import NamedTuple

from audioengine.batch.job_outcome import How, JobOutcome
from audioengine.batch.manifest_job import Job

DROP = "drop"
"""Message to a process: drop the jobs that have not begun."""

END = "end"
"""Message to a process: end after the jobs that have begun."""


class JobAnswer(NamedTuple):
    """What a process says of a job."""

    line: int
    outcome: JobOutcome | None
    """None: it was dropped."""


def work_on(
    connection: Connection,
    do: Callable[[Job, How], JobOutcome],
    how: How,
    at_once: int,
    environment: Mapping[str, str],
) -> None:
    """Do the jobs that come over a connection, until `END` comes.

    environment: the parent's, which the process that this one is forked from may not have.
    """
    os.environ.clear()
    os.environ.update(environment)
    # Ctrl-C is the parent's, which lets what has begun come to its end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sending = threading.Lock()
    waiting: dict[int, Future[None]] = {}

    def tell(line: int, outcome: JobOutcome | None) -> None:
        with sending, suppress(OSError):
            connection.send(JobAnswer(line, outcome))

    def end(job: Job) -> None:
        tell(job.line, do(job, how))

    with ThreadPoolExecutor(at_once) as pool:
        while (message := _received(connection)) != END:
            if isinstance(message, Job):
                waiting = {line: one for line, one in waiting.items() if not one.done()}
                waiting[message.line] = pool.submit(end, message)
                continue
            for line, one in waiting.items():
                if one.cancel():
                    tell(line, None)


def _received(connection: Connection) -> object:
    try:
        return connection.recv()
    except (EOFError, OSError):
        # The parent was killed, and nobody is left to report to.
        os._exit(1)
