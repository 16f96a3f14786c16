# SPDX-License-Identifier: Apache-2.0
"""The custody record of a batch: workers note what they made, the parent alone appends it.

A job's entry is appended before its line of the journal. Killed between the two, the batch does the
job again when it is resumed; then the record's last entry of this batch is already that job's, and
is not repeated if the output is the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audioengine.batch.journal import Journal
from audioengine.batch.manifest_job import BadLine, Job
from audioengine.batch.outcome import How
from audioengine.custody.record import CustodyRecord
from audioengine.report import RecordedReport


class Note:
    """A `Recorder` in a worker: keeps the entry of the one output that its job makes."""

    def __init__(self, *, pcm_digest: bool) -> None:
        """Keep nothing yet."""
        self.pcm_digest = pcm_digest
        self.entry: dict[str, Any] | None = None

    def check(self) -> None:
        """Take anything: the parent has checked its record."""

    def add(self, entry: Mapping[str, Any]) -> None:
        """Keep an entry until the job's outcome is told."""
        self.entry = dict(entry)


def note_of(how: How) -> Note | None:
    """What a job's output is noted in; None where nothing is recorded."""
    return Note(pcm_digest=how.pcm_digest) if how.record else None


class BatchRecord:
    """A custody record to which one batch appends, others perhaps between."""

    def __init__(self, record: CustodyRecord, journal: Journal) -> None:
        """Look up what an earlier run of this batch has recorded and not written down.

        Raises StorageError.
        """
        self._record = record
        self._batch = journal.id
        self._pending = self._unfinished(journal)
        self.recorded: RecordedReport | None = None
        """After the last entry of this run."""

    def add(self, job: Job | BadLine, entry: Mapping[str, Any]) -> None:
        """Append the entry of a job's output, unless an earlier run did and was then killed.

        Raises InvalidRequestError, VerificationError and StorageError as `CustodyRecord.add`.
        """
        told = {"journal": self._batch, "line": job.line, "key": job.key}
        if self._pending is not None and self._pending["batch"] == told:
            pending, self._pending = self._pending, None
            if _is_same(pending, entry):
                return
        self.recorded = self._record.add({**entry, "batch": told})

    def _unfinished(self, journal: Journal) -> Mapping[str, Any] | None:
        """The last entry of this batch, where its job is not done by the journal."""
        last = None
        if journal.is_resumed:
            own = (one for one in self._record.latest_first() if _batch_of(one) == self._batch)
            last = next(own, None)
        if last is None:
            return None
        job = (last["batch"].get("line"), last["batch"].get("key"))
        done = (one for one in journal.finished() if one.get("status") == "done")
        return None if any((one.get("line"), one["key"]) == job for one in done) else last


def _batch_of(entry: Mapping[str, Any]) -> object:
    batch = entry.get("batch")
    return batch.get("journal") if isinstance(batch, Mapping) else None


def _is_same(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether two entries of one job are of the same output.

    Of a command's output that was there already, the same is known of it as when it was made: it
    bears the command's digest.
    """
    if now["operation"] == "found":
        return bool(before.get("command") == now.get("command"))
    outputs = [one["output"] for one in (before, now)]
    names = ("sha256", "etag", "version")
    return all(outputs[0].get(name) == outputs[1].get(name) for name in names)
