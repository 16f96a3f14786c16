# SPDX-License-Identifier: Apache-2.0
"""A cache of blocks of remote objects, with one budget for any number of open objects."""

from __future__ import annotations

import mmap
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import TypeAlias

# A block this long is kept in pages of its own, which return to the system with it. On the heaps of
# several threads, blocks that are freed and allocated in turn leave holes of twice their size.
_PAGED_BYTES = 64 << 10

Block: TypeAlias = bytes | mmap.mmap
"""Slices of either are bytes."""


class BlockCache:
    """The most recently used blocks of all objects; thread-safe."""

    def __init__(self, budget_bytes: int) -> None:
        self._budget_bytes = budget_bytes
        self._lock = Lock()
        self._blocks: OrderedDict[tuple[object, int], Block] = OrderedDict()
        self._bytes = 0

    def get(self, owner: object, number: int, load: Callable[[], bytes]) -> Block:
        """Return block `number` of an object; `load` returns it if it is not cached.

        owner: a value that stands for the object, compared by identity. Two threads that ask for a
        block at the same time may load it twice.
        """
        key = (owner, number)
        with self._lock:
            block = self._blocks.get(key)
            if block is not None:
                self._blocks.move_to_end(key)
                return block
        loaded = load()
        self.put(owner, number, loaded)
        return loaded

    def put(self, owner: object, number: int, block: bytes) -> None:
        """Cache a block; the least recently used ones are dropped if the budget is exceeded."""
        kept = _paged(block) if len(block) >= _PAGED_BYTES else block
        with self._lock:
            before = self._blocks.pop((owner, number), b"")
            self._blocks[owner, number] = kept
            self._bytes += len(block) - len(before)
            while self._bytes > self._budget_bytes and len(self._blocks) > 1:
                self._bytes -= len(self._blocks.popitem(last=False)[1])

    def drop(self, owner: object) -> None:
        """Drop an object's blocks."""
        with self._lock:
            for key in [key for key in self._blocks if key[0] is owner]:
                self._bytes -= len(self._blocks.pop(key))

    @property
    def kept_bytes(self) -> int:
        """The size of all cached blocks."""
        return self._bytes


def _paged(block: bytes) -> mmap.mmap:
    """A copy in pages of its own."""
    pages = mmap.mmap(-1, len(block))
    pages[:] = block
    return pages
