# SPDX-License-Identifier: Apache-2.0
"""What is let in: so many connections, so many of an address, and heads of a bounded size."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import h11

_HEAD_END = re.compile(rb"\n\r?\n")


class Door:
    """Counts the connections of a server; for one event loop."""

    def __init__(self, most: int, most_of_address: int | None) -> None:
        """most, most_of_address: of connections at once; None: as many as that."""
        self._most = most
        self._most_of_address = most_of_address
        self._inside: Counter[str | None] = Counter()

    def enter(self, address: str | None) -> bool:
        """Let one in from an address, if there is room; None: it has none."""
        of_address = self._most_of_address
        is_full = self._inside.total() >= self._most
        if is_full or (address and of_address and self._inside[address] >= of_address):
            return False
        self._inside[address] += 1
        return True

    def leave(self, address: str | None) -> None:
        """Note that one is gone."""
        self._inside[address] -= 1
        if not self._inside[address]:
            del self._inside[address]


class BoundedHeads(h11.Connection):
    """h11's server, with the bound on heads also for one that has come at once."""

    def __init__(self, most_bytes: int) -> None:
        super().__init__(h11.SERVER, most_bytes)
        self._most_bytes = most_bytes

    def next_event(self) -> Any:
        """Return the next event, as h11 does.

        Raises h11.RemoteProtocolError where a head is larger than it may be.
        """
        if self.their_state is h11.IDLE:
            come = self.trailing_data[0]
            end = _HEAD_END.search(come)
            if (len(come) if end is None else end.end()) > self._most_bytes:
                raise h11.RemoteProtocolError("the head is too large", error_status_hint=431)
        return super().next_event()
