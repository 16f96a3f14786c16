# SPDX-License-Identifier: Apache-2.0
"""What operation asks for: whether the process lives, whether it can take commands, its metrics."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import TypeAlias

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from audioengine.service.rest.replies import Reply

_LOG = logging.getLogger("audioengine.rest")
# Anyone may ask, and each answer asks the queue.
_KEPT_S = 1.0
_PULSE_S = 5.0

Check: TypeAlias = Callable[[], object]
"""Raises where something does not work."""
Figures: TypeAlias = Callable[[], bytes]
"""Tells figures as Prometheus reads them."""


class Readiness:
    """Asks each check, at most once a second, and reports which failed."""

    def __init__(self, checks: Mapping[str, Check], pool: Executor, timeout_s: float) -> None:
        self._checks = checks
        self._pool = pool
        self._timeout_s = timeout_s
        self._asking = asyncio.Lock()
        self._answers: Mapping[str, str] = {}
        self._until = -1.0

    async def answer(self, _request: Request) -> Response:
        """Answer 200 where all is well, else 503."""
        async with self._asking:
            if time.monotonic() >= self._until:
                self._answers = {name: await self._ask(name) for name in self._checks}
                self._until = time.monotonic() + _KEPT_S
        is_ready = set(self._answers.values()) <= {"ok"}
        return Reply({"ready": is_ready, "checks": dict(self._answers)}, 200 if is_ready else 503)

    async def _ask(self, name: str) -> str:
        asked = asyncio.get_running_loop().run_in_executor(self._pool, self._checks[name])
        try:
            await asyncio.wait_for(asked, self._timeout_s)
        except Exception as error:  # noqa: BLE001 - a check may fail in any way
            _LOG.warning("not ready: %s: %s", name, type(error).__name__)
            return "failed"
        return "ok"


class Pulse:
    """Whether the event loop that serves still does; asked from another one."""

    def __init__(self) -> None:
        """Know of no loop yet."""
        self._loop: asyncio.AbstractEventLoop | None = None

    @contextmanager
    def of_this_loop(self) -> Iterator[None]:
        """Tell of the running loop meanwhile."""
        self._loop = asyncio.get_running_loop()
        try:
            yield
        finally:
            self._loop = None

    async def answer(self, _request: Request) -> Response:
        """Answer 200 where it does, else 503."""
        if self._loop is None:
            return Reply({}, 503)
        beat = asyncio.run_coroutine_threadsafe(asyncio.sleep(0), self._loop)
        try:
            await asyncio.wait_for(asyncio.wrap_future(beat), _PULSE_S)
        except asyncio.TimeoutError:
            return Reply({}, 503)
        return Reply({})


def operation_routes(
    checks: Mapping[str, Check],
    metrics: Sequence[Figures],
    timeout_s: float,
    pool: Executor,
    pulse: Pulse | None = None,
) -> list[Route]:
    """Return the routes of /healthz, /readyz and /metrics.

    timeout_s: of a check, which is made in the pool.
    pulse: of the loop that serves; None: it is the one that answers.
    """

    async def metrics_text(_request: Request) -> Response:
        text = b"".join(figures() for figures in metrics)
        return Response(text, media_type=CONTENT_TYPE_LATEST)

    return [
        Route("/healthz", _alive if pulse is None else pulse.answer),
        Route("/readyz", Readiness(checks, pool, timeout_s).answer),
        Route("/metrics", metrics_text),
    ]


async def _alive(_request: Request) -> Response:
    return Reply({})
