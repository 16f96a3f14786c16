# SPDX-License-Identifier: Apache-2.0
"""A command's outcome: its event, its output, its requests; the same again when it comes again."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

import audioengine as ae
from audioengine.commands.events import parse_event
from audioengine.errors import StorageError
from tests.execution import service
from tests.execution.service import (
    ALARMS,
    DATA,
    DOMAIN,
    EVENTS,
    KEPT,
    MASK,
    QUEUE,
    RECORDING,
    START,
    TEMP,
    TEMP_KEY,
    delete_command,
    event_of,
    run,
    store_command,
    token,
)

NAME = f"{RECORDING}.mp3"


def masked(params: dict[str, Any] | None = None, **more: Any) -> bytes:
    out = io.BytesIO()
    ae.store(DATA, out, ae.Modification.from_params(params or MASK), **more)
    return out.getvalue()


def test_a_store_masks_and_tells() -> None:
    storage = service.storage()
    command = store_command()
    outcome = run(command, storage)
    assert event_of(outcome) == {
        "event": "RECORDINGSTORED",
        "commandQueue": QUEUE,
        "commandRegion": "eu-west-1",
        "destinationBucket": KEPT,
        "fileName": NAME,
        "recordingId": RECORDING,
        "replyId": command["replyId"],
    }
    assert outcome.alarm is None
    assert not outcome.retryable
    assert (outcome.event_topic, outcome.alarm_topic) == (EVENTS, ALARMS)
    assert storage.get(KEPT, NAME) == masked()
    assert storage.get(TEMP, TEMP_KEY) == DATA


def test_a_store_looks_once_reads_once_and_writes_once() -> None:
    storage = service.storage()
    run(store_command(), storage)
    kept = f"s3://{KEPT}/{NAME}"
    wanted = [("find", kept), ("source", f"s3://{TEMP}/{TEMP_KEY}"), ("publish", kept)]
    assert storage.requests == wanted


def test_an_output_tells_whose_it_is_and_of_what() -> None:
    storage = service.storage()
    outcome = run(store_command(), storage)
    metadata = storage.object(KEPT, NAME).found.metadata
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
        outcome = run(command, storage, resolver=lambda _id, known=known: known)
        assert outcome.error is None
        wanted = masked({"mask": {"caller": [{"from": first, "to": first + 1}]}})
        assert storage.get(KEPT, NAME) == wanted


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
    assert storage.get(KEPT, NAME) == DATA
    assert [door for door, _ in storage.requests] == ["find", "find", "copy"]
    metadata = storage.object(KEPT, NAME).found.metadata
    assert metadata["source-digest"].startswith("etag:")
    assert "sha256:" in metadata["source-digest"]
    assert metadata["start-time-ms"] == str(START)


@pytest.mark.parametrize("params", [MASK, None])
def test_the_same_command_again_does_nothing_and_tells_the_same(params: Any) -> None:
    storage = service.storage()
    command = store_command(modificationParams=params)
    first = run(command, storage)
    storage.requests.clear()
    storage.delete(storage.place(TEMP, TEMP_KEY).location)
    storage.requests.clear()
    again = run({**command, "replyId": token(iat=1)}, storage)
    assert again.result is not None
    assert again.result.is_repeated
    assert [door for door, _ in storage.requests] == ["find"]
    assert {**event_of(again), "replyId": ""} == {**event_of(first), "replyId": ""}


@pytest.mark.parametrize(
    "other",
    [
        {"modificationParams": {"mask": {"caller": [{"from": 1, "to": 2.5}]}}},
        {"modificationParams": {"mask": {"callee": [{"from": 1, "to": 2}]}}},
        {"encryptionKey": "alias/another"},
    ],
)
def test_another_command_is_another_output(other: dict[str, Any]) -> None:
    storage = service.storage()
    run(store_command(), storage)
    outcome = run(store_command(**other), storage)
    assert outcome.result is not None
    assert not outcome.result.is_repeated


def test_settings_that_change_audio_change_the_digest_and_others_do_not() -> None:
    def digest(**more: Any) -> str:
        outcome = run(store_command(), service.storage(), settings=service.settings(**more))
        assert outcome.result is not None
        return outcome.result.digest

    plain = digest()
    assert digest(store={"beep": {"frequency_hz": 800}}) != plain
    assert digest(store={"guard_ms": 10}) != plain
    assert digest(fallbacks={"command_region": "eu-north-1"}, existing="suffix") == plain
    assert digest(store={"verify": True}) == plain


def test_how_an_edit_is_written_does_not_change_the_digest() -> None:
    def digest(params: Any, dialect: Any) -> str:
        command = store_command(modificationParams=params, fileName="a.mp3")
        outcome = run(command, service.storage(), dialect=dialect)
        assert outcome.result is not None
        return outcome.result.digest

    first = digest({"mask": {"caller": [{"from": 1, "to": 1.5}, {"from": 1.5, "to": 2}]}}, "sqs")
    assert digest({"mask": {"callee": [], "caller": [{"from": 1000, "to": 2000}]}}, "rest") == first
    assert digest({"mask": [{"from": 1, "to": 2}]}, "sqs") != first


@pytest.mark.parametrize(
    ("policy", "keys"), [("overwrite", (NAME,)), ("suffix", (f"{RECORDING}-1.mp3", NAME))]
)
def test_what_becomes_of_another_object_of_the_name(policy: str, keys: tuple[str, ...]) -> None:
    storage = service.storage()
    storage.put(KEPT, NAME, b"another")
    outcome = run(store_command(), storage, settings=service.settings(existing=policy))
    assert outcome.error is None
    assert storage.keys(KEPT) == keys
    assert storage.get(KEPT, keys[0]) == masked()
    assert event_of(outcome)["fileName"] == keys[0]
    # Again, it finds its own.
    again = run(store_command(), storage, settings=service.settings(existing=policy))
    assert again.result is not None
    assert again.result.is_repeated
    assert event_of(again)["fileName"] == keys[0]


def test_another_object_of_the_name_may_be_refused() -> None:
    storage = service.storage()
    storage.put(KEPT, NAME, b"another")
    outcome = run(store_command(), storage, settings=service.settings(existing="refuse"))
    assert "fileName" in event_of(outcome)["reason"]
    assert storage.get(KEPT, NAME) == b"another"


@pytest.mark.parametrize("purge", [False, True])
def test_versions_that_stay_behind_are_named_or_purged(purge: bool) -> None:
    storage = service.storage(versioned=True)
    storage.put(KEPT, NAME, b"unmasked")
    before = storage.object(KEPT, NAME).found.version
    outcome = run(store_command(), storage, settings=service.settings(purge_versions=purge))
    assert outcome.result is not None
    assert outcome.result.versions_before == (before,)
    versions = storage.versions(storage.place(KEPT, NAME).location)
    assert (before in versions) is not purge
    assert storage.get(KEPT, NAME) == masked()


def test_versions_that_a_killed_run_did_not_purge_are_purged_by_the_next() -> None:
    storage = service.storage(versioned=True)
    storage.put(KEPT, NAME, b"unmasked")
    before = storage.object(KEPT, NAME).found.version
    command, purging = store_command(), service.settings(purge_versions=True)
    run(command, storage)  # it does not purge, as if it had been killed before it could
    outcome = run(command, storage, settings=purging)
    assert outcome.result is not None
    assert outcome.result.is_repeated
    assert outcome.result.versions_before == (before,)
    assert len(storage.versions(storage.place(KEPT, NAME).location)) == 1
    assert storage.get(KEPT, NAME) == masked()


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


@pytest.mark.parametrize("days", [-1, 0, 1])
def test_without_a_key_in_the_token_the_object_is_found_by_its_date(days: int) -> None:
    storage = service.storage()
    storage.put(TEMP, f"1901{10 + days:02}-{RECORDING}.mp3", DATA, {"domain": DOMAIN})
    storage.delete(storage.place(TEMP, TEMP_KEY).location) if days else None
    outcome = run(store_command(replyId=token(tempKey=None)), storage)
    assert outcome.error is None, outcome.error
    assert storage.get(KEPT, NAME) == masked()


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
    entry = {"recordingId": RECORDING, "startTime": START}
    merging = {"method": "MERGERECORDINGS", "destinationBucket": KEPT, "toMerge": [entry]}
    commands = {
        "store": store_command(),
        "delete": delete_command(),
        "merge": {**merging, "replyId": token()},
    }
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
    assert storage.get(KEPT, NAME) == masked()


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

    def broken(_recording_id: str) -> ae.Known | None:
        if answers:
            return answers.pop()
        raise ConnectionError

    command = store_command(destinationBucket="nowhere")
    for failure in (ae.NotAllowedError, ae.AudioEngineError):
        outcome = run(command, service.storage(), resolver=broken)
        assert isinstance(outcome.error, failure)
        assert event_of(outcome)["event"] == "STORERECORDINGFAILED"
        assert outcome.digest is None


def test_a_merge_finds_its_recordings_and_tells() -> None:
    storage = service.storage()
    other = "601fe950-89fd-11ef-966f-03e88116d7e5"
    service.put(storage, other, DATA[:20_000], key=f"190109-{other}.mp3")
    command = {
        "method": "MERGERECORDINGS",
        "destinationBucket": KEPT,
        "toMerge": [
            {"recordingId": other, "startTime": START + 3000},
            {"recordingId": RECORDING, "startTime": START},
        ],
        "replyId": token(),
    }
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
    ae.merge(parts, out, allow_truncated=True)
    assert storage.get(KEPT, name) == out.getvalue()
    assert storage.object(KEPT, name).found.metadata["start-time-ms"] == str(START)
    again = run(command, storage, settings=tolerant)
    assert again.result is not None
    assert again.result.is_repeated


def test_a_merge_of_a_recording_that_still_goes_on_names_it() -> None:
    entry = {"recordingId": RECORDING, "startTime": START, "state": "active"}
    command = {
        "method": "MERGERECORDINGS",
        "destinationBucket": KEPT,
        "toMerge": [entry],
        "replyId": token(),
    }
    outcome = run(command, service.storage())
    assert event_of(outcome)["event"] == "MERGERECORDINGSFAILED"
    assert "active" in event_of(outcome)["reason"]
    assert outcome.alarm is not None
    assert outcome.alarm.type == "mergeRecordingsError"


def test_a_number_that_no_decimal_holds_is_no_bug() -> None:
    outcome = run(
        b'{"method": "STORERECORDING", "startTime": 1e99999999999999999999}', service.storage()
    )
    assert isinstance(outcome.error, ae.InvalidRequestError)


@pytest.mark.parametrize("existing", ["overwrite", "refuse", "suffix"])
def test_a_name_that_is_taken_meanwhile_is_judged_again(
    existing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two commands may want one name at a time; where none may be replaced, neither is."""
    storage = service.storage()
    read = storage.source

    def taken_meanwhile(*arguments: Any) -> Any:
        storage.put(KEPT, NAME, b"theirs")
        return read(*arguments)

    monkeypatch.setattr(storage, "source", taken_meanwhile)
    outcome = run(store_command(), storage, settings=service.settings(existing=existing))
    assert outcome.retryable is (existing != "overwrite")
    assert (storage.get(KEPT, NAME) == b"theirs") is (existing != "overwrite")


def merge_command() -> dict[str, Any]:
    entries = [{"recordingId": RECORDING, "startTime": START, "modificationParams": MASK}]
    return {
        "method": "MERGERECORDINGS",
        "destinationBucket": KEPT,
        "toMerge": entries,
        "replyId": token(),
    }


@pytest.mark.parametrize("command", [store_command(), merge_command()])
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


@pytest.mark.parametrize("command", [store_command(), merge_command()])
def test_what_does_not_pass_is_a_failure_for_good(
    command: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And there is no output; nor where nothing can be verified."""
    settings = service.settings(store={"verify": True})
    for place, value, said in (
        ("audioengine.pcm.tone.Tone.paint", lambda *_: None, "beep: "),
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
