# SPDX-License-Identifier: Apache-2.0
"""The journal of a batch: one line a job that came to an end, in a file that only grows."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any

from audioengine.errors import InvalidRequestError, Problem, StorageError
from audioengine.version import VERSION

_FORMAT = 1
# Each time costs a commit of the file system, which outputs wait for too.
_SYNC_S = 1.0

_HEAD = b'{"journal": %d, ' % _FORMAT


class Journal:
    """An open journal; lines are the system's when `add` returns, and on the disk soon after.

    So a killed batch loses none; where the power fails, the jobs of the last second are done again.
    Only one batch writes to a journal at a time.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        resume: bool,
        options: Mapping[str, str] | None = None,
    ) -> None:
        """Open a journal; with `resume` one that is there is gone on with, else it must be new.

        options: what decides about the sound of all outputs. A journal that was begun with others
            is not gone on with: what is done would keep theirs. None: nothing will be done.

        Raises InvalidRequestError, StorageError.
        """
        self._path = Path(path)
        self._synced = 0.0
        self._torn = False
        self.is_resumed = resume
        """Whether it may hold what an earlier run did."""
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        try:
            self._fd = os.open(self._path, flags, 0o600)
        except OSError as error:
            raise self._failed(error) from error
        try:
            self._begin(resume, options)
        except BaseException:
            self.close()
            raise

    def _begin(self, resume: bool, options: Mapping[str, str] | None) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = f"can't write journal {str(self._path)!r}: another batch is writing it"
            raise StorageError(message, retryable=True) from None
        size = os.fstat(self._fd).st_size
        if not size:
            head = {"journal": _FORMAT, "version": VERSION, "started": _now()}
            self._write(head if options is None else {**head, "options": dict(options)})
            return
        if not resume:
            rule = "must be a new file, unless the batch is resumed"
            raise InvalidRequestError.of("journal", str(self._path), rule)
        first = os.pread(self._fd, len(_HEAD), 0).partition(b"\n")[0]
        if not first or not _HEAD.startswith(first):
            raise InvalidRequestError.of("journal", str(self._path), "must be a journal of a batch")
        if options is not None:
            self._check(options)
        if os.pread(self._fd, 1, size - 1) != b"\n":
            # A killed process may leave half a line.
            self._write_bytes(b"\n")

    def _check(self, options: Mapping[str, str]) -> None:
        """Raise InvalidRequestError where the journal was begun with other options."""
        try:
            with self._path.open("rb") as file:
                before = json.loads(file.readline())["options"]
        except (ValueError, KeyError):  # a kill has left half of it: nothing was done
            return
        problems = [
            Problem(
                name,
                value,
                f"must be {before[name]} as in the journal, whose jobs are done with that: "
                "begin a new journal to do them again",
            )
            for name, value in options.items()
            if before.get(name, value) != value
        ]
        if problems:
            raise InvalidRequestError(problems)

    @property
    def id(self) -> str:
        """A digest of its first line, which says when it was begun."""
        with self._path.open("rb") as file:
            return sha256(file.readline()).hexdigest()[:32]

    def close(self) -> None:
        """Give the file back, all of it on the disk."""
        try:
            os.fsync(self._fd)
        except OSError as error:
            raise self._failed(error) from error
        finally:
            os.close(self._fd)

    def finished(self) -> Iterator[dict[str, Any]]:
        """All entries; half a line that a kill left is passed over."""
        with self._path.open("rb") as file:
            for line in file:
                try:
                    entry = json.loads(line)
                except ValueError:
                    continue
                if isinstance(entry, dict) and "key" in entry:
                    yield entry

    def failed(self) -> Iterator[dict[str, Any]]:
        """The last entries of jobs that have failed and were not done since."""
        failed: dict[str, dict[str, Any]] = {}
        for entry in self.finished():
            failed.pop(entry["key"], None)
            if entry.get("status") == "failed":
                failed[entry["key"]] = entry
        yield from failed.values()

    def add(self, entry: dict[str, Any]) -> None:
        """Append the outcome of a job.

        Raises StorageError.
        """
        self._write({**entry, "time": _now()})

    def _write(self, entry: dict[str, Any]) -> None:
        self._write_bytes(json.dumps(entry, ensure_ascii=False).encode() + b"\n")

    def _write_bytes(self, data: bytes) -> None:
        # A disk that was full may have left half a line, which must not swallow this one.
        view = memoryview(b"\n" + data if self._torn else data)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
                self._torn = bool(view)
            now = time.monotonic()
            if now - self._synced >= _SYNC_S:
                os.fsync(self._fd)
                self._synced = now
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> StorageError:
        return StorageError(f"can't write journal {str(self._path)!r}: {error.strerror}")


def started_at(path: str | os.PathLike[str]) -> float:
    """When the batch of a journal was first begun, in epoch seconds; of none, now."""
    try:
        with Path(path).open("rb") as file:
            started = json.loads(file.readline())["started"]
        return datetime.fromisoformat(started).timestamp()
    except (OSError, ValueError, KeyError, TypeError):
        return datetime.now(timezone.utc).timestamp()


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
