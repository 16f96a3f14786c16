# SPDX-License-Identifier: Apache-2.0
"""Lists the objects under a prefix of a bucket, or the files in a local folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from audioengine.errors import InvalidRequestError
from audioengine.storage.buckets import SCHEME, split_place
from audioengine.storage.files import TEMPORARY_SUFFIX, Failing
from audioengine.storage.options import S3Options


def bucket_and_prefix(place: str, field: str) -> tuple[str, str] | None:
    """Return bucket and prefix of ``s3://bucket/prefix/``; None for a local folder.

    Raises InvalidRequestError if it is neither; `field` is its name in the message.
    """
    if "://" not in place:
        return None
    bucket, prefix = split_place(place, field)
    if not bucket or (not prefix and not place.endswith("/")):
        rule = "must be a local folder or s3://bucket/prefix/"
        raise InvalidRequestError.of(field, place, rule)
    return bucket, prefix


def list_folder(folder: str, name: str) -> Iterator[str]:
    """The files in a local folder, as `list_sizes` names them; messages call the folder `name`."""
    return (path for path, _ in _files(folder, "", name))


def list_sizes(prefix: str, s3: S3Options | None = None) -> Iterator[tuple[str, int]]:
    """Yield the names of all objects under a prefix, sorted, with their sizes in bytes.

    For ``s3://bucket/prefix/`` names are whole keys. For a local folder they are relative paths of
    regular files in it and its subfolders; links to folders are not followed, and outputs that are
    still being written are left out.

    Raises StorageError if it can't be listed, InvalidRequestError if it is no prefix.
    """
    place = bucket_and_prefix(prefix, "source")
    if place is None:
        yield from _files(prefix, "", prefix)
        return
    for one in listed_in_s3(*place, s3 or S3Options()):
        yield one["Key"], one["Size"]


def listed_in_s3(bucket: str, prefix: str, options: S3Options) -> Iterator[Mapping[str, Any]]:
    """Yield S3's listing of each object under a prefix, sorted by key.

    Raises StorageError.
    """
    from audioengine.storage.s3_client import mapped, s3_client

    reached = s3_client(options)
    page = {"Bucket": bucket, "Prefix": prefix, **options.request_arguments}
    while True:
        with mapped(f"can't list {SCHEME + bucket + '/' + prefix!r}"):
            answer = reached.list_objects_v2(**page)
        yield from answer.get("Contents", ())
        if not answer.get("IsTruncated"):
            return
        page["ContinuationToken"] = answer["NextContinuationToken"]


def _files(folder: str, path: str, name: str) -> Iterator[tuple[str, int]]:
    with Failing(f"can't list folder {name!r}"):
        try:
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except FileNotFoundError:
            if path:  # removed in the meantime
                return
            raise
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            inner = f"{name.rstrip('/')}/{entry.name}"
            yield from _files(entry.path, f"{path}{entry.name}/", inner)
        elif entry.is_file() and not entry.name.endswith(TEMPORARY_SUFFIX):
            with Failing(f"can't look at {entry.name!r} in {name!r}"):
                try:
                    size = entry.stat().st_size
                except FileNotFoundError:  # removed in the meantime, so left out
                    continue
            yield path + entry.name, size
