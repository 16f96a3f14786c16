# SPDX-License-Identifier: Apache-2.0
"""Recordings that a command failed to keep: no delete that was sent before the failure was known.

Each failed command has one note in its temporary bucket, under a key that no command can name. All
workers see it, even those that replace a killed one. Its name says when the failure was known, on
the queue's own clock, by which the sending of a delete is timed too.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from threading import Lock

from audioengine.commands.names import OWN_PREFIX
from audioengine.errors import AudioEngineError, StorageError
from audioengine.service.logs import log
from audioengine.storage import Storage
from audioengine.storage.buckets import Location

PREFIX = f"{OWN_PREFIX}unkept/"

NEVER_MS = 1 << 53
"""Time of a failure that no queue can date: no delete counts as sent after it."""

_SEVERAL = "several"
_NOTE = re.compile(r"/(\d+)-([0-9a-f]+)(-pending)?$", re.ASCII)
_MOST_REMEMBERED = 10_000
# Of a domain, about several recordings each; beyond them one note stands for all recordings.
_MOST_SEVERAL = 200
# SQS keeps a message for 14 days at most; the rest is for clocks that differ.
_EXPIRES_S = 16 * 86_400


@dataclass(frozen=True, slots=True)
class OwnedRecordings:
    """Those of a command, proven to be its tenant's."""

    domain: str
    bucket: str | None
    """The temporary one; None: only this process keeps the notes."""
    ids: Collection[str]


@dataclass(frozen=True, slots=True)
class Failures:
    """What is known of recordings that a delete names."""

    known_ms: int = 0
    """When the last failure to keep one was known, on the queue's clock; 0: there was none."""
    is_pending: bool = False
    """Whether a command may still fail to keep one, or keep it."""


@dataclass(frozen=True, slots=True)
class _Note:
    known_ms: int
    message: str
    is_pending: bool

    @property
    def name(self) -> str:
        return f"{self.known_ms}-{self.message}{'-pending' if self.is_pending else ''}"


class DeleteGuard:
    """The notes; for several threads at once."""

    def __init__(self, storage: Storage) -> None:
        """Look at nothing yet."""
        self._storage = storage
        self._lock = Lock()
        # What no bucket took, by domain and message.
        self._own: OrderedDict[tuple[str, str], tuple[_Note, frozenset[str]]] = OrderedDict()
        # Of notes about several: their recordings; None: all.
        self._read: OrderedDict[Location, frozenset[str] | None] = OrderedDict()
        self._buckets: set[str] = set()

    def note(
        self, recordings: OwnedRecordings, message_id: str, now_ms: int, *, is_pending: bool = False
    ) -> None:
        """Note that a command has failed, or may end without another word, at a time.

        What was noted of it before goes. What the bucket does not take is noted in this process
        alone.

        now_ms: on the queue's clock.
        is_pending: whether that is not its end.
        """
        note = _Note(now_ms, _hashed(message_id), is_pending)
        ids = frozenset(map(_hashed, recordings.ids))
        if not ids:
            return
        try:
            self._write(recordings, ids, note)
        except AudioEngineError as error:
            log().warning("failure can't be noted", domain=recordings.domain, error=str(error))
        else:
            if recordings.bucket is not None:
                return
        with self._lock:
            self._own[recordings.domain, note.message] = note, ids
            while len(self._own) > _MOST_REMEMBERED:
                self._own.popitem(last=False)

    def forget(self, recordings: OwnedRecordings, message_id: str) -> None:
        """Take back what was noted of a command that has kept them. Raises StorageError."""
        message = _hashed(message_id)
        ids = frozenset(map(_hashed, recordings.ids))
        if ids:
            self._delete(recordings, self._of_message(recordings, ids, message))
        with self._lock:
            self._own.pop((recordings.domain, message), None)

    def failures(self, recordings: OwnedRecordings) -> Failures:
        """Return what is known of recordings. Raises StorageError."""
        ids = frozenset(map(_hashed, recordings.ids))
        with self._lock:
            found = [
                note
                for (domain, _), (note, of) in self._own.items()
                if domain == recordings.domain and of & ids
            ]
        for one in ids:
            found += (note for _, note in self._notes(recordings, one))
        for location, note in self._notes(recordings, _SEVERAL):
            of = self._ids_of(location)
            if of is None or of & ids:
                found.append(note)
        return Failures(
            max((note.known_ms for note in found), default=0),
            any(note.is_pending for note in found),
        )

    def expire(self, buckets: Iterable[str]) -> int:
        """Delete notes that no command can need any more; return how many.

        buckets: beside those in which this process has made notes.

        Raises StorageError.
        """
        before_ms = (time.time() - _EXPIRES_S) * 1000
        with self._lock:
            chosen = self._buckets.union(buckets)
        gone = 0
        for bucket in chosen:
            for listed in self._storage.objects(bucket, PREFIX):
                if listed.modified_ms < before_ms:
                    self._storage.delete(Location(bucket, listed.key))
                    gone += 1
        return gone

    def _notes(self, recordings: OwnedRecordings, folder: str) -> Iterator[tuple[Location, _Note]]:
        if (bucket := recordings.bucket) is None:
            return
        for listed in self._storage.objects(bucket, f"{_prefix(recordings)}{folder}/"):
            if (found := _NOTE.search(listed.key)) is not None:
                yield Location(bucket, listed.key), _Note(int(found[1]), found[2], bool(found[3]))

    def _of_message(
        self, recordings: OwnedRecordings, ids: frozenset[str], message: str
    ) -> list[Location]:
        notes = self._notes(recordings, _folder(ids))
        return [location for location, note in notes if note.message == message]

    def _write(self, recordings: OwnedRecordings, ids: frozenset[str], note: _Note) -> None:
        if (bucket := recordings.bucket) is None:
            return
        with self._lock:
            self._buckets.add(bucket)
        location = Location(bucket, f"{_prefix(recordings)}{_folder(ids)}/{note.name}")
        before = self._of_message(recordings, ids, note.message)
        self._put(location, sorted(ids) if len(ids) > 1 else None)
        self._delete(recordings, [one for one in before if one != location])
        if len(ids) > 1:
            self._bound(recordings, note.known_ms)

    def _bound(self, recordings: OwnedRecordings, now_ms: int) -> None:
        """Put one note, about all recordings of a domain, in place of very many."""
        notes = list(self._notes(recordings, _SEVERAL))
        if len(notes) <= _MOST_SEVERAL:
            return
        log().warning("very many commands have failed", domain=recordings.domain)
        latest = max(now_ms, *(note.known_ms for _, note in notes))
        whole = _Note(latest, _hashed("all"), is_pending=False)
        location = Location(notes[0][0].bucket, f"{_prefix(recordings)}{_SEVERAL}/{whole.name}")
        self._put(location, None)
        self._delete(recordings, [one for one, _ in notes if one != location])

    def _put(self, location: Location, ids: list[str] | None) -> None:
        with closing(self._storage.staging(location)) as staging:
            staging.write(json.dumps(ids).encode())
            staging.publish()

    def _delete(self, recordings: OwnedRecordings, locations: Collection[Location]) -> None:
        if recordings.bucket is not None:
            for location in locations:
                self._storage.delete(location)

    def _ids_of(self, location: Location) -> frozenset[str] | None:
        """The recordings of a note about several, as digests; None: all of its domain."""
        with self._lock:
            if location in self._read:
                return self._read[location]
        try:
            with closing(self._storage.source(location)) as source:
                listed = json.loads(source.read(0, source.size))
        except StorageError:
            if self._storage.find(location) is None:
                return frozenset()  # taken back meanwhile
            raise
        ids = None if listed is None else frozenset(map(str, listed))
        with self._lock:
            self._read[location] = ids
            while len(self._read) > 2 * _MOST_SEVERAL:
                self._read.popitem(last=False)
        return ids


def _prefix(recordings: OwnedRecordings) -> str:
    return f"{PREFIX}{_hashed(recordings.domain)}/"


def _folder(ids: frozenset[str]) -> str:
    return next(iter(ids)) if len(ids) == 1 else _SEVERAL


def _hashed(text: str) -> str:
    # An id may have characters that no key of a storage can.
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:32]
