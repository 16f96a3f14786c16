# SPDX-License-Identifier: Apache-2.0
"""What earlier runs have done, in 20 bytes a job."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


class DoneJobs:
    """The keys of jobs that are done, each as often as it was done."""

    def __init__(self, keys: Iterable[str]) -> None:
        """Take keys of 32 hexadecimal digits; others are nobody's."""
        digests = bytearray()
        for key in keys:
            if len(digest := _digest(key)) == _DIGEST.itemsize:
                digests += digest
        self._sorted = np.frombuffer(digests, _DIGEST)
        self._sorted.sort()
        # How often a key was taken, where the first of it is.
        self._taken = np.zeros(len(self._sorted), np.uint32)

    def take(self, key: str) -> bool:
        """Whether a job with this key was done once more than was asked for until now."""
        wanted = np.frombuffer(_digest(key), _DIGEST)
        first = int(self._sorted.searchsorted(wanted)[0])
        at = first + int(self._taken[first]) if first < len(self._sorted) else first
        if at >= len(self._sorted) or self._sorted[at] != wanted[0]:
            return False
        self._taken[first] += 1
        return True


_DIGEST = np.dtype("S16")


def _digest(key: str) -> bytes:
    try:
        return bytes.fromhex(key)
    except (TypeError, ValueError):
        return b""
