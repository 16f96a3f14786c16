# SPDX-License-Identifier: Apache-2.0
"""A host that the service calls: a tenant, or a recorder; it answers as it is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.loopback import LoopbackServer, reset, serving

__all__ = ["reset"]


@dataclass(frozen=True)
class Asked:
    """A request."""

    method: str
    path: str
    headers: Mapping[str, str]
    """By name in lower case."""
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.body)
        return value


Reply = Callable[["Handler"], None]


class Host(LoopbackServer):
    """Answers each request with the next reply, and 200 when there are none."""

    def __init__(self) -> None:
        super().__init__(Handler)
        self.asked: list[Asked] = []
        self.replies: list[Reply] = []
        self.always: Reply = answering(200)

    @property
    def paths(self) -> list[str]:
        return [one.path for one in self.asked]


def host() -> AbstractContextManager[Host]:
    """A running one."""
    return serving(Host())


class Handler(BaseHTTPRequestHandler):
    """Answers one client."""

    server: Host
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        """Tests look at `asked`."""

    def serve(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        with self.server.lock:
            self.server.asked.append(Asked(self.command, self.path, headers, body))
            reply = self.server.replies.pop(0) if self.server.replies else self.server.always
        reply(self)

    do_POST = do_GET = serve  # noqa: N815 - http.server's names

    def answer(
        self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {"content-length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def answering(status: int, body: bytes = b"", **headers: str) -> Reply:
    """Such an answer."""
    return lambda handler: handler.answer(status, body, headers)


def silent(handler: Handler) -> None:
    """There is no answer."""
    handler.server.stopping.wait(10)


def dripping(handler: Handler) -> None:
    """A byte now and then, so that each is in time."""
    handler.send_response(200)
    handler.send_header("content-length", "100000")
    handler.end_headers()
    while not handler.server.stopping.wait(0.05):
        handler.wfile.write(b"x")
        handler.wfile.flush()


def endless(handler: Handler) -> None:
    """An answer without an end."""
    handler.send_response(200)
    handler.end_headers()
    while not handler.server.stopping.is_set():
        handler.wfile.write(b"x" * 65536)
