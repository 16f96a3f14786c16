# SPDX-License-Identifier: Apache-2.0
"""Moments in files of this machine: when a row is due, on a clock that nobody sets.

Each row has `since`, when its wait began, and `due_at`, its end, both on the machine's monotonic
clock, which all its processes share. After a boot, or where a process has been given another clock,
a wait seems to begin in the future; it then begins anew.
"""

from __future__ import annotations

import sqlite3

_TOLERANCE_S = 1.0
"""Of clocks that differ between processes."""


def begin_anew(connection: sqlite3.Connection, table: str, now: float) -> None:
    """Let waits that seem to begin in the future begin now; each is as long as it was."""
    connection.execute(
        f"UPDATE {table} SET due_at = due_at - since + :now, since = :now"  # noqa: S608 - our own text
        " WHERE since > :now + :tolerance",
        {"now": now, "tolerance": _TOLERANCE_S},
    )


def any_in_the_future(connection: sqlite3.Connection, table: str, now: float) -> bool:
    """Whether there are waits for `begin_anew`; quick where `since` has an index."""
    latest = connection.execute(f"SELECT max(since) FROM {table}").fetchone()[0]  # noqa: S608 - likewise
    return latest is not None and latest > now + _TOLERANCE_S
