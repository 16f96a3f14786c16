# SPDX-License-Identifier: Apache-2.0
"""Listing of prefixes and folders: all of it, sorted, page by page."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioengine.errors import InvalidRequestError, StorageError
from audioengine.storage.listing import bucket_and_prefix, list_sizes
from audioengine.storage.options import S3Options
from tests.storage.conftest import Moto

KEYS = ["calls/+ &%41.mp3", "calls/", "calls/2/x.mp3", "calls/10.mp3", "calls/é \t.mp3"]


def names(prefix: str, s3: S3Options | None = None) -> Iterator[str]:
    return (name for name, _ in list_sizes(prefix, s3))


def test_all_keys_under_a_prefix_are_given_as_they_are(moto: Moto) -> None:
    for key in [*KEYS, "callsign.mp3", "other/calls/1.mp3"]:
        moto.put(key, b"")
    assert list(names(moto.place("calls/"))) == sorted(KEYS)
    assert len(list(names(moto.place("")))) == len(KEYS) + 2
    assert list(names(moto.place("nothing/"))) == []


def test_a_long_listing_is_asked_for_page_by_page(
    moto: Moto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory holds one page, whatever there is."""
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "10")
    keys = [f"{n:04}.mp3" for n in range(21)]
    for key in keys:
        moto.put(key, b"")
    moto.sent.clear()
    found = names(moto.place(""), S3Options())
    assert list(islice(found, 10)) == keys[:10]
    assert len(moto.sent) == 1
    assert list(found) == keys[10:]
    assert moto.methods == ["GET"] * 3


def test_what_can_not_be_listed_is_a_storage_error(moto: Moto) -> None:
    assert moto.keys() == []
    with pytest.raises(
        StorageError, match=r"can't list 's3://no-such-bucket/calls/': NoSuchBucket"
    ):
        next(names("s3://no-such-bucket/calls/"))


def test_files_of_a_folder_are_given_by_their_path_inside_it(tmp_path: Path) -> None:
    """Links to files are files; links to folders, sockets and half-written outputs are none."""
    for name in [
        "b/2.mp3",
        "b/1.mp3",
        "a.mp3",
        "b/c/3.mp3",
        "z",
        ".b.mp3.0a0b0c0d.audioengine-part",
    ]:
        path = tmp_path / "calls" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "calls" / "link.mp3").symlink_to("a.mp3")
    (tmp_path / "calls" / "gone.mp3").symlink_to("nothing")
    (tmp_path / "calls" / "loop").symlink_to(tmp_path / "calls")
    os.mkfifo(tmp_path / "calls" / "pipe")
    wanted = ["a.mp3", "b/1.mp3", "b/2.mp3", "b/c/3.mp3", "link.mp3", "z"]
    assert list(names(str(tmp_path / "calls"))) == wanted
    assert list(names(f"{tmp_path}/calls/")) == wanted
    with pytest.raises(StorageError, match=r"can't list folder .*nothing"):
        next(names(str(tmp_path / "nothing")))


@pytest.mark.parametrize("place", ["gs://b/k/", "s3://", "s3:///k/", "s3://bucket", "x://"])
def test_what_is_no_prefix_is_refused(place: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        bucket_and_prefix(place, "to")
    assert [(one.path, one.value) for one in caught.value.problems] == [("to", place)]


@given(st.from_regex(r"[a-z0-9.-]+", fullmatch=True), st.text())
def test_a_prefix_is_all_after_the_bucket(bucket: str, prefix: str) -> None:
    assert bucket_and_prefix(f"s3://{bucket}/{prefix}", "to") == (bucket, prefix)
