# SPDX-License-Identifier: Apache-2.0
"""Events and callbacks: exactly the reference's keys, in its order."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioengine.commands.events import EVENTS as KINDS
from audioengine.commands.events import (
    MergeRecordingsFailed,
    RecordingReady,
    RecordingStored,
    RelatedRecording,
    parse_event,
)
from audioengine.errors import InvalidRequestError
from audioengine.parts import ConferenceSegment
from tests.commands.reference import CALLBACKS, EVENTS, QUEUE, READY, altered, json_like


def refused(data: object, event: str | None = None) -> dict[str, str]:
    with pytest.raises(InvalidRequestError) as caught:
        parse_event(data, event)
    return {problem.path: problem.rule for problem in caught.value.problems}


def test_all_are_there() -> None:
    assert {event["event"] for event in EVENTS} == KINDS.keys()


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: str(event["event"]))
def test_examples(event: dict[str, Any]) -> None:
    """Each parses, and is written with the same keys in the same order."""
    value, warnings = parse_event(event)
    assert not warnings
    assert json.dumps(value.to_dict()) == json.dumps(event) == value.to_json()
    with pytest.raises(dataclasses.FrozenInstanceError):
        value.reply_id = ""  # type: ignore[misc]


@pytest.mark.parametrize("path", CALLBACKS)
def test_callbacks(path: str) -> None:
    value, warnings = parse_event(CALLBACKS[path], path)
    assert not warnings
    assert value.to_dict() == {"event": path.upper(), **CALLBACKS[path]}


def test_what_is_written_of_ones_own() -> None:
    stored = RecordingStored(
        command_queue=QUEUE,
        command_region="eu-west-1",
        destination_bucket="b",
        file_name="f.mp3",
        recording_id="r",
        reply_id="t",
    )
    assert list(stored.to_dict()) == list(EVENTS[4])
    failed = MergeRecordingsFailed(
        command_queue=QUEUE, command_region="", domain="d", reason="why", reply_id="t"
    )
    assert list(failed.to_dict()) == list(EVENTS[7])
    assert "reply_id" not in repr(failed)


def test_ready() -> None:
    value, _ = parse_event(READY)
    assert isinstance(value, RecordingReady)
    segment = ConferenceSegment(1728890680444, 1728890687255)
    assert value.warning == "rtpTimeout"
    assert value.conference_segments == (segment,)
    assert value.related_recordings is not None
    assert value.related_recordings[0] == RelatedRecording(
        recording_id="cbefcbd0-8b1c-11ef-982b-1b7455556a32",
        start_time_ms=1729014126886,
        state="stopped",
        recording_role="sibling",
        conference_segments=(segment,),
    )


def test_who_takes_part_and_null_lists() -> None:
    segment = {"startTime": 1728890680444, "aor": "user1", "state": "active"}
    data = {**READY, "conferenceSegments": [segment], "relatedRecordings": None, "warning": None}
    value, _ = parse_event(data)
    assert isinstance(value, RecordingReady)
    assert value.conference_segments is not None
    assert value.conference_segments[0] == ConferenceSegment(1728890680444, None, "user1", "active")
    written = value.to_dict()
    assert written["conferenceSegments"] == [segment]
    assert not written.keys() & {"relatedRecordings", "warning", "sipRecCallId"}


def test_unknown_keys_are_named() -> None:
    related = {**READY["relatedRecordings"][0], "colour": 1}
    _, warnings = parse_event({**READY, "relatedRecordings": [related], "startTime": 5})
    assert [warning.message.split()[0] for warning in warnings] == [
        "startTime",
        "relatedRecordings[0].colour",
    ]


def test_refusals() -> None:
    assert refused([]) == {"event": "must be an object"}
    assert refused({}) == {"event": "must be given"}
    assert refused({"event": "RECORDINGLOST"}).keys() == {"event"}
    assert refused({}, "newCall").keys() == {"event"}
    assert refused({"event": []}).keys() == {"event"}
    assert refused({"event": "RECORDINGREADY"}, "recordingFailed") == {
        "event": "must be 'RECORDINGFAILED'",
        "recordingId": "must be given",
        "replyId": "must be given",
    }
    related = [{"recordingId": "", "conferenceSegments": [{"endTime": "x"}]}, 5]
    data = {**READY, "meta": {}, "relatedRecordings": related, "conferenceSegments": {}}
    assert refused(data) == {
        "meta": "must be text",
        "conferenceSegments": "must be a list",
        "relatedRecordings[0].recordingId": "must not be empty",
        "relatedRecordings[0].startTime": "must be given",
        "relatedRecordings[0].conferenceSegments[0].startTime": "must be given",
        "relatedRecordings[0].conferenceSegments[0].endTime": "must be a number",
        "relatedRecordings[1]": "must be an object",
    }


@given(
    json_like("event", "recordingId", "replyId", "meta", "relatedRecordings") | altered(EVENTS),
    st.sampled_from([None, *KINDS, "recordingReady"]),
)
def test_any_json_is_read_or_refused(data: Any, event: str | None) -> None:
    try:
        value, _ = parse_event(data, event)
    except InvalidRequestError:
        return
    assert parse_event(json.loads(value.to_json())) == (value, ())
