# SPDX-License-Identifier: Apache-2.0
"""Local files: read by position, written beside their place and renamed into it."""

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

# Numbers beyond a writer's own at which it looks for what killed processes left. It takes more
# writers to one destination at once, all of them killed, to leave one farther away for good.
_LOOKED_AHEAD = 16

# What may be gone when the same call is made again.
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

# Network file systems may know no locks.
_LOCKLESS_ERRORS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})

# File systems may know no hard links.
_LINKLESS_ERRORS = frozenset(
    {errno.EPERM, errno.EMLINK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
)

READING = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
"""How files are opened that are only read: a pipe without a writer doesn't block."""

_Opened = TypeVar("_Opened")


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

        name: what messages call it; by default its path.
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
            raise StorageError(
                f"source {self._name!r} was changed while it was read", retryable=True
            )

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
    """What `attempt` opens; where too many files are open, once more with a higher limit.

    Raises OSError, as `attempt` does.
    """
    try:
        return attempt()
    except OSError as error:
        if error.errno != errno.EMFILE or not _raise_limit():
            raise
    return attempt()


def _raise_limit() -> bool:
    """Whether this process may open more files than before."""
    # A merge of a thousand recordings needs more than what a shell allows by default.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * soft if hard == resource.RLIM_INFINITY else min(2 * soft, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (ValueError, OSError):
        # The system has a lower one of its own.
        return False
    return wanted > soft


def lock(fd: int) -> None:
    """Wait until nobody else has locked a file or folder; where there are no locks, go on.

    Raises OSError.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in _LOCKLESS_ERRORS:
            raise


def unlock(fd: int) -> None:
    """Let others lock a file or folder again; closing it does too. Raises OSError."""
    try:
        fcntl.flock(fd, fcntl.LOCK_UN)
    except OSError as error:
        if error.errno not in _LOCKLESS_ERRORS:
            raise


class FileStaging(Staging):
    """A file beside its destination, renamed onto it when it is whole.

    Its name has the lowest number that no other writer to the destination holds. While it is
    written, the file is locked: an unlocked one was left by a process that was killed, and is
    removed by the next that writes there.
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

        only_new: whether it must not replace any file, whoever has made it meanwhile.
        name: what messages call it; by default its path.
        mode: its permissions; None: those of the file that it replaces, or what the umask leaves.
        """
        target = Path(path)
        self._name = os.fspath(path) if name is None else name
        doing = f"can't write destination {self._name!r}"
        self._writing = Failing(doing)
        with self._writing:
            if not os.fspath(path):
                raise StorageError(f"{doing}: it has no name")
            # Writing through a link replaces what it points to, as any program would.
            # Links that go in circles are found where the file is made.
            self._target = Path(os.path.realpath(target)) if target.is_symlink() else target
            if self._target.is_dir():
                raise StorageError(f"{doing}: it is a folder; name a file in it")
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
        del facts  # a file has no room for them
        with self._writing:
            # The name must not come before the bytes, should the machine stop.
            os.fsync(self._fd)
            if self._only_new:
                _link_new(self._part, self._target, self._name)
            else:
                self._part.replace(self._target)
        # It is visible, so nothing that fails from here on makes it a failure.
        fd, self._fd = self._fd, -1
        with suppress(OSError):
            os.close(fd)
        with suppress(OSError):
            sync_folder(self._target.parent)

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            # What can't be removed now, the next to write there removes.
            with suppress(OSError):
                self._part.unlink(missing_ok=True)
            with suppress(OSError):
                os.close(fd)


def _link_new(part: Path, target: Path, name: str) -> None:
    """Rename a file where nothing has the name: a link is refused where something has.

    Raises DestinationChangedError, OSError.
    """
    try:
        os.link(part, target)
    except FileExistsError:
        raise DestinationChangedError(name) from None
    except OSError as error:
        if error.errno not in _LINKLESS_ERRORS:
            raise
        # Nothing better is there: between the look and the rename somebody may take the name.
        if target.exists():
            raise DestinationChangedError(name) from None
        part.replace(target)
    else:
        with suppress(OSError):
            part.unlink()


def make_folders(path: str, name: str | None = None, mode: int = 0o777) -> None:
    """Make the folders that a file's path names.

    name: what messages call the file; by default its path.
    mode: of folders that are made, before the umask.

    Raises StorageError.
    """
    with Failing(f"can't write destination {path if name is None else name!r}"):
        folder = Path(path).parent
        missing = [one for one in (folder, *folder.parents) if not one.exists()]
        for one in reversed(missing):
            one.mkdir(mode, exist_ok=True)
        folder.mkdir(exist_ok=True)  # raises where it is a file


def _part(target: Path, number: int) -> Path:
    """The temporary file of this number beside `target`."""
    # File names end at 255 bytes; the start of a long one is enough to recognise it.
    kept = target.name[:200]
    while len(os.fsencode(kept)) > 200:
        kept = kept[:-1]
    return target.parent / f".{kept}.{number}{TEMPORARY_SUFFIX}"


def _create_part(target: Path, mode: int | None) -> tuple[Path, int]:
    """A new, locked file beside `target`, of the lowest number that nobody is writing.

    With the permissions of `mode`, else those that `target` has, else those that the umask leaves.
    Unlocked files of this number and the next ones are removed: the folder need not be listed.
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
    """A new, locked file; None where another is there that can't be removed."""
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
    """Remove a file that nobody has locked; whether none of that name is there any more."""
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        fd = opened(partial(os.open, part, flags))
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Published or removed meanwhile, the name may be that of another's new file.
        if _is_at(fd, part):
            part.unlink()
    except FileNotFoundError:
        return True
    except OSError:
        # Locked: somebody is writing it now.
        return False
    finally:
        os.close(fd)
    return True


def _is_at(fd: int, path: Path) -> bool:
    """Whether a name is that of an open file."""
    try:
        return os.path.samestat(os.fstat(fd), path.lstat())
    except FileNotFoundError:
        return False


def sync_folder(folder: Path) -> None:
    """Let the names in a folder outlast the machine's stopping."""
    fd = opened(lambda: os.open(folder, os.O_RDONLY | os.O_CLOEXEC))
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
