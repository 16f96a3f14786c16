# SPDX-License-Identifier: Apache-2.0
"""Stands between the service and an emulated AWS, of which it lets parts fail."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from contextlib import AbstractContextManager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

from tests.loopback import LoopbackServer, reset, serving

# Who a request is signed for.
_SERVICE = re.compile(r"Credential=[^/]+/[^/]+/[^/]+/(\w+)/")
_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})


class Proxy(LoopbackServer):
    """Fails some requests to a service: with 503, without an answer, or after the deed."""

    def __init__(self, url: str) -> None:
        super().__init__(_Handler)
        self.behind = str(urlsplit(url).netloc)
        self.failing: defaultdict[str, float] = defaultdict(float)
        """By service, from 0 to 1."""
        self._chance = random.Random(4711)

    def fault_for(self, service: str, operation: str) -> str | None:
        share = self.failing[service]
        with self.lock:
            if self._chance.random() >= share:
                return None
            faults = ["refused", "reset"]
            # moto forgets the order of what was handed out to nobody.
            if share < 1 and not operation.endswith("ReceiveMessage"):
                faults.append("done")
            return self._chance.choice(faults)


def proxy(url: str) -> AbstractContextManager[Proxy]:
    """A running one; it lets all through."""
    return serving(Proxy(url))


class _Handler(BaseHTTPRequestHandler):
    server: Proxy
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        """Tests look at what comes of it."""

    def pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if "chunked" in self.headers.get("transfer-encoding", ""):
            body = self._chunks()
        signed = _SERVICE.search(self.headers.get("authorization", ""))
        fault = self.server.fault_for(
            signed[1] if signed else "", self.headers.get("x-amz-target", "")
        )
        if fault == "refused":
            self._answer(503, {}, b"<Error><Code>ServiceUnavailable</Code></Error>")
            return
        if fault == "reset":
            self._reset()
            return
        connection = HTTPConnection(self.server.behind, timeout=60)
        try:
            headers = {name: value for name, value in self.headers.items() if not _is_hop(name)}
            connection.request(self.command, self.path, body, headers)
            response = connection.getresponse()
            data = response.read()
        finally:
            connection.close()
        if fault == "done":
            self._reset()
            return
        length = response.headers.get("content-length", str(len(data)))
        kept = {name: value for name, value in response.headers.items() if not _is_hop(name)}
        self._answer(response.status, kept, data, length)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = pass_on  # noqa: N815 - http.server's names

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(
        self, status: int, headers: dict[str, str], body: bytes, length: str | None = None
    ) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", length or str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _reset(self) -> None:
        self.close_connection = True
        reset(self)


def _is_hop(name: str) -> bool:
    return name.lower() in _BY_HOP
