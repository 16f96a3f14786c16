# SPDX-License-Identifier: Apache-2.0
"""Keeping what libmpg123 says of broken frames off the terminal.

libsndfile gives no way to ask the libmpg123 inside it for silence. It writes to C's `stderr`, a
variable that programs may set like any other where C's library is glibc (its manual, 12.2 "Standard
Streams"). While anything decodes, that is a stream to /dev/null. File descriptor 2 stays as it
is, so what Python writes and what other processes inherit goes where it always goes: only what C
libraries of other threads say at that moment is lost. With other libraries than glibc all is shown.
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
    """What it was at first."""
    hidden: int
    """A stream to /dev/null, which is never closed: a thread may still be writing to it."""


class _Quiet:
    """How many threads decode. The first sets the variable, the last sets it back."""

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
            # A process that was forked inside has begun anew.
            self._inside = max(0, self._inside - 1)
            streams = _streams()
            if streams is not None and not self._inside:
                streams.variable.value = streams.shown

    def forked(self) -> None:
        """Begin anew in a process that has none of its parent's other threads."""
        self._lock = Lock()
        if self._inside:
            self._inside = 1
            self.leave()


_quiet = _Quiet()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_quiet.forked)


@cache
def _streams() -> _Streams | None:
    """None where C's `stderr` may not be set."""
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
    """Whether memory may be written to, by Linux's list of it.

    A layer over another C library may have glibc's names, and `stderr` be a constant there.

    Raises OSError where there is no such list.
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
    """Where C libraries write nothing to stderr; any number of threads may be inside."""
    _quiet.enter()
    try:
        yield
    finally:
        _quiet.leave()
