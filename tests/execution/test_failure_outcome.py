# SPDX-License-Identifier: Apache-2.0
"""The end of a command that was not carried out at all, and whether a token counts."""

from __future__ import annotations

import json

import pytest

import audioengine as ae
from audioengine.execution.execute import failure_outcome
from tests.execution.service import (
    ALARMS,
    DOMAIN,
    EVENTS,
    RECORDING,
    delete_command,
    event_of,
    run,
    settings,
    storage,
    store_command,
    token,
)

DIED = ae.StorageError("the process that worked on it died", retryable=True)


@pytest.mark.parametrize("command", [store_command(), delete_command()], ids=["store", "delete"])
def test_it_is_told_as_any_other_failure(command: dict[str, object]) -> None:
    outcome = failure_outcome(json.dumps(command), DIED, settings())
    event = event_of(outcome)
    assert event["event"] == f"{command['method']}FAILED"
    assert (event["reason"], event["domain"]) == (str(DIED), DOMAIN)
    assert outcome.alarm is not None
    assert outcome.alarm.error == str(DIED)
    assert (outcome.event_topic, outcome.alarm_topic) == (EVENTS, ALARMS)
    assert outcome.retryable
    assert outcome.digest == run(command, storage()).digest
    assert outcome.is_proven


def test_a_body_of_rest_is_read_as_rest() -> None:
    command = store_command(modificationParams={"trim": {"from": 1000}}, fileName=None)
    del command["method"]
    body = json.dumps(command)
    outcome = failure_outcome(body, DIED, settings(), dialect="rest", method="STORERECORDING")
    done = run(body, storage(), dialect="rest", method="STORERECORDING")
    assert done.error is None
    assert outcome.digest == done.digest


@pytest.mark.parametrize("body", ["no JSON", "[]", "{}", '{"method": "DANCE"}', "[" * 10**5])
def test_what_says_nothing_of_itself_has_no_event(body: str) -> None:
    outcome = failure_outcome(body, DIED, settings())
    assert (outcome.event, outcome.alarm, outcome.is_proven) == (None, None, False)


def test_a_token_counts_for_its_own_recording_alone() -> None:
    """What others say of a recording must not be held against its tenant."""
    proven = {"modificationParams": {"trim": {"from": 9**9}}}
    assert run(store_command(**proven), storage()).is_proven
    assert run(store_command(modificationParams={"no": 1}), storage()).is_proven
    assert run(store_command(), storage()).is_proven
    assert run(store_command(destinationBucket="elsewhere"), storage()).is_proven
    for reply_id in (token(recordingId="other"), token(key="x" * 40), "no token"):
        outcome = run(store_command(replyId=reply_id, recordingId=RECORDING), storage())
        assert not outcome.is_proven
        body = json.dumps(store_command(replyId=reply_id, recordingId=RECORDING))
        assert not failure_outcome(body, DIED, settings()).is_proven
