# SPDX-License-Identifier: Apache-2.0
"""The report says what was done, the same in Python and JSON, and the bytes bear it out."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import audioengine as ae
from fixtures import mpeg
from tests.operations.helpers import (
    EDITABLE,
    Cut,
    cuts,
    recording,
    store,
)

KEYS = {
    "source": {
        "sha256", "bytes", "samples", "rate_hz", "channels", "tagged", "encoder_delay", "padding",
    },
    "trim": {"asked", "applied"},
    "frames": {"verbatim", "slot_rewritten", "spliced", "reencoded", "silent"},
    "bitrates": {"nominal_kbps", "frames", "raised", "lowered"},
}  # fmt: skip
MASK_KEYS = {
    "party", "channel", "asked", "applied", "moved_frames", "coherence", "shared_frames",
}  # fmt: skip
NAME = "mpeg2-16k-48k"
EDIT = Cut((8000, 90_000), caller=((16_000, 32_000),), both=((60_000, 64_000),))


def test_the_keys_are_those_of_the_design() -> None:
    report = store(recording(NAME), EDIT).report.to_dict()
    assert list(report) == [
        "source", "output", "trim", "masks", "frames", "remade", "render", "bitrates",
        "seconds_reencoded", "fallbacks", "warnings", "version", "wall_seconds", "verification",
        "findings",
    ]  # fmt: skip
    for key, wanted in {**KEYS, "output": KEYS["source"]}.items():
        assert set(report[key]) == wanted
    for mask in report["masks"]:
        assert set(mask) == MASK_KEYS
        assert set(mask["asked"]) == {"samples", "ms"}
    for part in report["remade"]:
        assert set(part) == {"channel", "reason", "frames", "interval"}


def plain(value: Any) -> Any:
    """The value as JSON gives it back."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    return value


@pytest.mark.parametrize("name", ["mpeg2-16k-48k", "junk-in-middle", "freeformat-16k", "mono-8k"])
def test_json_says_the_same(name: str) -> None:
    source = recording(name)
    for report in (
        store(source, Cut((1000, source.samples - 1000), callee=((4000, 9000),))).report,
        store(source, Cut()).report,
        ae.inspect(source.data),
        ae.plan_store(source.data, Cut(callee=((4000, 9000),)).modification(source.rate)),
    ):
        assert json.loads(report.to_json()) == plain(report.to_dict())
        assert json.loads(report.to_json(indent=1)) == plain(report.to_dict())


def test_reports_are_frozen() -> None:
    result = store(recording(NAME), EDIT)
    info = ae.inspect(recording(NAME).data)
    for value, field in (
        (result.report, "render"),
        (result.report.frames, "silent"),
        (info, "bytes"),
    ):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, field, 1)


@pytest.mark.parametrize("name", EDITABLE)
@given(st.data())
@settings(max_examples=2)
def test_the_bytes_bear_the_report_out(name: str, data: st.DataObject) -> None:
    source = recording(name)
    render = data.draw(st.sampled_from(("smart", "smart", "full")))
    result = store(source, data.draw(cuts(source)), render=render)
    report = result.report
    assert report.source.sha256 == hashlib.sha256(source.data).hexdigest()
    assert report.output.sha256 == hashlib.sha256(result.data).hexdigest()
    assert (report.source.bytes, report.output.bytes) == (len(source.data), len(result.data))
    assert (report.source.samples, report.output.samples) == (source.samples, result.length)
    assert report.source.tagged == (source.start > 0)
    assert report.output.tagged
    assert (report.output.encoder_delay, report.output.padding) == result.tag_fields
    frames = result.every[1:]
    assert sum(dataclasses.asdict(report.frames).values()) == len(frames)
    assert report.bitrates.frames == dict(Counter(frame.kbps for frame in frames))
    assert report.version == ae.__version__
    assert report.wall_seconds > 0
    assert (report.render == "full") or not report.fallbacks


@pytest.mark.parametrize("name", [NAME, "mpeg1-44k-128k", "vbr-16k", "mono-8k"])
@given(st.data())
@settings(max_examples=5)
def test_what_was_re_made_is_listed_once_and_in_order(name: str, data: st.DataObject) -> None:
    source = recording(name)
    result = store(source, data.draw(cuts(source)))
    listed = result.report.remade
    reasons = {"mask", "trim", "shared", "window", "full"}
    seconds = set()
    for channel in ("left", "right", "mono"):
        parts = [part for part in listed if part.channel == channel]
        assert {part.reason for part in parts} <= reasons
        for part in parts:
            first, last = part.frames
            assert first < last
            seconds |= set(range(first, last))
        for one, other in pairwise(parts):
            assert one.frames[1] <= other.frames[0]
            assert one.frames[1] < other.frames[0] or one.reason != other.reason
    assert result.report.seconds_reencoded == pytest.approx(len(seconds) * source.spf / source.rate)
    if result.report.render == "smart":
        for part in listed:
            start, end = (frame * source.spf - source.start for frame in part.frames)
            low, high = part.interval.samples
            clipped = (min(max(at, 0), source.samples) for at in (start, end))
            assert (low, high) == tuple(clipped)


def test_asked_and_applied_are_told_apart() -> None:
    """Asked is the request, rounded; applied is with guard and clipped to the recording."""
    source = recording(NAME)
    modification = ae.Modification(
        trim=ae.Interval(1, 100),
        mask={"caller": [ae.Interval(0.005, 1)], "both": [ae.Interval(5.5, 7)]},
        guard_ms=(10, 20),
        clip_tolerance_s=94,
    )
    report = ae.plan_store(source.data, modification)
    assert [one.code for one in report.warnings] == ["trim_clipped", "mask_clipped"]
    assert report.trim.asked is not None
    assert report.trim.asked.samples == (16_000, 1_600_000)
    assert report.trim.applied.samples == (16_000, 96_000)
    assert report.trim.applied.ms == (1000.0, 6000.0)
    first, second = report.masks
    assert (first.asked.samples, first.applied.samples) == ((80, 16_000), (0, 16_320))
    assert (second.asked.samples, second.applied.samples) == ((88_000, 112_000), (87_840, 96_000))
    assert (first.party, second.party) == ("caller", "both")


def test_no_trim_asked_is_none() -> None:
    report = store(recording(NAME), Cut(caller=((8000, 16_000),))).report
    assert report.trim.asked is None
    assert report.trim.applied.samples == (0, 96_000)


def test_a_copy_reports_the_source() -> None:
    report = store(recording("vbr-16k"), Cut()).report
    assert report.render == "copy"
    assert report.output == report.source
    assert report.frames.verbatim == 169
    assert report.masks == ()
    assert report.remade == ()
    assert report.seconds_reencoded == 0


def test_bitrates_of_what_is_re_made_are_the_stream_s_own() -> None:
    """CBR stays CBR wherever its frames hold what is put into them."""
    for name in ("mpeg25-8k-32k", "mpeg2-16k-48k", "mpeg1-44k-128k", "crc-16k", "mono-44k"):
        source = recording(name)
        middle = source.samples // 2
        report = store(source, Cut(caller=((middle, middle + 4000),))).report
        assert report.bitrates.nominal_kbps == source.frames[0].kbps
        assert report.bitrates.lowered == 0
        raised = sum(
            n for kbps, n in report.bitrates.frames.items() if kbps != source.frames[0].kbps
        )
        assert raised == report.bitrates.raised <= 2


@pytest.mark.parametrize("render", ["smart", "full"])
def test_progress_counts_to_the_end(render: str) -> None:
    """In frames of the output, never backwards."""
    told: list[tuple[int, int]] = []

    def listen(done: int, total: int) -> None:
        told.append((done, total))

    cut = Cut(caller=((100_000, 200_000),))
    store(recording("demo-call"), cut, progress=listen, render=render)
    done = [at for at, _ in told]
    (total,) = {total for _, total in told}
    assert done == sorted(done)
    assert done[-1] == total


# The plan


@pytest.mark.parametrize("name", [n for n in EDITABLE if n != "demo-call"])
@given(st.data())
@settings(max_examples=2)
def test_a_plan_says_what_store_does(name: str, data: st.DataObject) -> None:
    """Except what only rendering shows: where window sequences let runs end."""
    source = recording(name)
    cut = data.draw(cuts(source))
    options: dict[str, Any] = {
        "render": data.draw(st.sampled_from(("smart", "full"))),
        "caller_channel": data.draw(st.sampled_from(("left", "right"))),
        "shared_frames": data.draw(st.sampled_from(("keep", "mask_both"))),
    }
    plan = ae.plan_store(source.data, cut.modification(source.rate), ae.StoreOptions(**options))
    result = store(source, cut, **options)
    done = result.report
    assert plan.trim == done.trim
    assert plan.output_samples == done.output.samples
    assert done.render == plan.render
    assert plan.fallbacks == done.fallbacks
    for planned, mask in zip(plan.masks, done.masks, strict=True):
        known = ("party", "channel", "asked", "applied", "shared_frames")
        assert [getattr(planned, key) for key in known] == [getattr(mask, key) for key in known]
    for notice in plan.warnings:
        assert notice in done.warnings
    frames = done.frames
    lead_in = frames.silent
    assert 0 <= sum(dataclasses.asdict(frames).values()) - plan.frames <= lead_in
    assert plan.copied <= frames.verbatim + frames.slot_rewritten + frames.silent
    for part in plan.remade:
        made = {
            frame
            for other in done.remade
            if other.channel == part.channel
            for frame in range(*other.frames)
        }
        assert set(range(*part.frames)) <= made
    assert plan.seconds_reencoded <= done.seconds_reencoded + 1e-9
    runs = 2 + sum(map(len, cut.masks.values()))
    allowed = 2 * 3 * runs * source.spf / source.rate
    shared = sum(mask.shared_frames for mask in done.masks) * source.spf / source.rate
    assert done.seconds_reencoded <= plan.seconds_reencoded + allowed + shared


def test_a_plan_writes_and_decodes_nothing() -> None:
    """It takes an instant even where store would re-encode everything."""
    source = recording("demo-call")
    modification = Cut(caller=((0, source.samples),)).modification(source.rate)
    plan = ae.plan_store(source.data, modification, ae.StoreOptions(render="full"))
    assert plan.render == "full"
    assert plan.copied == 0
    assert plan.masks[0].coherence is None


def test_a_plan_of_nothing_is_a_copy() -> None:
    source = recording(NAME)
    plan = ae.plan_store(source.data)
    assert (plan.render, plan.copied, plan.frames) == ("copy", 169, 169)
    assert len(mpeg.sound(source.data)) == 169


@pytest.mark.parametrize(
    "options",
    [
        {"render": "best"},
        {"caller_channel": "middle"},
        {"shared_frames": "drop"},
        {"fallback": "maybe"},
        {"beep": "loud"},
    ],
)
def test_unknown_words_are_refused_where_options_are_made(options: dict[str, Any]) -> None:
    """By the option's name, with what would be right."""
    (name,) = options
    with pytest.raises(ae.InvalidRequestError, match=rf"^{name} = .*: must be "):
        ae.StoreOptions(**options)


@pytest.mark.parametrize("workers", [0, -1, 1.5, True, "2"])
def test_workers_must_be_a_number_of_them(workers: Any) -> None:
    with pytest.raises(ae.InvalidRequestError, match="workers"):
        store(recording(NAME), EDIT, workers=workers)
