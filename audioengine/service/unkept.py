# SPDX-License-Identifier: Apache-2.0
"""Recordings that a command failed to keep, so that none sent before anyone knew deletes them.

Each has notes in its temporary bucket, one for a command, under what no command can name: all
workers see them, also those that come after one that was killed.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections import OrderedDict
from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass
from threading import Lock

from audioengine.commands.names import OWN_PREFIX
from audioengine.errors import AudioEngineError
from audioengine.service.logs import log
from audioengine.storage import Storage
from audioengine.storage.buckets import Location

PREFIX = f"{OWN_PREFIX}unkept/"

_NOTE = re.compile(r"/(\d+)-[0-9a-f]+$", re.ASCII)
_MOST_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Recordings:
    """Those of a command, proven to be its tenant's."""

    domain: str
    bucket: str | None
    """The temporary one; None: only this process keeps the notes."""
    ids: Collection[str]


class Unkept:
    """The notes; for several threads at once."""

    def __init__(self, storage: Storage) -> None:
        """Look at nothing yet."""
        self._storage = storage
        # Also what the bucket did not take: by domain and recording, then as in names of notes.
        self._noted: OrderedDict[tuple[str, str], dict[str, int]] = OrderedDict()
        self._lock = Lock()

    def note(self, recordings: Recordings, message_id: str) -> None:
        """Note that a command has failed, or may end without another word, from now on.

        What the bucket does not take is noted in this process alone.
        """
        now, name = int(time.time() * 1000), _hashed(message_id)
        for one in recordings.ids:
            with self._lock:
                self._noted.setdefault((recordings.domain, one), {})[name] = now
                while len(self._noted) > _MOST_REMEMBERED:
                    self._noted.popitem(last=False)
            try:
                self._write(recordings, one, f"{now}-{name}")
            except AudioEngineError as error:
                log().warning("failure can't be noted", recordingId=one, error=str(error))

    def forget(self, recordings: Recordings, message_id: str) -> None:
        """Take back what was noted of a command that has kept them. Raises StorageError."""
        name = _hashed(message_id)
        for one in recordings.ids:
            for location in self._notes(recordings, one):
                if location.key.endswith(f"-{name}"):
                    self._storage.delete(location)
            with self._lock:
                self._noted.get((recordings.domain, one), {}).pop(name, None)

    def failed_ms(self, recordings: Recordings) -> int:
        """Return when one of them was not kept, in epoch milliseconds; 0: never.

        Raises StorageError.
        """
        times = [0]
        for one in recordings.ids:
            with self._lock:
                times += self._noted.get((recordings.domain, one), {}).values()
            keys = [location.key for location in self._notes(recordings, one)]
            times += [int(found[1]) for key in keys if (found := _NOTE.search(key))]
        return max(times)

    def _notes(self, recordings: Recordings, one: str) -> list[Location]:
        if (bucket := recordings.bucket) is None:
            return []
        listed = self._storage.objects(bucket, _prefix(recordings, one))
        return [Location(bucket, found.key) for found in listed]

    def _write(self, recordings: Recordings, one: str, name: str) -> None:
        if recordings.bucket is not None:
            location = Location(recordings.bucket, f"{_prefix(recordings, one)}{name}")
            with closing(self._storage.staging(location)) as staging:
                staging.write(b"\n")
                staging.publish()


def _prefix(recordings: Recordings, one: str) -> str:
    # An id may have characters that no key of a storage can.
    return f"{PREFIX}{_hashed(f'{recordings.domain} {one}')}/"


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
