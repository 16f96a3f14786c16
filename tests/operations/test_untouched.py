# SPDX-License-Identifier: Apache-2.0
"""What no edit reaches stays as it is: bit for bit in the file and in what decoders play."""

from __future__ import annotations

from dataclasses import asdict
from io import BytesIO

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from audioengine.mp3.legal_windows import LEGAL_SUCCESSIONS
from audioengine.mp3.side_info import granule_layout
from tests.operations.helpers import DECODERS, SMART, Cut, Pcm, cuts, recording, store
from tests.operations.promises import (
    assert_copied,
    assert_promises,
    assert_untouched,
    reached,
    same_phase,
)
from tests.support import DAMAGED

# Without damage, a single mask never needs the full path.
WHOLE = tuple(name for name in SMART if name not in DAMAGED)
LONG = tuple(name for name in WHOLE if recording(name).samples > 20 * recording(name).spf)


@pytest.mark.parametrize("name", SMART)
@given(st.data())
@settings(max_examples=5)
def test_any_legal_edits_keep_the_promises(name: str, data: st.DataObject) -> None:
    """Clock, tag, samples out of reach, the other party, copied frames, leftovers."""
    source = recording(name)
    assert_promises(store(source, data.draw(cuts(source))))


@pytest.mark.parametrize("name", LONG)
def test_far_from_a_mask_all_samples_are_the_source_s(name: str) -> None:
    """Most of the recording is out of reach, and most frames are copied as they are."""
    source = recording(name)
    middle = source.samples // 2
    result = store(source, Cut(both=((middle, middle + source.spf),)))
    if "intensity" not in name:
        assert result.report.fallbacks == ()
    assert_promises(result)
    # The mask, its reach, the hidden start and end.
    assert reached(result).sum() <= 5 * source.ext + 11 * source.spf
    frames = asdict(result.report.frames)
    assert frames["verbatim"] >= len(source.frames) - 35
    assert result.report.seconds_reencoded * source.rate <= 25 * source.spf


@pytest.mark.parametrize("name", ["mpeg25-8k-32k", "mpeg2-16k-48k", "vbr-8k"])
def test_ends_move_only_to_where_windows_fit(name: str) -> None:
    """Else they stay: what is re-made for nothing would be a loss for nothing."""
    source = recording(name)
    layout = granule_layout(source.lsf)
    moved = 0
    for start in range(source.samples // 4, source.samples // 4 + 6 * source.spf, source.spf):
        result = store(source, Cut(caller=((start, start + 7000),)))
        assert result.first_frame is not None
        remade = result.remade(0)
        ends = [
            end
            for part in result.report.remade
            if (part.channel, part.reason) == ("left", "window")
            for end in part.frames
            if (end in remade) != (end - 1 in remade)
        ]
        for end in ends:
            before, after = result.sounds[end - result.first_frame - 1 :][:2]
            pair = [layout.block_type(one.channels[0].fields[0]) for one in (before, after)]
            assert tuple(pair) in LEGAL_SUCCESSIONS, (start, end)
        moved += len(ends)
    assert moved


def read_on(data: bytes) -> Pcm:
    """What soundfile plays of an open file, without the seek to its start that `read` does."""
    with soundfile.SoundFile(BytesIO(data)) as file:
        pcm: Pcm = file.read(dtype="float32", always_2d=True)
    return pcm


@pytest.mark.parametrize("name", LONG)
def test_masks_alone_leave_even_the_rounding_of_mpg123(name: str) -> None:
    """Without a trim, soundfile's floats are the source's too, however it comes to the start."""
    source = recording(name)
    middle = source.samples // 2
    result = store(source, Cut(callee=((middle, middle + 2 * source.spf),)))
    assert same_phase(result)
    kept = ~reached(result)
    assert (result.decoded("soundfile") == result.expected("soundfile"))[kept].all()
    got, want = read_on(result.data), read_on(source.playable)
    if source.lsf and source.channels == 1:
        # Without the seek, its phase in mono goes round in four frames.
        assert np.abs(got - want)[kept].max() <= 6e-8
    else:
        assert (got == want)[kept].all()


@pytest.mark.parametrize("name", ["mpeg1-44k-128k", "crc-44k", "vbr-44k"])
@pytest.mark.parametrize("start", [11_111, 50_000, 100_001])
def test_trims_of_mpeg_1_leave_the_rounding_of_mpg123(name: str, start: int) -> None:
    source = recording(name)
    result = store(source, Cut((start, start + 60_000)))
    out_of_reach = ~reached(result)
    assert out_of_reach.sum() >= 50_000
    got, want = result.decoded("soundfile"), result.expected("soundfile")
    assert (got[out_of_reach] == want[out_of_reach]).all()


@pytest.mark.parametrize("name", [name for name in LONG if "intensity" not in name])
def test_behind_a_mask_the_file_goes_on_with_the_source_s_bytes(name: str) -> None:
    """The reservoir is in step again at once: nothing behind a run is changed."""
    source = recording(name)
    start = source.samples // 4
    result = store(source, Cut(caller=((start, start + 3 * source.spf),)))
    assert result.first_frame is not None
    remade = set().union(*map(result.remade, range(source.channels)))
    half = len(source.frames) // 2
    behind = max(frame for frame in remade if frame < half) + 1
    end = min((frame for frame in remade if frame > half), default=len(source.frames))
    # Frames before other runs, and before silent ones, lend them room.
    lenders = {frame - n for frame in source.silent for n in range(3)}
    for frame in set(range(behind, end - 8)) - lenders:
        assert result.sounds[frame - result.first_frame].data == source.frames[frame].data, frame


@pytest.mark.parametrize("name", ["mpeg25-8k-32k", "mpeg2-16k-48k", "mpeg1-44k-128k", "vbr-16k"])
def test_few_frames_are_touched_before_a_mask(name: str) -> None:
    """Where no trim is near, only slots that held dropped main data are rewritten."""
    source = recording(name)
    middle = source.samples // 2
    rewritten = []
    for start in range(middle, middle + 5 * source.spf, source.spf // 3):
        result = store(source, Cut(caller=((start, start + source.spf),)))
        assert_copied(result)
        rewritten.append(result.report.frames.slot_rewritten)
        assert result.report.bitrates.lowered == 0
    # Some to the mask's run, some to the one at the hidden end.
    assert max(rewritten) <= 6
    assert np.mean(rewritten) <= 4


@pytest.mark.parametrize("name", DAMAGED)
def test_far_from_damage_nothing_is_re_encoded(name: str) -> None:
    """Damage elsewhere is no reason for the full path."""
    source = recording(name)
    trim = (source.samples // 10 * 7, source.samples // 10 * 9)
    middle = sum(trim) // 2
    result = store(source, Cut(trim, callee=((middle, middle + 1000),)))
    assert result.report.render == "smart"
    assert_promises(result)
    for decoder in DECODERS:
        assert len(result.decoded(decoder)) == trim[1] - trim[0]


def test_the_end_of_an_edit_may_lie_on_the_end_of_a_cut() -> None:
    """A mask that a trim cuts is masked to the cut, and nothing behind it differs for it."""
    source = recording("mpeg2-16k-48k")
    plain = store(source, Cut((20_000, 70_000)))
    cut = store(source, Cut((20_000, 70_000), both=((10_000, 30_000), (60_000, 90_000))))
    assert_untouched(cut)
    same = slice(10_000 + source.ext + 3 * source.spf, 40_000 - source.ext - 3 * source.spf)
    for decoder in ("miniaudio", "pyav"):
        assert (plain.decoded(decoder)[same] == cut.decoded(decoder)[same]).all()
