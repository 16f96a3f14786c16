# SPDX-License-Identifier: Apache-2.0
"""Alarms: the reference's keys, commands cut to what a topic takes, and nothing secret."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioengine.commands.alarms import ALARMS as KINDS
from audioengine.commands.alarms import MAX_ALARM_BYTES, CommandAlarm, command_alarm, parse_alarm
from audioengine.commands.requests import parse_command
from audioengine.errors import InvalidRequestError
from tests.commands.reference import ALARMS, ARN, STORE, altered, json_like

CANARY = "c2VjcmV0LWNhbmFyeS1rZXktb2YtMzItYnl0ZXMhISE="
SECRET_STORE = {**STORE, "encryptionKey": CANARY}


def refused(data: object) -> dict[str, str]:
    with pytest.raises(InvalidRequestError) as caught:
        parse_alarm(data)
    return {problem.path: problem.rule for problem in caught.value.problems}


def test_all_are_there() -> None:
    """And one of our own, of the same form as its neighbours."""
    assert {alarm["type"] for alarm in ALARMS} | {"mergeRecordingsError"} == KINDS.keys()


@pytest.mark.parametrize("alarm", ALARMS, ids=lambda alarm: str(alarm["type"]))
def test_examples(alarm: dict[str, Any]) -> None:
    value, warnings = parse_alarm(alarm)
    assert not warnings
    assert value.to_json() == json.dumps(alarm)


def test_all_keys() -> None:
    """Those that the reference lists and its examples lack."""
    deleted = {**ALARMS[7], "modifiedDate": "2019-10-16"}
    assert parse_alarm(deleted)[0].to_dict() == deleted
    failed = {**ALARMS[6], "error": "e", "errorDetails": "d"}
    assert parse_alarm(failed)[0].to_dict() == failed


def test_of_a_command() -> None:
    """Its JSON value, its text and what was read of it give the same."""
    shown = {**STORE, "encryptionKey": "***"}
    value, _ = parse_command(SECRET_STORE)
    text = json.dumps(SECRET_STORE)
    for command in (SECRET_STORE, text, text.encode(), value):
        alarm = command_alarm("storeRecordingError", command, "no")
        assert list(alarm.to_dict()) == ["type", "event", "error"]
        assert json.loads(alarm.event or "") == shown
        assert CANARY not in repr(alarm) + alarm.to_json()


def test_a_kms_key_is_shown() -> None:
    command = {**STORE, "encryptionKey": ARN}
    alarm = command_alarm("eventNotificationError", command, "no")
    assert json.loads(alarm.event or "") == command


@pytest.mark.parametrize("filler", ["x", '"', "é", "\U0001f600", "\x00", "\ud800"])
def test_cut(filler: str) -> None:
    """The whole stays under the topic's 256 KB however it is written, and hides what it must."""
    command = {**SECRET_STORE, "fileName": filler * 300_000}
    alarm = command_alarm("storeRecordingError", command, filler * 300_000)
    assert alarm.event is not None
    assert alarm.event.startswith('{"method": "STORERECORDING"')
    assert alarm.event.endswith("…[cut]")
    assert alarm.error.endswith("…[cut]")
    assert CANARY not in alarm.event
    assert MAX_ALARM_BYTES - 20 < len(alarm.to_json()) <= MAX_ALARM_BYTES < 256 * 1024
    unescaped = json.dumps(alarm.to_dict(), ensure_ascii=False)
    assert len(unescaped.encode("utf-8", "surrogatepass")) <= MAX_ALARM_BYTES


def test_nothing_is_cut_that_fits() -> None:
    alarm = command_alarm("mergeRecordingsError", "x" * 250_000, "why")
    assert alarm == CommandAlarm(type="mergeRecordingsError", event="x" * 250_000, error="why")


def test_refusals() -> None:
    assert refused(5) == {"alarm": "must be an object"}
    assert refused({"type": "fire"}).keys() == {"type"}
    assert refused({"type": "storeRecordingError"}) == {"error": "must be given"}
    data = {"type": "apiRequestError", "statusCode": "500", "event": "x", "recordingId": "r"}
    assert refused(data) == {
        "event": "must be 'apiRequestError'",
        "statusCode": "must be a whole number",
    }


def test_unknown_keys_are_named() -> None:
    _, warnings = parse_alarm({**ALARMS[0], "severity": 1})
    assert [warning.message for warning in warnings] == ["severity is not known and ignored."]


@given(json_like("type", "event", "error") | altered(ALARMS))
def test_any_json_is_read_or_refused(data: Any) -> None:
    try:
        value, _ = parse_alarm(data)
    except InvalidRequestError:
        return
    assert parse_alarm(json.loads(value.to_json())) == (value, ())


@given(json_like("encryptionKey", "encryption_key", "method"), st.text())
def test_anything_can_be_alarmed_about(command: Any, error: str) -> None:
    alarm = command_alarm("storeRecordingError", command, error)
    assert len(alarm.to_json()) <= MAX_ALARM_BYTES
