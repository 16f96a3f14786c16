# SPDX-License-Identifier: Apache-2.0
"""Buckets of S3: in few requests, under the keys asked for, and with no secret in what is told."""

from __future__ import annotations

import os
import pickle
from typing import Any

import pytest

import audioengine as ae
from audioengine.storage import s3_client, s3_storage
from audioengine.storage.buckets import Found, Location
from audioengine.storage.s3_storage import S3Storage
from tests.storage import servers
from tests.storage.conftest import Doors, Moto, RealS3
from tests.storage.servers import CUSTOMER_KEY, FaultyStore, Stored

AT, PATH = Location("bucket", "calls/in.mp3"), "/bucket/calls/in.mp3"
BUCKET_KEY = "x-amz-server-side-encryption-bucket-key-enabled"


def doors_of(s3: Moto | RealS3) -> Doors:
    return Doors(S3Storage(), s3.bucket)


def found(doors: Doors, key: str, options: ae.S3Options | None = None) -> Found:
    there = doors.storage.find(doors.at(key), options)
    assert there is not None
    return there


def header(request: Any, name: str) -> str:
    value = request.headers.get(name, "")
    return value.decode() if isinstance(value, bytes) else str(value)


def in_pages_of(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the engine's client list so many versions at a time."""
    events = s3_client.s3_client(ae.S3Options()).meta.events

    def fewer(params: dict[str, Any], **_: object) -> dict[str, Any]:
        return {**params, "MaxKeys": number}

    events.register("provide-client-params.s3.ListObjectVersions", fewer)
    monkeypatch.setattr(s3_storage, "_MOST_DELETED", number)


# Requests


def test_each_door_takes_as_few_requests_as_it_can(moto: Moto) -> None:
    doors = doors_of(moto)
    source = doors.put("in.mp3", b"data")
    assert moto.methods == ["PUT"]
    there = found(doors, "in.mp3")
    assert moto.methods[1:] == ["HEAD"]
    doors.storage.copy(source, doors.at("out.mp3"), there)
    assert moto.methods[2:] == ["PUT", "HEAD"]
    doors.get("in.mp3")
    assert moto.methods[4:] == ["GET"]
    doors.storage.delete(source, [])
    assert moto.methods[5:] == []
    doors.storage.delete(source)
    assert moto.methods[5:] == ["GET", "POST"]
    doors.storage.delete(source)
    assert moto.methods[7:] == ["GET"]


def test_more_versions_than_a_page_holds_are_all_deleted(
    s3: Moto | RealS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    doors = doors_of(s3)
    s3.client.put_bucket_versioning(Bucket=s3.bucket, VersioningConfiguration={"Status": "Enabled"})
    for number in range(5):
        doors.put("in.mp3", b"%d" % number)
    s3.client.delete_object(Bucket=s3.bucket, Key="in.mp3")
    doors.put("in.mp3", b"last")
    doors.put("in.mp3.bak", b"other")
    in_pages_of(2, monkeypatch)
    at = doors.at("in.mp3")
    assert len(doors.storage.versions(at)) == 6
    doors.storage.delete(at)
    left = s3.client.list_object_versions(Bucket=s3.bucket)
    assert [one["Key"] for one in left["Versions"]] == ["in.mp3.bak"]
    assert "DeleteMarkers" not in left


# Copies


def test_a_copy_is_encrypted_with_the_kms_key_asked_for(s3: Moto | RealS3) -> None:
    key = os.environ.get("AUDIOENGINE_S3_KMS_KEY") if isinstance(s3, RealS3) else "alias/recordings"
    if not key:
        pytest.skip("no KMS key to test with: AUDIOENGINE_S3_KMS_KEY not set")
    doors = doors_of(s3)
    source = doors.put("in.mp3", b"data")
    there = found(doors, "in.mp3")
    target = doors.at("out.mp3")
    try:
        doors.storage.copy(source, target, there, ae.S3Options(kms_key=key))
    except ae.StorageError as error:
        # Ceph's copies are never encrypted: none is better than one in the clear.
        assert isinstance(s3, RealS3)
        assert "encrypts no copies" in str(error)  # noqa: PT017
        assert doors.storage.find(target) is None
        return
    head = s3.client.head_object(Bucket=s3.bucket, Key="out.mp3")
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key)
    assert head["ContentType"] == "audio/mpeg"
    assert doors.get("out.mp3") == b"data"
    if isinstance(s3, Moto):
        (copied,) = [one for one in s3.sent if "x-amz-copy-source" in one.headers]
        assert header(copied, BUCKET_KEY) == "true"


def test_a_copy_too_large_for_one_request_is_made_in_parts(
    s3: Moto | RealS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_storage, "_MOST_COPIED_BYTES", 5)
    data = os.urandom(9 << 20)
    doors = doors_of(s3)
    source = doors.put("in.mp3", data, {"a": "1"})
    there = found(doors, "in.mp3")
    doors.storage.copy(source, doors.at("out.mp3"), there, ae.S3Options(metadata={"a": "2"}))
    assert doors.get("out.mp3") == data
    assert found(doors, "out.mp3").metadata == {"a": "2"}


def test_keys_and_owners_of_both_ends_are_sent(faulty: FaultyStore) -> None:
    faulty.faults["PUT"] = [servers.refusing(412, "PreconditionFailed")]
    storage = S3Storage(ae.S3Options(customer_key=CUSTOMER_KEY, bucket_owner="111122223333"))
    other = ae.S3Options(bucket_owner="444455556666", kms_key="alias/recordings")
    with pytest.raises(ae.StorageError, match=r"can't copy .*changed") as caught:
        storage.copy(AT, Location("bucket", "out.mp3"), Found(4, '"etag"', "v1"), other)
    assert caught.value.retryable
    (asked,) = faulty.asked
    assert asked.headers["x-amz-copy-source-if-match"] == '"etag"'
    assert asked.headers["x-amz-copy-source"].endswith("calls/in.mp3?versionId=v1")
    assert asked.headers["x-amz-metadata-directive"] == "REPLACE"
    assert asked.headers["x-amz-source-expected-bucket-owner"] == "111122223333"
    assert asked.headers["x-amz-expected-bucket-owner"] == "444455556666"
    assert asked.headers["x-amz-copy-source-server-side-encryption-customer-algorithm"] == "AES256"
    assert "x-amz-server-side-encryption-customer-algorithm" not in asked.headers
    assert asked.headers[BUCKET_KEY] == "true"


def test_a_copy_of_another_size_is_worth_another_try(
    moto: Moto, monkeypatch: pytest.MonkeyPatch
) -> None:
    doors = doors_of(moto)
    source = doors.put("in.mp3", b"data")
    there = found(doors, "in.mp3")
    look = S3Storage._head

    def shorter(self: S3Storage, *arguments: Any) -> dict[str, Any]:
        return {**(look(self, *arguments) or {}), "ContentLength": 3}

    monkeypatch.setattr(S3Storage, "_head", shorter)
    with pytest.raises(ae.StorageError, match=r"can't copy .*3 bytes.*for 4 bytes") as caught:
        doors.storage.copy(source, doors.at("out.mp3"), there)
    assert caught.value.retryable


def test_a_copy_that_was_to_be_encrypted_and_is_not_is_removed(
    moto: Moto, monkeypatch: pytest.MonkeyPatch
) -> None:
    doors = doors_of(moto)
    source = doors.put("in.mp3", b"data")
    there = found(doors, "in.mp3")
    no_key = property(lambda _: {})
    monkeypatch.setattr(ae.S3Options, "encryption_arguments", no_key)
    with pytest.raises(ae.StorageError, match="encrypts no copies") as caught:
        doors.storage.copy(source, doors.at("out.mp3"), there, ae.S3Options(kms_key="alias/a"))
    assert not caught.value.retryable
    assert moto.keys() == ["in.mp3"]


# Keys


def test_under_a_customer_s_key_everything_goes_as_usual(s3: Moto | RealS3) -> None:
    if isinstance(s3, Moto):
        pytest.skip("moto asks for no key")
    doors = Doors(S3Storage(ae.S3Options(customer_key=CUSTOMER_KEY)), s3.bucket)
    source = doors.put("in.mp3", b"data", {"a": "1"})
    try:
        doors.storage.copy(source, doors.at("out.mp3"), found(doors, "in.mp3"))
    except ae.StorageError as error:
        assert "NotImplemented" in str(error)  # noqa: PT017 - Ceph's
    else:
        assert doors.get("out.mp3") == b"data"
    assert doors.get("in.mp3") == b"data"
    for key in (None, bytes(32)):
        with pytest.raises(ae.StorageError) as caught:
            S3Storage(ae.S3Options(customer_key=key)).source(source)
        assert not caught.value.retryable


def test_what_an_object_s_options_leave_out_is_the_storage_s(moto: Moto) -> None:
    storage = S3Storage(ae.S3Options(kms_key="alias/recordings", metadata={"a": "1", "b": "1"}))
    Doors(storage, moto.bucket).put("out.mp3", b"data", {"b": "2"})
    head = moto.client.head_object(Bucket=moto.bucket, Key="out.mp3")
    assert head["SSEKMSKeyId"] == "alias/recordings"
    assert found(doors_of(moto), "out.mp3").metadata == {"a": "1", "b": "2"}


def test_each_request_says_who_must_own_the_bucket(faulty: FaultyStore) -> None:
    faulty.objects[PATH] = Stored(b"data")
    storage = S3Storage(ae.S3Options(bucket_owner="111122223333"))
    faulty.always = dict.fromkeys(("HEAD", "GET"), servers.refusing(403, "AccessDenied"))
    for attempt in (storage.find, storage.source, storage.versions, storage.delete):
        with pytest.raises(ae.StorageError) as caught:
            attempt(AT)
        assert not caught.value.retryable
    owners = [one.headers["x-amz-expected-bucket-owner"] for one in faulty.asked]
    # A head that is refused is asked why.
    assert owners == ["111122223333"] * 5


# Errors


@pytest.mark.parametrize(
    ("code", "retryable"),
    [("AccessDenied", False), ("InternalError", True), ("SlowDown", True), ("NoSuchVersion", None)],
)
def test_versions_that_are_not_deleted_are_an_error(
    code: str, retryable: bool | None, moto: Moto, monkeypatch: pytest.MonkeyPatch
) -> None:
    doors = doors_of(moto)
    at = doors.put("in.mp3", b"data")
    client = s3_client.s3_client(ae.S3Options())
    answer = {"Errors": [{"Code": code, "Key": at.key, "Message": f"No: {servers.SECRET_KEY}"}]}
    monkeypatch.setattr(client, "delete_objects", lambda **_: answer)
    if retryable is None:
        doors.storage.delete(at)
        return
    with pytest.raises(ae.StorageError, match=rf"can't delete .*in\.mp3': {code}$") as caught:
        doors.storage.delete(at)
    assert caught.value.retryable is retryable


@pytest.mark.parametrize("door", ["find", "source", "versions", "delete"])
@pytest.mark.parametrize(("status", "retryable"), [(403, False), (503, True)])
def test_errors_tell_nothing_of_the_request(
    door: str, status: int, retryable: bool, faulty: FaultyStore
) -> None:
    faulty.always = dict.fromkeys(("HEAD", "GET"), servers.refusing(status, "Whatever"))
    # With a key, a refusal may mean that another one is needed.
    key = None if (door, status) == ("find", 403) else CUSTOMER_KEY
    storage = S3Storage(ae.S3Options(customer_key=key))
    with pytest.raises(ae.StorageError) as caught:
        getattr(storage, door)(AT)
    assert caught.value.retryable is retryable
    for secret in ("canary", servers.ACCESS_KEY, "AWS4-HMAC"):
        assert secret not in f"{caught.value!s} {caught.value!r} {caught.value.args}"
    assert "canary" not in repr(storage)


@pytest.mark.parametrize("kept", [None, CUSTOMER_KEY, bytes(32)])
@pytest.mark.parametrize("given", [None, CUSTOMER_KEY])
def test_what_is_under_another_key_is_there_and_hidden(
    kept: bytes | None, given: bytes | None, faulty: FaultyStore
) -> None:
    Doors(S3Storage(ae.S3Options(customer_key=kept)), "bucket").put(AT.key, b"data", {"a": "1"})
    there = S3Storage(ae.S3Options(customer_key=given)).find(AT)
    assert there is not None
    # Of what is hidden, a list tells the ETag.
    assert faulty.methods[-1] == ("GET" if kept != given else "HEAD")
    assert there.etag == faulty.objects[PATH].etag
    assert there.is_hidden is (kept != given)
    assert there.metadata == ({} if kept != given else {"a": "1"})
    assert S3Storage(ae.S3Options(customer_key=given)).find(Location("bucket", "no")) is None


@pytest.mark.real_s3
def test_what_is_under_another_key_in_a_real_store_is_hidden_too(real_s3: RealS3) -> None:
    keyed = Doors(S3Storage(ae.S3Options(customer_key=CUSTOMER_KEY)), real_s3.bucket)
    at = keyed.put("in.mp3", b"data")
    for key in (None, bytes(32)):
        there = S3Storage(ae.S3Options(customer_key=key)).find(at)
        assert there is not None
        assert there.is_hidden


def test_it_may_be_sent_to_another_process() -> None:
    storage = S3Storage(ae.S3Options(region="eu-central-1", customer_key=CUSTOMER_KEY))
    again = pickle.loads(pickle.dumps(storage))
    assert again._options == storage._options
