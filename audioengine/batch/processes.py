# SPDX-License-Identifier: Apache-2.0
"""Jobs in processes of this machine; those that die are replaced."""

from __future__ import annotations

import itertools
import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from queue import SimpleQueue

from audioengine.batch.child_main import DROP, END, JobAnswer, work_on
from audioengine.batch.executor import died
from audioengine.batch.forking import fork_context, sigint_held
from audioengine.batch.job_outcome import How, JobOutcome
from audioengine.batch.manifest_job import Job

# A job whose process dies this often is what kills it.
_MOST_DEATHS = 3


def do_in_process(job: Job, how: How) -> JobOutcome:
    """Do a job where this is called: who only hands jobs out imports nothing of what does them."""
    from audioengine.batch import run_job

    return run_job.do_job(job, how)


class Processes:
    """An `Executor` of so many processes, each of which begins when there is work for it.

    Where one dies, all that it had in hand are done again, one at a time in a process of their own:
    then the one whose process dies is to blame. Others go on meanwhile.
    """

    def __init__(self, how: How, processes: int, at_once: int = 1) -> None:
        """Begin nothing yet.

        processes: >= 1. at_once: jobs in each, >= 1; where they wait for a store, several let one
        render while others load and send.
        """
        self._how = how
        self._processes = processes
        self._at_once = at_once
        self._working: list[_Process] = []
        self._suspects: deque[Job] = deque()
        self._cell: _Process | None = None
        self._deaths: Counter[int] = Counter()
        self._cancelled = False
        # What processes have answered, None where one is gone; it stays until it is dealt with,
        # so that Ctrl-C loses nothing.
        self._answers: deque[tuple[_Process, JobAnswer | None]] = deque()
        self._answered = threading.Event()

    @property
    def room(self) -> int:
        """How many more jobs it takes now: one waits in each process, so that none does nothing."""
        if self._cancelled:
            return 0
        in_hand = sum(len(one.jobs) for one in self._working)
        return self._processes * (self._at_once + 1) - in_hand

    @property
    def busy(self) -> bool:
        """Whether a job that it took has not been given back."""
        return bool(self._suspects) or any(one.jobs for one in self._all())

    def submit(self, job: Job) -> None:
        """Take a job."""
        least = min(self._working, key=lambda one: len(one.jobs), default=None)
        if least is None or (least.jobs and len(self._working) < self._processes):
            self._working.append(self._begun(self._at_once))
            least = self._working[-1]
        least.give(job)

    def ended(self) -> Iterator[tuple[Job, JobOutcome]]:
        """Wait until something happens and give the jobs that ended, each once."""
        if self._suspects and self._cell is None:
            self._cell = self._begun(1)
            self._cell.give(self._suspects.popleft())
        while not self._answers:
            self._answered.wait()
            self._answered.clear()
        while self._answers:
            process, answer = self._answers[0]
            if answer is None:
                self._answers.popleft()
                if process in self._all():
                    yield from self._after_a_death(process)
                continue
            job = process.jobs.get(answer.line)
            if job is not None and answer.outcome is not None:
                yield job, answer.outcome
            # Not before: where Ctrl-C stops who takes it, it is given again.
            process.jobs.pop(answer.line, None)
            self._answers.popleft()
            if process is self._cell and not process.jobs:
                self._cell = None
                process.end()

    def _begun(self, at_once: int) -> _Process:
        return _Process(self._how, at_once, self._heard)

    def _heard(self, process: _Process, answer: JobAnswer | None) -> None:
        self._answers.append((process, answer))
        self._answered.set()

    def _after_a_death(self, process: _Process) -> Iterator[tuple[Job, JobOutcome]]:
        alone = process is self._cell
        if alone:
            self._cell = None
        else:
            self._working.remove(process)
        process.end()
        for job in process.jobs.values():
            self._deaths[job.line] += alone
            if self._deaths[job.line] == _MOST_DEATHS:
                message = f"the process that worked on it died {_MOST_DEATHS} times"
                yield job, died(message, _MOST_DEATHS)
            elif not self._cancelled:
                self._suspects.append(job)

    def cancel(self) -> None:
        """Give up the jobs that have not begun, and take no more."""
        self._cancelled = True
        self._suspects.clear()
        for process in self._all():
            process.drop()

    def close(self) -> None:
        """Wait for processes to end what they have begun."""
        for process in self._all():
            process.drop()
        for process in self._all():
            process.end()

    def _all(self) -> Iterator[_Process]:
        return itertools.chain(self._working, [self._cell] if self._cell is not None else [])


class _Process:
    """A process, and what it has in hand.

    Threads write to it and listen to it: Ctrl-C, which may stop others anywhere, stops neither in
    the middle of a message.
    """

    def __init__(
        self, how: How, at_once: int, heard: Callable[[_Process, JobAnswer | None], None]
    ) -> None:
        """Begin it. heard: called with each of its answers, and at its end with None."""
        self.jobs: dict[int, Job] = {}
        self._heard = heard
        self._letters: SimpleQueue[Job | str] = SimpleQueue()
        context = fork_context()
        self._connection, theirs = context.Pipe()
        # Named here, so that a test may let another function do the jobs.
        arguments = (theirs, do_in_process, how, at_once, dict(os.environ))
        self._process = context.Process(target=work_on, args=arguments, daemon=True)
        with sigint_held():
            self._process.start()
        # A connection with one end left reports when that end is closed.
        theirs.close()
        self._threads = [
            threading.Thread(target=one, daemon=True) for one in (self._listen, self._write)
        ]
        for thread in self._threads:
            thread.start()

    def give(self, job: Job) -> None:
        """Let it do a job."""
        self.jobs[job.line] = job
        self._letters.put(job)

    def drop(self) -> None:
        """Let it drop what it has not begun."""
        self._letters.put(DROP)

    def end(self) -> None:
        """Wait for what it has begun, and for its end."""
        self._letters.put(END)
        for thread in self._threads:
            thread.join()
        self._process.join()
        self._connection.close()
        self._process.close()

    def _listen(self) -> None:
        with suppress(EOFError, OSError):
            while True:
                self._heard(self, self._connection.recv())
        self._heard(self, None)

    def _write(self) -> None:
        sent: set[int] = set()
        for letter in iter(self._letters.get, END):
            if isinstance(letter, Job):
                sent.add(letter.line)
            else:
                # What Ctrl-C has kept from being sent is dropped as well.
                for line in set(self.jobs) - sent:
                    self._heard(self, JobAnswer(line, None))
            # Where it is gone, who listens will know.
            with suppress(OSError):
                self._connection.send(letter)
        with suppress(OSError):
            self._connection.send(END)
