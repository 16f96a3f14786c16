# SPDX-License-Identifier: Apache-2.0
"""The custody record of a batch: workers return the entries, only the parent appends them.

A job's entry is appended before its line of the journal. Stopped between the two, the batch does
the job again when it is resumed; then the record has its entry already, which is not repeated if
the output is the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audioengine.batch.completed_jobs import DoneJobs
from audioengine.batch.job_outcome import How
from audioengine.batch.journal import Journal
from audioengine.batch.manifest_job import BadLine, Job, digest
from audioengine.custody.record import CustodyRecord
from audioengine.report import RecordedReport


class EntryHolder:
    """A `CustodyWriter` in a worker: holds the entry of the one output that its job makes."""

    def __init__(self, *, pcm_digest: bool) -> None:
        """Keep nothing yet."""
        self.pcm_digest = pcm_digest
        self.entry: dict[str, Any] | None = None

    def check(self) -> None:
        """Accept every entry: the parent has checked its record."""

    def add(self, entry: Mapping[str, Any]) -> None:
        """Hold an entry until the job's outcome is returned."""
        self.entry = dict(entry)


def entry_holder(how: How) -> EntryHolder | None:
    """Return what holds the entry of a job's output; None where nothing is recorded."""
    return EntryHolder(pcm_digest=how.pcm_digest) if how.record else None


class BatchRecord:
    """A custody record to which this batch appends; others may append in between."""

    def __init__(self, record: CustodyRecord, journal: Journal) -> None:
        """Look up what earlier runs of this batch have recorded and not written down.

        Raises StorageError.
        """
        self._record = record
        self._batch = journal.id
        self._pending = self._unfinished(journal) if journal.is_resumed else {}
        self.recorded: RecordedReport | None = None
        """After the last entry of this run."""

    def add(self, job: Job | BadLine, entry: Mapping[str, Any]) -> None:
        """Append the entry of a job's output, unless an earlier run did and was then stopped.

        Raises InvalidRequestError, VerificationError and StorageError as `CustodyRecord.add`.
        """
        before = self._pending.pop(_id(job.line, job.key), None)
        if before is None or not _is_same(before, entry):
            place = {"journal": self._batch, "line": job.line, "key": job.key}
            self.recorded = self._record.add({**entry, "batch": place})

    def _unfinished(self, journal: Journal) -> dict[str, Mapping[str, Any]]:
        """Entries of this batch, by their jobs, that are not done by the journal: few."""
        finished = journal.finished()
        done = DoneJobs(
            _id(entry.get("line"), entry["key"])
            for entry in finished
            if entry.get("status") == "done"
        )
        pending = {}
        for entry in self._record.entries():
            batch = entry.get("batch")
            if isinstance(batch, Mapping) and batch.get("journal") == self._batch:
                job = _id(batch.get("line"), batch.get("key"))
                if not done.take(job):
                    pending[job] = entry
        return pending


def _id(line: object, key: object) -> str:
    """A digest of which job of a manifest it is: equal lines have equal keys."""
    return digest(f"{line} {key}".encode())


def _is_same(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether two entries of one job are of the same output.

    Of a command's output that was there already, the same is known of it as when it was made: it
    bears the command's digest.
    """
    if now["operation"] == "found":
        return bool(before.get("command") == now.get("command"))
    output = before.get("output")
    names = ("sha256", "etag", "version")
    return isinstance(output, Mapping) and all(
        output.get(name) == now["output"].get(name) for name in names
    )
