# SPDX-License-Identifier: Apache-2.0
"""The endpoint of recorders: ``POST /recorder/reports`` and ``POST /recorder/newcall``.

Both take a token of the recorder's own, ``Authorization: Bearer …``: JWT, HS256, with
`recorder.token_key`, `aud` and `exp`, and `domain` where it may speak of one domain alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import jwt
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from audioengine.commands.wire import read
from audioengine.errors import InvalidRequestError, NotAllowedError
from audioengine.service.delivery import Delivery
from audioengine.service.recorder.new_call import NewCall, ask_new_call
from audioengine.service.recorder.reports import ReportDesk, report_values
from audioengine.settings import Settings

MOST_BODY_BYTES = 192 << 10
"""Of a report: a topic takes 256 KB, of which token, attributes and escapes have some."""

_BODY_TIMEOUT_S = 30
_ALGORITHM = "HS256"
# Clocks of recorder and engine may differ by so much.
_LEEWAY_S = 30


def recorder_routes(settings: Settings, desk: ReportDesk, delivery: Delivery) -> list[Route]:
    """Return the routes of recorders; what they refuse they raise.

    Raises InvalidRequestError where settings let no recorder in.
    """
    if settings.recorder.token_key is None:
        rule = "must be set: nobody else may report recordings"
        raise InvalidRequestError.of("recorder.token_key", None, rule)

    def report(values: object, only_domain: str | None) -> dict[str, Any]:
        desk.take(values, only_domain)
        return {"success": True}

    def new_call(values: object, only_domain: str | None) -> dict[str, Any]:
        call = read(NewCall, values, "newCall")
        if only_domain not in (None, call.domain):
            raise NotAllowedError(f"a call must be of the domain of the token, {only_domain!r}")
        return {"recordCall": ask_new_call(call, settings, delivery)}

    return [
        _route("/recorder/reports", report, settings),
        _route("/recorder/newcall", new_call, settings),
    ]


def _route(
    path: str, work: Callable[[object, str | None], dict[str, Any]], settings: Settings
) -> Route:
    async def answer(request: Request) -> Response:
        only_domain = _domain_of(request.headers.getlist("authorization"), settings)
        body = await _body_of(request)
        return JSONResponse(await run_in_threadpool(lambda: work(report_values(body), only_domain)))

    return Route(path, answer, methods=["POST"], name=path)


def _domain_of(headers: Sequence[str], settings: Settings) -> str | None:
    """The domain that a token is for; None: any. Raises HTTPException 401 where it is no token."""
    scheme, _, token = headers[0].partition(" ") if len(headers) == 1 else ("", "", "")
    if scheme.lower() != "bearer":
        raise _unauthorised()
    key = settings.recorder.token_key
    assert key is not None
    try:
        claims = jwt.decode(
            token.strip(),
            key.get_secret_value(),
            algorithms=[_ALGORITHM],
            audience=settings.recorder.audience,
            leeway=_LEEWAY_S,
            options={"require": ["exp", "aud"]},
        )
    except (jwt.InvalidTokenError, ValueError, TypeError, RecursionError):
        raise _unauthorised() from None
    domain = claims.get("domain")
    if domain is not None and not isinstance(domain, str):
        raise _unauthorised()
    return domain


def _unauthorised() -> HTTPException:
    message = "a valid token of a recorder is needed: Authorization: Bearer <token>"
    return HTTPException(401, message, {"WWW-Authenticate": "Bearer"})


async def _body_of(request: Request) -> bytes:
    """The body of a request; raises HTTPException for a large, a slow or a strange one."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise HTTPException(415, "Content-Type must be application/json")
    try:
        return await asyncio.wait_for(_read(request), _BODY_TIMEOUT_S)
    except asyncio.TimeoutError:
        raise HTTPException(408, f"the body must come in within {_BODY_TIMEOUT_S} s") from None
    except ClientDisconnect:
        raise HTTPException(400, "the body is incomplete") from None


async def _read(request: Request) -> bytes:
    body = bytearray()
    async for block in request.stream():
        body += block
        if len(body) > MOST_BODY_BYTES:
            raise HTTPException(413, f"a body must have at most {MOST_BODY_BYTES} bytes")
    return bytes(body)
