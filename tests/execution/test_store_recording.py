# SPDX-License-Identifier: Apache-2.0
"""A STORERECORDING: its output, its event, its requests."""

from __future__ import annotations

from typing import Any

import pytest

import audioengine as ae
from tests.execution import service
from tests.execution.service import (
    ALARMS,
    DATA,
    DOMAIN,
    EVENTS,
    KEPT,
    KEPT_NAME,
    QUEUE,
    RECORDING,
    START,
    TEMP,
    TEMP_KEY,
    event_of,
    masked,
    run,
    store_command,
    token,
)


def test_a_store_masks_and_tells() -> None:
    storage = service.storage()
    command = store_command()
    outcome = run(command, storage)
    assert event_of(outcome) == {
        "event": "RECORDINGSTORED",
        "commandQueue": QUEUE,
        "commandRegion": "eu-west-1",
        "destinationBucket": KEPT,
        "fileName": KEPT_NAME,
        "recordingId": RECORDING,
        "replyId": command["replyId"],
    }
    assert outcome.alarm is None
    assert not outcome.retryable
    assert (outcome.event_topic, outcome.alarm_topic) == (EVENTS, ALARMS)
    assert storage.get(KEPT, KEPT_NAME) == masked()
    assert storage.get(TEMP, TEMP_KEY) == DATA


def test_a_store_looks_once_reads_once_and_writes_once() -> None:
    storage = service.storage()
    run(store_command(), storage)
    kept = f"s3://{KEPT}/{KEPT_NAME}"
    wanted = [("find", kept), ("source", f"s3://{TEMP}/{TEMP_KEY}"), ("publish", kept)]
    assert storage.requests == wanted


def test_an_output_tells_whose_it_is_and_of_what() -> None:
    storage = service.storage()
    outcome = run(store_command(), storage)
    metadata = storage.object(KEPT, KEPT_NAME).found.metadata
    assert outcome.result is not None
    assert (
        metadata["command-digest"] == outcome.result.digest == outcome.attributes["commandDigest"]
    )
    assert metadata["domain"] == DOMAIN
    assert metadata["start-time-ms"] == str(START)
    assert metadata["engine-version"] == ae.__version__
    assert metadata["source-digest"].startswith("sha256:")


@pytest.mark.parametrize(
    ("trim", "absolute", "dialect", "wanted"),
    [
        ({"from": 1.5}, False, "sqs", START + 1500),
        ({"from": 1500}, False, "rest", START + 1500),
        ({"from": START + 250}, True, "sqs", START + 250),
        ({"from": START - 250}, True, "sqs", START),
        ({"to": 2}, False, "sqs", START),
    ],
)
def test_a_trimmed_output_begins_later(
    trim: dict[str, float], absolute: bool, dialect: Any, wanted: int
) -> None:
    storage = service.storage()
    params = {"trim": trim, "absoluteTimes": absolute}
    outcome = run(
        store_command(modificationParams=params, fileName="a.mp3"), storage, dialect=dialect
    )
    assert outcome.error is None
    metadata = storage.object(KEPT, "a.mp3").found.metadata
    assert service.epoch(metadata["start-time-ms"]) == wanted


def test_absolute_times_count_from_what_is_known_then_the_command_then_the_object() -> None:
    params = {
        "absoluteTimes": True,
        "mask": {"caller": [{"from": START + 1000, "to": START + 2000}]},
    }
    late = START + 500
    for starts, first in (
        ((START, None, None), 1.0),
        ((late, START, None), 1.0),
        ((late, late, START), 1.0),
        ((late, None, None), 0.5),
    ):
        of_object, of_command, of_event = starts
        storage = service.storage(start=of_object)
        command = store_command(modificationParams=params, startTime=of_command)
        known = ae.Known(DOMAIN, of_event)
        outcome = run(command, storage, resolver=lambda *_, known=known: known)
        assert outcome.error is None
        wanted = masked({"mask": {"caller": [{"from": first, "to": first + 1}]}})
        assert storage.get(KEPT, KEPT_NAME) == wanted


def test_absolute_times_of_an_unknown_start_fail() -> None:
    params = {"absoluteTimes": True, "trim": {"from": START + 1000}}
    storage = service.storage(start=None)
    outcome = run(store_command(modificationParams=params), storage)
    assert event_of(outcome)["event"] == "STORERECORDINGFAILED"
    assert "start" in event_of(outcome)["reason"]
    assert storage.keys(KEPT) == ()


@pytest.mark.parametrize("params", [None, {}, {"trim": None, "mask": []}])
def test_without_an_edit_the_object_is_copied_where_it_is(params: dict[str, Any] | None) -> None:
    storage = service.storage()
    outcome = run(store_command(modificationParams=params), storage)
    assert event_of(outcome)["event"] == "RECORDINGSTORED"
    assert storage.get(KEPT, KEPT_NAME) == DATA
    assert [door for door, _ in storage.requests] == ["find", "find", "copy"]
    metadata = storage.object(KEPT, KEPT_NAME).found.metadata
    assert metadata["source-digest"].startswith("etag:")
    assert "sha256:" in metadata["source-digest"]
    assert metadata["start-time-ms"] == str(START)


@pytest.mark.parametrize("days", [-1, 0, 1])
def test_without_a_key_in_the_token_the_object_is_found_by_its_date(days: int) -> None:
    storage = service.storage()
    storage.put(TEMP, f"1901{10 + days:02}-{RECORDING}.mp3", DATA, {"domain": DOMAIN})
    storage.delete(storage.place(TEMP, TEMP_KEY).location) if days else None
    outcome = run(store_command(replyId=token(tempKey=None)), storage)
    assert outcome.error is None, outcome.error
    assert storage.get(KEPT, KEPT_NAME) == masked()
