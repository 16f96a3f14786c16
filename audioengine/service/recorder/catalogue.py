# SPDX-License-Identifier: Apache-2.0
"""What RECORDINGREADY reports have said, one object for each recording, in the temporary bucket.

An entry is found by domain and id: a report of one domain never counts for the recordings of
another. With `single_tenant` it is found by the id alone.

The objects have keys that no command can name. All processes that see the bucket see the same
catalogue.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field

from audioengine.commands.events import RelatedRecording
from audioengine.commands.names import OWN_PREFIX
from audioengine.commands.wire import (
    OptionalSegments,
    OptionalWireNumber,
    Text,
    Wire,
    read_wire,
)
from audioengine.errors import InvalidRequestError, StorageError
from audioengine.execution.context import Known
from audioengine.json_input import parse_json
from audioengine.settings import Settings
from audioengine.storage import Storage
from audioengine.storage.buckets import Listed, Location

PREFIX = f"{OWN_PREFIX}catalogue/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(Wire):
    """What is known of a recording."""

    domain: Text
    recording_id: Text
    start_time_ms: OptionalWireNumber = None
    """Epoch time, the earliest of its streams."""
    temp_bucket: Text
    temp_key: Text
    conference_segments: OptionalSegments = None
    related_recordings: tuple[RelatedRecording, ...] | None = None
    told: Annotated[int, Field(strict=True)]
    """When it was first reported, in seconds of epoch time; the name is that in stored entries."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The catalogue of a deployment; may be sent to another process if its storage may.

    All raise StorageError where the storage fails.
    """

    storage: Storage
    settings: Settings

    @property
    def bucket(self) -> str:
        """Where it is. Raises InvalidRequestError where settings do not say."""
        bucket = self.settings.fallbacks.temp_bucket
        if bucket is None:
            rule = "must be set: the catalogue of recordings is kept there"
            raise InvalidRequestError.of("fallbacks.temp_bucket", None, rule)
        return bucket

    def resolve(self, domain: str, recording_id: str) -> Known | None:
        """Tell `execute` what is known of a domain's recording; None: nothing."""
        if self.settings.fallbacks.temp_bucket is None:
            return None
        entry = self.find(domain, recording_id)
        if entry is None:
            return None
        return Known(entry.domain, entry.start_time_ms, entry.temp_bucket, entry.temp_key)

    def find(self, domain: str, recording_id: str) -> Entry | None:
        """Return what is known of a domain's recording; None: nothing."""
        location = self._location(domain, recording_id)
        return None if self.storage.find(location) is None else self.read(location)

    def read(self, location: Location) -> Entry:
        """Return the entry that an object holds."""
        with closing(self.storage.source(location)) as source:
            data = source.read(0, source.size)
        try:
            entry: Entry = read_wire(Entry, parse_json(data, "entry"), "entry")
        except InvalidRequestError:
            raise StorageError(f"can't read {str(location)!r}: it is no entry") from None
        return entry

    def put(self, entry: Entry) -> Entry:
        """Keep an entry, and return it as it is kept; the same again changes nothing."""
        before = self.find(entry.domain, entry.recording_id)
        if before is not None:
            entry = replace(entry, told=before.told)
        if entry != before:
            location = self._location(entry.domain, entry.recording_id)
            with closing(self.storage.staging(location)) as staging:
                staging.write(entry.to_json().encode())
                staging.publish()
        return entry

    def listed(self) -> Iterator[Listed]:
        """Return the entries' objects, by their keys."""
        return self.storage.objects(self.bucket, PREFIX)

    def _location(self, domain: str, recording_id: str) -> Location:
        # Both may have characters that no key of a storage can.
        owner = None if self.settings.single_tenant else domain
        name = hashlib.sha256(json.dumps([owner, recording_id]).encode()).hexdigest()
        return Location(self.bucket, f"{PREFIX}{name}.json")
