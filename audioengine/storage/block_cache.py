# SPDX-License-Identifier: Apache-2.0
"""Blocks of remote objects, kept within one budget however many objects are open."""

from __future__ import annotations

import mmap
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import TypeAlias

# A block this long is kept in pages of its own, which go back to the system with it. On the heaps
# of several threads, blocks that come and go in turns leave holes of twice their size.
_PAGED_BYTES = 64 << 10

Block: TypeAlias = bytes | mmap.mmap
"""Slices of either are bytes."""


class BlockCache:
    """The blocks that were used last, of all objects together; may be shared by threads."""

    def __init__(self, budget_bytes: int) -> None:
        self._budget_bytes = budget_bytes
        self._lock = Lock()
        self._blocks: OrderedDict[tuple[object, int], Block] = OrderedDict()
        self._bytes = 0

    def get(self, owner: object, number: int, load: Callable[[], bytes]) -> Block:
        """Block `number` of an object; `load` gives it where it is not kept.

        owner: what stands for the object, compared by identity. Two threads that ask for one block
        at once may load it twice.
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
        """Keep a block; those used longest ago go where the budget is exceeded."""
        kept = _paged(block) if len(block) >= _PAGED_BYTES else block
        with self._lock:
            before = self._blocks.pop((owner, number), b"")
            self._blocks[owner, number] = kept
            self._bytes += len(block) - len(before)
            while self._bytes > self._budget_bytes and len(self._blocks) > 1:
                self._bytes -= len(self._blocks.popitem(last=False)[1])

    def drop(self, owner: object) -> None:
        """Forget an object's blocks."""
        with self._lock:
            for key in [key for key in self._blocks if key[0] is owner]:
                self._bytes -= len(self._blocks.pop(key))

    @property
    def kept_bytes(self) -> int:
        """Bytes of all blocks."""
        return self._bytes


def _paged(block: bytes) -> mmap.mmap:
    """A copy in pages of its own."""
    pages = mmap.mmap(-1, len(block))
    pages[:] = block
    return pages
