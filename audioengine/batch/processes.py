# SPDX-License-Identifier: Apache-2.0
"""Jobs in processes of this machine; those that die are replaced."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

from audioengine.batch.executor import died
from audioengine.batch.manifest_job import Job
from audioengine.batch.outcome import How, JobOutcome
from audioengine.batch.work import do

# Jobs in hand for each process, so that none waits.
_AHEAD = 2

# A job whose process dies this often is what kills it.
_MOST_DEATHS = 3


class Processes:
    """An `Executor` of so many processes, each of which begins when there is work for it.

    Where one dies, all that were under way are done again, one at a time: then the one whose
    process dies is to blame.
    """

    def __init__(self, how: How, processes: int) -> None:
        """Begin nothing yet; processes: >= 1."""
        self._how = how
        self._processes = processes
        self._pool = self._new_pool()
        self._running: dict[Future[JobOutcome], Job] = {}
        self._suspects: deque[Job] = deque()
        self._alone = False
        self._deaths: Counter[int] = Counter()
        self._cancelled = False

    @property
    def room(self) -> int:
        """How many more jobs it takes now."""
        if self._suspects or self._alone or self._cancelled:
            return 0
        return self._processes * _AHEAD - len(self._running)

    @property
    def busy(self) -> bool:
        """Whether a job that it took has not been given back."""
        return bool(self._running or self._suspects)

    def submit(self, job: Job) -> None:
        """Take a job."""
        try:
            with _sigint_held():
                self._running[self._pool.submit(do, job, self._how)] = job
        except BrokenProcessPool:
            self._renew_pool()
            self._suspects.append(job)

    def ended(self) -> Iterator[tuple[Job, JobOutcome]]:
        """Wait until something happens and give the jobs that ended, each once."""
        if not self._running:
            self._alone = True
            self.submit(self._suspects.popleft())
        finished, _ = wait(self._running, return_when=FIRST_COMPLETED)
        lost = False
        for future in finished:
            if isinstance(future.exception(), BrokenProcessPool):
                lost = True
            else:
                outcome = future.result()
                yield self._running.pop(future), outcome
        if lost:
            yield from self._after_a_death()
        elif not self._running:
            self._alone = False

    def _after_a_death(self) -> Iterator[tuple[Job, JobOutcome]]:
        # When the pool has ended, so have all its jobs, some of them well.
        self._renew_pool()
        alone, self._alone = self._alone, False
        for future, job in list(self._running.items()):
            del self._running[future]
            if not isinstance(future.exception(), BrokenProcessPool):
                yield job, future.result()
                continue
            self._deaths[job.line] += alone
            if self._deaths[job.line] == _MOST_DEATHS:
                message = f"the process that worked on it died {_MOST_DEATHS} times"
                yield job, died(message, _MOST_DEATHS)
            elif not self._cancelled:
                self._suspects.insert(0 if alone else len(self._suspects), job)

    def cancel(self) -> None:
        """Give up the jobs that have not begun, and take no more."""
        self._cancelled = True
        self._suspects.clear()
        for future in list(self._running):
            if future.cancel():
                del self._running[future]

    def close(self) -> None:
        """Wait for processes to end what they have begun."""
        self._pool.shutdown(cancel_futures=True)

    def _renew_pool(self) -> None:
        self._pool.shutdown()
        self._pool = self._new_pool()

    def _new_pool(self) -> ProcessPoolExecutor:
        # Spawned, not forked: the parent has threads of libraries.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self._processes, context, become_worker)


@contextmanager
def _sigint_held() -> Iterator[None]:
    """Let processes begin deaf to Ctrl-C, which a terminal sends to them too."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def become_worker() -> None:
    """Leave Ctrl-C to the parent, which lets running jobs come to their end; end when it does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # A parent that is killed tells nobody; its queue looks merely empty. Its id is no sign: it may
    # have been killed before this process could ask for it.
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)
