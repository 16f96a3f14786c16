# SPDX-License-Identifier: Apache-2.0
"""The endpoint of recorders, over real HTTP: who gets in, what is answered, what comes of it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import httpx
import jwt
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse

import audioengine as ae
from audioengine.service.metrics import Metrics
from audioengine.service.notifications.callbacks import CallbackSender
from audioengine.service.notifications.letter import Channel, Letter, Sender
from audioengine.service.recorder.catalogue import Catalogue
from audioengine.service.recorder.reports import ReportDesk
from audioengine.service.recorder.routes import MOST_BODY_BYTES, recorder_routes
from audioengine.service.recorder.wiring import routes_served
from audioengine.settings import RestSettings
from tests.execution.service import (
    DOMAIN,
    EVENTS,
    KEPT,
    KEY,
    OTHER,
    RECORDING,
    TEMP,
    TEMP_KEY,
    token,
)
from tests.service.recorder import deployment
from tests.service.recorder.deployment import Post, claims_of, recorder_token, report
from tests.service.recorder.servers import Host, answering, silent
from tests.service.recorder.test_callbacks import check_signature
from tests.service.recorder.test_new_call import called_back
from tests.service.rest.deployment import listening
from tests.service.site import wait_for

REST = RestSettings(port=0)
STATUS = {ae.InvalidRequestError: 400, ae.NotAllowedError: 403, ae.StorageError: 503}


def told(_request: Request, error: Exception) -> JSONResponse:
    """As the service's application answers, in short."""
    status = next(status for kind, status in STATUS.items() if isinstance(error, kind))
    problems = [one.path for one in getattr(error, "problems", ())]
    return JSONResponse({"success": False, "problems": problems}, status)


class Served:
    """A deployment that listens."""

    def __init__(self, url: str, post: Post, storage: ae.MemoryStorage) -> None:
        self.url = url
        self.post = post
        self.storage = storage

    def send(
        self,
        values: object,
        path: str = "reports",
        token: str | None = None,
        **headers: str,
    ) -> httpx.Response:
        body = values if isinstance(values, bytes) else json.dumps(values).encode()
        given = {"content-type": "application/json", **headers}
        given.setdefault("authorization", f"Bearer {token or recorder_token()}")
        return httpx.post(
            f"{self.url}/recorder/{path}",
            content=body,
            headers=given,
            trust_env=False,
            verify=False,
        )


@pytest.fixture
def deployed(tenant: Host) -> Iterator[Served]:
    settings = deployment.settings(tenant.url)
    storage = ae.MemoryStorage(TEMP, KEPT)
    post = Post()
    desk = ReportDesk(settings, Catalogue(storage, settings), post.delivery(settings))
    app = Starlette(
        routes=recorder_routes(settings, desk, post.delivery(settings)),
        exception_handlers={ae.AudioEngineError: told},
    )
    with listening(app, REST) as url:
        yield Served(url, post, storage)


def test_the_way_of_a_recording(deployed: Served, tenant: Host) -> None:
    """From the question to the tenant to the callback that says that it is ready."""
    tenant.replies = [answering(200, b'{"recordCall": true}')]
    call = {"domain": DOMAIN, "recordingId": RECORDING, "metaData": "<xml>", "sipRecCallId": 7}
    answer = deployed.send(call, "newcall")
    assert (answer.status_code, answer.json()) == (200, {"recordCall": True})
    for event in ("RECORDINGSTARTED", "RECORDINGREADY"):
        answer = deployed.send(report(event))
        assert (answer.status_code, answer.json()) == (200, {"success": True})
    events = [json.loads(letter.body) for letter in deployed.post.to(EVENTS)]
    assert [event["event"] for event in events] == ["RECORDINGSTARTED", "RECORDINGREADY"]
    assert len(deployed.storage.keys(TEMP)) == 1
    sender = CallbackSender(deployment.settings(tenant.url))
    for letter in deployed.post.letters:
        if letter.channel == "callback":
            sender.send(letter)
    assert tenant.paths == ["/newCall", "/recordingStarted", "/recordingReady"]
    for asked in tenant.asked:
        check_signature(asked)
    assert claims_of(tenant.asked[-1].json["replyId"]) == claims_of(events[-1]["replyId"])


def test_a_call_does_not_wait_for_an_alarm(
    deployed: Served, tenant: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant.always = answering(500)
    works = Event()
    send = deployed.post.send

    def slow(letter: Letter) -> None:
        works.wait(30)
        send(letter)

    monkeypatch.setattr(deployed.post, "send", slow)
    answer = deployed.send({"domain": DOMAIN, "recordingId": RECORDING}, "newcall")
    assert (answer.json(), deployed.post.letters) == ({"recordCall": True}, [])
    works.set()
    wait_for(lambda: deployed.post.letters)
    assert deployed.post.letters[0].attributes["event"] == "apiRequestError"


def test_calls_of_a_tenant_that_hangs_take_nobody_s_place(tenant: Host, recorder: Host) -> None:
    """More of them than there are threads."""
    tenant.always = silent
    recorder.always = answering(200, b'{"recordCall": false}')
    settings = deployment.settings(
        domains=called_back(tenant.url, recorder.url), callbacks={"new_call_timeout_s": 8}
    )
    post, storage = Post(), ae.MemoryStorage(TEMP)
    routes = recorder_routes(
        settings, ReportDesk.of(settings, storage, post.delivery(settings)), post.delivery(settings)
    )
    with (
        listening(Starlette(routes=routes), REST) as url,
        ThreadPoolExecutor(48) as pool,
    ):
        served = Served(url, post, storage)
        call = {"domain": DOMAIN, "recordingId": RECORDING}
        hanging = [pool.submit(served.send, call, "newcall") for _ in range(45)]
        wait_for(lambda: len(tenant.asked) == 45, 8)
        begun = time.monotonic()
        answer = served.send({**call, "domain": OTHER}, "newcall")
        assert answer.json() == {"recordCall": False}
        assert served.send(report("RECORDINGSTARTED", domain=OTHER)).status_code == 200
        assert time.monotonic() - begun < 4
        tenant.stopping.set()
        assert {one.result().json()["recordCall"] for one in hanging} == {True}


NOBODY = [
    ".",
    "x",
    recorder_token(key="another key, which is just as long as it must be"),
    recorder_token(key=KEY),
    recorder_token(algorithm="HS512"),
    recorder_token(exp=int(time.time()) - 3600),
    recorder_token(exp=None),
    recorder_token(aud=None),
    recorder_token(aud="audioengine"),
    recorder_token(domain=3),
    jwt.encode({"aud": "audioengine-recorder", "exp": 2**40}, "", algorithm="none"),
    token(),
]


@pytest.mark.parametrize("number", range(len(NOBODY)))
def test_who_proves_nothing_is_not_let_in(number: int, deployed: Served) -> None:
    for path in ("reports", "newcall"):
        answer = deployed.send(
            report("RECORDINGREADY"), path, authorization=f"Bearer {NOBODY[number]}"
        )
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
    assert deployed.post.letters == []


def test_other_schemes_are_none(deployed: Served) -> None:
    for header in ("", "Basic x", recorder_token(), f"Basic {recorder_token()}"):
        assert deployed.send(report("RECORDINGREADY"), authorization=header).status_code == 401


def test_a_recorder_of_one_domain(deployed: Served) -> None:
    own = recorder_token(domain=OTHER)
    assert deployed.send(report("RECORDINGREADY"), token=own).status_code == 403
    call = {"domain": DOMAIN, "recordingId": RECORDING}
    assert deployed.send(call, "newcall", token=own).status_code == 403
    deployed.storage.put(TEMP, TEMP_KEY, b"theirs", {"domain": OTHER})
    assert deployed.send(report("RECORDINGREADY", domain=OTHER), token=own).status_code == 200


def test_what_is_wrong_is_named(deployed: Served) -> None:
    answer = deployed.send(report("RECORDINGREADY", recordingId=3, tempKey=5))
    assert answer.status_code == 400
    assert sorted(answer.json()["problems"]) == ["recordingId", "tempKey"]
    assert deployed.send({"domain": 3}, "newcall").status_code == 400
    for body in (b"", b"{", b"[" * 100_000, b"\xff", b"null"):
        assert deployed.send(body).status_code == 400


@pytest.mark.parametrize("path", ["reports", "newcall"])
def test_text_that_is_not_unicode_is_refused(path: str, deployed: Served) -> None:
    answer = deployed.send(report("RECORDINGSTARTED", recordingId="\ud800"), path)
    assert (answer.status_code, answer.json()["problems"]) == (400, ["recordingId"])
    assert deployed.post.letters == []


def test_bodies_of_other_kinds_and_sizes(deployed: Served) -> None:
    told = report("RECORDINGSTARTED")
    assert deployed.send(told, **{"content-type": "text/plain"}).status_code == 415
    assert deployed.send(told, **{"content-type": "application/json; charset=utf-8"}).is_success
    assert deployed.send(b" " * (MOST_BODY_BYTES + 1)).status_code == 413
    large = report("RECORDINGSTARTED", metaData="x" * (MOST_BODY_BYTES - 1000))
    assert deployed.send(large).is_success


def test_other_methods_and_paths(deployed: Served) -> None:
    client = httpx.Client(base_url=deployed.url, trust_env=False)
    with client:
        assert client.get("/recorder/reports").status_code == 405
        assert client.post("/recorder/reports/more").status_code == 404


def test_what_can_not_be_kept_is_told_to_the_recorder(deployed: Served) -> None:
    deployed.post.error = ae.StorageError("the disk is full", retryable=True)
    answer = deployed.send(report("RECORDINGREADY"))
    assert answer.status_code == 503
    assert not answer.json()["success"]


def test_without_a_key_nobody_is_let_in() -> None:
    settings = ae.Settings()
    post = Post()
    desk = ReportDesk(settings, Catalogue(ae.MemoryStorage(), settings), post.delivery(settings))
    with pytest.raises(ae.InvalidRequestError, match=r"recorder\.token_key"):
        recorder_routes(settings, desk, post.delivery(settings))


def test_all_that_it_needs(tmp_path: Path) -> None:
    """What can't be sent at once goes out later, by itself."""
    (tmp_path / "buckets" / TEMP).mkdir(parents=True)
    settings = deployment.settings(
        storage={"root": str(tmp_path / "buckets")}, worker={"outbox": str(tmp_path / "outbox.db")}
    )
    post = Post(error=ae.StorageError("no topic", retryable=True))
    senders: dict[Channel, Sender] = {"topic": post, "callback": post}
    metrics = Metrics()
    with (
        routes_served(settings, senders, metrics) as routes,
        listening(Starlette(routes=routes), REST) as url,
    ):
        answer = Served(url, post, ae.MemoryStorage()).send(report("RECORDINGREADY"))
        assert answer.json() == {"success": True}
        assert post.letters == []
        waiting = b'audioengine_letters_total{channel="topic",outcome="waiting"} 2.0'
        assert waiting in metrics.text()
        assert b"audioengine_outbox_depth 2.0" in metrics.text()
        post.error = None
        end = time.monotonic() + 30
        while not post.to(EVENTS):
            assert time.monotonic() < end
            time.sleep(0.1)
    assert Catalogue(ae.FolderStorage(tmp_path / "buckets"), settings).resolve(DOMAIN, RECORDING)
    with routes_served(ae.Settings(), senders) as routes:
        assert routes == ()
