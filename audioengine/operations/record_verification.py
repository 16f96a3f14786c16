# SPDX-License-Identifier: Apache-2.0
"""`verify_record` checks that a custody record and the files that it names are unchanged."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from audioengine.custody.chain import Follower, Head, Link, line_digest, unsealed
from audioengine.custody.record import CustodyRecord
from audioengine.custody.verdict import EntryVerdict, RecordFinding, RecordVerification
from audioengine.errors import InvalidRequestError
from audioengine.operations.record_files import NamedFiles, place_in
from audioengine.storage import Storage
from audioengine.storage.files import Failing, lock, unlock
from audioengine.version import VERSION

_SHOWN_FAILURES = 1000
_MOST_LINE_BYTES = 1 << 28
_HEX_DIGITS = frozenset("0123456789abcdef")


def verify_record(
    record: CustodyRecord | str | os.PathLike[str],
    *,
    head: str | None = None,
    files: bool = True,
    storage: Storage | None = None,
    on_entry: Callable[[EntryVerdict], None] | None = None,
) -> RecordVerification:
    """Check a custody record: its chain, its HMACs, its end, and the files that it names.

    A changed record raises no error: see `passed`, `findings` and `failures`. Every output must
    exist and match its digest, unless a later entry replaced it at the same place. Sources must
    match their digests if they can still be read. Entries that are appended meanwhile are ignored.
    Memory does not grow with the record; places of outputs are kept in a temporary file.

    record: its path, or a CustodyRecord with a key.
    head: the SHA-256 of one of its lines, published earlier; that line must still exist.
    files: whether to read outputs and sources, too.
    storage: where to read s3:// paths; by default S3.
    on_entry: called with the verdict of each entry, in order.

    Raises InvalidRequestError for an invalid head, and StorageError if the record can't be read.
    """
    started = time.perf_counter()
    if not isinstance(record, CustodyRecord):
        record = CustodyRecord(record)
    if head is not None and not (len(head) == 64 and _HEX_DIGITS.issuperset(head)):
        rule = "must be the SHA-256 of a line: 64 hexadecimal digits, in lower case"
        raise InvalidRequestError.of("head", head, rule)
    with ExitStack() as kept_open:
        reading = Failing(f"can't read record {os.fspath(record.path)!r}")
        with reading:
            file = kept_open.enter_context(Path(record.path).open("rb"))
        ledger = _Ledger.of(record, file, reading)
        named = None
        if files:
            named = NamedFiles(Path(record.path).resolve().parent, storage)
            kept_open.enter_context(closing(named))
            for line, data in ledger.lines():
                if (link := Link.of(data)) is not None:
                    named.note(line, link.entry)
        return _Audit(record, head, ledger).verdict(named, on_entry, started)


@dataclass(frozen=True)
class _Ledger:
    """A record as of when it was opened."""

    reading: Failing
    file: BinaryIO
    size: int
    head_data: bytes | None

    @classmethod
    def of(cls, record: CustodyRecord, file: BinaryIO, reading: Failing) -> _Ledger:
        """Note the length of an open record; lines that are appended later are not read."""
        with reading:
            # The lock keeps writers from being between a line and its head file.
            lock(file.fileno())
            try:
                head_data = record.head_path.read_bytes()
            except FileNotFoundError:
                head_data = None
            size = os.fstat(file.fileno()).st_size
            unlock(file.fileno())
        return cls(reading, file, size, head_data)

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """All whole lines, numbered from 1, without their ends."""
        self.file.seek(0)
        left = self.size
        number = 0
        while left:
            with self.reading:
                line = self.file.readline(min(left, _MOST_LINE_BYTES))
            if not line:
                break
            left -= len(line)
            number += 1
            if left or line.endswith(b"\n"):
                yield number, line.removesuffix(b"\n")

    @property
    def is_torn(self) -> bool:
        """Whether the last line is incomplete."""
        return self.size > 0 and os.pread(self.file.fileno(), 1, self.size - 1) != b"\n"


class _Audit:
    """One pass over a record, with its counts."""

    def __init__(self, record: CustodyRecord, published: str | None, ledger: _Ledger) -> None:
        self._record = record
        self._published = published
        self._ledger = ledger
        self._end = Head()
        self._head_line: int | None = None
        self._follower = Follower(record.key)
        self._sealed: Head | None = None
        if ledger.head_data is not None:
            self._sealed = unsealed(ledger.head_data, record.key)
        # A record without lines has a head file too.
        self._is_seal_there = self._sealed == self._end

    def verdict(
        self,
        named: NamedFiles | None,
        on_entry: Callable[[EntryVerdict], None] | None,
        started: float,
    ) -> RecordVerification:
        """Read all lines."""
        counts: Counter[str] = Counter()
        failures: list[EntryVerdict] = []
        for line, data in self._ledger.lines():
            entry = self._judge(line, data, named)
            counts["failed"] += not entry.passed
            counts[entry.files] += 1
            counts["sources"] += entry.sources_checked
            counts["unreachable"] += entry.sources_unreachable
            if not entry.passed and len(failures) < _SHOWN_FAILURES:
                failures.append(entry)
            if on_entry is not None:
                on_entry(entry)
        findings = tuple(self._whole())
        keyed = bool(self._follower.keyed)
        return RecordVerification(
            passed=not findings and not counts["failed"],
            record=os.fsdecode(self._record.path),
            count=self._end.count,
            head=self._end.digest,
            keyed=keyed,
            key_checked=keyed and self._record.key is not None,
            head_line=self._head_line,
            findings=findings,
            failed=counts["failed"],
            failures=tuple(failures),
            outputs_checked=counts["checked"],
            outputs_superseded=counts["superseded"],
            sources_checked=counts["sources"],
            sources_unreachable=counts["unreachable"],
            version=VERSION,
            wall_seconds=time.perf_counter() - started,
        )

    def _judge(self, line: int, data: bytes, named: NamedFiles | None) -> EntryVerdict:
        link, findings = self._follower.judge(data)
        self._end = Head(line, line_digest(data))
        self._is_seal_there |= self._sealed == self._end
        if self._end.digest == self._published:
            self._head_line = line
        if link is None:
            return EntryVerdict(line, None, "unchecked", 0, 0, tuple(findings))
        if named is None:
            output = place_in(link.entry.get("output"))
            return EntryVerdict(line, output, "unchecked", 0, 0, tuple(findings))
        seen = named.judged(line, link.entry)
        return replace(seen, findings=(*findings, *seen.findings))

    def _whole(self) -> Iterator[RecordFinding]:
        """The faults of the record as a whole."""
        count = self._end.count
        if self._ledger.is_torn:
            message = "the last line is incomplete: its writing was interrupted, or it was cut"
            yield RecordFinding("torn", message)
        if self._published is not None and self._head_line is None:
            message = "no line has the digest that was given: lines were cut off or changed"
            yield RecordFinding("head", message)
        if self._ledger.head_data is None:
            if self._follower.keyed or self._record.key is not None:
                message = "the head file is missing: lines may have been cut off at the end"
                yield RecordFinding("cut", message)
        elif self._sealed is None:
            yield RecordFinding("key", "the head file was changed, or the key is wrong")
        elif self._sealed.count > count:
            missing = self._sealed.count - count
            message = f"{missing} of {self._sealed.count} entries were cut off at the end"
            yield RecordFinding("cut", message)
        elif self._sealed.count < count - 1:
            message = (
                f"the head file names only {self._sealed.count} entries: an old one was restored"
            )
            yield RecordFinding("cut", message)
        elif not self._is_seal_there:
            message = f"line {self._sealed.count} is not the one that the head file names"
            yield RecordFinding("cut", message)
