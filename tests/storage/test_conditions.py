# SPDX-License-Identifier: Apache-2.0
"""An output replaces what it may, and nothing else, however it is sent."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import pytest

import audioengine as ae
from audioengine.storage import s3, s3_client, s3_storage
from audioengine.storage.base import DestinationChangedError
from audioengine.storage.files import FileStaging
from audioengine.storage.folder import FolderStorage
from audioengine.storage.s3_storage import S3Storage
from tests.storage.calls import MIB, given
from tests.storage.conftest import Doors, Moto
from tests.storage.servers import FaultyStore

ONLY_NEW = ae.S3Options(only_new=True)


def replaces(doors: Doors, key: str) -> ae.S3Options:
    found = doors.storage.find(doors.at(key))
    assert found is not None
    return ae.S3Options(replaces=found.etag)


def write(doors: Doors, key: str, data: bytes, options: ae.S3Options) -> None:
    with closing(doors.storage.staging(doors.at(key), options)) as staging:
        staging.write(data)
        staging.publish()


def is_told_apart(request: pytest.FixtureRequest) -> bool:
    """Whether this store looks at conditions: older ones, as Ceph, do not."""
    return "real_s3" not in request.node.name


def test_only_what_was_seen_is_replaced(doors: Doors, request: pytest.FixtureRequest) -> None:
    doors.put("out.mp3", b"seen")
    seen = replaces(doors, "out.mp3")
    write(doors, "out.mp3", b"ours", seen)
    assert doors.get("out.mp3") == b"ours"
    if is_told_apart(request):
        with pytest.raises(DestinationChangedError, match="changed in the meantime") as caught:
            write(doors, "out.mp3", b"late", seen)
        assert caught.value.retryable
        assert doors.get("out.mp3") == b"ours"


def test_what_is_gone_is_not_replaced(doors: Doors, request: pytest.FixtureRequest) -> None:
    doors.put("out.mp3", b"seen")
    seen = replaces(doors, "out.mp3")
    doors.storage.delete(doors.at("out.mp3"))
    if is_told_apart(request):
        with pytest.raises(DestinationChangedError):
            write(doors, "out.mp3", b"late", seen)
        assert doors.storage.find(doors.at("out.mp3")) is None


@pytest.mark.parametrize("condition", ["only_new", "replaces"])
def test_a_copy_replaces_only_what_it_may(condition: str, doors: Doors) -> None:
    if isinstance(doors.storage, S3Storage):
        pytest.skip("copies of moto and Ceph look at no condition; what is sent is tested below")
    source = doors.put("in.mp3", b"data")
    found = doors.storage.find(source)
    assert found is not None
    if condition == "only_new":
        options = ONLY_NEW
        doors.storage.copy(source, doors.at("out.mp3"), found, options)
    else:
        doors.put("out.mp3", b"seen")
        options = replaces(doors, "out.mp3")
        doors.storage.copy(source, doors.at("out.mp3"), found, options)
    assert doors.get("out.mp3") == b"data"
    doors.put("out.mp3", b"theirs")
    with pytest.raises(DestinationChangedError):
        doors.storage.copy(source, doors.at("out.mp3"), found, options)
    assert doors.get("out.mp3") == b"theirs"


def test_of_two_writers_of_large_bodies_one_is_told(
    moto: Moto, in_parts: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have begun before either has ended."""
    doors = Doors(S3Storage(), moto.bucket)
    other = bytes(reversed(in_parts))
    first = doors.storage.staging(doors.at("out.mp3"), ONLY_NEW)
    second = doors.storage.staging(doors.at("out.mp3"), ONLY_NEW)
    first.write(in_parts)
    second.write(other)
    client = s3_client.s3_client(ae.S3Options())
    complete = client.complete_multipart_upload

    def overtaken(**arguments: Any) -> Any:
        monkeypatch.setattr(client, "complete_multipart_upload", complete)
        second.publish()
        return complete(**arguments)

    monkeypatch.setattr(client, "complete_multipart_upload", overtaken)
    with pytest.raises(DestinationChangedError):
        first.publish()
    assert moto.get("out.mp3") == other
    assert "Uploads" not in moto.client.list_multipart_uploads(Bucket=moto.bucket)


def test_of_two_writers_of_100_mib_one_is_told(moto: Moto, monkeypatch: pytest.MonkeyPatch) -> None:
    doors = Doors(S3Storage(), moto.bucket)
    bodies = [bytes([number]) * (100 * MIB) for number in range(2)]
    ends: list[object] = []

    def send(data: bytes) -> None:
        try:
            write(doors, "out.mp3", data, ONLY_NEW)
            ends.append(data[0])
        except DestinationChangedError as error:
            ends.append(error)

    client = s3_client.s3_client(ae.S3Options())
    complete = client.complete_multipart_upload
    alone = Lock()

    def one_at_a_time(**arguments: Any) -> Any:
        # moto looks at the condition some time before the object is there, as no store may.
        with alone:
            return complete(**arguments)

    monkeypatch.setattr(client, "complete_multipart_upload", one_at_a_time)
    threads = [Thread(target=send, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (won,) = [end for end in ends if isinstance(end, int)]
    assert [type(end) for end in ends if end != won] == [DestinationChangedError]
    assert moto.get("out.mp3") == bodies[won]
    assert "Uploads" not in moto.client.list_multipart_uploads(Bucket=moto.bucket)


@pytest.mark.parametrize(
    ("options", "name", "value"),
    [
        (ONLY_NEW, "If-None-Match", "*"),
        (ae.S3Options(replaces='"etag"'), "If-Match", '"etag"'),
        (ae.S3Options(), None, None),
    ],
)
@pytest.mark.parametrize("way", ["put", "parts", "copy", "copied_parts"])
def test_the_condition_is_sent_with_what_lets_an_object_appear(
    way: str,
    options: ae.S3Options,
    name: str | None,
    value: str | None,
    moto: Moto,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once, and so that a bucket whose policy demands it takes every output."""
    monkeypatch.setattr(s3, "_MULTIPART_BYTES", 1 if way == "parts" else 1 << 30)
    monkeypatch.setattr(s3_storage, "_MOST_COPIED_BYTES", 1 if way == "copied_parts" else 1 << 30)
    doors = Doors(S3Storage(), moto.bucket)
    source = doors.put("in.mp3", b"data")
    found = doors.storage.find(source)
    assert found is not None
    moto.sent.clear()
    if options.replaces:
        # moto looks for it in some of these ways.
        moto.put("out.mp3", b"seen")
        options = replaces(doors, "out.mp3")
        # Without quotes: Ceph 16 compares what it gets with its own, which has none.
        value = str(options.replaces).strip('"')
        moto.sent.clear()
    if way in ("put", "parts"):
        write(doors, "out.mp3", b"ours", options)
    else:
        doors.storage.copy(source, doors.at("out.mp3"), found, options)
    conditions = [
        (one, header)
        for one in moto.sent
        for header in ("If-None-Match", "If-Match")
        if header in one.headers
    ]
    if name is None:
        assert conditions == []
        return
    ((request, header),) = conditions
    assert (header, given(request, header)) == (name, value)
    assert request.method == ("POST" if "parts" in way else "PUT")


@pytest.mark.parametrize("way", ["put", "copy"])
def test_an_answer_that_was_lost_is_no_other_writer(way: str, faulty: FaultyStore) -> None:
    """boto3 asks again, and the store refuses: what is there is this very output."""
    storage = S3Storage()
    source = Doors(storage, "bucket").put("in.mp3", b"data")
    found = storage.find(source)
    assert found is not None

    def refused(handler: Any) -> bool:
        handler.refuse(412, "PreconditionFailed")
        return True

    def lost(handler: Any) -> bool:
        handler.answer = lambda *_: None
        handler.put()
        handler.connection.close()
        return True

    faulty.faults["PUT"] = [lost, refused]
    doors = Doors(storage, "bucket")
    if way == "put":
        write(doors, "out.mp3", b"ours", ONLY_NEW)
        assert doors.get("out.mp3") == b"ours"
    else:
        # This store copies nothing: what comes in is empty, and only its metadata counts here.
        with pytest.raises(ae.StorageError, match=r"0 bytes at .* for 4 bytes"):
            storage.copy(source, doors.at("out.mp3"), found, ONLY_NEW)
    assert faulty.methods.count("PUT") == 3


def test_a_source_that_changed_is_not_taken_for_the_destination(faulty: FaultyStore) -> None:
    storage = S3Storage()
    doors = Doors(storage, "bucket")
    source = doors.put("in.mp3", b"data")
    found = storage.find(source)
    assert found is not None

    def refused(handler: Any) -> bool:
        handler.refuse(412, "PreconditionFailed")
        return True

    faulty.faults["PUT"] = [refused]
    with pytest.raises(ae.StorageError, match=r"can't copy .*in\.mp3.*changed") as caught:
        storage.copy(source, doors.at("out.mp3"), found, ONLY_NEW)
    assert not isinstance(caught.value, DestinationChangedError)
    assert caught.value.retryable


# Files


def test_a_file_that_somebody_else_makes_meanwhile_stays(tmp_path: Path) -> None:
    """Also one who knows nothing of our locks."""
    (tmp_path / "bucket").mkdir()
    doors = Doors(FolderStorage(tmp_path), "bucket")
    with closing(doors.storage.staging(doors.at("out.mp3"), ONLY_NEW)) as staging:
        staging.write(b"ours")
        (tmp_path / "bucket" / "out.mp3").write_bytes(b"theirs")
        with pytest.raises(DestinationChangedError):
            staging.publish()
    assert (tmp_path / "bucket" / "out.mp3").read_bytes() == b"theirs"
    assert [one.name for one in (tmp_path / "bucket").iterdir()] == ["out.mp3"]


@pytest.mark.parametrize("has_links", [True, False])
def test_a_file_appears_only_where_none_is(
    has_links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_links:

        def unable(*_: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", unable)
    target = tmp_path / "out.mp3"
    stagings = [FileStaging(target, only_new=True) for _ in range(2)]
    ends: list[Callable[[], None]] = []
    for number, staging in enumerate(stagings):
        staging.write(b"%d" % number)
        ends.append(staging.publish)
    ends[1]()
    with pytest.raises(DestinationChangedError):
        ends[0]()
    for staging in stagings:
        staging.close()
    assert target.read_bytes() == b"1"
    assert [one.name for one in tmp_path.iterdir()] == ["out.mp3"]


# Deleting what was judged


def test_a_delete_names_what_it_has_judged(moto: Moto, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes between the look and the delete has another ETag."""
    doors = Doors(S3Storage(), moto.bucket)
    at = doors.put("in.mp3", b"data", {"domain": "a"})
    etag = replaces(doors, "in.mp3").replaces
    judged: list[Any] = []
    client = s3_client.s3_client(ae.S3Options())
    asked: list[Any] = []
    delete = client.delete_objects

    def deleting(**arguments: Any) -> Any:
        asked.append(arguments["Delete"]["Objects"])
        return delete(**arguments)

    monkeypatch.setattr(client, "delete_objects", deleting)
    doors.storage.delete(at, judge=judged.append)
    assert [one.metadata for one in judged] == [{"domain": "a"}]
    assert asked == [[{"Key": "in.mp3", "ETag": etag}]]
    assert moto.keys() == []


def test_each_version_is_judged_before_any_is_deleted(versioned: Doors) -> None:
    at = versioned.put("in.mp3", b"1", {"domain": "a"})
    versioned.put("in.mp3", b"2", {"domain": "b"})
    judged: list[str] = []

    def judge(found: Any) -> None:
        judged.append(found.metadata["domain"])
        if judged[-1] == "a":
            raise ae.NotAllowedError("no")

    with pytest.raises(ae.NotAllowedError):
        versioned.storage.delete(at, judge=judge)
    assert judged == ["b", "a"]
    assert len(versioned.storage.versions(at)) == 2
    versioned.storage.delete(at, judge=lambda _: None)
    assert versioned.storage.find(at) is None
    assert versioned.storage.versions(at) == ()


def test_a_marker_of_a_deletion_is_no_version_to_judge(moto: Moto) -> None:
    moto.client.put_bucket_versioning(
        Bucket=moto.bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    doors = Doors(S3Storage(), moto.bucket)
    at = doors.put("in.mp3", b"1", {"domain": "a"})
    moto.client.delete_object(Bucket=moto.bucket, Key="in.mp3")
    judged: list[Any] = []
    doors.storage.delete(at, judge=judged.append)
    assert [one.metadata for one in judged] == [{"domain": "a"}]
    found = moto.client.list_object_versions(Bucket=moto.bucket)
    assert "Versions" not in found
    assert "DeleteMarkers" not in found


# Credentials and words


def test_a_client_that_found_no_credentials_is_not_kept(faulty: FaultyStore, session: Any) -> None:
    """Once the metadata service answers again, the same process goes on."""
    at = Doors(S3Storage(), "bucket").put("in.mp3", b"data")
    s3_client._client.cache_clear()

    class Hiccup:
        tries = 0

        def get_credentials(self) -> object:
            self.tries += 1
            return None if self.tries == 1 else session.get_credentials()

        def client(self, *arguments: Any, **more: Any) -> Any:
            return session.client(*arguments, **more)

    storage = S3Storage(ae.S3Options(session=Hiccup()))
    with pytest.raises(ae.StorageError, match="set AWS_ACCESS_KEY_ID") as caught:
        storage.find(at)
    assert caught.value.retryable
    assert storage.find(at) is not None
    assert faulty.methods[-1] == "HEAD"


@pytest.mark.parametrize(("code", "status"), [("ExpiredToken", 400), ("RequestTimeTooSkewed", 403)])
def test_a_head_that_says_nothing_is_asked_why(code: str, status: int, faulty: FaultyStore) -> None:
    """Else expired credentials would look like an object under another key."""

    def refused(handler: Any) -> bool:
        handler.refuse(status, code)
        return True

    at = Doors(S3Storage(), "bucket").put("in.mp3", b"data")
    faulty.always = {"HEAD": refused, "GET": refused}
    with pytest.raises(ae.StorageError, match=code) as caught:
        S3Storage().find(at)
    assert caught.value.retryable


def test_requests_say_who_pays(moto: Moto, in_parts: bytes) -> None:
    storage = S3Storage(ae.S3Options(request_payer=True))
    doors = Doors(storage, moto.bucket)
    doors.put("large.mp3", in_parts)
    source = doors.put("in.mp3", b"data")
    found = storage.find(source)
    assert found is not None
    storage.copy(source, doors.at("out.mp3"), found)
    doors.get("out.mp3")
    list(storage.objects(moto.bucket))
    storage.delete(source)
    assert {given(one, "x-amz-request-payer") for one in moto.sent} == {"requester"}


def test_a_kms_key_may_encrypt_in_two_layers(moto: Moto, in_parts: bytes) -> None:
    options = ae.S3Options(kms_key="alias/recordings", dual_layer=True)
    doors = Doors(S3Storage(options), moto.bucket)
    source = doors.put("in.mp3", b"data")
    doors.put("large.mp3", in_parts)
    found = doors.storage.find(source)
    assert found is not None
    doors.storage.copy(source, doors.at("out.mp3"), found)
    for key in ("in.mp3", "large.mp3", "out.mp3"):
        head = moto.client.head_object(Bucket=moto.bucket, Key=key)
        assert head["ServerSideEncryption"] == "aws:kms:dsse", key
    assert not [one for one in moto.sent if any("bucket-key" in name for name in one.headers)]


def test_a_session_of_the_caller_s_own_signs_requests(faulty: FaultyStore) -> None:
    import boto3

    own = boto3.Session("AKIAOWN", "secret", region_name="eu-north-1")
    options = ae.S3Options(session=own, endpoint_url=faulty.url)
    Doors(S3Storage(options), "bucket").put("in.mp3", b"data")
    assert "Credential=AKIAOWN/" in faulty.asked[0].headers["authorization"]
    assert "/eu-north-1/s3/" in faulty.asked[0].headers["authorization"]
    assert "AKIAOWN" not in repr(options)
