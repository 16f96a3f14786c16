# SPDX-License-Identifier: Apache-2.0
"""Runs independent work on threads, or in the calling thread when there is one worker."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class _Caller(Executor):
    """Runs each call at once in the calling thread: one processor gains nothing from threads."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - as of any executor, it is the result's
            future.set_exception(error)
        return future


def executor_of(workers: int) -> Executor:
    """An executor with `workers` threads; with one, the calling thread."""
    return ThreadPoolExecutor(workers) if workers > 1 else _Caller()


class _Collection:
    """How rarely Python looks for garbage, while anything is rendered.

    Rendering makes many objects that go by themselves; looking among them after every 700 takes a
    twentieth of its time. What others in the process leave is still found.
    """

    AFTER = 50_000

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rendering = 0
        self._usual = 0

    @contextmanager
    def rare(self) -> Iterator[None]:
        """Within, collection is rare, in all threads; `gc.disable` stays what it is."""
        with self._lock:
            self._rendering += 1
            if self._rendering == 1:
                self._usual, *others = gc.get_threshold()
                # Zero is never.
                if self._usual:
                    gc.set_threshold(max(self._usual, self.AFTER), *others)
        try:
            yield
        finally:
            with self._lock:
                self._rendering -= 1
                if not self._rendering:
                    gc.set_threshold(self._usual, *gc.get_threshold()[1:])


rare_collection = _Collection().rare
"""The context in which Python looks for garbage rarely."""
