# SPDX-License-Identifier: Apache-2.0
"""Letters that could not be sent: they wait in a local file, and go out later, in order.

Each address has a line of its own: while its first letter can't be sent, the others wait, and
nobody else does. Processes may share the file; one at a time sends to an address.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from audioengine.errors import AudioEngineError
from audioengine.service.database import Database
from audioengine.service.logs import log
from audioengine.service.sending import Channel, Letter, Sender, is_refused

_SCHEMA = """
CREATE TABLE IF NOT EXISTS addresses (
    channel TEXT NOT NULL,
    address TEXT NOT NULL,
    failures INTEGER NOT NULL DEFAULT 0,
    due_at REAL NOT NULL DEFAULT 0,
    PRIMARY KEY (channel, address)
);
CREATE TABLE IF NOT EXISTS letters (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    channel TEXT NOT NULL,
    address TEXT NOT NULL,
    attributes TEXT NOT NULL,
    put_at REAL NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS of_addresses ON letters (channel, address, number);
"""

# How long nobody else sends to an address to which somebody does.
_LEASE_S = 120.0
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 300.0
_LOOKS_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class _Line:
    """An address to which this process sends for a while."""

    channel: Channel
    address: str
    failures: int


class Outbox:
    """A durable outbox; every method raises StorageError where the file can't be used."""

    def __init__(
        self, path: str | os.PathLike[str], *, first_pause_s: float = _FIRST_PAUSE_S
    ) -> None:
        """Open the file, which is made where it is not there.

        first_pause_s: after a first failure; each further one doubles it, up to five minutes.
        """
        self._database = Database(path, _SCHEMA)
        self._first_pause_s = first_pause_s

    def put(self, letter: Letter) -> None:
        """Keep a letter, behind the others to its address; it is on the disk when this returns."""
        place = (letter.channel, letter.address)
        attributes = json.dumps(dict(letter.attributes))
        now = time.time()
        with self._database.writing() as connection:
            connection.execute(
                "INSERT INTO letters (channel, address, attributes, put_at, body)"
                " VALUES (?, ?, ?, ?, ?)",
                (*place, attributes, now, letter.body),
            )
            connection.execute(
                "INSERT INTO addresses (channel, address, due_at) VALUES (?, ?, ?)"
                " ON CONFLICT DO NOTHING",
                (*place, now + self._first_pause_s),
            )

    def holds(self, channel: Channel, address: str) -> bool:
        """Whether letters to an address wait, so that another has to wait behind them."""
        with self._database.reading() as connection:
            found = connection.execute(
                "SELECT 1 FROM letters WHERE channel = ? AND address = ? LIMIT 1",
                (channel, address),
            )
            return found.fetchone() is not None

    def depth(self) -> int:
        """Return how many letters wait."""
        with self._database.reading() as connection:
            return int(connection.execute("SELECT count(*) FROM letters").fetchone()[0])

    def flush(
        self, senders: Mapping[Channel, Sender], stopping: Callable[[], bool] = lambda: False
    ) -> int:
        """Send what is due, and return how many letters went out.

        A letter that can't be sent stays, and so do those behind it. `stopping` is asked before
        each letter.
        """
        sent = 0
        while not stopping() and (line := self._leased()) is not None:
            sent += self._send_all(line, senders, stopping)
        return sent

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def _leased(self) -> _Line | None:
        """The address that is due for longest, which nobody else gets meanwhile."""
        now = time.time()
        with self._database.writing() as connection:
            row = connection.execute(
                "SELECT * FROM addresses WHERE due_at <= ? ORDER BY due_at LIMIT 1", (now,)
            ).fetchone()
            if row is None:
                return None
            self._set_due(connection, row["channel"], row["address"], now + _LEASE_S)
            return _Line(row["channel"], row["address"], row["failures"])

    def _send_all(
        self, line: _Line, senders: Mapping[Channel, Sender], stopping: Callable[[], bool]
    ) -> int:
        sent = 0
        while (first := self._first(line)) is not None:
            number, letter = first
            if stopping() or not _is_sent(letter, senders):
                self._put_off(line, had_luck=sent > 0)
                return sent
            self._remove(line, number)
            sent += 1
        return sent

    def _first(self, line: _Line) -> tuple[int, Letter] | None:
        """The first letter to an address; where there is none, the address is forgotten."""
        place = (line.channel, line.address)
        with self._database.writing() as connection:
            row = connection.execute(
                "SELECT * FROM letters WHERE channel = ? AND address = ? ORDER BY number LIMIT 1",
                place,
            ).fetchone()
            if row is None:
                connection.execute("DELETE FROM addresses WHERE channel = ? AND address = ?", place)
                return None
        letter = Letter(
            channel=line.channel,
            address=line.address,
            body=row["body"],
            attributes=json.loads(row["attributes"]),
        )
        return row["number"], letter

    def _remove(self, line: _Line, number: int) -> None:
        with self._database.writing() as connection:
            connection.execute("DELETE FROM letters WHERE number = ?", (number,))
            self._set_due(connection, line.channel, line.address, time.time() + _LEASE_S)

    def _put_off(self, line: _Line, *, had_luck: bool) -> None:
        failures = 1 if had_luck else line.failures + 1
        pause = min(_LONGEST_PAUSE_S, self._first_pause_s * 2 ** min(failures - 1, 20))
        pause *= random.uniform(0.8, 1.2)  # noqa: S311 - spreads what many processes do
        with self._database.writing() as connection:
            self._set_due(connection, line.channel, line.address, time.time() + pause, failures)

    @staticmethod
    def _set_due(
        connection: sqlite3.Connection,
        channel: Channel,
        address: str,
        due_at: float,
        failures: int | None = None,
    ) -> None:
        connection.execute(
            "UPDATE addresses SET due_at = ?, failures = ifnull(?, failures)"
            " WHERE channel = ? AND address = ?",
            (due_at, failures, channel, address),
        )


def _is_sent(letter: Letter, senders: Mapping[Channel, Sender]) -> bool:
    try:
        senders[letter.channel].send(letter)
    except AudioEngineError as error:
        if is_refused(letter, error):
            log().error("letter is refused for good", address=letter.address, error=str(error))
            return True
        log().warning("letter waits on", address=letter.address, error=str(error))
        return False
    return True


class Flusher:
    """Flushes an outbox in the background, until it is closed."""

    def __init__(self, outbox: Outbox, senders: Mapping[Channel, Sender]) -> None:
        """Begin at once with what an earlier process has left."""
        self._outbox = outbox
        self._senders = senders
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Wait for the letter that is being sent, and end."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing.wait(_LOOKS_EVERY_S):
            self._flush()

    def _flush(self) -> None:
        try:
            self._outbox.flush(self._senders, self._closing.is_set)
        except Exception as error:  # noqa: BLE001 - whatever it is, letters must go out later
            log().error("outbox can't be flushed", error=f"{type(error).__name__}: {error}")
