# SPDX-License-Identifier: Apache-2.0
"""The server as a process: what it needs, and how it ends."""

from __future__ import annotations

import asyncio
import http.client
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from audioengine.cli import main
from audioengine.service import endpoints as places
from audioengine.service import logs
from audioengine.service.rest.app import make_app
from audioengine.service.rest.serving import bound, server_of
from tests.execution.service import KEY, RECORDING
from tests.service.rest.deployment import (
    DOMAIN,
    REST_KEY,
    MemoryQueue,
    bearer,
    settings,
    token,
)

DELETE = {"recordingId": RECORDING, "replyId": token()}
SETTINGS = f"""
token_key = "{KEY}"
[rest]
port = 0
keys = {{ first = "{REST_KEY}" }}
"""
# A queue of the tests stands in for the settings' own.
PROGRAM = """
import sys
from tests.service.rest.test_serving import stand_in
stand_in(delay_s=1.0)
from audioengine.cli import main
main(sys.argv[1:])
"""


class Slow(MemoryQueue):
    """Tells when a command is on its way, and takes its time."""

    def send(self, body: str, *, group: str, attributes: Mapping[str, str] | None = None) -> str:
        print("sending", file=sys.stderr, flush=True)  # noqa: T201 - to the test
        return super().send(body, group=group, attributes=attributes)


def stand_in(delay_s: float = 0.0) -> None:
    vars(places)["queue_of"] = lambda _settings: Slow(delay_s=delay_s)
    vars(logs)["set_up_logs"] = lambda _level: None


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "audioengine.toml"
    made.write_text(SETTINGS)
    return made


@contextmanager
def process(file: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The verb, and its URL."""
    arguments = [sys.executable, "-c", PROGRAM, "serve", "--settings", str(file)]
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True) as run:
        assert run.stderr is not None
        try:
            yield run, run.stderr.readline().strip()
        finally:
            run.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_requests_under_way_are_answered(file: Path, number: signal.Signals) -> None:
    answers: list[httpx.Response] = []
    with process(file) as (run, url):
        assert httpx.get(f"{url}/healthz").status_code == 200
        path = f"{url}/{DOMAIN}/deleterecording"
        posting = threading.Thread(
            target=lambda: answers.append(httpx.post(path, json=DELETE, headers=bearer()))
        )
        posting.start()
        assert run.stderr is not None
        assert run.stderr.readline() == "sending\n"
        run.send_signal(number)
        posting.join()
        assert run.wait(timeout=10) == 0
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{url}/healthz")
    assert [one.json() for one in answers] == [{"success": True}]


def test_a_client_that_goes_on_is_told_when_to_stop(file: Path) -> None:
    """On a connection that is kept no request is lost: the last answer says that it is."""
    with process(file) as (run, url):
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
        connection.connect()
        connection.auto_open = 0
        ends = False
        for count in range(100_000):
            connection.request("GET", "/healthz")
            with connection.getresponse() as answer:
                assert (answer.status, answer.read()) == (200, b"{}")
                ends = answer.getheader("Connection") == "close"
            if ends:
                break
            if count == 10:
                run.send_signal(signal.SIGTERM)
        assert ends
        connection.close()
        assert run.wait(timeout=10) == 0


@pytest.fixture
def stood_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "queue_of", places.queue_of)
    monkeypatch.setattr(logs, "set_up_logs", logs.set_up_logs)
    stand_in()


@pytest.mark.usefixtures("stood_in")
def test_settings_must_let_somebody_in(tmp_path: Path) -> None:
    empty = tmp_path / "audioengine.toml"
    empty.write_text("")
    result = CliRunner().invoke(main, ["serve", "--settings", str(empty)])
    assert result.exit_code == 2
    assert "token_key" in result.output
    assert "rest.keys" in result.output


def test_less_than_a_second_to_end_is_not_none() -> None:
    chosen = settings(shutdown_timeout_s=0.5)
    server = server_of(make_app(chosen, MemoryQueue()), chosen.rest)
    assert server.config.timeout_graceful_shutdown == 1


def test_no_answer_waits_for_the_client_to_acknowledge_its_head() -> None:
    """Head and body are written apart; Nagle's algorithm would keep the body back for 40 ms."""

    async def found(address: tuple[str, int], listening: socket.socket) -> int:
        accepted: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
        server = await asyncio.start_server(
            lambda _reader, writer: accepted.put_nowait(writer), sock=listening
        )
        async with server:
            with socket.create_connection(address):
                writer = await accepted.get()
                made: socket.socket = writer.get_extra_info("socket")
                option = made.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                writer.close()
                await writer.wait_closed()
        return option

    with bound("127.0.0.1", 0) as listening:
        assert asyncio.run(found(listening.getsockname(), listening))


@pytest.mark.usefixtures("stood_in")
def test_the_address_must_be_free(file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = CliRunner().invoke(main, ["serve", "--settings", str(file), "--port", port])
    assert result.exit_code == 1
    assert f"can't serve at 127.0.0.1:{port}" in result.output
