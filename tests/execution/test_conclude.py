# SPDX-License-Identifier: Apache-2.0
"""A command that is not tried any more: its own result counts, and nothing is made or deleted."""

from __future__ import annotations

import json
from typing import Any

import pytest

import audioengine as ae
from audioengine.execution.execute import conclude
from tests.execution import service
from tests.execution.service import (
    KEPT,
    OTHERS,
    RECORDING,
    START,
    TEMP,
    delete_command,
    event_of,
    run,
    store_command,
    token,
)

DIED = ae.AudioEngineError("it died")


def concluded(command: dict[str, Any], storage: ae.Storage) -> ae.Outcome:
    return conclude(json.dumps(command), DIED, storage, service.settings())


def merge_command() -> dict[str, Any]:
    return {
        "method": "MERGERECORDINGS",
        "destinationBucket": KEPT,
        "fileName": "m.mp3",
        "toMerge": [{"recordingId": RECORDING, "startTime": START}],
        "replyId": token(),
    }


@pytest.mark.parametrize("command", [store_command(), merge_command(), delete_command()])
def test_it_ends_as_it_would_have(command: dict[str, Any]) -> None:
    storage = service.storage()
    failed = concluded(command, storage)
    assert event_of(failed)["reason"] == "it died"
    assert failed.alarm is not None
    assert not failed.retryable
    assert {one.key for one in storage.objects(TEMP)} == {service.TEMP_KEY}
    assert list(storage.objects(KEPT)) == []
    done = run(command, storage)
    requests = len(storage.requests)
    again = concluded(command, storage)
    assert event_of(again) == event_of(done)
    assert again.digest == done.digest
    assert again.alarm is None
    assert len(storage.requests) - requests == 1


def test_what_is_wrong_with_it_comes_first() -> None:
    command = store_command(destinationBucket=OTHERS)
    failed = concluded(command, service.storage())
    assert "may write to" in event_of(failed)["reason"]


def test_another_object_under_the_name_is_not_its_result() -> None:
    storage = service.storage()
    run(store_command(fileName="a.mp3"), storage)
    other = store_command(fileName="a.mp3", modificationParams={"trim": {"from": 1}})
    assert event_of(concluded(other, storage))["event"] == "STORERECORDINGFAILED"


def test_of_what_was_passed_on_to_the_recorder_nothing_is_known() -> None:
    command = {**delete_command(), "method": "STOPRECORDING"}
    outcome = concluded(command, service.storage())
    assert outcome.event is None
    assert outcome.alarm is not None
    assert outcome.alarm.error == "it died"
