# SPDX-License-Identifier: Apache-2.0
"""A merge's command out of the events of its recordings."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from audioengine.commands.events import RecordingReady, parse_event
from audioengine.commands.merge_command import merge_command
from audioengine.commands.requests import MergeRecordings, parse_command
from audioengine.errors import InvalidRequestError
from tests.commands.reference import EVENTS, QUEUE_META, READY, RECORDING

STARTED = next(event for event in EVENTS if event["event"] == "RECORDINGSTARTED")
SIBLING, PARENT = (related["recordingId"] for related in READY["relatedRecordings"])


def ready(**changes: Any) -> RecordingReady:
    value, _ = parse_event({**READY, **changes})
    assert isinstance(value, RecordingReady)
    return value


def related(state: str, **changes: Any) -> list[dict[str, Any]]:
    return [{**READY["relatedRecordings"][0], "state": state, **changes}]


def refused(*events: RecordingReady) -> list[str]:
    with pytest.raises(InvalidRequestError) as caught:
        merge_command(events, "b")
    return [problem.path for problem in caught.value.problems]


def test_of_one_event() -> None:
    """The recording itself, from the earliest start of its meta, and those related to it."""
    command = merge_command(ready(), "b", file_name="m.mp3", destination_region="eu-west-1")
    segments = READY["conferenceSegments"]
    assert command.to_dict() == {
        "method": "MERGERECORDINGS",
        "destinationBucket": "b",
        "destinationRegion": "eu-west-1",
        "toMerge": [
            {"recordingId": RECORDING, "startTime": 1557932777523, "conferenceSegments": segments},
            {"recordingId": SIBLING, "startTime": 1729014126886, "conferenceSegments": segments},
            {"recordingId": PARENT, "startTime": 1729014123722, "conferenceSegments": segments},
        ],
        "fileName": "m.mp3",
        "replyId": READY["replyId"],
    }
    assert parse_command(command.to_dict()) == (command, ())


def test_an_event_may_be_a_value_json_values_or_json() -> None:
    command = merge_command(ready(), "b")
    text = json.dumps(READY)
    for event in (READY, text, text.encode(), [READY], [text]):
        assert merge_command(event, "b") == command


def test_all_malformed_events_are_named() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        merge_command([{**READY, "recordingId": 7}, STARTED, "no JSON", READY], "b")
    paths = [problem.path for problem in caught.value.problems]
    assert paths == ["events[0].recordingId", "events[1].event", "events[2]"]


def test_without_conferences() -> None:
    command = merge_command(ready(), "b", remove_duplicates=False)
    assert not any(entry.conference_segments for entry in command.to_merge)


def test_the_key_is_hidden() -> None:
    command = merge_command(ready(), "b", encryption_key="c2VjcmV0")
    assert "c2VjcmV0" not in repr(command)
    assert command.to_dict()["encryptionKey"] == "c2VjcmV0"


def test_of_several_events() -> None:
    """A recording's own event knows best; the last one is replied to."""
    other = ready(
        recordingId=SIBLING,
        meta=QUEUE_META.replace("155793", "172901"),
        conferenceSegments=[],
        relatedRecordings=related("stopped", recordingId=PARENT, startTime=1729014120000),
        replyId="last",
    )
    command = merge_command([ready(), other], "b")
    assert command.reply_id == "last"
    starts = {entry.recording_id: entry.start_time_ms for entry in command.to_merge}
    assert starts == {RECORDING: 1557932777523, SIBLING: 1729012777523, PARENT: 1729014120000}
    assert isinstance(command, MergeRecordings)
    assert command.first.recording_id == RECORDING


def test_active_recordings_are_refused() -> None:
    active = ready(relatedRecordings=related("active"))
    assert refused(active) == ["events[0].relatedRecordings[0].state"]


def test_what_was_active_may_have_ended() -> None:
    """Its own event says so, or a later one of another recording."""
    active = ready(relatedRecordings=related("active"))
    own = ready(recordingId=SIBLING, relatedRecordings=[])
    assert len(merge_command([active, own], "b").to_merge) == 2
    assert len(merge_command([own, active], "b").to_merge) == 2
    later = ready(recordingId=PARENT, relatedRecordings=related("stopped"))
    assert len(merge_command([active, later], "b").to_merge) == 3


def test_other_refusals() -> None:
    """All at once."""
    assert refused() == ["events"]
    assert refused(ready(), ready()) == ["events[1].recordingId"]
    alone = replace(ready(), related_recordings=())
    without = ready(recordingId="x", meta=None)
    broken = ready(recordingId="y", meta="?")
    empty = ready(recordingId="z", meta="recordingsPartsInfo: {}")
    assert refused(alone, without, broken, empty) == [
        "events[1].meta",
        "events[2].meta",
        "events[3].meta",
    ]
    early = ready(relatedRecordings=related("stopped", startTime=5))
    assert refused(early) == ["toMerge[1].startTime"]
