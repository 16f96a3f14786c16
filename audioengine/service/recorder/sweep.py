# SPDX-License-Identifier: Apache-2.0
"""Temporary recordings that nobody has deleted in time.

Whether a command that waits somewhere still needs one can't be known: only its age counts, from the
day that its object was written.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import unquote

from audioengine.commands.alarms import TempRecordingDeletedAlarm
from audioengine.commands.names import OWN_PREFIX
from audioengine.errors import AudioEngineError, InvalidRequestError, Problem
from audioengine.execution.outcome import Notification
from audioengine.execution.temporary_objects import DOMAIN, RECORDING_ID
from audioengine.service.notifications.delivery import Delivery
from audioengine.service.recorder.catalogue import Catalogue
from audioengine.service.recorder.event_routing import alarm_notification
from audioengine.settings import Settings
from audioengine.storage import Storage
from audioengine.storage.buckets import Listed, Location

_SERVICE = "siprec"
_ENDING = ".mp3"
_NAME = re.compile(r"(?:.*/)?(?:[0-9]{6}-)?([^/]+)\.mp3")


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """A temporary recording that was too old."""

    place: str
    recording_id: str
    domain: str | None
    """None where its object does not say."""
    modified: str
    """When it was written, in UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepReport:
    """What a sweep did."""

    deleted: tuple[Expired, ...]
    """With `dry_run`, what it would have deleted."""
    entries: int
    """Of the catalogue, about recordings that are gone."""
    failures: tuple[str, ...]
    """What could not be deleted, and why; the next sweep tries again."""
    dry_run: bool

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)

    def to_json(self) -> str:
        """Return the same as one JSON object."""
        return json.dumps(self.to_dict())


def sweep(
    storage: Storage, settings: Settings, delivery: Delivery, *, dry_run: bool = False
) -> SweepReport:
    """Delete what is older than `recorder.expires_after_s`: each MP3, all versions of it.

    The alarm tempRecordingDeleted reports each; it is in the outbox of `delivery`, which must have
    one, before the recording is deleted.

    Raises InvalidRequestError where settings name no age, no bucket, or one that outputs go to, and
    StorageError where a bucket can't be listed.
    """
    before_ms = time.time() * 1000 - _age_s(settings) * 1000
    deleted: list[Expired] = []
    failures: list[str] = []
    if not dry_run:
        delivery.release_announced()
    for location, listed in _old_recordings(storage, settings, before_ms):
        try:
            expired = _expired(location, listed, storage)
            if expired is None:
                continue
            if not dry_run:
                with delivery.announced(_notification(expired, settings)):
                    storage.delete(location)
            deleted.append(expired)
        except AudioEngineError as error:
            failures.append(f"{location}: {error}")
    entries = 0
    catalogue = Catalogue(storage, settings)
    for location in _old_entries(catalogue, before_ms):
        try:
            entry = catalogue.read(location)
            if storage.find(Location(entry.temp_bucket, entry.temp_key)) is not None:
                continue
            if not dry_run:
                storage.delete(location)
            entries += 1
        except AudioEngineError as error:
            failures.append(f"{location}: {error}")
    return SweepReport(
        deleted=tuple(deleted), entries=entries, failures=tuple(failures), dry_run=dry_run
    )


def _age_s(settings: Settings) -> float:
    age_s = settings.recorder.expires_after_s
    if age_s is None:
        rule = "must be set: nothing else says how old temporary recordings may be"
        raise InvalidRequestError.of("recorder.expires_after_s", None, rule)
    return age_s


def _buckets(settings: Settings) -> list[str]:
    """The buckets of temporary recordings. Raises InvalidRequestError where they are no such."""
    first = settings.fallbacks.temp_bucket
    if first is None:
        rule = "must be set: it says where temporary recordings are"
        raise InvalidRequestError.of("fallbacks.temp_bucket", None, rule)
    buckets = list(dict.fromkeys((first, *settings.recorder.temp_buckets)))
    kept = {bucket for domain in settings.domains.values() for bucket in domain.buckets}
    rule = "must be no bucket of a domain: what is kept there would be deleted"
    problems = [Problem("temp_bucket", name, rule) for name in buckets if name in kept]
    if problems:
        raise InvalidRequestError(problems)
    return buckets


def _old_recordings(
    storage: Storage, settings: Settings, before_ms: float
) -> Iterator[tuple[Location, Listed]]:
    for bucket in _buckets(settings):
        for listed in storage.objects(bucket):
            # What else is in the bucket is none of ours.
            is_recording = listed.key.endswith(_ENDING) and not listed.key.startswith(OWN_PREFIX)
            if is_recording and listed.modified_ms < before_ms:
                yield Location(bucket, listed.key), listed


def _old_entries(catalogue: Catalogue, before_ms: float) -> Iterator[Location]:
    for listed in catalogue.listed():
        if listed.modified_ms < before_ms:
            yield Location(catalogue.bucket, listed.key)


def _expired(location: Location, listed: Listed, storage: Storage) -> Expired | None:
    """Describe an expired recording; None if it is gone, or not the one that was listed."""
    found = storage.find(location)
    if found is None or found.etag != listed.etag:
        return None
    named = _NAME.fullmatch(location.key)
    recording_id = found.metadata.get(RECORDING_ID) or (named[1] if named else location.key)
    domain = found.metadata.get(DOMAIN)
    modified = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(
        milliseconds=listed.modified_ms
    )
    return Expired(
        place=str(location),
        recording_id=unquote(recording_id),
        domain=None if domain is None else unquote(domain),
        modified=modified.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    )


def _notification(expired: Expired, settings: Settings) -> Notification:
    alarm = TempRecordingDeletedAlarm(
        recording_id=expired.recording_id,
        domain=expired.domain,
        service=_SERVICE,
        modified_date=expired.modified,
        error=f"Recording id {expired.recording_id} expired.",
    )
    return alarm_notification(alarm, settings)
