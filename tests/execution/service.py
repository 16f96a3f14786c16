# SPDX-License-Identifier: Apache-2.0
"""A deployment in memory: two tenants, their buckets, recordings and tokens."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import jwt

import audioengine as ae
from audioengine.commands.redaction import number
from tests.support import arguments, fixture

KEY = "a key of the tests that is long enough for HS256, and for HS512 as well"
DOMAIN, OTHER = "sip.example.com", "sip.example.org"
TEMP, KEPT, OTHERS = "temp", "kept", "others"
QUEUE = "https://sqs.eu-west-1.amazonaws.com/292435300779/commands"
EVENTS, ALARMS = "arn:aws:sns:eu-west-1:1:events", "arn:aws:sns:eu-west-1:1:alarms"
RECORDING = "0de2bc60-14da-11e9-a3d8-2f24dd9af78e"
START = 1_547_114_000_000
NAME = "mpeg25-8k-32k"
DATA = fixture(NAME)
TEMP_KEY = f"190110-{RECORDING}.mp3"
KEPT_NAME = f"{RECORDING}.mp3"
MASK = {"mask": {"caller": [{"from": 1, "to": 2}]}}


def settings(**more: Any) -> ae.Settings:
    """Settings of the deployment."""
    values = {
        "token_key": KEY,
        "domains": {DOMAIN: {"buckets": [KEPT]}, OTHER: {"buckets": [OTHERS]}},
    }
    return ae.Settings(**{**values, **more})


def storage(*, versioned: bool = False, start: object = START) -> ae.MemoryStorage:
    """A storage with one temporary recording."""
    made = ae.MemoryStorage(TEMP, KEPT, OTHERS, versioned=versioned)
    put(made, DATA, key=TEMP_KEY, start=start)
    made.requests.clear()
    return made


def put(
    storage: ae.MemoryStorage,
    data: bytes,
    *,
    key: str,
    domain: str | None = DOMAIN,
    start: object = None,
) -> None:
    """A temporary recording with its metadata."""
    metadata = {"domain": domain, "start-time-ms": start}
    given = {name: str(value) for name, value in metadata.items() if value is not None}
    storage.put(TEMP, key, data, given)


def token(key: str = KEY, algorithm: str = "HS256", **claims: Any) -> str:
    """A replyId; a claim that is None is left out."""
    values = {
        "domain": DOMAIN,
        "recordingId": RECORDING,
        "commandQueue": QUEUE,
        "eventTopic": EVENTS,
        "alarmTopic": ALARMS,
        "tempBucket": TEMP,
        "tempKey": TEMP_KEY,
        "iat": int(time.time()),
        **claims,
    }
    given = {name: value for name, value in values.items() if value is not None}
    return jwt.encode(given, key, algorithm=algorithm)


def store_command(**more: Any) -> dict[str, Any]:
    """A STORERECORDING; a key that is None is left out."""
    command = {
        "method": "STORERECORDING",
        "destinationBucket": KEPT,
        "modificationParams": MASK,
        "recordingId": RECORDING,
        "replyId": token(),
        **more,
    }
    return {name: value for name, value in command.items() if value is not None}


def merge_command(**more: Any) -> dict[str, Any]:
    """A MERGERECORDINGS of the one recording."""
    return {
        "method": "MERGERECORDINGS",
        "destinationBucket": KEPT,
        "toMerge": [{"recordingId": RECORDING, "startTime": START}],
        "replyId": token(),
        **more,
    }


def masked(params: Mapping[str, Any] | None = None, **more: Any) -> bytes:
    """What is to be kept of the recording."""
    out = io.BytesIO()
    ae.store(
        DATA, out, ae.Modification.from_params(params or MASK), **arguments(ae.StoreOptions, more)
    )
    return out.getvalue()


def delete_command(**more: Any) -> dict[str, Any]:
    """A DELETERECORDING."""
    return {
        "method": "DELETERECORDING",
        "recordingId": RECORDING,
        "replyId": token(),
        **more,
    }


def run(command: Mapping[str, Any] | str | bytes, storage: ae.Storage, **more: Any) -> ae.Outcome:
    """Execute with the deployment's settings, or others."""
    chosen = more.pop("settings", None) or settings()
    return ae.execute(command, storage, chosen, workers=1, **more)


def event_of(outcome: ae.Outcome) -> dict[str, Any]:
    """The event as it goes out."""
    assert outcome.event is not None
    return outcome.event.to_dict()


def epoch(value: object) -> float:
    """A time of an object's metadata."""
    return number(Decimal(str(value)))
