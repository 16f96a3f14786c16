# SPDX-License-Identifier: Apache-2.0
"""Access tokens: ``Authorization: Bearer <JWT>``, HS256 alone.

Each must have ``exp``, ``aud`` and ``domain``; a ``kid`` names its key.
"""

from __future__ import annotations

from collections.abc import Sequence

import jwt
from starlette.exceptions import HTTPException

from audioengine.execution.reply_id import UNREADABLE
from audioengine.execution.signed_token import MillisecondsError, signed_claims
from audioengine.settings import RestSettings

# Clocks of whoever signs and of this host may differ by so much.
_LEEWAY_S = 30
_CHALLENGE = {"WWW-Authenticate": "Bearer"}


def domain_of(headers: Sequence[str], settings: RestSettings) -> str:
    """Return the domain that the token of a request is for.

    headers: all that the request has under the name of ``Authorization``.

    Raises HTTPException 401 where there is no such token, or it proves nothing.
    """
    scheme, _, token = headers[0].partition(" ") if len(headers) == 1 else ("", "", "")
    if scheme.lower() != "bearer" or not token.strip():
        raise _unauthorised("one header is needed: Authorization: Bearer <access token>")
    try:
        domain = _domain(token.strip(), settings)
    except jwt.ExpiredSignatureError:
        raise _unauthorised("the access token has expired") from None
    except MillisecondsError as error:
        raise _unauthorised(f"the access token is not valid: {error}") from None
    except UNREADABLE:
        raise _unauthorised("the access token is not valid") from None
    return domain


def _domain(token: str, settings: RestSettings) -> str:
    kid = jwt.get_unverified_header(token).get("kid")
    names = settings.keys if kid is None else [kid] if kid in settings.keys else []
    for name in names:
        try:
            claims = signed_claims(
                token,
                settings.keys[name].get_secret_value(),
                leeway_s=_LEEWAY_S,
                audience=settings.audience,
                require=("exp", "aud", "domain"),
            )
        except jwt.InvalidSignatureError:
            continue
        if isinstance(claims["domain"], str):
            return claims["domain"]
    raise jwt.InvalidTokenError("no key fits, or its domain is no text")


def _unauthorised(message: str) -> HTTPException:
    return HTTPException(401, message, _CHALLENGE)
