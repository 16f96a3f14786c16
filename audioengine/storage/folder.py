# SPDX-License-Identifier: Apache-2.0
"""Local folders as buckets: an object is a file, its metadata a file beside it."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from audioengine.errors import InvalidRequestError, StorageError
from audioengine.storage.base import Source, Staging
from audioengine.storage.buckets import Found, Location, Storage, refuse_encryption
from audioengine.storage.files import (
    TEMPORARY_SUFFIX,
    Failing,
    FileSource,
    FileStaging,
    make_folders,
)
from audioengine.storage.options import S3Options

META_SUFFIX = ".meta.json"
_BLOCK_BYTES = 1 << 20


class FolderStorage(Storage):
    """A bucket is a folder in `root`, and has to be there; may be sent to another process.

    What commands may write, `.meta.json` beside an object, tells its metadata; where the object was
    replaced by other means, that no longer counts.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self._root = Path(root)

    def __repr__(self) -> str:
        return f"FolderStorage({str(self._root)!r})"

    def find(self, location: Location, options: S3Options | None = None) -> Found | None:
        del options
        path = self._path(location)
        with Failing(f"can't look for {str(location)!r}"):
            try:
                status = path.stat()
            except (FileNotFoundError, NotADirectoryError):
                return None
            if not path.is_file():
                return None
            metadata, sha256 = _read_meta(path, status)
        etag = f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
        return Found(status.st_size, etag, None, sha256, metadata)

    def source(self, location: Location, options: S3Options | None = None) -> Source:
        refuse_encryption(options, "a local folder")
        path = self._path(location)
        source = FileSource(path)
        found = self.find(location)
        source.metadata = found.metadata if found else {}
        return source

    def staging(self, location: Location, options: S3Options | None = None) -> Staging:
        refuse_encryption(options, "a local folder")
        path = self._path(location)
        self._check_bucket(location.bucket)
        make_folders(str(path))
        return _FolderStaging(path, options.metadata if options else {})

    def copy(
        self,
        source: Location,
        destination: Location,
        found: Found,
        options: S3Options | None = None,
    ) -> None:
        with (
            closing(FileSource(self._path(source))) as original,
            closing(self.staging(destination, options)) as staging,
        ):
            if self.find(source) != found:
                message = f"can't copy {str(source)!r}: it was changed meanwhile"
                raise StorageError(message, retryable=True)
            for offset in range(0, original.size, _BLOCK_BYTES):
                staging.write(original.read(offset, _BLOCK_BYTES))
            original.check_unchanged()
            staging.publish()

    def versions(self, location: Location) -> tuple[str, ...]:
        self._path(location)
        return ()

    def delete(self, location: Location, versions: Sequence[str] | None = None) -> None:
        if versions is not None and not versions:
            return
        path = self._path(location)
        with Failing(f"can't delete {str(location)!r}"):
            for one in (path, _meta_path(path)):
                with suppress(FileNotFoundError, NotADirectoryError):
                    one.unlink()

    def _path(self, location: Location) -> Path:
        """Where an object's file is: inside its bucket's folder, whatever it is called."""
        segments = location.key.split("/")
        problem = _problem(location.key, segments)
        if problem is not None:
            raise InvalidRequestError.of("key", location.key, problem)
        if {location.bucket} & {"", ".", ".."} or "/" in location.bucket or "\0" in location.bucket:
            rule = "must be the name of a folder in the storage's root"
            raise InvalidRequestError.of("bucket", location.bucket, rule)
        with Failing(f"can't look for {str(location)!r}"):
            folder = (self._root / location.bucket).resolve()
            path = folder.joinpath(*segments)
            # A link inside the bucket may lead out of it.
            if not path.parent.resolve().is_relative_to(folder) or path.is_symlink():
                rule = "must lie in its bucket's folder: a link leads out of it"
                raise InvalidRequestError.of("key", location.key, rule)
        return path

    def _check_bucket(self, bucket: str) -> None:
        if not (self._root / bucket).is_dir():
            message = f"there is no bucket {bucket!r}: make a folder of that name in the root first"
            raise StorageError(message)


def _problem(key: str, segments: Sequence[str]) -> str | None:
    if "\0" in key or {"", ".", ".."} & set(segments):
        return "must have no empty segment, . or .. in a local folder"
    if key.endswith((META_SUFFIX, TEMPORARY_SUFFIX)):
        return f"must not end in {META_SUFFIX} or {TEMPORARY_SUFFIX}, which are the storage's own"
    return None


class _FolderStaging(FileStaging):
    """A file that is published with its metadata beside it."""

    def __init__(self, path: Path, metadata: Mapping[str, str]) -> None:
        super().__init__(path)
        self._path = path
        self._metadata = metadata

    def publish(self, facts: Mapping[str, str] | None = None) -> None:
        with Failing(f"can't write destination {str(self._path)!r}"), _locked(self._path.parent):
            # Killed in the middle, an object has no metadata; never another one's.
            _meta_path(self._path).unlink(missing_ok=True)
            super().publish()
            _write_meta(self._path, {**self._metadata, **(facts or {})})


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let nobody else publish in a folder meanwhile."""
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _meta_path(path: Path) -> Path:
    return path.with_name(path.name + META_SUFFIX)


def _write_meta(path: Path, metadata: Mapping[str, str]) -> None:
    meta = {
        "metadata": dict(metadata),
        "sha256": _sha256(path),
        "mtimeNs": path.stat().st_mtime_ns,
    }
    with closing(FileStaging(_meta_path(path))) as staging:
        staging.write(json.dumps(meta, indent=1).encode())
        staging.publish()


def _read_meta(path: Path, status: os.stat_result) -> tuple[Mapping[str, str], str | None]:
    """Metadata and SHA-256 of a file, where they are still its own."""
    try:
        meta: Any = json.loads(_meta_path(path).read_bytes())
        metadata = {str(name).lower(): str(value) for name, value in meta["metadata"].items()}
        sha256, mtime_ns = meta.get("sha256"), meta.get("mtimeNs")
    except FileNotFoundError:
        return {}, None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise StorageError(f"can't read {str(_meta_path(path))!r}: it is no metadata") from None
    if sha256 is not None and mtime_ns != status.st_mtime_ns and sha256 != _sha256(path):
        return {}, None
    return metadata, sha256


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return b64encode(digest.digest()).decode()
