# SPDX-License-Identifier: Apache-2.0
"""What a custody record is told of a command's output beside what `store` and `merge` tell.

Of the command: method, recordings and digest, never its token nor its key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from audioengine.commands.requests import MergeRecordings, StoreRecording
from audioengine.custody import entry as told
from audioengine.custody.record import Recorder
from audioengine.execution.destination import Destination
from audioengine.notices import Notice
from audioengine.operations.recording_custody import recorded
from audioengine.report import RecordedReport
from audioengine.storage import Storage
from audioengine.storage.buckets import Found, Location


@dataclass(frozen=True, slots=True)
class CommandRecord:
    """A `Recorder` of one command's output, which adds what the command is."""

    record: Recorder
    command: StoreRecording | MergeRecordings
    digest: str
    source: str | None = None
    """Where the source is, which `store` is given already open."""
    notices: tuple[Notice, ...] = ()
    """What there is to warn of beside the report."""

    @property
    def pcm_digest(self) -> bool:
        """Whether it wants the digest of an output's samples too."""
        return self.record.pcm_digest

    def of_source(self, source: Location, notices: tuple[Notice, ...]) -> CommandRecord:
        """The same, with the place of the one source, and what there is to warn of."""
        return replace(self, source=str(source), notices=notices)

    def check(self) -> None:
        """Raise where what will be told can't be taken."""
        self.record.check()

    def add(self, entry: Mapping[str, Any]) -> RecordedReport | None:
        """Take an entry. Raises what `CustodyRecord.add` raises."""
        sources = entry["sources"]
        if self.source is not None:
            sources = [{**source, "place": self.source} for source in sources]
        warnings = [*entry.get("warnings", ()), *map(asdict, self.notices)]
        told = {"sources": sources, "command": self._command(), "warnings": warnings}
        return self.record.add({**entry, **told})

    def add_copy(
        self, source: Location, found: Found, destination: Destination, storage: Storage
    ) -> None:
        """Record an object that the store has copied: what the store says of both.

        Raises StorageError.
        """
        output = storage.find(destination.location, destination.options)
        if output is not None:  # else somebody has deleted it already
            made = told.found_told(output, str(destination.location))
            recorded(self, told.of_copy(told.found_told(found, str(source)), made))

    def add_repeat(self, destination: Destination) -> None:
        """Record an output that an earlier run has made: what the store says of it.

        Raises StorageError.
        """
        found = destination.before
        assert found is not None
        recorded(self, told.of_repeat(told.found_told(found, str(destination.location))))

    def _command(self) -> dict[str, Any]:
        named = (
            [self.command.recording_id]
            if isinstance(self.command, StoreRecording)
            else [one.recording_id for one in self.command.to_merge]
        )
        return {"method": self.command.method, "recordings": named, "digest": self.digest}
