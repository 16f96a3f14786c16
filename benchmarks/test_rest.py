# SPDX-License-Identifier: Apache-2.0
"""How many commands REST takes, and how fast, beside the bare framework on the same server."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median, quantiles

import jwt
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from audioengine.service.rest.app import make_app
from audioengine.service.rest.serving import bound, server_of
from audioengine.settings import Settings
from benchmarks.results import Row, record, rows
from tests.service.rest.deployment import MemoryQueue

SUBJECT = "REST"
CONNECTIONS = 16
REQUESTS = 1000
ROUNDS = 5
MAX_EXTRA_MIB = 8
DOMAIN, RECORDING = "sip.example.com", "0de2bc60-14da-11e9-a3d8-2f24dd9af78e"
TOKEN_KEY, REST_KEY = (
    "a key of replyIds, of the benchmark alone",
    "a key of access, likewise its own",
)
SETTINGS = Settings(
    token_key=TOKEN_KEY,
    domains={DOMAIN: {"buckets": ["kept"]}},
    rest={"keys": {"first": REST_KEY}, "port": 0, "rate_per_s": 1e9, "burst": 10**9},
)


class Sink(MemoryQueue):
    """Takes all and keeps nothing, so that REST alone is measured."""

    def send(self, body: str, *, group: str, attributes: Mapping[str, str] | None = None) -> str:
        del body, group, attributes
        return "0"


async def hello(_request: Request) -> Response:
    return JSONResponse({"success": True})


def serve(kind: str, port: Connection) -> None:
    """One server, in a process of its own."""
    bare = Starlette(routes=[Route("/{domain}/storerecording", hello, methods=["POST"])])
    app = bare if kind == "hello" else make_app(SETTINGS, Sink())
    listening = bound(SETTINGS.rest.host, SETTINGS.rest.port)
    listening.listen()
    port.send(listening.getsockname()[1])
    server_of(app, SETTINGS.rest).run(sockets=[listening])


@contextmanager
def serving(kind: str) -> Iterator[tuple[int, int]]:
    """The port, and the process."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(kind, theirs), daemon=True)
    process.start()
    try:
        assert process.pid is not None
        yield ours.recv(), process.pid
    finally:
        process.terminate()
        process.join()


def request() -> bytes:
    """A STORERECORDING with a mask."""
    now = int(time.time())
    claims = {"domain": DOMAIN, "recordingId": RECORDING, "tempBucket": "temp", "iat": now}
    body = json.dumps(
        {
            "destinationBucket": "kept",
            "fileName": "calls/0de2bc60.mp3",
            "recordingId": RECORDING,
            "modificationParams": {"mask": {"caller": [{"from": 1000, "to": 2000}]}},
            "replyId": jwt.encode(claims, TOKEN_KEY, algorithm="HS256"),
        }
    ).encode()
    access = {"exp": now + 3600, "aud": SETTINGS.rest.audience, "domain": DOMAIN}
    head = (
        f"POST /{DOMAIN}/storerecording HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {jwt.encode(access, REST_KEY, algorithm='HS256')}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def seconds_of(port: int, sent: bytes, count: int) -> tuple[float, list[float]]:
    """All requests over a few connections that are kept: seconds in all, and of each."""
    left = iter(range(count))
    each: list[float] = []

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in left:
            begun = time.perf_counter()
            writer.write(sent)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 "), head
            assert await reader.readexactly(16) == b'{"success":true}'
            each.append(time.perf_counter() - begun)
        writer.close()

    begun = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(CONNECTIONS)))
    return time.perf_counter() - begun, each


def resident_mib(process: int) -> float:
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no such line")


def test_acceptance() -> None:
    sent = request()
    rates: dict[str, list[float]] = {"hello": [], "audioengine": []}
    latencies: dict[str, list[float]] = {"hello": [], "audioengine": []}
    with serving("hello") as hello_at, serving("audioengine") as ours_at:
        served = {"audioengine": ours_at[0], "hello": hello_at[0]}
        for port in served.values():
            asyncio.run(seconds_of(port, sent, REQUESTS))
        before = resident_mib(ours_at[1])
        for _ in range(ROUNDS):
            for kind, port in served.items():
                lasted, each = asyncio.run(seconds_of(port, sent, REQUESTS))
                rates[kind].append(REQUESTS / lasted)
                latencies[kind] += each
        extra = resident_mib(ours_at[1]) - before

    rate = {kind: median(measured) for kind, measured in rates.items()}
    p99 = {kind: quantiles(measured, n=100)[98] * 1000 for kind, measured in latencies.items()}
    what = f"commands taken, {CONNECTIONS} connections"
    _compare(what, {kind: f"{value:,.0f}/s" for kind, value in rate.items()}, rate)
    _compare("99 of 100 within", {kind: f"{value:.1f} ms" for kind, value in p99.items()}, p99)
    record(
        SUBJECT,
        f"memory over {ROUNDS * REQUESTS:,} commands",
        "audioengine",
        f"{extra:+.1f} MiB",
        f"≤ {MAX_EXTRA_MIB} MiB",
        kept=extra <= MAX_EXTRA_MIB,
    )


def _compare(what: str, shown: Mapping[str, str], values: Mapping[str, float]) -> None:
    """Nothing is wanted of it: the framework does nothing at all there."""
    ratio = f"{values['hello'] / values['audioengine']:.3g}×"
    rows.append(Row(SUBJECT, what, "audioengine", shown["audioengine"]))
    rows.append(Row(SUBJECT, what, "Starlette's hello", shown["hello"], ratio))
