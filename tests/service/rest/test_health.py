# SPDX-License-Identifier: Apache-2.0
"""What operation asks for, what other parts of the service add, and what browsers do."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from audioengine.service.rest import health
from tests.execution.service import RECORDING
from tests.service.rest.deployment import (
    BROKEN,
    DOMAIN,
    MemoryQueue,
    Served,
    bearer,
    served,
    token,
)

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
