# SPDX-License-Identifier: Apache-2.0
"""What is answered: JSON, of a success, and of a refusal with its reasons; never a stack trace."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from audioengine.commands.redaction import redacted
from audioengine.errors import (
    AudioEngineError,
    InvalidRequestError,
    LimitError,
    NotAllowedError,
    Problem,
)

RETRY_AFTER_S = 5
"""Seconds until a client may try again, where nothing else says when."""

_MOST_PROBLEMS = 1000
_SHOWN_CHARACTERS = 200


class Reply(JSONResponse):
    """JSON in ASCII: a surrogate of a body, shown again, must not break the answer."""

    def render(self, content: Any) -> bytes:
        """Return the content as JSON."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()


def refusal(
    status: int,
    error: str,
    problems: Sequence[Problem] = (),
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Return the answer to a request that is refused: ``success``, ``error`` and ``problems``.

    Of more than 1,000 problems only the first are named.
    """
    content: dict[str, Any] = {"success": False, "error": error}
    if problems:
        content["problems"] = [
            {"path": one.path, "value": _shown(one.value), "rule": one.rule}
            for one in problems[:_MOST_PROBLEMS]
        ]
    return Reply(content, status, headers)


def _shown(value: object) -> object:
    """A wrong value, without secrets; a long one as the start of its JSON."""
    value = redacted(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    try:
        text = json.dumps(value, allow_nan=False)
    except ValueError:  # not finite, somewhere inside
        text = json.dumps(value)
        value = text
    return value if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def of_http(_request: Request, error: Exception) -> Reply:
    """Return the answer to a request that HTTP's own rules end."""
    assert isinstance(error, HTTPException)
    return refusal(error.status_code, error.detail, headers=error.headers)


def of_error(_request: Request, error: Exception) -> Reply:
    """Return the answer to a request that one of our errors ended."""
    if isinstance(error, InvalidRequestError):
        count = len(error.problems)
        message = "1 field is wrong" if count == 1 else f"{count} fields are wrong"
        return refusal(400, message, error.problems)
    if isinstance(error, LimitError):
        return refusal(400, str(error))
    if isinstance(error, NotAllowedError):
        return refusal(403, str(error))
    assert isinstance(error, AudioEngineError)
    # What failed has been logged; its message may name what is not the client's business.
    return unavailable("the queue or the storage can't be reached now")


def unavailable(error: str) -> Reply:
    """Return the answer to a request that may succeed later."""
    return refusal(503, error, headers={"Retry-After": str(RETRY_AFTER_S)})
