# SPDX-License-Identifier: Apache-2.0
"""Jobs on a Dask cluster, whose workers must have this package and see the same places."""

from __future__ import annotations

import itertools
import logging
import time
from asyncio import CancelledError
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING
from uuid import uuid4

from audioengine.batch.executor import died
from audioengine.batch.job_outcome import How, JobOutcome, encodable
from audioengine.batch.manifest_job import Job
from audioengine.batch.run_job import do_job
from audioengine.errors import InvalidRequestError, StorageError

if TYPE_CHECKING:
    from distributed import Client, Future

# Jobs in hand for each thread of the cluster, so that none waits.
_AHEAD = 2

# How often it is asked how large the cluster is.
_LOOK_SECONDS = 2.0

_CONNECT_SECONDS = 10


@dataclass(frozen=True, slots=True)
class _Sealed:
    """What a worker needs for a job; its text, which logs and dashboards show, says nothing."""

    job: Job = field(repr=False)
    how: How = field(repr=False)


def do_sealed(sealed: _Sealed) -> JobOutcome:
    """Do a job on a worker; nothing is raised."""
    return do_job(sealed.job, sealed.how)


class Cluster:
    """An `Executor` of the workers of a Dask cluster.

    The cluster does a lost worker's jobs anew on others; a job that goes down with more workers
    than the cluster's `allowed-failures` allows is given up.
    """

    def __init__(self, how: How, scheduler: str, concurrency: int | None) -> None:
        """Connect; concurrency: jobs in hand, by default two for each thread of the cluster.

        Raises InvalidRequestError where Dask is not installed or `scheduler` is no address,
        StorageError where there is nobody.
        """
        try:
            from distributed import Client
        except ImportError:
            rule = "needs Dask: pip install 'audioengine[dask]'"
            raise InvalidRequestError.of("executor", "dask", rule) from None
        try:
            self._client: Client = Client(scheduler, timeout=_CONNECT_SECONDS, set_as_default=False)
        except ValueError as error:
            rule = f"must be an address, for instance tcp://host:8786: {error}"
            raise InvalidRequestError.of("scheduler", scheduler, rule) from None
        except OSError as error:
            message = f"can't reach the scheduler {scheduler!r}: {error}"
            raise StorageError(message, retryable=True) from None
        self._how = how
        self._scheduler = scheduler
        self._concurrency = concurrency
        self._names = (f"audioengine-{uuid4().hex}-{n}" for n in itertools.count())
        self._futures: dict[Future[JobOutcome], Job] = {}
        self._over: SimpleQueue[Future[JobOutcome]] = SimpleQueue()
        self._cancelled = False
        self._most = 1
        self._looked = -_LOOK_SECONDS

    @property
    def room(self) -> int:
        """How many more jobs it takes now."""
        if self._cancelled:
            return 0
        if self._concurrency is not None:
            return self._concurrency - len(self._futures)
        if time.monotonic() >= self._looked + _LOOK_SECONDS:
            # Workers come and go.
            with self._connected():
                self._most = max(1, sum(self._client.nthreads().values()) * _AHEAD)
            self._looked = time.monotonic()
        return self._most - len(self._futures)

    @property
    def busy(self) -> bool:
        """Whether a job that it took has not been given back."""
        return bool(self._futures)

    def submit(self, job: Job) -> None:
        """Take a job."""
        with self._connected():
            future = self._client.submit(
                do_sealed, _Sealed(job, self._how), key=next(self._names), pure=False
            )
        self._futures[future] = job
        future.add_done_callback(self._over.put)

    def ended(self) -> Iterator[tuple[Job, JobOutcome]]:
        """Wait until something happens and give the jobs that ended, each once."""
        over = [one for one in (self._next_over(),) if one is not None]
        while not self._over.empty():
            over.append(self._over.get())
        for future in over:
            if future in self._futures:
                outcome = self._outcome(future)
                yield self._futures.pop(future), outcome
                future.release()

    def _next_over(self) -> Future[JobOutcome] | None:
        while self._futures:
            with suppress(Empty):
                return self._over.get(timeout=_LOOK_SECONDS)
            if self._cancelled:
                # A worker that had taken a job may be gone: nobody is to wait for another.
                self._drop_not_taken()
        return None

    def _outcome(self, future: Future[JobOutcome]) -> JobOutcome:
        from distributed import KilledWorker

        try:
            with self._connected():
                outcome: JobOutcome = future.result()
        except KilledWorker as error:
            deaths = error.allowed_failures + 1
            return died(f"the {deaths} workers that worked on it died", deaths)
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001 - what a worker can't unpack, or send back
            message = encodable(f"{type(error).__name__}: {error}")
            return JobOutcome(
                error={"type": "InternalError", "message": message, "retryable": False}
            )
        return outcome

    @contextmanager
    def _connected(self) -> Iterator[None]:
        """Take what fails without the scheduler, each call in its own way, for its loss."""
        try:
            yield
        except (Exception, CancelledError) as error:
            if not isinstance(error, CancelledError) and self._client.status == "running":
                raise
            message = f"lost the scheduler {self._scheduler!r}: the batch can be resumed"
            raise StorageError(message, retryable=True) from error

    def cancel(self) -> None:
        """Give up the jobs that no worker has taken, and take no more."""
        self._cancelled = True
        if self._client.status != "running":
            self._futures.clear()
        if self._futures:
            self._drop_not_taken()

    def _drop_not_taken(self) -> None:
        with self._connected():
            taken = {key for keys in self._client.processing().values() for key in keys}
        for future in list(self._futures):
            if not future.done() and future.key not in taken:
                del self._futures[future]
                future.cancel()

    def close(self) -> None:
        """Leave the cluster, which goes on for others."""
        logger = logging.getLogger("distributed")
        level = logger.level
        try:
            # It warns of each job that is left behind.
            logger.setLevel(logging.ERROR)
            self._client.close()
        finally:
            logger.setLevel(level)
