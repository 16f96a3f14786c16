# SPDX-License-Identifier: Apache-2.0
"""Retries: which failures are worth one, and how long each kind of work pauses before it."""

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
    """Pauses that double with each failure in a row, up to a longest one."""

    first_s: float
    """After one failure."""
    longest_s: float
    spread: float
    """From 0 to 1: the share of a pause that is drawn at random, so that many clients that failed
    together do not come back together."""

    def pause_s(self, failures: int) -> float:
        """Return how long to wait after so many failures in a row, at least 1."""
        doublings = min(failures - 1, _MOST_DOUBLINGS)
        longest: float = min(self.first_s * 2**doublings, self.longest_s)
        return longest * random.uniform(1 - self.spread, 1)  # noqa: S311 - no secret

    def wait(self, attempt: _Attempt) -> float:
        """Return the same for an attempt of tenacity's."""
        return self.pause_s(attempt.attempt_number)


S3_BODY = Backoff(0.1, 5, spread=1)
"""Reading an object whose transfer broke off; boto3 itself retries everything else."""
BATCH_JOB = Backoff(0.5, 30, spread=1)
CALLBACK = Backoff(0.2, 5, spread=1)
"""Within one delivery; after it the letter waits in the outbox."""
LETTER = Backoff(1, 300, spread=0.2)
"""Between deliveries from the outbox."""
QUEUE = Backoff(1, 30, spread=0)
"""Asking a queue that fails."""
QUEUE_DELETE = Backoff(0.2, 2, spread=1)
REPORT = Backoff(1, 300, spread=0)
"""Taking a recorder's reports."""
COMMAND = Backoff(5, 900, spread=0.2)
"""Trying a command again; the settings' `worker.backoff_s` is the first pause."""
