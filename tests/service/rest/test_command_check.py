# SPDX-License-Identifier: Apache-2.0
"""Any JSON is judged, and what is refused can be told: as JSON, short, without secrets."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from audioengine.commands.requests import COMMANDS as METHODS
from audioengine.errors import AudioEngineError, InvalidRequestError
from audioengine.service.rest.command_check import judge_command
from audioengine.service.rest.replies import of_error
from tests.commands.reference import COMMANDS, MERGE, STORE, altered, json_like
from tests.execution.service import DOMAIN, KEPT, RECORDING, token
from tests.service.rest.deployment import settings

SETTINGS = settings()
REQUEST = Request({"type": "http"})
SECRET = "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3I="
RIGHT: list[dict[str, Any]] = [
    {
        **command,
        "replyId": token(),
        **({"destinationBucket": KEPT, "encryptionKey": SECRET} if len(command) > 3 else {}),
    }
    for command in COMMANDS
]


@given(
    json_like(*STORE, *MERGE) | altered(RIGHT),
    st.sampled_from(sorted(METHODS)),
)
def test_any_json(data: Any, method: str) -> None:
    try:
        done = judge_command(json.dumps(data), method, DOMAIN, SETTINGS)
    except AudioEngineError as error:
        answer, message = of_error(REQUEST, error), str(error)
        told = json.loads(bytes(answer.body))
        assert answer.status_code in (400, 403)
        assert told["success"] is False
        assert SECRET not in bytes(answer.body).decode() + message
    else:
        assert done.recording_id == RECORDING
        assert done.command.method == method
        assert done.command.dialect == "rest"


@given(st.text())
def test_any_text(text: str) -> None:
    with pytest.raises(InvalidRequestError):
        judge_command(text, "STORERECORDING", DOMAIN, SETTINGS)


def test_what_is_right_has_its_digest() -> None:
    """The same for the same work, whatever the token."""
    body = {"recordingId": RECORDING, "replyId": token()}
    done = judge_command(json.dumps(body), "DELETERECORDING", DOMAIN, SETTINGS)
    again = judge_command(
        json.dumps(body | {"replyId": token(iat=5)}), "DELETERECORDING", DOMAIN, SETTINGS
    )
    assert done.digest == again.digest is not None
    assert not done.notices
    odd = judge_command(json.dumps(body | {"fileName": "/"}), "DELETERECORDING", DOMAIN, SETTINGS)
    assert [one.code for one in odd.notices] == ["unknown_key"]


@pytest.mark.parametrize("command", RIGHT, ids=lambda one: str(one["method"]))
def test_the_queues_examples_too(command: dict[str, Any]) -> None:
    """But for the tokens: those of a merge are of one of its recordings."""
    method = command["method"]
    if method == "MERGERECORDINGS":
        command = command | {"replyId": token(recordingId=command["toMerge"][0]["recordingId"])}
    assert judge_command(json.dumps(command), method, DOMAIN, SETTINGS).command.method == method
