# SPDX-License-Identifier: Apache-2.0
"""Who does what can be done apart: threads, or the caller itself."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class _Caller(Executor):
    """Does each thing at once, where it is asked for: one processor gains nothing by threads."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - as of any executor, it is the result's
            future.set_exception(error)
        return future


def executor_of(workers: int) -> Executor:
    """An executor of so many threads; of one, the caller's own."""
    return ThreadPoolExecutor(workers) if workers > 1 else _Caller()
