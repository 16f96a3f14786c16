# SPDX-License-Identifier: Apache-2.0
"""Who may do what: tokens that prove nothing, other tenants' recordings and buckets."""

from __future__ import annotations

import base64
import json
import logging
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import jwt
import pytest

import audioengine as ae
from audioengine.execution.execute import failure_outcome
from audioengine.storage.buckets import Location
from tests.execution import service
from tests.execution.service import (
    DATA,
    DOMAIN,
    KEPT,
    KEY,
    OTHER,
    OTHERS,
    RECORDING,
    START,
    TEMP,
    TEMP_KEY,
    delete_command,
    event_of,
    merge_command,
    run,
    store_command,
    token,
)
from tests.support import fixture

ANOTHER = "601fe950-89fd-11ef-966f-03e88116d7e5"


def unsigned() -> str:
    """A token without a signature."""
    return jwt.encode({"recordingId": RECORDING, "domain": DOMAIN}, "", algorithm="none")


def untouched(storage: ae.MemoryStorage) -> None:
    """Nothing was written, deleted, or even looked for."""
    assert storage.requests == []
    assert storage.get(TEMP, TEMP_KEY) == DATA


FORGED: dict[str, Callable[[], str]] = {
    "another key": lambda: token(key="another key that is long enough for it"),
    "no signature": unsigned,
    "another algorithm": lambda: token(algorithm="HS512"),
    "no token": lambda: "fdkmlksfm38f8nfQekefmffmf...",
    "from the future": lambda: token(iat=int(time.time()) + 3600),
    "expired": lambda: token(exp=int(time.time()) - 3600),
}


@pytest.mark.parametrize("forged", FORGED)
@pytest.mark.parametrize("command", [store_command, delete_command])
def test_a_token_that_proves_nothing_does_nothing(forged: str, command: Any) -> None:
    storage = service.storage()
    text = FORGED[forged]()
    chosen = service.settings(fallbacks={"event_topic": "arn:ours", "alarm_topic": "arn:alarms"})
    outcome = run(command(replyId=text), storage, settings=chosen)
    untouched(storage)
    assert isinstance(outcome.error, ae.NotAllowedError)
    # What it claims of itself is not believed: nobody is told of the recording that it names, but
    # those who read the settings' alarms.
    assert outcome.event is None
    assert outcome.alarm_topic == "arn:alarms"
    assert outcome.alarm is not None
    assert text in str(outcome.alarm.event)


def test_a_token_of_another_recording_is_refused_in_the_reference_s_words() -> None:
    storage = service.storage()
    outcome = run(delete_command(recordingId=ANOTHER), storage)
    untouched(storage)
    assert event_of(outcome)["reason"] == "recordingId does not match eventId"
    assert outcome.alarm is not None
    assert outcome.alarm.error == "recordingId does not match eventId"


def test_a_merge_needs_the_token_of_one_of_its_recordings() -> None:
    storage = service.storage()
    entry = {"recordingId": ANOTHER, "startTime": START}
    command = merge_command(toMerge=[entry])
    assert event_of(run(command, storage))["reason"] == "recordingId does not match eventId"
    untouched(storage)


@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
def test_a_token_s_times_in_milliseconds_are_refused_by_name(name: str) -> None:
    """Such a token would never expire, or is of the far future."""
    storage = service.storage()
    late = (int(time.time()) + 3600) * 1000
    claims: dict[str, Any] = {name: late}
    outcome = run(store_command(replyId=token(**claims)), storage)
    assert isinstance(outcome.error, ae.NotAllowedError)
    assert f"replyId.{name} = {late}: must be in seconds" in str(outcome.error)
    untouched(storage)


@pytest.mark.parametrize("age", [100, 10_000])
def test_a_token_may_be_too_old(age: int) -> None:
    command = delete_command(replyId=token(iat=int(time.time()) - age))
    outcome = run(command, service.storage(), settings=service.settings(max_token_age_s=1000))
    assert (outcome.error is None) is (age < 1000)


def test_a_token_of_unknown_age_is_too_old() -> None:
    command = delete_command(replyId=token(iat=None))
    outcome = run(command, service.storage(), settings=service.settings(max_token_age_s=1000))
    assert isinstance(outcome.error, ae.NotAllowedError)


def test_without_a_key_no_token_counts() -> None:
    storage = service.storage()
    outcome = run(delete_command(), storage, settings=service.settings(token_key=None))
    assert outcome.alarm is not None
    assert "token_key" in outcome.alarm.error
    untouched(storage)


def test_a_token_without_a_domain_needs_a_single_tenant() -> None:
    command = store_command(replyId=token(domain=None))
    refused = run(command, service.storage())
    assert refused.event is None
    assert refused.alarm is not None
    assert "replyId.domain" in refused.alarm.error
    alone = service.settings(single_tenant=True, fallbacks={"domain": DOMAIN})
    assert run(command, service.storage(), settings=alone).error is None


@pytest.mark.parametrize("bucket", [OTHERS, TEMP, "nowhere", "../kept", "kept/", "KEPT"])
def test_a_domain_writes_to_its_own_buckets_alone(bucket: str) -> None:
    storage = service.storage()
    outcome = run(store_command(destinationBucket=bucket), storage)
    assert isinstance(outcome.error, ae.NotAllowedError)
    assert repr(bucket) in event_of(outcome)["reason"]
    untouched(storage)


@pytest.mark.parametrize("name", ["", "..", "a/../b", "/a", "a\n", "a/", "x" * 1025])
def test_a_name_must_be_one(name: str) -> None:
    storage = service.storage()
    outcome = run(store_command(fileName=name), storage)
    assert isinstance(outcome.error, ae.InvalidRequestError)
    untouched(storage)


def test_a_recording_may_not_be_stored_over_itself() -> None:
    shared = service.settings(domains={DOMAIN: {"buckets": [TEMP]}})
    storage = service.storage()
    command = store_command(destinationBucket=TEMP, fileName=TEMP_KEY)
    outcome = run(command, storage, settings=shared)
    assert "fileName" in event_of(outcome)["reason"]
    assert storage.get(TEMP, TEMP_KEY) == DATA


@pytest.mark.parametrize("params", [None, service.MASK])
def test_an_object_of_another_domain_is_not_read_whatever_the_token_says(params: Any) -> None:
    storage = service.storage()
    storage.put(TEMP, TEMP_KEY, DATA, {"domain": OTHER})
    outcome = run(store_command(modificationParams=params), storage)
    assert isinstance(outcome.error, ae.NotAllowedError)
    assert storage.keys(KEPT) == ()


def merging(**more: Any) -> dict[str, Any]:
    entries = [
        {"recordingId": RECORDING, "startTime": START},
        {"recordingId": ANOTHER, "startTime": START + 60_000},
    ]
    return merge_command(**{"toMerge": entries, **more})


@pytest.mark.parametrize(
    ("domain", "known", "single", "allowed"),
    [
        (DOMAIN, None, False, True),
        (OTHER, None, False, False),
        (OTHER, DOMAIN, False, False),
        (None, None, False, False),
        (None, DOMAIN, False, True),
        (None, OTHER, False, False),
        (DOMAIN, OTHER, False, False),
        (None, None, True, True),
    ],
)
def test_another_recording_s_domain_must_be_proven(
    domain: str | None, known: str | None, single: bool, allowed: bool
) -> None:
    storage = service.storage()
    data = fixture("conference-a-8k")
    service.put(storage, data, key=f"190110-{ANOTHER}.mp3", domain=domain)
    what = None if known is None else ae.Known(known)
    outcome = run(
        merging(),
        storage,
        settings=service.settings(single_tenant=single),
        resolver=lambda _domain, one: what if one == ANOTHER else None,
    )
    assert (outcome.error is None) is allowed, outcome.error
    if not allowed:
        assert isinstance(outcome.error, ae.NotAllowedError)
        assert storage.keys(KEPT) == ()


def own(method: str) -> dict[str, Any]:
    """A command that touches the token's own recording alone."""
    if method == "DELETERECORDING":
        return delete_command()
    if method == "MERGERECORDINGS":
        return merging(toMerge=[{"recordingId": RECORDING, "startTime": START}])
    return store_command(modificationParams=service.MASK if method == "masked" else None)


@pytest.mark.parametrize("method", ["masked", "plain", "DELETERECORDING", "MERGERECORDINGS"])
@pytest.mark.parametrize(
    ("domain", "known", "single", "allowed"),
    [
        (DOMAIN, None, False, True),
        (None, None, False, True),
        (None, DOMAIN, False, True),
        (OTHER, None, False, False),
        (None, OTHER, False, False),
        (DOMAIN, OTHER, False, False),
        (OTHER, DOMAIN, False, False),
        (OTHER, OTHER, True, True),
    ],
)
def test_nothing_may_tell_that_the_token_s_own_recording_is_another_tenant_s(
    method: str, domain: str | None, known: str | None, single: bool, allowed: bool
) -> None:
    storage = service.storage()
    service.put(storage, DATA, key=TEMP_KEY, domain=domain)
    outcome = run(
        own(method),
        storage,
        settings=service.settings(single_tenant=single),
        resolver=lambda *_: None if known is None else ae.Known(known),
    )
    assert (outcome.error is None) is allowed, outcome.error
    if not allowed:
        assert isinstance(outcome.error, ae.NotAllowedError)
        assert storage.keys(KEPT) == ()
        assert storage.get(TEMP, TEMP_KEY) == DATA


@pytest.mark.parametrize("method", ["masked", "plain", "DELETERECORDING", "MERGERECORDINGS"])
@pytest.mark.parametrize("named", [RECORDING, ANOTHER])
def test_an_object_must_not_say_that_it_is_another_recording(method: str, named: str) -> None:
    """Whatever key the token or the catalogue names."""
    storage = service.storage()
    storage.put(TEMP, TEMP_KEY, DATA, {"domain": DOMAIN, "recording-id": named})
    outcome = run(own(method), storage)
    if named == RECORDING:
        assert outcome.error is None, outcome.error
        return
    assert isinstance(outcome.error, ae.NotAllowedError)
    assert storage.keys(KEPT) == ()
    assert storage.get(TEMP, TEMP_KEY) == DATA


def test_a_merge_s_other_recording_must_not_say_that_it_is_another() -> None:
    storage = service.storage()
    key = f"190110-{ANOTHER}.mp3"
    storage.put(TEMP, key, DATA, {"domain": DOMAIN, "recording-id": RECORDING})
    outcome = run(merging(), storage)
    assert isinstance(outcome.error, ae.NotAllowedError)
    assert storage.keys(KEPT) == ()


@pytest.mark.parametrize("method", ["masked", "plain", "DELETERECORDING", "MERGERECORDINGS"])
def test_a_resolver_is_asked_with_the_token_s_domain(method: str) -> None:
    asked: set[tuple[str, str]] = set()

    def resolver(domain: str, recording_id: str) -> None:
        asked.add((domain, recording_id))

    assert run(own(method), service.storage(), resolver=resolver).error is None
    assert asked == {(DOMAIN, RECORDING)}


@pytest.mark.parametrize("there", [False, True])
def test_another_recording_is_judged_again_when_it_is_opened(
    there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not there is nobody's; what comes before it is read may be another tenant's."""
    storage = service.storage()
    key = f"190110-{ANOTHER}.mp3"
    if there:
        service.put(storage, DATA, key=key)
    read = storage.source

    def come_meanwhile(location: Location, *arguments: Any) -> Any:
        if location.key == key:
            service.put(storage, fixture("conference-a-8k"), key=key, domain=OTHER)
        return read(location, *arguments)

    monkeypatch.setattr(storage, "source", come_meanwhile)
    outcome = run(merging(), storage)
    assert isinstance(outcome.error, ae.NotAllowedError)
    assert storage.keys(KEPT) == ()


def cases() -> Iterator[tuple[str, dict[str, str] | None]]:
    """Of a recording that a command may not have: what is there in its place, if anything."""
    yield "not there", None
    yield "another domain's", {"domain": OTHER}
    yield "not proven", {}
    yield "another recording", {"domain": DOMAIN, "recording-id": "third"}


@pytest.mark.parametrize("missing", ["fail", "omit"])
@pytest.mark.parametrize("known", [False, True])
def test_a_tenant_can_not_tell_another_s_recording_from_none(missing: str, known: bool) -> None:
    """Not by event, alarm or output; what the operator's log gets tells."""
    key = f"190110-{ANOTHER}.mp3"
    command = merging()
    told, whys, outputs = set(), set(), set()
    for name, metadata in cases():
        if known and name == "not proven":  # the resolver proves it
            continue
        storage = service.storage()
        if metadata is not None:
            storage.put(TEMP, key, fixture("conference-a-8k"), metadata)
        outcome = run(
            command,
            storage,
            settings=service.settings(merge={"missing": missing}),
            resolver=lambda domain, one: ae.Known(domain) if known and one == ANOTHER else None,
        )
        alarm = outcome.alarm and outcome.alarm.to_dict()
        told.add(json.dumps([event_of(outcome), alarm]))
        outputs.add(tuple(storage.get(KEPT, key) for key in storage.keys(KEPT)))
        if outcome.error is not None:
            whys.add(str(outcome.error.__cause__))
        else:
            assert outcome.result is not None
            whys.update(one.message for one in outcome.result.notices)
    assert len(told) == len(outputs) == 1
    assert len(whys) == (3 if known else 4)


@pytest.mark.parametrize("method", ["masked", "plain", "MERGERECORDINGS"])
def test_nor_can_it_tell_of_what_its_own_token_names(method: str) -> None:
    """Where another's object has come under its key."""
    command = own(method)
    told = set()
    for name, metadata in cases():
        if name == "not proven":  # the token proves it
            continue
        storage = ae.MemoryStorage(TEMP, KEPT, OTHERS)
        if metadata is not None:
            storage.put(TEMP, TEMP_KEY, fixture("conference-a-8k"), metadata)
        outcome = run(command, storage)
        assert isinstance(outcome.error, ae.NoRecordingError)
        assert outcome.alarm is not None
        told.add(json.dumps([event_of(outcome), outcome.alarm.to_dict()]))
    assert len(told) == 1


@pytest.mark.parametrize("existing", ["overwrite", "refuse"])
def test_nor_whose_the_object_is_that_has_an_output_s_name(existing: str) -> None:
    reasons = set()
    for domain in (OTHER, DOMAIN):
        storage = service.storage()
        storage.put(KEPT, f"{RECORDING}.mp3", b"other", {"domain": domain})
        outcome = run(store_command(), storage, settings=service.settings(existing=existing))
        if (existing, domain) != ("overwrite", DOMAIN):
            reasons.add(event_of(outcome)["reason"])
    rule = "must be another name: an object has this one, and may not be replaced"
    assert reasons == {f"fileName = '{RECORDING}.mp3': {rule}"}


@pytest.mark.parametrize("method", ["masked", "plain", "DELETERECORDING", "MERGERECORDINGS"])
@pytest.mark.parametrize("folder", [False, True])
def test_what_becomes_another_tenant_s_after_a_look_is_judged_again(
    folder: bool, method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is read, copied or deleted is what was judged."""
    storage: ae.Storage = service.storage()
    if folder:
        for bucket in (TEMP, KEPT):
            (tmp_path / bucket).mkdir()
        storage = ae.FolderStorage(tmp_path)
    theirs = fixture("conference-a-8k")

    def put(data: bytes, domain: str) -> None:
        options = ae.S3Options(metadata={"domain": domain})
        with closing(storage.place(TEMP, TEMP_KEY, options).staging()) as staging:
            staging.write(data)
            staging.publish()

    put(DATA, DOMAIN)
    find, source, delete = storage.find, storage.source, storage.delete

    def found(location: Location, *arguments: Any) -> Any:
        before = find(location, *arguments)
        if location.key == TEMP_KEY:
            put(theirs, OTHER)
        return before

    def opened(location: Location, *arguments: Any) -> Any:
        put(theirs, OTHER)
        return source(location, *arguments)

    def deleted(*arguments: Any, **more: Any) -> None:
        put(theirs, OTHER)
        delete(*arguments, **more)

    monkeypatch.setattr(storage, "find", found)
    monkeypatch.setattr(storage, "source", opened)
    monkeypatch.setattr(storage, "delete", deleted)
    outcome = run(own(method), storage)
    # What a copy has found changed may be worth another try, which says the same.
    assert isinstance(outcome.error, ae.NotAllowedError) or (
        method == "plain" and outcome.retryable
    )
    monkeypatch.undo()
    with closing(storage.source(Location(TEMP, TEMP_KEY))) as left:
        assert left.read(0, left.size) == theirs
    assert list(storage.objects(KEPT)) == []


@pytest.mark.parametrize("existing", ["overwrite", "refuse", "suffix"])
@pytest.mark.parametrize("single", [False, True])
def test_an_output_of_another_domain_is_not_overwritten(existing: str, single: bool) -> None:
    """Domains may share a bucket; none may take another's name there."""
    storage = service.storage()
    name = f"{RECORDING}.mp3"
    storage.put(KEPT, name, b"theirs", {"domain": OTHER})
    chosen = service.settings(existing=existing, single_tenant=single)
    outcome = run(store_command(), storage, settings=chosen)
    assert (outcome.error is None) is (
        existing == "suffix" or (existing, single) == ("overwrite", True)
    )
    assert (storage.get(KEPT, name) == b"theirs") is not (single and existing == "overwrite")


def test_a_merge_may_not_replace_what_it_is_made_of() -> None:
    shared = service.settings(domains={DOMAIN: {"buckets": [TEMP]}})
    storage = service.storage()
    command = {**own("MERGERECORDINGS"), "destinationBucket": TEMP, "fileName": TEMP_KEY}
    outcome = run(command, storage, settings=shared)
    assert "fileName" in event_of(outcome)["reason"]
    assert storage.get(TEMP, TEMP_KEY) == DATA


@pytest.mark.parametrize("missing", ["fail", "omit"])
def test_a_recording_that_is_not_there_fails_a_merge_or_is_named(missing: str) -> None:
    storage = service.storage()
    outcome = run(merging(), storage, settings=service.settings(merge={"missing": missing}))
    if missing == "fail":
        assert ANOTHER in event_of(outcome)["reason"]
    else:
        assert outcome.result is not None
        assert isinstance(outcome.result.report, ae.MergeReport)
        assert [one.id for one in outcome.result.report.omitted] == [ANOTHER]


@pytest.mark.parametrize("command", [store_command, delete_command, merge_command])
@pytest.mark.parametrize("settled", [False, True])
def test_what_proves_nothing_puts_no_event_on_the_fallback_topic(
    command: Any, settled: bool
) -> None:
    chosen = service.settings(fallbacks={"event_topic": "arn:ours", "alarm_topic": "arn:alarms"})
    told = command(replyId=token("a key that is another one, long enough for HS256 as well"))
    outcome = (
        failure_outcome(json.dumps(told), ae.StorageError("gone"), chosen)
        if settled
        else run(told, service.storage(), settings=chosen)
    )
    assert outcome.event is None
    assert outcome.alarm is not None


CANARY = bytes(range(100, 132))
ENCODED = base64.b64encode(CANARY).decode()


@pytest.mark.parametrize(
    "name", ["encryptonKey", "kmsKey", "key", "encryption", "sseCustomerKey", "cryptKey"]
)
@pytest.mark.parametrize("place", ["top", "params", "text", "entry", "broken"])
@pytest.mark.parametrize("dialect", ["sqs", "rest"])
def test_a_secret_under_a_misspelt_name_is_not_told(name: str, place: str, dialect: Any) -> None:
    command: Any = store_command(**{name: ENCODED})
    if place == "params":
        command = store_command(modificationParams={**service.MASK, name: ENCODED})
    elif place == "text":
        text = json.dumps({**service.MASK, name: ENCODED})
        command = store_command(modificationParams=text)
    elif place == "entry":
        command = merge_command()
        command["toMerge"][0][name] = ENCODED
    given = json.dumps(command)[: -1 if place == "broken" else None]
    method = "STORERECORDING" if place == "broken" else None
    outcome = run(given, service.storage(), dialect=dialect, method=method)
    assert outcome.error is not None
    assert outcome.alarm is not None
    told = json.dumps([outcome.to_dict(), repr(outcome), str(outcome.error)])
    told += "".join(traceback.format_exception(outcome.error))
    assert ENCODED not in told
    if place != "broken":
        assert name in str(outcome.alarm.event)  # its name is what has to be mended


@pytest.mark.parametrize(
    "broken", ["nothing", "name", "bucket", "token", "key", "params", "source"]
)
def test_a_customer_s_key_is_nowhere_but_with_the_object(
    broken: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever fails: outcomes, their texts, errors, logs and printed lines do not hold it."""
    caplog.set_level(logging.DEBUG)
    storage = service.storage()
    cases: dict[str, dict[str, Any]] = {
        "nothing": {},
        "name": {"fileName": ".."},
        "bucket": {"destinationBucket": "nowhere"},
        "token": {"replyId": "nothing"},
        "key": {"encryptionKey": f"{ENCODED}="},
        "params": {"modificationParams": {"trim": {"from": ENCODED}}},
        "source": {},
    }
    if broken == "source":
        storage.put(TEMP, TEMP_KEY, b"no audio")
    command = store_command(**{"encryptionKey": ENCODED, **cases[broken]})
    outcome = run(command, storage)
    assert (outcome.error is None) is (broken == "nothing")
    told = [json.dumps(outcome.to_dict()), repr(outcome), str(outcome), caplog.text]
    told += list(capsys.readouterr())
    if outcome.error is not None:
        told += traceback.format_exception(outcome.error)
    for text in told:
        if broken != "params":  # a secret where none belongs is shown as any wrong value
            assert ENCODED not in text
        assert repr(CANARY)[2:-1] not in text
        assert KEY not in text
    if broken == "nothing":
        kept = storage.object(KEPT, f"{RECORDING}.mp3")
        assert kept.options.customer_key == CANARY
        assert ENCODED not in repr(kept)
