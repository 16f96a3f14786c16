# SPDX-License-Identifier: Apache-2.0
"""Custody entries of commands: what `store` and `merge` record, and which command it was.

An entry names the command's method, recordings and digest, never its token or its key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from audioengine.commands.requests import MergeRecordings, StoreRecording
from audioengine.custody import entry as custody_entry
from audioengine.custody.writer import CustodyWriter
from audioengine.execution.context import CommandContext
from audioengine.execution.destination import Destination
from audioengine.notices import Notice
from audioengine.operations.recording_custody import recorded
from audioengine.report import RecordedReport
from audioengine.storage import Storage
from audioengine.storage.buckets import Found, Location


@dataclass(frozen=True, slots=True)
class CommandCustody:
    """A `CustodyWriter` for one command's output, which adds what the command is."""

    writer: CustodyWriter
    command: StoreRecording | MergeRecordings
    digest: str
    source: str | None = None
    """Where the source is; `store` gets it open already."""
    notices: tuple[Notice, ...] = ()
    """Warnings beside those of the report."""

    @property
    def pcm_digest(self) -> bool:
        """Whether entries contain the digest of an output's samples."""
        return self.writer.pcm_digest

    def of_source(self, source: Location, notices: tuple[Notice, ...]) -> CommandCustody:
        """Return the same with the place of the one source, and further warnings."""
        return replace(self, source=str(source), notices=notices)

    def check(self) -> None:
        """Raise if no entry can be taken."""
        self.writer.check()

    def add(self, entry: Mapping[str, Any]) -> RecordedReport | None:
        """Take an entry. Raises what `CustodyRecord.add` raises."""
        sources = entry["sources"]
        if self.source is not None:
            sources = [{**source, "place": self.source} for source in sources]
        warnings = [*entry.get("warnings", ()), *map(asdict, self.notices)]
        more = {"sources": sources, "command": self._command(), "warnings": warnings}
        return self.writer.add({**entry, **more})

    def add_copy(
        self, source: Location, found: Found, destination: Destination, storage: Storage
    ) -> None:
        """Record an object that the store copied, as the store describes both objects.

        Raises StorageError.
        """
        output = storage.find(destination.location, destination.options)
        if output is None:
            return  # somebody deleted it already
        recorded(
            self,
            custody_entry.of_copy(
                custody_entry.found_facts(found, str(source)),
                custody_entry.found_facts(output, str(destination.location)),
            ),
        )

    def add_repeat(self, destination: Destination) -> None:
        """Record an output that an earlier run made, as the store describes it.

        Raises StorageError.
        """
        found = destination.before
        assert found is not None
        facts = custody_entry.found_facts(found, str(destination.location))
        recorded(self, custody_entry.of_repeat(facts))

    def _command(self) -> dict[str, Any]:
        named = (
            [self.command.recording_id]
            if isinstance(self.command, StoreRecording)
            else [entry.recording_id for entry in self.command.to_merge]
        )
        return {"method": self.command.method, "recordings": named, "digest": self.digest}


def custody_of(
    command: StoreRecording | MergeRecordings, destination: Destination, context: CommandContext
) -> CommandCustody | None:
    """Return what records the output of a command; None if nothing is recorded."""
    if context.custody is None:
        return None
    return CommandCustody(context.custody, command, destination.digest)
