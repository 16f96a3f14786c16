# SPDX-License-Identifier: Apache-2.0
"""Local files: read by position, written beside their place and renamed into it."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path

from audioengine.errors import StorageError
from audioengine.storage.base import Source, Staging

TEMPORARY_SUFFIX = ".audioengine-part"

# What may be gone when the same call is made again.
_PASSING_ERRORS = frozenset(
    {errno.EAGAIN, errno.EINTR, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.ESTALE}
)


class Failing:
    """Turns what the system says into StorageError; one for each thing that is done to a file."""

    __slots__ = ("_doing",)

    def __init__(self, doing: str) -> None:
        self._doing = doing

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _trace: object
    ) -> None:
        if isinstance(error, OSError) and not isinstance(error, StorageError):
            message = f"{self._doing}: {error.strerror or error}"
            raise StorageError(message, retryable=error.errno in _PASSING_ERRORS) from error
        if isinstance(error, ValueError) and not isinstance(error, StorageError):
            # A path with a null character.
            raise StorageError(f"{self._doing}: {error}") from error


class FileSource(Source):
    """A local file; it must not change while it is open."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)
        self._reading = Failing(f"can't read source {self._path!r}")
        with self._reading:
            self._fd = _open_for_reading(self._path)
        status = os.fstat(self._fd)
        if not stat.S_ISREG(status.st_mode):
            os.close(self._fd)
            raise StorageError(f"can't read source {self._path!r}: it must be a regular file")
        self._status = status
        self.size = status.st_size

    def read(self, offset: int, length: int) -> bytes:
        with self._reading:
            data = os.pread(self._fd, length, offset)
            while len(data) < min(length, self.size - offset):
                more = os.pread(self._fd, length - len(data), offset + len(data))
                if not more:
                    break
                data += more
            return data

    def check_unchanged(self) -> None:
        now = os.fstat(self._fd)
        if (now.st_size, now.st_mtime_ns) != (self._status.st_size, self._status.st_mtime_ns):
            raise StorageError(
                f"source {self._path!r} was changed while it was read", retryable=True
            )

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _open_for_reading(path: str) -> int:
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        return os.open(path, flags)
    except OSError as error:
        if error.errno != errno.EMFILE:
            raise
    # A merge of a thousand recordings needs more than what a shell allows by default.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * soft if hard == resource.RLIM_INFINITY else min(2 * soft, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return os.open(path, flags)


class FileStaging(Staging):
    """A file beside its destination, renamed onto it when it is whole.

    While it is written, the file is locked: an unlocked one of the same destination was left by
    a process that was killed, and is removed by the next that writes there.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        target = Path(path)
        doing = f"can't write destination {os.fspath(path)!r}"
        self._writing = Failing(doing)
        with self._writing:
            if not os.fspath(path):
                raise StorageError(f"{doing}: it has no name")
            # Writing through a link replaces what it points to, as any program would.
            self._target = target.resolve() if target.is_symlink() else target
            if self._target.is_dir():
                raise StorageError(f"{doing}: it is a folder; name a file in it")
            folder = self._target.parent
            if not folder.is_dir():
                raise StorageError(f"{doing}: there is no folder {str(folder)!r}; make it first")
            if self._target.exists() and not self._target.is_file():
                raise StorageError(f"{doing}: it is no regular file")
            _remove_leftovers(self._target)
            self._part, self._fd = _create_part(self._target)
        self.size = 0

    def write(self, data: bytes) -> None:
        with self._writing:
            view = memoryview(data)
            while view:
                view = view[os.write(self._fd, view) :]
        self.size += len(data)

    def rewrite_start(self, data: bytes) -> None:
        with self._writing:
            os.pwrite(self._fd, data, 0)

    def read(self, offset: int, length: int) -> bytes:
        with self._writing:
            return os.pread(self._fd, length, offset)

    def restart(self) -> None:
        with self._writing:
            os.ftruncate(self._fd, 0)
            os.lseek(self._fd, 0, os.SEEK_SET)
        self.size = 0

    def publish(self, facts: Mapping[str, str] | None = None) -> None:
        del facts  # a file has no room for them
        with self._writing:
            self._part.replace(self._target)
            os.close(self._fd)
            self._fd = -1

    def close(self) -> None:
        if self._fd >= 0:
            self._part.unlink(missing_ok=True)
            os.close(self._fd)
            self._fd = -1


def make_folders(path: str) -> None:
    """Make the folders that a file's path names.

    Raises StorageError.
    """
    with Failing(f"can't write destination {path!r}"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)


def _part_name(name: str) -> str:
    # File names end at 255 bytes; the start of a long one is enough to recognise it.
    kept = os.fsdecode(os.fsencode(name)[:200])
    return f".{kept}.{secrets.token_hex(4)}{TEMPORARY_SUFFIX}"


def _remove_leftovers(target: Path) -> None:
    start = _part_name(target.name)[: -len(TEMPORARY_SUFFIX) - 8]
    for entry in os.scandir(target.parent):
        name = entry.name
        if not (name.startswith(start) and name.endswith(TEMPORARY_SUFFIX)):
            continue
        if len(name) != len(start) + 8 + len(TEMPORARY_SUFFIX):
            continue
        try:
            fd = os.open(entry.path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            Path(entry.path).unlink()
        except OSError:
            # Locked: somebody is writing it now.
            continue
        finally:
            os.close(fd)


def _create_part(target: Path) -> tuple[Path, int]:
    """A new, locked file beside `target`: with its permissions, or those the umask leaves."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        mode = stat.S_IMODE(target.stat().st_mode)
    except FileNotFoundError:
        mode = None
    while True:
        part = target.parent / _part_name(target.name)
        fd = os.open(part, flags, 0o666 if mode is None else 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            if os.fstat(fd).st_nlink:
                if mode is not None:
                    os.fchmod(fd, mode)
                return part, fd
        except BaseException:
            part.unlink(missing_ok=True)
            os.close(fd)
            raise
        # Another process took it for a leftover before it was locked.
        os.close(fd)
