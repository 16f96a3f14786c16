# SPDX-License-Identifier: Apache-2.0
"""A command's outcome: what has an event and what has none, what may pass, what is verified."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

import audioengine as ae
from audioengine.commands.events import parse_event
from audioengine.errors import StorageError
from tests.execution import service
from tests.execution.service import (
    DATA,
    DOMAIN,
    KEPT,
    KEPT_NAME,
    MASK,
    QUEUE,
    RECORDING,
    START,
    TEMP,
    TEMP_KEY,
    delete_command,
    event_of,
    masked,
    merge_command,
    run,
    store_command,
    token,
)

MASKED_ENTRY = {"recordingId": RECORDING, "startTime": START, "modificationParams": MASK}


def test_a_delete_removes_every_version_and_what_is_gone_is_deleted_too() -> None:
    storage = service.storage(versioned=True)
    storage.put(TEMP, TEMP_KEY, DATA)
    command = delete_command()
    for _ in range(2):
        outcome = run(command, storage)
        assert event_of(outcome) == {
            "event": "RECORDINGDELETED",
            "commandQueue": QUEUE,
            "commandRegion": "eu-west-1",
            "recordingId": RECORDING,
            "replyId": command["replyId"],
        }
        assert storage.keys(TEMP) == ()


def test_a_failure_has_an_event_and_an_alarm() -> None:
    storage = service.storage()
    command = store_command(modificationParams={"trim": {"from": 1000}}, encryptionKey="alias/key")
    outcome = run(command, storage)
    event = event_of(outcome)
    assert event.pop("reason")
    assert event == {
        "event": "STORERECORDINGFAILED",
        "commandQueue": QUEUE,
        "commandRegion": "eu-west-1",
        "domain": DOMAIN,
        "recordingId": RECORDING,
        "replyId": command["replyId"],
    }
    assert outcome.alarm is not None
    assert outcome.alarm.type == "storeRecordingError"
    assert json.loads(str(outcome.alarm.event))["encryptionKey"] == "alias/key"
    assert not outcome.retryable
    parse_event(event_of(outcome))
    # Repeats are the same, whatever their token; and so is the digest of one that succeeds.
    again = run({**command, "replyId": token(iat=1)}, storage)
    assert again.attributes == outcome.attributes
    assert len(outcome.attributes["commandDigest"]) == 64


@pytest.mark.parametrize("kind", ["store", "delete", "merge"])
def test_a_failure_has_the_digest_of_the_success(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = {"store": store_command(), "delete": delete_command(), "merge": merge_command()}
    fine = run(commands[kind], service.storage())
    storage = service.storage()

    def broken(*_: object, **__: object) -> None:
        raise StorageError("broken")

    for door in ("find", "delete"):
        monkeypatch.setattr(storage, door, broken)
    failed = run(commands[kind], storage)
    assert fine.error is None
    assert failed.error is not None
    assert failed.digest == fine.digest


def test_a_command_that_can_t_be_read_fails_with_all_that_is_wrong() -> None:
    command = store_command(destinationBucket=7, modificationParams={"trim": {"from": "x"}})
    outcome = run(command, service.storage())
    reason = event_of(outcome)["reason"]
    assert "destinationBucket" in reason
    assert "modificationParams.trim.from" in reason
    assert event_of(outcome)["domain"] == DOMAIN


@pytest.mark.parametrize("text", ["{", "[]", b"\xff", '"text"', "[" * 100_000])
def test_what_is_no_command_has_no_event(text: str | bytes) -> None:
    outcome = run(text, service.storage())
    assert outcome.event is None
    assert isinstance(outcome.error, ae.InvalidRequestError)


def test_a_command_may_be_json() -> None:
    storage = service.storage()
    assert run(json.dumps(store_command()), storage).error is None
    assert storage.get(KEPT, KEPT_NAME) == masked()


@pytest.mark.parametrize("method", ["STOPRECORDING", "CANCELRECORDING"])
def test_commands_of_the_recorder_are_not_ours(method: str) -> None:
    outcome = run({**delete_command(), "method": method}, service.storage())
    assert outcome.event is None
    assert outcome.alarm is not None
    assert outcome.alarm.type == f"{method[:-9].lower()}RecordingError"


def test_what_may_pass_is_said_to(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_: object, **__: object) -> None:
        raise StorageError("SlowDown", retryable=True)

    storage = service.storage()
    monkeypatch.setattr(storage, "find", slow)
    outcome = run(store_command(), storage)
    assert outcome.retryable
    assert event_of(outcome)["event"] == "STORERECORDINGFAILED"


@pytest.mark.parametrize("named", [None, "STORERECORDING"])
@pytest.mark.parametrize("absolute", [False, True])
def test_a_rest_command_is_the_same_when_it_is_queued_again_as_its_alarm_shows_it(
    named: str | None, absolute: bool
) -> None:
    """By hand, to a queue, without any attribute: its milliseconds stay milliseconds."""
    first = START if absolute else 0
    mask = {"caller": [{"from": first + 1000, "to": first + 2000}]}
    params = {"absoluteTimes": absolute, "mask": mask}
    command = store_command(modificationParams=params, method=named)
    storage = service.storage()
    storage.put(TEMP, TEMP_KEY, b"no audio", {"domain": DOMAIN})
    outcome = run(json.dumps(command), storage, dialect="rest", method="STORERECORDING")
    assert outcome.alarm is not None
    assert json.loads(str(outcome.alarm.event)) == {
        **command,
        "method": "STORERECORDING",
        "dialect": "rest",
    }
    storage = service.storage()
    again = run(str(outcome.alarm.event), storage)
    assert again.error is None
    assert again.digest == outcome.digest
    name = service.TEMP_KEY  # REST's default, too
    assert storage.get(KEPT, name) == masked({"mask": {"caller": [{"from": 1, "to": 2}]}})


def test_a_text_with_repeated_keys_is_shown_as_it_is() -> None:
    """One of them may be its edit."""
    text = json.dumps(store_command())[:-1] + ', "modificationParams": null}'
    outcome = run(text, service.storage(), dialect="rest", method="STORERECORDING")
    assert outcome.alarm is not None
    assert outcome.alarm.event == text


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("command", [store_command(), service.merge_command()])
def test_a_disk_or_a_quota_that_is_full_may_pass_and_no_local_path_is_told(
    code: int, command: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for bucket in (service.TEMP, service.KEPT):
        (tmp_path / bucket).mkdir()
    (tmp_path / service.TEMP / service.TEMP_KEY).write_bytes(service.DATA)

    def full(*_: Any) -> int:
        raise OSError(code, os.strerror(code), str(tmp_path))

    monkeypatch.setattr(os, "write", full)
    outcome = run(command, ae.FolderStorage(tmp_path))
    monkeypatch.undo()
    assert outcome.retryable
    assert os.strerror(code) in event_of(outcome)["reason"]
    assert str(tmp_path) not in json.dumps(outcome.to_dict())
    again = run(command, ae.FolderStorage(tmp_path))
    assert again.error is None


def test_a_bug_ends_a_command_too(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = service.storage()
    nothing: dict[str, object] = {}
    monkeypatch.setattr(storage, "find", lambda *_: nothing["secret"])
    outcome = run(store_command(), storage)
    assert event_of(outcome)["reason"] == "internal error: KeyError"
    assert not outcome.retryable


def test_a_resolver_that_breaks_ends_a_command_too() -> None:
    """Also where it breaks only when the failure is to be told."""
    answers: list[ae.Known | None] = [None]

    def broken(_domain: str, _recording_id: str) -> ae.Known | None:
        if answers:
            return answers.pop()
        raise ConnectionError

    command = store_command(destinationBucket="nowhere")
    for failure in (ae.NotAllowedError, ae.AudioEngineError):
        outcome = run(command, service.storage(), resolver=broken)
        assert isinstance(outcome.error, failure)
        assert event_of(outcome)["event"] == "STORERECORDINGFAILED"
        assert outcome.digest is None


def test_a_number_that_no_decimal_holds_is_no_bug() -> None:
    outcome = run(
        b'{"method": "STORERECORDING", "startTime": 1e99999999999999999999}', service.storage()
    )
    assert isinstance(outcome.error, ae.InvalidRequestError)


@pytest.mark.parametrize("command", [store_command(), merge_command(toMerge=[MASKED_ENTRY])])
def test_what_is_verified_has_the_verdict_in_its_report(command: dict[str, Any]) -> None:
    """Of a store and of a merge; by one setting."""
    for verify in (False, True):
        outcome = run(
            command, service.storage(), settings=service.settings(store={"verify": verify})
        )
        assert outcome.error is None, outcome.error
        verdict = outcome.to_dict()["report"]["verification"]
        assert (verdict is not None) == verify
        if verify:
            assert verdict["passed"] is True
            assert {check["name"] for check in verdict["checks"]} >= {"beep", "voice_gone"}


@pytest.mark.parametrize("command", [store_command(), merge_command(toMerge=[MASKED_ENTRY])])
def test_what_does_not_pass_is_a_failure_for_good(
    command: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And there is no output; nor where nothing can be verified."""
    settings = service.settings(store={"verify": True})
    for place, value, said in (
        ("audioengine.pcm.tone.BeepTone.paint", lambda *_: None, "beep: "),
        ("audioengine.verification.decoder.find_spec", lambda _: None, "audioengine[verify]"),
    ):
        storage = service.storage()
        with monkeypatch.context() as broken:
            broken.setattr(place, value)
            outcome = run(command, storage, settings=settings)
        assert isinstance(outcome.error, ae.VerificationError)
        assert said in event_of(outcome)["reason"]
        assert not outcome.retryable
        assert not storage.keys(KEPT)
