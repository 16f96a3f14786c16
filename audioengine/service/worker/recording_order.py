# SPDX-License-Identifier: Apache-2.0
"""The order of commands: one after another on a recording, and tenants by turns.

A recording belongs to a tenant: another tenant's command on the same id does not hold it up.

A tenant has trouble while one of its commands is retried, and for a while after several have
failed. Then it gets only some of the processes: each of its attempts may take its whole time-out,
and others need room. While many of its commands are retried, no new ones of it are begun: each
attempt counts, and they would fail for the same reason.
"""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count

from audioengine.key_order import KeyOrder, Slot
from audioengine.service.queues.queue import Message


@dataclass(eq=False, slots=True)
class HeldMessage:
    """A message in hand, or the place of one that was given back."""

    message: Message
    """As it was handed out last; without its body while it is away."""
    recordings: frozenset[str]
    """Ids of the recordings that its command names, or seems to name."""
    since: float
    """When it was handed out, on the monotonic clock."""
    tenant: str = ""
    """The domain that its token proves; empty: none, or there is one tenant."""
    waits: bool = False
    """Whether something else must happen first, until `RecordingOrder.let` is called."""
    begun: float | None = None
    """When its command was begun, likewise; None: it waits, or was given back to the queue."""
    away_until: float | None = None
    """Given back to the queue: how long its place is kept, on the monotonic clock."""
    slot: Slot[HeldMessage] | None = None
    """Its place in the order."""
    has_failed: bool = False
    """Whether an attempt at it has failed, here or elsewhere."""

    @property
    def is_behind(self) -> bool:
        """Whether another command on one of its recordings comes first."""
        return self.slot is not None and not self.slot.is_first

    @property
    def is_waiting(self) -> bool:
        """Whether it is in hand, and not begun."""
        return self.begun is None and self.away_until is None


# Commands of one tenant that are retried.
_MOST_FAILED = 50
# So many that failed for good, within so long, are trouble.
_MANY, _WHILE_S = 3, 60.0
_MOST_TENANTS = 10_000


@dataclass(slots=True)
class _Tenant:
    ready: deque[HeldMessage] = field(default_factory=deque)
    in_hand: int = 0
    away: int = 0
    begun: int = 0
    failed: int = 0
    """Of those in hand or away, how many have failed."""


class RecordingOrder:
    """Messages in hand or away, by their arrival; no two of one recording are begun.

    Not for several threads at once.
    """

    def __init__(
        self,
        most_of_troubled: int,
        most_troubled: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Hold nothing yet.

        most_of_troubled: how many may be begun of a tenant that has trouble.
        most_troubled: of all such tenants together.
        clock: in seconds.
        """
        self._most_of_troubled = most_of_troubled
        self._most_troubled = most_troubled
        self._clock = clock
        # By tenant, when its last commands failed for good.
        self._failed_at: dict[str, deque[float]] = {}
        self._held: dict[str, HeldMessage] = {}
        # By tenant and recording.
        self._order: KeyOrder[HeldMessage] = KeyOrder()
        # The first tenant is the next one.
        self._tenants: dict[str, _Tenant] = {}
        self._away: list[tuple[float, int, HeldMessage]] = []
        self._numbers = count()

    def __iter__(self) -> Iterator[HeldMessage]:
        """All, in the order of their arrival."""
        return iter(tuple(self._held.values()))

    def find(self, message_id: str) -> HeldMessage | None:
        """Return what is in hand or away under this id."""
        return self._held.get(message_id)

    @property
    def in_hand(self) -> int:
        """How many are in hand."""
        return sum(one.in_hand for one in self._tenants.values())

    @property
    def away(self) -> int:
        """How many are away."""
        return sum(one.away for one in self._tenants.values())

    def in_hand_of(self, tenant: str) -> int:
        """How many of a tenant are in hand."""
        return self._tenants[tenant].in_hand if tenant in self._tenants else 0

    def away_of(self, tenant: str) -> int:
        """How many of a tenant are away."""
        return self._tenants[tenant].away if tenant in self._tenants else 0

    def has_trouble(self, tenant: str) -> bool:
        """Whether one of a tenant's commands is tried again, or several have just failed."""
        if tenant in self._tenants and self._tenants[tenant].failed > 0:
            return True
        failures = self._failed_at.get(tenant)
        if failures is None or len(failures) < _MANY:
            return False
        return self._clock() - failures[0] < _WHILE_S

    def note_failure(self, tenant: str) -> None:
        """Note that a command of a tenant has failed for good."""
        now = self._clock()
        self._failed_at.setdefault(tenant, deque(maxlen=_MANY)).append(now)
        if len(self._failed_at) > _MOST_TENANTS:
            self._failed_at = {
                name: times for name, times in self._failed_at.items() if now - times[-1] < _WHILE_S
            }

    @property
    def ready(self) -> int:
        """How many may be begun, of each tenant that has trouble one at most."""
        return sum(
            min(len(one.ready), 1) if self.has_trouble(name) else len(one.ready)
            for name, one in self._tenants.items()
        )

    def add(self, held: HeldMessage) -> None:
        """Take one in, behind the others of its recordings."""
        self._held[held.message.message_id] = held
        held.has_failed = held.message.receives > 1
        tenant = self._tenants.setdefault(held.tenant, _Tenant())
        tenant.in_hand += 1
        tenant.failed += held.has_failed
        keys = [(held.tenant, recording) for recording in held.recordings]
        held.slot = self._order.add(held, keys)
        self._make_ready(held)

    def let(self, held: HeldMessage) -> None:
        """Let one be begun that has waited for something else."""
        if held.waits and self.find(held.message.message_id) is held:
            held.waits = False
            self._make_ready(held)

    def _make_ready(self, held: HeldMessage) -> None:
        if held.is_waiting and not held.waits and not held.is_behind:
            self._tenants[held.tenant].ready.append(held)

    def begin(self, now: float) -> HeldMessage | None:
        """Return the message whose turn it is, and mark it as begun; None: there is none."""
        for name, tenant in self._tenants.items():
            held = self._next(name, tenant)
            if held is not None:
                tenant.ready.remove(held)
                held.begun = now
                tenant.begun += 1
                self._tenants[name] = self._tenants.pop(name)
                return held
        return None

    def _next(self, name: str, tenant: _Tenant) -> HeldMessage | None:
        if not tenant.ready or not self._may_begin(name, tenant):
            return None
        if tenant.failed < _MOST_FAILED:
            return tenant.ready[0]
        return next((one for one in tenant.ready if one.has_failed), None)

    def _may_begin(self, name: str, tenant: _Tenant) -> bool:
        if not self.has_trouble(name):
            return True
        troubled = sum(of.begun for one, of in self._tenants.items() if self.has_trouble(one))
        return tenant.begun < self._most_of_troubled and troubled < self._most_troubled

    def give_back(self, held: HeldMessage, until: float, *, has_failed: bool) -> None:
        """Keep the place of one that comes again, for so long."""
        tenant = self._tenants[held.tenant]
        if held.begun is not None:
            tenant.begun -= 1
        elif held in tenant.ready:
            tenant.ready.remove(held)
        if has_failed and not held.has_failed:
            held.has_failed = True
            tenant.failed += 1
        tenant.in_hand -= 1
        tenant.away += 1
        held.begun = None
        held.away_until = until
        held.message = replace(held.message, body="")
        heapq.heappush(self._away, (until, next(self._numbers), held))

    def come_again(
        self, held: HeldMessage, message: Message, now: float, *, waits: bool = False
    ) -> None:
        """Take in once more what is in hand or away: its time ran out, or it was given back."""
        held.message = message
        held.since = now
        if held.away_until is not None:
            held.away_until = None
            held.waits = waits
            tenant = self._tenants[held.tenant]
            tenant.away -= 1
            tenant.in_hand += 1
            self._make_ready(held)

    def forget_late(self, now: float) -> None:
        """Give up the places of what did not come again in time: others have it."""
        while self._away and self._away[0][0] < now:
            until, _, held = heapq.heappop(self._away)
            if held.away_until == until and self.find(held.message.message_id) is held:
                self.end(held)

    def end(self, held: HeldMessage) -> None:
        """Let go of one, be it begun, waiting or away."""
        del self._held[held.message.message_id]
        tenant = self._tenants[held.tenant]
        if held.is_waiting and held in tenant.ready:
            tenant.ready.remove(held)
        tenant.begun -= held.begun is not None
        tenant.away -= held.away_until is not None
        tenant.in_hand -= held.away_until is None
        tenant.failed -= held.has_failed
        if not tenant.in_hand and not tenant.away:
            del self._tenants[held.tenant]
        assert held.slot is not None
        for freed in self._order.remove(held.slot):
            self._make_ready(freed)
