# SPDX-License-Identifier: Apache-2.0
"""A mask of one party leaves the other's audio as it is, wherever the source lets them apart."""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO

import numpy as np
import pytest

import audioengine as ae
from fixtures import mpeg
from tests.operations import bits
from tests.operations.beeps import beep, db
from tests.operations.helpers import (
    DECODERS,
    PARTIES,
    Cut,
    Recording,
    Result,
    masking,
    recorded,
    recording,
    store,
)
from tests.operations.promises import (
    OVERLAP,
    assert_kept_outside_remade,
    assert_promises,
    flags,
)

SEPARATE = ("stereo-8k", "stereo-44k", "dual-16k", "nores-16k", "nores-vbr-16k")
JOINT = ("mpeg25-8k-32k", "mpeg2-16k-48k", "mpeg1-44k-128k", "vbr-16k", "vbr-44k", "crc-16k")


def middle_mask(source: Recording, party: str, **options: object) -> Result:
    """The party masked in the middle half, far from the hidden start and end."""
    quarter = source.samples // 4
    return store(source, masking(party, (quarter, 3 * quarter)), **options)


def assert_beep(
    result: Result, channel: int, span: tuple[int, int], within_db: float = -30
) -> None:
    """All of the span sounds like the beep, with errors that far below it at most."""
    wanted = beep(span[1] - span[0], result.source.rate)
    for decoder in ("pyav", "soundfile"):
        heard = result.decoded(decoder)[span[0] : span[1], channel]
        error = np.mean((heard - wanted) ** 2) / np.mean(wanted**2)
        assert db(error) <= within_db, decoder


@pytest.mark.parametrize("party", PARTIES)
@pytest.mark.parametrize("name", SEPARATE)
def test_a_left_right_coded_party_is_exact_throughout_a_mask(name: str, party: str) -> None:
    """Where no frame is mid/side, no frame of the other party is re-made for a mask."""
    source = recording(name)
    result = middle_mask(source, party)
    other = 1 - PARTIES.index(party)
    reasons = {
        part.reason for part in result.report.remade if part.channel == ["left", "right"][other]
    }
    assert reasons <= {"trim", "window"}  # at the hidden start and end
    same = flags(
        result.length,
        [(2 * source.ext + 3 * source.spf, result.length - 2 * source.ext - 3 * source.spf)],
    )
    for decoder in DECODERS:
        got, want = result.decoded(decoder)[same, other], result.expected(decoder)[same, other]
        assert (got == want).all(), decoder
    assert result.report.masks[0].shared_frames == 0
    assert_beep(result, 1 - other, (result.length // 4, result.length * 3 // 4))


@pytest.mark.parametrize("party", PARTIES)
@pytest.mark.parametrize("name", JOINT)
def test_only_mid_side_frames_are_re_made_for_the_other_party(name: str, party: str) -> None:
    """And ends of such runs, where the window sequence asks for it; all are listed."""
    source = recording(name)
    result = middle_mask(source, party)
    assert_promises(result)
    other = 1 - PARTIES.index(party)
    names = ("left", "right")
    coupled = {i for i, sound in enumerate(source.sounds) if sound.coupled and not sound.equal}
    low, high = source.samples // 4 - source.ext, source.samples * 3 // 4
    core = range(
        (source.start + low) // source.spf + 1, (source.start + high - 1) // source.spf + 1
    )
    masks = result.report.masks
    assert masks[0].shared_frames == len(coupled & set(core)) > 0
    for part in result.report.remade:
        if part.channel == names[other]:
            frames = set(range(*part.frames))
            if part.reason == "shared":
                assert frames <= coupled
            if part.reason == "window":
                steps = range(-source.most_moved, source.most_moved + 1)
                near = {f + n for f in coupled for n in steps}
                edge = {f for f in frames if f < 8 or f > len(source.frames) - 8}
                assert frames <= near | edge
    listed = result.remade(other)
    assert coupled & set(core) <= listed
    # Most of what the other party says under the mask is bit for bit the source's.
    assert len(set(core) - listed) > len(core) // 2


@pytest.mark.parametrize("name", ["midside-16k", "midside-44k"])
def test_a_party_in_mid_side_frames_is_coded_anew_close_to_what_it_was(name: str) -> None:
    """By default the kept party goes on in such frames; the share is reported."""
    source = recording(name)
    result = middle_mask(source, "caller")
    assert_promises(result)
    mask = result.report.masks[0]
    assert mask.channel == "left"
    assert mask.shared_frames >= source.samples // 2 // source.spf
    middle = slice(source.samples // 3, source.samples * 2 // 3)
    kept, was = result.decoded("pyav")[middle, 1], result.expected("pyav")[middle, 1]
    assert db(np.mean((kept - was) ** 2) / np.mean(was**2)) <= -14
    assert_beep(result, 0, (source.samples // 4, source.samples * 3 // 4))


@pytest.mark.parametrize("name", ["midside-16k", "midside-44k"])
def test_mask_both_masks_the_other_party_in_mid_side_frames(name: str) -> None:
    source = recording(name)
    result = middle_mask(source, "caller", shared_frames="mask_both")
    assert_promises(result)
    for channel in (0, 1):
        assert_beep(result, channel, (source.samples // 4, source.samples * 3 // 4))


def test_mask_both_changes_nothing_where_no_frame_is_mid_side() -> None:
    source = recording("stereo-8k")
    kept = middle_mask(source, "caller")
    assert middle_mask(source, "caller", shared_frames="mask_both").data == kept.data


def test_mask_both_leaves_the_other_party_between_mid_side_frames() -> None:
    """Only in frames coded together is the other party masked."""
    source = recording("mpeg2-16k-48k")
    result = middle_mask(source, "caller", shared_frames="mask_both")
    assert_promises(result)
    assert len(result.remade(1)) < len(result.remade(0)) * 2 // 3


@pytest.mark.parametrize("party", PARTIES)
@pytest.mark.parametrize("name", ["stereo-8k", "mpeg2-16k-48k"])
def test_the_recorder_may_have_the_parties_the_other_way_round(name: str, party: str) -> None:
    """caller_channel="right" swaps what the parties' names mean, and nothing else."""
    source = recording(name)
    other = PARTIES[1 - PARTIES.index(party)]
    swapped = middle_mask(source, party, caller_channel="right")
    plain = middle_mask(source, other)
    assert swapped.data == plain.data
    assert swapped.report.masks[0].party == party
    assert swapped.report.masks[0].channel == plain.report.masks[0].channel


def test_both_parties_at_once_and_apart() -> None:
    """Masks of each party lie on its own channel only."""
    source = recording("stereo-8k")
    cut = Cut(caller=((10_000, 16_000),), callee=((24_000, 30_000),), both=((36_000, 40_000),))
    result = store(source, cut)
    assert_promises(result)
    assert [mask.channel for mask in result.report.masks] == ["left", "right", "both"]
    for channel, spans in enumerate([((10_000, 16_000),), ((24_000, 30_000),)]):
        for span in (*spans, (36_000, 40_000)):
            assert_beep(result, channel, span)


# Sources with one voice on both channels


@pytest.mark.parametrize("name", ["mono-8k", "mono-44k", "mono-8k-16k"])
def test_a_mask_of_either_party_masks_a_mono_source(name: str) -> None:
    source = recording(name)
    results = [middle_mask(source, party) for party in (*PARTIES, "both")]
    assert len({result.data for result in results}) == 1
    for result in results:
        assert_promises(result)
        mask = result.report.masks[0]
        assert (mask.channel, mask.coherence, mask.shared_frames) == ("mono", None, 0)
        assert result.report.output.channels == 1
        assert_beep(result, 0, (source.samples // 4, source.samples * 3 // 4))


@pytest.mark.parametrize("party", PARTIES)
def test_both_parties_are_masked_where_the_channels_are_equal(party: str) -> None:
    """A stereo file of one voice would keep it on the other channel."""
    source = recording("equal-channels-8k")
    result = middle_mask(source, party)
    assert_promises(result)
    assert result.report.masks[0].channel == "both"
    assert result.report.masks[0].party == party
    assert [notice.code for notice in result.report.warnings] == ["equal_channels"]
    for channel in (0, 1):
        assert_beep(result, channel, (source.samples // 4, source.samples * 3 // 4))
    assert result.data == middle_mask(source, "both").data


@lru_cache(maxsize=1)
def half_equal() -> Recording:
    """Equal channels in the first half, two voices in the second."""
    first = mpeg.sound(recording("equal-channels-8k").data)[:40]
    second = mpeg.sound(recording("mpeg25-8k-32k").data)[:40]
    frames = [*first, *second]
    assert second[0].main_data_begin == 0
    source = recorded("half equal", bits.with_tag(frames, 576, 600))
    assert [sound.equal for sound in source.sounds[:40]] == [True] * 40
    return source


@pytest.mark.parametrize("party", PARTIES)
def test_frames_with_an_empty_side_are_taken_apart_exactly(party: str) -> None:
    """Where a mask meets equal channels and others, the kept party stays bit for bit in both."""
    source = half_equal()
    result = store(source, masking(party, (12_000, 30_000)))
    assert_promises(result)
    mask = result.report.masks[0]
    assert mask.channel == ("left", "right")[PARTIES.index(party)]
    other = 1 - PARTIES.index(party)
    # Frames 23 to 36 are equal and under the mask.
    assert not result.remade(other) & set(range(23, 37))
    for frame in range(23, 37):
        assert frame in result.remade(1 - other)
    assert result.report.frames.spliced >= 14
    same = slice(23 * 576 + OVERLAP - source.start, 37 * 576 - source.start)
    for decoder in DECODERS:
        got, want = result.decoded(decoder)[same, other], result.expected(decoder)[same, other]
        assert (got == want).all(), decoder


@pytest.mark.parametrize("name", ["crosstalk-16k", "echo-8k"])
def test_a_voice_on_the_other_channel_is_warned_of(name: str) -> None:
    source = recording(name)
    result = store(source, Cut(caller=((source.rate // 2, 2 * source.rate),)))
    (warning,) = result.report.warnings
    assert warning.code == "crosstalk"
    assert "caller" in warning.message
    coherence = result.report.masks[0].coherence
    assert coherence is not None
    assert coherence > 0.25
    assert_kept_outside_remade(result)


@pytest.mark.parametrize("party", PARTIES)
@pytest.mark.parametrize("name", ["stereo-8k", "mpeg2-16k-48k", "mpeg1-44k-128k", "telephone-8k"])
def test_voices_apart_are_not_warned_of(name: str, party: str) -> None:
    """Over one party's speech, both parties' and pauses."""
    source = recording(name)
    for start, end in ((0.2, 2.2), (1.5, 3.2), (3.3, 3.9)):
        span = (round(start * source.rate), round(end * source.rate))
        result = store(source, masking(party, span))
        assert result.report.warnings == ()
        coherence = result.report.masks[0].coherence
        assert coherence is not None
        assert 0 <= coherence < 0.5


@pytest.mark.parametrize("name", ["crosstalk-16k", "echo-8k"])
def test_fail_on_crosstalk_refuses_and_leaves_nothing(name: str) -> None:
    source = recording(name)
    cut = Cut(caller=((source.rate // 2, 2 * source.rate),))
    out = BytesIO()
    with pytest.raises(ae.InvalidRequestError, match="side tone") as caught:
        ae.store(
            source.data, out, cut.modification(source.rate), ae.StoreOptions(fail_on_crosstalk=True)
        )
    assert out.getvalue() == b""
    assert caught.value.problems[0].path == "mask.caller"


def test_fail_on_crosstalk_passes_where_there_is_none() -> None:
    source = recording("mpeg2-16k-48k")
    cut = Cut(caller=((16_000, 32_000),))
    assert store(source, cut, fail_on_crosstalk=True).data == store(source, cut).data


# Intensity stereo


@pytest.mark.parametrize("name", ["intensity-16k", "intensity-44k"])
def test_intensity_frames_under_a_mask_of_one_are_masked_for_both(name: str) -> None:
    """They can't be taken apart: the full path, and both parties masked."""
    source = recording(name)
    start, end = source.samples // 10, source.samples * 3 // 10
    result = store(source, Cut(caller=((start, end),)))
    assert [notice.code for notice in result.report.fallbacks] == ["intensity_stereo"]
    assert result.report.render == "full"
    assert_promises(result)
    for channel in (0, 1):
        assert_beep(result, channel, (start, end))


@pytest.mark.parametrize("name", ["intensity-16k", "intensity-44k"])
def test_masks_of_each_party_together_are_a_mask_of_both(name: str) -> None:
    """Where the two cover the same, nothing has to be taken apart; where one goes on, it has."""
    source = recording(name)
    start, end = source.samples // 10, source.samples * 3 // 10
    both = store(source, Cut(both=((start, end),)))
    middle = (start + end) // 2
    for callee in (((start, end),), ((start, middle), (middle, end))):
        result = store(source, Cut(caller=((start, end),), callee=callee), fail_on_crosstalk=True)
        assert result.report.render == "smart"
        assert result.report.fallbacks == result.report.warnings == ()
        assert result.data == both.data
    result = store(source, Cut(caller=((start, end),), callee=((start, end - 1),)))
    assert [notice.code for notice in result.report.fallbacks] == ["intensity_stereo"]
    assert_promises(result)


@pytest.mark.parametrize("name", ["intensity-16k", "intensity-44k"])
def test_fallback_refuse_refuses_intensity_frames_under_a_mask_of_one(name: str) -> None:
    source = recording(name)
    out = BytesIO()
    cut = Cut(callee=((source.samples // 10, source.samples // 5),))
    with pytest.raises(ae.UnsupportedAudioError, match="intensity"):
        ae.store(
            source.data, out, cut.modification(source.rate), ae.StoreOptions(fallback="refuse")
        )
    assert out.getvalue() == b""


@pytest.mark.parametrize("name", ["intensity-16k", "intensity-44k"])
def test_intensity_elsewhere_needs_no_fallback(name: str) -> None:
    """Under masks of both parties, in trims, and where no mask is, such frames are frames."""
    source = recording(name)
    late = (source.samples * 7 // 10, source.samples * 8 // 10)
    early = (source.samples // 10, source.samples // 5)
    for cut in (Cut(caller=(late,)), Cut(both=(early,)), Cut(early), Cut((early[0], late[1]))):
        result = store(source, cut, fallback="refuse")
        assert result.report.fallbacks == ()
        assert result.report.render == "smart"
        assert_promises(result)
