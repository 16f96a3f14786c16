# SPDX-License-Identifier: Apache-2.0
"""Local files: read by offset, written beside their destination and renamed to it."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from audioengine.errors import AudioEngineError, StorageError
from audioengine.storage.base import DestinationChangedError, Source, Staging

TEMPORARY_SUFFIX = ".audioengine-part"

# Numbers beyond a writer's own at which it looks for leftovers of killed processes. A leftover
# stays for good only if more writers than this to one destination were killed at once.
_LOOKED_AHEAD = 16

# Errors that may be gone when the call is repeated.
_PASSING_ERRORS = frozenset(
    {
        errno.EAGAIN,
        errno.EDQUOT,
        errno.EINTR,
        errno.EIO,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOSPC,
        errno.ESTALE,
    }
)

# Network file systems may have no locks.
_LOCKLESS_ERRORS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})

# File systems may have no hard links.
_LINKLESS_ERRORS = frozenset(
    {errno.EPERM, errno.EMLINK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
)

READING = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
"""The flags for opening a file to read; opening a pipe without a writer doesn't block."""

_Opened = TypeVar("_Opened")


class Failing:
    """A context that turns OSError into StorageError, with what was being done to a file."""

    __slots__ = ("_doing",)

    def __init__(self, doing: str) -> None:
        self._doing = doing

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _trace: object
    ) -> None:
        if isinstance(error, AudioEngineError):
            return
        if isinstance(error, OSError):
            message = f"{self._doing}: {error.strerror or error}"
            raise StorageError(message, retryable=error.errno in _PASSING_ERRORS) from error
        if isinstance(error, ValueError):
            # A path with a null character.
            raise StorageError(f"{self._doing}: {error}") from error


class FileSource(Source):
    """A local file; it must not change while it is open."""

    def __init__(self, path: str | os.PathLike[str], name: str | None = None) -> None:
        """Raises StorageError.

        name: its name in messages; by default its path.
        """
        self._name = os.fspath(path) if name is None else name
        self._reading = Failing(f"can't read source {self._name!r}")
        with self._reading:
            self._fd = opened(lambda: os.open(path, READING))
            try:
                self._status = _regular(self._fd)
            except BaseException:
                self.close()
                raise
        self.size = self._status.st_size

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
        with self._reading:
            now = os.fstat(self._fd)
        if (now.st_size, now.st_mtime_ns) != (self._status.st_size, self._status.st_mtime_ns):
            raise StorageError(f"source {self._name!r} changed while it was read", retryable=True)

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with self._reading:
                os.close(fd)


def _regular(fd: int) -> os.stat_result:
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it must be a regular file")
    return status


def opened(attempt: Callable[[], _Opened]) -> _Opened:
    """Return the result of `attempt`; if too many files are open, retry with a higher limit.

    Raises OSError, as `attempt` does.
    """
    try:
        return attempt()
    except OSError as error:
        if error.errno != errno.EMFILE or not _raise_limit():
            raise
    return attempt()


def _raise_limit() -> bool:
    """Raise the limit of open files; return whether that succeeded."""
    # A merge of a thousand recordings needs more than what a shell allows by default.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * soft if hard == resource.RLIM_INFINITY else min(2 * soft, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (ValueError, OSError):
        # The system's own limit is lower.
        return False
    return wanted > soft


def lock(fd: int) -> None:
    """Lock a file or folder, waiting for other locks; without lock support, do nothing.

    Raises OSError.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in _LOCKLESS_ERRORS:
            raise


def unlock(fd: int) -> None:
    """Unlock a file or folder; closing it does that too. Raises OSError."""
    try:
        fcntl.flock(fd, fcntl.LOCK_UN)
    except OSError as error:
        if error.errno not in _LOCKLESS_ERRORS:
            raise


class FileStaging(Staging):
    """A temporary file beside its destination, renamed to it when it is whole.

    Its name has the lowest number that no other writer to the destination uses. It is locked while
    it is written: an unlocked one is the leftover of a killed process, and the next writer removes
    it.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        only_new: bool = False,
        name: str | None = None,
        mode: int | None = None,
    ) -> None:
        """Raises StorageError.

        only_new: whether it must not replace any file, even one created in the meantime.
        name: its name in messages; by default its path.
        mode: its permissions; None: those of the file that it replaces, or the umask's.
        """
        target = Path(path)
        self._name = os.fspath(path) if name is None else name
        doing = f"can't write destination {self._name!r}"
        self._writing = Failing(doing)
        with self._writing:
            if not os.fspath(path):
                raise StorageError(f"{doing}: it has no name")
            # Writing through a link replaces its target, as any program would.
            self._target = Path(os.path.realpath(target)) if target.is_symlink() else target
            if self._target.is_dir():
                raise StorageError(f"{doing}: it is a folder; name a file inside it")
            folder = self._target.parent
            if not folder.is_dir():
                missing = "" if name is not None else f" {str(folder)!r}"
                raise StorageError(f"{doing}: there is no folder{missing}; make it first")
            if self._target.exists() and not self._target.is_file():
                raise StorageError(f"{doing}: it is no regular file")
            self._part, self._fd = _create_part(self._target, mode)
        self._only_new = only_new
        self.size = 0

    def write(self, data: bytes) -> None:
        with self._writing:
            view = memoryview(data)
            while view:
                view = view[os.write(self._fd, view) :]
        self.size += len(data)

    def rewrite_start(self, data: bytes) -> None:
        with self._writing:
            view = memoryview(data)
            while view:
                view = view[os.pwrite(self._fd, view, len(data) - len(view)) :]

    def read(self, offset: int, length: int) -> bytes:
        with self._writing:
            return os.pread(self._fd, length, offset)

    def restart(self) -> None:
        with self._writing:
            os.ftruncate(self._fd, 0)
            os.lseek(self._fd, 0, os.SEEK_SET)
        self.size = 0

    def publish(self, facts: Mapping[str, str] | None = None) -> None:
        del facts  # a file can't keep them
        with self._writing:
            # If the machine stops, the name must not exist before the bytes do.
            os.fsync(self._fd)
            if self._only_new:
                _link_new(self._part, self._target, self._name)
            else:
                self._part.replace(self._target)
        # The output is visible now, so later errors don't make this a failure.
        fd, self._fd = self._fd, -1
        with suppress(OSError):
            os.close(fd)
        with suppress(OSError):
            sync_folder(self._target.parent)

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            # The next writer removes a file that can't be removed now.
            with suppress(OSError):
                self._part.unlink(missing_ok=True)
            with suppress(OSError):
                os.close(fd)


def _link_new(part: Path, target: Path, name: str) -> None:
    """Rename a file to a new name by a link, which fails if the name exists.

    Raises DestinationChangedError, OSError.
    """
    try:
        os.link(part, target)
    except FileExistsError:
        raise DestinationChangedError(name) from None
    except OSError as error:
        if error.errno not in _LINKLESS_ERRORS:
            raise
        # No better way exists: the name may be taken between the check and the rename.
        if target.exists():
            raise DestinationChangedError(name) from None
        part.replace(target)
    else:
        with suppress(OSError):
            part.unlink()


def make_folders(path: str, name: str | None = None, mode: int = 0o777) -> None:
    """Create the folders of a file's path.

    name: the file's name in messages; by default its path.
    mode: the permissions of created folders, before the umask.

    Raises StorageError.
    """
    with Failing(f"can't write destination {path if name is None else name!r}"):
        folder = Path(path).parent
        missing = [one for one in (folder, *folder.parents) if not one.exists()]
        for one in reversed(missing):
            one.mkdir(mode, exist_ok=True)
        folder.mkdir(exist_ok=True)  # raises if it is a file


def _part(target: Path, number: int) -> Path:
    """The temporary file of this number beside `target`."""
    # File names end at 255 bytes; the start of a long one is enough to recognise it.
    kept = target.name[:200]
    while len(os.fsencode(kept)) > 200:
        kept = kept[:-1]
    return target.parent / f".{kept}.{number}{TEMPORARY_SUFFIX}"


def _create_part(target: Path, mode: int | None) -> tuple[Path, int]:
    """Create a locked file beside `target` with the lowest number that no writer uses.

    Its permissions are `mode`, or those of `target`, or the umask's. Unlocked files with this
    number and the next ones are removed, so the folder need not be listed.
    """
    with suppress(FileNotFoundError):
        mode = stat.S_IMODE(target.stat().st_mode) if mode is None else mode
    number = 0
    while (fd := _create_locked(_part(target, number), mode)) is None:
        number += 1
    for later in range(number + 1, number + 1 + _LOOKED_AHEAD):
        _remove_leftover(_part(target, later))
    return _part(target, number), fd


def _create_locked(part: Path, mode: int | None) -> int | None:
    """Create a locked file; None if the name is taken by a file that can't be removed."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    while True:
        try:
            fd = opened(partial(os.open, part, flags, 0o666 if mode is None else 0o600))
        except FileExistsError:
            if _remove_leftover(part):
                continue
            return None
        try:
            lock(fd)
            if _is_at(fd, part):
                if mode is not None:
                    os.fchmod(fd, mode)
                return fd
        except BaseException:
            if _is_at(fd, part):
                part.unlink(missing_ok=True)
            os.close(fd)
            raise
        # Another process took it for a leftover before it was locked.
        os.close(fd)


def _remove_leftover(part: Path) -> bool:
    """Remove an unlocked file; return whether the name is free now."""
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        fd = opened(partial(os.open, part, flags))
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The file was published or removed in the meantime; the name may be another writer's now.
        if _is_at(fd, part):
            part.unlink()
    except FileNotFoundError:
        return True
    except OSError:
        # Locked: another writer is using it.
        return False
    finally:
        os.close(fd)
    return True


def _is_at(fd: int, path: Path) -> bool:
    """Whether a path is that of an open file."""
    try:
        return os.path.samestat(os.fstat(fd), path.lstat())
    except FileNotFoundError:
        return False


def sync_folder(folder: Path) -> None:
    """Write a folder's names to disk, so that they survive a crash of the machine."""
    fd = opened(lambda: os.open(folder, os.O_RDONLY | os.O_CLOEXEC))
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
