# SPDX-License-Identifier: Apache-2.0
"""HTTP servers of the tests, on loopback: what all of them share."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import TypeVar


class LoopbackServer(ThreadingHTTPServer):
    """Listens at a port that is free; each client has a thread."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.lock = Lock()
        self.stopping = Event()

    @property
    def url(self) -> str:
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}"

    def handle_error(self, *_: object) -> None:
        """Clients that go away are what is tested."""


Server = TypeVar("Server", bound=LoopbackServer)


@contextmanager
def serving(made: Server) -> Iterator[Server]:
    """A server that runs, until the end of the block."""
    with made as server:
        thread = Thread(target=partial(server.serve_forever, poll_interval=0.01), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.stopping.set()
            server.shutdown()
            thread.join()


def reset(handler: BaseHTTPRequestHandler) -> None:
    """The connection is reset."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.rfile.close()
    handler.connection.close()
