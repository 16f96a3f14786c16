# SPDX-License-Identifier: Apache-2.0
"""newCall: asked over real HTTP, answered in time, and alarms where it is not."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

import audioengine as ae
from audioengine.service.delivery import Delivery
from audioengine.service.recorder.new_call import NewCall, ask_new_call, raise_alarm
from tests.commands.reference import ALARMS as ALARM_EXAMPLES
from tests.execution.service import ALARMS, DOMAIN, OTHER, RECORDING
from tests.service.recorder import deployment
from tests.service.recorder.deployment import Post
from tests.service.recorder.servers import Host, answering, dripping, reset, silent
from tests.service.recorder.test_callbacks import check_signature

CALL = NewCall(
    domain=DOMAIN, recording_id=RECORDING, meta_data="<xml>", sip_rec_call_id=7260041678961334000
)


def decided(call: NewCall, settings: ae.Settings, delivery: Delivery) -> bool:
    """The decision; its alarm is told."""
    decision = ask_new_call(call, settings)
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
        assert decided(CALL, settings, post.delivery) is said
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
    assert decided(CALL, deployment.settings(tenant.url), post.delivery)
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
    assert decided(CALL, settings, post.delivery) is default
    assert alarm(post)["statusCode"] == 200
    assert "recordCall" in alarm(post)["error"]


def test_a_redirect_is_not_followed(tenant: Host, recorder: Host) -> None:
    recorder.always = answering(200, b'{"recordCall": false}')
    tenant.always = answering(307, location=recorder.url)
    post = Post()
    assert decided(CALL, deployment.settings(tenant.url), post.delivery)
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
    assert not decided(CALL, settings, post.delivery)
    assert time.monotonic() - before < 3
    assert not {"statusCode", "statusMessage"} & alarm(post).keys()
    assert alarm(post)["error"].startswith("Error calling newCall API: ")


def test_where_there_is_nobody_to_ask(tenant: Host) -> None:
    post = Post()
    call = NewCall(domain=OTHER, recording_id=RECORDING)
    for default in (True, False):
        settings = deployment.settings(tenant.url, callbacks={"new_call_default": default})
        assert decided(call, settings, post.delivery) is default
    assert post.letters == []


def test_an_alarm_that_can_not_be_told_is_logged(
    tenant: Host, caplog: pytest.LogCaptureFixture
) -> None:
    tenant.always = answering(500)
    post = Post(error=ae.StorageError("the disk is full"))
    assert decided(CALL, deployment.settings(tenant.url), post.delivery)
    assert "alarm is lost" in caplog.text
    assert "apiRequestError" in caplog.text
