# SPDX-License-Identifier: Apache-2.0
"""What operation asks for, what other parts of the service add, and what browsers do."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import Queue
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import audioengine as ae
from audioengine.service.rest import health
from audioengine.service.rest.app import make_app
from audioengine.service.rest.serving import bound, serve, server_of
from tests.execution.service import RECORDING
from tests.service.rest.deployment import (
    BROKEN,
    DOMAIN,
    MemoryQueue,
    Served,
    bearer,
    listening,
    served,
    settings,
    token,
)
from tests.service.site import wait_for

PAGE = "https://page.example.com"
DELETE = {"recordingId": RECORDING, "replyId": token()}
ASK = {
    "Origin": PAGE,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization, content-type",
}


def test_the_process_lives(service: Served) -> None:
    service.queue.fault = BROKEN
    answer = service.client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {})


def test_it_is_ready_where_the_queue_is(service: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_KEPT_S", 0.0)
    answer = service.client.get("/readyz")
    assert (answer.status_code, answer.json()) == (
        200,
        {"ready": True, "checks": {"queue": "ok"}},
    )
    service.queue.fault = BROKEN
    answer = service.client.get("/readyz")
    assert (answer.status_code, answer.json()) == (
        503,
        {"ready": False, "checks": {"queue": "failed"}},
    )


def test_the_queue_is_asked_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_KEPT_S", 60.0)
    asked: list[int] = []
    with served(more={"ready": {"other": lambda: asked.append(1)}}) as service:
        for _ in range(5):
            assert service.client.get("/readyz").json()["checks"] == {"queue": "ok", "other": "ok"}
    assert len(asked) == 1


def test_a_check_that_hangs() -> None:
    queue = MemoryQueue()

    def hang() -> None:
        queue.delay_s = 2.0
        queue.send("", group="")

    with served(queue, more={"ready": {"other": hang}}, queue_timeout_s=0.5) as service:
        answer = service.client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"] == {"queue": "ok", "other": "failed"}


def free_port() -> int:
    with bound("127.0.0.1", 0) as found:
        return int(found.getsockname()[1])


@contextmanager
def serving(more: Mapping[str, Any] | None = None, **rest: Any) -> Iterator[tuple[str, str]]:
    """As the verb serves; gives the URLs, that for health at the end."""
    chosen = settings(health_port=free_port(), **rest)
    server = server_of(make_app(chosen, MemoryQueue(), **(more or {})), chosen.rest)
    urls: Queue[str] = Queue()
    thread = threading.Thread(target=serve, args=(server, chosen.rest, urls.put))
    thread.start()
    try:
        yield urls.get(timeout=10), f"http://127.0.0.1:{chosen.rest.health_port}"
    finally:
        server.should_exit = True
        thread.join()


def test_health_has_a_door_of_its_own() -> None:
    """Whoever fills the other one."""
    with serving(max_connections=2) as (url, health_url), ExitStack() as stack:
        port = int(url.rpartition(":")[2])
        for _ in range(2):
            stack.enter_context(socket.create_connection(("127.0.0.1", port), 10))
        wait_for(lambda: httpx.get(f"{url}/healthz").status_code == 503, 5)
        for path in ("healthz", "readyz", "metrics"):
            assert httpx.get(f"{health_url}/{path}").status_code == 200
        assert httpx.post(f"{health_url}/{DOMAIN}/deleterecording").status_code == 404


def test_it_tells_where_the_other_door_answers_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_PULSE_S", 0.2)
    blocked, may = threading.Event(), threading.Event()

    async def block(_request: Request) -> Response:
        blocked.set()
        assert may.wait(30)  # for all who are served by this loop
        return JSONResponse({})

    with serving({"extra_routes": [Route("/block", block)]}) as (url, health_url):
        thread = threading.Thread(target=lambda: httpx.get(f"{url}/block", timeout=30))
        thread.start()
        assert blocked.wait(10)
        assert httpx.get(f"{health_url}/healthz").status_code == 503
        may.set()
        thread.join()
        assert httpx.get(f"{health_url}/healthz").status_code == 200


@pytest.mark.parametrize("what", ["full", "gone"])
def test_it_is_not_ready_where_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr(health, "_KEPT_S", 0.0)
    for name in ("buckets", "queues"):
        (tmp_path / name).mkdir()
    values = settings().model_dump()
    chosen = ae.Settings(
        **{
            **values,
            "storage": {"root": tmp_path / "buckets"},
            "worker": {"embedded": tmp_path / "queues"},
        }
    )
    with (
        listening(make_app(chosen, MemoryQueue()), chosen.rest) as url,
        httpx.Client(base_url=url) as client,
    ):
        answer = client.get("/readyz")
        assert answer.json()["checks"] == {"queue": "ok", "disk": "ok"}
        assert list(tmp_path.glob("*/*")) == []
        if what == "full":
            monkeypatch.setattr("os.write", lambda _fd, data: len(data) // 2)
        else:
            (tmp_path / "queues").rmdir()
        answer = client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["checks"] == {"queue": "ok", "disk": "failed"}
        assert list(tmp_path.glob("*/*")) == []


def test_metrics() -> None:
    with served(more={"metrics": [lambda: b"# TYPE other gauge\nother 5\n"]}) as service:
        service.post("deleterecording", DELETE)
        service.post("deleterecording", DELETE, headers={})
        service.client.get(f"/{DOMAIN}/deleterecording")
        answer = service.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    figures = {
        (sample.name, sample.labels.get("kind"), sample.labels.get("code")): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert figures["audioengine_rest_requests_total", "DELETERECORDING", "200"] == 1
    assert figures["audioengine_rest_requests_total", "DELETERECORDING", "401"] == 1
    assert figures["audioengine_rest_seconds_count", "DELETERECORDING", None] == 2
    assert figures["other", None, None] == 5
    assert DOMAIN not in answer.text


def test_routes_of_others() -> None:
    async def echo(request: Request) -> Response:
        if request.query_params:
            raise RuntimeError("secret")
        return JSONResponse(await request.json())

    with served(more={"extra_routes": [Route("/recorder", echo, methods=["POST"])]}) as service:
        assert service.client.post("/recorder", json=[1]).json() == [1]
        bug = service.client.post("/recorder?x=1", json=[1])
        assert (bug.status_code, bug.json()) == (
            500,
            {"success": False, "error": "internal error"},
        )
        assert service.post("deleterecording", DELETE).status_code == 200


def test_options_as_in_the_reference(service: Served) -> None:
    answer = service.client.options("/any.domain/storerecording")
    assert (answer.status_code, answer.json()) == (200, {})
    assert answer.headers["allow"] == "OPTIONS, POST"


def test_browsers_may_ask_and_send(service: Served) -> None:
    asked = service.client.options(f"/{DOMAIN}/storerecording", headers=ASK)
    assert (asked.status_code, asked.json()) == (200, {})
    assert asked.headers["access-control-allow-origin"] == "*"
    assert asked.headers["access-control-allow-methods"] == "POST"
    allowed = asked.headers["access-control-allow-headers"].lower().split(", ")
    assert {"authorization", "content-type"} <= set(allowed)
    for headers, code in ((bearer(), 200), ({}, 401)):
        sent = service.post("deleterecording", DELETE, headers=headers | {"Origin": PAGE})
        assert sent.status_code == code
        assert sent.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in sent.headers


def test_pages_of_others() -> None:
    with served(allowed_origins=[PAGE]) as service:
        path = f"/{DOMAIN}/storerecording"
        mine = service.client.options(path, headers=ASK)
        assert mine.headers["access-control-allow-origin"] == PAGE
        for change in ({"Origin": "https://evil.example.com"}, {"Origin": "null"}):
            other = service.client.options(path, headers=ASK | change)
            assert other.status_code == 400
            assert other.json()["success"] is False
            assert "access-control-allow-origin" not in other.headers
            sent = service.post("deleterecording", DELETE, headers=bearer() | change)
            assert "access-control-allow-origin" not in sent.headers
