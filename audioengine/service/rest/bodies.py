# SPDX-License-Identifier: Apache-2.0
"""The body of a request: JSON by its type, of bounded size, and come in bounded time."""

from __future__ import annotations

import asyncio

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from audioengine.settings import RestSettings


async def body_of(request: Request, settings: RestSettings) -> bytes:
    """Return the body of a request; nothing more of it than `max_body_bytes` is ever held.

    Raises HTTPException 415 for what is not called JSON, 413 for a larger body, 408 for a slow one.
    """
    _check_type(request)
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal() or int(declared) > settings.max_body_bytes:
        raise _too_large(settings)
    try:
        return await asyncio.wait_for(_read(request, settings), settings.body_timeout_s)
    except asyncio.TimeoutError:
        message = f"the body must come in within {settings.body_timeout_s:g} s"
        raise HTTPException(408, message, {"Connection": "close"}) from None
    except ClientDisconnect:
        raise HTTPException(400, "the body is incomplete") from None


def _check_type(request: Request) -> None:
    kind, *parameters = request.headers.get("content-type", "").lower().split(";")
    known = {"charset=utf-8", 'charset="utf-8"', ""}
    if kind.strip() != "application/json" or {one.strip() for one in parameters} - known:
        raise HTTPException(415, "Content-Type must be application/json, in UTF-8")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise HTTPException(415, "there must be no Content-Encoding")


async def _read(request: Request, settings: RestSettings) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > settings.max_body_bytes:
            raise _too_large(settings)
    return bytes(body)


def _too_large(settings: RestSettings) -> HTTPException:
    # No "Connection: close": what still comes is dropped as it comes, so that this can be read.
    return HTTPException(413, f"a body must have at most {settings.max_body_bytes} bytes")
