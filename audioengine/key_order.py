# SPDX-License-Identifier: Apache-2.0
"""Orders items by arrival on each key: of items that share a key, only the first may begin."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(eq=False, slots=True)
class Slot(Generic[T]):
    """An item's place in the order."""

    item: T
    keys: Collection[Hashable]
    ahead: int = 0
    """The number of its keys on which another item comes first."""

    @property
    def is_first(self) -> bool:
        """Whether its item may begin: it comes first on all its keys."""
        return not self.ahead


class KeyOrder(Generic[T]):
    """Items in order of arrival; not thread-safe."""

    def __init__(self) -> None:
        """Hold no item yet."""
        self._queues: dict[Hashable, deque[Slot[T]]] = {}

    def __len__(self) -> int:
        """Return the number of keys in use."""
        return len(self._queues)

    def add(self, item: T, keys: Collection[Hashable]) -> Slot[T]:
        """Add an item behind all others that share one of its keys."""
        slot = Slot(item, keys)
        for key in keys:
            queue = self._queues.setdefault(key, deque())
            slot.ahead += bool(queue)
            queue.append(slot)
        return slot

    def remove(self, slot: Slot[T]) -> list[T]:
        """Remove an item; return the items that became first because of it."""
        freed: list[T] = []
        for key in slot.keys:
            queue = self._queues[key]
            was_first = queue[0] is slot
            queue.remove(slot)
            if not queue:
                del self._queues[key]
            elif was_first:
                queue[0].ahead -= 1
                if queue[0].is_first:
                    freed.append(queue[0].item)
        return freed
