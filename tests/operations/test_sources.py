# SPDX-License-Identifier: Apache-2.0
"""Odd and bad sources get what the design says: a typed error with the place, or a warning."""

from __future__ import annotations

from io import BytesIO
from itertools import repeat
from pathlib import Path

import numpy as np
import pytest

import audioengine as ae
from fixtures import mpeg
from tests.operations import bits
from tests.operations.helpers import (
    DECODERS,
    EDITABLE,
    Cut,
    decode_lengths,
    recorded,
    recording,
    store,
)
from tests.operations.promises import assert_promises
from tests.operations.streams import laid
from tests.support import DAMAGED, FREE_FORMAT, fixture

TRIM = ae.Modification(trim=ae.Interval(0.01, 0.5))
MASK = ae.Modification(mask={"caller": [ae.Interval(0.01, 0.5)]})

REFUSED = {
    "empty": (ae.MalformedAudioError, "empty", 0),
    "not-audio": (ae.MalformedAudioError, "not an MP3", 0),
    "layer2": (ae.UnsupportedAudioError, "Layer II", 0),
    "rate-change": (ae.UnsupportedAudioError, "8000 Hz", 36_504),
    "channel-change": (ae.UnsupportedAudioError, "mono", 24_768),
}


def codes(notices: tuple[ae.Notice, ...]) -> list[str]:
    return [notice.code for notice in notices]


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_edited_is_refused_with_its_place(name: str, tmp_path: Path) -> None:
    """By every operation, and nothing is left at the destination."""
    kind, words, offset = REFUSED[name]
    data = fixture(name)
    target = tmp_path / "out.mp3"
    for attempt in (
        lambda: ae.inspect(data),
        lambda: ae.plan_store(data, TRIM),
        lambda: ae.store(data, target, TRIM),
        lambda: ae.store(data, target, MASK),
        lambda: ae.store(data, target),
        lambda: ae.decode(data),
    ):
        with pytest.raises(kind, match=words) as caught:
            attempt()
        assert isinstance(caught.value, ValueError)
        assert not caught.value.retryable
        assert getattr(caught.value, "offset") == offset  # noqa: B009 - of both classes
        assert f"byte {offset}" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_layer_1_is_refused_too() -> None:
    # 32 kbit/s at 44.1 kHz: 32 bytes a frame.
    frame = bytes((0xFF, 0xFF, 0x10, 0x00)).ljust(32, b"\0")
    with pytest.raises(ae.UnsupportedAudioError, match="Layer I;"):
        ae.inspect(frame * 40)


def test_a_version_change_inside_is_refused() -> None:
    """22.05 kHz MPEG-2 behind 44.1 kHz MPEG-1."""
    head = mpeg.join(mpeg.sound(fixture("mpeg1-44k-128k"))[:20])
    tail = mpeg.join(mpeg.sound(fixture("mpeg2-22k-64k"))[:20])
    with pytest.raises(
        ae.UnsupportedAudioError, match=r"MPEG-1 44100 Hz.*MPEG-2 22050 Hz"
    ) as caught:
        ae.inspect(head + tail)
    assert caught.value.offset == len(head)


def test_a_tag_that_promises_more_frames_is_refused_unless_allowed(tmp_path: Path) -> None:
    data, target = fixture("tag-promises-more"), tmp_path / "out.mp3"
    for modification in (TRIM, MASK, None):
        with pytest.raises(ae.MalformedAudioError, match=r"184.*169"):
            ae.store(data, target, modification)
    with pytest.raises(ae.MalformedAudioError):
        ae.decode(data)
    assert list(tmp_path.iterdir()) == []
    info = ae.inspect(data)
    assert info.frames == 169
    assert codes(info.warnings) == ["truncated"]
    report = ae.store(data, target, TRIM, ae.StoreOptions(allow_truncated=True))
    assert codes(report.warnings) == ["truncated"]
    assert report.output.samples == 8000 - 160
    assert len(ae.decode(data, allow_truncated=True).caller) == info.samples


def test_a_truncated_recording_keeps_its_start() -> None:
    """What is there of it lies where it was; the padding that it says was cut off with the rest."""
    whole = recording("mpeg2-16k-48k")
    data = whole.data[: whole.frames[100].offset]
    with pytest.raises(ae.MalformedAudioError, match="cut off"):
        ae.store(data, BytesIO(), MASK)
    out = BytesIO()
    ae.store(data, out, MASK, ae.StoreOptions(allow_truncated=True))
    for decoder in ("miniaudio", "pyav"):
        cut, full = DECODERS[decoder](out.getvalue()), whole.decoded(decoder)
        span = slice(16_000, 50_000)
        assert (cut[span] == full[span]).all(), decoder


def test_a_tag_that_promises_less_is_a_warning() -> None:
    """Frames are counted, never believed."""
    source = recording("tag-promises-less")
    info = ae.inspect(source.data)
    assert (info.frames, info.samples) == (169, 96_000)
    assert codes(info.warnings) == ["tag_disagrees"]
    assert "154" in info.warnings[0].message
    assert "169" in info.warnings[0].message


CLOCKS = {
    "xing-no-lame": (97_344, False, None),
    "tag-version-zero": (97_344, False, None),
    "tag-other-encoder": (97_344, False, "GOGO3.13"),
    "tag-vbri": (222_336, False, None),
    "lavf-16k": (96_000, True, "Lavc59.37"),
    "lavf-44k": (176_400, True, "Lavc59.37"),
    "mpeg2-16k-48k": (96_000, True, "LAME3.100"),
    "untagged-16k": (97_344, False, None),
    "lameenc-16k": (97_344, False, None),
    "tiny-101-samples": (101, True, "LAME3.100"),
    "one-frame": (1152, False, None),
    "two-frames": (1152, False, None),
    "naive-concat": (98_112, True, "LAME3.100"),
}


@pytest.mark.parametrize("name", CLOCKS)
def test_the_clock_counts_frames_and_believes_only_gapless_tags(name: str) -> None:
    samples, tagged, encoder = CLOCKS[name]
    info = ae.inspect(fixture(name))
    assert (info.samples, info.tagged, info.encoder) == (samples, tagged, encoder)
    assert info.duration_ms == pytest.approx(samples * 1000 / info.rate_hz)
    assert (info.encoder_delay is None) == (info.padding is None) == (not tagged)


@pytest.mark.parametrize("name", EDITABLE)
def test_inspect_says_what_the_headers_say(name: str) -> None:
    source = recording(name)
    info = ae.inspect(source.data)
    first, frames = source.frames[0], source.frames
    assert info.bytes == len(source.data)
    assert info.version == mpeg.VERSION_NAMES[first.version]
    assert info.mode == mpeg.MODE_NAMES[first.mode]
    assert (info.rate_hz, info.channels) == (source.rate, source.channels)
    assert (info.frames, info.samples) == (len(frames), source.samples)
    assert info.protected == first.protected
    assert info.free_format == (first.kbps == 0)
    rates = [frame.kbps for frame in frames if frame.kbps]
    assert info.bitrates == {kbps: rates.count(kbps) for kbps in sorted(set(rates))}
    assert info.constant_bitrate == (len(set(rates)) <= 1)
    size = sum(len(frame.data) for frame in frames)
    assert info.bitrate_kbps == pytest.approx(
        size * 8 * source.rate / len(frames) / source.spf / 1000, abs=1e-3
    )


def test_inspect_names_the_metadata_around_the_frames() -> None:
    assert ae.inspect(fixture("tags-id3-ape")).tags == ("id3v2", "ape", "id3v1")
    assert ae.inspect(fixture("id3v2-twice")).tags == ("id3v2", "id3v2")
    assert ae.inspect(fixture("mpeg2-16k-48k")).tags == ()
    assert ae.inspect(fixture("id3v1-in-middle")).tags == ("id3v1",)


WARNINGS = {
    "junk-at-start": ("junk", "Bytes 0 to 500 "),
    "junk-in-middle": ("junk", "Bytes 17280 to 18280 "),
    "truncated-last-frame": ("incomplete_last_frame", "90 bytes"),
    "head-cut": ("lost_main_data", "frame 0 (byte 0)"),
    "tag-vbri": ("vbri_tag", "VBRI"),
}


@pytest.mark.parametrize("name", WARNINGS)
def test_damage_is_a_warning_with_its_place(name: str) -> None:
    """In inspect, in a plan, and in the report of a copy and of an edit."""
    code, place = WARNINGS[name]
    data = fixture(name)
    for notices in (
        ae.inspect(data).warnings,
        ae.plan_store(data, TRIM).warnings,
        ae.store(data, BytesIO()).warnings,
        ae.store(data, BytesIO(), TRIM).warnings,
    ):
        assert code in codes(notices)
        (notice,) = (notice for notice in notices if notice.code == code)
        assert place in notice.message


def test_more_junk_at_the_start_than_64_kib_is_no_recording() -> None:
    body = recording("untagged-16k").data
    junk = bytes(range(200)) * 400
    assert ae.inspect(junk[:60_000] + body).frames == 169
    with pytest.raises(ae.MalformedAudioError):
        ae.inspect(junk[:70_000] + body)


@pytest.mark.parametrize("name", ["junk-in-middle", "byte-missing", "zeros-in-middle"])
def test_damage_near_an_edit_is_refused_or_takes_the_full_path(name: str) -> None:
    """fallback="refuse" says where; "full" (the default) says so in the report."""
    source = recording(name)
    at = 80 * source.spf
    cut = Cut(caller=((at + 100, at + 3000),))
    out = BytesIO()
    with pytest.raises(ae.UnsupportedAudioError, match="damaged near an edit, at frame"):
        ae.store(
            source.data, out, cut.modification(source.rate), ae.StoreOptions(fallback="refuse")
        )
    assert out.getvalue() == b""
    result = store(source, cut)
    assert result.report.render == "full"
    assert codes(result.report.fallbacks) == ["damage"]
    assert_promises(result)


@pytest.mark.parametrize("name", DAMAGED)
def test_frames_without_their_main_data_are_silent(name: str) -> None:
    """In the smart and the full path, and what follows is where it was."""
    source = recording(name)
    for render in ("smart", "full"):
        result = store(source, Cut((100, source.samples)), render=render)
        assert_promises(result)
        assert result.first_frame is not None
        for frame in source.silent:
            sound = result.sounds[frame - result.first_frame]
            if render == "smart" and 0 < frame < len(source.frames) - 4:
                assert not sound.adu


@pytest.mark.parametrize("name", FREE_FORMAT)
def test_free_format_takes_the_full_path_at_a_table_bitrate(name: str) -> None:
    """The lowest that is no less than its own; or it is refused."""
    source = recording(name)
    cut = Cut((1000, source.samples - 1000), caller=((20_000, 30_000),))
    result = store(source, cut)
    assert result.report.render == "full"
    assert codes(result.report.fallbacks) == ["free_format"]
    assert_promises(result)
    own = ae.inspect(source.data).bitrate_kbps
    nominal = result.report.bitrates.nominal_kbps
    assert nominal is not None
    assert own - 0.5 <= nominal <= own * 1.34
    with pytest.raises(ae.UnsupportedAudioError, match="free format"):
        store(source, cut, fallback="refuse")


@pytest.mark.parametrize("name", ["mpeg2-24k-160k", "mpeg1-44k-320k"])
@pytest.mark.parametrize("more", [1, 300])
def test_free_format_above_all_table_bitrates_is_edited(name: str, more: int) -> None:
    """Its frames hold more than any of a table bitrate does; libsndfile and minimp3 play them."""
    data = laid(mpeg.sound(fixture(name)), repeat(14), more=more)
    info = ae.inspect(data)
    assert info.free_format
    played = {decoder: DECODERS[decoder](data) for decoder in ("soundfile", "miniaudio")}
    assert {len(pcm) for pcm in played.values()} == {info.samples}
    decoded = ae.decode(data)
    wanted = played["soundfile"]
    assert np.array_equal(np.stack((decoded.caller, decoded.callee), axis=1), wanted)
    modification = ae.Modification(mask={"caller": [ae.Interval(1, 1.5)]})
    out = BytesIO()
    report = ae.store(data, out, modification, workers=1)
    assert codes(report.fallbacks) == ["free_format"]
    assert decode_lengths(out.getvalue()) == {info.samples}
    assert ae.verify(data, out.getvalue(), modification, workers=1).passed


def test_a_change_into_free_format_inside_is_no_endless_search() -> None:
    """Three frames without a table bitrate, of the same version and rate, between others."""
    frames = mpeg.sound(recording("untagged-16k").data)
    free = [
        bytes((0xFF, f.data[1], f.data[2] & 0x0F, f.data[3])) + f.data[4:] for f in frames[50:56]
    ]
    data = mpeg.join(frames[:50]) + b"".join(free) + mpeg.join(frames[56:])
    try:
        info = ae.inspect(data)
    except ae.AudioEngineError:
        return
    assert info.frames <= len(frames)
    assert "junk" in codes(info.warnings)


@pytest.mark.parametrize("name", ["crc-16k", "crc-44k", "wrong-crc"])
def test_protected_frames_stay_protected(name: str) -> None:
    """Re-made ones have a right CRC; those that the source has stay, right or wrong."""
    source = recording(name)
    span = (source.samples // 4, source.samples // 2)
    result = store(source, Cut(caller=(span,)))
    assert_promises(result)
    for sound in result.sounds:
        assert sound.frame.protected
        if sound.head not in {original.head for original in source.sounds}:
            assert sound.data[4:6] == bits.frame_crc(sound.frame)


@pytest.mark.parametrize("name", ["tags-id3-ape", "lavf-16k", "id3v2-twice"])
def test_metadata_is_not_carried_into_an_edited_output(name: str) -> None:
    """It may name what was removed. A plain copy keeps it."""
    source = recording(name)
    out = BytesIO()
    ae.store(source.data, out)
    assert out.getvalue() == source.data
    result = store(source, Cut((100, source.samples)))
    assert_promises(result)  # which sees to it that nothing but frames is there
    for word in (b"ID3", b"TAG", b"APETAGEX", b"Call 1234", b"PNG"):
        assert word not in result.data


def test_dual_channel_stays_dual_channel() -> None:
    source = recording("dual-16k")
    result = store(source, Cut(callee=((20_000, 40_000),)))
    assert_promises(result)
    assert {sound.frame.mode for sound in result.sounds} == {2}


def test_a_source_of_one_sample_can_be_masked() -> None:
    """Cut out of a recording by our own trim before."""
    one = store(recording("mpeg1-44k-128k"), Cut((50_000, 50_001)))
    source = recorded("one sample", one.data)
    assert source.samples == 1
    modification = ae.Modification(mask={"both": [ae.Interval(0, 1 / 44_100)]}, guard_ms=1)
    out = BytesIO()
    report = ae.store(source.data, out, modification)
    assert report.output.samples == 1
    for decode in DECODERS.values():
        assert decode(out.getvalue()).shape == (1, 2)


def test_edits_of_edits_keep_the_clock() -> None:
    """Our own output is a source like any other, three times over."""
    source = recording("mpeg2-16k-48k")
    for number in range(3):
        result = store(source, Cut((1000 + number, source.samples - 500), caller=((2000, 9000),)))
        assert_promises(result)
        source = recorded(f"edited {number}", result.data)
        assert source.samples == result.length
