# SPDX-License-Identifier: Apache-2.0
"""Checks the files that a custody record names."""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
from base64 import b64decode
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from audioengine.custody.verdict import EntryVerdict, RecordFinding
from audioengine.errors import AudioEngineError
from audioengine.operations.hashing import sha256_hex
from audioengine.storage import S3Options, Source, Storage, open_source
from audioengine.storage.buckets import SCHEME, Found, Location

_WHOLE = re.compile("[A-Za-z0-9+/]{43}=", re.ASCII)  # 32 bytes
_NOTE = "INSERT OR REPLACE INTO outputs VALUES (?, ?)"


def place_in(file: object) -> str | None:
    """The place of a file by its entry; None if the entry has no valid place."""
    place = file.get("place") if isinstance(file, Mapping) else None
    return place if isinstance(place, str) and place else None


class NamedFiles:
    """Checks outputs and sources by their digests, and knows the last entry of each place.

    Entries may have been tampered with, so no value in them is trusted to have a certain type.
    """

    def __init__(self, folder: Path, storage: Storage | None) -> None:
        """folder: the record's, to which paths are relative. storage: by default S3."""
        self._folder = str(folder)
        self._storage = storage
        # In a temporary file, because a record may name millions of places.
        self._places = sqlite3.connect("", isolation_level=None)
        self._places.execute("PRAGMA journal_mode=OFF")
        self._places.execute(
            "CREATE TABLE outputs (place BLOB PRIMARY KEY, line INTEGER) WITHOUT ROWID"
        )
        self._places.execute("BEGIN")

    def close(self) -> None:
        """Remove the temporary file."""
        self._places.close()

    def note(self, line: int, entry: Mapping[str, Any]) -> None:
        """Note the place of an entry's output."""
        place = self._place(entry.get("output"))
        if place is not None:
            self._places.execute(_NOTE, (_digest(place), line))

    def judged(self, line: int, entry: Mapping[str, Any]) -> EntryVerdict:
        """Check the files of an entry; call it after all entries were noted."""
        findings = []
        output = entry.get("output")
        place = self._place(output)
        files = "unnamed"
        if place is not None:
            files = "superseded" if self._last(place) > line else "checked"
        if files == "checked":
            assert isinstance(output, Mapping)
            assert place is not None
            state, message = self._state(output, place)
            if state != "same":
                findings.append(RecordFinding(f"output_{state}", message))
        sources = entry.get("sources")
        checked = unreachable = 0
        for source in sources if isinstance(sources, list) else []:
            at = self._place(source)
            if at is None or (self._last(at) >= line and "version" not in source):
                unreachable += 1
                continue
            state, message = self._state(source, at)
            if state == "changed":
                findings.append(RecordFinding("source_changed", message))
            checked += state in ("same", "changed")
            unreachable += state not in ("same", "changed")
        return EntryVerdict(line, place_in(output), files, checked, unreachable, tuple(findings))

    def _place(self, file: object) -> str | None:
        place = place_in(file)
        if place is None or place.startswith(SCHEME):
            return place
        # pathlib would keep every name in memory.
        return os.path.join(self._folder, place)  # noqa: PTH118

    def _last(self, place: str) -> int:
        """The last line with an output at a place; 0 if none has."""
        query = "SELECT line FROM outputs WHERE place = ?"
        row = self._places.execute(query, (_digest(place),)).fetchone()
        return 0 if row is None else int(row[0])

    def _state(self, file: Mapping[str, Any], place: str) -> tuple[str, str]:
        """``same``, ``changed``, ``missing`` or ``unreadable``, and a message."""
        try:
            if not place.startswith(SCHEME):
                if not os.path.lexists(place):
                    return "missing", f"{place} is not there"
                return _compared(file, place, open_source(place))
            location = Location.parse(place, "place")
            version = file.get("version")
            options = S3Options(version=version) if isinstance(version, str) else None
            storage = self._bucket()
            found = storage.find(location, options)
            if found is None:
                return "missing", f"{place} is not there"
            if _expected(file) is None:
                return _compared_by_store(file, place, found)
            return _compared(file, place, storage.source(location, options))
        except (AudioEngineError, ValueError) as error:
            return "unreadable", f"{place} can't be checked: {error}"

    def _bucket(self) -> Storage:
        if self._storage is None:
            from audioengine.storage.s3_storage import S3Storage

            self._storage = S3Storage()
        return self._storage


def _compared(file: Mapping[str, Any], place: str, source: Source) -> tuple[str, str]:
    with closing(source) as there:
        expected = file.get("bytes")
        if there.size != expected:
            return "changed", f"{place} has {there.size} bytes instead of {expected}"
        digest = sha256_hex(there)
    if digest != _expected(file):
        return "changed", f"{place} has SHA-256 {digest} instead of {_expected(file)}"
    return "same", ""


def _expected(file: Mapping[str, Any]) -> object:
    """The SHA-256 that a file should have, in hexadecimal; None if the entry has none."""
    told = file.get("store_sha256")
    if "sha256" in file or not isinstance(told, str):
        return file.get("sha256")
    # A store may know no digest of the whole for an object that was written in parts.
    raw = b64decode(told) if _WHOLE.fullmatch(told) else b""
    return raw.hex() or None


def _compared_by_store(file: Mapping[str, Any], place: str, found: Found) -> tuple[str, str]:
    """Compare the store's metadata of an unread object with the metadata in its entry."""
    now = {"bytes": found.size, "etag": found.etag.strip('"'), "store_sha256": found.sha256}
    for name, value in now.items():
        told = file.get(name)
        if told is not None and value is not None and told != value:
            return "changed", f"{place} has {name} {value} instead of {told}"
    return "same", ""


def _digest(place: str) -> bytes:
    return hashlib.sha256(place.encode(errors="surrogatepass")).digest()[:16]
