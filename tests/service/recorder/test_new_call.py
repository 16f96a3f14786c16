# SPDX-License-Identifier: Apache-2.0
"""newCall: asked over real HTTP, answered in time, and alarms where it is not."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from typing import Any

import pytest

import audioengine as ae
from audioengine.service.notifications.callbacks import CALLBACK, CallbackSender
from audioengine.service.notifications.delivery import Delivery
from audioengine.service.notifications.letter import Letter
from audioengine.service.recorder.new_call import Decision, NewCall, NewCalls, raise_alarm
from tests.commands.reference import ALARMS as ALARM_EXAMPLES
from tests.execution.service import ALARMS, DOMAIN, KEPT, OTHER, OTHERS, RECORDING
from tests.service.recorder import deployment
from tests.service.recorder.deployment import SECRET, Post
from tests.service.recorder.servers import Host, answering, dripping, reset, silent
from tests.service.recorder.test_callbacks import check_signature
from tests.service.site import wait_for

CALL = NewCall(
    domain=DOMAIN, recording_id=RECORDING, meta_data="<xml>", sip_rec_call_id=7260041678961334000
)


def decided(call: NewCall, settings: ae.Settings, delivery: Delivery) -> bool:
    """The decision; its alarm is told."""
    decision = asyncio.run(NewCalls(settings).decide(call))
    if decision.alarm is not None:
        raise_alarm(decision.alarm, delivery)
    return decision.record


def alarm(post: Post) -> dict[str, Any]:
    (letter,) = post.letters
    assert letter.address == ALARMS
    assert letter.attributes["event"] == "apiRequestError"
    told: dict[str, Any] = json.loads(letter.body)
    return told


@pytest.mark.parametrize("said", [True, False])
def test_the_tenant_decides(said: bool, tenant: Host) -> None:
    tenant.always = answering(200, json.dumps({"recordCall": said, "more": 1}).encode())
    post = Post()
    for default in (True, False):
        settings = deployment.settings(tenant.url + "/api", callbacks={"new_call_default": default})
        assert decided(CALL, settings, post.delivery(settings)) is said
    assert post.letters == []
    asked = tenant.asked[0]
    assert (asked.method, asked.path) == ("POST", "/api/newCall")
    assert asked.json == {
        "recordingId": RECORDING,
        "metaData": "<xml>",
        "sipRecCallId": 7260041678961334000,
    }
    check_signature(asked)


def test_the_alarm_is_that_of_the_reference(tenant: Host) -> None:
    (example,) = (one for one in ALARM_EXAMPLES if one["type"] == "apiRequestError")
    tenant.always = answering(500)
    post = Post()
    assert decided(
        CALL, deployment.settings(tenant.url), post.delivery(deployment.settings(tenant.url))
    )
    assert list(alarm(post)) == list(example)
    assert alarm(post) == {
        **example,
        "domain": DOMAIN,
        "requestUri": tenant.url + "/newCall",
    }
    assert len(tenant.asked) == 1


@pytest.mark.parametrize("default", [True, False])
@pytest.mark.parametrize(
    "body", [b"", b"null", b"{}", b'{"recordCall": "true"}', b'{"recordCall": 1}', b"[" * 60_000]
)
def test_an_answer_that_can_not_be_understood(
    body: bytes,
    default: bool,
    tenant: Host,
) -> None:
    tenant.always = answering(200, body)
    post = Post()
    settings = deployment.settings(tenant.url, callbacks={"new_call_default": default})
    assert decided(CALL, settings, post.delivery(settings)) is default
    assert alarm(post)["statusCode"] == 200
    assert "recordCall" in alarm(post)["error"]


def test_a_redirect_is_not_followed(tenant: Host, recorder: Host) -> None:
    recorder.always = answering(200, b'{"recordCall": false}')
    tenant.always = answering(307, location=recorder.url)
    post = Post()
    assert decided(
        CALL, deployment.settings(tenant.url), post.delivery(deployment.settings(tenant.url))
    )
    assert alarm(post)["statusCode"] == 307
    assert recorder.asked == []


@pytest.mark.parametrize("reply", [silent, dripping, reset])
def test_no_answer_in_time(reply: Any, tenant: Host) -> None:
    """There is no status then."""
    tenant.always = reply
    settings = deployment.settings(
        tenant.url, callbacks={"new_call_timeout_s": 0.3, "new_call_default": False}
    )
    post = Post()
    before = time.monotonic()
    assert not decided(CALL, settings, post.delivery(settings))
    assert time.monotonic() - before < 3
    assert not {"statusCode", "statusMessage"} & alarm(post).keys()
    assert alarm(post)["error"].startswith("Error calling newCall API: ")


def test_where_there_is_nobody_to_ask(tenant: Host) -> None:
    post = Post()
    call = NewCall(domain=OTHER, recording_id=RECORDING)
    for default in (True, False):
        settings = deployment.settings(tenant.url, callbacks={"new_call_default": default})
        assert decided(call, settings, post.delivery(settings)) is default
    assert post.letters == []


def test_an_alarm_that_can_not_be_told_is_logged(
    tenant: Host, caplog: pytest.LogCaptureFixture
) -> None:
    tenant.always = answering(500)
    post = Post(error=ae.StorageError("the disk is full"))
    assert decided(
        CALL, deployment.settings(tenant.url), post.delivery(deployment.settings(tenant.url))
    )
    assert "alarm is lost" in caplog.text
    assert "apiRequestError" in caplog.text


def called_back(url: str, other_url: str) -> dict[str, Any]:
    """Two tenants."""
    return {
        DOMAIN: {"buckets": [KEPT], "callback_url": url, "callback_secret": SECRET},
        OTHER: {"buckets": [OTHERS], "callback_url": other_url, "callback_secret": SECRET},
    }


def test_one_tenant_that_hangs_makes_no_call_of_another_wait(tenant: Host, recorder: Host) -> None:
    """Nor very many of its own: beyond a limit, the default counts at once."""
    tenant.always = silent
    recorder.always = answering(200, b'{"recordCall": false}')
    settings = deployment.settings(
        tenant.url,
        domains=called_back(tenant.url, recorder.url),
        callbacks={"new_call_timeout_s": 5, "new_call_concurrency": 4},
    )
    now = [0.0]
    calls = NewCalls(settings, lambda: now[0])

    async def all_of_it() -> list[Decision]:
        hanging = [asyncio.create_task(calls.decide(CALL)) for _ in range(4)]
        await asyncio.to_thread(wait_for, lambda: len(tenant.asked) == 4)
        begun = time.monotonic()
        beyond = [await calls.decide(CALL) for _ in range(200)]
        assert [one.record for one in beyond] == [True] * 200
        assert [one.alarm is not None for one in beyond] == [True] + [False] * 199
        now[0] += 61
        assert (await calls.decide(CALL)).alarm is not None
        other = NewCall(domain=OTHER, recording_id=RECORDING)
        assert [(await calls.decide(other)).record for _ in range(5)] == [False] * 5
        assert time.monotonic() - begun < 3
        assert len(tenant.asked) == 4
        return await asyncio.gather(*hanging)

    decided = asyncio.run(all_of_it())
    assert [(one.record, one.alarm is not None) for one in decided] == [(True, True)] * 4
    tenant.always = answering(200, b'{"recordCall": false}')
    assert not asyncio.run(calls.decide(CALL)).record  # there is room again


def test_a_resolver_that_hangs_holds_up_its_name_alone(
    tenant: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And each question no longer than it may take; however many, one thread waits for it."""
    look_up, may = socket.getaddrinfo, threading.Event()
    looked: list[str] = []

    def slow(host: Any, *more: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else str(host)
        looked.append(name)
        if name == "slow.example.com":
            assert may.wait(60)
        return look_up("127.0.0.1", *more)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    tenant.always = answering(200, b'{"recordCall": false}')
    port = tenant.url.rpartition(":")[2]
    domains = called_back(f"http://slow.example.com:{port}", f"http://quick.example.com:{port}")
    settings = deployment.settings(domains=domains, callbacks={"new_call_timeout_s": 0.5})
    calls = NewCalls(settings)
    other = NewCall(domain=OTHER, recording_id=RECORDING)

    async def all_of_it() -> None:
        hanging = [asyncio.create_task(calls.decide(CALL)) for _ in range(30)]
        await asyncio.sleep(0)
        assert not (await calls.decide(other)).record
        assert [(await one).record for one in hanging] == [True] * 30

    begun = time.monotonic()
    asyncio.run(all_of_it())
    sender = CallbackSender(deployment.settings(domains=domains, callbacks={"timeout_s": 0.3}))
    with pytest.raises(ae.StorageError, match=r"no answer in 0\.3 s"):
        sender.send(
            Letter(
                channel="callback",
                address=DOMAIN,
                body="{}",
                attributes={CALLBACK: "recordingReady"},
            )
        )
    assert time.monotonic() - begun < 6
    assert looked.count("slow.example.com") == 1
    may.set()
    wait_for(lambda: decided(other, settings, Post().delivery(settings)) is False, 5)


def test_a_name_that_is_not_there_may_be_there_later(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Any:
        raise socket.gaierror("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    settings = deployment.settings("http://no.example.com", callbacks={"new_call_default": False})
    post = Post()
    assert not decided(CALL, settings, post.delivery(settings))
    assert "ConnectError" in alarm(post)["error"]
