# SPDX-License-Identifier: Apache-2.0
"""Where re-made main data goes: never over another frame's, never less free than reserved."""

from __future__ import annotations

from dataclasses import replace

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


def sizes(rule: SlotRule, frame: int) -> list[tuple[int, int, int]]:
    """What a frame may become, smallest first: bitrate index, padding, bytes of its slot."""
    return [
        (index, padding, rule.format.frame_bytes(index, padding) - rule.overhead)
        for index in range(rule.bitrate_index, 15)
        for padding in (rule.padding(frame) if index == rule.bitrate_index else 0,)
    ]


def tried(length: int, frame: int, behind: int, reserve: int, rule: SlotRule) -> Placement | None:
    """The placement, by trying all sizes."""
    begin = min(behind, rule.format.max_main_data_begin)
    for index, padding, slot in sizes(rule, frame):
        if begin + slot - length >= reserve:
            return Placement(begin, index, padding, begin + slot - length)
    return None


@given(rules, numbers, st.integers(0, 2100), st.integers(0, 600), st.integers(0, 511))
@examples(100)
def test_a_placement_is_early_and_the_smallest_that_fits(
    rule: SlotRule, frame: int, length: int, behind: int, reserve: int
) -> None:
    assert lay(length, frame, behind, reserve, rule) == tried(length, frame, behind, reserve, rule)


@given(rules, numbers, st.integers(0, 600), st.integers(0, 511), st.data())
@examples(200)
def test_what_fits_to_the_byte_takes_no_larger_frame_and_a_byte_more_does(
    rule: SlotRule, frame: int, behind: int, reserve: int, data: st.DataObject
) -> None:
    begin = min(behind, rule.format.max_main_data_begin)
    index, padding, slot = data.draw(st.sampled_from(sizes(rule, frame)))
    exact = begin + slot - reserve
    assume(exact >= 1)
    assert lay(exact, frame, behind, reserve, rule) == Placement(begin, index, padding, reserve)
    for length in (exact - 1, exact + 1):
        found = lay(length, frame, behind, reserve, rule)
        assert found == tried(length, frame, behind, reserve, rule)


@given(rules, st.integers(0, 200), st.integers(0, 200))
@examples(100)
def test_a_padded_frame_holds_a_byte_more(rule: SlotRule, behind: int, reserve: int) -> None:
    rule = replace(rule, padded=True)
    for frame in range(rule.padding_period):
        slot = rule.format.frame_bytes(rule.bitrate_index, rule.padding(frame)) - rule.overhead
        assert rule.slot(frame) == slot
        length = behind + slot - reserve
        assume(length >= 0)
        exact = Placement(behind, rule.bitrate_index, rule.padding(frame), reserve)
        assert lay(length, frame, behind, reserve, rule) == exact


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
