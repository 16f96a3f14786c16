# SPDX-License-Identifier: Apache-2.0
"""The endpoint of recorders: ``POST /recorder/reports`` and ``POST /recorder/newcall``.

Both take a token of the recorder's own, ``Authorization: Bearer …``: JWT, HS256, with
`recorder.token_key`, `aud` and `exp`, and `domain` where it may speak of one domain alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import jwt
from anyio import CapacityLimiter, to_thread
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from audioengine.commands.requests import command_values
from audioengine.commands.wire import read_wire
from audioengine.errors import InvalidRequestError, NotAllowedError, StorageError
from audioengine.execution.outcome import Notification
from audioengine.execution.signed_token import MillisecondsError, signed_claims
from audioengine.service.logs import log
from audioengine.service.notifications.delivery import Delivery
from audioengine.service.recorder.new_call import NewCall, NewCalls, raise_alarm
from audioengine.service.recorder.reports import ReportDesk
from audioengine.service.rest.bodies import body_of
from audioengine.settings import Settings

REPORTS_PATH, NEW_CALL_PATH = "/recorder/reports", "/recorder/newcall"
MOST_BODY_BYTES = 192 << 10
"""Of a report: a topic takes 256 KB, of which token, attributes and escapes have some."""

# Topics may be slow, and reports need the other threads.
_ALARMS_AT_ONCE = 4
# Clocks of recorder and engine may differ by so much.
_LEEWAY_S = 30


def recorder_routes(settings: Settings, desk: ReportDesk, delivery: Delivery) -> list[Route]:
    """Return the routes of recorders; what they refuse they raise.

    Raises InvalidRequestError where settings let no recorder in.
    """
    if settings.recorder.token_key is None:
        rule = "must be set: nobody else may report recordings"
        raise InvalidRequestError.of("recorder.token_key", None, rule)

    new_calls = NewCalls(settings)
    alarming = CapacityLimiter(_ALARMS_AT_ONCE)

    async def report(values: object, only_domain: str | None) -> Response:
        await run_in_threadpool(desk.take, values, only_domain)
        return JSONResponse({"success": True})

    async def send(alarm: Notification) -> None:
        await to_thread.run_sync(raise_alarm, alarm, delivery, limiter=alarming)

    async def new_call(values: object, only_domain: str | None) -> Response:
        call = read_wire(NewCall, values, "newCall")
        if only_domain not in (None, call.domain):
            raise NotAllowedError(f"a call must be of the domain of the token, {only_domain!r}")
        decision = await new_calls.decide(call)
        alarm = decision.alarm
        # Sent after the answer: topics may be as slow as the tenant, and the call waits.
        later = None if alarm is None else BackgroundTask(send, alarm)
        return JSONResponse({"recordCall": decision.record}, background=later)

    return [
        _route(REPORTS_PATH, report, settings),
        _route(NEW_CALL_PATH, new_call, settings),
    ]


def _route(
    path: str, work: Callable[[object, str | None], Awaitable[Response]], settings: Settings
) -> Route:
    async def answer(request: Request) -> Response:
        only_domain = _domain_of(request.headers.getlist("authorization"), settings)
        body = await body_of(request, MOST_BODY_BYTES, settings.rest.body_timeout_s)
        values = command_values(body, "report")
        try:
            return await work(values, only_domain)
        except StorageError as error:
            log().error("request of the recorder failed", path=path, error=str(error))
            raise

    return Route(path, answer, methods=["POST"], name=path)


def _domain_of(headers: Sequence[str], settings: Settings) -> str | None:
    """The domain that a token is for; None: any. Raises HTTPException 401 where it is no token."""
    scheme, _, token = headers[0].partition(" ") if len(headers) == 1 else ("", "", "")
    if scheme.lower() != "bearer":
        raise _unauthorised()
    key = settings.recorder.token_key
    assert key is not None
    try:
        claims = signed_claims(
            token.strip(),
            key.get_secret_value(),
            leeway_s=_LEEWAY_S,
            audience=settings.recorder.audience,
            require=("exp", "aud"),
        )
    except MillisecondsError as error:
        raise _unauthorised(f": {error}") from None
    except (jwt.InvalidTokenError, ValueError, TypeError, RecursionError):
        raise _unauthorised() from None
    domain = claims.get("domain")
    if domain is not None and not isinstance(domain, str):
        raise _unauthorised()
    return domain


def _unauthorised(why: str = "") -> HTTPException:
    message = "a valid token of a recorder is needed: Authorization: Bearer <token>"
    return HTTPException(401, message + why, {"WWW-Authenticate": "Bearer"})
