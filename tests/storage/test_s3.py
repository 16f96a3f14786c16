# SPDX-License-Identifier: Apache-2.0
"""Recordings in S3, over HTTP: the same as in files, in few requests, whole or not at all."""

from __future__ import annotations

import base64
import io
import logging
import os
import random
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from hashlib import md5, sha256
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest
from moto.s3 import exceptions as moto_exceptions
from moto.s3 import models as moto_models

import audioengine as ae
from audioengine.storage import DestinationLike, open_destination, open_source, s3
from tests.operations.helpers import Cut, recording
from tests.storage import servers
from tests.storage.conftest import Moto
from tests.storage.servers import CUSTOMER_KEY, Fault, FaultyStore, Stored
from tests.support import time_limit

NAME = "mpeg25-8k-32k"
DATA = recording(NAME).data
EDIT = Cut((1000, 40_000), caller=((8000, 16_000),)).modification(8000)
START = 1_728_890_677_283
PLACE, PATH = "s3://bucket/calls/in.mp3", "/bucket/calls/in.mp3"
MIB = 1 << 20
CANARIES = (
    servers.ACCESS_KEY,
    servers.SECRET_KEY,
    servers.SESSION_TOKEN,
    CUSTOMER_KEY.decode(),
    base64.b64encode(CUSTOMER_KEY).decode(),
    md5(CUSTOMER_KEY).hexdigest(),
    base64.b64encode(md5(CUSTOMER_KEY).digest()).decode(),
    "canary",
    "AWS4-HMAC",
)


@pytest.fixture(scope="module")
def wanted() -> bytes:
    """What the edit makes of the recording."""
    out = io.BytesIO()
    ae.store(DATA, out, EDIT)
    return out.getvalue()


def told(report: ae.StoreReport | ae.MergeReport | ae.EncodeReport) -> object:
    """A report without the time that it took."""
    return replace(report, wall_seconds=0)


def write(place: DestinationLike, data: bytes, options: ae.S3Options | None = None) -> None:
    with closing(open_destination(place, options)) as staging:
        staging.write(data)
        staging.publish()


def given(request: Any, name: str) -> str:
    """A header of a request of botocore's."""
    value = request.headers.get(name, "")
    return value.decode() if isinstance(value, bytes) else str(value)


@pytest.fixture
def in_parts(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Data that is sent in two parts."""
    monkeypatch.setattr(s3, "_MULTIPART_BYTES", 5 * MIB)
    monkeypatch.setattr(s3, "_PART_BYTES", 5 * MIB)
    return random.Random(4).randbytes(6 * MIB)


# The same as in files


def asked_metadata(found: dict[str, Any]) -> dict[str, str]:
    """An object's metadata without the mark by which an upload knows its own object."""
    metadata: dict[str, str] = dict(found["Metadata"])
    assert len(metadata.pop("audioengine-upload")) == 32
    return metadata


def test_a_store_from_s3_to_s3_is_the_same_as_between_files(
    moto: Moto, tmp_path: Path, wanted: bytes
) -> None:
    source = moto.put("in.mp3", DATA)
    (tmp_path / "in.mp3").write_bytes(DATA)
    report = ae.store(source, moto.place("out.mp3"), EDIT)
    local = ae.store(tmp_path / "in.mp3", tmp_path / "out.mp3", EDIT)
    assert moto.get("out.mp3") == wanted == (tmp_path / "out.mp3").read_bytes()
    assert told(report) == told(local)
    assert report.output.sha256 == sha256(wanted).hexdigest()
    assert moto.keys() == ["in.mp3", "out.mp3"]


def test_a_masked_store_takes_one_request_to_read_and_one_to_write(moto: Moto) -> None:
    source = moto.put("in.mp3", DATA)
    ae.store(source, moto.place("out.mp3"), EDIT)
    assert moto.methods == ["GET", "PUT"]
    assert [given(one, "Range") for one in moto.sent] == [f"bytes=0-{(8 << 20) - 1}", ""]


@pytest.mark.parametrize("kind", ["source", "destination"])
def test_only_one_end_need_be_in_s3(kind: str, moto: Moto, tmp_path: Path, wanted: bytes) -> None:
    if kind == "source":
        ae.store(moto.put("in.mp3", DATA), tmp_path / "out.mp3", EDIT)
        assert (tmp_path / "out.mp3").read_bytes() == wanted
        assert moto.methods == ["GET"]
    else:
        ae.store(DATA, moto.place("out.mp3"), EDIT)
        assert moto.get("out.mp3") == wanted
        assert moto.methods == ["PUT"]


def test_a_plain_copy_through_s3_is_byte_identical(moto: Moto) -> None:
    data = recording("tags-id3-ape").data
    report = ae.store(moto.put("in.mp3", data), moto.place("out.mp3"))
    assert report.render == "copy"
    assert moto.get("out.mp3") == data


def test_a_merge_from_s3_to_s3_is_the_same_as_between_files(moto: Moto, tmp_path: Path) -> None:
    names = ("conference-a-8k", "conference-b-8k")
    starts = (START, START + 1500)
    for name in names:
        moto.put(f"{name}.mp3", recording(name).data)
        (tmp_path / f"{name}.mp3").write_bytes(recording(name).data)

    def parts(folder: str) -> list[ae.MergePart]:
        return [
            ae.MergePart(f"{folder}/{name}.mp3", start, recording_id=name)
            for name, start in zip(names, starts, strict=True)
        ]

    report = ae.merge(parts(f"s3://{moto.bucket}"), moto.place("out.mp3"))
    local = ae.merge(parts(str(tmp_path)), tmp_path / "out.mp3")
    assert moto.get("out.mp3") == (tmp_path / "out.mp3").read_bytes()
    assert told(report) == told(local)
    assert moto.methods == ["GET", "GET", "PUT"]


def test_decode_and_inspect_take_one_request_each(moto: Moto, tmp_path: Path) -> None:
    source = moto.put("in.mp3", DATA)
    path = tmp_path / "in.mp3"
    path.write_bytes(DATA)
    assert ae.inspect(source) == ae.inspect(path)
    sound, local = ae.decode(source, 1, 3), ae.decode(path, 1, 3)
    assert np.array_equal(sound.caller, local.caller)
    assert np.array_equal(sound.callee, local.callee)
    assert moto.methods == ["GET", "GET"]


def test_a_plan_from_s3_is_the_same_as_from_a_file(moto: Moto, tmp_path: Path) -> None:
    path = tmp_path / "in.mp3"
    path.write_bytes(DATA)
    assert ae.plan_store(moto.put("in.mp3", DATA), EDIT) == ae.plan_store(path, EDIT)
    assert moto.methods == ["GET"]


def test_an_encode_to_s3_is_the_same_as_to_a_file(moto: Moto, tmp_path: Path) -> None:
    sound = ae.decode(DATA, 0, 1)
    report = ae.encode(sound, moto.place("out.mp3"))
    local = ae.encode(sound, tmp_path / "out.mp3")
    assert moto.get("out.mp3") == (tmp_path / "out.mp3").read_bytes()
    assert told(report) == told(local)
    assert moto.methods == ["PUT"]


def test_a_recording_in_s3_may_be_replaced_by_itself(moto: Moto, wanted: bytes) -> None:
    place = moto.put("in.mp3", DATA)
    ae.store(place, place, EDIT)
    assert moto.get("in.mp3") == wanted
    assert moto.keys() == ["in.mp3"]


def test_a_failed_edit_sends_nothing(moto: Moto) -> None:
    place = moto.put("in.mp3", DATA)
    with pytest.raises(ae.InvalidRequestError):
        ae.store(place, place, ae.Modification(trim=ae.Interval(7, 8)))
    assert moto.get("in.mp3") == DATA
    assert moto.methods == ["GET"]


def test_an_interrupted_edit_sends_nothing(moto: Moto) -> None:
    def stop(*_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ae.store(moto.put("in.mp3", DATA), moto.place("out.mp3"), EDIT, progress=stop)
    assert moto.keys() == ["in.mp3"]
    assert moto.methods == ["GET"]


def test_overwriting_in_a_versioned_bucket_keeps_what_was_there(moto: Moto, wanted: bytes) -> None:
    moto.client.put_bucket_versioning(
        Bucket=moto.bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    place = moto.put("in.mp3", DATA)
    ae.store(place, place, EDIT)
    found = moto.client.list_object_versions(Bucket=moto.bucket)
    versions = [
        moto.client.get_object(Bucket=moto.bucket, Key="in.mp3", VersionId=one["VersionId"])
        for one in sorted(found["Versions"], key=lambda one: not one["IsLatest"])
    ]
    assert [one["Body"].read() for one in versions] == [wanted, DATA]
    assert "DeleteMarkers" not in found


# Names


@pytest.mark.parametrize(
    "key",
    [
        "with space.mp3",
        "ümlaut-日本.mp3",
        "a+b=c&d?e#f%20g;h:i@j.mp3",
        "deep/er/and//twice/in.mp3",
        "/leading.mp3",
        "dots/../and/./more.mp3",
        "quotes'\"<>.mp3",
        "no-suffix",
        "ü" * 512,
    ],
)
def test_any_key_is_read_and_written_as_it_is(key: str, moto: Moto) -> None:
    ae.store(DATA, moto.place(key))
    assert moto.keys() == [key]
    assert ae.inspect(moto.place(key)).bytes == len(DATA)


def test_a_place_may_be_given_as_a_path_object(moto: Moto) -> None:
    class Place(os.PathLike[str]):
        def __init__(self, text: str) -> None:
            self.text = text

        def __fspath__(self) -> str:
            return self.text

    ae.store(Place(moto.put("in.mp3", DATA)), Place(moto.place("out.mp3")))
    assert moto.get("out.mp3") == DATA


@pytest.mark.parametrize("place", ["s3://", "s3:///key", "s3://bucket", "s3://bucket/"])
def test_half_a_name_is_an_invalid_request(place: str) -> None:
    with pytest.raises(ae.InvalidRequestError, match=r"source.*s3://bucket/key"):
        ae.inspect(place)
    with pytest.raises(ae.InvalidRequestError, match=r"destination.*s3://bucket/key"):
        ae.store(DATA, place)


@pytest.mark.parametrize("place", ["S3://bucket/key", "https://example.org/a.mp3", "file:///a"])
def test_other_stores_are_refused_by_name(place: str) -> None:
    with pytest.raises(ae.InvalidRequestError, match="source"):
        ae.inspect(place)
    with pytest.raises(ae.InvalidRequestError, match="destination"):
        ae.store(DATA, place)


@pytest.mark.parametrize("missing", ["key", "bucket"])
def test_what_is_not_there_is_a_final_storage_error(missing: str, moto: Moto) -> None:
    place = moto.place("in.mp3") if missing == "key" else "s3://no-such-bucket/in.mp3"
    with pytest.raises(ae.StorageError, match=r"can't read source .*in\.mp3.*NoSuch") as caught:
        ae.inspect(place)
    assert not caught.value.retryable
    assert isinstance(caught.value, OSError)
    if missing == "bucket":
        with pytest.raises(ae.StorageError, match=r"can't write dest.*NoSuchBucket") as caught:
            ae.store(DATA, place)
        assert not caught.value.retryable


# Reading


def test_an_empty_object_is_an_empty_source(moto: Moto) -> None:
    place = moto.put("in.mp3", b"")
    with closing(open_source(place)) as source:
        assert source.size == 0
        assert source.read(0, 10) == b""
    with pytest.raises(ae.MalformedAudioError):
        ae.inspect(place)


def test_an_empty_output_is_an_empty_object(moto: Moto) -> None:
    write(moto.place("out.mp3"), b"")
    assert moto.get("out.mp3") == b""


def test_large_objects_are_read_by_ranges_of_one_version_and_a_few_are_kept(
    moto: Moto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "_BLOCK_BYTES", 64)
    monkeypatch.setattr(s3, "_BLOCKS_KEPT", 3)
    data = random.Random(1).randbytes(1000)
    place = moto.put("in.mp3", data)
    with closing(open_source(place)) as source:
        assert source.size == 1000
        for start in range(0, 1000, 50):
            assert source.read(start, 50) == data[start : start + 50]
            assert isinstance(source, s3.S3Source)
            assert len(source._blocks) <= 3
        ranges = [given(one, "Range") for one in moto.sent]
        assert ranges == [f"bytes={at}-{min(at + 63, 999)}" for at in range(0, 1000, 64)]
        etag = f'"{md5(data).hexdigest()}"'
        assert [given(one, "If-Match") for one in moto.sent] == ["", *[etag] * 15]
        # The blocks that were used last are still there.
        assert source.read(840, 1000) == data[840:]
        assert len(moto.sent) == 16
        assert source.read(0, 64) == data[:64]
        assert source.read(950, 10) == data[950:960]
        assert len(moto.sent) == 17


def test_any_stretch_of_an_object_can_be_read(moto: Moto, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "_BLOCK_BYTES", 150)
    chance = random.Random(2)
    data = chance.randbytes(640)
    with closing(open_source(moto.put("in.mp3", data))) as source:
        for _ in range(20):
            start, length = chance.randrange(700), chance.randrange(200)
            assert source.read(start, length) == data[start : start + length]


def test_threads_share_what_was_read(moto: Moto, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "_BLOCK_BYTES", 500)
    data = random.Random(3).randbytes(1500)
    with closing(open_source(moto.put("in.mp3", data))) as source, ThreadPoolExecutor(4) as pool:
        starts = [start % 1400 for start in range(0, 5000, 70)]
        parts = list(pool.map(lambda start: source.read(start, 100), starts))
    assert parts == [data[start : start + 100] for start in starts]
    assert len(moto.sent) == 3


def test_a_recording_of_many_blocks_is_edited_the_same(
    moto: Moto, monkeypatch: pytest.MonkeyPatch, wanted: bytes
) -> None:
    monkeypatch.setattr(s3, "_BLOCK_BYTES", 4000)
    ae.store(moto.put("in.mp3", DATA), moto.place("out.mp3"), EDIT)
    assert moto.get("out.mp3") == wanted


# What is sent along


def test_an_output_has_its_type_its_checksum_and_the_metadata_asked_for(
    moto: Moto, wanted: bytes
) -> None:
    options = ae.S3Options(metadata={"domain": "example.org", "start-time-ms": str(START)})
    report = ae.store(DATA, moto.place("out.mp3"), EDIT, s3=options)
    found = moto.client.head_object(Bucket=moto.bucket, Key="out.mp3", ChecksumMode="ENABLED")
    assert found["ContentType"] == "audio/mpeg"
    facts = {
        "source-digest": f"sha256:{sha256(DATA).hexdigest()}",
        "engine-version": ae.__version__,
    }
    assert asked_metadata(found) == {**options.metadata, **facts}
    digest = base64.b64encode(sha256(wanted).digest()).decode()
    assert found["ChecksumSHA256"] == digest == given(moto.sent[0], "x-amz-checksum-sha256")
    assert report.output.sha256 == base64.b64decode(digest).hex()


def test_an_output_is_encrypted_with_the_kms_key_asked_for(moto: Moto, wanted: bytes) -> None:
    options = ae.S3Options(kms_key="alias/recordings")
    ae.store(moto.put("in.mp3", DATA), moto.place("out.mp3"), EDIT, s3=options)
    found = moto.client.head_object(Bucket=moto.bucket, Key="out.mp3")
    assert found["ServerSideEncryption"] == "aws:kms"
    assert found["SSEKMSKeyId"] == "alias/recordings"
    assert given(moto.sent[1], "x-amz-server-side-encryption-bucket-key-enabled") == "true"
    assert not any("encryption" in name.lower() for name in moto.sent[0].headers)
    assert moto.get("out.mp3") == wanted


def test_an_output_in_parts_is_encrypted_with_the_kms_key_asked_for(
    moto: Moto, in_parts: bytes
) -> None:
    write(moto.place("out.mp3"), in_parts, ae.S3Options(kms_key="alias/recordings"))
    found = moto.client.head_object(Bucket=moto.bucket, Key="out.mp3")
    assert found["SSEKMSKeyId"] == "alias/recordings"
    name = "x-amz-server-side-encryption-bucket-key-enabled"
    assert [given(one, name) for one in moto.sent if one.url.endswith("?uploads")] == ["true"]
    assert {given(one, name) for one in moto.sent if one.method == "PUT"} == {""}


def test_a_customer_s_key_goes_with_each_request_and_opens_what_it_closed(
    faulty: FaultyStore, wanted: bytes
) -> None:
    options = ae.S3Options(customer_key=CUSTOMER_KEY)
    ae.store(DATA, PLACE, s3=options)
    ae.store(PLACE, PLACE, EDIT, s3=options)
    assert faulty.objects[PATH].data == wanted
    for asked in faulty.asked:
        headers = {
            name.partition("-customer-")[2]: value
            for name, value in asked.headers.items()
            if "-customer-" in name
        }
        assert headers == {
            "algorithm": "AES256",
            "key": base64.b64encode(CUSTOMER_KEY).decode(),
            "key-md5": base64.b64encode(md5(CUSTOMER_KEY).digest()).decode(),
        }
    assert faulty.methods == ["PUT", "HEAD", "GET", "PUT", "HEAD"]
    for wrong in (None, bytes(32)):
        with pytest.raises(ae.StorageError, match="AccessDenied") as caught:
            ae.inspect(PLACE, s3=ae.S3Options(customer_key=wrong))
        assert not caught.value.retryable


def test_each_request_says_who_must_own_the_bucket(faulty: FaultyStore) -> None:
    faulty.objects[PATH] = Stored(DATA)
    faulty.head_says = {"Content-Length": "7"}
    with pytest.raises(ae.StorageError):
        ae.store(PLACE, PLACE, s3=ae.S3Options(bucket_owner="111122223333"))
    assert faulty.methods == ["GET", "PUT", "HEAD", "DELETE"]
    owners = [one.headers["x-amz-expected-bucket-owner"] for one in faulty.asked]
    assert owners == ["111122223333"] * 4


def test_the_region_and_endpoint_asked_for_are_those_that_are_used(
    faulty: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    faulty.objects[PATH] = Stored(DATA)
    ae.inspect(PLACE, s3=ae.S3Options(region="eu-central-1", endpoint_url=faulty.url))
    assert "/eu-central-1/s3/aws4_request" in faulty.asked[0].headers["authorization"]


# In parts


def test_a_large_output_is_sent_in_parts(moto: Moto, in_parts: bytes) -> None:
    write(moto.place("out.mp3"), in_parts, ae.S3Options(metadata={"domain": "example.org"}))
    assert moto.get("out.mp3") == in_parts
    assert sorted(moto.methods) == ["HEAD", "POST", "POST", "PUT", "PUT"]
    found = moto.client.head_object(Bucket=moto.bucket, Key="out.mp3")
    assert found["ContentType"] == "audio/mpeg"
    assert asked_metadata(found) == {"domain": "example.org"}
    digests = {given(one, "x-amz-checksum-sha256") for one in moto.sent if one.method == "PUT"}
    halves = (in_parts[: 5 * MIB], in_parts[5 * MIB :])
    assert digests == {base64.b64encode(sha256(half).digest()).decode() for half in halves}


@pytest.mark.parametrize(("code", "retryable"), [("AccessDenied", False), ("SlowDown", True)])
def test_where_a_part_fails_the_upload_is_aborted(
    code: str,
    retryable: bool,
    moto: Moto,
    in_parts: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = moto.put("out.mp3", b"old")
    upload = moto_models.S3Backend.upload_part

    def refuse(self: Any, bucket: str, upload_id: str, part_id: int, value: bytes) -> Any:
        if part_id == 2:
            raise moto_exceptions.S3ClientError(code, "No.")
        return upload(self, bucket, upload_id, part_id, value)

    monkeypatch.setattr(moto_models.S3Backend, "upload_part", refuse)
    with pytest.raises(ae.StorageError, match=rf"out\.mp3': {code}$") as caught:
        write(place, in_parts)
    assert caught.value.retryable is retryable
    assert moto.get("out.mp3") == b"old"
    assert "Uploads" not in moto.client.list_multipart_uploads(Bucket=moto.bucket)
    assert moto.methods.count("DELETE") == 1


def test_an_output_too_large_for_memory_waits_in_a_file_without_a_name(
    moto: Moto, environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audioengine.storage.spool._IN_MEMORY_BYTES", 1000)
    with closing(open_destination(moto.place("out.mp3"))) as staging:
        staging.write(bytes(1500))
        staging.rewrite_start(b"start")
        assert list(environment.iterdir()) == []
        assert staging.read(3, 4) == b"rt\0\0"
        staging.restart()
        staging.write(b"again" * 300)
        staging.publish()
    assert moto.get("out.mp3") == b"again" * 300


def test_what_is_not_published_is_never_sent(moto: Moto) -> None:
    with closing(open_destination(moto.place("out.mp3"))) as staging:
        staging.write(DATA)
    assert moto.sent == []
    assert moto.keys() == []


# Faults


def assert_tells_nothing(error: BaseException, log: pytest.LogCaptureFixture) -> None:
    """Neither the error nor our log has what is nobody's business."""
    ours = [record.getMessage() for record in log.records if record.name.startswith("audioengine")]
    for canary in CANARIES:
        assert canary not in f"{error!s} {error!r} {error.args}"
        assert not any(canary in line for line in ours)


PASSING: dict[str, Fault] = {
    "SlowDown": servers.refusing(503, "SlowDown"),
    "InternalError": servers.refusing(500, "InternalError"),
    "too many": servers.refusing(429, "TooManyRequestsException"),
    "reset": servers.reset,
    "silent": servers.silent,
}
IN_BODY: dict[str, Fault] = {
    "reset in the body": servers.reset_in_body,
    "truncated": servers.truncated,
    "silent in the body": servers.silent_in_body,
}


@pytest.mark.parametrize("fault", [*PASSING, *IN_BODY])
def test_what_passes_while_reading_is_not_noticed(fault: str, faulty: FaultyStore) -> None:
    faulty.objects[PATH] = Stored(DATA)
    faulty.patience_s = 0.3 if "silent" in fault else 10
    faulty.faults["GET"] = [(PASSING | IN_BODY)[fault]]
    out = io.BytesIO()
    ae.store(PLACE, out)
    assert out.getvalue() == DATA
    assert faulty.methods == ["GET", "GET"]


@pytest.mark.parametrize("method", ["PUT", "HEAD"])
@pytest.mark.parametrize("fault", PASSING)
def test_what_passes_while_writing_is_not_noticed(
    fault: str, method: str, faulty: FaultyStore, wanted: bytes
) -> None:
    faulty.patience_s = 0.3 if "silent" in fault else 10
    faulty.faults[method] = [PASSING[fault]]
    ae.store(DATA, PLACE, EDIT, s3=ae.S3Options(customer_key=CUSTOMER_KEY))
    assert faulty.objects[PATH].data == wanted
    assert sorted(faulty.methods) == sorted(["PUT", "HEAD", method])


@pytest.mark.parametrize("fault", [*PASSING, *IN_BODY])
def test_what_does_not_pass_while_reading_is_worth_another_try_later(
    fault: str, faulty: FaultyStore, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    faulty.objects[PATH] = Stored(DATA)
    faulty.patience_s = 0.02 if "silent" in fault else 10
    faulty.always["GET"] = (PASSING | IN_BODY)[fault]
    target = tmp_path / "out.mp3"
    with (
        caplog.at_level(logging.DEBUG, "audioengine"),
        time_limit(10),
        pytest.raises(ae.StorageError, match=f"can't read source '{PLACE}'") as caught,
    ):
        ae.store(PLACE, target, EDIT, s3=ae.S3Options(customer_key=CUSTOMER_KEY))
    assert caught.value.retryable
    assert not target.exists()
    assert_tells_nothing(caught.value, caplog)
    assert set(faulty.methods) == {"GET"}


@pytest.mark.parametrize("fault", PASSING)
def test_what_does_not_pass_while_writing_is_worth_another_try_later(
    fault: str, faulty: FaultyStore, caplog: pytest.LogCaptureFixture
) -> None:
    faulty.objects[PATH] = Stored(b"old")
    faulty.patience_s = 0.02 if "silent" in fault else 10
    faulty.always["PUT"] = PASSING[fault]
    with (
        caplog.at_level(logging.DEBUG, "audioengine"),
        time_limit(10),
        pytest.raises(ae.StorageError, match=f"can't write destination '{PLACE}'") as caught,
    ):
        ae.store(DATA, PLACE, EDIT, s3=ae.S3Options(customer_key=CUSTOMER_KEY))
    assert caught.value.retryable
    assert faulty.objects[PATH].data == b"old"
    assert_tells_nothing(caught.value, caplog)
    # One of the five attempts may go to a connection that the store has just closed.
    assert faulty.methods in (["PUT"] * 4, ["PUT"] * 5)


@pytest.mark.parametrize("code", ["AccessDenied", "SignatureDoesNotMatch", "InvalidAccessKeyId"])
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_what_is_denied_is_final_and_asked_once(
    method: str, code: str, faulty: FaultyStore, caplog: pytest.LogCaptureFixture
) -> None:
    faulty.objects[PATH] = Stored(DATA)
    faulty.always[method] = servers.refusing(403, code)
    options = ae.S3Options(customer_key=CUSTOMER_KEY)
    with (
        caplog.at_level(logging.DEBUG, "audioengine"),
        pytest.raises(ae.StorageError, match=rf"'{PLACE}': {code}$") as caught,
    ):
        ae.store(PLACE if method == "GET" else DATA, PLACE, EDIT, s3=options)
    assert not caught.value.retryable
    assert faulty.objects[PATH].data == DATA
    assert_tells_nothing(caught.value, caplog)
    assert faulty.methods == [method]


def test_a_merge_names_the_recording_that_could_not_be_read(
    faulty: FaultyStore, caplog: pytest.LogCaptureFixture
) -> None:
    """What may pass is no reason to leave a recording out."""
    faulty.objects[PATH] = Stored(DATA)
    faulty.always["GET"] = servers.refusing(503, "SlowDown")
    out = io.BytesIO()
    with pytest.raises(ae.StorageError, match=PLACE) as caught:
        ae.merge([ae.MergePart(DATA, START), ae.MergePart(PLACE, START)], out, missing="omit")
    assert caught.value.retryable
    assert out.getvalue() == b""
    assert_tells_nothing(caught.value, caplog)


def test_an_object_replaced_between_two_ranges_was_changed(
    faulty: FaultyStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(s3, "_BLOCK_BYTES", 8000)
    faulty.objects[PATH] = Stored(DATA)
    faulty.faults["GET"] = [servers.fine, servers.replacing(recording("stereo-8k").data)]
    target = tmp_path / "out.mp3"
    with pytest.raises(ae.StorageError, match=f"{PLACE}.* was changed") as caught:
        ae.store(PLACE, target, EDIT)
    assert caught.value.retryable
    assert not target.exists()
    assert faulty.methods == ["GET", "GET"]
    # A later try takes the new one.
    ae.store(PLACE, target)
    assert target.read_bytes() == recording("stereo-8k").data


def test_an_object_replaced_by_its_own_output_was_read_before(
    faulty: FaultyStore, monkeypatch: pytest.MonkeyPatch, wanted: bytes
) -> None:
    monkeypatch.setattr(s3, "_BLOCK_BYTES", 8000)
    faulty.objects[PATH] = Stored(DATA)
    ae.store(PLACE, PLACE, EDIT)
    assert faulty.objects[PATH].data == wanted
    last = len(faulty.methods) - faulty.methods[::-1].index("GET")
    assert faulty.methods[last:] == ["PUT", "HEAD"]


def test_a_first_range_that_gives_less_than_there_is_is_not_taken(faulty: FaultyStore) -> None:
    faulty.objects[PATH] = Stored(DATA)
    faulty.always["GET"] = servers.short_range
    with time_limit(5), pytest.raises(ae.StorageError, match="less than it has") as caught:
        ae.inspect(PLACE)
    assert caught.value.retryable


WRONG = {
    "size": {"Content-Length": "7"},
    "checksum": {"x-amz-checksum-sha256": base64.b64encode(bytes(32)).decode()},
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_stored_wrong_is_removed(
    wrong: str, faulty: FaultyStore, caplog: pytest.LogCaptureFixture
) -> None:
    faulty.head_says = WRONG[wrong]
    with pytest.raises(ae.StorageError, match=f"{PLACE}.*not what was sent.*removed") as caught:
        ae.store(DATA, PLACE, EDIT, s3=ae.S3Options(customer_key=CUSTOMER_KEY))
    assert caught.value.retryable
    assert faulty.objects == {}
    assert faulty.methods == ["PUT", "HEAD", "DELETE"]
    assert_tells_nothing(caught.value, caplog)


def test_of_what_is_stored_wrong_only_that_version_is_removed(faulty: FaultyStore) -> None:
    faulty.head_says = {"Content-Length": "7", "x-amz-version-id": "v7"}
    with pytest.raises(ae.StorageError, match="removed"):
        ae.store(DATA, PLACE, EDIT)
    assert faulty.asked[-1].query == "versionId=v7"


def test_where_what_is_stored_wrong_can_t_be_removed_that_is_the_error(
    faulty: FaultyStore,
) -> None:
    faulty.head_says = {"Content-Length": "7"}
    faulty.always["DELETE"] = servers.refusing(403, "AccessDenied")
    with pytest.raises(ae.StorageError, match=f"{PLACE}.*AccessDenied") as caught:
        ae.store(DATA, PLACE, EDIT)
    assert not caught.value.retryable


def test_a_checksum_of_checksums_is_not_compared(faulty: FaultyStore, wanted: bytes) -> None:
    faulty.head_says = {"x-amz-checksum-sha256": "AAAA-2"}
    ae.store(DATA, PLACE, EDIT)
    assert faulty.objects[PATH].data == wanted


def test_a_store_that_is_not_there_may_come_back(
    faulty: FaultyStore, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        options = ae.S3Options(endpoint_url=url)
        attempts: list[Callable[[], object]] = [
            lambda: ae.inspect(PLACE, s3=options),
            lambda: ae.store(DATA, PLACE, s3=options),
        ]
        for attempt in attempts:
            with pytest.raises(ae.StorageError, match=PLACE) as caught:
                attempt()
            assert caught.value.retryable
            assert_tells_nothing(caught.value, caplog)
    assert faulty.asked == []


def test_without_credentials_nothing_is_asked(
    faulty: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    with pytest.raises(ae.StorageError, match="NoCredentials") as caught:
        ae.inspect(PLACE)
    assert not caught.value.retryable
    assert faulty.asked == []


def test_credentials_come_from_the_environment(
    faulty: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOTHER")
    faulty.objects[PATH] = Stored(DATA)
    ae.inspect(PLACE)
    assert "Credential=AKIAOTHER/" in faulty.asked[0].headers["authorization"]


@pytest.mark.parametrize(
    "options",
    [
        ae.S3Options(endpoint_url="no address"),
        ae.S3Options(region="no region"),
        ae.S3Options(metadata={"name": "日本"}),
    ],
)
def test_options_that_make_no_sense_are_errors_of_ours(
    options: ae.S3Options, faulty: FaultyStore
) -> None:
    with pytest.raises(ae.AudioEngineError) as caught:
        ae.store(DATA, PLACE, s3=options)
    assert not caught.value.retryable
    assert faulty.asked == []


def test_a_bucket_s_name_that_makes_no_sense_is_a_storage_error(faulty: FaultyStore) -> None:
    with pytest.raises(ae.StorageError, match=r"s3://no bucket/in\.mp3") as caught:
        ae.inspect("s3://no bucket/in.mp3")
    assert not caught.value.retryable
    assert faulty.asked == []


def test_options_do_not_show_their_key() -> None:
    assert "canary" not in repr(ae.S3Options(customer_key=CUSTOMER_KEY))
    assert ae.S3Options(customer_key=CUSTOMER_KEY) != ae.S3Options(customer_key=bytes(32))
