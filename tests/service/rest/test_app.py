# SPDX-License-Identifier: Apache-2.0
"""REST over real HTTP: what lands on the queue, what is refused, and with which code."""

from __future__ import annotations

import http.client
import json
from typing import Any

import pytest

from audioengine.commands.requests import command_values, parse_command
from audioengine.errors import InvalidRequestError, StorageError
from audioengine.service.rest.app import make_app
from tests.commands.reference import ARN, MERGE, REST_COMMANDS, STORE
from tests.execution import service as deployed
from tests.execution.service import RECORDING
from tests.service.rest.deployment import (
    BROKEN,
    DOMAIN,
    KEPT,
    OTHER,
    OTHERS,
    MemoryQueue,
    Served,
    access,
    bearer,
    served,
    settings,
    token,
)

SECRET = "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3I="
DELETE = {"recordingId": RECORDING, "replyId": token()}
MASK = {"mask": {"caller": [{"from": 1000, "to": 2000}]}}
PARAMS = {"absoluteTimes": True, "trim": {"from": 1680179455424, "to": 1680179460221}}


def store_command(**more: Any) -> dict[str, Any]:
    """A STORERECORDING whose times are milliseconds, as REST has them."""
    return deployed.store_command(**{"modificationParams": MASK, **more})


def example(path: str) -> dict[str, Any]:
    """An example of the reference's REST page, its token one that counts, and its key one."""
    body = {**REST_COMMANDS[path], "replyId": token(recordingId="string")}
    return body | ({"encryptionKey": ARN} if "encryptionKey" in body else {})


@pytest.mark.parametrize("path", REST_COMMANDS)
def test_the_examples_land_on_the_queue_as_the_worker_needs_them(
    service: Served, path: str
) -> None:
    body = example(path)
    text = json.dumps(body, indent=2)
    answer = service.post(path, content=text, headers=bearer() | JSON)
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    [(queued, group, attributes)] = service.queue.sent
    assert queued == text
    assert group == "string"
    assert attributes == {"dialect": "rest", "method": path.upper()}
    command, notices = parse_command(command_values(queued), "rest", attributes["method"])
    assert command.to_dict() == {"method": path.upper(), **parsed(body)}
    assert not notices


JSON = {"Content-Type": "application/json"}


def parsed(body: dict[str, Any]) -> dict[str, Any]:
    """What is empty is absent."""
    return {name: value for name, value in body.items() if value != {}}


def test_the_example_of_modifications(service: Served) -> None:
    answer = service.post(
        "storerecording", {**example("storerecording"), "modificationParams": PARAMS}
    )
    assert answer.status_code == 200
    assert json.loads(service.queue.sent[0][0])["modificationParams"] == PARAMS


def test_merges_of_ours(service: Served) -> None:
    """In the order of their tokens' recording, which is one of the merged."""
    entry = MERGE["toMerge"][1]["recordingId"]
    changed = {"destinationBucket": KEPT, "encryptionKey": ARN, "replyId": token(recordingId=entry)}
    assert service.post("mergerecordings", MERGE | changed).json() == {"success": True}
    [(_, group, attributes)] = service.queue.sent
    assert (group, attributes["method"]) == (entry, "MERGERECORDINGS")


def test_the_body_is_queued_as_it_came(service: Served) -> None:
    """But for what a queue can't carry: JSON can escape it."""
    replied = token(recordingId="ré\uffff\ufffeé")
    text = f'{{ "recordingId": "r\\u00e9\uffff\ufffeé", "meta": 0.10, "replyId": "{replied}"}}'
    answer = service.post("deleterecording", content=text.encode(), headers=bearer() | JSON)
    assert answer.status_code == 200, answer.text
    queued = service.queue.sent[0][0]
    assert queued == text.replace("\uffff", "\\uffff").replace("\ufffe", "\\ufffe")
    assert json.loads(queued) == json.loads(text)


@pytest.mark.parametrize("name", ["recordingId", "replyId", "fileName", "destinationBucket"])
def test_text_that_is_not_unicode_is_refused(service: Served, name: str) -> None:
    """No event could ever tell of it."""
    replied = token(recordingId="\ud800" if name == "recordingId" else "r")
    command = {"recordingId": "r", "replyId": replied, "destinationBucket": KEPT, name: "\ud800"}
    answer = service.post("storerecording", content=json.dumps(command), headers=bearer() | JSON)
    assert answer.status_code == 400
    assert [one["path"] for one in answer.json()["problems"]] == [name]
    assert not service.queue.sent


def test_every_wrong_field_is_told_at_once(service: Served) -> None:
    wrong = {
        "method": "DELETERECORDING",
        "destinationBucket": 5,
        "fileName": "../../etc/passwd",
        "encryptionKey": SECRET + "x",
        "modificationParams": {"trim": {"from": "5"}, "mark": 1},
        "replyId": "",
    }
    answer = service.post("storerecording", wrong)
    assert answer.status_code == 400
    told = answer.json()
    assert (told["success"], told["error"]) == (False, "8 fields are wrong")
    rules = {one["path"]: (one["value"], one["rule"]) for one in told["problems"]}
    assert rules.keys() == wrong.keys() - {"modificationParams"} | {
        "recordingId",
        "modificationParams.trim.from",
        "modificationParams.mark",
    }
    assert rules["destinationBucket"] == (5, "must be text")
    assert rules["fileName"] == ("../../etc/passwd", "must have no segment . or ..")
    assert rules["encryptionKey"][0] == "***"
    assert not service.queue.sent


def test_times_that_fit_no_recording(service: Served) -> None:
    """In an edit of its own, and in those of a merge's parts."""
    params = {
        "mask": {"caller": [{"from": 1, "to": 2}, {"from": -1, "to": 1}]},
        "trim": {"from": 5, "to": 1680179455424},
    }
    paths = ["modificationParams.mask.caller[1].from", "modificationParams.trim.to"]
    answer = service.post("storerecording", store_command(modificationParams=params))
    assert answer.status_code == 400
    assert sorted(one["path"] for one in answer.json()["problems"]) == paths
    entries = [{**MERGE["toMerge"][0], "modificationParams": params}, *MERGE["toMerge"][1:]]
    answer = service.post("mergerecordings", MERGE | {"toMerge": entries, "encryptionKey": ARN})
    assert answer.status_code == 400
    told = [one["path"] for one in answer.json()["problems"]]
    assert sorted(told) == [f"toMerge[0].{path}" for path in paths]


@pytest.mark.parametrize(
    "name", ["../x.mp3", "/x.mp3", "a/../../x", "a/./b", "", "a/", "x\x00.mp3", "é" * 513, "\ud800"]
)
def test_tricks_with_file_names(service: Served, name: str) -> None:
    body = json.dumps(store_command(fileName=name))
    answer = service.post("storerecording", content=body, headers=bearer() | JSON)
    assert answer.status_code == 400
    assert {one["path"] for one in answer.json()["problems"]} == {"fileName"}
    assert not service.queue.sent


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/{other}/deleterecording", 403),
        ("/../deleterecording", 403),
        ("/%2e%2e/deleterecording", 403),
        ("/{domain}%2f../deleterecording", 404),
        ("/{domain}%00/deleterecording", 403),
        ("/{domain}%20/deleterecording", 403),
        ("/{domain}./deleterecording", 403),
        ("/{upper}/deleterecording", 403),
        ("/{domain}/deleterecording/", 404),
        ("//{domain}/deleterecording", 404),
        ("/{domain}//deleterecording", 404),
        ("/{domain}/DELETERECORDING", 404),
        ("/{domain}/deleterecording%00", 404),
        ("/{domain}/x/../deleterecording", 404),
        ("/{domain};x/deleterecording", 403),
        ("/%ff%fe/deleterecording", 403),
        ("/{domain}/newcall", 404),
        ("/", 404),
        ("/openapi.json/x", 404),
    ],
)
def test_tricks_with_paths(service: Served, path: str, code: int) -> None:
    """As they are on the wire: the client must not tidy them."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port)
    target = path.format(domain=DOMAIN, other=OTHER, upper=DOMAIN.upper())
    connection.request("POST", target, json.dumps(DELETE), bearer() | JSON)
    answer = connection.getresponse()
    assert answer.status == code
    assert json.loads(answer.read())["success"] is False
    connection.close()
    assert not service.queue.sent


@pytest.mark.parametrize("verb", ["GET", "PUT", "DELETE", "PATCH", "HEAD", "TRACE", "BREW"])
def test_other_verbs(service: Served, verb: str) -> None:
    answer = service.client.request(verb, f"/{DOMAIN}/storerecording", headers=bearer())
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == {"OPTIONS", "POST"}


@pytest.mark.parametrize("body", ["", "{", "[]", "5", "null", "\ufeff{}", '{"a": 1}}', "NaN"])
def test_bodies_that_are_no_object(service: Served, body: str) -> None:
    answer = service.post("deleterecording", content=body.encode(), headers=bearer() | JSON)
    assert answer.status_code == 400
    (problem,) = answer.json()["problems"]
    assert (problem["path"], problem["value"]) == ("command", "<str>")
    assert problem["rule"].startswith("must be the JSON of an object")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "latin-1"])
def test_bodies_that_are_no_utf_8(service: Served, encoding: str) -> None:
    body = json.dumps(DELETE | {"x": "é"}, ensure_ascii=False).encode(encoding)
    answer = service.post("deleterecording", content=body, headers=bearer() | JSON)
    assert answer.status_code == 400
    assert answer.json()["error"] == "1 field is wrong"


@pytest.mark.parametrize(
    "value",
    [
        "NaN",
        "-Infinity",
        "1e999",
        "1" * 4000,
        "1e999999999",
        '"\\ud800"',
        '{"\\udfff": [NaN]}',
        "[[1]]",
    ],
)
def test_values_that_json_can_hardly_tell(service: Served, value: str) -> None:
    body = f'{{"recordingId": {value}, "destinationBucket": "b", "replyId": [{value}]}}'
    answer = service.post("storerecording", content=body, headers=bearer() | JSON)
    assert answer.status_code == 400
    assert {one["path"] for one in answer.json()["problems"]} == {"recordingId", "replyId"}


def test_long_values_and_many_problems_make_no_long_answer(service: Served) -> None:
    body = json.dumps({"toMerge": ["x" * 500] * 400, "replyId": 5})
    answer = service.post("mergerecordings", content=body, headers=bearer() | JSON)
    assert len(answer.content) < 400 * 350
    for count, told in ((1_000, 1000), (5_000, 0), (100_000, 1)):
        body = json.dumps({"toMerge": [1] * count}, separators=(",", ":"))
        answer = service.post("mergerecordings", content=body, headers=bearer() | JSON)
        assert answer.status_code == 400
        assert len(answer.json().get("problems", ())) == told
    body = json.dumps({"toMerge": [1] * 5_000})
    answer = service.post("mergerecordings", content=body, headers=bearer() | JSON)
    assert answer.json()["error"] == "the merge has 5000 recordings, at most 1000 are allowed"


@pytest.mark.parametrize(
    ("replied", "error"),
    [
        (token(domain=OTHER), "replyId must be of the domain that the path names"),
        (token(recordingId="other"), "recordingId does not match eventId"),
        (token(key="x" * 40), "replyId must be a token signed with this service's key: "),
        (token(algorithm="HS512"), "replyId must be a token signed with this service's key: "),
        ("fdkmlksfm38f8nfQekefmffmf...", "replyId must be a token signed with"),
        (access(recordingId=RECORDING), "replyId must be a token signed with this service's key: "),
    ],
    ids=["other tenant", "other recording", "other key", "other algorithm", "no token", "access"],
)
def test_reply_ids_that_prove_nothing(service: Served, replied: str, error: str) -> None:
    answer = service.post("deleterecording", {"recordingId": RECORDING, "replyId": replied})
    assert answer.status_code == 403
    assert answer.json()["error"].startswith(error)
    assert replied not in answer.text
    assert not service.queue.sent


def test_claims_of_wrong_types_are_fields(service: Served) -> None:
    answer = service.post("deleterecording", DELETE | {"replyId": token(tempKey=5)})
    assert answer.status_code == 400
    assert answer.json()["problems"][0]["path"] == "replyId.tempKey"


@pytest.mark.parametrize("query", ["modificationParams=%7B%7D", "x"])
def test_nothing_is_ignored_in_a_query(service: Served, query: str) -> None:
    answer = service.post(f"storerecording?{query}", store_command())
    assert answer.status_code == 400
    assert "there must be no query" in answer.text
    assert not service.queue.sent


@pytest.mark.parametrize("bucket", [OTHERS, "nobody's"])
def test_buckets_of_others(service: Served, bucket: str) -> None:
    answer = service.post("storerecording", store_command(destinationBucket=bucket))
    assert answer.status_code == 403
    assert not service.queue.sent


def test_keys_are_never_told(service: Served, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    key = {"encryptionKey": SECRET}
    right = store_command(**key)
    assert service.post("storerecording", right).status_code == 200
    told = [
        service.post("storerecording", right | {"fileName": "/x", "recordingId": json.dumps(key)}),
        service.post("storerecording", right | {"encryptionKey": SECRET + "="}),
        service.post("storerecording", right | {"encryptionKey": [SECRET]}),
        service.post("storerecording", content=json.dumps([right]), headers=bearer() | JSON),
        service.post("storerecording", content=json.dumps(right)[:-1], headers=bearer() | JSON),
        service.post("storerecording", right | {"modificationParams": {"encryptionKey": SECRET}}),
    ]
    assert [one.status_code for one in told] == [400] * 6
    assert all(SECRET not in one.text for one in told)
    shown = caplog.text + str([vars(record) for record in caplog.records])
    assert SECRET not in shown
    assert right["replyId"] not in shown
    assert access() not in shown
    queued = next(one for one in caplog.records if one.message == "command queued")
    assert vars(queued)["recordingId"] == RECORDING
    assert vars(queued)["domain"] == DOMAIN
    assert len(vars(queued)["commandDigest"]) == 64


@pytest.mark.parametrize("fault", [BROKEN, StorageError("no such queue: arn:secret-place")])
def test_success_is_told_only_of_what_is_queued(service: Served, fault: StorageError) -> None:
    service.queue.fault = fault
    answer = service.post("deleterecording", DELETE)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json() == {
        "success": False,
        "error": "the queue or the storage can't be reached now",
    }
    service.queue.fault = None
    assert service.post("deleterecording", DELETE).status_code == 200


def test_a_queue_that_hangs() -> None:
    with served(MemoryQueue(delay_s=0.6), queue_timeout_s=0.2) as slow:
        answer = slow.post("deleterecording", DELETE)
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0


def test_bugs_show_nothing(service: Served, caplog: pytest.LogCaptureFixture) -> None:
    service.queue.fault = RuntimeError(SECRET)
    answer = service.post("deleterecording", DELETE)
    assert (answer.status_code, answer.json()) == (
        500,
        {"success": False, "error": "internal error"},
    )
    assert "RuntimeError" in str([vars(one) for one in caplog.records])
    assert SECRET not in caplog.text


@pytest.mark.parametrize("path", ["storerecording", "deleterecording", "stoprecording"])
@pytest.mark.parametrize("text", ['{"replyId": "%s"%s}', ' {\n"replyId":"%s"%s}'])
def test_the_reply_id_names_the_recording_where_the_body_does_not(
    service: Served, path: str, text: str
) -> None:
    """It is queued with the id, by which all that comes later orders it."""
    more = f', "destinationBucket": "{KEPT}"' if path == "storerecording" else ""
    body = text % (token(recordingId='an "id" é'), more)
    answer = service.post(path, content=body.encode(), headers=bearer() | JSON)
    assert answer.json() == {"success": True}
    [(queued, group, _)] = service.queue.sent
    assert group == 'an "id" é'
    assert json.loads(queued) == {"recordingId": 'an "id" é', **json.loads(body)}


@pytest.mark.parametrize("replied", [None, "none", token(key="another key" * 5), 3])
def test_what_proves_nothing_names_no_recording(service: Served, replied: object) -> None:
    answer = service.post("deleterecording", {"replyId": replied})
    assert answer.status_code == 400
    assert "recordingId" in {one["path"] for one in answer.json()["problems"]}
    assert service.post("deleterecording", {**DELETE, "recordingId": None}).status_code == 400


def test_paths_may_have_a_prefix() -> None:
    with served(prefix="/callrecording/v1") as service:
        for prefix, code in (("/callrecording/v1", 200), ("", 404), ("/callrecording", 404)):
            path = f"{prefix}/{DOMAIN}/deleterecording"
            answer = service.client.post(path, json=DELETE, headers=bearer())
            assert answer.status_code == code
        options = service.client.options(f"/callrecording/v1/{DOMAIN}/storerecording")
        assert options.json() == {}
        paths = service.client.get("/openapi.json").json()["paths"]
        assert "/callrecording/v1/{domain}/storerecording" in paths
        assert service.client.get("/healthz").status_code == 200


@pytest.mark.parametrize("prefix", ["callrecording", "/", "/a/", "//a", "/{domain}", "/a b", "/é"])
def test_other_prefixes_are_refused(prefix: str) -> None:
    with pytest.raises(InvalidRequestError, match="prefix"):
        settings(prefix=prefix)


def test_domains_have_a_pace_of_their_own() -> None:
    with served(rate_per_s=0.01, burst=3) as service:
        codes = [service.post("deleterecording", DELETE).status_code for _ in range(4)]
        assert codes == [200, 200, 200, 429]
        answer = service.post("deleterecording", DELETE)
        assert 0 < int(answer.headers["retry-after"]) <= 100
        other = {"recordingId": RECORDING, "replyId": token(domain=OTHER)}
        path = f"/{OTHER}/deleterecording"
        headers = bearer(access(domain=OTHER))
        assert service.client.post(path, json=other, headers=headers).status_code == 200
        stranger = service.client.post(f"/{DOMAIN}/deleterecording", json=DELETE)
        assert stranger.status_code == 401  # and takes nothing of the domain's


@pytest.mark.parametrize("missing", ["token_key", "rest.keys"])
def test_settings_must_let_somebody_in(missing: str) -> None:
    chosen = settings()
    changed = (
        chosen.model_copy(update={"token_key": None})
        if missing == "token_key"
        else chosen.model_copy(update={"rest": chosen.rest.model_copy(update={"keys": {}})})
    )
    with pytest.raises(InvalidRequestError, match=f"^{missing} = None"):
        make_app(changed, MemoryQueue())


def test_store_needs_its_fields(service: Served) -> None:
    answer = service.post("storerecording", {})
    assert {one["path"] for one in answer.json()["problems"]} == {
        "destinationBucket",
        "recordingId",
        "replyId",
    }
    assert STORE.keys() > {"destinationBucket", "recordingId", "replyId"}
