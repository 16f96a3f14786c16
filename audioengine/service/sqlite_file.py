# SPDX-License-Identifier: Apache-2.0
"""A small file of SQLite that survives crashes, for the queue and the outbox.

Threads and processes may share the file.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from audioengine.errors import StorageError
from audioengine.storage.files import Failing

_PATIENCE_S = 30.0
# Of a write-ahead log that readers keep from being put away.
_MOST_LOG_BYTES = 16 << 20


class Database:
    """One file of tables; what a block of `writing` did is on the disk when the block ends."""

    def __init__(self, path: str | os.PathLike[str], schema: str, version: int) -> None:
        """Open the file, which is made where it is not there.

        schema: statements that make tables, with a semicolon after each.
        version: of the schema; a file that was made with another one is refused.

        Raises StorageError.
        """
        self._path = os.fspath(path)
        self._lock = threading.Lock()
        # It holds tokens and keys; SQLite gives its other files the same mode.
        with Failing(f"can't use the database {self._path!r}"):
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        with self._mapped():
            self._connection = sqlite3.connect(
                self._path, timeout=_PATIENCE_S, isolation_level=None, check_same_thread=False
            )
            self._connection.row_factory = sqlite3.Row
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute(f"PRAGMA journal_size_limit = {_MOST_LOG_BYTES}")
        self._make(schema, version)

    def _make(self, schema: str, version: int) -> None:
        with self.writing() as connection:
            made = connection.execute("PRAGMA user_version").fetchone()[0]
            if connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None:
                for statement in schema.split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {version}")
            elif made != version:
                message = f"can't use the database {self._path!r}: another version has made it"
                raise StorageError(f"{message} ({made}, not {version})")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Do all of a block or nothing, with nobody else writing meanwhile.

        Raises StorageError, `retryable` where the disk is full or somebody writes for very long.
        """
        with self._lock, self._mapped():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Look at what is there. Raises StorageError."""
        with self._lock, self._mapped():
            yield self._connection

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            passing = isinstance(error, sqlite3.OperationalError)
            message = f"can't use the database {self._path!r}: {error}"
            raise StorageError(message, retryable=passing) from error
