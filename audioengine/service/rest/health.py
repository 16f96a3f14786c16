# SPDX-License-Identifier: Apache-2.0
"""What operation asks for: whether the process lives, whether it can take commands, its metrics."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from typing import TypeAlias

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from audioengine.service.rest.replies import Reply

_LOG = logging.getLogger("audioengine.rest")
# Anyone may ask, and each answer asks the queue.
_KEPT_S = 1.0

Check: TypeAlias = Callable[[], object]
"""Raises where something does not work."""
Figures: TypeAlias = Callable[[], bytes]
"""Tells figures as Prometheus reads them."""


class Readiness:
    """Asks each check, at most once a second, and tells which failed."""

    def __init__(self, checks: Mapping[str, Check], pool: Executor, timeout_s: float) -> None:
        self._checks = checks
        self._pool = pool
        self._timeout_s = timeout_s
        self._asking = asyncio.Lock()
        self._told: Mapping[str, str] = {}
        self._until = -1.0

    async def answer(self, _request: Request) -> Response:
        """Answer 200 where all is well, else 503."""
        async with self._asking:
            if time.monotonic() >= self._until:
                self._told = {name: await self._ask(name) for name in self._checks}
                self._until = time.monotonic() + _KEPT_S
        is_ready = set(self._told.values()) <= {"ok"}
        return Reply({"ready": is_ready, "checks": dict(self._told)}, 200 if is_ready else 503)

    async def _ask(self, name: str) -> str:
        asked = asyncio.get_running_loop().run_in_executor(self._pool, self._checks[name])
        try:
            await asyncio.wait_for(asked, self._timeout_s)
        except Exception as error:  # noqa: BLE001 - a check may fail in any way: it is told
            _LOG.warning("not ready: %s: %s", name, type(error).__name__)
            return "failed"
        return "ok"


def operation_routes(readiness: Readiness, metrics: Sequence[Figures]) -> list[Route]:
    """Return the routes of /healthz, /readyz and /metrics."""

    async def told(_request: Request) -> Response:
        text = b"".join(figures() for figures in metrics)
        return Response(text, media_type=CONTENT_TYPE_LATEST)

    return [
        Route("/healthz", _alive),
        Route("/readyz", readiness.answer),
        Route("/metrics", told),
    ]


async def _alive(_request: Request) -> Response:
    return Reply({})
