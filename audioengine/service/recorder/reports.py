# SPDX-License-Identifier: Apache-2.0
"""What a recorder reports: checked, put into the catalogue, sent on with a token of its own.

A report is the event as it will go out, without `replyId`, and of RECORDINGREADY with where the
recording is: `tempKey`, `tempBucket`, and `startTime` where its `meta` does not say it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from audioengine.commands.alarms import RecordingFailedAlarm
from audioengine.commands.events import (
    EVENTS,
    RecordingCancelled,
    RecordingFailed,
    RecordingReady,
    RecordingStarted,
    parse_event,
    topic_form,
)
from audioengine.commands.meta import parse_meta
from audioengine.commands.names import object_key, temp_name
from audioengine.commands.redaction import redacted
from audioengine.commands.wire import (
    OptionalText,
    OptionalWireNumber,
    Wire,
    keys,
    read_wire,
    shown,
    unknown_values,
)
from audioengine.errors import UNKNOWN_KEY, InvalidRequestError, NotAllowedError, Problem
from audioengine.execution.addresses import addresses_of
from audioengine.execution.reply_id import Claims, make_token, region_of
from audioengine.execution.temporary_objects import DOMAIN, in_ascii, is_of_another
from audioengine.service.notifications.delivery import Delivery
from audioengine.service.recorder.catalogue import Catalogue, Entry
from audioengine.service.recorder.event_routing import LiveEvent, event_notification
from audioengine.settings import Settings
from audioengine.storage import Storage
from audioengine.storage.buckets import Location
from audioengine.times import MAX_EPOCH_MS, MIN_EPOCH_MS, Number, exact

_KINDS = (RecordingStarted, RecordingReady, RecordingCancelled, RecordingFailed)

REPORTS = tuple(name for name, kind in EVENTS.items() if kind in _KINDS)
"""What a recorder may report."""

# Stands for the token until there is one: an event can't be without.
_NO_TOKEN = "-"  # noqa: S105 - just that


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place(Wire):
    """What a report has beyond its event."""

    temp_bucket: OptionalText = None
    temp_key: OptionalText = None
    start_time_ms: OptionalWireNumber = None


@dataclass(frozen=True, slots=True)
class _Report:
    event: LiveEvent
    place: _Place
    start_time_ms: Number | None


class ReportDesk:
    """Takes in what recorders report.

    A report may come again, and then does the same again.
    """

    def __init__(self, settings: Settings, catalogue: Catalogue, delivery: Delivery) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._delivery = delivery

    @classmethod
    def of(cls, settings: Settings, storage: Storage, delivery: Delivery) -> ReportDesk:
        """Return a desk with the catalogue of a storage."""
        return cls(settings, Catalogue(storage, settings), delivery)

    def take(self, report: object, only_domain: str | None = None) -> LiveEvent:
        """Take a report, as JSON values, and return its event as it goes out.

        When it returns, nothing of it can be lost any more.

        only_domain: the one that whoever reports may speak of; None: any.

        Raises InvalidRequestError naming every wrong field, NotAllowedError for another domain, and
        StorageError, `retryable` where the same report may be taken later.
        """
        came = _read(report, self._settings)
        _check_domain(str(came.event.domain), only_domain, self._settings)
        entry = None
        if isinstance(came.event, RecordingReady):
            entry = self._catalogue.put(self._entry(came, came.event, only_domain))
        event = self._with_token(came.event, entry)
        notification = event_notification(event, self._settings, _alarm(event))
        self._delivery.deliver(notification, command=topic_form(event))
        return event

    def entry_of(self, report: object) -> Entry:
        """Return what the catalogue would hold of a RECORDINGREADY report, which is not taken.

        Raises InvalidRequestError and NotAllowedError as `take` does.
        """
        came = _read(report, self._settings)
        _check_domain(str(came.event.domain), None, self._settings)
        if not isinstance(came.event, RecordingReady):
            raise InvalidRequestError.of("event", came.event.event, "must be RECORDINGREADY")
        return self._entry(came, came.event, None)

    def _entry(self, report: _Report, event: RecordingReady, only_domain: str | None) -> Entry:
        place = report.place
        bucket = place.temp_bucket or self._catalogue.bucket
        if bucket not in {self._catalogue.bucket, *self._settings.recorder.temp_buckets}:
            rule = "must be fallbacks.temp_bucket of the settings, or one of recorder.temp_buckets"
            raise InvalidRequestError.of("tempBucket", bucket, rule)
        key = place.temp_key
        if key is None:
            if report.start_time_ms is None:
                rule = "must be given where neither meta nor startTime says when it began"
                raise InvalidRequestError.of("tempKey", None, rule)
            key = temp_name(event.recording_id, report.start_time_ms)
        location = Location(bucket, object_key(key, "tempKey"))
        self._check_owner(location, event, only_domain)
        return Entry(
            domain=str(event.domain),
            recording_id=event.recording_id,
            start_time_ms=report.start_time_ms,
            temp_bucket=bucket,
            temp_key=location.key,
            conference_segments=event.conference_segments,
            related_recordings=event.related_recordings,
            told=int(time.time()),
        )

    def _check_owner(
        self, location: Location, event: RecordingReady, only_domain: str | None
    ) -> None:
        """Raise NotAllowedError where an object says that it is another domain's or recording's.

        Who may speak of one domain alone must name an object whose metadata says that it is of it:
        else it could name another's recording as its own. The error does not say why it may not.
        """
        metadata, domain = self._metadata_at(location), str(event.domain)
        owner = metadata.get(DOMAIN)
        is_open = self._settings.single_tenant
        is_proven = is_open or only_domain is None or owner == in_ascii(domain)
        if not is_proven:
            message = f"the metadata of {str(location)!r} must name the token's domain, {domain!r}"
            raise NotAllowedError(message)
        if owner not in (None, in_ascii(domain)) and not is_open:
            raise NotAllowedError(f"there is a recording of another domain at {str(location)!r}")
        if is_of_another(event.recording_id, metadata):
            raise NotAllowedError(f"there is another recording at {str(location)!r}")

    def _metadata_at(self, location: Location) -> Mapping[str, str]:
        found = self._catalogue.storage.find(location)
        return {} if found is None else found.metadata

    def _with_token(self, event: LiveEvent, entry: Entry | None) -> LiveEvent:
        settings = self._settings
        queue = settings.fallbacks.command_queue or event.command_queue
        addresses = addresses_of(event.domain, settings)
        claims = Claims(
            domain=event.domain,
            recording_id=event.recording_id,
            command_queue=queue,
            event_topic=addresses.event_topic,
            alarm_topic=addresses.alarm_topic,
            temp_bucket=None if entry is None else entry.temp_bucket,
            temp_key=None if entry is None else entry.temp_key,
            # Of what is known already, the same again: so is the whole event.
            iat=int(time.time()) if entry is None else entry.told,
        )
        return replace(
            event,
            command_queue=queue,
            command_region=region_of(queue, settings.fallbacks) or event.command_region,
            reply_id=make_token(claims, settings),
        )


def _read(report: object, settings: Settings) -> _Report:
    if not isinstance(report, dict):
        raise InvalidRequestError.of("report", f"<{type(report).__name__}>", "must be an object")
    name = report.get("event")
    if not isinstance(name, str) or name not in REPORTS:
        rule = f"must be one of {', '.join(REPORTS)}"
        raise InvalidRequestError.of("event", redacted(name), rule)
    problems: list[Problem] = []
    event: LiveEvent | None = None
    place = _Place()
    try:
        place = read_wire(_Place, report)
    except InvalidRequestError as error:
        problems += error.problems
    problems += _unknown(report, EVENTS[name])
    try:
        parsed, _ = parse_event({**report, "replyId": _NO_TOKEN})
        assert isinstance(parsed, _KINDS)
        event = replace(parsed, domain=parsed.domain or settings.fallbacks.domain)
        if not event.domain:
            problems.append(Problem("domain", event.domain, "must be given"))
    except InvalidRequestError as error:
        problems += error.problems
    start = place.start_time_ms
    if start is not None and not MIN_EPOCH_MS < exact(start, "startTime") < MAX_EPOCH_MS:
        problems.append(Problem("startTime", start, "must be epoch milliseconds"))
    if isinstance(event, RecordingReady) and event.meta is not None:
        try:
            begun = parse_meta(event.meta).start_time_ms
            start = start if begun is None else begun
        except InvalidRequestError as error:
            problems += error.problems
    if problems or event is None:
        raise InvalidRequestError(problems)
    return _Report(event, place, start)


def _unknown(report: dict[str, Any], kind: type[Any]) -> list[Problem]:
    """What no event would pass on: it would be lost, and nobody would know."""
    own = keys(_Place)
    given = {key: value for key, value in report.items() if key not in own}
    rule = f"{UNKNOWN_KEY} of a {report['event']} report"
    return [shown(Problem(path, value, rule)) for path, value in unknown_values(given, kind)]


def _check_domain(domain: str, only_domain: str | None, settings: Settings) -> None:
    """Raise NotAllowedError where a domain is not known, or not the reporter's."""
    if only_domain not in (None, domain):
        raise NotAllowedError(f"a report must be of the domain of its token, {only_domain!r}")
    if domain not in settings.domains and not settings.single_tenant:
        raise NotAllowedError(f"the domain {domain!r} is not known: settings must name it")


def _alarm(event: LiveEvent) -> RecordingFailedAlarm | None:
    if not isinstance(event, RecordingFailed):
        return None
    return RecordingFailedAlarm(
        recording_id=event.recording_id, domain=event.domain, error=event.reason
    )
