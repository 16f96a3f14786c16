# SPDX-License-Identifier: Apache-2.0
"""A MERGERECORDINGS: its recordings, its output, its event."""

from __future__ import annotations

import io

import audioengine as ae
from tests.execution import service
from tests.execution.service import (
    DATA,
    DOMAIN,
    KEPT,
    QUEUE,
    RECORDING,
    START,
    event_of,
    merge_command,
    run,
)


def test_a_merge_finds_its_recordings_and_tells() -> None:
    storage = service.storage()
    other = "601fe950-89fd-11ef-966f-03e88116d7e5"
    service.put(storage, DATA[:20_000], key=f"190109-{other}.mp3")
    entries = [
        {"recordingId": other, "startTime": START + 3000},
        {"recordingId": RECORDING, "startTime": START},
    ]
    command = merge_command(toMerge=entries)
    tolerant = service.settings(store={"allow_truncated": True})
    outcome = run(command, storage, settings=tolerant)
    assert outcome.error is None, outcome.error
    name = f"190110-{RECORDING}-merged.mp3"
    assert event_of(outcome) == {
        "event": "RECORDINGSMERGED",
        "commandQueue": QUEUE,
        "commandRegion": "eu-west-1",
        "destinationBucket": KEPT,
        "domain": DOMAIN,
        "fileName": name,
        "replyId": command["replyId"],
    }
    out = io.BytesIO()
    parts = [
        ae.MergePart(DATA[:20_000], START + 3000, recording_id=other),
        ae.MergePart(DATA, START, recording_id=RECORDING),
    ]
    ae.merge(parts, out, ae.MergeOptions(allow_truncated=True))
    assert storage.get(KEPT, name) == out.getvalue()
    assert storage.object(KEPT, name).found.metadata["start-time-ms"] == str(START)
    again = run(command, storage, settings=tolerant)
    assert again.result is not None
    assert again.result.is_repeated


def test_a_merge_of_a_recording_that_still_goes_on_names_it() -> None:
    entry = {"recordingId": RECORDING, "startTime": START, "state": "active"}
    outcome = run(merge_command(toMerge=[entry]), service.storage())
    assert event_of(outcome)["event"] == "MERGERECORDINGSFAILED"
    assert "active" in event_of(outcome)["reason"]
    assert outcome.alarm is not None
    assert outcome.alarm.type == "mergeRecordingsError"
