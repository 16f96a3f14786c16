# SPDX-License-Identifier: Apache-2.0
"""Whose turn it is: commands on one recording one after another, others as there is room."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from audioengine.batch.manifest_job import job_of
from audioengine.service.messages import Message


@dataclass(eq=False, slots=True)
class Held:
    """A message in hand."""

    message: Message
    """As it was handed out last."""
    recordings: frozenset[str]
    """Ids of the recordings that its command names, or seems to."""
    since: float
    """When it was handed out, on the monotonic clock."""
    begun: float | None = None
    """When its command was begun, likewise; None: it waits, or was given back to the queue."""
    away_until: float | None = None
    """Given back to the queue: how long its place is kept, on the monotonic clock."""
    before: int = 0
    """On how many of its recordings another is due before it."""


def recordings_of(body: str) -> frozenset[str]:
    """Return the ids of the recordings that a command names; of what is no JSON, seems to."""
    return job_of(0, body.encode(errors="replace")).recordings


class Turns:
    """Messages in hand, in the order of their arrival; no two of one recording are begun.

    Not for several threads at once.
    """

    def __init__(self) -> None:
        """Hold nothing yet."""
        self._held: dict[str, Held] = {}
        self._ready: deque[Held] = deque()
        # By recording, in order: only the first may be begun.
        self._chains: dict[str, deque[Held]] = {}

    def __len__(self) -> int:
        """How many are in hand."""
        return len(self._held)

    def __iter__(self) -> Iterator[Held]:
        """All, in the order of their arrival."""
        return iter(tuple(self._held.values()))

    def find(self, message_id: str) -> Held | None:
        """Return what is in hand under this id."""
        return self._held.get(message_id)

    @property
    def ready(self) -> int:
        """How many may be begun."""
        return len(self._ready)

    def add(self, held: Held) -> None:
        """Take one in, behind the others of its recordings."""
        self._held[held.message.message_id] = held
        for recording in held.recordings:
            chain = self._chains.setdefault(recording, deque())
            held.before += bool(chain)
            chain.append(held)
        if not held.before:
            self._ready.append(held)

    def begin(self, now: float) -> Held | None:
        """Return one whose turn it is; None: there is none."""
        if not self._ready:
            return None
        held = self._ready.popleft()
        held.begun = now
        return held

    def give_back(self, held: Held, until: float) -> None:
        """Keep the place of one that was begun and comes again, for so long."""
        held.begun = None
        held.away_until = until

    def come_again(self, held: Held, message: Message, now: float) -> None:
        """Take in once more what is in hand: its time ran out, or it was given back."""
        held.message = message
        held.since = now
        if held.away_until is not None:
            held.away_until = None
            self._ready.append(held)

    def end(self, held: Held) -> None:
        """Let go of one, be it begun, waiting or away."""
        del self._held[held.message.message_id]
        if held.begun is None and held in self._ready:
            self._ready.remove(held)
        for recording in held.recordings:
            chain = self._chains[recording]
            was_first = chain[0] is held
            chain.remove(held)
            if not chain:
                del self._chains[recording]
            elif was_first:
                chain[0].before -= 1
                if not chain[0].before:
                    self._ready.append(chain[0])
