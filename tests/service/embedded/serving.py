# SPDX-License-Identifier: Apache-2.0
"""`audioengine serve --embedded` as a process, as anybody would start it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.support import FIXTURES

ROOT = FIXTURES.parent
DOMAIN = "demo.example.com"
PATIENCE_S = 60


@dataclass
class Service:
    """A service that runs."""

    folder: Path
    process: subprocess.Popen[bytes]
    url: str

    def post(self, path: str, values: object, token: str = "token") -> httpx.Response:
        """A request with one of the folder's tokens."""
        bearer = (self.folder / token).read_text().strip()
        headers = {"Authorization": f"Bearer {bearer}"}
        return httpx.post(f"{self.url}/{path}", json=values, headers=headers, trust_env=False)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)

    def shown(self) -> list[Any]:
        """What it has printed."""
        return lines(self.folder / "printed")


@contextmanager
def service(folder: Path) -> Iterator[Service]:
    """Serve in a folder, and leave no process behind."""
    folder.mkdir(exist_ok=True)
    errors = folder / "errors"
    with (folder / "printed").open("ab") as out, errors.open("wb") as err:
        run = subprocess.Popen(
            [sys.executable, "-m", "audioengine", "serve", "--embedded", folder, "--port", "0"],
            cwd=ROOT,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
    try:
        wait_for(lambda: run.poll() is not None or "alarms" in errors.read_text())
        assert run.poll() is None, errors.read_text()
        yield Service(folder, run, errors.read_text().splitlines()[0])
    finally:
        with suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)
        run.wait()


def lines(path: Path) -> list[Any]:
    """The lines of JSON in a file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def events(folder: Path) -> list[Mapping[str, Any]]:
    """Events and alarms that went out."""
    return [line["message"] for line in lines(folder / "topics.jsonl")]


def names(folder: Path) -> list[str]:
    """Those of events, in order."""
    return [one["event"] for one in events(folder)]


def wait_for(what: Callable[[], bool]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)


def is_gone(group: int) -> bool:
    """Whether no process of a group is left."""
    with suppress(ProcessLookupError):
        os.killpg(group, 0)
        return False
    return True
