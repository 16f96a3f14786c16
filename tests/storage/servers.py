# SPDX-License-Identifier: Apache-2.0
"""Stores on loopback that speak like S3: moto's, and one of our own that breaks as it is told."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from hashlib import md5
from http.server import BaseHTTPRequestHandler
from threading import Lock
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qs, unquote, urlsplit

from tests import loopback
from tests.loopback import LoopbackServer, serving

ACCESS_KEY = "AKIACANARYACCESSKEY0"
SECRET_KEY = "canary-secret-of-the-environment"
SESSION_TOKEN = "canary-token-of-the-environment"
CUSTOMER_KEY = b"canary-key-of-a-customer-32bytes"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": ACCESS_KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    "AWS_SESSION_TOKEN": SESSION_TOKEN,
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_EC2_METADATA_DISABLED": "true",
    "NO_PROXY": "127.0.0.1",
    "no_proxy": "127.0.0.1",
}
"""What boto3 is to find, and that it finds nothing else."""


@contextmanager
def moto_server() -> Iterator[str]:
    """The endpoint of a moto server."""
    from moto.moto_server.threaded_moto_server import ThreadedMotoServer
    from moto.moto_server.werkzeug_app import MotoRequestHandler
    from moto.sqs.models import Queue

    # Else an answer's body waits 40 ms for its headers to be acknowledged.
    MotoRequestHandler.disable_nagle_algorithm = True
    log = logging.getLogger("werkzeug")
    before, propagated = log.level, log.propagate
    log.setLevel(logging.CRITICAL)
    log.propagate = False
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        with patch.object(Queue, "wait_for_messages", _patient(Queue.wait_for_messages)):
            yield f"http://{host}:{port}"
    finally:
        server.stop()
        log.setLevel(before)
        log.propagate = propagated


def _patient(waited: Callable[[Any, int], None]) -> Callable[[Any, int], None]:
    """What waits for messages, and not only for those that nobody may have yet."""

    def wait(self: Any, timeout: int) -> None:
        began = time.monotonic()
        waited(self, timeout)
        if time.monotonic() - began < 0.001:
            time.sleep(0.02)

    return wait


@dataclass(frozen=True)
class Stored:
    """An object."""

    data: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    customer_key: str | None = None
    """MD5 of the customer's key, as requests must give it."""

    @property
    def etag(self) -> str:
        return f'"{md5(self.data).hexdigest()}"'


@dataclass(frozen=True)
class Asked:
    """A request."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    """By name in lower case."""


Fault = Callable[["Handler"], bool]
"""What happens instead of an answer; False: what happens before it."""


class FaultyStore(LoopbackServer):
    """A store of a few objects, by path, that breaks as it is told."""

    def __init__(self) -> None:
        super().__init__(Handler)
        self.objects: dict[str, Stored] = {}
        self.asked: list[Asked] = []
        self.faults: defaultdict[str, list[Fault]] = defaultdict(list)
        """By method, for one request each."""
        self.always: dict[str, Fault] = {}
        """By method, for each request that no other fault is for."""
        self.head_says: dict[str, str] = {}
        """Headers of answers to HEAD, whatever is stored."""
        self.patience_s = 10.0
        """How long clients wait for it, if that is said before there is one."""

    @property
    def methods(self) -> list[str]:
        return [one.method for one in self.asked]


def faulty_store() -> AbstractContextManager[FaultyStore]:
    """A running one."""
    return serving(FaultyStore())


class Handler(BaseHTTPRequestHandler):
    """Answers one client."""

    server: FaultyStore
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        """Tests look at `asked`."""

    def serve(self) -> None:
        """Answer, or do what is to happen instead."""
        self.headers_given = {name.lower(): value for name, value in self.headers.items()}
        parts = urlsplit(self.path)
        self.place = unquote(parts.path)
        self.query = parts.query
        self.body = self.rfile.read(int(self.headers_given.get("content-length", 0)))
        with self.server.lock:
            asked = Asked(self.command, self.place, parts.query, self.headers_given)
            self.server.asked.append(asked)
            queue = self.server.faults[self.command]
            fault = queue.pop(0) if queue else self.server.always.get(self.command)
        if fault is not None and fault(self):
            self.close_connection = True
            return
        {"GET": self.get, "HEAD": self.head, "PUT": self.put, "DELETE": self.delete}[self.command]()

    do_GET = do_HEAD = do_PUT = do_DELETE = serve  # noqa: N815 - http.server's names

    def get(self) -> None:
        if self.query.startswith("versions"):
            self.answer(200, {"Content-Type": "application/xml"}, self.listed())
            return
        if self.query.startswith("list-type=2"):
            self.answer(200, {"Content-Type": "application/xml"}, self.named())
            return
        stored = self.found()
        if stored is None:
            return
        if self.headers_given.get("if-match", stored.etag) != stored.etag:
            self.refuse(412, "PreconditionFailed")
            return
        size = len(stored.data)
        first, _, last = self.headers_given["range"].removeprefix("bytes=").partition("-")
        start, end = int(first), min(int(last) + 1, size)
        if start >= size:
            self.refuse(416, "InvalidRange")
            return
        headers = {"Content-Range": f"bytes {start}-{end - 1}/{size}", "ETag": stored.etag}
        self.answer(206, headers, stored.data[start:end])

    def head(self) -> None:
        stored = self.found()
        if stored is not None:
            headers = {"Content-Length": str(len(stored.data)), "ETag": stored.etag}
            self.answer(200, headers | dict(stored.headers) | self.server.head_says)

    def put(self) -> None:
        kept = {"content-type", "x-amz-checksum-sha256"}
        headers = {
            name: value
            for name, value in self.headers_given.items()
            if name in kept or name.startswith("x-amz-meta-")
        }
        stored = Stored(self.body, headers, self.headers_given.get(CUSTOMER_KEY_MD5))
        self.server.objects[self.place] = stored
        self.answer(200, {"ETag": stored.etag})

    def delete(self) -> None:
        self.server.objects.pop(self.place, None)
        self.answer(204)

    def found(self) -> Stored | None:
        """The object asked for; None where there is none for this client, who is told."""
        stored = self.server.objects.get(self.place)
        if stored is None:
            self.refuse(404, "NoSuchKey")
            return None
        given = self.headers_given.get(CUSTOMER_KEY_MD5)
        if stored.customer_key != given:
            wrong = stored.customer_key and given
            self.refuse(*((403, "AccessDenied") if wrong else (400, "InvalidRequest")))
            return None
        return stored

    def listed(self) -> bytes:
        """The versions of a bucket's objects: one of each, as where none are kept."""
        versions = "".join(
            f"<Version><Key>{place.removeprefix(self.place + '/')}</Key>"
            "<VersionId>null</VersionId></Version>"
            for place in self.server.objects
        )
        return f"<ListVersionsResult>{versions}</ListVersionsResult>".encode()

    def named(self) -> bytes:
        """The objects of a bucket whose keys begin as asked."""
        prefix = f"{self.place}/{parse_qs(self.query)['prefix'][0]}"
        contents = "".join(
            f"<Contents><Key>{place.removeprefix(self.place + '/')}</Key>"
            f"<ETag>{stored.etag}</ETag><Size>{len(stored.data)}</Size></Contents>"
            for place, stored in sorted(self.server.objects.items())
            if place.startswith(prefix)
        )
        return f"<ListBucketResult>{contents}</ListBucketResult>".encode()

    def refuse(self, status: int, code: str) -> None:
        """As stores do, with more about the request than should be passed on."""
        told = "".join(
            f"<Header>{name}: {value}</Header>" for name, value in self.headers_given.items()
        )
        document = (
            f"<Error><Code>{code}</Code><Message>No: {SECRET_KEY}</Message>"
            f"<AWSAccessKeyId>{ACCESS_KEY}</AWSAccessKeyId>{told}</Error>"
        )
        body = b"" if self.command == "HEAD" else document.encode()
        self.answer(status, {"Content-Type": "application/xml"}, body)

    def answer(
        self, status: int, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> None:
        headers = {"Content-Length": str(len(body))} | dict(headers or {})
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def start_body(self, body: bytes, promised: int) -> None:
        """Answer a GET with the beginning of what is promised."""
        stored = self.server.objects[self.place]
        headers = {"ETag": stored.etag, "Content-Length": str(promised)}
        self.answer(206, {**headers, "Content-Range": f"bytes 0-{promised - 1}/{promised}"}, body)
        self.wfile.flush()


CUSTOMER_KEY_MD5 = "x-amz-server-side-encryption-customer-key-md5"


# Faults


def refusing(status: int, code: str) -> Fault:
    """An error as S3 gives it."""

    def fault(handler: Handler) -> bool:
        handler.refuse(status, code)
        return True

    return fault


def reset(handler: Handler) -> bool:
    """The connection is reset before there is an answer."""
    loopback.reset(handler)
    return True


def reset_in_body(handler: Handler) -> bool:
    """The connection is reset in the middle of a body."""
    data = handler.server.objects[handler.place].data
    handler.start_body(data[: len(data) // 2], len(data))
    return reset(handler)


def truncated(handler: Handler) -> bool:
    """The connection is closed in the middle of a body."""
    data = handler.server.objects[handler.place].data
    handler.start_body(data[: len(data) // 2], len(data))
    return True


def silent_in_body(handler: Handler) -> bool:
    """There are headers, and never a body."""
    handler.start_body(b"", 1000)
    handler.server.stopping.wait(10)
    return True


def silent(handler: Handler) -> bool:
    """There is no answer."""
    handler.server.stopping.wait(10)
    return True


def short_range(handler: Handler) -> bool:
    """There is less than was asked for, and it says so."""
    stored = handler.server.objects[handler.place]
    headers = {"ETag": stored.etag, "Content-Range": f"bytes 0-99/{len(stored.data)}"}
    handler.answer(206, headers, stored.data[:100])
    return True


def replacing(data: bytes) -> Fault:
    """Somebody replaces the object just before the answer."""

    def fault(handler: Handler) -> bool:
        handler.server.objects[handler.place] = Stored(data)
        return False

    return fault


class Late:
    """Answers come late; how many wait for theirs at a time is counted."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = Lock()
        self._waiting = 0
        self.most = 0

    def __call__(self, handler: Handler) -> bool:
        with self._lock:
            self._waiting += 1
            self.most = max(self.most, self._waiting)
        handler.server.stopping.wait(self._seconds)
        with self._lock:
            self._waiting -= 1
        return False


def fine(_: Handler) -> bool:
    """Nothing."""
    return False
