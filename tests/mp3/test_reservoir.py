# SPDX-License-Identifier: Apache-2.0
"""Where re-made main data goes: never over another frame's, never less free than reserved."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from audioengine.mp3.reservoir import Placement, SlotRule, lay
from tests.strategies import examples, formats

rules = st.builds(
    lambda one, bitrate_index, padded, protected: SlotRule(
        one, bitrate_index, padded, 4 + 2 * protected + one.side_info_bytes
    ),
    formats,
    st.integers(1, 14),
    st.booleans(),
    st.booleans(),
)
numbers = st.integers(-10, 10_000)


@given(rules, numbers, st.integers(0, 2100), st.integers(0, 600), st.integers(0, 511))
@examples(300)
def test_a_placement_is_early_and_the_smallest_that_fits(
    rule: SlotRule, frame: int, length: int, behind: int, reserve: int
) -> None:
    """Against trying all sizes."""
    begin = min(behind, rule.format.max_main_data_begin)
    fitting = []
    for index in range(rule.bitrate_index, 15):
        padding = rule.padding(frame) if index == rule.bitrate_index else 0
        free = begin + rule.format.frame_bytes(index, padding) - rule.overhead - length
        if free >= reserve:
            fitting.append(Placement(begin, index, padding, free))
    assert lay(length, frame, behind, reserve, rule) == (fitting[0] if fitting else None)


@given(rules, st.data())
def test_frames_laid_in_a_row_never_overlap_and_honour_what_is_reserved(
    rule: SlotRule, data: st.DataObject
) -> None:
    """In one stream of slots: each ADU lies behind the one before it and in its frame's reach."""
    position = 0  # where the frame's own slot starts
    taken = 0  # where the last ADU ends
    behind = 0
    for frame in range(data.draw(st.integers(1, 12))):
        length = data.draw(st.integers(0, 1500))
        reserve = data.draw(st.integers(0, rule.format.max_main_data_begin))
        placement = lay(length, frame, behind, reserve, rule)
        if placement is None:
            break
        assert 0 <= placement.main_data_begin <= rule.format.max_main_data_begin
        assert rule.bitrate_index <= placement.bitrate_index <= 14
        start = position - placement.main_data_begin
        size = rule.format.frame_bytes(placement.bitrate_index, placement.padding)
        slot = size - rule.overhead
        assert start >= taken
        assert start + length <= position + slot
        position += slot
        taken = start + length
        behind = placement.free
        assert position - taken == behind >= reserve


@given(rules, st.integers(1, 60))
def test_an_exact_rule_keeps_the_exact_bitrate(rule: SlotRule, frames: int) -> None:
    format, index = rule.format, rule.bitrate_index
    assume(format.frame_bytes(index) >= rule.overhead)
    sizes = []
    for frame in range(frames):
        placement = lay(0, frame, 0, 0, rule)
        assert placement is not None
        assert placement.bitrate_index == index
        sizes.append(format.frame_bytes(index, placement.padding))
    exact = format.bitrates_kbps[index] * 125 * format.samples_per_frame * frames
    if rule.padded:
        assert sum(sizes) == exact // format.rate_hz
    else:
        assert set(sizes) == {format.frame_bytes(index)}
