# SPDX-License-Identifier: Apache-2.0
"""Recordings in S3, over HTTP: the same as in files, in few requests, by any name."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

import audioengine as ae
from tests.operations.helpers import recording
from tests.storage.calls import (
    DATA,
    EDIT,
    START,
    given,
    told,
)
from tests.storage.conftest import Moto

# The same as in files


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
