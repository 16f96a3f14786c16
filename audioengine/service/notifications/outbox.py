# SPDX-License-Identifier: Apache-2.0
"""Letters that wait in a local file until they are sent: callbacks, and what could not be sent.

Each address has lines of its own, one a lane: while the first letter of a line can't be sent, the
others of it wait, and nobody else does. Processes may share the file; one at a time sends a line.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from audioengine.commands.alarms import cut
from audioengine.errors import AudioEngineError
from audioengine.retries import LETTER
from audioengine.service.logs import log
from audioengine.service.metrics import Metrics
from audioengine.service.notifications.letter import (
    MAX_FAILURE_BYTES,
    Channel,
    Letter,
    Sender,
    is_refused,
)
from audioengine.service.sqlite_file import Database
from audioengine.service.waiting import begin_anew

_VERSION = 2
_SCHEMA = """
CREATE TABLE lines (
    channel TEXT NOT NULL,
    address TEXT NOT NULL,
    lane INTEGER NOT NULL,
    failures INTEGER NOT NULL DEFAULT 0,
    since REAL NOT NULL,
    due_at REAL NOT NULL,
    PRIMARY KEY (channel, address, lane)
);
CREATE INDEX due ON lines (due_at);
CREATE TABLE letters (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    channel TEXT NOT NULL,
    address TEXT NOT NULL,
    lane INTEGER NOT NULL,
    attributes TEXT NOT NULL,
    put_at REAL NOT NULL,
    is_held INTEGER NOT NULL,
    alarm TEXT,
    body TEXT NOT NULL
);
CREATE INDEX of_lines ON letters (channel, address, lane, number) WHERE NOT is_held;
CREATE INDEX held ON letters (number) WHERE is_held
"""

# How long nobody else sends a line that somebody sends.
_LEASE_S = 120.0
_LOOKS_EVERY_S = 1.0
# After so long a line lets others go first.
_TURN_S = 5.0
_MOST_DUE = 1000
_MOST_AT_ONCE: Mapping[Channel, int] = {"topic": 16, "callback": 64}
# Of these, lines that failed last time, which mostly take their whole time-out.
_MOST_FAILING = 0.5


@dataclass(frozen=True, slots=True)
class Line:
    """Letters of a lane to an address."""

    channel: Channel
    address: str
    lane: int
    failures: int
    due_at: float

    @property
    def place(self) -> tuple[Channel, str, int]:
        """What names it."""
        return self.channel, self.address, self.lane


class Outbox:
    """A durable outbox; every method raises StorageError where the file can't be used."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        first_pause_s: float = LETTER.first_s,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open the file, which is made where it is not there.

        first_pause_s: after a first failure; each further one doubles it, up to five minutes.
        clock: in seconds, the same for all processes of the machine.
        """
        self._database = Database(path, _SCHEMA, _VERSION)
        self._backoff = replace(LETTER, first_s=first_pause_s)
        self._clock = clock
        self.changed = threading.Event()
        """Set where a letter is due at once."""

    def put(self, letter: Letter, *, has_failed: bool = True, is_held: bool = False) -> int:
        """Keep a letter, behind the others of its line; it is on the disk when this returns.

        has_failed: whether a try has failed already, so that the next one is made after a pause.
        is_held: keep it until it is released or withdrawn by its number, which is returned.
        """
        with self._database.writing() as connection:
            number = self._put(connection, letter, has_failed=has_failed, is_held=is_held)
        if not (has_failed or is_held):
            self.changed.set()
        return number

    def _put(
        self, connection: sqlite3.Connection, letter: Letter, *, has_failed: bool, is_held: bool
    ) -> int:
        now = self._clock()
        place = (letter.channel, letter.address, letter.lane)
        put = connection.execute(
            "INSERT INTO letters"
            " (channel, address, lane, attributes, put_at, is_held, alarm, body)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *place,
                json.dumps(dict(letter.attributes)),
                time.time(),
                is_held,
                None if letter.alarm is None else _packed(letter.alarm),
                letter.body,
            ),
        )
        if not is_held:
            self._begin(connection, place, now + (self._backoff.first_s if has_failed else 0), now)
        return int(put.lastrowid or 0)

    @staticmethod
    def _begin(
        connection: sqlite3.Connection, place: tuple[str, str, int], due_at: float, now: float
    ) -> None:
        connection.execute(
            "INSERT INTO lines (channel, address, lane, since, due_at) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            (*place, now, due_at),
        )

    def release(self, numbers: Collection[int] | None = None) -> None:
        """Let held letters go out, by default all."""
        now = self._clock()
        with self._database.writing() as connection:
            found = connection.execute(
                "SELECT number, channel, address, lane FROM letters WHERE is_held"
            )
            for row in found.fetchall():
                if numbers is not None and row["number"] not in numbers:
                    continue
                connection.execute(
                    "UPDATE letters SET is_held = 0 WHERE number = ?", (row["number"],)
                )
                place = (row["channel"], row["address"], row["lane"])
                self._begin(connection, place, now, now)
        self.changed.set()

    def withdraw(self, numbers: Collection[int]) -> None:
        """Forget held letters."""
        with self._database.writing() as connection:
            for number in numbers:
                connection.execute("DELETE FROM letters WHERE is_held AND number = ?", (number,))

    def holds(self, channel: Channel, address: str) -> bool:
        """Whether letters to an address wait, so that another has to wait behind them."""
        with self._database.reading() as connection:
            found = connection.execute(
                "SELECT 1 FROM letters WHERE channel = ? AND address = ? AND NOT is_held LIMIT 1",
                (channel, address),
            )
            return found.fetchone() is not None

    def depth(self) -> int:
        """Return how many letters wait."""
        with self._database.reading() as connection:
            return int(connection.execute("SELECT count(*) FROM letters").fetchone()[0])

    def due(self, channels: Collection[Channel]) -> list[Line]:
        """Return lines that may be sent now, those that are due for longest first."""
        now = self._clock()
        with self._database.writing() as connection:
            begin_anew(connection, "lines", now)
            rows = connection.execute(
                "SELECT channel, address, lane, failures, due_at FROM lines"
                " WHERE due_at <= ? AND channel IN (SELECT value FROM json_each(?))"
                " ORDER BY due_at LIMIT ?",
                (now, json.dumps(list(channels)), _MOST_DUE),
            )
            return [Line(*row) for row in rows.fetchall()]

    def take(self, line: Line) -> bool:
        """Keep a line that was due from others for a while; false: another has taken it."""
        now = self._clock()
        with self._database.writing() as connection:
            taken = connection.execute(
                "UPDATE lines SET since = ?, due_at = ?"
                " WHERE channel = ? AND address = ? AND lane = ? AND due_at = ?",
                (now, now + _LEASE_S, *line.place, line.due_at),
            )
            return taken.rowcount == 1

    def flush(
        self, senders: Mapping[Channel, Sender], stopping: Callable[[], bool] = lambda: False
    ) -> int:
        """Send what is due, one line after another, and return how many letters went out.

        A letter that can't be sent stays, and so do those behind it. `stopping` is asked before
        each letter.
        """
        sent = 0
        while not stopping() and (due := self.due(senders.keys())):
            for line in due:
                if stopping():
                    break
                if self.take(line):
                    sent += self.send(line, senders, stopping)
        return sent

    def send(
        self,
        line: Line,
        senders: Mapping[Channel, Sender],
        stopping: Callable[[], bool] = lambda: False,
        metrics: Metrics | None = None,
    ) -> int:
        """Send the letters of a line that was taken; return how many went out.

        After a while the rest is put off, so that others have their turn.
        """
        sent, until = 0, self._clock() + _TURN_S
        while (first := self._first(line)) is not None:
            number, letter = first
            if stopping() or self._clock() > until:
                self._set_due(line, 0.0, failures=0)
                return sent
            try:
                senders[letter.channel].send(letter)
            except AudioEngineError as error:
                if not is_refused(letter, error):
                    self._fail(line, number, letter, error, had_luck=sent > 0)
                    _count(metrics, letter, "waiting" if letter.alarm else None)
                    return sent
                log().error("letter is refused for good", address=line.address, error=str(error))
                self._remove(line, number, self._alarm(letter, error))
                _count(metrics, letter, "lost")
            else:
                self._remove(line, number)
                _count(metrics, letter, "sent")
            sent += 1
        return sent

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def _first(self, line: Line) -> tuple[int, Letter] | None:
        """The first letter of a line; where there is none, the line is forgotten."""
        with self._database.writing() as connection:
            row = connection.execute(
                "SELECT * FROM letters"
                " WHERE channel = ? AND address = ? AND lane = ? AND NOT is_held"
                " ORDER BY number LIMIT 1",
                line.place,
            ).fetchone()
            if row is None:
                connection.execute(
                    "DELETE FROM lines WHERE channel = ? AND address = ? AND lane = ?", line.place
                )
                return None
        letter = Letter(
            channel=line.channel,
            address=line.address,
            body=row["body"],
            attributes=json.loads(row["attributes"]),
            lane=line.lane,
            alarm=None if row["alarm"] is None else _unpacked(row["alarm"]),
        )
        return row["number"], letter

    def _remove(self, line: Line, number: int, alarm: Letter | None = None) -> None:
        with self._database.writing() as connection:
            connection.execute("DELETE FROM letters WHERE number = ?", (number,))
            self._raise_alarm(connection, alarm)
            self._move(connection, line, _LEASE_S, failures=0)

    def _fail(
        self, line: Line, number: int, letter: Letter, error: AudioEngineError, *, had_luck: bool
    ) -> None:
        log().warning("letter waits on", address=line.address, error=str(error))
        failures = 1 if had_luck else line.failures + 1
        pause = self._backoff.pause_s(failures)
        with self._database.writing() as connection:
            connection.execute("UPDATE letters SET alarm = NULL WHERE number = ?", (number,))
            self._raise_alarm(connection, self._alarm(letter, error))
            self._move(connection, line, pause, failures=failures)

    @staticmethod
    def _alarm(letter: Letter, error: AudioEngineError) -> Letter | None:
        """Return the alarm for a letter that can't be sent, unless it was raised already."""
        alarm = letter.alarm
        if alarm is None:
            return None
        failure = cut(f"{letter.address}: {error}", MAX_FAILURE_BYTES)
        body = {**json.loads(alarm.body), "error": failure}
        return replace(alarm, body=json.dumps(body))

    def _raise_alarm(self, connection: sqlite3.Connection, alarm: Letter | None) -> None:
        if alarm is not None:
            self._put(connection, alarm, has_failed=False, is_held=False)
            self.changed.set()

    def _set_due(self, line: Line, after_s: float, *, failures: int) -> None:
        with self._database.writing() as connection:
            self._move(connection, line, after_s, failures=failures)

    def _move(
        self, connection: sqlite3.Connection, line: Line, after_s: float, *, failures: int
    ) -> None:
        now = self._clock()
        connection.execute(
            "UPDATE lines SET since = ?, due_at = ?, failures = ?"
            " WHERE channel = ? AND address = ? AND lane = ?",
            (now, now + after_s, failures, *line.place),
        )


def _packed(letter: Letter) -> str:
    values = {"address": letter.address, "body": letter.body, "attributes": dict(letter.attributes)}
    return json.dumps(values)


def _unpacked(text: str) -> Letter:
    values: Mapping[str, Any] = json.loads(text)
    return Letter(channel="topic", **values)


def _count(metrics: Metrics | None, letter: Letter, outcome: Any) -> None:
    # What has waited before was counted then.
    if metrics is not None and outcome is not None:
        metrics.letter(letter.channel, outcome)


class Flusher:
    """Flushes an outbox in the background, many lines at once, until it is closed."""

    def __init__(
        self,
        outbox: Outbox,
        senders: Mapping[Channel, Sender],
        metrics: Metrics | None = None,
    ) -> None:
        """Begin at once with what an earlier process has left."""
        self._outbox = outbox
        self._senders = senders
        self._metrics = metrics
        self._lock = threading.Lock()
        self._sending: list[Line] = []
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Wait for the letters that are being sent, and end."""
        self._closing.set()
        self._outbox.changed.set()
        self._thread.join()

    def _run(self) -> None:
        with ThreadPoolExecutor(sum(_MOST_AT_ONCE.values()), "letters") as pool:
            while not self._closing.is_set():
                try:
                    self._begin(pool)
                except Exception as error:  # noqa: BLE001 - whatever it is, letters must go out later
                    log().error("outbox can't be flushed", error=f"{type(error).__name__}: {error}")
                self._outbox.changed.wait(_LOOKS_EVERY_S)
                self._outbox.changed.clear()

    def _begin(self, pool: ThreadPoolExecutor) -> None:
        due = self._outbox.due(self._senders.keys())
        while due and (line := self._next(due)) is not None:
            due.remove(line)
            if self._outbox.take(line):
                with self._lock:
                    self._sending.append(line)
                pool.submit(self._send, line)

    def _next(self, due: list[Line]) -> Line | None:
        """The line whose address has the fewest under way, those that failed last time at the end.

        None where all that are due have to wait for others of their channel.
        """
        with self._lock:
            sending = tuple(self._sending)
        busy = Counter(line.channel for line in sending)
        failing = Counter(line.channel for line in sending if line.failures)
        of_address = Counter((line.channel, line.address) for line in sending)

        def may(line: Line) -> bool:
            most = _MOST_AT_ONCE[line.channel]
            in_time = not line.failures or failing[line.channel] < most * _MOST_FAILING
            return busy[line.channel] < most and in_time

        def order(line: Line) -> tuple[bool, int, float]:
            return line.failures > 0, of_address[line.channel, line.address], line.due_at

        return min(filter(may, due), key=order, default=None)

    def _send(self, line: Line) -> None:
        try:
            self._outbox.send(line, self._senders, self._closing.is_set, self._metrics)
        except Exception as error:  # noqa: BLE001 - its lease ends, and it is sent again
            log().error("letter can't be sent", error=f"{type(error).__name__}: {error}")
        finally:
            with self._lock:
                self._sending.remove(line)
            self._outbox.changed.set()
