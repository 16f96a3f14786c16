# SPDX-License-Identifier: Apache-2.0
"""Masks and trims of a merge's parts: on their own clocks, in the same pass."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

import audioengine as ae
from tests.operations.helpers import PARTIES, Cut, Pcm, masking, recording
from tests.operations.merge_promises import (
    LEAST_SNR_DB,
    assert_clock,
    assert_copies,
    assert_gaps,
    assert_heard,
    lag,
    snr_db,
)
from tests.operations.merging import Merged, conversation, merge
from tests.operations.test_no_influence import assert_nothing_heard, envelopes
from tests.operations.timelines import EPOCH, Part, part, reach, runs

Floats = npt.NDArray[np.float64]


def assert_beeps(pcm: Pcm, rate: int) -> None:
    """A sine of 1 kHz, 20 dB below full scale, and nothing else."""
    phases = 2 * np.pi * 1000 / rate * np.arange(len(pcm))
    basis = np.stack([np.sin(phases), np.cos(phases)], axis=1)
    sine, cosine = np.linalg.lstsq(basis, pcm.astype(float), rcond=None)[0]
    left = pcm - basis @ np.array([sine, cosine])
    assert abs(20 * np.log10(np.hypot(sine, cosine)) + 20) < 0.5
    assert 10 * np.log10((left**2).mean() / 0.005) < -25


def inside(merged: Merged, name: str, start: int, end: int, margin_ms: int = 30) -> slice:
    """Where on the timeline a stretch of a recording's clock is, without its edges."""
    number = [one.name for one in merged.model.parts].index(name)
    margin = merged.model.rate * margin_ms // 1000
    return slice(
        merged.model.place(number, start) + margin, merged.model.place(number, end) - margin
    )


# Masks


@pytest.mark.parametrize("render", ["smart", "full"])
@pytest.mark.parametrize("party", [*PARTIES, "both"])
@pytest.mark.parametrize(
    ("name", "other", "start_ms"),
    [
        ("nores-8k", "mono-8k", 6500),  # copied
        ("stereo-8k", "telephone-8k", 0),  # mixed with nothing but the other's end
        ("nores-8k", "crc-16k", 6500),  # resampled
    ],
)
def test_a_masked_stretch_holds_the_beep(
    name: str, other: str, start_ms: int, party: str, render: str
) -> None:
    """The other party keeps its voice there; the report tells where it lies."""
    source = recording(name)
    start, end = 12_000, 36_000
    parts = [Part(source, 1003, cut=masking(party, (start, end))), part(other, start_ms + 7503)]
    merged = merge(*parts, render=render)
    assert_clock(merged)
    assert_heard(merged)
    there = inside(merged, name, start, end)
    got = merged.decoded("pyav").astype(float)
    for channel in (0, 1):
        if party in (PARTIES[channel], "both"):
            assert_beeps(got[there, channel], merged.model.rate)
        else:
            want = merged.model.sum[there, channel]
            assert lag(got[there, channel, None], want[:, None]) == 0
            assert snr_db(got[there, channel], want) > LEAST_SNR_DB
    (mask,) = merged.part(name).masks
    assert mask.party == party
    assert mask.asked.samples == mask.applied.samples == (start, end)
    place = int(merged.model.ratio(0) * start), int(merged.model.ratio(0) * end)
    assert mask.timeline.samples == place
    assert mask.also_heard == ()
    assert merged.codes == []


@pytest.mark.parametrize("party", PARTIES)
@pytest.mark.parametrize("name", ["nores-8k", "stereo-44k"])
def test_the_other_party_is_untouched_where_it_is_copied(name: str, party: str) -> None:
    """Bit for bit, under the mask as well: these channels are coded apart."""
    source = recording(name)
    start, end = source.samples // 4, source.samples // 2
    other = "stereo-8k" if source.rate == 8000 else "nores-44k"
    merged = merge(Part(source, 0, cut=masking(party, (start, end))), part(other, 7000))
    if merged.report.grid_owner != name:
        merged = merge(merged.parts[0], part("mono-8k", 7000))
    assert merged.report.grid_owner == name
    assert merged.report.frames.spliced > 10
    kept = 1 - PARTIES.index(party)
    near = reach(source)
    for decoder in ("miniaudio", "pyav"):
        got, want = merged.decoded(decoder)[: source.samples], source.decoded(decoder)
        assert (got[near:-near, kept] == want[near:-near, kept]).all(), decoder
        masked = 1 - kept
        for low, high in ((near, start - near), (end + near, source.samples - near)):
            assert (got[low:high, masked] == want[low:high, masked]).all(), decoder


@pytest.mark.parametrize("render", ["smart", "full"])
@pytest.mark.parametrize("start_ms", [0, 2001])
def test_nothing_of_a_masked_voice_is_heard(start_ms: int, render: str) -> None:
    """Neither in its own channel nor in the other's, alone or under another recording."""
    source = conversation(0, 14.0)
    first, last = 3 * 8000, 11 * 8000
    parts = [
        Part(source, start_ms, cut=Cut(both=((first, last),))),
        Part(conversation(3, 3.0), 0) if start_ms else part("nores-8k", 15_000),
    ]
    merged = merge(*parts, render=render)
    offset = start_ms * 8
    for channel in (0, 1):
        voice = source.decoded("pyav")[first:last, channel]
        heard = merged.decoded("pyav")[offset + first : offset + last, channel]
        assert_nothing_heard(voice, heard, source.spf)


def test_a_mask_in_a_mix_takes_only_its_recording_s_party() -> None:
    """Of a sum, the other recording's voice and the beep are left; the report warns."""
    masked, other = part("nores-8k"), part("stereo-8k", 1001)
    start, end = 16_000, 40_000
    merged = merge(replace(masked, cut=masking("caller", (start, end))), other)
    there = inside(merged, "nores-8k", start, end)
    got = merged.decoded("pyav").astype(float)[there]
    want = merged.model.voice(1)[there]
    mixed = merged.model.sum[there]
    without = got[:, 0] - want[:, 0]
    phases = 2 * np.pi / 8 * np.arange(len(without))
    amplitude = 2 * abs((without * np.exp(-1j * phases)).mean())
    assert abs(20 * np.log10(amplitude) + 20) < 0.5
    assert snr_db(got[:, 1], mixed[:, 1]) > LEAST_SNR_DB
    (mask,) = merged.part("nores-8k").masks
    assert mask.also_heard == ("stereo-8k",)
    assert merged.codes == ["mask_heard_elsewhere"]
    message = merged.report.warnings[0].message
    assert "2000 to 5000 ms" in message
    assert "stereo-8k" in message


def test_a_mask_may_reach_all_who_list_a_conference_there() -> None:
    """Where they do, and nowhere else."""
    masked = Part(recording("nores-8k"), 0, ((1500, 4000),), cut=masking("both", (16_000, 40_000)))
    # The third starts first and so holds the conference, of which the second is silent.
    third = part("stereo-8k", -1000, (1500, 4000))
    alone = merge(masked, third)
    wide = merge(masked, third, mask_scope="conference")
    assert alone.part("stereo-8k").masks == ()
    assert alone.part("nores-8k").masks[0].also_heard == ("stereo-8k",)
    assert "mask_heard_elsewhere" in alone.codes
    (mask,) = wide.part("stereo-8k").masks
    assert mask.party == "both"
    # 2000 to 4000 ms: the mask, as far as the third lists the conference.
    assert mask.applied.samples == (24_000, 40_000)
    assert mask.timeline.samples == (24_000, 40_000)
    got = wide.decoded("pyav")
    heard = [runs(one) for one in wide.model.heard]
    assert heard[0] == [(0, 48_000)]
    for channel in (0, 1):
        assert_beeps(got[24_240:39_760, channel], 8000)
    before = slice(4000, 22_000)
    assert snr_db(got[before].astype(float), wide.model.sum[before]) > LEAST_SNR_DB
    # Away from the edges nothing of any voice shapes it: all frames of the beep sound alike.
    for channel in (0, 1):
        assert np.ptp(envelopes(got[26_000:38_000, channel], 576), axis=0).max() < 0.5


def test_a_mask_s_scope_ends_with_the_conference() -> None:
    """A recording that lists none keeps its words."""
    masked = Part(recording("nores-8k"), 0, ((1500, 4000),), cut=masking("both", (16_000, 40_000)))
    for other in (part("stereo-8k", -1000), part("stereo-8k", -1000, (5000, None))):
        merged = merge(masked, other, mask_scope="conference")
        assert merged.part("stereo-8k").masks == ()
        assert merged.data == merge(masked, other).data


def test_the_recorder_s_channels_may_be_the_other_way_round() -> None:
    cut = masking("caller", (12_000, 36_000))
    merged = merge(
        Part(recording("nores-8k"), cut=cut), part("stereo-8k", 7000), caller_channel="right"
    )
    got = merged.decoded("pyav")
    assert_beeps(got[12_240:35_760, 1], 8000)
    (mask,) = merged.part("nores-8k").masks
    assert (mask.party, mask.channel) == ("caller", "right")


def test_absolute_times_count_from_the_part_s_own_start() -> None:
    """Not from the timeline's."""
    modification = ae.Modification(
        mask={"both": [ae.Interval(EPOCH + 8500, EPOCH + 11_500)]}, absolute_times=True
    )
    parts = [
        part("stereo-8k").asked,
        replace(part("nores-8k", 7001).asked, modification=modification),
    ]
    plan = ae.plan_merge(parts)
    (mask,) = plan.parts[1].masks
    assert mask.applied.samples == (1499 * 8, 4499 * 8)
    assert mask.timeline.samples == (8500 * 8, 11_500 * 8)


@pytest.mark.parametrize("party", PARTIES)
def test_the_other_party_keeps_its_place_where_no_frame_is_without_a_mask(party: str) -> None:
    """Its granules are copied, bit for bit, though no whole frame is."""
    source = recording("nores-8k")
    merged = merge(Part(source, cut=masking(party, (0, source.samples))))
    kept = 1 - PARTIES.index(party)
    near = reach(source)
    got, want = merged.decoded("miniaudio"), source.decoded("miniaudio")
    assert (got[near:-near, kept] == want[near:-near, kept]).all()


@pytest.mark.parametrize("start_ms", [0, 7000])
@pytest.mark.parametrize("party", [*PARTIES, "both"])
def test_a_mask_from_the_start_of_an_untagged_recording(party: str, start_ms: int) -> None:
    """The beep begins with it, though no frame of the recording codes what comes before."""
    source = recording("untagged-16k")
    masked = Part(source, start_ms, cut=masking(party, (0, 16_000)))
    parts = (masked, part("mpeg2-16k-48k", 0)) if start_ms else (masked,)
    merged = merge(*parts)
    got, first = merged.decoded("pyav").astype(float), start_ms * 16
    for channel in (0, 1):
        if party in (PARTIES[channel], "both"):
            assert_beeps(got[first + 160 : first + 15_840, channel], 16_000)


# Trims


@pytest.mark.parametrize("trim", [(8000, 40_000), (0, 30_001), (10_007, 48_000)])
@pytest.mark.parametrize("other", ["stereo-8k", "midside-16k"])
def test_what_a_part_s_trim_takes_away_is_silent(other: str, trim: tuple[int, int]) -> None:
    """The recording keeps its place, and its neighbours theirs."""
    parts = Part(recording("nores-8k"), 0, cut=Cut(trim)), part(other, 7003)
    merged = merge(*parts)
    assert_clock(merged)
    assert_heard(merged)
    assert_copies(merged)
    assert_gaps(merged)
    reported = merged.part("nores-8k")
    assert reported.trim.applied.samples == trim
    assert reported.interval.samples == merged.model.audio(0)


def test_a_trim_also_ends_a_conference() -> None:
    """What it takes away leaves the conference to the next."""
    first = Part(recording("nores-8k"), 0, ((0, None),), cut=Cut((0, 24_000)))
    merged = merge(first, part("stereo-8k", 1000, (0, None)))
    assert_clock(merged)
    assert_heard(merged)
    assert_copies(merged)
    assert [one.samples for one in merged.part("stereo-8k").heard] == [(24_000, 56_000)]


def test_trim_and_masks_go_together() -> None:
    """A mask counts from the recording's start, not from the trim's."""
    cut = masking("both", (12_000, 30_000), trim=(8000, 44_000))
    merged = merge(Part(recording("nores-8k"), 0, cut=cut), part("stereo-8k", 3001))
    assert_clock(merged)
    assert_heard(merged)
    got = merged.decoded("pyav").astype(float)
    for channel in (0, 1):
        assert_beeps(got[12_240:23_700, channel], 8000)
    assert not np.abs(got[:6000]).any()


def test_one_part_alone_with_edits() -> None:
    """Its trim leaves silence before what is kept, as the clock demands."""
    cut = masking("caller", (20_000, 30_000), trim=(8000, 44_000))
    merged = merge(Part(recording("stereo-8k"), 0, cut=cut))
    assert merged.report.render == "smart"
    assert_clock(merged)
    assert_heard(merged)
    got, want = merged.decoded("pyav"), recording("stereo-8k").decoded("pyav")
    assert len(got) == 44_000
    near = reach(recording("stereo-8k"))
    assert (got[8000 + near : 44_000 - near, 1] == want[8000 + near : 44_000 - near, 1]).all()
    assert_beeps(got[20_240:29_760, 0], 8000)
