# SPDX-License-Identifier: Apache-2.0
"""A deployment with one tenant who is called back, and one who is not."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt

import audioengine as ae
from audioengine.service.notifications.delivery import Delivery
from audioengine.service.notifications.letter import Letter, Sender
from audioengine.service.recorder.wiring import callbacks_of
from tests.execution.service import (
    ALARMS,
    DOMAIN,
    EVENTS,
    KEPT,
    KEY,
    OTHER,
    OTHERS,
    QUEUE,
    RECORDING,
    TEMP,
    TEMP_KEY,
)

SECRET = "whsec_" + b64encode(b"a secret of the tests, long enough").decode()
RECORDER_KEY = "the key of a recorder that the tests have, and nobody else, long enough"
OTHER_EVENTS = EVENTS + "-of-others"
START = 1_557_932_777_523

META = (
    '{"recordingsPartsInfo": {"callerStreams": [{"start": 1557932777534, "ssrc": 2408484501}], '
    '"calleeStreams": [{"start": 1557932777523, "ssrc": 197496009}]}}'
)


def settings(hook: str | None = None, **more: Any) -> ae.Settings:
    """Settings; `hook` is where the tenant is called back. Tables in `more` add to the others."""
    tenant: dict[str, Any] = {"buckets": [KEPT]}
    if hook is not None:
        tenant |= {"callback_url": hook, "callback_secret": SECRET}
    other = {"buckets": [OTHERS], "event_topic": OTHER_EVENTS}
    values: dict[str, Any] = {
        "token_key": KEY,
        "domains": {DOMAIN: tenant, OTHER: other},
        "fallbacks": {
            "command_queue": QUEUE,
            "event_topic": EVENTS,
            "alarm_topic": ALARMS,
            "temp_bucket": TEMP,
        },
        "callbacks": {"allow_http": True, "timeout_s": 5},
        "recorder": {"token_key": RECORDER_KEY},
    }
    for name, value in more.items():
        values[name] = {**values.get(name, {}), **value} if isinstance(value, dict) else value
    return ae.Settings(**values)


@dataclass
class Post(Sender):
    """Keeps what is sent."""

    letters: list[Letter] = field(default_factory=list)
    error: ae.StorageError | None = None

    def delivery(self, settings: ae.Settings) -> Delivery:
        """What sends it all here, and has no outbox."""
        return Delivery({"topic": self, "callback": self}, None, callback=callbacks_of(settings))

    def send(self, letter: Letter) -> None:
        if self.error is not None:
            raise self.error
        self.letters.append(letter)

    def to(self, address: str) -> list[Letter]:
        return [one for one in self.letters if one.address == address]


def report(event: str, **more: Any) -> dict[str, Any]:
    """A report of the recorder; a key that is None is left out."""
    told = {"event": event, "domain": DOMAIN, "recordingId": RECORDING}
    if event == "RECORDINGREADY":
        told |= {"meta": META, "tempKey": TEMP_KEY}
    return {name: value for name, value in {**told, **more}.items() if value is not None}


def claims_of(reply_id: str) -> Mapping[str, Any]:
    """What a replyId says, once it is verified."""
    claims: dict[str, Any] = jwt.decode(reply_id, KEY, algorithms=["HS256"])
    return claims


def recorder_token(key: str = RECORDER_KEY, algorithm: str = "HS256", **claims: Any) -> str:
    """What a recorder shows; a claim that is None is left out."""
    values = {"aud": "audioengine-recorder", "exp": int(time.time()) + 60, **claims}
    given = {name: value for name, value in values.items() if value is not None}
    return jwt.encode(given, key, algorithm=algorithm)
