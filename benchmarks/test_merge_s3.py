# SPDX-License-Identifier: Apache-2.0
"""Memory of a merge of many recordings in S3, which moto emulates in another process."""

from __future__ import annotations

import os
from pathlib import Path

import boto3
import pytest

from benchmarks import peers
from benchmarks.material import FORMATS, talk_of
from benchmarks.results import record
from tests.storage.servers import ENVIRONMENT, moto_server

RECORDINGS = 1000
SECONDS = 60
MOST_MIB = 256
"""Peak of the whole process."""


def test_memory_of_a_thousand_recordings(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other, 16 hours and 40 minutes: all of them are open until the end."""
    call = talk_of(FORMATS["8k"], SECONDS, 0)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    with moto_server() as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="calls")
        data = call.path.read_bytes()
        for number in range(RECORDINGS):
            client.put_object(Bucket="calls", Key=f"{number}.mp3", Body=data)
        parts = [
            {
                "source": f"s3://calls/{number}.mp3",
                "start_ms": number * SECONDS * 1000,
                "conference_ms": None,
            }
            for number in range(RECORDINGS)
        ]
        target = scratch / "out.mp3"
        cost = peers.lone_parts(parts, target, "frame")
    assert target.stat().st_size > RECORDINGS * len(data) // 2
    assert os.environ["AWS_ENDPOINT_URL"] == url
    record(
        "Merge: peak resident memory",
        f"{RECORDINGS} recordings of {SECONDS} s in S3 (moto)",
        "audioengine",
        f"{cost['peak_mib']:.0f} MiB in {cost['seconds']:.0f} s",
        f"≤ {MOST_MIB} MiB",
        kept=cost["peak_mib"] <= MOST_MIB,
    )
