# SPDX-License-Identifier: Apache-2.0
"""The number of worker threads."""

from __future__ import annotations

import os
from numbers import Integral

from audioengine.errors import InvalidRequestError


def worker_count(asked: int | None) -> int:
    """The requested number, or one for each processor that this process may use."""
    if asked is None:
        affinity = getattr(os, "sched_getaffinity", None)
        return len(affinity(0)) if affinity else os.cpu_count() or 1
    if isinstance(asked, bool) or not isinstance(asked, Integral) or asked < 1:
        raise InvalidRequestError.of("workers", asked, "must be a whole number, at least 1")
    return asked
