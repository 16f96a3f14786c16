# SPDX-License-Identifier: Apache-2.0
"""Retries: which failures are retryable, and how long each kind of work waits between tries."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Protocol

from audioengine.errors import AudioEngineError

_MOST_DOUBLINGS = 30


def is_retryable(error: BaseException) -> bool:
    """Whether the same call may succeed later."""
    return isinstance(error, AudioEngineError) and error.retryable


class _Attempt(Protocol):
    """What tenacity hands to a `wait` function."""

    attempt_number: int


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses that double with each consecutive failure, up to a maximum."""

    first_s: float
    """The pause after one failure."""
    longest_s: float
    spread: float
    """From 0 to 1: the share of a pause that is random, so that clients that failed together do not
    all retry together."""

    def pause_s(self, failures: int) -> float:
        """Return how long to wait after `failures` consecutive failures, at least 1."""
        doublings = min(failures - 1, _MOST_DOUBLINGS)
        longest: float = min(self.first_s * 2**doublings, self.longest_s)
        return longest * random.uniform(1 - self.spread, 1)  # noqa: S311 - no secret

    def wait(self, attempt: _Attempt) -> float:
        """Return the pause for tenacity's `wait`."""
        return self.pause_s(attempt.attempt_number)


S3_BODY = Backoff(0.1, 5, spread=1)
"""For reading an object whose transfer broke off; boto3 itself retries everything else."""
BATCH_JOB = Backoff(0.5, 30, spread=1)
CALLBACK = Backoff(0.2, 5, spread=1)
"""Within one delivery; then the letter waits in the outbox."""
LETTER = Backoff(1, 300, spread=0.2)
"""Between deliveries from the outbox."""
QUEUE = Backoff(1, 30, spread=0)
"""For a queue that can't be reached."""
QUEUE_DELETE = Backoff(0.2, 2, spread=1)
REPORT = Backoff(1, 300, spread=0)
"""For receiving a recorder's reports."""
COMMAND = Backoff(5, 900, spread=0.2)
"""For retrying a command; the settings' `worker.backoff_s` is the first pause."""
