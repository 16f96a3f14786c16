# SPDX-License-Identifier: Apache-2.0
"""How much the clocks of a token's maker and of this service may differ: to the second."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, tzinfo
from functools import partial
from typing import Any

import jwt
import pytest
from starlette.exceptions import HTTPException

import audioengine as ae
from audioengine.execution.reply_id import read_token
from audioengine.service.recorder import routes
from audioengine.service.rest.access import domain_of
from tests.execution import service
from tests.service.recorder import deployment
from tests.service.rest.deployment import access
from tests.service.rest.deployment import settings as rest_settings

NOW = 1_790_000_000


class Frozen(datetime):
    """The clock that PyJWT reads."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Frozen:
        return cls.fromtimestamp(NOW, tz)


@pytest.fixture(autouse=True)
def _frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jwt.api_jwt.datetime", Frozen)
    monkeypatch.setattr(time, "time", lambda: float(NOW))


def takes(check: Callable[[], object]) -> bool:
    with suppress(ae.NotAllowedError, HTTPException):
        check()
        return True
    return False


def reply_id(**claims: Any) -> bool:
    return takes(lambda: read_token(service.token(**claims), service.settings()))


def access_token(**claims: Any) -> bool:
    given: dict[str, Any] = {"exp": NOW + 1000, **claims}
    rest = rest_settings().rest
    return takes(lambda: domain_of([f"Bearer {access(**given)}"], rest))


def recorder_token(**claims: Any) -> bool:
    given = {"aud": "audioengine-recorder", "exp": NOW + 1000, **claims}
    signed = jwt.encode(given, deployment.RECORDER_KEY, algorithm="HS256")
    settings = deployment.settings()
    return takes(lambda: routes._domain_of([f"Bearer {signed}"], settings))


@pytest.mark.parametrize(
    ("is_taken", "leeway_s"), [(reply_id, 60), (access_token, 30), (recorder_token, 30)]
)
def test_a_token_holds_within_the_leeway_and_not_a_second_more(
    is_taken: Callable[..., bool], leeway_s: int
) -> None:
    assert is_taken(exp=NOW - leeway_s + 1)
    assert not is_taken(exp=NOW - leeway_s - 1)
    for name in ("nbf", "iat"):
        assert is_taken(**{name: NOW + leeway_s - 1})
        assert not is_taken(**{name: NOW + leeway_s + 1})


def test_the_age_of_a_reply_id_has_the_same_leeway() -> None:
    settings = service.settings(max_token_age_s=1000)
    for second, is_young in ((-1, True), (0, True), (1, False)):
        token = service.token(iat=NOW - 1000 - 60 - second)
        assert takes(partial(read_token, token, settings)) is is_young
