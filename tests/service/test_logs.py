# SPDX-License-Identifier: Apache-2.0
"""Logs: one JSON object a line, and no secret in it, wherever it stands."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from audioengine.service.logs import log, set_up_logs
from tests.execution.service import token


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What is written, with the logging of before put back at the end."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    stream = io.StringIO()
    set_up_logs("info", stream)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)
    logging.getLogger("audioengine").setLevel(logging.NOTSET)


def test_an_entry_is_an_object_with_time_and_level(lines: io.StringIO) -> None:
    log().info("command done", recordingId="4711", domain="sip.example.com", commandDigest=None)
    log().debug("not shown")
    logging.getLogger("some.library").info("not shown either")
    (entry,) = map(json.loads, lines.getvalue().splitlines())
    assert entry.pop("timestamp").endswith("Z")
    assert entry == {
        "event": "command done",
        "level": "info",
        "logger": "audioengine",
        "recordingId": "4711",
        "domain": "sip.example.com",
    }


def test_other_loggers_tell_what_they_were_given(lines: io.StringIO) -> None:
    """REST logs with the standard library alone."""
    told = {
        "recordingId": "4711",
        "domain": "sip.example.com",
        "commandDigest": "ab",
        "replyId": "x",
    }
    logging.getLogger("audioengine.rest").info("command queued", extra=told)
    (entry,) = map(json.loads, lines.getvalue().splitlines())
    assert (entry["event"], entry["logger"]) == ("command queued", "audioengine.rest")
    assert {name: entry[name] for name in told} == {**told, "replyId": "***"}


def test_no_secret_is_written(lines: io.StringIO) -> None:
    secret = token()
    key = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I="
    log().error(
        "it failed",
        replyId=secret,
        error=f"token {secret}: no",
        alarm={"event": json.dumps({"encryptionKey": key, "replyId": secret})},
        encryption_key=key,
        nested=[{"authorization": "Bearer x"}],
    )
    logging.getLogger("some.library").warning("got %s", secret)
    text = lines.getvalue()
    assert len(text.splitlines()) == 2
    for part in (secret, secret.split(".")[2], key, "Bearer"):
        assert part not in text
    assert json.loads(text.splitlines()[0])["error"] == "token ***: no"
