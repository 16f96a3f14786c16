# SPDX-License-Identifier: Apache-2.0
"""Tokens of all kinds (JWT, HS256 alone): what one says, once its signature and times hold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jwt

_ALGORITHM = "HS256"
_TIMES = ("exp", "iat", "nbf")

# In seconds, the year 5138; in milliseconds, 1973.
_FIRST_MILLISECONDS = 10**11


class MillisecondsError(jwt.InvalidTokenError):
    """A time of a token is in milliseconds: the token would be of the future, or never expire."""


def signed_claims(
    token: str,
    key: str,
    *,
    leeway_s: int,
    audience: str | None = None,
    require: Sequence[str] = (),
) -> dict[str, Any]:
    """Return what a token says.

    leeway_s: by how much clocks may differ. audience: that it must be for; None: any.
    require: claims that it must have.

    Raises jwt.InvalidTokenError, as a MillisecondsError for a time in milliseconds; for hostile
    tokens also what `token.UNREADABLE` names.
    """
    lenient: Any = {f"verify_{name}": False for name in (*_TIMES, "aud", "sub")}
    unverified = jwt.decode(token, key, algorithms=[_ALGORITHM], options=lenient)
    for name in _TIMES:
        value = unverified.get(name)
        if isinstance(value, (int, float)) and _FIRST_MILLISECONDS <= value < math.inf:
            message = f"{name} = {value}: must be in seconds of epoch time, not in milliseconds"
            raise MillisecondsError(message)
    strict: Any = {"verify_sub": False, "require": list(require)}
    if audience is None:
        strict["verify_aud"] = False
    claims: dict[str, Any] = jwt.decode(
        token,
        key,
        algorithms=[_ALGORITHM],
        leeway=leeway_s,
        audience=audience,
        options=strict,
    )
    return claims
