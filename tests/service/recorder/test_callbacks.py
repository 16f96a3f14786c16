# SPDX-License-Identifier: Apache-2.0
"""Callbacks: their bodies, their signature, and who is called, over real HTTP."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import ssl
import time
from contextlib import closing
from datetime import datetime, timedelta, timezone
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

import audioengine as ae
from audioengine.commands.events import parse_event
from audioengine.execution.outcome import Notification
from audioengine.service.notifications.callbacks import CallbackSender, callback_letter
from audioengine.service.notifications.delivery import Delivery
from audioengine.service.notifications.letter import Channel, Letter, Sender
from audioengine.service.notifications.outbox import Outbox
from audioengine.service.notifications.webhook_client import post, signed
from tests.commands.reference import CALLBACKS, EVENTS
from tests.execution.service import ALARMS, DOMAIN, OTHER
from tests.service.recorder import deployment
from tests.service.recorder.deployment import SECRET
from tests.service.recorder.servers import (
    Asked,
    Handler,
    Host,
    Reply,
    answering,
    dripping,
    endless,
    reset,
    silent,
)

pytestmark = pytest.mark.usefixtures("impatient")


STORED, _ = parse_event(next(one for one in EVENTS if one["event"] == "RECORDINGSTORED"))


def letter_of(name: str, domain: str = DOMAIN) -> Letter:
    return Letter(
        channel="callback", address=domain, body='{"a": "ü"}', attributes={"callback": name}
    )


LETTER = letter_of("recordingStored")
IMPLIED = ["recordingStored", "recordingDeleted", "recordingsMerged"]


def check_signature(asked: Asked) -> None:
    """As a tenant does, who knows the secret."""
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    told = (asked.headers["webhook-id"], asked.headers["webhook-timestamp"], asked.body.decode())
    digest = hmac.new(key, ".".join(told).encode(), hashlib.sha256).digest()
    version, _, signature = asked.headers["webhook-signature"].partition(",")
    assert version == "v1"
    assert base64.b64decode(signature) == digest
    assert abs(time.time() - int(told[1])) < 60


# What they say


@pytest.mark.parametrize("name", CALLBACKS)
def test_bodies_are_those_of_the_reference(name: str) -> None:
    """Out of the event with every key that either form has."""
    example = CALLBACKS[name]
    more = {"calledParty": "user123", "reason": "why", "warning": "rtpTimeout"}
    event = {**more, "event": name.upper(), **example, "relatedRecordings": []}
    settings = ae.Settings(
        domains={
            example["domain"]: {
                "buckets": [],
                "callback_url": "https://tenant.example.com/",
                "callback_secret": SECRET,
            }
        }
    )
    letter = callback_letter(event, example["domain"], settings)
    assert letter is not None
    assert (letter.address, letter.attributes) == (example["domain"], {"callback": name})
    assert json.loads(letter.body) == example


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: str(event["event"]))
def test_implied_callbacks_are_the_event_and_failures_have_none(event: dict[str, Any]) -> None:
    settings = deployment.settings("https://tenant.example.com/calls")
    letter = callback_letter(event, DOMAIN, settings)
    names = {name.upper(): name for name in [*IMPLIED, *CALLBACKS]}
    name = names.get(event["event"])
    assert (letter is None) is (name is None)
    if letter is not None and name in IMPLIED:
        assert (letter.address, letter.attributes) == (DOMAIN, {"callback": name})
        assert letter.body == json.dumps(event)
    for other in (OTHER, "unknown.example.com", None):
        assert callback_letter(event, other, settings) is None


@pytest.mark.parametrize(
    ("event", "name"),
    [
        ("STORERECORDINGFAILED", "storeRecordingFailed"),
        ("DELETERECORDINGFAILED", "deleteRecordingFailed"),
        ("MERGERECORDINGSFAILED", "mergeRecordingsFailed"),
    ],
)
def test_failures_have_callbacks_where_that_is_set(event: str, name: str, tenant: Host) -> None:
    (example,) = (one for one in EVENTS if one["event"] == event)
    settings = deployment.settings(tenant.url, callbacks={"failures": True})
    letter = callback_letter(example, DOMAIN, settings)
    assert letter is not None
    assert letter.attributes == {"callback": name}
    CallbackSender(settings).send(letter)
    (asked,) = tenant.asked
    assert asked.path.endswith(f"/{name}")
    assert json.loads(asked.body) == example
    check_signature(asked)
    assert callback_letter(example, DOMAIN, deployment.settings(tenant.url)) is None


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """The figures are those of its own library."""
    secret = SecretStr("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signed(
        secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', timestamp_s=1614265330
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


# How they go out


def test_a_callback_is_posted_and_signed(tenant: Host) -> None:
    CallbackSender(deployment.settings(tenant.url + "/calls/")).send(LETTER)
    (asked,) = tenant.asked
    assert (asked.method, asked.path) == ("POST", "/calls/recordingStored")
    assert asked.body.decode() == LETTER.body
    assert asked.headers["content-type"] == "application/json"
    check_signature(asked)


def test_repeats_have_the_same_id_and_other_messages_another(tenant: Host) -> None:
    sender = CallbackSender(deployment.settings(tenant.url))
    for letter in (LETTER, LETTER, letter_of("recordingDeleted")):
        sender.send(letter)
    first, again, another = (asked.headers["webhook-id"] for asked in tenant.asked)
    assert first == again != another


@pytest.mark.parametrize("status", [500, 503, 429, 408, 401, 403, None])
def test_what_may_pass_is_tried_again(status: int | None, tenant: Host) -> None:
    tenant.replies = [reset if status is None else answering(status)] * 2
    CallbackSender(deployment.settings(tenant.url)).send(LETTER)
    assert len(tenant.asked) == 3
    for asked in tenant.asked:
        check_signature(asked)


@pytest.mark.parametrize(
    ("reply", "told"), [(answering(502), "502 Bad Gateway"), (reset, "can't reach")]
)
def test_what_does_not_pass_may_later(reply: Reply, told: str, tenant: Host) -> None:
    tenant.always = reply
    with pytest.raises(ae.StorageError, match=told) as caught:
        CallbackSender(deployment.settings(tenant.url, callbacks={"attempts": 2})).send(LETTER)
    assert caught.value.retryable
    assert LETTER.address in str(caught.value)
    assert len(tenant.asked) == 2


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 404, 410])
def test_other_answers_are_final(status: int, tenant: Host, recorder: Host) -> None:
    """A redirect is one of them: nobody else is called."""
    tenant.always = answering(status, location=recorder.url + "/recordingStored")
    with pytest.raises(ae.StorageError, match=str(status)) as caught:
        CallbackSender(deployment.settings(tenant.url)).send(LETTER)
    assert not caught.value.retryable
    assert len(tenant.asked) == 1
    assert recorder.asked == []


def test_a_refusal_holds_up_no_other(tenant: Host, tmp_path: Path) -> None:
    """Neither at the first time nor later; an alarm tells of each, once."""
    settings = deployment.settings(tenant.url, callbacks={"attempts": 1})
    topics = deployment.Post()
    senders: dict[Channel, Sender] = {"topic": topics, "callback": CallbackSender(settings)}
    with closing(Outbox(tmp_path / "outbox.db", first_pause_s=0)) as box:

        def tell(name: str) -> None:
            delivery = Delivery(senders, box, callback=lambda _event, _domain: letter_of(name))
            delivery.deliver(Notification(event=STORED, alarm_topic=ALARMS), command=None)

        def alarms() -> list[str]:
            return [json.loads(one.body)["type"] for one in topics.letters]

        tenant.replies = [answering(404)]
        tell("recordingStored")
        box.flush(senders)
        assert box.depth() == 0
        assert alarms() == ["eventNotificationError"]
        tell("recordingStored")
        tell("recordingDeleted")
        tenant.replies = [answering(503), answering(404), answering(200)]
        box.flush(senders)
        assert box.depth() == 0
        assert alarms() == ["eventNotificationError"] * 2
    paths = ["/recordingStored"] * 3 + ["/recordingDeleted"]
    assert tenant.paths == paths


@pytest.mark.parametrize("reply", [silent, dripping])
def test_a_slow_tenant_is_given_up(reply: Reply, tenant: Host) -> None:
    tenant.always = reply
    settings = deployment.settings(tenant.url, callbacks={"attempts": 1, "timeout_s": 0.3})
    before = time.monotonic()
    with pytest.raises(ae.StorageError, match=r"no answer in 0\.3 s") as caught:
        CallbackSender(settings).send(LETTER)
    assert caught.value.retryable
    assert time.monotonic() - before < 3


def test_of_an_endless_answer_the_beginning_is_read(tenant: Host) -> None:
    tenant.always = endless
    answer = post(tenant.url, "{}", SecretStr(SECRET), timeout_s=5)
    assert answer.status == 200
    assert len(answer.body) < 1 << 20


def test_nobody_is_called_whom_settings_do_not_name(tenant: Host) -> None:
    sender = CallbackSender(deployment.settings(tenant.url))
    for letter in (
        letter_of("recordingStored", OTHER),
        letter_of("recordingStored", "unknown.example.com"),
        letter_of("recordingStored", tenant.url),
        letter_of("newCall"),
        letter_of("../recordingStored"),
        letter_of(""),
        Letter(channel="callback", address=DOMAIN, body="{}"),
    ):
        with pytest.raises(ae.StorageError, match="name no callback_url") as caught:
            sender.send(letter)
        assert not caught.value.retryable
    assert tenant.asked == []


def test_proxies_of_the_environment_are_not_used(
    tenant: Host, recorder: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, recorder.url)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    CallbackSender(deployment.settings(tenant.url)).send(LETTER)
    assert len(tenant.asked) == 1
    assert recorder.asked == []


def test_what_tenants_answer_is_not_told(tenant: Host) -> None:
    def chatty(handler: Handler) -> None:
        handler.answer(400, b"canary")

    tenant.always = chatty
    with pytest.raises(ae.StorageError) as caught:
        CallbackSender(deployment.settings(tenant.url)).send(LETTER)
    assert "canary" not in str(caught.value)
    assert SECRET not in str(caught.value)


# Over TLS


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    now = datetime.now(timezone.utc)
    local = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(local, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("authority")
    (folder / "ca.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return folder / "ca.pem", folder / "key.pem"


def test_hosts_must_be_vouched_for(tenant: Host, authority: tuple[Path, Path]) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority)
    tenant.socket = context.wrap_socket(tenant.socket, server_side=True)
    hook = tenant.url.replace("http://", "https://")
    options = {"allow_http": False, "attempts": 1}
    with pytest.raises(ae.StorageError, match="ConnectError") as caught:
        CallbackSender(deployment.settings(hook, callbacks=options)).send(LETTER)
    assert caught.value.retryable
    assert tenant.asked == []
    trusting = {**options, "ca_file": str(authority[0])}
    CallbackSender(deployment.settings(hook, callbacks=trusting)).send(LETTER)
    assert len(tenant.asked) == 1
    missing = {**options, "ca_file": "gone.pem"}
    with pytest.raises(ae.StorageError, match="ca_file"):
        CallbackSender(deployment.settings(hook, callbacks=missing)).send(LETTER)
