# SPDX-License-Identifier: Apache-2.0
"""What the tests of S3 store, and how they look at what was sent."""

from __future__ import annotations

import base64
from contextlib import closing
from dataclasses import replace
from hashlib import md5
from typing import Any

import audioengine as ae
from audioengine.storage import DestinationLike, open_destination
from tests.operations.helpers import Cut, recording
from tests.storage import servers
from tests.storage.servers import CUSTOMER_KEY

NAME = "mpeg25-8k-32k"
DATA = recording(NAME).data
EDIT = Cut((1000, 40_000), caller=((8000, 16_000),)).modification(8000)
START = 1_728_890_677_283
PLACE, PATH = "s3://bucket/calls/in.mp3", "/bucket/calls/in.mp3"
MIB = 1 << 20
CANARIES = (
    servers.ACCESS_KEY,
    servers.SECRET_KEY,
    servers.SESSION_TOKEN,
    CUSTOMER_KEY.decode(),
    base64.b64encode(CUSTOMER_KEY).decode(),
    md5(CUSTOMER_KEY).hexdigest(),
    base64.b64encode(md5(CUSTOMER_KEY).digest()).decode(),
    "canary",
    "AWS4-HMAC",
)


def told(report: ae.StoreReport | ae.MergeReport | ae.EncodeReport) -> object:
    """A report without the time that it took."""
    return replace(report, wall_seconds=0)


def write(place: DestinationLike, data: bytes, options: ae.S3Options | None = None) -> None:
    with closing(open_destination(place, options)) as staging:
        staging.write(data)
        staging.publish()


def given(request: Any, name: str) -> str:
    """A header of a request of botocore's."""
    value = request.headers.get(name, "")
    return value.decode() if isinstance(value, bytes) else str(value)


def asked_metadata(found: dict[str, Any]) -> dict[str, str]:
    """An object's metadata without the mark by which an upload knows its own object."""
    metadata: dict[str, str] = dict(found["Metadata"])
    assert len(metadata.pop("audioengine-upload")) == 32
    return metadata
