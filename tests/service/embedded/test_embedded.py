# SPDX-License-Identifier: Apache-2.0
"""The whole service in one: the README's walk-through, and how it begins, ends and goes on."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import numpy as np
import pytest
from click.testing import CliRunner

import audioengine as ae
from audioengine.cli import main
from audioengine.service import embedded
from audioengine.service.queue_embedded import EmbeddedQueue
from tests.service.embedded.serving import (
    DOMAIN,
    ROOT,
    Service,
    events,
    is_gone,
    names,
    service,
    wait_for,
)
from tests.support import FIXTURES

README = (ROOT / "README.md").read_text(encoding="utf-8")
WALK = re.findall(r"^```bash\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
META = '{"recordingsPartsInfo": {"callerStreams": [{"start": 1728890677283}]}}'

# For machines without it.
CURL = """
import sys, httpx
given = dict(zip(sys.argv[1:], sys.argv[2:]))
pairs = [two for one, two in zip(sys.argv, sys.argv[1:]) if one == "-H"]
headers = dict(pair.split(": ", 1) for pair in pairs)
print(httpx.post(sys.argv[1], headers=headers, content=given["-d"], trust_env=False).text)
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("embedded")) as made:
        yield made


def script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\nexec {sys.executable} {text}\n")
    path.chmod(0o755)


@pytest.mark.skipif(shutil.which("bash") is None, reason="the walk-through is for bash")
def test_the_walk_through_of_the_readme(running: Service, tmp_path: Path) -> None:
    """Each step is answered and told of, and what was to be masked is."""
    script(tmp_path / "audioengine", '-m audioengine "$@"')
    if shutil.which("curl") is None:
        (tmp_path / "curl.py").write_text(CURL)
        script(tmp_path / "curl", f'{tmp_path / "curl.py"} "$@"')
    (walk,) = WALK
    # As it stands, but for a virtual environment that need not be there.
    walk = walk.replace(".venv/bin", str(tmp_path))
    told = {"DIR": str(running.folder), "URL": running.url, "PATH": os.environ["PATH"]}
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", walk],
        cwd=ROOT,
        env=told,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.count('{"success":true}') == 3
    sequence = ["RECORDINGREADY", "RECORDINGSTORED", *["RECORDINGREADY"] * 3]
    sequence += ["RECORDINGSMERGED", "RECORDINGDELETED"]
    assert names(running.folder) == sequence
    for name in sequence:
        assert f'"event": "{name}"' in ran.stdout
    outputs = running.folder / "buckets" / "recordings"
    mask = ae.Modification(mask={"caller": [ae.Interval(19.28, 24.838)]})
    verdict = ae.verify(FIXTURES / "demo-call.mp3", outputs / "call.mp3", mask)
    assert verdict.passed
    masked = ae.decode(outputs / "conference.mp3", 1.05, 2.45)
    assert is_beep(masked.caller, masked.rate_hz)
    assert not is_beep(masked.callee, masked.rate_hz)
    temporary = running.folder / "buckets" / "temporary"
    assert sorted(path.name for path in temporary.glob("*.mp3")) == [
        f"241014-leg-{leg}.mp3" for leg in "abc"
    ]
    wait_for(lambda: len(running.shown()) == len(sequence))
    assert [one["message"]["event"] for one in running.shown()] == sequence


def is_beep(samples: Any, rate_hz: int) -> bool:
    """Whether there is a sine of 1000 Hz and nothing else to speak of."""
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    hertz = np.fft.rfftfreq(len(samples), 1 / rate_hz)
    return bool(power[np.abs(hertz - 1000) < 50].sum() > 0.999 * power.sum())


def test_the_recorder_s_side(running: Service) -> None:
    """Reports over HTTP and by the queue, and a command on its way to the recorder."""
    before = len(events(running.folder))
    report = {"event": "RECORDINGSTARTED", "domain": DOMAIN, "recordingId": "by-http"}
    assert running.post("recorder/reports", report).status_code == 401
    answer = running.post("recorder/reports", report, "recorder-token")
    assert answer.json() == {"success": True}
    queue = EmbeddedQueue(running.folder / "reports.db")
    queue.send(json.dumps({**report, "recordingId": "by-queue"}), group="by-queue")
    wait_for(lambda: len(events(running.folder)) == before + 2)
    queue.close()
    told = {one["recordingId"]: one for one in events(running.folder)[before:]}
    assert told.keys() == {"by-http", "by-queue"}
    stop = {"recordingId": "by-http", "replyId": told["by-http"]["replyId"]}
    assert running.post(f"{DOMAIN}/stoprecording", stop).json() == {"success": True}
    control = EmbeddedQueue(running.folder / "control.db")
    (message,) = control.receive(1, 30)
    control.close()
    passed_on = {"method": "STOPRECORDING", "recordingId": "by-http", "domain": DOMAIN}
    assert json.loads(message.body) == passed_on


def test_operation(running: Service) -> None:
    ready = httpx.get(f"{running.url}/readyz", trust_env=False)
    assert ready.json() == {"ready": True, "checks": {"queue": "ok", "worker": "ok", "disk": "ok"}}
    figures = httpx.get(f"{running.url}/metrics", trust_env=False).text
    for name in ("audioengine_commands_held", "audioengine_outbox_depth", "audioengine_rest_"):
        assert name in figures


def test_what_was_queued_survives_a_kill(tmp_path: Path) -> None:
    """With kill -9, of the parent alone: no process is left, and another start goes on."""
    folder = prepared(tmp_path)
    stored = [f"r{number}.mp3" for number in range(6)]
    with service(folder) as first:
        reply = ingested(folder)
        for name in stored:
            assert first.post(f"{DOMAIN}/storerecording", store(reply, name)).is_success
        wait_for(lambda: "RECORDINGSTORED" in names(folder))
        first.process.kill()
        first.process.wait()
        wait_for(lambda: is_gone(first.process.pid))
        assert names(folder).count("RECORDINGSTORED") < len(stored)
    with service(folder) as second:
        kept = folder / "buckets" / "recordings"
        told = {"RECORDINGREADY", "RECORDINGSTORED"}
        wait_for(lambda: {one.get("fileName") for one in events(folder)} >= {*stored})
        assert set(names(folder)) == told
        assert {path.name for path in kept.glob("*.mp3")} == {*stored}
        assert second.stop() == 0
        wait_for(lambda: is_gone(second.process.pid))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_drains(number: signal.Signals, tmp_path: Path) -> None:
    """What is not begun waits in the queue, what is done is told; to a whole group as well."""
    folder = prepared(tmp_path)
    stored = [f"r{number}.mp3" for number in range(6)]
    with service(folder) as first:
        reply = ingested(folder)
        for name in stored:
            assert first.post(f"{DOMAIN}/storerecording", store(reply, name)).is_success
        wait_for(lambda: "RECORDINGSTORED" in names(folder))
        os.killpg(first.process.pid, number)
        assert first.process.wait(30) == 0
        wait_for(lambda: is_gone(first.process.pid))
    done = [one["fileName"] for one in events(folder) if one["event"] == "RECORDINGSTORED"]
    queue = EmbeddedQueue(folder / "commands.db")
    assert len(done) + queue.depth() == len(stored)
    assert done == stored[: len(done)]
    queue.close()
    assert not list(folder.rglob("*.audioengine-part"))
    assert len(first.shown()) == len(events(folder))
    # Nothing was ended in the middle, though all processes were asked to stop.
    assert "died" not in (folder / "errors").read_text()


def prepared(path: Path) -> Path:
    """The folder of a service that is quick to begin, and to take up what another has left."""
    folder = path / "service"
    embedded.prepare(folder)
    file = folder / "audioengine.toml"
    text = file.read_text()
    assert "visibility_s = 10" in text
    file.write_text(text.replace("visibility_s = 10", "visibility_s = 2\nprocesses = 1"))
    return folder


def ingested(folder: Path) -> str:
    """The replyId of a recording, put there while the service runs."""
    source, settings = str(FIXTURES / "demo-call.mp3"), str(folder / "audioengine.toml")
    arguments = ["ingest", source, "--meta", META, "--recording-id", "call", "--json"]
    result = CliRunner().invoke(main, [*arguments, "--settings", settings])
    assert result.exit_code == 0, result.output
    reply: str = json.loads(result.stdout)["event"]["replyId"]
    return reply


def store(reply: str, name: str) -> dict[str, Any]:
    mask = {"mask": {"caller": [{"from": 1000, "to": 2000}]}}
    return {
        "recordingId": "call",
        "replyId": reply,
        "destinationBucket": "recordings",
        "fileName": name,
        "modificationParams": mask,
    }


def test_secrets_are_made_once_and_are_nobody_else_s(tmp_path: Path) -> None:
    first = embedded.prepare(tmp_path / "a" / "b")
    assert embedded.prepare(tmp_path / "a" / "b") == first
    assert embedded.prepare(tmp_path / "c").token != first.token
    assert stat.S_IMODE(first.folder.stat().st_mode) == 0o700
    for name in ("audioengine.toml", "token", "recorder-token"):
        assert stat.S_IMODE((first.folder / name).stat().st_mode) == 0o600
    assert (first.folder / "token").read_text().strip() == first.token
    assert first.token not in repr(first)
    claims = jwt.decode(first.token, options={"verify_signature": False})
    assert claims["domain"] == DOMAIN
    assert claims["exp"] > time.time() + 86400


def test_a_token_that_counts_no_more_is_replaced(tmp_path: Path) -> None:
    first = embedded.prepare(tmp_path)
    key = first.settings.rest.keys["demo"].get_secret_value()
    old = jwt.encode({"aud": "audioengine", "domain": DOMAIN, "exp": 1}, key)
    for text in (old, "nonsense", ""):
        (tmp_path / "token").write_text(text)
        assert embedded.prepare(tmp_path).token not in (old, text)


def test_a_folder_that_was_moved(tmp_path: Path) -> None:
    embedded.prepare(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    with pytest.raises(ae.InvalidRequestError, match=r"worker\.embedded.*must be '.*/b'"):
        embedded.prepare(tmp_path / "b")


@pytest.mark.parametrize("table", ["rest.keys", "recorder"])
def test_keys_that_are_gone_are_named(tmp_path: Path, table: str) -> None:
    embedded.prepare(tmp_path)
    file = tmp_path / "audioengine.toml"
    text = re.sub(rf"\[{re.escape(table)}\]\n.*\n", f"[{table}]\n", file.read_text())
    file.write_text(text)
    with pytest.raises(ae.InvalidRequestError, match=rf"{table}\..*must be set"):
        embedded.prepare(tmp_path)


def test_what_can_not_be_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ae.StorageError, match="can't make"):
        embedded.prepare(tmp_path / "file" / "folder")


def test_its_folder_has_the_settings(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["serve", "--embedded", str(tmp_path), "--settings", "x"])
    assert result.exit_code == 2
    assert "--embedded" in result.output


def test_the_address_must_be_free(tmp_path: Path) -> None:
    """What was begun already ends."""
    place = embedded.prepare(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        rest = place.settings.rest.model_copy(update={"port": taken.getsockname()[1]})
        with pytest.raises(ae.StorageError, match="can't serve at"):
            embedded.serve_embedded(place, rest, ready=print, show=print)
    names = {one.name for one in threading.enumerate()}
    assert not names & {"worker", "topics", "reports", "outbox"}
