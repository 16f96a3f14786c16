# SPDX-License-Identifier: Apache-2.0
"""The order on keys, against one that looks at all items that came before."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from audioengine.key_order import KeyOrder, Slot


@given(st.lists(st.frozensets(st.sampled_from("abcd")), max_size=20), st.data())
def test_an_item_is_first_once_no_earlier_one_shares_a_key(
    items: list[frozenset[str]], data: st.DataObject
) -> None:
    order: KeyOrder[int] = KeyOrder()
    slots: list[Slot[int]] = []
    for number, keys in enumerate(items):
        slots.append(order.add(number, keys))
    while slots:
        for place, slot in enumerate(slots):
            earlier = slots[:place]
            assert slot.is_first == (not any({*one.keys} & {*slot.keys} for one in earlier))
        waiting = {slot.item for slot in slots if not slot.is_first}
        gone = slots.pop(data.draw(st.integers(0, len(slots) - 1)))
        freed = order.remove(gone)
        now_first = {slot.item for slot in slots if slot.is_first}
        assert sorted(freed) == sorted(waiting & now_first)
        assert len(order) == len({key for slot in slots for key in slot.keys})
    assert len(order) == 0
