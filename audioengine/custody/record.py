# SPDX-License-Identifier: Apache-2.0
"""The file of a record: it only grows, by one line an output, each on the disk when `add` returns.

Several processes may append: each holds a lock on the file meanwhile. A line that a crash left half
written has no line end and was never reported as recorded; the next writer cuts it off and goes on
from the last whole line. With a key the head file is replaced after each line. A process killed
between the two leaves a head file that is one line behind, and that line has its HMAC. A record
that ends differently from what its head file says was cut, and nothing is appended to it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from audioengine.custody.chain import BEGINNING, Head, Link, line_digest, linked, sealed, unsealed
from audioengine.errors import InvalidRequestError, Problem, StorageError, VerificationError
from audioengine.report import RecordedReport
from audioengine.storage.files import Failing, FileStaging, lock, opened, sync_folder

HEAD_SUFFIX = ".head"
_HIDDEN = "***"
_LEAST_KEY_BYTES = 16
_BLOCK_BYTES = 1 << 16
_NO_RECORD = "must be a custody record, or a new file"


@dataclass(frozen=True, slots=True)
class CustodyRecord:
    """A custody record, there or new.

    Raises InvalidRequestError where a field is not of its type, or the key has too few bytes.
    """

    path: str | os.PathLike[str]
    """Of a JSON Lines file."""
    key: bytes | None = field(default=None, repr=False)
    """Of its HMACs, at least 16 bytes; the same from its first line to its last."""
    pcm_digest: bool = False
    """Whether entries contain the digest of the output's samples; the whole output is decoded."""

    def __post_init__(self) -> None:
        problems = []
        if not isinstance(self.path, (str, os.PathLike)) or not os.fspath(self.path):
            problems.append(Problem("record", self.path, "must be the path of a file"))
        if self.key is not None:
            if not isinstance(self.key, bytes):
                problems.append(Problem("record.key", _HIDDEN, "must be bytes"))
            elif len(self.key) < _LEAST_KEY_BYTES:
                rule = f"must have at least {_LEAST_KEY_BYTES} bytes"
                problems.append(Problem("record.key", _HIDDEN, rule))
        if problems:
            raise InvalidRequestError(problems)

    @staticmethod
    def beside(journal: str | os.PathLike[str]) -> Path:
        """The path of the record that belongs to a batch's journal."""
        path = Path(journal)
        return path.with_name(path.name.removesuffix(".journal") + ".custody")

    @property
    def head_path(self) -> Path:
        """Of the head file, which a record with a key has beside it."""
        path = Path(self.path)
        return path.with_name(path.name + HEAD_SUFFIX)

    def check(self) -> None:
        """Raise where nothing can be appended; changes nothing.

        Raises InvalidRequestError where the file is no record, or one with another key;
        VerificationError where it was cut or changed at its end; StorageError.
        """
        folder = Path(self.path).parent
        if not folder.is_dir():
            message = f"there is no folder {str(folder)!r}; make it first"
            raise StorageError(f"{self._doing}: {message}")
        if Path(self.path).exists():
            with self._locked() as descriptor:
                self._end(descriptor, mend=False)
        elif self.key is not None:
            self._check_new()

    def add(self, entry: Mapping[str, Any]) -> RecordedReport:
        """Append an entry; it is on the disk when this returns.

        entry: values as canonical documents hold them; the chain and the time are added.

        Raises InvalidRequestError, VerificationError and StorageError as `check` does.
        """
        with self._locked() as descriptor:
            head, size = self._end(descriptor, mend=True)
            if self.key is not None and self._stored_head() != head:
                # New, or left by a crash: so it is never more than one line behind.
                self._seal(head, self.key)
            line = linked(self._beside(entry), head, _now(), self.key)
            self._write(descriptor, line + b"\n", size)
            head = Head(head.count + 1, line_digest(line))
            if head.count == 1:
                with Failing(self._doing):
                    sync_folder(Path(self.path).parent)
            if self.key is not None:
                self._seal(head, self.key)
        return RecordedReport(os.fsdecode(self.path), head.count, head.digest)

    def entries(self) -> Iterator[Mapping[str, Any]]:
        """The entries that can be read, in order; none where there is no file.

        Raises StorageError.
        """
        if not Path(self.path).exists():
            return
        with Failing(self._doing), Path(self.path).open("rb") as file:
            for line in file:
                if line.endswith(b"\n") and (link := Link.of(line[:-1])) is not None:
                    yield link.entry

    @property
    def _doing(self) -> str:
        return f"can't write record {os.fspath(self.path)!r}"

    @contextmanager
    def _locked(self) -> Iterator[int]:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        with Failing(self._doing):
            descriptor = opened(lambda: os.open(self.path, flags, 0o600))
            try:
                lock(descriptor)
                yield descriptor
            finally:
                os.close(descriptor)

    def _end(self, descriptor: int, *, mend: bool) -> tuple[Head, int]:
        """Return the head of the chain, and the length of the file without a torn last line."""
        size = os.fstat(descriptor).st_size
        start = os.pread(descriptor, len(BEGINNING), 0)
        if start != BEGINNING[: len(start)]:
            raise InvalidRequestError.of("record", os.fspath(self.path), _NO_RECORD)
        line, end = next(_backwards(descriptor, size), (None, 0))
        head = Head()
        if line is None:
            if self.key is not None:
                self._check_new()
        else:
            head = self._judged(line)
        if mend and end < size:
            os.ftruncate(descriptor, end)
        return head, end

    def _judged(self, line: bytes) -> Head:
        """Return the head of the chain whose last line this is."""
        link = Link.of(line)
        if link is None:
            raise self._changed("its last line was changed")
        if (link.mac is None) != (self.key is None):
            rule = "must be given, or not, as for the first entry of the record"
            raise InvalidRequestError.of("record.key", self.key and _HIDDEN, rule)
        head = Head(link.number + 1, line_digest(line))
        if self.key is None:
            return head
        if not link.is_signed(self.key):
            raise self._changed("its last line was changed, or the key is another one")
        if self._stored_head() not in (head, Head(link.number, link.previous)):
            raise self._changed("its end is not the one in its head file: it was cut or changed")
        return head

    def _check_new(self) -> None:
        """Raise if a record without a line is not a new one."""
        if self.head_path.exists() and self._stored_head() != Head():
            raise self._changed("it is empty, and its head file counts entries")

    def _stored_head(self) -> Head | None:
        try:
            data = self.head_path.read_bytes()
        except FileNotFoundError:
            return None
        return unsealed(data, self.key)

    def _changed(self, what: str) -> VerificationError:
        return VerificationError(
            f"{self._doing}: {what}; run audioengine verify-record for details"
        )

    def _write(self, descriptor: int, data: bytes, size: int) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        except BaseException:
            # It was not reported as recorded; if it can't be cut off now, the next writer does it.
            with suppress(OSError):
                os.ftruncate(descriptor, size)
            raise

    def _seal(self, head: Head, key: bytes) -> None:
        with closing(FileStaging(self.head_path)) as staging:
            staging.write(sealed(head, key))
            staging.publish()

    def _beside(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """Return an entry whose places in the record's folder are relative, to move with it."""
        folder = Path(self.path).resolve().parent

        def relative(file: Mapping[str, Any]) -> dict[str, Any]:
            place = file.get("place")
            if isinstance(place, str) and Path(place).is_relative_to(folder):
                return {**file, "place": str(Path(place).relative_to(folder))}
            return dict(file)

        return {
            **entry,
            "output": relative(entry["output"]),
            "sources": [relative(source) for source in entry["sources"]],
        }


def _backwards(descriptor: int, size: int) -> Iterator[tuple[bytes, int]]:
    """Whole lines from the last to the first, without their ends, and where each one's end is."""
    end = None
    parts: list[bytes] = []
    position = size
    while position:
        length = min(_BLOCK_BYTES, position)
        position -= length
        block = os.pread(descriptor, length, position)
        while (at := block.rfind(b"\n")) >= 0:
            if end is not None:
                yield b"".join([block[at + 1 :], *reversed(parts)]), end
            end, parts, block = position + at + 1, [], block[:at]
        parts.append(block)
    if end is not None:
        yield b"".join(reversed(parts)), end


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
