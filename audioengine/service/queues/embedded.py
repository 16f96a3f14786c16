# SPDX-License-Identifier: Apache-2.0
"""A command queue in a local file: durable, in order for each group, with dead letters."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from uuid import uuid4

from audioengine.errors import InvalidRequestError, StorageError
from audioengine.service.queues.queue import CommandQueue, Message
from audioengine.service.sqlite_file import Database
from audioengine.service.waiting import any_in_the_future, begin_anew

_VERSION = 2
_SCHEMA = """
CREATE TABLE messages (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    of_group TEXT NOT NULL,
    attributes TEXT NOT NULL,
    sent_ms INTEGER NOT NULL,
    since REAL NOT NULL,
    due_at REAL NOT NULL,
    receives INTEGER NOT NULL DEFAULT 0,
    receipt TEXT,
    is_dead INTEGER NOT NULL DEFAULT 0,
    body TEXT NOT NULL
);
CREATE INDEX of_groups ON messages (of_group, number) WHERE NOT is_dead;
CREATE INDEX waiting ON messages (number) WHERE NOT is_dead;
CREATE INDEX dead ON messages (number) WHERE is_dead;
CREATE INDEX tried ON messages (due_at) WHERE NOT is_dead AND receives > 0;
CREATE INDEX began ON messages (since);
CREATE TABLE clock (last_ms INTEGER NOT NULL);
INSERT INTO clock VALUES (0)
"""
# Of each group the first one alone may be handed out.
_NEXT = """
SELECT * FROM messages AS one
WHERE NOT is_dead AND due_at <= :now AND NOT EXISTS (
    SELECT 1 FROM messages AS earlier
    WHERE NOT earlier.is_dead AND earlier.of_group = one.of_group AND earlier.number < one.number
)
ORDER BY number LIMIT :limit
"""
_NEXT_DEAD = "SELECT * FROM messages WHERE is_dead AND due_at <= :now ORDER BY number LIMIT :limit"
_LOOKS_EVERY_S = 0.05
_MOST_RECEIVED = 10


class EmbeddedQueue(CommandQueue):
    """A queue for the processes of one machine."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        visibility_s: float = 60,
        max_receives: int | None = 5,
        is_dead: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open the file, which is made where it is not there.

        visibility_s: how long a message that was handed out is kept from others.
        max_receives: how often it is handed out before it goes to the dead letters; None: for ever.
        is_dead: hand out its dead letters, whose groups are of no account.
        clock: in seconds, the same for all processes of the machine; nobody must set it.

        Raises StorageError.
        """
        self._database = Database(path, _SCHEMA, _VERSION)
        self._is_dead = is_dead
        self._next = _NEXT_DEAD if is_dead else _NEXT
        self._path = path
        self._visibility_s = visibility_s
        self._max_receives = max_receives
        self._clock = clock

    def __reduce__(self) -> tuple[Callable[[], EmbeddedQueue], tuple[()]]:
        """In another process it opens the file anew."""
        made = partial(
            EmbeddedQueue,
            self._path,
            visibility_s=self._visibility_s,
            max_receives=self._max_receives,
            is_dead=self._is_dead,
            clock=self._clock,
        )
        return made, ()

    def send(self, body: str, *, group: str, attributes: Mapping[str, str] | None = None) -> str:
        """Queue a message; it is on the disk when this returns. Raises StorageError."""
        message_id, now = str(uuid4()), self._clock()
        with self._database.writing() as connection:
            row = (message_id, body, group, json.dumps(dict(attributes or {})))
            connection.execute(
                "INSERT INTO messages (id, body, of_group, attributes, sent_ms, since, due_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (*row, _tick(connection), now, now),
            )
        return message_id

    def receive(self, limit: int, wait_s: float) -> Sequence[Message]:
        """Return up to `limit` messages (1 to 10), as soon as there is one; none after `wait_s`.

        Raises StorageError.
        """
        if not 1 <= limit <= _MOST_RECEIVED:
            raise InvalidRequestError.of("limit", limit, f"must be 1 to {_MOST_RECEIVED}")
        until = time.monotonic() + wait_s
        while True:
            if self._has_any() and (messages := self._received(limit)):
                return messages
            left = until - time.monotonic()
            if left <= 0:
                return ()
            time.sleep(min(left, _LOOKS_EVERY_S))

    def extend(self, message: Message, seconds: int) -> None:
        """Keep a message from others for so long from now. Raises StorageError."""
        self._hide(message, seconds)

    def release(self, message: Message, seconds: int = 0) -> None:
        """Hand a message out again, after so long. Raises StorageError."""
        self._hide(message, seconds)

    def delete(self, message: Message) -> None:
        """Take a message out of the queue for good. Raises StorageError."""
        with self._database.writing() as connection:
            done = connection.execute(
                "DELETE FROM messages WHERE id = ? AND receipt = ?",
                (message.message_id, message.receipt),
            )
            _check_own(done, message)

    @property
    def max_receives(self) -> int | None:
        """How often a message is handed out before it goes to the dead letters; None: for ever."""
        return self._max_receives

    def dead_letters(self) -> EmbeddedQueue:
        """Return what hands out the dead letters, again and again. Raises StorageError."""
        return EmbeddedQueue(
            self._path,
            visibility_s=self._visibility_s,
            max_receives=None,
            is_dead=True,
            clock=self._clock,
        )

    def now_ms(self) -> int:
        """Return the queue's own time, after all that was sent before. Raises StorageError."""
        with self._database.writing() as connection:
            return _tick(connection)

    def depth(self) -> int:
        """Return how many messages wait, those in work included. Raises StorageError."""
        return self._count("is_dead" if self._is_dead else "NOT is_dead")

    def dead(self) -> int:
        """Return how many dead letters there are. Raises StorageError."""
        return self._count("is_dead")

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def _has_any(self) -> bool:
        # Reading keeps nobody from writing.
        with self._database.reading() as connection:
            now = self._clock()
            if any_in_the_future(connection, "messages", now):
                return True
            return connection.execute(self._next, {"now": now, "limit": 1}).fetchone() is not None

    def _received(self, limit: int) -> list[Message]:
        now = self._clock()
        with self._database.writing() as connection:
            begin_anew(connection, "messages", now)
            if self._max_receives is not None:
                connection.execute(
                    "UPDATE messages SET is_dead = 1, receipt = NULL"
                    " WHERE NOT is_dead AND receives > 0 AND due_at <= ? AND receives >= ?",
                    (now, self._max_receives),
                )
            rows = connection.execute(self._next, {"now": now, "limit": limit}).fetchall()
            return [self._handed_out(connection, row, now) for row in rows]

    def _handed_out(self, connection: sqlite3.Connection, row: sqlite3.Row, now: float) -> Message:
        receipt = str(uuid4())
        connection.execute(
            "UPDATE messages SET since = ?, due_at = ?, receives = receives + 1, receipt = ?"
            " WHERE number = ?",
            (now, now + self._visibility_s, receipt, row["number"]),
        )
        return Message(
            message_id=row["id"],
            body=row["body"],
            receipt=receipt,
            receives=row["receives"] + 1,
            sent_ms=row["sent_ms"],
            group=row["of_group"],
            attributes=json.loads(row["attributes"]),
        )

    def _hide(self, message: Message, seconds: float) -> None:
        now = self._clock()
        with self._database.writing() as connection:
            done = connection.execute(
                "UPDATE messages SET since = ?, due_at = ?"
                " WHERE id = ? AND receipt = ? AND is_dead = ?",
                (now, now + seconds, message.message_id, message.receipt, self._is_dead),
            )
            _check_own(done, message)

    def _count(self, condition: str) -> int:
        with self._database.reading() as connection:
            query = f"SELECT count(*) FROM messages WHERE {condition}"  # noqa: S608 - our own text
            return int(connection.execute(query).fetchone()[0])


def _tick(connection: sqlite3.Connection) -> int:
    """The next moment of the queue: about the time of day, but never before an earlier one.

    So what is sent is ordered as it was, whatever clocks its senders have.
    """
    now_ms = time.time_ns() // 1_000_000
    connection.execute("UPDATE clock SET last_ms = max(last_ms + 1, ?)", (now_ms,))
    return int(connection.execute("SELECT last_ms FROM clock").fetchone()[0])


def _check_own(done: sqlite3.Cursor, message: Message) -> None:
    if not done.rowcount:
        text = f"message {message.message_id!r} is gone, or was handed out to another meanwhile"
        raise StorageError(text)
