# SPDX-License-Identifier: Apache-2.0
"""Commands on S3, over HTTP: how many requests each takes, and what lies there afterwards."""

from __future__ import annotations

import base64
import json
import logging
from typing import Any

import pytest

import audioengine as ae
from audioengine.batch.job_outcome import How
from audioengine.batch.manifest_job import Job, job_of
from audioengine.batch.run_job import do_job
from tests.execution import service
from tests.execution.service import DATA, RECORDING, START, TEMP_KEY, delete_command, store_command
from tests.storage.conftest import Moto
from tests.storage.servers import FaultyStore, Stored

NAME = f"{RECORDING}.mp3"
SECRET = base64.b64encode(bytes(range(64, 96))).decode()
OTHER_SECRET = base64.b64encode(bytes(32)).decode()
METADATA = {"domain": service.DOMAIN, "start-time-ms": str(START)}


@pytest.fixture
def temporary(moto: Moto) -> str:
    """A bucket's name that is both temporary and permanent, with one recording."""
    moto.client.put_object(Bucket=moto.bucket, Key=TEMP_KEY, Body=DATA, Metadata=METADATA)
    return moto.bucket


def run(command: dict[str, Any], bucket: str, **more: Any) -> ae.Outcome:
    """Execute on S3, as the environment reaches it."""
    domains = {service.DOMAIN: {"buckets": [bucket]}}
    token = service.token(tempBucket=bucket)
    asked = {**command, "replyId": token}
    if "destinationBucket" in asked:
        asked["destinationBucket"] = bucket
    return ae.execute(asked, settings=service.settings(domains=domains, **more), workers=1)


def test_a_masked_store_is_one_look_one_read_and_one_write(moto: Moto, temporary: str) -> None:
    outcome = run(store_command(), temporary)
    assert outcome.error is None, outcome.error
    assert moto.methods == ["HEAD", "GET", "PUT"]
    found = moto.client.head_object(Bucket=temporary, Key=NAME)
    assert found["ContentType"] == "audio/mpeg"
    assert outcome.result is not None
    assert found["Metadata"]["command-digest"] == outcome.result.digest
    # Again, it only looks.
    again = run(store_command(), temporary)
    assert again.result is not None
    assert again.result.is_repeated
    assert moto.methods == ["HEAD", "GET", "PUT", "HEAD"]


def test_a_plain_store_moves_no_audio(moto: Moto, temporary: str) -> None:
    command = store_command(modificationParams=None, encryptionKey="alias/kept")
    outcome = run(command, temporary)
    assert outcome.error is None, outcome.error
    assert "GET" not in moto.methods
    assert moto.get(NAME) == DATA
    found = moto.client.head_object(Bucket=temporary, Key=NAME)
    assert (found["ServerSideEncryption"], found["SSEKMSKeyId"]) == ("aws:kms", "alias/kept")
    assert found["Metadata"]["source-digest"].startswith("etag:")
    assert found["Metadata"]["start-time-ms"] == str(START)


@pytest.mark.usefixtures("temporary")
@pytest.mark.parametrize("existing", ["overwrite", "refuse", "suffix"])
def test_all_that_commands_write_is_conditional(existing: str, moto: Moto) -> None:
    """As buckets may demand it by their policy."""
    before = {"Body": b"old", "Metadata": {"domain": service.DOMAIN}}
    for params in (None, service.MASK):
        name = "masked.mp3" if params else "plain.mp3"
        if existing == "overwrite":
            moto.client.put_object(Bucket=moto.bucket, Key=name, **before)
        moto.sent.clear()
        command = store_command(fileName=name, modificationParams=params)
        assert run(command, moto.bucket, existing=existing).error is None
        (written,) = [one for one in moto.sent if one.method == "PUT"]
        wanted = "If-Match" if existing == "overwrite" else "If-None-Match"
        assert wanted in written.headers


def test_a_delete_leaves_no_version(moto: Moto) -> None:
    versioning = {"Status": "Enabled"}
    moto.client.put_bucket_versioning(Bucket=moto.bucket, VersioningConfiguration=versioning)
    for _ in range(3):
        moto.put(TEMP_KEY, DATA)
    moto.client.delete_object(Bucket=moto.bucket, Key=TEMP_KEY)
    moto.put(f"{TEMP_KEY}.other", DATA)
    for _ in range(2):
        assert run(delete_command(), moto.bucket).error is None
        left = moto.client.list_object_versions(Bucket=moto.bucket)
        assert [one["Key"] for one in left.get("Versions", [])] == [f"{TEMP_KEY}.other"]
        assert "DeleteMarkers" not in left


@pytest.mark.parametrize("purge", [False, True])
def test_an_overwritten_version_is_named_or_purged(moto: Moto, temporary: str, purge: bool) -> None:
    versioning = {"Status": "Enabled"}
    moto.client.put_bucket_versioning(Bucket=temporary, VersioningConfiguration=versioning)
    moto.put(NAME, b"unmasked")
    before = moto.client.head_object(Bucket=temporary, Key=NAME)["VersionId"]
    outcome = run(store_command(), temporary, purge_versions=purge)
    assert outcome.result is not None
    assert outcome.result.versions_before == (before,)
    left = moto.client.list_object_versions(Bucket=temporary, Prefix=NAME)["Versions"]
    assert (before in [one["VersionId"] for one in left]) is not purge


def test_a_customer_s_key_is_in_no_message_of_anyone(
    moto: Moto, temporary: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    outcome = run(store_command(encryptionKey=SECRET), temporary)
    failed = run(store_command(encryptionKey=SECRET, destinationRegion="nowhere"), temporary)
    assert moto.sent
    for text in (caplog.text, json.dumps(outcome.to_dict()), repr(outcome), repr(failed)):
        assert SECRET not in text


@pytest.mark.parametrize("existing", ["overwrite", "refuse", "suffix"])
@pytest.mark.parametrize("before", [None, SECRET, OTHER_SECRET])
@pytest.mark.parametrize("asked", [None, SECRET])
def test_an_object_under_another_key_is_just_another_object(
    existing: str, before: str | None, asked: str | None, faulty: FaultyStore
) -> None:
    """Such a one tells nothing of itself: not even whether it is this command's own."""
    where = f"/bucket/{NAME}"
    metadata = {f"x-amz-meta-{name}": value for name, value in METADATA.items()}
    faulty.objects[f"/bucket/{TEMP_KEY}"] = Stored(DATA, metadata)
    assert run(store_command(encryptionKey=before, fileName=NAME), "bucket").error is None
    first = faulty.objects[where]
    faulty.asked.clear()
    command = store_command(encryptionKey=asked, fileName=NAME)
    outcome = run(command, "bucket", existing=existing)
    methods = [one.method for one in faulty.asked if "." in one.path]
    if before == asked:
        assert outcome.result is not None
        assert outcome.result.is_repeated
        assert methods == ["HEAD"]
    elif existing == "refuse":
        assert isinstance(outcome.error, ae.InvalidRequestError)
        assert "may not be replaced" in str(outcome.error)
    else:
        assert outcome.error is None, outcome.error
        assert outcome.result is not None
        # The last is for the checksum, of which this store says nothing when it is sent one.
        assert methods == ["HEAD"] * (1 + (existing == "suffix")) + ["GET", "PUT", "HEAD"]
    kept = existing != "overwrite" or before == asked
    assert (faulty.objects[where] is first) is kept


def test_a_temporary_object_under_a_key_that_nobody_gave_says_so(faulty: FaultyStore) -> None:
    faulty.objects[f"/bucket/{TEMP_KEY}"] = Stored(DATA, customer_key="of somebody")
    outcome = run(store_command(modificationParams=None), "bucket")
    assert isinstance(outcome.error, ae.StorageError)
    assert "under another key" in str(outcome.error.__cause__)  # for the operator: whose is unknown
    assert not outcome.retryable


def test_a_bucket_that_is_not_there_is_final(moto: Moto) -> None:
    outcome = run(store_command(), f"{moto.bucket}-gone")
    assert isinstance(outcome.error, ae.StorageError)
    assert not outcome.retryable


def test_a_job_that_names_a_version_is_done_with_that_one(moto: Moto) -> None:
    versioning = {"Status": "Enabled"}
    moto.client.put_bucket_versioning(Bucket=moto.bucket, VersioningConfiguration=versioning)
    source = moto.put("in.mp3", DATA)
    version = moto.client.head_object(Bucket=moto.bucket, Key="in.mp3")["VersionId"]
    moto.put("in.mp3", b"no audio any more")
    line = {"source": source, "destination": moto.place("out.mp3"), "version": version}
    one = job_of(1, json.dumps(line).encode())
    assert isinstance(one, Job)
    outcome = do_job(one, How(ae.StoreOptions()))
    assert outcome.error is None, outcome.error
    assert moto.get("out.mp3") == DATA
