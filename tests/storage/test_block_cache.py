# SPDX-License-Identifier: Apache-2.0
"""Blocks of all objects together stay within one budget."""

from __future__ import annotations

import mmap

from hypothesis import given
from hypothesis import strategies as st

from audioengine.storage.block_cache import BlockCache

asked = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), max_size=60)


def block(owner: int, number: int) -> bytes:
    """A block that tells whose it is."""
    return bytes([16 * owner + number]) * (number + 1)


@given(asked, st.integers(6, 40))
def test_every_block_is_right_and_the_budget_holds(
    asked: list[tuple[int, int]], budget_bytes: int
) -> None:
    owners = [object() for _ in range(4)]
    cache = BlockCache(budget_bytes)
    for owner, number in asked:
        got = cache.get(owners[owner], number, lambda: block(owner, number))  # noqa: B023
        assert got == block(owner, number)
        assert cache.kept_bytes <= budget_bytes
    for each in owners:
        cache.drop(each)
    assert cache.kept_bytes == 0


def test_what_was_used_last_stays() -> None:
    """The block that was asked for longest ago goes."""
    cache, owner = BlockCache(3), object()
    for number in (0, 1, 0, 2):
        cache.get(owner, number, lambda: b"12"[:1])
    loaded = []

    def load() -> bytes:
        loaded.append(1)
        return b"1"

    cache.get(owner, 3, load)
    cache.get(owner, 0, load)
    assert loaded == [1]
    cache.get(owner, 1, load)
    assert loaded == [1, 1]


def test_a_block_above_the_budget_is_given_all_the_same() -> None:
    """One block is always kept: a reader goes on with it."""
    cache, owner = BlockCache(3), object()
    assert cache.get(owner, 0, lambda: b"12345") == b"12345"
    assert cache.get(owner, 1, lambda: b"67890") == b"67890"
    assert cache.kept_bytes == 5


def test_large_blocks_go_back_to_the_system() -> None:
    """They are kept in pages of their own, and read as any others."""
    cache, owner = BlockCache(1 << 20), object()
    data = bytes(range(256)) * 1024
    for number in range(9):
        cache.put(owner, number, data)
    kept = cache.get(owner, 8, lambda: b"")
    assert isinstance(kept, mmap.mmap)
    assert (kept[:], kept[1000:1010]) == (data, data[1000:1010])
    assert cache.kept_bytes == 1 << 20
    small = cache.get(owner, 9, lambda: data[:1000])
    assert cache.get(owner, 9, lambda: b"") == small == data[:1000]
