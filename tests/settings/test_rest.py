# SPDX-License-Identifier: Apache-2.0
"""The table ``[rest]``: its keys are long, never shown, and none of replyIds."""

from __future__ import annotations

import json
from typing import Any

import pytest

import audioengine as ae
from audioengine.settings import RestSettings

KEY = "a key of the tests that has at least 32 bytes"


def problems(**given: Any) -> dict[str, tuple[object, str]]:
    with pytest.raises(ae.InvalidRequestError) as refused:
        ae.Settings(**given)
    assert "secret" not in str(refused.value)
    return {one.path: (one.value, one.rule) for one in refused.value.problems}


def test_defaults() -> None:
    """Nobody gets in, and nobody from outside gets near."""
    table = ae.Settings().rest
    assert table == RestSettings()
    assert not table.keys
    assert table.host == "127.0.0.1"


def test_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIOENGINE_REST__KEYS", json.dumps({"2026": KEY}))
    monkeypatch.setenv("AUDIOENGINE_REST__RATE_PER_S", "2.5")
    monkeypatch.setenv("AUDIOENGINE_REST__ALLOWED_ORIGINS", '["https://a.example.com"]')
    table = ae.Settings().rest
    assert table.keys["2026"].get_secret_value() == KEY
    assert (table.rate_per_s, table.allowed_origins) == (2.5, ("https://a.example.com",))


def test_keys_are_never_shown() -> None:
    loaded = ae.Settings(rest={"keys": {"first": KEY}})
    shown = f"{loaded} {loaded!r} {loaded.to_dict()} {loaded.to_json()} {loaded.model_dump()}"
    assert KEY not in shown
    assert loaded.to_dict()["rest"]["keys"] == {"first": "***"}


@pytest.mark.parametrize(
    ("keys", "path", "rule"),
    [
        ({"a": "secret"}, "rest.keys.a", "must have at least 32 bytes, as HS256 demands"),
        ({"a": 5}, "rest.keys.a", "must be text"),
        ({"a.b": ["secret"]}, 'rest.keys."a.b"', "must be text"),
        ("secret", "rest.keys", "must be an object"),
    ],
)
def test_keys_that_are_none(keys: object, path: str, rule: str) -> None:
    assert problems(rest={"keys": keys}) == {path: ("***", rule)}


def test_reply_ids_open_nothing() -> None:
    told = problems(token_key=KEY, rest={"keys": {"first": KEY, "second": KEY + "2"}})
    assert told == {
        "rest.keys.first": (
            "***",
            "must be another key than token_key: a replyId must not open REST",
        )
    }


def test_numbers_have_bounds() -> None:
    wrong = {"port": 70000, "rate_per_s": 0, "burst": 0, "max_body_bytes": 0, "queue_timeout_s": 0}
    assert problems(rest=wrong).keys() == {f"rest.{name}" for name in wrong}
