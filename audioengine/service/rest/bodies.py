# SPDX-License-Identifier: Apache-2.0
"""The body of a request: JSON by its type, of bounded size, and come in bounded time."""

from __future__ import annotations

import asyncio

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request


async def body_of(request: Request, max_bytes: int, timeout_s: float) -> bytes:
    """Return the body of a request; nothing more of it than `max_bytes` is ever held.

    Raises HTTPException 415 for what is not called JSON, 413 for a larger body, 408 for a slow one.
    """
    _check_type(request)
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal() or int(declared) > max_bytes:
        raise too_large(max_bytes)
    try:
        return await asyncio.wait_for(_read(request, max_bytes), timeout_s)
    except asyncio.TimeoutError:
        message = f"the body must come in within {timeout_s:g} s"
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


async def _read(request: Request, max_bytes: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise too_large(max_bytes)
    return bytes(body)


def too_large(max_bytes: int) -> HTTPException:
    """Return the refusal of a body that is larger than that."""
    # No "Connection: close": what still comes is dropped as it comes, so that this can be read.
    return HTTPException(413, f"a body must have at most {max_bytes} bytes")
