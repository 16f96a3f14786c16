# SPDX-License-Identifier: Apache-2.0
"""Keeps libmpg123's messages about broken frames off the terminal.

libsndfile has no option to silence the libmpg123 inside it, which writes to C's `stderr`. In glibc
this is a variable that programs may set (its manual, 12.2 "Standard Streams"). While any thread
decodes, it is a stream to /dev/null. File descriptor 2 does not change, so Python's output and that
of child processes are not affected; only messages that C libraries write from other threads at the
same time are lost. With other C libraries all messages are shown.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Lock
from typing import NamedTuple


class _Streams(NamedTuple):
    variable: ctypes.c_void_p
    """C's `stderr`."""
    shown: int
    """Its original value."""
    hidden: int
    """A stream to /dev/null, never closed because a thread may still write to it."""


class _Quiet:
    """Counts decoding threads. The first sets the variable, the last restores it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._inside = 0

    def enter(self) -> None:
        with self._lock:
            self._inside += 1
            streams = _streams()
            if streams is not None:
                streams.variable.value = streams.hidden

    def leave(self) -> None:
        with self._lock:
            # A process that was forked inside has started over.
            self._inside = max(0, self._inside - 1)
            streams = _streams()
            if streams is not None and not self._inside:
                streams.variable.value = streams.shown

    def forked(self) -> None:
        """Start over in a forked process, which has none of its parent's other threads."""
        self._lock = Lock()
        if self._inside:
            self._inside = 1
            self.leave()


_quiet = _Quiet()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_quiet.forked)


@cache
def _streams() -> _Streams | None:
    """The streams; None if C's `stderr` can't be set."""
    try:
        library = ctypes.CDLL(None)
        # Only glibc has it.
        library.gnu_get_libc_version  # noqa: B018
        variable = ctypes.c_void_p.in_dll(library, "stderr")
        if not is_writable(ctypes.addressof(variable)):
            return None
    except (AttributeError, OSError, TypeError, ValueError):
        return None
    library.fopen.restype = ctypes.c_void_p
    hidden = library.fopen(os.fsencode(os.devnull), b"we")
    shown = variable.value
    return None if hidden is None or shown is None else _Streams(variable, shown, hidden)


def is_writable(address: int) -> bool:
    """Whether memory is writable, by Linux's list of mappings.

    A compatibility layer over another C library may have glibc's names but a constant `stderr`.

    Raises OSError if no such list exists.
    """
    with Path("/proc/self/maps").open() as maps:
        for line in maps:
            span, rights, *_ = line.split()
            start, end = (int(bound, 16) for bound in span.split("-"))
            if start <= address < end:
                return "w" in rights
    return False


@contextmanager
def quiet() -> Iterator[None]:
    """A context in which C libraries write nothing to stderr; thread-safe."""
    _quiet.enter()
    try:
        yield
    finally:
        _quiet.leave()
