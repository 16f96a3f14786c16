# SPDX-License-Identifier: Apache-2.0
"""Settings of callbacks and of the recorder: what is refused, and that no secret is told."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

import audioengine as ae
from audioengine.settings.recorder import secret_bytes

CANARY = "c4n4ry-of-a-secret-that-nobody-may-see"
SECRET = "whsec_" + b64encode(CANARY.encode()).decode()
HOOK = "https://tenant.example.com/calls"


def domain(**more: Any) -> dict[str, Any]:
    return {"domains": {"sip.example.com": {"buckets": ["kept"], **more}}}


def refused(values: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(ae.InvalidRequestError) as caught:
        ae.Settings(**values)
    assert CANARY not in str(caught.value)
    assert SECRET[6:] not in str(caught.value)
    return {problem.path: problem.rule for problem in caught.value.problems}


def test_secrets_are_kept_and_not_shown() -> None:
    hooked = domain(callback_url=HOOK, callback_secret=SECRET)
    recorder = {"token_key": CANARY, "control_url": HOOK, "control_secret": SECRET}
    settings = ae.Settings(**hooked, recorder=recorder)
    kept = settings.domains["sip.example.com"].callback_secret
    assert kept is not None
    assert secret_bytes(kept) == CANARY.encode()
    shown = f"{settings!r} {settings.to_json()} {settings.model_dump()}"
    assert CANARY not in shown
    assert SECRET[6:] not in shown
    assert settings.to_dict()["recorder"]["token_key"] == "***"
    assert settings.to_dict()["domains"]["sip.example.com"]["callback_secret"] == "***"
    assert settings.to_dict()["recorder"]["control_queue"] is None


@pytest.mark.parametrize(
    ("more", "name", "rule"),
    [
        ({"callback_url": HOOK}, "callback_secret", "must be given with callback_url"),
        ({"callback_secret": CANARY}, "callback_secret", "whsec_"),
        ({"callback_secret": "whsec_" + CANARY}, "callback_secret", "whsec_"),
        ({"callback_secret": "whsec_c2hvcnQ="}, "callback_secret", "24 to 64 bytes"),
        ({"callback_secret": [SECRET]}, "callback_secret", "must be text"),
        ({"callback_url": f"https://u:{CANARY}@host/"}, "callback_url", "without a user"),
        ({"callback_url": "https://host/a b"}, "callback_url", "must be an http:// or"),
        ({"callback_url": "ftp://host/"}, "callback_url", "must be an http:// or"),
        ({"callback_url": HOOK + "?a=1", "callback_secret": SECRET}, "callback_url", "no query"),
        ({"callback_url": HOOK + "#a", "callback_secret": SECRET}, "callback_url", "no fragment"),
    ],
)
def test_callbacks_of_a_domain(more: dict[str, Any], name: str, rule: str) -> None:
    problems = refused(domain(**more))
    assert [*problems] == [f'domains."sip.example.com".{name}']
    assert rule in next(iter(problems.values()))


def test_callbacks_without_tls_must_be_allowed() -> None:
    hooked = domain(callback_url="http://localhost:8000", callback_secret=SECRET)
    assert "https://" in refused(hooked)['domains."sip.example.com".callback_url']
    ae.Settings(**hooked, callbacks={"allow_http": True})


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"recorder": {"token_key": "short"}}, "recorder.token_key"),
        ({"recorder": {"token_key": 5}}, "recorder.token_key"),
        ({"recorder": {"token_key": CANARY}, "token_key": CANARY}, "recorder.token_key"),
        ({"recorder": {"control_url": HOOK}}, "recorder.control_secret"),
        ({"recorder": {"expires_after_s": 0}}, "recorder.expires_after_s"),
        ({"recorder": {"temp_buckets": ["../up"]}}, "recorder.temp_buckets[0]"),
        ({"callbacks": {"timeout_s": "inf"}}, "callbacks.timeout_s"),
        ({"callbacks": {"attempts": 0}}, "callbacks.attempts"),
    ],
)
def test_single_fields(values: dict[str, Any], path: str) -> None:
    assert [*refused(values)] == [path]


def test_one_way_of_control() -> None:
    both = {"control_url": HOOK, "control_secret": SECRET, "control_queue": "https://queue"}
    assert [*refused({"recorder": both})] == ["recorder.control_queue"]


def test_the_environment_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIOENGINE_CALLBACKS__TIMEOUT_S", "2.5")
    monkeypatch.setenv("AUDIOENGINE_CALLBACKS__NEW_CALL_DEFAULT", "false")
    monkeypatch.setenv("AUDIOENGINE_RECORDER__TEMP_BUCKETS", '["other"]')
    monkeypatch.setenv("AUDIOENGINE_DOMAINS", json.dumps(domain(event_topic="t")["domains"]))
    settings = ae.Settings()
    assert settings.callbacks.timeout_s == 2.5
    assert not settings.callbacks.new_call_default
    assert settings.recorder.temp_buckets == ("other",)
    assert settings.domains["sip.example.com"].event_topic == "t"
