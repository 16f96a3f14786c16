# SPDX-License-Identifier: Apache-2.0
"""Recordings that LAME did not write, or that a tool has cut, copied or repaired since.

The promises hold for them as for any other, and nearly all edits of them go the smart way.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import audioengine as ae
from fixtures import mpeg
from tests.operations.helpers import (
    PARTIES,
    Cut,
    Recording,
    cuts,
    decode_lengths,
    masking,
    recording,
    store,
)
from tests.operations.merge_promises import assert_clock, assert_gaps, assert_heard
from tests.operations.merging import merge
from tests.operations.promises import assert_promises
from tests.operations.timelines import Part
from tests.support import FOREIGN

STEREO = tuple(name for name in FOREIGN if recording(name).channels == 2)
# All frames are coded left/right.
APART = tuple(
    name for name in STEREO if not any(frame.mode_extension for frame in recording(name).frames)
)
CUT = tuple(name for name in FOREIGN if recording(name).silent)


def test_there_are_recordings_of_every_kind() -> None:
    assert len(FOREIGN) >= 25
    assert {name.removeprefix("foreign/").split("-")[0] for name in FOREIGN} >= {
        "ffmpeg", "gst", "helix", "lame", "lamejs", "lavf", "mp3splt", "mp3val", "shine", "sox",
    }  # fmt: skip
    assert len(CUT) >= 6
    assert len(APART) >= 5


@pytest.mark.parametrize("name", FOREIGN)
def test_all_frames_are_read_and_the_clock_is_that_of_players(name: str) -> None:
    """Of those that libsndfile, minimp3 and FFmpeg read alike; others are named in a warning."""
    source = recording(name)
    info = ae.inspect(source.data)
    assert (info.frames, info.samples) == (len(source.frames), source.samples)
    assert decode_lengths(source.playable) == {source.samples}
    if not source.silent and decode_lengths(source.data) != {source.samples}:
        assert info.warnings


@pytest.mark.parametrize("name", FOREIGN)
@given(st.data())
@settings(max_examples=6)
def test_any_legal_edits_keep_the_promises(name: str, data: st.DataObject) -> None:
    """Clock, tag, samples out of reach, the other party, copied frames, leftovers."""
    source = recording(name)
    assert_promises(store(source, data.draw(cuts(source))))


@pytest.mark.parametrize("name", FOREIGN)
def test_edits_at_the_start_the_middle_and_the_end_keep_the_promises(name: str) -> None:
    """A foreign recording's first and last frames are the odd ones."""
    source = recording(name)
    middle, end, spf = source.samples // 2, source.samples, source.spf
    for cut in (
        Cut((0, middle)),
        Cut((1, end)),
        Cut((3 * spf, end)),
        Cut((middle, end)),
        Cut((middle, middle + 2 * spf)),
        Cut(both=((0, spf),)),
        Cut(caller=((end - spf, end),)),
        Cut(callee=((middle, middle + 3 * spf),)),
    ):
        assert_promises(store(source, cut))


@pytest.mark.parametrize("party", PARTIES)
@pytest.mark.parametrize("name", APART)
def test_the_other_party_is_kept_bit_for_bit(name: str, party: str) -> None:
    """In every frame under the mask, where the source codes left and right apart."""
    source = recording(name)
    quarter = source.samples // 4
    result = store(source, masking(party, (quarter, 3 * quarter)))
    assert result.report.render == "smart"
    assert_promises(result)
    other = 1 - PARTIES.index(party)
    assert result.first_frame is not None
    kept = 0
    for frame in source.frames_within(quarter, 3 * quarter):
        got = result.sounds[frame - result.first_frame].channels[other]
        assert got == source.sounds[frame].channels[other], frame
        kept += any(got.data)
    assert kept > 5


def quieter(source: Recording, numbers: Iterable[int], channels: Iterable[int]) -> Recording:
    """The recording with 30 dB taken off the global_gain of channels in these frames."""
    frames = list(source.frames)
    chosen = list(channels)
    for place in numbers:
        frame = frames[place]
        assert not frame.protected
        mpeg_1 = frame.version == 3
        width, count = (59, 2) if mpeg_1 else (63, 1)
        side = bytearray(frame.data[frame.side_offset : frame.side_offset + frame.side_length])
        total = 8 * len(side)
        number = int.from_bytes(side, "big")
        first = total - count * source.channels * width
        for granule in range(count):
            for channel in chosen:
                start = first + (granule * source.channels + channel) * width
                # part2_3_length and big_values stand before it.
                shift = total - start - 12 - 9 - 8
                gain = number >> shift & 255
                number += max(0, gain - 20) - gain << shift
        data = bytearray(frame.data)
        data[frame.side_offset : frame.side_offset + len(side)] = number.to_bytes(len(side), "big")
        frames[place] = mpeg.Frame(frame.offset, bytes(data))
    out = bytearray(source.data)
    for frame in frames:
        out[frame.offset : frame.offset + len(frame.data)] = frame.data
    return replace(source, data=bytes(out), frames=tuple(frames))


@pytest.mark.parametrize("render", ["smart", "full"])
@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_removed_has_no_influence(name: str, render: str) -> None:
    """Sources that differ in it alone give the same bytes: masks of both, of one, and trims."""
    source = recording(name)
    quarter = source.samples // 4
    span = (quarter, 3 * quarter)
    inside = [frame for frame in source.frames_within(*span) if frame not in source.silent]
    assert len(inside) > 5
    every = tuple(range(source.channels))
    outside = [
        frame
        for frame in range(len(source.frames))
        if not -source.ext < frame * source.spf - source.start - quarter < 2 * quarter
        and frame not in source.silent
    ]
    edits = [(Cut(both=(span,)), inside, every), (Cut(span), outside, every)]
    for channel in every if source.channels == 2 else ():
        apart = [frame for frame in inside if not source.sounds[frame].coupled]
        edits.append((masking(PARTIES[channel], span), apart, (channel,)))
    for cut, numbers, channels in edits:
        other = quieter(source, numbers, channels)
        assert other.data != source.data
        plain, changed = (store(one, cut, render=render).data for one in (source, other))
        assert plain == changed


@pytest.mark.parametrize("name", [name for name in STEREO if recording(name).rate == 16_000])
@given(st.data())
@settings(max_examples=2)
def test_merges_lie_where_their_start_times_say(name: str, data: st.DataObject) -> None:
    """With any other of them, which begins before it ends, with it or after it."""
    others = [other for other in STEREO if other != name]
    first = Part(recording(name))
    second = Part(
        recording(data.draw(st.sampled_from(others))),
        data.draw(st.one_of(st.integers(0, 4000), st.integers(0, 100).map(lambda n: 36 * n))),
    )
    merged = merge(first, second)
    assert_clock(merged)
    assert_heard(merged)
    assert_gaps(merged)


@pytest.mark.parametrize("name", CUT)
def test_of_a_lossless_cut_only_what_is_lost_is_silent(name: str) -> None:
    """Where no edit is near, its first frames are named, and the rest is copied."""
    source = recording(name)
    middle = source.samples // 2
    result = store(source, Cut(both=((middle, middle + source.spf),)))
    assert result.report.render == "smart"
    assert_promises(result)
    assert "lost_main_data" in {notice.code for notice in result.report.warnings}
    assert result.report.frames.reencoded < len(source.frames) // 2


def test_nearly_all_edits_go_the_smart_way() -> None:
    """95 % at least; what does not says why."""
    smart, asked = 0, 0
    random = Random(1)
    for name in FOREIGN:
        source = recording(name)
        for _ in range(12):
            start = random.uniform(0, 0.9 * source.samples)
            end = min(source.samples, start + random.uniform(0.05, 2) * source.rate)
            span = (int(start), int(end))
            party = random.choice((*PARTIES, "both"))
            cut = random.choice((Cut(span), masking(party, span), masking(party, span)))
            plan = ae.plan_store(source.data, cut.modification(source.rate))
            smart += plan.render == "smart"
            assert plan.render == "smart" or plan.fallbacks
            asked += 1
    assert smart >= 0.95 * asked
