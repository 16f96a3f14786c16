# SPDX-License-Identifier: Apache-2.0
"""Commands of both dialects: read, written, refused field by field."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import pickle
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioengine.commands.requests import (
    DeleteRecording,
    MergeRecordings,
    StoreRecording,
    parse_command,
    parse_to_merge,
)
from audioengine.edits import Interval, Modification
from audioengine.errors import InvalidRequestError
from audioengine.parts import ConferenceSegment
from tests.commands.reference import COMMANDS, MERGE, REST_COMMANDS, STORE, altered, json_like

CANARY = "c2VjcmV0LWNhbmFyeS1rZXktb2YtMzItYnl0ZXMhISE="
FORM = {"recordingId": "r", "replyId": "t"}


def refused(data: object, **options: Any) -> dict[str, str]:
    """Paths and rules of a refusal."""
    with pytest.raises(InvalidRequestError) as caught:
        parse_command(data, **options)
    assert str(caught.value)
    return {problem.path: problem.rule for problem in caught.value.problems}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: str(command["method"]))
def test_examples_of_the_queue(command: dict[str, Any]) -> None:
    """Each parses without a warning, and is written as it was."""
    value, warnings = parse_command(command)
    assert not warnings
    assert value.to_dict() == command
    assert value.dialect == "sqs"
    assert parse_command(json.loads(value.to_json())) == (value, ())
    assert pickle.loads(pickle.dumps(value)) == value
    with pytest.raises(dataclasses.FrozenInstanceError):
        value.reply_id = ""  # type: ignore[misc]


@pytest.mark.parametrize("path", REST_COMMANDS)
def test_examples_of_rest(path: str) -> None:
    value, warnings = parse_command(REST_COMMANDS[path], "rest", path)
    assert not warnings
    assert value.dialect == "rest"
    assert value.method == path.upper()
    assert parse_command(value.to_dict(), "rest") == (value, ())


def test_the_store_example() -> None:
    value, _ = parse_command(STORE)
    assert isinstance(value, StoreRecording)
    assert value.destination_region == "us-west-2"
    assert value.encryption_key is not None
    assert value.encryption_key.get_secret_value() == "arnstring"
    assert value.modification == Modification.from_params(STORE["modificationParams"])


def test_the_merge_example() -> None:
    value, _ = parse_command(MERGE)
    assert isinstance(value, MergeRecordings)
    assert value.first.start_time_ms == 1728890677283
    segment = ConferenceSegment(1728890680444, 1728890687255)
    assert [entry.conference_segments for entry in value.to_merge] == [(segment,)] * 3
    assert value.to_merge == parse_to_merge(MERGE)[0]
    later_first = {**MERGE, "toMerge": MERGE["toMerge"][::-1]}
    reversed_value, _ = parse_command(later_first)
    assert isinstance(reversed_value, MergeRecordings)
    assert reversed_value.first == value.first


def test_the_dialect_decides_the_unit() -> None:
    """Of the door; a body may say REST's, as alarms show it, and nothing else than its door."""
    data = {**STORE, "modificationParams": {"trim": {"from": 1, "to": 2}}}
    for told, door, unit in (
        (None, "sqs", "s"),
        (None, "rest", "ms"),
        ("sqs", "sqs", "s"),
        ("rest", "sqs", "ms"),
        ("rest", "rest", "ms"),
    ):
        body = data if told is None else {**data, "dialect": told}
        value, warnings = parse_command(body, door)  # type: ignore[arg-type]
        assert isinstance(value, StoreRecording)
        assert value.modification is not None
        assert value.modification.relative_unit == unit
        assert value.dialect == ("rest" if unit == "ms" else "sqs")
        assert not warnings
    wrong: list[tuple[object, str]] = [("sqs", "rest"), (None, "sqs"), ("REST", "sqs"), (1, "rest")]
    for value_told, door in wrong:
        with pytest.raises(InvalidRequestError, match="dialect"):
            parse_command({**data, "dialect": value_told}, door)  # type: ignore[arg-type]


@pytest.mark.parametrize("nothing", [None, {}, [], {"absoluteTimes": True}, {"trim": {}}])
def test_what_changes_nothing_is_no_modification(nothing: object) -> None:
    value, _ = parse_command({**STORE, "modificationParams": nothing})
    assert isinstance(value, StoreRecording)
    assert value.modification is None


def test_masks_of_both_parties_are_written() -> None:
    mask = [{"from": 1, "to": 2.5}]
    value, _ = parse_command({**STORE, "modificationParams": {"mask": mask[0]}})
    assert value.to_dict()["modificationParams"] == {"mask": mask}
    assert isinstance(value, StoreRecording)
    mixed = Modification(mask={"callee": [Interval(3, 4)], "both": [Interval(1, Decimal("2.5"))]})
    written = dataclasses.replace(value, modification=mixed).to_dict()["modificationParams"]
    assert written == {"mask": {"caller": mask, "callee": [{"from": 3, "to": 4}, *mask]}}


def test_unknown_keys_are_named() -> None:
    """Outside modificationParams; recordingRole is known to mean nothing."""
    entry = {**MERGE["toMerge"][0], "colour": "red", "recordingRole": "child", "state": "stopped"}
    entry["conferenceSegments"] = [{**entry["conferenceSegments"][0], "id": 5}]
    data = {**MERGE, "toMerge": [entry], "warning": "x", "note": 1}
    _, warnings = parse_command(data, unknown="ignore")
    assert {warning.code for warning in warnings} == {"unknown_key"}
    assert [warning.message.split()[0] for warning in warnings] == [
        "note",
        "warning",
        "toMerge[0].colour",
        "toMerge[0].conferenceSegments[0].id",
    ]


def test_no_warning_shows_a_secret() -> None:
    odd = {**STORE, json.dumps({"encryptionKey": CANARY}): 1, "colour": CANARY}
    _, warnings = parse_command(odd, unknown="ignore")
    assert len(warnings) == 2
    assert CANARY not in "".join(one.message for one in warnings)
    with pytest.raises(InvalidRequestError) as caught:
        parse_command({**odd, "encryptonKey": CANARY, "encryptionKeys": CANARY})
    assert CANARY not in str(caught.value)


def test_all_wrong_fields_at_once() -> None:
    data = {
        "method": "STORERECORDING",
        "destinationBucket": "",
        "destinationRegion": 5,
        "encryptionKey": [CANARY],
        "modificationParams": {"beep": 1, "mask": {"caller": [{"from": "0"}]}},
        "recordingId": "\ud800",
    }
    assert refused(data) == {
        "destinationBucket": "must not be empty",
        "destinationRegion": "must be text",
        "encryptionKey": "must be text",
        "modificationParams.beep": "is not a known key; known here: absoluteTimes, trim, mask, "
        "transcript, redact",
        "modificationParams.mask.caller[0].from": "must be a number",
        "recordingId": "must be Unicode text",
        "replyId": "must be given",
    }


def test_a_merge_is_refused_by_the_names_of_the_wire() -> None:
    first, second, third = MERGE["toMerge"]
    third = {**third, "state": "active", "startTime": 5}
    second = {**second, "recordingId": first["recordingId"]}
    second["conferenceSegments"] = [{"startTime": 1728890680444, "endTime": 1728890680444}]
    assert refused({**MERGE, "toMerge": [first, second, third]}) == {
        "toMerge[1].recordingId": "must differ from the recording of toMerge[0]",
        "toMerge[1].conferenceSegments[0].endTime": "must be more than startTime, 1728890680444",
        "toMerge[2].startTime": "must be epoch milliseconds, more than 10^11 and less than 10^14",
        "toMerge[2].state": "must not be active: a merge needs finished recordings",
    }
    assert refused({**MERGE, "toMerge": []}) == {"toMerge": "must name at least one recording"}
    wrong = [{**first, "modificationParams": 5}, {**first, "conferenceSegments": [3]}, "x"]
    assert refused({**MERGE, "toMerge": wrong}) == {
        "toMerge[0].modificationParams": "must be an object",
        "toMerge[1].conferenceSegments[0]": "must be an object",
        "toMerge[2]": "must be an object",
    }


def test_a_merge_can_not_be_masked_as_a_whole() -> None:
    """Ignoring such a key would leave what it should mask."""
    params = {"mask": {"caller": [{"from": 1, "to": 2}]}}
    rule = {"modificationParams": "must be a key of the entries of toMerge"}
    assert refused({**MERGE, "modificationParams": params}) == rule
    parse_command({**MERGE, "modificationParams": {}})


@pytest.mark.parametrize(
    ("data", "options", "problems"),
    [
        ([], {}, {"command": "must be an object"}),
        (CANARY, {}, {"command": "must be an object"}),
        (FORM, {}, {"method": "must be given"}),
        (FORM, {"dialect": "soap"}, {"dialect": 'must be "sqs" or "rest"'}),
        (
            {**FORM, "method": "STOPRECORDING"},
            {"method": "DELETERECORDING"},
            {"method": "must be 'DELETERECORDING'"},
        ),
        (
            {**FORM, "method": 5},
            {"dialect": "rest"},
            {
                "method": "must be one of STORERECORDING, MERGERECORDINGS, DELETERECORDING, "
                "STOPRECORDING, CANCELRECORDING"
            },
        ),
    ],
)
def test_what_command_it_is(
    data: object, options: dict[str, Any], problems: dict[str, str]
) -> None:
    assert refused(data, **options) == problems


def test_the_edits_of_a_merge_count_in_the_unit_of_its_dialect() -> None:
    entry = {**MERGE["toMerge"][0], "modificationParams": {"trim": {"from": 1, "to": 2}}}
    value, _ = parse_command({**MERGE, "toMerge": [entry]}, "rest", "mergerecordings")
    assert isinstance(value, MergeRecordings)
    assert value.to_merge[0].modification is not None
    assert value.to_merge[0].modification.relative_unit == "ms"


def test_a_null_method_is_none() -> None:
    value, _ = parse_command({**FORM, "method": None}, "rest", "DELETERECORDING")
    assert value == DeleteRecording(recording_id="r", reply_id="t", dialect="rest")


def test_names_are_not_judged_here() -> None:
    value, _ = parse_command({**STORE, "fileName": "../\x00", "encryptionKey": ""})
    assert isinstance(value, StoreRecording)
    assert value.file_name == "../\x00"


@pytest.mark.parametrize(
    "data",
    [
        {**STORE, "encryptionKey": CANARY},
        {**MERGE, "encryptionKey": CANARY},
    ],
)
def test_no_secret_is_shown(data: dict[str, Any]) -> None:
    value, _ = parse_command(data)
    for shown in (repr(value), str(value), f"{value}"):
        assert CANARY not in shown
        assert data["replyId"] not in shown
    assert value.to_dict()["encryptionKey"] == CANARY


@pytest.mark.parametrize(
    "data",
    [
        {**STORE, "encryptionKey": {"a": [CANARY]}},
        {**STORE, "recordingId": {"encryptionKey": CANARY}},
        {**STORE, "recordingId": [json.dumps({"encryptionKey": CANARY})]},
        {**STORE, "modificationParams": {"encryption_key": CANARY}},
        json.dumps({**STORE, "encryptionKey": CANARY}),
        {**MERGE, "toMerge": json.dumps({"encryptionKey": CANARY})},
        {**MERGE, "method": {"encryptionKey": CANARY}},
        {**MERGE, "modificationParams": {"encryptionKey": CANARY}},
        {**STORE, "modificationParams": {json.dumps({"encryptionKey": CANARY}): 1}},
    ],
)
def test_no_refusal_shows_a_secret(data: object) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        parse_command(data)
    shown = f"{caught.value} {caught.value!r} {caught.value.problems} {caught.value.__context__!r}"
    assert CANARY not in shown


KEYS = (
    *("method", "destinationBucket", "toMerge", "recordingId", "replyId", "modificationParams"),
    *("startTime", "conferenceSegments", "encryptionKey", "trim", "mask", "from", "to"),
)


@given(
    json_like(*KEYS) | altered(COMMANDS),
    st.sampled_from(["sqs", "rest"]),
    st.sampled_from([None, *(str(command["method"]) for command in COMMANDS)]),
)
def test_any_json_is_read_or_refused(data: Any, dialect: Any, method: Any) -> None:
    """And what is read is written and read again as the same."""
    try:
        value, _ = parse_command(data, dialect, method)
    except InvalidRequestError:
        return
    assert parse_command(json.loads(value.to_json()), dialect) == (value, ())


@given(json_like("method", "toMerge", "recordingId", "startTime", "conferenceSegments"))
def test_any_json_has_something_to_merge_or_is_refused(data: Any) -> None:
    with contextlib.suppress(InvalidRequestError):
        assert parse_to_merge(data)[0]


def test_deep_json_is_refused() -> None:
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    assert refused({**STORE, "recordingId": deep}) == {"recordingId": "must be text"}
    assert refused({**STORE, "recordingId": 10**5000}) == {"recordingId": "must be text"}
