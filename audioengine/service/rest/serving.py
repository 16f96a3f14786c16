# SPDX-License-Identifier: Apache-2.0
"""The HTTP server: uvicorn with limits on heads, connections and time, and an orderly end."""

from __future__ import annotations

import asyncio
import logging
import math
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.flow_control import CLOSE_HEADER
from uvicorn.protocols.http.h11_impl import H11Protocol

from audioengine.errors import StorageError
from audioengine.service.rest.doors import BoundedHeads, Door
from audioengine.service.rest.replies import RETRY_AFTER_S
from audioengine.settings import RestSettings

_LOG = logging.getLogger("audioengine.rest")
_BACKLOG = 2048
_MOST_HEAD_BYTES = 16384
_MOST_FOR_HEALTH = 100
_LAST_WORDS_S = 1.0
# How long a request may have been on its way when the server is asked to stop.
_LAST_REQUEST_S = 0.5
_TOO_SLOW = b'{"success":false,"error":"the request must come in faster"}'
_FULL = b'{"success":false,"error":"there are too many connections"}'
_TOO_MANY = (
    b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-type: application/json\r\n"
    b"retry-after: %d\r\ncontent-length: %d\r\n\r\n%s" % (RETRY_AFTER_S, len(_FULL), _FULL)
)
_TOO_SLOW = (
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\n\r\n%s" % (len(_TOO_SLOW), _TOO_SLOW)
)


class ImpatientProtocol(H11Protocol):
    """Ends a connection whose request, with its answer, takes too long.

    uvicorn itself waits for ever for the rest of a head, and for a client to read. Where it limits
    connections, it refuses requests of those that are there already; here new ones are refused.
    """

    def __init__(self, *args: Any, timeout_s: float, door: Door, **options: Any) -> None:
        super().__init__(*args, **options)
        self.conn = BoundedHeads(self.config.h11_max_incomplete_event_size or _MOST_HEAD_BYTES)
        self._timeout_s = timeout_s
        self._door = door
        self._address: str | None = None
        self._is_refused = False
        self._alarm: asyncio.TimerHandle | None = None
        self._is_ending = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request, which is only refused where there are too many."""
        peer = transport.get_extra_info("peername")
        self._address = peer[0] if isinstance(peer, tuple) else None
        if not self._door.enter(self._address):
            self._is_refused = True
            self.transport = transport
            self._alarm = self.loop.call_later(_LAST_WORDS_S, transport.abort)
            return
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Wait anew where a request begins."""
        if self._is_refused:
            if not self._is_ending:  # it reads that sooner than it is hung up on
                self._is_ending = True
                self.transport.write(_TOO_MANY)
                self.transport.write_eof()
            return
        if self._is_idle():
            self._wait()
        super().data_received(data)

    def handle_events(self) -> None:
        """Begin on requests; where one must be the last of its connection, its answer says so.

        So must one that states its body's length in two ways: a proxy may have believed the other.
        """
        super().handle_events()
        names = {name for name, _ in self.headers or ()}
        if self._is_ending or {b"content-length", b"transfer-encoding"} <= names:
            self._tell_the_last()

    def on_response_complete(self) -> None:
        """Wait for the next request, or for the rest of a body that was refused."""
        self._wait()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._wait_no_more()
        if not self._is_refused:
            self._door.leave(self._address)
            super().connection_lost(exc)

    def shutdown(self) -> None:
        """End, but first answer what is under way or was sent already.

        uvicorn itself hangs up on clients that it has not told that a connection ends; what they
        have sent meanwhile is lost, and they are reset.
        """
        self._is_ending = True
        if self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(_LAST_REQUEST_S, self._hang_up)
        else:
            self._tell_the_last()

    def _tell_the_last(self) -> None:
        """Say in the answer to a request that it is the last, whereupon it is."""
        cycle = self.cycle
        if not (cycle is None or cycle.response_started or CLOSE_HEADER in cycle.default_headers):
            cycle.default_headers = [*cycle.default_headers, CLOSE_HEADER]

    def _hang_up(self) -> None:
        if not self.transport.is_closing():
            super().shutdown()

    def _wait(self) -> None:
        self._wait_no_more()
        self._alarm = self.loop.call_later(self._timeout_s, self._end)

    def _wait_no_more(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()

    def _is_idle(self) -> bool:
        return self.conn.their_state is h11.IDLE and not self.conn.trailing_data[0]

    def _is_kept(self) -> bool:
        """Whether all was answered and read: then uvicorn's keep-alive ends it, in its own time."""
        is_sent = self.transport.get_write_buffer_size() == 0
        return self.timeout_keep_alive_task is not None and self._is_idle() and is_sent

    def _end(self) -> None:
        if self._is_kept() and not self.transport.is_closing():
            return
        is_in_a_head = self.conn.their_state is h11.IDLE and not self._is_idle()
        if self.transport.is_closing() or not is_in_a_head:
            self.transport.abort()
            return
        self.transport.write(_TOO_SLOW)
        self.transport.close()
        self._alarm = self.loop.call_later(_LAST_WORDS_S, self.transport.abort)


def server_of(app: ASGIApp, settings: RestSettings) -> uvicorn.Server:
    """Return the server of an application; `run` and `serve` of it are uvicorn's."""
    door = Door(settings.max_connections, settings.max_connections_per_address)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        # The other parser of uvicorn's knows no bound on heads.
        http=partial(  # type: ignore[arg-type]
            ImpatientProtocol, timeout_s=settings.request_timeout_s, door=door
        ),
        ws="none",
        lifespan="on",
        loop="asyncio",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=settings.keep_alive_s,
        timeout_graceful_shutdown=math.ceil(settings.shutdown_timeout_s),  # it counts whole ones
        h11_max_incomplete_event_size=settings.max_head_bytes,
    )
    return uvicorn.Server(config)


def bound(host: str, port: int) -> socket.socket:
    """Return a socket on an address.

    Raises StorageError where it is taken, or not this host's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Only where the protocol is named does asyncio set TCP_NODELAY on what it accepts: without it
    # the end of an answer waits for the client to acknowledge its head, 40 ms.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
    except OSError as error:
        made.close()
        message = f"can't serve at {host}:{port}: {error.strerror}"
        raise StorageError(message) from error
    return made


def serve(server: uvicorn.Server, settings: RestSettings, ready: Callable[[str], object]) -> None:
    """Run a server until SIGTERM or SIGINT; then end what is under way, and return.

    ready: called with the URL once connections are taken.

    Raises StorageError where an address is taken, or not this host's.
    """
    with ExitStack() as stack:
        listening = stack.enter_context(bound(settings.host, settings.port))
        listening.listen(_BACKLOG)
        if settings.health_port is not None:
            own = stack.enter_context(bound(settings.health_host, settings.health_port))
            _LOG.info("health is at %s", _url(settings.health_host, own))
            stack.enter_context(_meanwhile(_health_server(server, settings), own))
        ready(_url(settings.host, listening))
        with suppress(KeyboardInterrupt):  # uvicorn raises once more the signal that has ended it
            server.run(sockets=[listening])


def _url(host: str, listening: socket.socket) -> str:
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{listening.getsockname()[1]}"


def _health_server(server: uvicorn.Server, settings: RestSettings) -> uvicorn.Server:
    app: Any = server.config.app
    few = settings.model_copy(
        update={"max_connections": _MOST_FOR_HEALTH, "max_connections_per_address": None}
    )
    return server_of(app.state.health, few)


@contextmanager
def _meanwhile(server: uvicorn.Server, listening: socket.socket) -> Iterator[None]:
    """Run another server in a thread, with an event loop of its own."""
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="health")
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()
