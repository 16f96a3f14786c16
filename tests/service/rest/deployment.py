# SPDX-License-Identifier: Apache-2.0
"""A REST service over real HTTP, with a queue in memory, and tokens for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import jwt
from starlette.types import ASGIApp

import audioengine as ae
from audioengine.errors import StorageError
from audioengine.service.queues.queue import CommandQueue, Message
from audioengine.service.rest.app import make_app
from audioengine.service.rest.serving import bound, server_of
from audioengine.settings import RestSettings
from tests.execution.service import ALARMS, DOMAIN, EVENTS, KEPT, KEY, OTHER, OTHERS, token

__all__ = ["ALARMS", "DOMAIN", "EVENTS", "KEPT", "KEY", "OTHER", "OTHERS", "token"]

REST_KEY = "an access key of the tests that is long enough for HS256, and for HS512 too"
OTHER_KEY = "another access key of the tests that is as long as the first one of them"
AUDIENCE = "audioengine"


def settings(**rest: Any) -> ae.Settings:
    """Settings of a deployment; `rest` is of its table."""
    return ae.Settings(
        token_key=KEY,
        domains={DOMAIN: {"buckets": [KEPT, "string"]}, OTHER: {"buckets": [OTHERS]}},
        rest={"keys": {"first": REST_KEY}, "port": 0, "rate_per_s": 1e6, "burst": 10**6, **rest},
    )


def access(key: str = REST_KEY, algorithm: str = "HS256", **more: Any) -> str:
    """An access token; a claim that is None is left out, `headers` are those of the token."""
    headers = more.pop("headers", None)
    claims = {"exp": int(time.time()) + 86_400, "aud": AUDIENCE, "domain": DOMAIN, **more}
    given = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(given, key, algorithm=algorithm, headers=headers)


def bearer(token: str | None = None) -> dict[str, str]:
    """The header of a request that may come in."""
    return {"Authorization": f"Bearer {token or access()}"}


@dataclass
class MemoryQueue(CommandQueue):
    """Keeps what is sent; `fault` is raised instead."""

    sent: list[tuple[str, str, Mapping[str, str]]] = field(default_factory=list)
    fault: Exception | None = None
    delay_s: float = 0.0

    def send(self, body: str, *, group: str, attributes: Mapping[str, str] | None = None) -> str:
        time.sleep(self.delay_s)
        if self.fault is not None:
            raise self.fault
        self.sent.append((body, group, attributes or {}))
        return str(len(self.sent))

    def receive(self, limit: int, wait_s: float) -> Sequence[Message]:
        raise NotImplementedError

    def extend(self, message: Message, seconds: int) -> None:
        raise NotImplementedError

    def release(self, message: Message, seconds: int = 0) -> None:
        raise NotImplementedError

    def delete(self, message: Message) -> None:
        raise NotImplementedError

    @property
    def max_receives(self) -> int | None:
        return None

    def now_ms(self) -> int:
        raise NotImplementedError

    def depth(self) -> int:
        if self.fault is not None:
            raise self.fault
        return len(self.sent)


BROKEN = StorageError("the queue at arn:secret-place can't be reached", retryable=True)


@dataclass
class Served:
    """A service that runs."""

    url: str
    port: int
    queue: MemoryQueue
    client: httpx.Client

    def post(self, path: str, body: Any = None, **options: Any) -> httpx.Response:
        """A command with a token, unless `headers` say otherwise."""
        options.setdefault("headers", bearer())
        if body is not None:
            options["json"] = body
        return self.client.post(f"/{DOMAIN}/{path}", **options)


@contextmanager
def listening(app: ASGIApp, rest: RestSettings) -> Iterator[str]:
    """Serve an application as `audioengine serve` does, in a thread; gives its URL."""
    with bound(rest.host, rest.port) as listener:
        server = server_of(app, rest)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive()
                time.sleep(0.005)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def served(
    queue: MemoryQueue | None = None, more: Mapping[str, Any] | None = None, **rest: Any
) -> Iterator[Served]:
    """Serve until the end of the block; `more` is for `make_app`, `rest` for the settings."""
    queue = queue or MemoryQueue()
    chosen = settings(**rest)
    with (
        listening(make_app(chosen, queue, **(more or {})), chosen.rest) as url,
        httpx.Client(base_url=url) as client,
    ):
        yield Served(url, int(url.rpartition(":")[2]), queue, client)
