# SPDX-License-Identifier: Apache-2.0
"""Masks and trims in every awkward place keep the promises and are masked throughout."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

import audioengine as ae
from tests.operations.beeps import beep, db, join
from tests.operations.helpers import (
    PARTIES,
    Cut,
    Recording,
    Result,
    masked,
    masking,
    recording,
    store,
)
from tests.operations.promises import assert_promises

KINDS = ("mpeg25-8k-32k", "mpeg2-16k-48k", "mpeg1-44k-128k", "stereo-44k", "untagged-8k", "vbr-16k")


def assert_masked(result: Result) -> None:
    """Each masked party's channel sounds like the beeps throughout its masks, at any length."""
    source = result.source
    for channel, party in enumerate(PARTIES[: source.channels]):
        ranges = [*result.cut.masks.get(party, ()), *result.cut.masks.get("both", ())]
        if source.channels == 1:
            ranges = [span for spans in result.cut.masks.values() for span in spans]
        heard = result.decoded("pyav")[:, channel]
        for start, end in join(ranges):
            low, high = max(start, result.kept[0]), min(end, result.kept[1])
            if high - low < 64:
                continue
            wanted = beep(end - start, source.rate)[low - start : high - start]
            error = heard[low - result.kept[0] : high - result.kept[0]] - wanted
            # Of short beeps beside loud speech, the codec leaves more noise.
            bound = -20 if high - low >= source.ext else -6
            assert db(np.mean(error**2) / 0.005) <= bound, (party, start, end)


def check(source: Recording, cut: Cut, **options: object) -> Result:
    """What is masked is masked, and what is not is as promised."""
    result = store(source, cut, **options)
    assert_promises(result)
    assert_masked(result)
    return result


@pytest.mark.parametrize("name", KINDS)
def test_masks_at_the_very_start_and_the_very_end(name: str) -> None:
    source = recording(name)
    for length in (2, source.spf, 4000):
        spans = ((0, length), (source.samples - length, source.samples))
        for masks in (Cut(caller=spans), Cut(callee=spans[:1], both=spans[1:]), Cut(both=spans)):
            check(source, masks)


@pytest.mark.parametrize("name", KINDS)
def test_masks_shorter_than_a_frame(name: str) -> None:
    """Wherever they lie in it."""
    source = recording(name)
    border = 30 * source.spf - source.start
    for start in range(border - 100, border + source.spf, source.spf // 3):
        for length in (2, source.spf // 2):
            result = check(source, Cut(caller=((start, start + length),)))
            assert [n.code for n in result.report.warnings] == ["short_mask"]


@pytest.mark.parametrize("party", [*PARTIES, "both"])
@pytest.mark.parametrize("name", KINDS)
def test_a_mask_over_the_whole_recording(name: str, party: str) -> None:
    source = recording(name)
    result = check(source, masking(party, (0, source.samples)))
    frames = asdict(result.report.frames)
    assert frames["verbatim"] == frames["slot_rewritten"] == 0


@pytest.mark.parametrize("name", ["mpeg25-8k-32k", "mpeg1-44k-128k"])
def test_touching_and_overlapping_masks_are_one(name: str) -> None:
    """One beep, as of the joined mask; reported as they were asked for."""
    source = recording(name)
    third = source.samples // 3
    one = check(source, Cut(caller=((third, third + 9000),)))
    touching = check(source, Cut(caller=((third, third + 5000), (third + 5000, third + 9000))))
    overlapping = check(source, Cut(caller=((third + 2000, third + 9000), (third, third + 5000))))
    assert one.data == touching.data == overlapping.data
    spans = [mask.asked.samples for mask in overlapping.report.masks]
    assert spans == [(third + 2000, third + 9000), (third, third + 5000)]


@pytest.mark.parametrize("gap", [1, 10, 300, 600, 1200, 2500, 5000])
def test_masks_near_one_another(gap: int) -> None:
    """What lies between them is neither masked nor lost, once it is long enough to be kept."""
    source = recording("mpeg2-16k-48k")
    end = 30_000
    result = check(source, Cut(caller=((20_000, end), (end + gap, 50_000))))
    if gap >= 1200:
        between = slice(end + 200, end + gap - 200)
        new, old = (x[between, 0] for x in (result.decoded("pyav"), result.expected("pyav")))
        assert db(np.mean((new - old) ** 2) / np.mean(old**2)) <= -10


@pytest.mark.parametrize("name", ["mpeg25-8k-32k", "mpeg2-16k-48k", "mpeg1-44k-128k", "vbr-44k"])
def test_hundreds_of_masks(name: str) -> None:
    """200 of one party, 100 of the other, over the whole recording."""
    source = recording(name)
    step = source.samples // 200
    caller = tuple((i * step, i * step + step // 3) for i in range(200))
    callee = tuple(
        (i * step + step // 2, i * step + step // 2 + step // 3) for i in range(0, 200, 2)
    )
    result = check(source, Cut(caller=caller, callee=callee))
    assert len(result.report.masks) == 300


def test_hundreds_of_masks_in_a_long_recording() -> None:
    """Of most frames, one party is kept bit for bit."""
    source = recording("demo-call")
    starts = range(1000, source.samples - 3000, 3300)
    result = check(source, Cut(caller=tuple((at, at + 1500) for at in starts)))
    assert len(result.report.masks) >= 200
    assert result.report.frames.spliced >= 600


@pytest.mark.parametrize("name", KINDS)
def test_a_trim_to_less_than_a_frame_through_a_mask(name: str) -> None:
    source = recording(name)
    at = source.samples // 2
    for trim in ((at, at + 300), (at + 100, at + 101), (at, at + 2 * source.spf)):
        check(source, Cut(trim, caller=((at - 500, at + 150),)))


@pytest.mark.parametrize("name", ["mpeg25-8k-32k", "mpeg1-44k-128k"])
def test_a_mask_outside_the_trim_has_nothing_to_do(name: str) -> None:
    """It is fine, and reported, and the output is that of the trim alone."""
    source = recording(name)
    trim = (source.samples // 2, source.samples * 3 // 4)
    result = check(source, Cut(trim, caller=((0, trim[0]),), both=((trim[1], source.samples),)))
    assert result.data == store(source, Cut(trim)).data
    assert len(result.report.masks) == 2
    assert all(mask.moved_frames == (0, 0) for mask in result.report.masks)


@pytest.mark.parametrize("name", ["mpeg25-8k-32k", "mpeg2-16k-48k", "mpeg1-44k-128k"])
def test_a_trim_right_at_a_mask(name: str) -> None:
    source = recording(name)
    quarter = source.samples // 4
    for shift in (-1, 0, 1):
        trim = (quarter + shift, 3 * quarter + shift)
        check(
            source, Cut(trim, caller=((quarter, quarter + 3000), (3 * quarter - 3000, 3 * quarter)))
        )


def test_guards_widen_masks_on_both_sides() -> None:
    """One number for both sides, a pair for before and after; clipped to the recording."""
    source = recording("mpeg2-16k-48k")
    asked = ae.Interval(2, 3)
    for guard, applied in (
        (0, (32_000, 48_000)),
        (50, (31_200, 48_800)),
        ((10, 40), (31_840, 48_640)),
    ):
        modification = ae.Modification(mask={"caller": [asked]}, guard_ms=guard)
        (mask,) = ae.plan_store(source.data, modification).masks
        assert mask.asked.samples == (32_000, 48_000)
        assert mask.applied.samples == applied
    early = ae.Modification(mask={"caller": [ae.Interval(0.01, 5.99)]}, guard_ms=(100, 100))
    (mask,) = ae.plan_store(source.data, early).masks
    assert mask.applied.samples == (0, source.samples)


def test_what_a_guard_adds_is_masked_too() -> None:
    source = recording("mpeg2-16k-48k")
    plain = store(source, Cut(caller=((31_840, 48_640),)))
    guarded = ae.Modification(mask={"caller": [ae.Interval(2, 3)]}, guard_ms=(10, 40))
    report = ae.plan_store(source.data, guarded)
    assert report.masks[0].applied == plain.report.masks[0].applied
    assert_masked(plain)


def test_masks_round_outward() -> None:
    """A mask covers every sample that it touches."""
    source = recording("mpeg2-16k-48k")
    interval = ae.Interval(1.00001, 1.99999)
    (mask,) = ae.plan_store(source.data, ae.Modification(mask={"both": [interval]})).masks
    assert mask.asked.samples == (16_000, 32_000)
    assert masked(16_000, 32_000, 16_000) == ae.Interval(1, 2)


def test_a_mask_partly_outside_the_recording_is_clipped() -> None:
    """The report shows what was asked and what was done."""
    source = recording("mpeg2-16k-48k")
    modification = ae.Modification(mask={"both": [ae.Interval(5, 7)]})
    (mask,) = ae.plan_store(source.data, modification).masks
    assert mask.asked.samples == (80_000, 112_000)
    assert mask.applied.samples == (80_000, 96_000)
    assert mask.applied.ms == (5000.0, 6000.0)


@pytest.mark.parametrize(
    ("interval", "path"),
    [
        (ae.Interval(3, 3), "mask.caller[0].to"),
        (ae.Interval(3, 2), "mask.caller[0].to"),
        (ae.Interval(-1, 2), "mask.caller[0].from"),
        (ae.Interval(6, 7), "mask.caller[0].from"),
        (ae.Interval(1, 1.00001), "mask.caller[0]"),
        (ae.Interval(float("nan"), 2), "mask.caller[0].from"),
        (ae.Interval(1, float("inf")), "mask.caller[0].to"),
        (ae.Interval(None, 0), "mask.caller[0].to"),
        (ae.Interval(6, None), "mask.caller[0].from"),
        (ae.Interval(None, None), "mask.caller[0]"),
        (ae.Interval(1, 11.1), "mask.caller[0].to"),
        (ae.Interval(True, 2), "mask.caller[0].from"),
        (ae.Interval("1", 2), "mask.caller[0].from"),  # type: ignore[arg-type]
        (ae.Interval(1, 1_728_890_677_283), "mask.caller[0].to"),
    ],
)
def test_intervals_that_mean_something_else_are_refused(interval: ae.Interval, path: str) -> None:
    """With the field's path; nothing is written."""
    source = recording("mpeg2-16k-48k")
    modification = ae.Modification(mask={"caller": [interval]})
    for edit in (ae.plan_store, _store_to_nowhere):
        with pytest.raises(ae.InvalidRequestError) as caught:
            edit(source.data, modification)
        assert [problem.path for problem in caught.value.problems] == [path]


def _store_to_nowhere(source: bytes, modification: ae.Modification) -> None:
    class Nowhere:
        def write(self, _: bytes) -> int:
            raise AssertionError("something was written")

    ae.store(source, Nowhere(), modification)  # type: ignore[arg-type]


def test_all_problems_of_a_request_are_named_at_once() -> None:
    source = recording("mpeg2-16k-48k")
    modification = ae.Modification(
        trim=ae.Interval(4, 2),
        mask={"caller": [ae.Interval(1, 2), ae.Interval(-1, 2)], "both": [ae.Interval(9, 10)]},
    )
    with pytest.raises(ae.InvalidRequestError) as caught:
        ae.plan_store(source.data, modification)
    paths = [problem.path for problem in caught.value.problems]
    assert paths == ["trim.to", "mask.caller[1].from", "mask.both[0].from"]


def test_absolute_times_without_a_known_start_are_refused() -> None:
    source = recording("mpeg2-16k-48k")
    epoch = 1_728_890_677_283
    trim = ae.Interval(epoch, epoch + 1000)
    with pytest.raises(ae.InvalidRequestError, match="start_time_ms"):
        ae.plan_store(source.data, ae.Modification(trim=trim, absolute_times=True))
