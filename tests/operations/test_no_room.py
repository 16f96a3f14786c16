# SPDX-License-Identifier: Apache-2.0
"""A kept party that leaves the re-made one no room in frames of the highest bitrate."""

from __future__ import annotations

from functools import cache
from io import BytesIO

import numpy as np
import pytest

import audioengine as ae
from audioengine.mp3.header import StreamFormat, Version
from audioengine.mp3.side_info import granule_layout
from audioengine.mp3.splice import ChannelFrame, silent_channel
from audioengine.pcm.encode import Stretch, encode_channel
from tests.operations.successions import illegal_successions
from tests.support import decode_miniaudio, decode_pyav, decode_soundfile, fixture, stream

STEREO = StreamFormat(Version.MPEG_2, 1, 2)
FRAMES = 60
CALLER = ae.Modification(mask={"caller": [ae.Interval(0.5, 0.8)]})


@cache
def crowded(count: int = FRAMES) -> bytes:
    """24 kHz at 160 kbit/s: the callee's loud noise, and stuffing, fill every frame."""
    noise = np.random.default_rng(1).standard_normal((count + 8) * 576) * 0.2
    units = encode_channel([Stretch(noise.astype(np.float32), 4, count)], STEREO, 11)[0]
    shift = granule_layout(lsf=True).length_shift
    slot = 8 * (STEREO.frame_bytes(14) - 4 - STEREO.side_info_bytes)
    frames = []
    for unit in units:
        spare = slot - unit.bits(STEREO)
        granules = (unit.granules[0] + (spare << shift),)
        frames.append((silent_channel(STEREO), ChannelFrame(0, granules, (unit.data[0] << spare,))))
    return stream(STEREO, frames)


def test_all_is_re_made_where_what_is_kept_leaves_no_room() -> None:
    """Only rendering can tell: the plan says smart, the report says full and why."""
    assert ae.plan_store(crowded(), CALLER).render == "smart"
    out = BytesIO()
    report = ae.store(crowded(), out, CALLER)
    assert report.render == "full"
    (why,) = report.fallbacks
    assert why.code == "no_room"
    assert "160 kbit/s" in why.message
    data = out.getvalue()
    for decode in (decode_miniaudio, decode_pyav, decode_soundfile):
        assert len(decode(data)) == report.output.samples == ae.inspect(crowded()).samples
    assert not illegal_successions(data)
    assert report.frames.verbatim == report.frames.spliced == 0


def test_it_is_verified_as_what_it_is() -> None:
    out = BytesIO()
    report = ae.store(crowded(), out, CALLER, ae.StoreOptions(verify=True))
    assert report.verification is not None
    assert report.verification.passed
    assert ae.verify(crowded(), out.getvalue(), CALLER).passed


def test_an_output_that_is_re_made_without_need_does_not_pass() -> None:
    """Where the copied frames leave room, they have to be copied."""
    source = fixture("stereo-8k")
    out = BytesIO()
    ae.store(source, out, CALLER, ae.StoreOptions(render="full"))
    failed = {check.name for check in ae.verify(source, out.getvalue(), CALLER).failures}
    assert "copied_frames" in failed


def test_no_other_way_is_taken_where_none_may_be() -> None:
    out = BytesIO()
    with pytest.raises(ae.UnsupportedAudioError, match="do not fit beside copied ones"):
        ae.store(crowded(), out, CALLER, ae.StoreOptions(fallback="refuse"))
    assert not out.getvalue()


@pytest.mark.parametrize("name", ["mpeg2-24k-160k", "mpeg1-44k-320k"])
@pytest.mark.parametrize("party", ["caller", "callee"])
def test_at_the_highest_bitrates_masks_of_one_party_go_the_smart_way(name: str, party: str) -> None:
    """What is made coarser to fit makes room for its neighbours, and keeps its windows."""
    source = fixture(name)
    info = ae.inspect(source)
    seconds = info.samples / info.rate_hz
    for number in range(8):
        start = seconds * (number + 0.3) / 9
        masks = [ae.Interval(start, start + 0.11 + 0.07 * number)]
        out = BytesIO()
        report = ae.store(source, out, ae.Modification(mask={party: masks}))
        assert report.render == "smart"
        assert not illegal_successions(out.getvalue())


def test_a_merge_copies_nothing_where_what_is_kept_leaves_no_room() -> None:
    """Its plan says that it copies; the report says why it does not, and `verify_merge` agrees."""
    parts = [
        ae.MergePart(crowded(), 1_728_890_677_283, modification=CALLER),
        ae.MergePart(crowded(20), 1_728_890_677_283 + 3000),
    ]
    planned = ae.plan_merge(parts)
    assert planned.render == "smart"
    assert planned.parts[0].copied_frames > 0
    out = BytesIO()
    report = ae.merge(parts, out, ae.MergeOptions(verify=True))
    assert report.render == "full"
    assert report.frames.verbatim == report.frames.spliced == 0
    assert report.parts[0].not_copied is not None
    assert report.parts[0].not_copied.code == "no_room"
    data = out.getvalue()
    for decode in (decode_miniaudio, decode_pyav, decode_soundfile):
        assert len(decode(data)) == report.output.samples
    assert not illegal_successions(data)
    assert ae.verify_merge(parts, data).passed


def test_a_merge_that_copies_nothing_without_need_does_not_pass() -> None:
    parts = [
        ae.MergePart(fixture("stereo-8k"), 1_728_890_677_283, modification=CALLER),
        ae.MergePart(fixture("nores-8k"), 1_728_890_677_283 + 9000),
    ]
    out = BytesIO()
    ae.merge(parts, out, ae.MergeOptions(render="full"))
    failed = {check.name for check in ae.verify_merge(parts, out.getvalue()).failures}
    assert "copied_frames" in failed
