# SPDX-License-Identifier: Apache-2.0
"""What becomes of a name that is taken: the same command again, another object, old versions."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

import audioengine as ae
from audioengine.storage.buckets import Location
from tests.execution import service
from tests.execution.service import (
    KEPT,
    KEPT_NAME,
    MASK,
    RECORDING,
    TEMP,
    TEMP_KEY,
    event_of,
    masked,
    merge_command,
    run,
    store_command,
    token,
)


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
    ("policy", "keys"), [("overwrite", (KEPT_NAME,)), ("suffix", (f"{RECORDING}-1.mp3", KEPT_NAME))]
)
def test_what_becomes_of_another_object_of_the_name(policy: str, keys: tuple[str, ...]) -> None:
    storage = service.storage()
    storage.put(KEPT, KEPT_NAME, b"another")
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
    storage.put(KEPT, KEPT_NAME, b"another")
    outcome = run(store_command(), storage, settings=service.settings(existing="refuse"))
    assert "fileName" in event_of(outcome)["reason"]
    assert storage.get(KEPT, KEPT_NAME) == b"another"


@pytest.mark.parametrize("existing", ["overwrite", "refuse", "suffix"])
def test_a_name_that_is_taken_meanwhile_is_judged_again(
    existing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two commands may want one name at a time; where none may be replaced, neither is."""
    storage = service.storage()
    read = storage.source

    def taken_meanwhile(*arguments: Any) -> Any:
        storage.put(KEPT, KEPT_NAME, b"theirs")
        return read(*arguments)

    monkeypatch.setattr(storage, "source", taken_meanwhile)
    outcome = run(store_command(), storage, settings=service.settings(existing=existing))
    assert isinstance(outcome.error, ae.InvalidRequestError if existing == "refuse" else type(None))
    assert (storage.get(KEPT, KEPT_NAME) == b"theirs") is (existing != "overwrite")
    if existing == "suffix":
        assert event_of(outcome)["fileName"] == f"{RECORDING}-1.mp3"
        assert storage.get(KEPT, f"{RECORDING}-1.mp3") == masked()


@pytest.mark.parametrize("kind", ["masked", "plain", "merge"])
@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("existing", ["overwrite", "refuse", "suffix"])
def test_another_domain_s_object_that_comes_meanwhile_is_never_overwritten(
    existing: str, before: bool, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether nothing had the name when it was judged, or an object of the command's own domain."""
    storage = service.storage()
    name = "kept.mp3"
    if before:
        storage.put(KEPT, name, b"ours", {"domain": service.DOMAIN})
    find = storage.find

    def judged(location: Location, *arguments: Any) -> Any:
        found = find(location, *arguments)
        if location.key == name:
            storage.put(KEPT, name, b"theirs", {"domain": service.OTHER})
        return found

    monkeypatch.setattr(storage, "find", judged)
    params = service.MASK if kind == "masked" else None
    command = (
        merge_command(fileName=name)
        if kind == "merge"
        else store_command(fileName=name, modificationParams=params)
    )
    outcome = run(command, storage, settings=service.settings(existing=existing))
    assert storage.get(KEPT, name) == b"theirs"
    if existing == "suffix":
        assert outcome.error is None
    elif existing == "overwrite":
        assert isinstance(outcome.error, ae.NotAllowedError)
    else:
        assert isinstance(outcome.error, ae.InvalidRequestError)


def test_a_name_that_never_comes_to_rest_is_left_for_later(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = service.storage()
    find = storage.find
    looks = count()

    def changing(location: Location, *arguments: Any) -> Any:
        found = find(location, *arguments)
        storage.put(KEPT, KEPT_NAME, str(next(looks)).encode())
        return found

    monkeypatch.setattr(storage, "find", changing)
    outcome = run(store_command(), storage)
    assert isinstance(outcome.error, ae.StorageError)
    assert outcome.retryable
    assert "changed in the meantime" in str(outcome.error)
    assert next(looks) < 10


@pytest.mark.parametrize("purge", [False, True])
def test_versions_that_stay_behind_are_named_or_purged(purge: bool) -> None:
    storage = service.storage(versioned=True)
    storage.put(KEPT, KEPT_NAME, b"unmasked")
    before = storage.object(KEPT, KEPT_NAME).found.version
    outcome = run(store_command(), storage, settings=service.settings(purge_versions=purge))
    assert outcome.result is not None
    assert outcome.result.versions_before == (before,)
    versions = storage.versions(storage.place(KEPT, KEPT_NAME).location)
    assert (before in versions) is not purge
    assert storage.get(KEPT, KEPT_NAME) == masked()


def test_versions_that_a_killed_run_did_not_purge_are_purged_by_the_next() -> None:
    storage = service.storage(versioned=True)
    storage.put(KEPT, KEPT_NAME, b"unmasked")
    before = storage.object(KEPT, KEPT_NAME).found.version
    command, purging = store_command(), service.settings(purge_versions=True)
    run(command, storage)  # it does not purge, as if it had been killed before it could
    outcome = run(command, storage, settings=purging)
    assert outcome.result is not None
    assert outcome.result.is_repeated
    assert outcome.result.versions_before == (before,)
    assert len(storage.versions(storage.place(KEPT, KEPT_NAME).location)) == 1
    assert storage.get(KEPT, KEPT_NAME) == masked()
