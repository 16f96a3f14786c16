# SPDX-License-Identifier: Apache-2.0
"""`audioengine serve` and `audioengine worker` as processes, with endpoints in their settings."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import tomli_w

from tests.execution.service import DOMAIN, KEY
from tests.service.cloud import Cloud, Topic
from tests.service.recorder.deployment import META, RECORDER_KEY, recorder_token
from tests.service.rest.deployment import REST_KEY, access
from tests.service.site import wait_for
from tests.support import FIXTURES, fixture

pytestmark = pytest.mark.slow

ROOT = FIXTURES.parent


@contextmanager
def verb(name: str, settings: Path) -> Iterator[Path]:
    """A verb that runs until it is asked to stop, and what it logs."""
    log = settings.with_suffix(".log")
    command = [sys.executable, "-m", "audioengine", name, "--settings", str(settings)]
    with log.open("wb") as stream, subprocess.Popen(command, cwd=ROOT, stderr=stream) as run:
        try:
            wait_for(lambda: b"\n" in log.read_bytes())
            yield log
            run.terminate()
            assert run.wait(30) == 0
        finally:
            run.kill()


def event(topic: Topic, name: str) -> dict[str, str]:
    """The next event, which must be this one."""
    heard: list[tuple[dict[str, str], dict[str, str]]] = []

    def any_heard() -> bool:
        heard.extend(topic.heard())
        return bool(heard)

    wait_for(any_heard)
    ((told, _),) = heard
    assert told["event"] == name
    return told


def post(url: str, token: str, values: object) -> None:
    bearer = {"Authorization": f"Bearer {token}"}
    answer = httpx.post(url, json=values, headers=bearer, trust_env=False)
    assert answer.json() == {"success": True}


def test_serve_and_worker_with_nothing_in_common_but_aws(cloud: Cloud, tmp_path: Path) -> None:
    """From the recorder's report to an output with a mask."""
    s3, topic = cloud.client("s3"), cloud.topic()
    for bucket in ("deployed-temp", "deployed-kept"):
        s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket="deployed-temp", Key="call.mp3", Body=fixture("mpeg25-8k-32k"))
    # Only serve may take reports, and only the worker commands: no outbox in common.
    values = {
        "token_key": KEY,
        "domains": {DOMAIN: {"buckets": ["deployed-kept"]}},
        "fallbacks": {
            "command_queue": cloud.queue_url(fifo=True, max_receives=3),
            "event_topic": topic.arn,
            "temp_bucket": "deployed-temp",
        },
        "storage": {"endpoint_url": cloud.url, "region": "us-east-1"},
        "worker": {"endpoint_url": cloud.url, "region": "us-east-1", "processes": 1, "wait_s": 1},
        "rest": {"keys": {"first": REST_KEY}, "port": 0},
        "recorder": {"token_key": RECORDER_KEY},
    }
    files = []
    for name in ("serve", "worker"):
        files.append(tmp_path / f"{name}.toml")
        values["worker"] = {**values["worker"], "outbox": str(tmp_path / f"{name}.db")}  # type: ignore[dict-item]
        files[-1].write_text(tomli_w.dumps(values))
    with verb("serve", files[0]) as log, verb("worker", files[1]):
        url = log.read_text().splitlines()[0]
        ready = {"event": "RECORDINGREADY", "domain": DOMAIN, "recordingId": "call", "meta": META}
        post(f"{url}/recorder/reports", recorder_token(), {**ready, "tempKey": "call.mp3"})
        reply = event(topic, "RECORDINGREADY")["replyId"]
        command = {"recordingId": "call", "replyId": reply, "destinationBucket": "deployed-kept"}
        mask = {"mask": {"caller": [{"from": 1000, "to": 2000}]}}
        path = f"{url}/{DOMAIN}/storerecording"
        post(path, access(), {**command, "modificationParams": mask})
        told = event(topic, "RECORDINGSTORED")
        figures = httpx.get(f"{url}/metrics", trust_env=False).text
        assert 'audioengine_letters_total{channel="topic",outcome="sent"} 1.0' in figures
    stored = s3.get_object(Bucket=told["destinationBucket"], Key=told["fileName"])["Body"].read()
    assert stored.startswith(b"\xff")
    assert stored != fixture("mpeg25-8k-32k")
