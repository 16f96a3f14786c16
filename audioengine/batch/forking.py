# SPDX-License-Identifier: Apache-2.0
"""The process that the processes of batches are forked from, with all that jobs need imported.

The parent itself can't be forked: it has threads of libraries.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import ForkServerContext

# The second is what a first job would import.
_NEEDED = ("run_job", "manifest_wire")


def fork_context() -> ForkServerContext:
    """What makes processes by forking that one, which keeps the environment that it began with."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([f"audioengine.batch.{name}" for name in _NEEDED])
    return context


def begin_early() -> None:
    """Let that process import while this one does."""
    fork_context()
    with sigint_held():
        forkserver.ensure_running()


@contextmanager
def sigint_held() -> Iterator[None]:
    """Let processes begin deaf to Ctrl-C, which a terminal sends to them too."""
    # Begun only when it is needed, this would let Ctrl-C through again.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
