# SPDX-License-Identifier: Apache-2.0
"""The REST application: a path a command, and what operation asks for."""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from audioengine.errors import AudioEngineError, InvalidRequestError, Problem, StorageError
from audioengine.service.queues.queue import DIALECT, METHOD, CommandQueue
from audioengine.service.rest import telemetry
from audioengine.service.rest.access import domain_of
from audioengine.service.rest.bodies import body_of, too_large
from audioengine.service.rest.command_check import judge_command
from audioengine.service.rest.disk import probe, written_folders
from audioengine.service.rest.health import Check, Figures, Pulse, operation_routes
from audioengine.service.rest.openapi import COMMAND_PATHS, Part, document
from audioengine.service.rest.pace import Pace
from audioengine.service.rest.replies import Reply, of_error, of_http, refusal, unavailable
from audioengine.service.rest.telemetry import RestMetrics
from audioengine.settings import Settings

_THREADS = 16
_THREADS_FOR_HEALTH = 4
# Legal in JSON's text, not in the XML that queues speak; in JSON they may be escaped.
_NONCHARACTERS = re.compile("[\ufffe\uffff]")


def make_app(
    settings: Settings,
    queue: CommandQueue,
    extra_routes: Sequence[BaseRoute] = (),
    described: Part | None = None,
    ready: Mapping[str, Check] | None = None,
    metrics: Sequence[Figures] = (),
) -> Starlette:
    """Return the application that puts commands on a queue.

    extra_routes: of other parts of the service that come in over HTTP.
    described: what the OpenAPI document says of them.
    ready: what else must work, by its name, for /readyz to say so.
    metrics: what /metrics shows beside the figures of REST.

    Raises InvalidRequestError where settings let nobody in.
    """
    _check(settings)
    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="rest")
    own = RestMetrics()
    checks: dict[str, Check] = {"queue": queue.depth, **(ready or {})}
    if folders := written_folders(settings):
        checks["disk"] = partial(probe, folders)
    health = partial(operation_routes, checks, [own.text, *metrics], settings.rest.queue_timeout_s)
    pulse = Pulse()
    intake = _Intake(settings, queue, pool, own)
    shown = Reply(document(settings.rest, described))

    async def openapi(_request: Request) -> Response:
        return shown

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        with pulse.of_this_loop():
            yield
        pool.shutdown(wait=False, cancel_futures=True)

    app = Starlette(
        routes=[
            *intake.routes(),
            *health(pool),
            Route("/openapi.json", openapi),
            *extra_routes,
        ],
        exception_handlers={
            HTTPException: of_http,
            AudioEngineError: of_error,
            Exception: _of_bug,
        },
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    # For a port of their own: there nobody else's requests are before them, and threads neither.
    few = ThreadPoolExecutor(_THREADS_FOR_HEALTH, thread_name_prefix="health")
    app.state.health = Starlette(routes=health(few, pulse))
    return app


def _check(settings: Settings) -> None:
    needed = {"token_key": settings.token_key, "rest.keys": settings.rest.keys}
    rule = "must be set: without it no command can be proven to be a tenant's"
    problems = [Problem(name, None, rule) for name, value in needed.items() if not value]
    if problems:
        raise InvalidRequestError(problems)


class _Intake:
    """Takes commands in."""

    def __init__(
        self,
        settings: Settings,
        queue: CommandQueue,
        pool: ThreadPoolExecutor,
        metrics: RestMetrics,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._queue = queue
        self._pool = pool
        self._pace = Pace(settings.rest.rate_per_s, settings.rest.burst)

    def routes(self) -> list[Route]:
        """Return a route a command."""
        cors = Middleware(
            _Cors,
            allow_origins=self._settings.rest.allowed_origins,
            allow_methods=["POST"],
            allow_headers=["Authorization", "Content-Type"],
            expose_headers=["Retry-After"],
        )
        return [
            Route(
                f"{self._settings.rest.prefix}/{{domain}}/{segment}",
                partial(self._answer, method),
                methods=["POST", "OPTIONS"],
                name=method,
                middleware=[cors],
            )
            for segment, method in COMMAND_PATHS.items()
        ]

    async def _answer(self, method: str, request: Request) -> Response:
        if request.method == "OPTIONS":
            return Reply({}, headers={"Allow": "OPTIONS, POST"})
        started = time.perf_counter()
        response = await self._answered(method, request)
        self._metrics.answered(method, response.status_code, time.perf_counter() - started)
        return response

    async def _answered(self, method: str, request: Request) -> Response:
        rest = self._settings.rest
        domain = ""
        try:
            domain = domain_of(request.headers.getlist("authorization"), rest)
            self._admit(domain, request)
            body = await body_of(request, rest.max_body_bytes, rest.body_timeout_s)
            work = self._pool.submit(self._queued, body, method, domain)
            await asyncio.wait_for(asyncio.wrap_future(work), rest.queue_timeout_s)
        except HTTPException as error:
            response = of_http(request, error)
        except AudioEngineError as error:
            response = of_error(request, error)
        except asyncio.TimeoutError as error:
            telemetry.log_failure(error, domain, method)
            response = unavailable("the command could not be queued in time")
        except Exception as error:  # noqa: BLE001 - no bug may show more of itself than that
            telemetry.log_failure(error, domain, method)
            response = refusal(500, "internal error")
        else:
            return Reply({"success": True})
        if domain:
            telemetry.log_refusal(domain, method, response.status_code)
        return response

    def _admit(self, domain: str, request: Request) -> None:
        """Raise HTTPException where a token is of another domain, or the domain sends too much."""
        if domain != request.path_params["domain"]:
            raise HTTPException(403, "the access token must be of the domain that the path names")
        if request.url.query:
            # What is asked for there, a mask perhaps, would be ignored.
            raise HTTPException(400, "there must be no query: a command is its body alone")
        wait_s = self._pace.wait_s(domain)
        if wait_s:
            headers = {"Retry-After": str(math.ceil(wait_s))}
            raise HTTPException(429, "the domain sends too many commands", headers)

    def _queued(self, body: bytes, method: str, domain: str) -> None:
        """Judge a command and queue it; done in a thread."""
        try:
            text = body.decode()
        except UnicodeDecodeError:
            raise InvalidRequestError.of("command", "<bytes>", "must be UTF-8") from None
        command = judge_command(text, method, domain, self._settings)
        text = command.text
        attributes = {DIALECT: "rest", METHOD: method}
        text, escapes = _NONCHARACTERS.subn(lambda found: f"\\u{ord(found[0]):04x}", text)
        if escapes and len(text.encode()) > self._settings.rest.max_body_bytes:
            raise too_large(self._settings.rest.max_body_bytes)  # for the queue, for ever
        try:
            message_id = self._queue.send(text, group=command.recording_id, attributes=attributes)
        except StorageError as error:
            telemetry.log_failure(error, domain, method)
            raise
        telemetry.taken(command, domain, message_id)


class _Cors(CORSMiddleware):
    """Answers as the service's reference does: with an empty object, or with our refusal."""

    def preflight_response(self, request_headers: Headers) -> Response:
        """Return the answer to what browsers ask before they send."""
        made = super().preflight_response(request_headers)
        headers = {
            name: value
            for name, value in made.headers.items()
            if name not in ("content-length", "content-type")
        }
        if made.status_code == 200:
            return Reply({}, headers=headers)
        return refusal(400, bytes(made.body).decode(), headers=headers)


async def _of_bug(_request: Request, _error: Exception) -> Response:
    # The server hangs up after a bug: the client must not send the next request to nobody.
    return refusal(500, "internal error", headers={"Connection": "close"})
