# SPDX-License-Identifier: Apache-2.0
"""Frames that decoders disagree about are silence, are named, and take no time away."""

from __future__ import annotations

from io import BytesIO

import pytest

import audioengine as ae
from audioengine.mp3.scan import scan
from tests.operations.helpers import DECODERS
from tests.support import FIXTURES, Bytes

NAMES = ("impossible-side-info-8k", "impossible-side-info-44k")


def source(name: str) -> bytes:
    return (FIXTURES / "hostile" / f"{name}.mp3").read_bytes()


def frames_s(data: bytes, first: int, last: int) -> ae.Interval:
    """The seconds that these frames play."""
    index = scan(Bytes(data))
    second = index.format.rate_hz / index.format.samples_per_frame
    return ae.Interval(first / second, last / second)


def assert_good(data: bytes, out: bytes, modification: ae.Modification, report: object) -> None:
    assert isinstance(report, ae.StoreReport)
    played = {name: len(decode(out)) for name, decode in DECODERS.items()}
    assert set(played.values()) == {report.output.samples}, played
    verdict = ae.verify(data, out, modification, workers=1)
    assert verdict.passed, verdict.checks


@pytest.mark.parametrize("name", NAMES)
def test_impossible_frames_are_silent_and_named(name: str) -> None:
    """Far from an edit they alone are made anew; all decoders play the whole."""
    data = source(name)
    lost = scan(Bytes(data)).lost
    assert len(lost) >= 4
    modification = ae.Modification(mask={"caller": [frames_s(data, 5, 7)]})
    out = BytesIO()
    report = ae.store(data, out, modification, workers=1)
    assert report.render == "smart"
    assert_good(data, out.getvalue(), modification, report)
    named = [notice.message for notice in report.warnings if notice.code == "lost_main_data"]
    assert len(named) == len(lost)
    for frame, message in zip(lost, named, strict=True):
        assert f"frame {frame} (byte " in message
    made = scan(Bytes(out.getvalue()))
    shift = made.frames - scan(Bytes(data)).frames
    assert made.lost == ()
    for frame in lost:
        assert made.read_frames(Bytes(out.getvalue()), frame + shift, frame + shift + 1)
    assert report.frames.silent >= len(lost)


@pytest.mark.parametrize("name", NAMES)
def test_impossible_frames_near_an_edit_take_the_full_path(name: str) -> None:
    data = source(name)
    first = scan(Bytes(data)).lost[0]
    modification = ae.Modification(mask={"both": [frames_s(data, first - 3, first - 2)]})
    with pytest.raises(ae.UnsupportedAudioError, match=f"damaged near an edit, at frame {first}"):
        ae.store(data, BytesIO(), modification, ae.StoreOptions(fallback="refuse"))
    out = BytesIO()
    report = ae.store(data, out, modification, workers=1)
    assert [notice.code for notice in report.fallbacks] == ["damage"]
    assert_good(data, out.getvalue(), modification, report)


@pytest.mark.parametrize("name", NAMES)
def test_impossible_frames_of_a_merge_are_silent(name: str) -> None:
    data = source(name)
    out = BytesIO()
    start = 1_728_890_677_283
    tagged = data + b"TAG" + bytes(125)
    parts = [ae.MergePart(data, start), ae.MergePart(tagged, start + 60_000)]
    report = ae.merge(parts, out, workers=1)
    assert {len(decode(out.getvalue())) for decode in DECODERS.values()} == {report.output.samples}
    assert sum("lost_main_data" in notice.code for notice in report.warnings) >= 8
