# SPDX-License-Identifier: Apache-2.0
"""Large, deep and slow requests: refused with the right code, and memory stays flat."""

from __future__ import annotations

import http.client
import json
import socket
import time
import tracemalloc
from collections.abc import Iterator

import pytest

from audioengine.settings import RestSettings
from tests.service.rest.deployment import DOMAIN, Served, access, bearer, served, token
from tests.service.site import wait_for

MIB = 2**20
JSON = {"Content-Type": "application/json"}
HEAD = (
    f"POST /{DOMAIN}/deleterecording HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {access()}\r\n"
    "Content-Type: application/json\r\n"
).encode()


@pytest.fixture(scope="module")
def impatient() -> Iterator[Served]:
    with served(body_timeout_s=0.5, request_timeout_s=1.0, keep_alive_s=1) as service:
        yield service


def connected(service: Served) -> socket.socket:
    return socket.create_connection(("127.0.0.1", service.port), timeout=10)


def answer_of(connection: socket.socket) -> bytes:
    """All that comes until the other side ends."""
    received = b""
    try:
        while chunk := connection.recv(65536):
            received += chunk
    except ConnectionResetError:
        pass
    return received


def pieces(total: int) -> Iterator[bytes]:
    piece = b" " * 65536
    for _ in range(total // len(piece)):
        yield piece


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
def test_bodies_of_10_mb(service: Served, declared: bool) -> None:
    headers = bearer() | JSON | ({"Content-Length": str(10 * MIB)} if declared else {})
    answer = service.post("storerecording", content=pieces(10 * MIB), headers=headers)
    assert answer.status_code == 413
    assert answer.json()["success"] is False


def test_memory_is_flat() -> None:
    with served() as service:
        headers = bearer() | JSON
        service.post("storerecording", content=pieces(MIB), headers=headers)
        tracemalloc.start()
        try:
            for _ in range(5):
                service.post("storerecording", content=pieces(10 * MIB), headers=headers)
                service.client.post(f"/{DOMAIN}/x", content=pieces(10 * MIB), headers=headers)
                service.client.post(f"/{DOMAIN}/stoprecording", content=pieces(10 * MIB))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 5 * MIB  # with what the client holds; one body is twice that


def test_the_largest_body(service: Served) -> None:
    body = json.dumps({"recordingId": "r", "replyId": token(recordingId="r"), "meta": ""})
    for length, code in ((250_000, 200), (250_001, 413)):
        text = body[:-2] + "x" * (length - len(body)) + '"}'
        answer = service.post("deleterecording", content=text, headers=bearer() | JSON)
        assert (len(text), answer.status_code) == (length, code)


def test_what_is_too_large_once_it_is_escaped(service: Served) -> None:
    """A queue would never take it: to send it again later is of no use."""
    body = {"recordingId": "r", "replyId": token(recordingId="r"), "meta": "\uffff" * 45_000}
    text = json.dumps(body, ensure_ascii=False).encode()
    assert len(text) < 140_000
    answer = service.post("deleterecording", content=text, headers=bearer() | JSON)
    assert answer.status_code == 413
    assert not service.queue.sent


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/json; charset=latin-1"}, 415),
        ({"Content-Type": "application/jsonx"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({}, 415),
        ({**JSON, "Content-Encoding": "gzip"}, 415),
        ({"Content-Type": 'Application/JSON; Charset="UTF-8"'}, 200),
        ({**JSON, "Content-Encoding": "identity"}, 200),
    ],
)
def test_types(service: Served, given: dict[str, str], code: int) -> None:
    body = json.dumps({"recordingId": "r", "replyId": token(recordingId="r")}).encode()
    answer = service.post("deleterecording", content=body, headers=bearer() | given)
    assert answer.status_code == code


@pytest.mark.parametrize("depth", [45, 480, 990, 20_000])
@pytest.mark.parametrize("ends", ["[]", '{"a":}'])
def test_deep_json(service: Served, depth: int, ends: str) -> None:
    """As the body, and in each of its fields."""
    opening, closing = (ends[:-1], ends[-1])
    deep = opening * depth + "1" + closing * depth
    fields = ("toMerge", "replyId", "modificationParams", "fileName", "encryptionKey", "method")
    bodies = [deep, *(f'{{"{name}": {deep}}}' for name in fields)]
    for path in ("storerecording", "mergerecordings"):
        for body in bodies:
            answer = service.post(path, content=body, headers=bearer() | JSON)
            assert answer.status_code == 400, body[:30]
            assert len(answer.content) < 5000


def test_slow_heads(impatient: Served) -> None:
    with connected(impatient) as connection:
        begun = time.monotonic()
        connection.sendall(HEAD)
        answer = answer_of(connection)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["success"] is False
        assert time.monotonic() - begun < 10


def test_heads_in_drips(impatient: Served) -> None:
    """What trickles in wins no time."""
    with connected(impatient) as connection:
        begun = time.monotonic()
        connection.settimeout(0.05)
        for byte in HEAD:
            try:
                connection.sendall(bytes([byte]))
                if connection.recv(1000).startswith(b"HTTP/1.1 408 "):
                    break
            except TimeoutError:
                continue
        assert 0.9 < time.monotonic() - begun < 10


def test_clients_that_say_nothing(impatient: Served) -> None:
    with connected(impatient) as connection:
        assert answer_of(connection) == b""


@pytest.mark.parametrize(
    "length", [b"Content-Length: 100\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"]
)
def test_slow_bodies(impatient: Served, length: bytes) -> None:
    with connected(impatient) as connection:
        connection.sendall(HEAD + length)
        answer = answer_of(connection)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b'"the body must come in within 0.5 s"' in answer
    assert not impatient.queue.sent


def test_clients_that_never_end_a_refused_body(impatient: Served) -> None:
    with connected(impatient) as connection:
        connection.sendall(HEAD + b"Content-Length: 999999999\r\n\r\n")
        begun = time.monotonic()
        received = connection.recv(1000)
        assert received.startswith(b"HTTP/1.1 413 ")
        with pytest.raises(OSError):  # noqa: PT012 - some send fails, once the other side has ended
            while time.monotonic() - begun < 20:
                connection.sendall(b" " * 65536)
        assert time.monotonic() - begun < 10


def test_connections_that_are_kept_may_wait(impatient: Served) -> None:
    """The time counts from the request, not from the connection."""
    connection = http.client.HTTPConnection("127.0.0.1", impatient.port)
    connection.connect()
    connection.auto_open = 0
    for _ in range(3):
        time.sleep(0.6)
        connection.request("POST", f"/{DOMAIN}/deleterecording", b"{}", bearer() | JSON)
        with connection.getresponse() as answer:
            assert answer.status == 400
            answer.read()
    connection.close()


def test_connections_are_kept_for_longer_than_requests_may_take() -> None:
    """And for longer than proxies keep theirs, which would send to one that is being closed."""
    assert RestSettings().keep_alive_s > 60
    with served(request_timeout_s=0.5, keep_alive_s=2) as service:
        connection = http.client.HTTPConnection("127.0.0.1", service.port)
        connection.connect()
        connection.auto_open = 0
        for _ in range(2):
            connection.request("GET", "/healthz")
            with connection.getresponse() as answer:
                assert answer.read() == b"{}"
            begun = time.monotonic()
            time.sleep(1.0)
        assert answer_of(connection.sock) == b""
        assert 1.9 < time.monotonic() - begun < 10
        connection.close()


def test_slow_clients_are_in_nobodys_way(service: Served) -> None:
    slow = [connected(service) for _ in range(100)]
    for connection in slow:
        connection.sendall(HEAD)
    assert service.client.get("/healthz").status_code == 200
    for connection in slow:
        connection.close()


@pytest.mark.parametrize(
    "request_",
    [
        HEAD + b"X: " + b"x" * 100_000 + b"\r\n\r\n",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}",
        HEAD + b"Content-Length: -1\r\n\r\n{}",
        HEAD + b"Transfer-Encoding: gzip\r\n\r\n{}",
        HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\nZZ\r\n",
    ],
)
def test_requests_that_are_no_http(impatient: Served, request_: bytes) -> None:
    with connected(impatient) as connection:
        connection.sendall(request_)
        status = answer_of(connection)[:13]
        assert status.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 408 ", b"HTTP/1.1 501 ")), status
    assert impatient.client.get("/healthz").status_code == 200
    assert not impatient.queue.sent


def test_a_body_of_two_lengths_is_the_last_of_its_connection(impatient: Served) -> None:
    """What a proxy takes for a part of it must not be a request of its own."""
    body = json.dumps({"recordingId": "r", "replyId": token(recordingId="r")}).encode()
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    smuggled = HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    both = b"Transfer-Encoding: chunked\r\nContent-Length: %d\r\n\r\n"
    impatient.queue.sent.clear()
    with connected(impatient) as connection:
        connection.sendall(HEAD + both % len(chunked + smuggled) + chunked + smuggled)
        answer = answer_of(connection)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"connection: close\r\n" in answer
    assert len(impatient.queue.sent) <= 1
    impatient.queue.sent.clear()


def test_too_many_connections() -> None:
    """Who is there already stays, and gets answers."""
    with served(max_connections=3) as service:
        established = http.client.HTTPConnection("127.0.0.1", service.port)
        established.connect()
        kept = [connected(service) for _ in range(2)]
        for _ in range(3):
            answer = service.client.get("/healthz")
            assert (answer.status_code, answer.json()["success"]) == (503, False)
            assert answer.headers["connection"] == "close"
            established.request("POST", f"/{DOMAIN}/deleterecording", b"{}", bearer() | JSON)
            with established.getresponse() as response:
                assert response.status == 400
                response.read()
        for connection in kept:
            connection.close()
        wait_for(lambda: service.client.get("/healthz").status_code == 200, 5)
        established.close()


def test_connections_that_are_refused_are_ended() -> None:
    with served(max_connections=1) as service, connected(service), connected(service) as late:
        assert answer_of(late) == b""
        with connected(service) as talking:
            talking.sendall(HEAD[:10])
            answer = answer_of(talking)
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert json.loads(answer.partition(b"\r\n\r\n")[2])["success"] is False


def test_too_many_connections_of_an_address() -> None:
    """Those of others are let in."""
    with served(max_connections_per_address=3) as service:
        kept = [connected(service) for _ in range(3)]
        assert service.client.get("/healthz").status_code == 503
        address = ("127.0.0.1", service.port)
        with socket.create_connection(address, 10, source_address=("127.0.0.2", 0)) as other:
            other.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert answer_of(other).startswith(b"HTTP/1.1 200 ")
        for connection in kept:
            connection.close()


@pytest.mark.parametrize("over", [0, 1])
@pytest.mark.parametrize("before", [b"", HEAD + b"Content-Length: 2\r\n\r\n{}"])
def test_heads_are_cut_however_they_come(before: bytes, over: int) -> None:
    """Also one that has come at once, or right behind another request."""
    with served(max_head_bytes=4096) as service, connected(service) as connection:
        end = b"Connection: close\r\n\r\n"
        start = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: "
        head = start + b"x" * (4096 + over - len(start + b"\r\n" + end)) + b"\r\n" + end
        assert len(head) == 4096 + over
        connection.sendall(before + head)
        answers = answer_of(connection).split(b"HTTP/1.1 ")[1:]
    assert [answer[:3] for answer in answers] == [
        *([b"400"] if before else []),
        b"400" if over else b"200",
    ]


def test_heads_of_100_kb_at_once(service: Served) -> None:
    for padding in (b"x", b" "):
        with connected(service) as connection:
            connection.sendall(
                b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + padding * 100_000 + b"x\r\n\r\n"
            )
            assert answer_of(connection).startswith(b"HTTP/1.1 4")
    assert service.client.get("/healthz").status_code == 200
