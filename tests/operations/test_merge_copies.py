# SPDX-License-Identifier: Apache-2.0
"""What one recording says alone is copied; all else is the model's sum but for coding noise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import audioengine as ae
from fixtures import mpeg
from tests.operations.helpers import Pcm, Recording, lame, recorded, recording, talk
from tests.operations.merge_promises import (
    LEAST_SNR_DB,
    assert_clock,
    assert_copies,
    assert_faithful,
    assert_merged,
    lag,
    snr_db,
)
from tests.operations.merging import Merged, conversation, frames_of, merge, merges
from tests.operations.timelines import LOUDEST, NEAR_LOUD_MS, Part, part, reach, runs, timeline
from tests.strategies import examples

# Recordings whose frames may stand in one file, and how long a frame is in ms.
ALIKE = (
    (("mpeg25-8k-32k", "telephone-8k", "vbr-8k"), 72),
    (("stereo-8k", "nores-8k"), 72),
    (("mono-8k", "mono-8k-16k"), 72),
    (("midside-16k", "mpeg2-16k-48k", "vbr-16k", "crc-16k"), 36),
    (("nores-16k", "nores-vbr-16k"), 36),
)


def assert_frames_in_order(merged: Merged, one: Part) -> int:
    """So many of the output's frames are the recording's, all as far from where it has them.

    The report counts at most three more at each end of a stretch.
    """
    shifts: dict[int, set[int]] = {}
    for place, number in frames_of(merged, one):
        shifts.setdefault(place - number, set()).add(place)
    count = max((len(places) for places in shifts.values()), default=0)
    reported = merged.part(one.name)
    stretches = len(reported.heard) + 1
    assert reported.copied_frames - 6 * stretches <= count
    return count


# Copied


@given(merges())
@examples(12)
def test_every_timeline_s_copies_are_exact_and_the_rest_is_faithful(
    parts: tuple[Part, ...],
) -> None:
    merged = merge(*parts)
    assert_copies(merged)
    if merged.report.render != "copy":
        assert_faithful(merged)


@given(st.data())
@examples(7)
def test_recordings_on_one_grid_are_copied_one_after_the_other(data: st.DataObject) -> None:
    """CBR and VBR, with a CRC and without; with a gap, touching or overlapping."""
    names, frame_ms = data.draw(st.sampled_from(ALIKE))
    order = data.draw(st.permutations(names))[:3]
    parts: list[Part] = []
    start = 0
    for name in order:
        source = recording(name)
        if parts:
            # On the same grid: as tagged recordings begin at the same place in a frame.
            assume(source.start == parts[0].source.start)
        parts.append(part(name, start))
        lasts = source.samples * 1000 // source.rate
        start += (lasts + data.draw(st.integers(-1500, 3000))) // frame_ms * frame_ms
    merged = merge(*parts)
    assert len(merged.model.copied(order[0])) >= len(parts)
    assert_merged(merged)
    for one in parts:
        assert merged.part(one.name).not_copied is None
        assert assert_frames_in_order(merged, one) > 50


def test_frames_of_another_channel_mode_are_not_copied() -> None:
    """Some decoders stop where the mode changes."""
    merged = merge(part("stereo-8k"), part("mpeg25-8k-32k", 7200), part("nores-8k", 14_400))
    assert_merged(merged)
    copied = {one.id: one.copied_frames for one in merged.report.parts}
    assert copied["mpeg25-8k-32k"] == 0
    assert min(copied["stereo-8k"], copied["nores-8k"]) > 70
    notice = merged.part("mpeg25-8k-32k").not_copied
    assert notice is not None


def test_the_recording_with_most_to_copy_has_the_output_s_frames() -> None:
    """Not the first, nor the longest, where it speaks least alone."""
    longest = Part(conversation(0, 14.0), 0)
    covers = Part(conversation(1, 13.0), 400)
    alone = part("telephone-8k", 15_005)
    merged = merge(longest, covers, alone)
    assert merged.report.grid_owner == "telephone-8k"
    assert_merged(merged)


@pytest.mark.parametrize("rate", [8000, 16_000])
def test_one_that_covers_the_others_conference_is_copied_practically_whole(rate: int) -> None:
    """The others are heard nowhere and cost nothing."""
    whole = Part(conversation(0, 15.0, rate, rate * 3 // 1000 + 8), 0, ((2000, None),))
    others = [
        Part(conversation(number, 6.0, rate, rate * 3 // 1000 + 8), start, ((2000, 40_000),))
        for number, start in ((1, 3001), (2, 8003))
    ]
    merged = merge(others[1], whole, others[0])
    assert_merged(merged)
    source = whole.source
    counts = merged.report.frames
    assert counts.verbatim + counts.slot_rewritten >= len(source.frames) - 8
    assert counts.reencoded + counts.spliced <= 8
    assert merged.report.seconds_reencoded <= 8 * 0.072
    assert assert_frames_in_order(merged, whole) >= len(source.frames) - 8
    assert all(not frames_of(merged, other) for other in others)
    near = reach(source)
    got, want = merged.decoded("pyav"), source.decoded("pyav")
    assert (got[near:-near] == want[near:-near]).all()


@pytest.mark.parametrize("name", ["stereo-8k", "mpeg2-16k-48k", "mpeg1-44k-128k"])
def test_a_recording_that_is_cut_off_does_not_ring_on_into_the_gap(name: str) -> None:
    """Its last frame would play on: nothing cancels what it folds into the next one."""
    whole = recording(name)
    sounds = list(mpeg.sound(whole.data))
    # Where it is loud, so that it is heard.
    pcm = np.abs(whole.decoded("pyav")).max(axis=1)
    loud = int(np.argmax(np.convolve(pcm, np.ones(whole.spf), "valid")))
    cut_off = recorded("cut off", mpeg.join(sounds[: (loud + whole.start) // whole.spf + 1]))
    late = -(-(cut_off.samples + 20 * whole.spf) * 1000 // whole.rate)
    # The one before it has the output's frames; both are copied.
    merged = merge(Part(cut_off), Part(recording(name), late), align="frame")
    for decoder in ("miniaudio", "pyav", "soundfile"):
        level = np.abs(cut_off.decoded(decoder)[-whole.spf :]).max()
        gap = merged.decoded(decoder)[cut_off.samples + whole.rate // 100 :][: 10 * whole.spf]
        assert np.abs(gap).max() < 0.5 * level, decoder
        assert not gap[3 * whole.spf + 1056 :].any()
    assert merged.part("cut off").copied_frames > 0
    asked = [part.asked for part in merged.parts]
    verdict = ae.verify_merge(asked, merged.data, ae.MergeOptions(align="frame"))
    assert verdict.passed, verdict.failures


# Aligned by frames


def test_aligned_recordings_are_both_copied() -> None:
    """The later one moves by less than a frame, which the report says."""
    parts = part("stereo-8k"), part("nores-8k", 6501)
    exact = merge(*parts)
    assert exact.part("nores-8k").copied_frames == 0 or exact.part("stereo-8k").copied_frames == 0
    assert [one.moved_samples for one in exact.report.parts] == [0, 0]
    merged = merge(*parts, align="frame")
    assert merged.report.align == "frame"
    assert_frames_in_order(merged, parts[0])
    moved = {one.id: one.moved_samples for one in merged.report.parts}
    assert sorted(map(bool, moved.values())) == [False, True]
    for one in parts:
        assert assert_frames_in_order(merged, one) > 70
        reported = merged.part(one.name)
        assert abs(moved[one.name]) <= one.source.spf // 2
        place = merged.model.sample(one.start_ms) + moved[one.name]
        assert reported.offset.samples == merged.model.sample(one.start_ms)
        assert reported.interval.samples == (place, place + one.source.samples)
        near = reach(one.source)
        for decoder in ("miniaudio", "pyav"):
            got = merged.decoded(decoder)[place + near : place + one.source.samples - near]
            assert (got == one.source.decoded(decoder)[near:-near]).all(), decoder


def test_a_recording_moves_on_where_the_nearest_grid_point_would_overlap() -> None:
    """Touching the one before, it can't move back; with another right behind it, it stays."""
    first, second = part("stereo-8k"), part("nores-8k", 6000)
    merged = merge(first, second, align="frame")
    moved = {one.id: one.moved_samples for one in merged.report.parts}
    assert {moved["stereo-8k"], moved["nores-8k"]} == {0, 384}  # 192 back, 384 on
    # The third has most to copy; between it and the first there is no room.
    third = Part(recorded("long", lame(talk(8000, 12), 8000, 32)), 12_000)
    merged = merge(first, part("nores-8k", 6001), third, align="frame")
    assert_copies(merged)
    between = merged.part("nores-8k")
    room = 8  # samples between the first and the second
    assert -room <= between.moved_samples <= 0
    assert between.copied_frames == 0


@given(merges())
@examples(15)
def test_alignment_moves_by_less_than_a_frame_and_never_into_an_overlap(
    parts: tuple[Part, ...],
) -> None:
    """Nor what overlaps another already."""
    plan = ae.plan_merge([one.asked for one in parts], ae.MergeOptions(align="frame"))
    model = timeline(parts)
    spf = 1152 if model.rate >= 32_000 else 576
    there = [one.interval.samples for one in plan.parts]
    for number, one in enumerate(plan.parts):
        start, end = model.audio(number)
        assert abs(one.moved_samples) < spf
        assert there[number] == (start + one.moved_samples, end + one.moved_samples)
        others = [span for at, span in enumerate(there) if at != number]
        if one.moved_samples:
            assert start + one.moved_samples >= 0
            assert not any(
                low < there[number][1] and there[number][0] < high for low, high in others
            )
        asked = [model.audio(at) for at in range(len(parts)) if at != number]
        if any(low < end and start < high for low, high in asked):
            assert one.moved_samples == 0


# Made anew


@pytest.mark.parametrize("render", ["smart", "full"])
@pytest.mark.parametrize(
    "names",
    [
        ("mpeg25-8k-32k", "stereo-8k", "telephone-8k"),
        ("mpeg2-16k-48k", "crc-16k", "vbr-16k"),
        ("stereo-44k", "mpeg1-44k-128k"),
        ("mono-8k", "stereo-8k"),
        ("mono-8k", "mono-8k-16k"),
        ("telephone-8k", "midside-16k"),
        ("mpeg25-11k-32k", "mpeg2-22k-64k"),
        ("nores-16k", "mono-44k"),
    ],
    ids="+".join,
)
def test_sums_are_those_of_the_model_to_the_sample(names: tuple[str, ...], render: str) -> None:
    """Of one rate and of several, mono with stereo, CBR with VBR."""
    parts = [part(name, 1507 * number) for number, name in enumerate(names)]
    assert_merged(merge(*parts, render=render))


def test_mono_is_both_parties() -> None:
    """At its own level on each."""
    merged = merge(part("mono-8k"), part("stereo-8k", 7000))
    own = recording("mono-8k").decoded("pyav")[4000:44_000, 0].astype(float)
    for channel in (0, 1):
        got = merged.decoded("pyav")[4000:44_000, channel].astype(float)
        assert lag(got[:, None], own[:, None]) == 0
        assert snr_db(got, own) > LEAST_SNR_DB


def test_parties_stay_apart() -> None:
    """A recording of the caller alone leaves the callee's channel empty."""
    pcm = talk(8000, 6.0)
    pcm[:, 1] = 0
    left = recorded("caller alone", lame(pcm, 8000, 32))
    merged = merge(Part(left), Part(left_of_another(), 1003))
    assert_clock(merged)
    powers = (merged.decoded("pyav").astype(float) ** 2).sum(axis=0)
    assert 10 * np.log10(powers[1] / powers[0]) < -40


def left_of_another() -> Recording:
    pcm = talk(8000, 12.0)[6 * 8000 :]
    pcm[:, 1] = 0
    return recorded("another caller alone", lame(pcm, 8000, 32))


# The limiter


def loud(pcm: Pcm, name: str, kbps: int = 64) -> Recording:
    """Speech or noise pushed to full scale."""
    peak = np.abs(pcm).max()
    pushed = np.clip(pcm * (3 / peak), -0.7, 0.7)
    return recorded(name, lame(pushed, 8000, kbps))


def loud_pair(kind: str) -> tuple[Part, Part]:
    if kind == "speech":
        one, other = talk(8000, 6.0), talk(8000, 14.0)[8 * 8000 :]
    else:
        noise = np.random.default_rng(4).standard_normal((2, 6 * 8000, 2))
        shape = np.ones(64) / 64  # a telephone's band, as voices have it
        one, other = (
            np.apply_along_axis(np.convolve, 0, channel, shape, "same") for channel in noise
        )
    return Part(loud(one, f"loud {kind}")), Part(loud(other, f"other loud {kind}"), 2501)


@pytest.mark.parametrize("kind", ["speech", "noise"])
def test_full_scale_sums_decode_below_full_scale(kind: str) -> None:
    """The report says for how long and by how much they were turned down; nothing else is."""
    parts = loud_pair(kind)
    merged = merge(*parts)
    assert_clock(merged)
    assert_copies(merged)
    assert np.abs(merged.model.sum).max() > 1.2
    assert np.abs(merged.decoded("pyav")).max() < 1
    assert np.abs(merged.decoded("miniaudio").astype(int)).max() < 32_767
    (mixed,) = merged.report.mixed
    assert mixed.limiter_db is not None
    assert mixed.limited_ms is not None
    needed = 20 * np.log10(LOUDEST / np.abs(merged.model.sum).max())
    assert needed - 0.5 <= mixed.limiter_db <= needed + 0.5
    loud_ms = (np.abs(merged.model.sum) > LOUDEST).any(axis=1).sum() / 8
    assert loud_ms <= mixed.limited_ms <= mixed.interval.ms[1] - mixed.interval.ms[0] + 20


def test_what_is_not_near_a_loud_sum_is_not_turned_down() -> None:
    """One loud burst in a long mix: all but its neighbourhood has the level of the sum."""
    quiet = talk(8000, 6.0) * 0.3
    burst = quiet.copy()
    burst[24_000:24_400] += 0.65 * np.sin(np.arange(400) * 0.9)[:, None]
    other = talk(8000, 14.0)[8 * 8000 :] * 0.3
    other[24_000:24_400] += 0.65 * np.sin(np.arange(400) * 0.9)[:, None]
    merged = merge(
        Part(recorded("burst", lame(burst, 8000, 64))),
        Part(recorded("other burst", lame(other, 8000, 64)), 0),
    )
    (mixed,) = merged.report.mixed
    assert mixed.limiter_db is not None
    assert mixed.limited_ms is not None
    assert mixed.limiter_db < -1
    assert 40 <= mixed.limited_ms <= 50 + 4 * NEAR_LOUD_MS
    (turned_down,) = runs(~merged.model.not_loud)
    assert turned_down[1] - turned_down[0] < 2000
    assert_faithful(merged)


def test_quiet_sums_are_not_turned_down() -> None:
    merged = merge(part("nores-8k"), part("stereo-8k", 2000))
    assert merged.model.not_loud.all()
    assert [(one.limiter_db, one.limited_ms) for one in merged.report.mixed] == [(0.0, 0.0)]


def test_one_recording_alone_is_not_turned_down_however_loud() -> None:
    """Not where it is made anew either."""
    pcm = np.clip(talk(8000, 6.0) * 8, -0.97, 0.97)
    merged = merge(Part(recorded("very loud", lame(pcm, 8000, 64))), part("nores-8k", 7001))
    assert np.abs(merged.model.sum).max() > LOUDEST
    assert merged.report.mixed == ()
    full = merge(*merged.parts, render="full")
    for one in (merged, full):
        got, want = (pcm[2000:46_000].astype(float) for pcm in (one.decoded("pyav"), one.model.sum))
        assert snr_db(got, want) > LEAST_SNR_DB


# Silence


def apart(name: str) -> tuple[Part, Part]:
    """A recording twice, with a minute between."""
    one = recording(name)
    # No two parts may be the same bytes; a tag at the end changes no sound.
    return part(name), Part(recorded("again", one.data + b"TAG".ljust(128, b"\0")), 60_000)


@pytest.mark.parametrize(
    "name", ["vbr-8k", "vbr-16k", "vbr-44k", "untagged-vbr-44k", "nores-vbr-16k", "abr-16k"]
)
def test_silence_takes_the_lowest_bitrate_where_bitrates_vary(name: str) -> None:
    """And all players play it to its end."""
    merged = merge(*apart(name))
    assert_clock(merged)
    assert_copies(merged)
    silent = merged.report.frames.silent
    assert silent > 500
    lowest = min(merged.report.bitrates.frames)
    assert lowest == (32 if name.endswith("44k") else 8)
    assert merged.report.bitrates.frames[lowest] > 0.95 * silent


def test_silence_takes_the_streams_bitrate_where_that_is_constant() -> None:
    merged = merge(*apart("stereo-8k"))
    assert_clock(merged)
    assert min(merged.report.bitrates.frames) == 32
