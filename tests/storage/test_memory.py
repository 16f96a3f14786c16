# SPDX-License-Identifier: Apache-2.0
"""Storage in memory, for the tests of those who use this package."""

from __future__ import annotations

import errno
import os
from contextlib import closing
from tempfile import SpooledTemporaryFile
from typing import Any

import pytest

import audioengine as ae
from audioengine.storage.buckets import Location
from tests.operations.helpers import recording
from tests.storage.conftest import Doors

DATA = recording("mpeg25-8k-32k").data


def test_objects_are_put_and_looked_at_without_being_asked_for() -> None:
    storage = ae.MemoryStorage("bucket", "other")
    storage.put("bucket", "b.mp3", DATA, {"Domain": "example.org"})
    storage.put("bucket", "a.mp3", b"data")
    assert storage.get("bucket", "b.mp3") == DATA
    assert storage.keys("bucket") == ("a.mp3", "b.mp3")
    assert storage.keys("other") == ()
    assert storage.object("bucket", "b.mp3").found.metadata == {"domain": "example.org"}
    assert storage.requests == []


@pytest.mark.parametrize("bucket", ["bucket", "no-such-bucket"])
def test_what_is_not_there_can_t_be_looked_at(bucket: str) -> None:
    storage = ae.MemoryStorage("bucket")
    for look in (storage.get, storage.object):
        with pytest.raises(ae.StorageError):
            look(bucket, "in.mp3")


def test_it_tells_what_was_asked_for_in_order() -> None:
    storage = ae.MemoryStorage("bucket")
    storage.put("bucket", "in.mp3", DATA)
    source, target = Location("bucket", "in.mp3"), Location("bucket", "copy.mp3")
    ae.store(storage.place("bucket", "in.mp3"), storage.place("bucket", "out.mp3"))
    found = storage.find(source)
    assert found is not None
    storage.copy(source, target, found)
    storage.versions(source)
    storage.delete(source)
    assert storage.requests == [
        ("source", "s3://bucket/in.mp3"),
        ("publish", "s3://bucket/out.mp3"),
        ("find", "s3://bucket/in.mp3"),
        ("copy", "s3://bucket/copy.mp3"),
        ("versions", "s3://bucket/in.mp3"),
        ("delete", "s3://bucket/in.mp3"),
    ]


def test_it_tells_how_an_object_was_to_be_encrypted() -> None:
    storage = ae.MemoryStorage("bucket")
    options = ae.S3Options(kms_key="alias/recordings", metadata={"a": "1"})
    ae.store(DATA, storage.place("bucket", "out.mp3", options))
    kept = storage.object("bucket", "out.mp3")
    assert kept.options.kms_key == "alias/recordings"
    assert kept.found.metadata["a"] == "1"
    storage.copy(Location("bucket", "out.mp3"), Location("bucket", "b"), kept.found, options)
    assert storage.object("bucket", "b").options.kms_key == "alias/recordings"


def test_what_a_caller_does_to_its_metadata_later_does_not_matter() -> None:
    doors = Doors(ae.MemoryStorage("bucket"), "bucket")
    metadata = {"a": "1"}
    assert isinstance(doors.storage, ae.MemoryStorage)
    doors.storage.put("bucket", "in.mp3", b"data", metadata)
    metadata["a"] = "2"
    with closing(doors.storage.source(doors.at("in.mp3"))) as source:
        assert source.metadata == {"a": "1"}


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_is_full_while_an_output_waits_there_may_pass(
    code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As outputs for S3 do that are large."""

    def full(*_: Any) -> int:
        raise OSError(code, os.strerror(code))

    with closing(ae.MemoryStorage("bucket").place("bucket", "key").staging()) as staging:
        staging.write(b"tag")
        monkeypatch.setattr(SpooledTemporaryFile, "write", full)
        for attempt in (staging.write, staging.rewrite_start):
            with pytest.raises(ae.StorageError, match=os.strerror(code)) as caught:
                attempt(b"more")
            assert caught.value.retryable
