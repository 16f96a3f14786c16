# SPDX-License-Identifier: Apache-2.0
"""STOPRECORDING and CANCELRECORDING: proven to be the tenant's, then passed on."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

import audioengine as ae
from audioengine.commands.requests import CancelRecording, StopRecording
from audioengine.errors import StorageError
from audioengine.execution.reply_id import Claims, make_token, read_token
from tests.execution import service
from tests.execution.service import DOMAIN, OTHER, RECORDING, delete_command, run, token

METHODS = ["STOPRECORDING", "CANCELRECORDING"]


@dataclass
class Recorder:
    """What is told to a recorder."""

    error: StorageError | None = None
    told: list[tuple[str, str, str]] = field(default_factory=list)

    def pass_on(self, command: StopRecording | CancelRecording, domain: str) -> None:
        if self.error is not None:
            raise self.error
        self.told.append((command.method, domain, command.recording_id))


@pytest.mark.parametrize("method", METHODS)
def test_a_command_of_the_tenant_is_passed_on(method: str) -> None:
    recorder = Recorder()
    command = {**delete_command(), "method": method}
    outcome = run(command, service.storage(), control=recorder)
    assert recorder.told == [(method, DOMAIN, RECORDING)]
    assert (outcome.event, outcome.alarm, outcome.error) == (None, None, None)
    assert outcome.digest is not None
    assert outcome.digest == run(command, service.storage(), control=recorder).digest
    assert outcome.attributes["recordingId"] == RECORDING


@pytest.mark.parametrize("method", METHODS)
def test_what_the_token_does_not_prove_is_not(method: str) -> None:
    recorder = Recorder()
    for reply_id in (token(recordingId="other"), token(key="x" * 40), token(iat=1)):
        command = {**delete_command(replyId=reply_id), "method": method}
        settings = service.settings(max_token_age_s=3600)
        outcome = run(command, service.storage(), control=recorder, settings=settings)
        assert isinstance(outcome.error, ae.NotAllowedError)
        assert outcome.alarm is not None
        assert outcome.alarm.type == f"{method[:-9].lower()}RecordingError"
        assert outcome.attributes["recordingId"] == RECORDING
    assert recorder.told == []


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("retryable", [True, False])
def test_a_recorder_that_can_not_be_told(method: str, *, retryable: bool) -> None:
    recorder = Recorder(StorageError("it is asleep", retryable=retryable))
    outcome = run({**delete_command(), "method": method}, service.storage(), control=recorder)
    assert outcome.event is None
    assert outcome.retryable is retryable
    assert outcome.alarm is not None
    assert outcome.alarm.error == "it is asleep"
    assert outcome.digest is not None


def test_a_token_that_is_made_can_be_read() -> None:
    settings = service.settings()
    claims = Claims(domain=OTHER, recording_id=RECORDING, temp_key="a.mp3", iat=1_547_114_000)
    assert read_token(make_token(claims, settings), settings) == claims
    with pytest.raises(ae.NotAllowedError, match="token_key"):
        make_token(claims, ae.Settings())
