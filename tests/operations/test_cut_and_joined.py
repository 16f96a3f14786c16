# SPDX-License-Identifier: Apache-2.0
"""Recordings that other tools cut off, cut out of others, joined, repaired or tagged.

Nothing of them but where decoders part is lost, they take the smart path, and an output of them
plays alike everywhere. They are made of fixtures as those tools make them.
"""

from __future__ import annotations

import struct
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import audioengine as ae
from audioengine.mp3.scan import scan
from fixtures import mpeg
from tests.operations.helpers import (
    DECODERS,
    Cut,
    cuts,
    decode_lengths,
    masking,
    recorded,
    recording,
    store,
)
from tests.operations.promises import assert_promises
from tests.strategies import examples
from tests.support import Bytes, fixture

TAGGED = ("mpeg25-8k-32k", "mpeg2-16k-48k", "mpeg1-44k-128k", "vbr-16k", "mono-8k", "lavf-44k")
START_MS = 1_728_890_677_283


def codes(notices: tuple[ae.Notice, ...]) -> list[str]:
    return [notice.code for notice in notices]


def with_tag_fields(data: bytes, delay: int, padding: int) -> bytes:
    return mpeg.patch_tag(data, 141, (delay << 12 | padding).to_bytes(3, "big"))


def counting(data: bytes, frames: int | None = None, size: int | None = None) -> bytes:
    """The file with other counts in its tag."""
    tag = next(mpeg.frames(data))
    vbri = tag.data[36:40] == b"VBRI"
    name = tag.offset + (36 if vbri else 4 + tag.side_length)
    out = bytearray(data)
    for number, at in ((frames, name + (14 if vbri else 8)), (size, name + (10 if vbri else 12))):
        if number is not None:
            out[at : at + 4] = struct.pack(">I", number)
    return bytes(out)


# Cut off


@pytest.mark.parametrize("name", TAGGED)
@given(st.data())
@examples(8)
def test_a_cut_off_recording_has_the_samples_that_players_play(
    name: str, data: st.DataObject
) -> None:
    """Its delay counts; of its padding what lies in frames that are there."""
    padding = data.draw(st.sampled_from((0, 529, 600, 1260, 2463, 3000, 4095)))
    whole = with_tag_fields(fixture(name), data.draw(st.sampled_from((576, 1680))), padding)
    frames = list(mpeg.frames(whole))
    missing = data.draw(st.one_of(st.integers(1, 5), st.integers(1, len(frames) - 20)))
    cut_off = whole[: frames[-missing].offset]
    info = ae.inspect(cut_off)
    assert decode_lengths(cut_off) == {info.samples}
    assert codes(info.warnings) == ["truncated"]
    source = recorded(name, cut_off)
    assert source.samples == info.samples
    with pytest.raises(ae.MalformedAudioError, match="cut off"):
        ae.plan_store(cut_off, ae.Modification(trim=ae.Interval(0.1, None)))
    cut = data.draw(cuts(source))
    result = store(source, cut, allow_truncated=True, workers=1)
    if result.report.render != "copy":
        assert_promises(result)
    plan = ae.plan_store(
        cut_off, cut.modification(source.rate), ae.StoreOptions(allow_truncated=True)
    )
    assert plan.output_samples == result.report.output.samples
    assert len(ae.decode(cut_off, allow_truncated=True).caller) == info.samples


@pytest.mark.parametrize("name", TAGGED)
def test_edits_of_a_cut_off_recording_pass_verification(name: str) -> None:
    whole = fixture(name)
    cut_off = whole[: list(mpeg.frames(whole))[-20].offset]
    seconds = ae.inspect(cut_off).duration_ms / 1000
    # To the last sample that there is.
    masks = [ae.Interval(1, 1.5), ae.Interval(seconds - 0.3, seconds + 0.1)]
    modification = ae.Modification(mask={"both": masks})
    out = BytesIO()
    ae.store(cut_off, out, modification, ae.StoreOptions(allow_truncated=True), workers=1)
    assert ae.verify(
        cut_off, out.getvalue(), modification, ae.StoreOptions(allow_truncated=True), workers=1
    ).passed


def test_a_cut_off_recording_is_heard_to_its_end_in_a_merge() -> None:
    whole = fixture("mpeg2-16k-48k")
    cut_off = whole[: list(mpeg.frames(whole))[101].offset]
    parts = [ae.MergePart(cut_off, START_MS), ae.MergePart(whole, START_MS + 60_000)]
    out = BytesIO()
    report = ae.merge(parts, out, ae.MergeOptions(allow_truncated=True), workers=1)
    heard = ae.inspect(cut_off).samples
    assert heard == 100 * 576 - 1105
    assert report.parts[0].interval.samples == (0, heard)
    assert ae.verify_merge(
        parts, out.getvalue(), ae.MergeOptions(allow_truncated=True), workers=1
    ).passed


@pytest.mark.parametrize("name", ["mpeg25-8k-32k", "lavf-44k"])
def test_a_tag_that_counts_no_frames_has_no_padding(name: str) -> None:
    """Nobody knows of an end to take it off; minimp3 and FFmpeg take the delay off the start."""
    data = counting(fixture(name), frames=0)
    source = recording(name)
    info = ae.inspect(data)
    raw = len(source.frames) * source.spf
    assert info.samples == raw - source.start
    played = {decoder: len(DECODERS[decoder](data)) for decoder in DECODERS}
    assert played == {"miniaudio": info.samples, "pyav": info.samples, "soundfile": raw}
    assert codes(info.warnings) == ["tag_disagrees", "players_disagree"]


# Tags that count themselves


@pytest.mark.parametrize("name", ["mpeg2-16k-48k", "vbr-44k", "xing-no-lame", "tag-vbri"])
def test_a_tag_may_count_itself(name: str) -> None:
    """As xingmux, mp3val, old Xing and Fraunhofer encoders do: where all bytes are there."""
    data = fixture(name)
    frames = ae.inspect(data).frames
    own = counting(data, frames=frames + 1, size=len(data))
    info = ae.inspect(own)
    assert info.frames == frames
    assert "tag_counts_itself" in codes(info.warnings)
    assert "tag_disagrees" not in codes(info.warnings)
    source = recorded(name, own)
    assert source.samples == info.samples
    if info.tagged:
        assert decode_lengths(own) == {info.samples}
    result = store(source, Cut((1000, 30_000), callee=((5000, 9000),)), workers=1)
    assert "tag_counts_itself" in codes(result.report.warnings)
    assert_promises(result)


@pytest.mark.parametrize("name", ["mpeg2-16k-48k", "vbr-44k", "xing-no-lame", "tag-vbri"])
def test_a_tag_that_counts_itself_can_be_cut_off_too(name: str) -> None:
    """Where bytes are missing it is, be it one frame or a part of one; or where it counts more."""
    data = fixture(name)
    every = list(mpeg.frames(data))
    frames, last = len(every) - 1, every[-1]
    own = counting(data, frames=frames + 1, size=len(data))
    for broken in (
        own[: last.offset],
        own[: last.offset + 30],
        counting(data, frames=frames, size=len(data))[: last.offset],
        counting(own, frames=frames + 2),
        counting(own, size=len(data) + 1),
        counting(own, size=0),
    ):
        with pytest.raises(ae.MalformedAudioError, match="cut off"):
            ae.decode(broken)


# Tags that players read in other ways


@pytest.mark.parametrize(("name", "skipped"), [("xing-no-lame", 529), ("tag-version-zero", 529)])
def test_a_xing_tag_without_a_lame_extension_is_warned_of(name: str, skipped: int) -> None:
    """Libsndfile begins later; minimp3 and FFmpeg play what audioengine counts."""
    data = fixture(name)
    info = ae.inspect(data)
    played = {decoder: DECODERS[decoder](data) for decoder in DECODERS}
    assert len(played["miniaudio"]) == len(played["pyav"]) == info.samples
    assert len(played["soundfile"]) == info.samples - skipped
    (notice,) = info.warnings
    assert notice.code == "players_disagree"
    assert f"the first {skipped} samples" in notice.message
    report = ae.store(data, BytesIO(), ae.Modification(trim=ae.Interval(1, 2)), workers=1)
    assert notice in report.warnings
    # Where it counts no frames, nobody looks at it.
    assert ae.inspect(counting(data, frames=0)).warnings[1:] == ()
    assert decode_lengths(counting(data, frames=0)) == {info.samples}


def test_a_tag_of_an_encoder_that_ffmpeg_does_not_know_is_warned_of() -> None:
    data = fixture("tag-other-encoder")
    info = ae.inspect(data)
    played = {decoder: len(DECODERS[decoder](data)) for decoder in DECODERS}
    assert played == {"miniaudio": 96_000, "pyav": info.samples, "soundfile": 96_000}
    (notice,) = info.warnings
    assert notice.code == "players_disagree"
    assert "'GOGO3.13'" in notice.message
    assert "the first 1105 samples" in notice.message


def _after_the_tag(name: str, between: bytes, *, short: int = 0) -> bytes:
    every = list(mpeg.frames(fixture(name)))
    return every[0].data[: len(every[0].data) - short] + between + mpeg.join(every[1:])


@pytest.mark.parametrize(
    "between", [b"\0", bytes(300), b"junk" * 70, b"ID3\4\0\0\0\0\0\x0a" + b"1234567890"]
)
@pytest.mark.parametrize("name", ["mpeg25-8k-32k", "mpeg1-44k-128k", "mono-44k"])
def test_a_tag_that_no_frame_follows_directly_is_read_and_warned_of(
    name: str, between: bytes
) -> None:
    """As FFmpeg reads it: the audio is where the encoder put it."""
    data = _after_the_tag(name, between)
    info, plain = ae.inspect(data), ae.inspect(fixture(name))
    assert (info.tagged, info.samples) == (True, plain.samples)
    assert len(DECODERS["pyav"](data)) == info.samples
    assert "players_disagree" in codes(info.warnings)
    assert ("junk" in codes(info.warnings)) is not between.startswith(b"ID3")
    audio, wanted = ae.decode(data), ae.decode(fixture(name))
    assert np.array_equal(audio.caller, wanted.caller)
    out = BytesIO()
    report = ae.store(data, out, ae.Modification(mask={"both": [ae.Interval(1, 2)]}), workers=1)
    assert report.render == "smart"
    assert decode_lengths(out.getvalue()) == {info.samples}


@pytest.mark.parametrize(
    ("tag", "name"), [("mpeg1-44k-128k", "mono-44k"), ("mono-44k", "stereo-44k")]
)
def test_a_tag_of_another_channel_count_is_read_and_warned_of(tag: str, name: str) -> None:
    """As FFmpeg and minimp3 read it."""
    frames = mpeg.sound(fixture(name))
    data = next(mpeg.frames(fixture(tag))).data + mpeg.join(frames)
    data = counting(data, frames=len(frames), size=len(data))
    info = ae.inspect(data)
    assert info.tagged
    assert codes(info.warnings) == ["players_disagree"]
    decoded, wanted = ae.decode(data), ae.decode(fixture(name))
    assert np.array_equal(decoded.callee[:100_000], wanted.callee[:100_000])


def test_a_tag_that_lacks_its_end_is_read() -> None:
    data = _after_the_tag("mpeg25-8k-32k", b"", short=1)
    info = ae.inspect(data)
    assert (info.tagged, info.frames, info.samples) == (True, 86, 48_000)
    assert codes(info.warnings) == ["players_disagree"]


def test_a_tag_without_any_frame_is_refused() -> None:
    tag = next(mpeg.frames(fixture("mpeg25-8k-32k"))).data
    with pytest.raises(ae.MalformedAudioError, match="no whole audio frame after the tag frame"):
        ae.inspect(tag)


# Lossless cuts


@st.composite
def lossless_cuts(draw: st.DrawFn) -> tuple[str, bytes]:
    """A stretch of frames as ffmpeg and mp3splt copy it: with the source's tag, an own, or none."""
    name = draw(st.sampled_from(("mpeg25-8k-32k", "mpeg2-16k-48k", "mpeg1-44k-128k", "vbr-44k")))
    every = list(mpeg.frames(fixture(name)))
    start = draw(st.integers(20, len(every) - 50))
    start += next(n for n, frame in enumerate(every[start:]) if frame.main_data_begin)
    frames = every[start : draw(st.integers(start + 30, len(every)))]
    if draw(st.booleans()):
        return name, mpeg.join(frames)
    tagged = mpeg.join([every[0], *frames])
    tagged = counting(tagged, frames=len(frames), size=len(tagged))
    fields = draw(st.sampled_from(((0, 0), (576, 0), (576, 960), (3567, 768))))
    return name, with_tag_fields(tagged, *fields)


@given(st.data())
@examples(60)
def test_lossless_cuts_take_the_smart_path(data: st.DataObject) -> None:
    """The first frames, whose main data stayed behind, are silent; the rest is copied."""
    source = recorded(*data.draw(lossless_cuts()))
    assert 0 in source.silent
    info = ae.inspect(source.data)
    assert "lost_main_data" in codes(info.warnings)
    cut = data.draw(cuts(source))
    result = store(source, cut, workers=1)
    if result.report.render == "copy":
        return
    assert codes(result.report.fallbacks) in ([], ["within_a_frame"])
    assert_promises(result)


@pytest.mark.parametrize("name", ["mpeg25-8k-32k", "mpeg2-16k-48k", "mpeg1-44k-128k", "vbr-44k"])
def test_edits_of_lossless_cuts_pass_verification(name: str) -> None:
    every = list(mpeg.frames(fixture(name)))
    for start in (25, 30, 35):
        first = next(n for n in range(start, start + 40) if every[n].main_data_begin > 60)
        data = mpeg.join(every[first:])
        for mask in (ae.Interval(0, 0.3), ae.Interval(0.05, 0.4), ae.Interval(0.9, 1.3)):
            modification = ae.Modification(mask={"caller": [mask]})
            out = BytesIO()
            report = ae.store(data, out, modification, workers=1)
            assert report.render == "smart"
            assert ae.verify(data, out.getvalue(), modification, workers=1).passed


def test_a_lost_frame_inside_is_still_damage() -> None:
    every = mpeg.sound(fixture("untagged-16k"))
    # A frame is missing, which the next ones need.
    hole = next(n for n in range(60, 90) if every[n + 1].main_data_begin > 100)
    data = mpeg.join([*every[:hole], *every[hole + 1 :]])
    assert scan(Bytes(data)).damaged[:1] == (hole,)
    junk = mpeg.join(every[:hole]) + b"junk" * 9 + mpeg.join(every[hole + 1 :])
    assert scan(Bytes(junk)).damaged == (hole,)


# Joined


@st.composite
def joined(draw: st.DrawFn) -> tuple[bytes, int]:
    """Two files of a kind, one behind the other, and where the second begins, in frames."""
    kinds = (
        ("mpeg25-8k-32k", "stereo-8k"),
        ("mpeg1-44k-128k", "vbr-44k"),
        ("tags-id3-ape", "midside-16k"),
        ("lavf-16k", "lavf-16k"),
        ("tag-vbri", "tag-vbri"),
        ("untagged-16k", "lameenc-16k"),
        ("mono-8k", "mono-8k"),
    )
    first, second = (fixture(name) for name in draw(st.sampled_from(kinds)))
    if draw(st.booleans()):
        # The second is a lossless cut.
        every = list(mpeg.frames(second))
        tag = every[:1] if every[0].is_tag else []
        start = next(n for n in range(30, 60) if every[n].main_data_begin > 60)
        second = second[: every[0].offset] + mpeg.join([*tag, *every[start:]])
    return first + second, len(mpeg.sound(first))


@given(st.data())
@examples(40)
def test_edits_near_the_seam_of_joined_files_take_the_smart_path(data: st.DataObject) -> None:
    """Tag frames, and the tags of other kinds that stand between, are no damage."""
    stream, seam = data.draw(joined())
    source = recorded("joined", stream)
    at = seam * source.spf - source.start
    start = data.draw(st.integers(at - 3 * source.spf, at + 3 * source.spf))
    length = data.draw(st.integers(source.rate // 10, source.rate))
    cut = masking(data.draw(st.sampled_from(("caller", "callee", "both"))), (start, start + length))
    result = store(source, cut, workers=1)
    assert result.report.render == "smart"
    assert result.report.fallbacks == ()
    assert_promises(result)
    assert ae.verify(stream, result.data, cut.modification(source.rate), workers=1).passed


# Frames that hold nothing


def with_nothing(frame: mpeg.Frame) -> mpeg.Frame:
    """A silent frame as text-to-speech services write it: its main data begins far back."""
    start, end = frame.side_offset, frame.side_offset + frame.side_length
    width = 9 if frame.version == 3 else 8
    side = ((1 << width) - 1 << 8 * (end - start) - width).to_bytes(end - start, "big")
    return mpeg.Frame(frame.offset, frame.data[:start] + side + frame.data[end:])


@pytest.mark.parametrize("name", ["nores-8k", "nores-16k", "nores-44k"])
@given(st.data())
@examples(12)
def test_frames_that_hold_nothing_lose_nothing(name: str, data: st.DataObject) -> None:
    """At the start and between others, wherever their main data is said to begin."""
    frames = mpeg.sound(fixture(name))[:80]
    for first in data.draw(st.sets(st.integers(0, 70), max_size=4)) | {0}:
        for number in range(first, first + data.draw(st.integers(1, 9))):
            frames[number] = with_nothing(frames[number])
    stream = mpeg.join(frames)
    index = scan(Bytes(stream))
    assert index.damaged == ()
    assert 0 in index.hollow
    info = ae.inspect(stream)
    assert codes(info.warnings) == ["hollow_frames"]
    source = recorded(name, stream)
    assert set(index.lost) == set(index.hollow) <= source.silent | set(index.hollow)
    start = data.draw(st.integers(0, source.samples - 2000))
    cut = Cut(both=((start, start + data.draw(st.integers(1000, 2000))),))
    result = store(source, cut, workers=1)
    assert result.report.render == "smart"
    assert decode_lengths(result.data) == {source.samples}
    assert ae.verify(stream, result.data, cut.modification(source.rate), workers=1).passed
    kept = np.ones(source.samples, dtype=bool)
    kept[max(0, start - 8 * source.spf) : start + 12 * source.spf] = False
    wanted = ae.decode(stream)
    played = ae.decode(result.data)
    assert np.abs(played.caller - wanted.caller)[kept].max(initial=0) < 1e-6
