# SPDX-License-Identifier: Apache-2.0
"""Merged recordings lie where their start times say, and a conference is heard once."""

from __future__ import annotations

import itertools
from dataclasses import replace
from io import BytesIO
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import audioengine as ae
from tests.operations.helpers import recording
from tests.operations.merge_promises import (
    assert_clock,
    assert_copies,
    assert_faithful,
    assert_gaps,
    assert_heard,
    assert_merged,
)
from tests.operations.merging import Merged, conversation, merge, merges
from tests.operations.timelines import EPOCH, Part, half_up, part
from tests.strategies import examples
from tests.support import decode_miniaudio

# The reference's example: its times, in ms from the first start.
CONFERENCE = (3161, 9972)
STARTS_MS = (0, 3161, 9972)


def example(seconds: tuple[float, float, float] = (12.0, 6.3, 4.0)) -> list[Part]:
    """Three recordings that began as the reference's, each with the segment that it lists."""
    return [
        Part(conversation(number, length), start, (CONFERENCE,))
        for number, (length, start) in enumerate(zip(seconds, STARTS_MS, strict=True))
    ]


def heard(merged: Merged) -> list[tuple[int, int, str]]:
    """Who is heard when, in ms; by the last digits of their names."""
    out: list[tuple[int, int, str]] = []
    for stretch in merged.report.timeline:
        start, end = (round(ms) for ms in stretch.interval.ms)
        names = "".join(name[-1] for name in stretch.heard)
        if out and out[-1][2] == names:
            start = out.pop()[0]
        out.append((start, end, names))
    return out


# Any timeline


@given(merges())
@examples(16)
def test_every_timeline_has_its_samples_and_everyone_where_the_model_hears_them(
    parts: tuple[Part, ...],
) -> None:
    """Of one rate or several, mono and stereo, CBR and VBR, tagged or not; with gaps or without."""
    merged = merge(*parts)
    assert_clock(merged)
    assert_heard(merged)
    assert_gaps(merged)


@given(merges(), st.randoms(use_true_random=False), st.sampled_from((1, 3)))
@examples(8)
def test_the_order_of_the_list_and_the_workers_do_not_matter(
    parts: tuple[Part, ...], random: Random, workers: int
) -> None:
    """Except that recordings that start together keep their order."""
    shuffled = list(parts)
    random.shuffle(shuffled)
    in_order = iter(sorted(parts, key=lambda one: one.start_ms))
    places = sorted(range(len(parts)), key=lambda place: shuffled[place].start_ms)
    for place in places:
        shuffled[place] = next(in_order)
    assert merge(*shuffled, workers=workers).data == merge(*parts, workers=2).data


@given(merges(), st.sampled_from(("sample", "frame")), st.sampled_from(("smart", "smart", "full")))
@examples(12)
def test_a_plan_says_what_the_merge_then_does(
    parts: tuple[Part, ...], align: Any, render: Any
) -> None:
    plan = ae.plan_merge([one.asked for one in parts], ae.MergeOptions(align=align, render=render))
    report = merge(*parts, align=align, render=render).report
    assert plan.parts == tuple(replace(one, source=None) for one in report.parts)
    assert (plan.timeline, plan.gaps, plan.grid_owner) == (
        report.timeline,
        report.gaps,
        report.grid_owner,
    )
    assert [(one.interval, one.heard) for one in plan.mixed] == [
        (one.interval, one.heard) for one in report.mixed
    ]
    assert (plan.output_samples, plan.rate_hz, plan.channels, plan.render) == (
        report.output.samples,
        report.output.rate_hz,
        report.output.channels,
        report.render,
    )
    assert (plan.nominal_kbps, plan.warnings) == (report.bitrates.nominal_kbps, report.warnings)
    counts = report.frames
    copied = counts.verbatim + counts.slot_rewritten
    assert plan.copied <= copied + counts.spliced
    total = copied + counts.spliced + counts.reencoded + counts.silent
    # Silent frames in front, so that what follows fits, are known only once it is coded.
    assert 0 <= total - plan.frame_count <= 4
    assert sum(one.copied_frames for one in plan.parts) >= plan.copied


# The reference's example, and what it leaves open


@pytest.mark.parametrize("render", ["smart", "full"])
def test_the_reference_s_example_in_any_order(render: str) -> None:
    """While the conference lasts only the first is heard; the third is heard when it begins."""
    outputs = set()
    for parts in itertools.permutations(example()):
        merged = merge(*parts, render=render)
        outputs.add(merged.data)
    assert len(outputs) == 1
    assert_merged(merged)
    assert heard(merged) == [(0, 9972, "0"), (9972, 12_000, "02"), (12_000, 13_972, "2")]
    # The segment of the third ends where its audio begins, which is no error.
    assert merged.codes == ["conference_outside"]
    assert merged.report.warnings[0].message.startswith("conversation 2: ")


def test_without_segments_all_of_the_example_is_heard() -> None:
    merged = merge(*(replace(one, segments=()) for one in example()))
    assert_merged(merged)
    assert heard(merged) == [
        (0, 3161, "0"),
        (3161, 9461, "01"),
        (9461, 9972, "0"),
        (9972, 12_000, "02"),
        (12_000, 13_972, "2"),
    ]
    assert merged.codes == []


def test_the_next_takes_over_where_the_first_ends_inside_the_conference() -> None:
    """Nothing of the conference is lost."""
    first, second, _ = example((7.0, 6.3, 4.0))
    third = Part(conversation(2, 4.0), 6000, (CONFERENCE,))
    merged = merge(first, second, third)
    assert_merged(merged)
    assert heard(merged) == [(0, 7000, "0"), (7000, 9461, "1"), (9461, 10_000, "2")]


def test_segments_that_differ_by_some_ms_are_taken_as_they_are() -> None:
    """A recording is silent only where its own segment and an earlier one's both are."""
    first, second, _ = example()
    merged = merge(
        replace(first, segments=((4007, 8011),)), replace(second, segments=((3995, 8020),))
    )
    assert_merged(merged)
    assert heard(merged) == [
        (0, 3161, "0"),
        (3161, 4007, "01"),
        (4007, 8011, "0"),
        (8011, 9461, "01"),
        (9461, 12_000, "0"),
    ]


def test_an_open_segment_lasts_to_its_recording_s_end() -> None:
    first, second, _ = example((7.0, 6.3, 4.0))
    for segment in ((4000, None), (-9000, None)):
        merged = merge(replace(first, segments=(segment,)), replace(second, segments=((0, None),)))
        assert_merged(merged)
        begins = max(3161, segment[0])
        before = [(0, 3161, "0"), (3161, begins, "01")] if begins > 3161 else []
        assert heard(merged) == [*before, (begins if before else 0, 7000, "0"), (7000, 9461, "1")]


@pytest.mark.parametrize(
    "segments",
    [
        (CONFERENCE, CONFERENCE),
        ((3161, 9972), (4000, 5000)),
        ((5000, 6000), (3161, 5000), (5500, 9972)),
        ((3161, 7000), (7000, 9972)),
    ],
    ids=["repeated", "nested", "overlapping", "touching"],
)
def test_segments_may_be_written_in_several_ways(segments: tuple[tuple[int, int], ...]) -> None:
    first, second, third = example()
    plain = merge(first, second, third)
    for parts in (
        (replace(first, segments=segments), second, third),
        (first, replace(second, segments=segments), third),
    ):
        assert merge(*parts).data == plain.data


def test_a_recording_without_segments_is_heard_during_the_others_conference() -> None:
    first, second, _ = example()
    other = Part(conversation(2, 3.0), 4000)
    merged = merge(first, second, other)
    assert_merged(merged)
    assert heard(merged) == [(0, 4000, "0"), (4000, 7000, "02"), (7000, 12_000, "0")]


def test_a_segment_wholly_outside_its_recording_is_ignored() -> None:
    """With a warning that names the recording; the others keep theirs."""
    first, second, _ = example()
    for outside in ((-3000, 0), (12_000, 13_000), (50_000, None)):
        merged = merge(replace(first, segments=(outside,)), second)
        assert merged.codes == ["conference_outside"]
        assert "conversation 0" in merged.report.warnings[0].message
        assert merged.data == merge(replace(first, segments=()), second).data


def test_of_recordings_that_start_together_the_first_in_the_list_holds_the_conference() -> None:
    one, other = (Part(conversation(n, 5.0), 0, ((1000, 4000),)) for n in (0, 1))
    for parts in ((one, other), (other, one)):
        merged = merge(*parts)
        assert_merged(merged)
        first = parts[0].name[-1]
        assert heard(merged)[1] == (1000, 4000, first)


# Places


@pytest.mark.parametrize(
    ("names", "ms"),
    [
        (("stereo-44k", "mpeg1-44k-128k"), 4005),  # 176 620.5 samples
        (("stereo-44k", "mpeg1-44k-128k"), 4007),
        (("mpeg2-22k-64k", "mpeg1-44k-128k"), 4105),
    ],
)
def test_a_place_between_samples_is_rounded_half_up(names: tuple[str, str], ms: int) -> None:
    """The later recording's frames are copied, and lie there to the sample."""
    parts = part(names[0]), part(names[1], ms)
    merged = merge(*parts)
    assert merged.report.grid_owner == names[1]
    place = (ms * merged.model.rate + 500) // 1000
    assert merged.part(names[1]).offset.samples == place
    assert merged.part(names[1]).offset.ms == ms
    start, end = place + 10_000, place + 30_000
    own = parts[1].source.decoded("pyav")[10_000:30_000]
    assert (merged.decoded("pyav")[start:end] == own).all()
    assert_copies(merged)


def test_start_times_may_have_fractions_of_a_ms() -> None:
    """They are exact: a quarter of a millisecond is two samples at 8 kHz."""
    a, b = recording("nores-8k"), recording("telephone-8k")
    parts = [
        ae.MergePart(a.data, EPOCH + 0.5, recording_id="a"),
        ae.MergePart(b.data, EPOCH + 7000.75, recording_id="b"),
    ]
    report = ae.plan_merge(parts)
    assert [one.offset.samples for one in report.parts] == [0, 56_002]


def test_a_long_gap_is_as_long_as_it_was() -> None:
    """Ten minutes of it cost no encoder."""
    parts = part("nores-8k"), part("stereo-8k", 600_000)
    merged = merge(*parts)
    assert merged.report.output.samples == 4_848_000
    assert merged.report.gaps[0].samples == (48_000, 4_800_000)
    assert merged.report.seconds_reencoded < 7
    pcm = decode_miniaudio(merged.data)
    assert pcm.shape == (4_848_000, 2)
    assert not pcm[48_000 + 3000 : 4_800_000 - 3000].any()


@pytest.mark.parametrize("name", ["untagged-8k", "mono-8k-16k", "untagged-16k", "untagged-44k"])
def test_the_sample_after_the_encoder_s_delay_is_at_the_start_time(name: str) -> None:
    """Of an untagged recording; the warning says what LAME's delay would be."""
    other = {"mono-8k-16k": "mono-8k", "untagged-44k": "stereo-44k"}.get(name, "nores-8k")
    for delay in (0, 1105):
        merged = merge(part(other), Part(recording(name), 6500, delay=delay))
        assert_merged(merged)
        ratio = merged.model.ratio(1)
        own = recording(name).samples
        assert merged.report.output.samples == merged.model.sample(6500) + half_up(
            (own - delay) * ratio
        )
        assert merged.codes == ["untagged_absolute_times"]
        assert name in merged.report.warnings[0].message
        assert "1105" in merged.report.warnings[0].message


def test_what_an_encoder_delay_hides_is_not_heard() -> None:
    """The untagged recording begins the timeline; nothing lies before it."""
    parts = Part(recording("untagged-8k"), delay=1105), part("nores-8k", 7000)
    merged = merge(*parts)
    assert_merged(merged)
    assert merged.model.audio(0) == (0, 49_536 - 1105)
    other = merge(part("untagged-8k"), part("nores-8k", 7000))
    assert other.model.audio(0) == (0, 49_536)
    assert other.data != merged.data


# One alone, and everything made anew


@pytest.mark.parametrize(
    "name",
    ["mpeg25-8k-32k", "untagged-16k", "vbr-44k", "junk-in-middle", "tags-id3-ape", "one-frame"],
)
@pytest.mark.parametrize("options", [{}, {"align": "frame", "workers": 1}], ids=["plain", "frame"])
def test_one_recording_alone_is_copied_byte_for_byte(name: str, options: dict[str, object]) -> None:
    """Conferences or not."""
    merged = merge(part(name, 0, (1000, 2000), (1500, None)), **options)
    assert merged.data == recording(name).data
    assert merged.report.render == "copy"
    assert merged.report.output.sha256 == merged.report.parts[0].source.sha256  # type: ignore[union-attr]


@given(merges(most=3))
@examples(7)
def test_rendering_everything_gives_the_same_clock_and_sound(parts: tuple[Part, ...]) -> None:
    merged = merge(*parts, render="full")
    assert merged.report.render == "full"
    assert merged.report.frames.verbatim == 0
    assert_clock(merged)
    assert_heard(merged)
    assert_gaps(merged)
    assert_faithful(merged)


def test_a_file_object_gets_what_a_path_gets(tmp_path: object) -> None:
    parts = [one.asked for one in example()]
    out, path = BytesIO(), f"{tmp_path}/out.mp3"
    ae.merge(parts, out)
    ae.merge(parts, path)
    with open(path, "rb") as file:  # noqa: PTH123
        assert file.read() == out.getvalue()
