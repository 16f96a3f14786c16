# SPDX-License-Identifier: Apache-2.0
"""An S3 Inventory as manifest: its `manifest.json`, and the lists that this names."""

from __future__ import annotations

import gzip
import hashlib
import io
import posixpath
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audioengine.batch.manifest_all import ForAll, Maker, Rows, Tally
from audioengine.batch.manifest_job import BadLine, Job
from audioengine.batch.manifest_text import split
from audioengine.errors import InvalidRequestError, LimitError, Problem, StorageError
from audioengine.json_input import parse_object
from audioengine.storage import S3Options, Source, open_source

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_BLOCK_BYTES = 1 << 20
_MOST_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class _List:
    """One data file."""

    place: str
    md5: str


def inventory_jobs(
    manifest: str, s3: S3Options | None, for_all: ForAll, tally: Tally
) -> Iterator[Job | BadLine]:
    """The jobs of an inventory: of each object's latest version that is not deleted.

    Lists are where the inventory was written; those of a local manifest, in `data` beside it.

    Raises at once InvalidRequestError where `to` or the inventory is wrong, StorageError where it
    can't be read, LimitError; the latter two later too, of the lists.
    """
    maker = Maker(for_all)
    columns, lists = _inventory(manifest, s3)

    def read() -> Iterator[Job | BadLine]:
        rows = Rows(maker, tally, columns)
        line = 0
        for one in lists:
            for data in _unpacked(one, s3):
                line += 1
                if data.strip() and (found := rows.job(line, data)) is not None:
                    yield found

    return read()


def _inventory(manifest: str, s3: S3Options | None) -> tuple[tuple[str, ...], list[_List]]:
    with closing(open_source(manifest, s3)) as source:
        if source.size > _MOST_BYTES:
            raise LimitError(f"inventory {manifest!r} is longer than {_MOST_BYTES} bytes")
        data = source.read(0, source.size)
    value = parse_object(data, "manifest", "the manifest.json of an S3 Inventory")
    problems: list[Problem] = []
    if value.get("fileFormat") != "CSV":
        rule = 'must be "CSV": let the inventory be written as CSV'
        problems.append(Problem("fileFormat", value.get("fileFormat"), rule))
    schema = value.get("fileSchema")
    columns = tuple(name.strip() for name in schema.split(",")) if isinstance(schema, str) else ()
    if not {"Bucket", "Key"} <= set(columns) or len(set(columns)) < len(columns):
        rule = "must name the columns, each once, Bucket and Key among them"
        problems.append(Problem("fileSchema", schema, rule))
    lists = _lists(value, manifest, problems)
    if problems:
        raise InvalidRequestError(problems)
    return columns, lists


def _lists(value: dict[str, Any], manifest: str, problems: list[Problem]) -> list[_List]:
    arn = value.get("destinationBucket")
    bucket = arn.rpartition(":::")[2] if isinstance(arn, str) else ""
    local = "://" not in manifest
    if not local and not bucket:
        rule = "must be the ARN of the bucket with the lists"
        problems.append(Problem("destinationBucket", arn, rule))
    files = value.get("files")
    if not isinstance(files, list):
        problems.append(Problem("files", files, "must be a list"))
        return []
    lists = []
    for number, one in enumerate(files):
        key = one.get("key") if isinstance(one, dict) else None
        md5 = one.get("MD5checksum") if isinstance(one, dict) else None
        if not isinstance(key, str) or not isinstance(md5, str) or not posixpath.basename(key):
            rule = "must be an object with a key and its MD5checksum"
            problems.append(Problem(f"files[{number}]", one, rule))
            continue
        beside = Path(manifest).parent / "data" / posixpath.basename(key)
        lists.append(_List(str(beside) if local else f"s3://{bucket}/{key}", md5))
    return lists


def _unpacked(one: _List, s3: S3Options | None) -> Iterator[bytes]:
    """The lines of a list, once its bytes are known to be those that the inventory means."""
    with closing(open_source(one.place, s3)) as source:
        md5 = hashlib.md5(usedforsecurity=False)
        for offset in range(0, source.size, _BLOCK_BYTES):
            md5.update(source.read(offset, _BLOCK_BYTES))
        if md5.hexdigest() != one.md5.lower():
            raise StorageError(
                f"can't read source {one.place!r}: its MD5 is {md5.hexdigest()}, "
                f"and that of the inventory {one.md5}"
            )
        yield from split(_gunzipped(source, one.place))


def _gunzipped(source: Source, place: str) -> Iterator[bytes]:
    packed = io.BufferedReader(_Readable(source), _BLOCK_BYTES)
    try:
        with gzip.GzipFile(fileobj=packed) as file:
            while block := file.read(_BLOCK_BYTES):
                yield block
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise StorageError(f"can't read source {place!r}: {error}") from None


class _Readable(io.RawIOBase):
    """A source as gzip wants it."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._offset = 0

    def readable(self) -> bool:
        """Whether it can be read."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read what comes next."""
        view = memoryview(buffer)
        data = self._source.read(self._offset, len(view))
        view[: len(data)] = data
        self._offset += len(data)
        return len(data)
