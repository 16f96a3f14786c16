# SPDX-License-Identifier: Apache-2.0
"""A deployment in memory for commands to be carried out in."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import jwt

import audioengine as ae
import fixtures

KEY = "a key for fuzzing that is long enough for HS256, and for HS512 too"
KEPT = "kept"
SOURCES = (("temp", "a.mp3"), ("temp", "b.mp3"))

_DOMAIN = "sip.example.com"
_START = 1_547_114_000_000


@cache
def settings() -> ae.Settings:
    """Of the deployment."""
    return ae.Settings(token_key=KEY, domains={_DOMAIN: {"buckets": [KEPT]}})


@cache
def _sound() -> bytes:
    # Three seconds, so that most inputs are quickly done with.
    return (Path(fixtures.__file__).parent / "mono-8k-16k.mp3").read_bytes()


def storage() -> ae.MemoryStorage:
    """Two temporary recordings, and a bucket to keep others in."""
    made = ae.MemoryStorage("temp", KEPT)
    for bucket, key in SOURCES:
        metadata = {"domain": _DOMAIN, "start-time-ms": str(_START)}
        made.put(bucket, key, _sound() + key.encode(), metadata)
    return made


def known(_domain: str, recording_id: str) -> ae.Known | None:
    """What is known of the two recordings."""
    key = f"{recording_id}.mp3"
    return ae.Known(_DOMAIN, _START, "temp", key) if ("temp", key) in SOURCES else None


@cache
def _token(recording: str, key: str) -> str:
    claims = {
        "domain": _DOMAIN,
        "recordingId": recording,
        "commandQueue": "https://sqs.eu-west-1.amazonaws.com/292435300779/commands",
        "eventTopic": "arn:aws:sns:eu-west-1:1:events",
        "tempBucket": "temp",
        "tempKey": key,
        "iat": _START // 1000,
    }
    return jwt.encode(claims, KEY, algorithm="HS256")


@cache
def templates() -> tuple[dict[str, Any], ...]:
    """Commands that would be carried out."""
    own = {"recordingId": "a", "replyId": _token("a", "a.mp3")}
    mask = {"mask": {"caller": [{"from": 0.5, "to": 1}]}}
    to_store = {"destinationBucket": KEPT, "fileName": "out.mp3", **own}
    entries = [
        {"recordingId": name, "startTime": start}
        for name, start in (("a", _START), ("b", _START + 2000))
    ]
    return (
        {"method": "STORERECORDING", **to_store, "modificationParams": mask},
        {"method": "DELETERECORDING", **own},
        {
            "method": "MERGERECORDINGS",
            "destinationBucket": KEPT,
            "fileName": "merged.mp3",
            "replyId": own["replyId"],
            "toMerge": entries,
        },
        {"method": "STORERECORDING", **to_store},
    )
