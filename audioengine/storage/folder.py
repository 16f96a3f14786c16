# SPDX-License-Identifier: Apache-2.0
"""Local folders as buckets: an object is a file, with its metadata in a file beside it."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from audioengine.errors import InvalidRequestError, StorageError
from audioengine.json_input import parse_json
from audioengine.storage.base import Source, Staging
from audioengine.storage.buckets import (
    SCHEME,
    Found,
    Judge,
    Listed,
    Location,
    Storage,
    check_replaced,
    refuse_encryption,
)
from audioengine.storage.files import (
    READING,
    TEMPORARY_SUFFIX,
    Failing,
    FileSource,
    FileStaging,
    lock,
    make_folders,
    opened,
)
from audioengine.storage.listing import list_folder
from audioengine.storage.options import S3Options

META_SUFFIX = ".meta.json"
_BLOCK_BYTES = 1 << 20

# The longest file name; that of the metadata file must fit too.
_MOST_NAME_BYTES = 255
_GONE = (FileNotFoundError, NotADirectoryError)


class FolderStorage(Storage):
    """Buckets are existing folders in `root`. May be pickled for another process.

    An object's metadata is in a `.meta.json` file beside it. The metadata is ignored if another
    program has replaced the object. No key, bucket or link leads out of `root`, unless another
    program creates links there at the same time.
    """

    def __init__(self, root: str | os.PathLike[str], *, mode: int = 0o600) -> None:
        """Access nothing yet.

        mode: the permissions of its files, regardless of the umask; created folders may be entered
            by all users who may read its files.
        """
        self._root = Path(root)
        self._mode = mode

    def __repr__(self) -> str:
        return f"FolderStorage({str(self._root)!r})"

    def find(self, location: Location, options: S3Options | None = None) -> Found | None:
        _refuse_version(options)
        path = self._path(location)
        with Failing(f"can't look for {str(location)!r}"):
            return _found_at(path)

    def source(self, location: Location, options: S3Options | None = None) -> Source:
        refuse_encryption(options, "a local folder")
        _refuse_version(options)
        return _FolderSource(self._path(location), location)

    def staging(self, location: Location, options: S3Options | None = None) -> Staging:
        refuse_encryption(options, "a local folder")
        path = self._path(location)
        self._check_bucket(location.bucket)
        make_folders(str(path), str(location), self._mode | (self._mode & 0o444) >> 2)
        return _FolderStaging(path, location, options or S3Options(), self._mode)

    def copy(
        self,
        source: Location,
        destination: Location,
        found: Found,
        options: S3Options | None = None,
    ) -> None:
        with (
            closing(_FolderSource(self._path(source), source)) as original,
            closing(self.staging(destination, options)) as staging,
        ):
            if original.found != found:
                message = f"can't copy {str(source)!r}: it has changed in the meantime"
                raise StorageError(message, retryable=True)
            for offset in range(0, original.size, _BLOCK_BYTES):
                staging.write(original.read(offset, _BLOCK_BYTES))
            original.check_unchanged()
            staging.publish()

    def versions(self, location: Location) -> tuple[str, ...]:
        self._path(location)
        self._check_bucket(location.bucket)
        return ()

    def delete(
        self,
        location: Location,
        versions: Sequence[str] | None = None,
        *,
        judge: Judge | None = None,
    ) -> None:
        path = self._path(location)
        self._check_bucket(location.bucket)
        if versions is not None:
            # No such version exists.
            return
        with Failing(f"can't delete {str(location)!r}"), suppress(*_GONE), _locked(path.parent):
            if judge is not None and (found := _found_at(path)) is not None:
                judge(found)
            for one in (path, _meta_path(path)):
                with suppress(FileNotFoundError):
                    if not one.is_dir():
                        one.unlink()

    def objects(self, bucket: str, prefix: str = "") -> Iterator[Listed]:
        folder = self._path(Location(bucket, "any")).parent
        self._check_bucket(bucket)
        # Start in the prefix's folder instead of walking through the whole bucket.
        inside = prefix[: prefix.rfind("/") + 1]
        start = self._path(Location(bucket, f"{inside}any")).parent
        if not start.is_dir():
            return
        for name in list_folder(str(start), f"{SCHEME}{bucket}/{inside}"):
            key = f"{inside}{name}"
            if not key.startswith(prefix) or key.endswith(META_SUFFIX):
                continue
            with Failing(f"can't look for {key!r} in {bucket!r}"):
                try:
                    status = (folder / key).lstat()
                except FileNotFoundError:
                    continue
            if stat.S_ISREG(status.st_mode):
                yield Listed(key, _etag(status), status.st_mtime_ns // 1_000_000)

    def _path(self, location: Location) -> Path:
        """The path of an object's file, always inside its bucket's folder."""
        problem = _problem(location.bucket)
        if problem is not None:
            raise InvalidRequestError.of("bucket", location.bucket, problem)
        for segment in location.key.split("/"):
            problem = _problem(segment)
            if problem is not None:
                raise InvalidRequestError.of("key", location.key, f"{problem} between slashes")
        with Failing(f"can't look for {str(location)!r}"):
            root = Path(os.path.realpath(self._root))
            folder = root / location.bucket
            path = folder / location.key
            if folder.is_symlink():
                rule = "must be a folder in the storage's root, not a link to another"
                raise InvalidRequestError.of("bucket", location.bucket, rule)
            # A link inside the bucket may lead out of it.
            parent = Path(os.path.realpath(path.parent))
            linked = path.is_symlink() or _meta_path(path).is_symlink()
            if linked or not parent.is_relative_to(folder):
                rule = "must lie in its bucket's folder: a link leads out of it"
                raise InvalidRequestError.of("key", location.key, rule)
        return path

    def _check_bucket(self, bucket: str) -> None:
        if not (self._root / bucket).is_dir():
            message = f"there is no bucket {bucket!r}: make a folder of that name in the root"
            raise StorageError(message)


def _problem(name: str) -> str | None:
    """The problem with a name of a folder or file in a key; None if it is valid."""
    if name in {"", ".", ".."} or "/" in name or "\0" in name:
        return "must have names that are neither empty nor . or .."
    if name.endswith((META_SUFFIX, TEMPORARY_SUFFIX)):
        return f"must have no names in {META_SUFFIX} or {TEMPORARY_SUFFIX}, the storage's own,"
    try:
        size = len(os.fsencode(name + META_SUFFIX))
    except UnicodeEncodeError:
        return "must have names that can be encoded"
    if size > _MOST_NAME_BYTES:
        return f"must have names of at most {_MOST_NAME_BYTES - len(META_SUFFIX)} bytes"
    return None


def _refuse_version(options: S3Options | None) -> None:
    if options is not None and options.version is not None:
        rule = "must not be given: a local folder keeps no versions"
        raise InvalidRequestError.of("version", options.version, rule)


class _FolderSource(FileSource):
    """An open file with its own metadata."""

    def __init__(self, path: Path, location: Location) -> None:
        super().__init__(path, str(location))
        try:
            with self._reading:
                self.found = _found(path, self._fd)
        except BaseException:
            self.close()
            raise
        self.metadata = self.found.metadata if self.found else {}


class _FolderStaging(FileStaging):
    """A file that is published with its metadata beside it."""

    def __init__(self, path: Path, location: Location, options: S3Options, mode: int) -> None:
        super().__init__(path, only_new=options.only_new, name=str(location), mode=mode)
        self._path = path
        self._options = options
        self._mode = mode

    def publish(self, facts: Mapping[str, str] | None = None) -> None:
        with self._writing:
            meta = {
                "metadata": {**self._options.metadata, **(facts or {})},
                "sha256": _sha256(self._fd),
                **_identity(os.fstat(self._fd)),
            }
            with (
                _locked(self._path.parent),
                closing(self._meta_staging()) as staging,
            ):
                check_replaced(self._name, self._options, _etag_at(self._path))
                staging.write(json.dumps(meta, indent=1).encode())
                # A process killed in between leaves the old object without metadata, never with the
                # new object's.
                staging.publish()
                super().publish()

    def _meta_staging(self) -> FileStaging:
        name = f"{self._name}{META_SUFFIX}"
        return FileStaging(_meta_path(self._path), name=name, mode=self._mode)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep others from publishing or deleting in a folder."""
    fd = opened(lambda: os.open(folder, os.O_RDONLY | os.O_CLOEXEC))
    try:
        lock(fd)
        yield
    finally:
        os.close(fd)


def _meta_path(path: Path) -> Path:
    return path.with_name(path.name + META_SUFFIX)


def _identity(status: os.stat_result) -> dict[str, int]:
    """Values that identify a published file without reading it."""
    return {"bytes": status.st_size, "mtimeNs": status.st_mtime_ns}


def _found_at(path: Path) -> Found | None:
    """The object at a path; None if the path does not exist or is no object."""
    try:
        fd = opened(lambda: os.open(path, READING))
    except _GONE:
        return None
    try:
        return _found(path, fd)
    finally:
        os.close(fd)


def _found(path: Path, fd: int) -> Found | None:
    """An open file as an object; None if it is no regular file."""
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        return None
    metadata, sha256 = _read_meta(path, fd, status)
    return Found(status.st_size, _etag(status), None, sha256, metadata)


def _etag(status: os.stat_result) -> str:
    return f'"{status.st_mtime_ns:x}-{status.st_size:x}-{status.st_ino:x}"'


def _etag_at(path: Path) -> str | None:
    try:
        return _etag(path.stat())
    except FileNotFoundError:
        return None


def _read_meta(path: Path, fd: int, status: os.stat_result) -> tuple[Mapping[str, str], str | None]:
    """Metadata and SHA-256 of an open file, if its metadata file belongs to it."""
    try:
        meta = parse_json(_meta_path(path).read_bytes(), "metadata")
        metadata = {str(name).lower(): str(value) for name, value in meta["metadata"].items()}
        sha256 = meta.get("sha256")
        written = {name: meta.get(name) for name in _identity(status)}
    except FileNotFoundError:
        return {}, None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise StorageError(f"can't read {_meta_path(path).name!r}: it is no metadata") from None
    if sha256 is not None and written != _identity(status) and sha256 != _sha256(fd):
        return {}, None
    return metadata, sha256


def _sha256(fd: int) -> str:
    digest = hashlib.sha256()
    offset = 0
    while block := os.pread(fd, _BLOCK_BYTES, offset):
        digest.update(block)
        offset += len(block)
    return b64encode(digest.digest()).decode()
