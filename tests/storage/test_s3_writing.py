# SPDX-License-Identifier: Apache-2.0
"""Objects in S3 are written with all that was asked for, large ones in parts."""

from __future__ import annotations

import base64
import time
from contextlib import closing
from hashlib import md5, sha256
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.s3 import exceptions as moto_exceptions
from moto.s3 import models as moto_models

import audioengine as ae
from audioengine.storage import open_destination, s3_client
from audioengine.storage.options import S3Options
from tests.storage.calls import (
    DATA,
    EDIT,
    MIB,
    PATH,
    PLACE,
    START,
    asked_metadata,
    given,
    write,
)
from tests.storage.conftest import Moto, RealS3
from tests.storage.servers import CUSTOMER_KEY, FaultyStore, Stored

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
    for wrong, code in ((None, "InvalidRequest"), (bytes(32), "AccessDenied")):
        with pytest.raises(ae.StorageError, match=code) as caught:
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


def uploads(s3: Moto | RealS3) -> list[str]:
    """The keys of uploads that have not ended."""
    found = s3.client.list_multipart_uploads(Bucket=s3.bucket).get("Uploads", ())
    return sorted(one["Key"] for one in found)


@pytest.mark.parametrize("later", [False, True])
def test_what_a_killed_process_has_begun_to_send_is_aborted_by_the_next(
    later: bool, s3: Moto | RealS3, in_parts: bytes
) -> None:
    """Nobody else's: not of another key, nor what was begun before this batch was."""
    for key in ("out.mp3", "out.mp3", "out.mp3.other"):
        s3.client.create_multipart_upload(Bucket=s3.bucket, Key=key)
    # moto's uploads have all begun in 2010.
    since = 0.0 if isinstance(s3, Moto) else time.time() - 3600
    options = ae.S3Options(aborts_since=since + 10**9 * 2 if later else since)
    write(f"s3://{s3.bucket}/out.mp3", in_parts, options)
    left = ["out.mp3", "out.mp3", "out.mp3.other"] if later else ["out.mp3.other"]
    assert uploads(s3) == left
    write(f"s3://{s3.bucket}/out.mp3", in_parts)
    assert uploads(s3) == left
    for one in s3.client.list_multipart_uploads(Bucket=s3.bucket)["Uploads"]:
        s3.client.abort_multipart_upload(Bucket=s3.bucket, Key=one["Key"], UploadId=one["UploadId"])


def test_who_may_not_list_uploads_may_write_all_the_same(moto: Moto, in_parts: bytes) -> None:
    client = s3_client.s3_client(S3Options())

    def deny(**_: object) -> object:
        raise ClientError({"Error": {"Code": "AccessDenied"}}, "ListMultipartUploads")

    client.meta.events.register("before-call.s3.ListMultipartUploads", deny)
    write(moto.place("out.mp3"), in_parts, ae.S3Options(aborts_since=0.0))
    assert moto.get("out.mp3") == in_parts


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
