# SPDX-License-Identifier: Apache-2.0
"""What only some decoders play badly does not pass: windows, hidden frames, treble, lost ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from io import BytesIO
from random import Random
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest

import audioengine as ae
from audioengine.edits import Span
from audioengine.mp3.header import parse_header
from audioengine.mp3.index import FrameIndex
from audioengine.mp3.info_tag import DECODER_DELAY
from audioengine.mp3.side_info import (
    BlockType,
    SideInfo,
    granule_layout,
    pack_side_info,
    parse_side_info,
)
from audioengine.render.edited import EditedPcm
from fixtures import mpeg
from tests.operations.helpers import (
    Cut,
    Recording,
    Result,
    lame,
    masking,
    recorded,
    recording,
    store,
    talk,
)
from tests.operations.streams import generated
from tests.operations.test_verify_broken import failures, with_data, with_frames
from tests.operations.test_verify_forged import Channel, store_edited
from tests.support import decode_miniaudio, decode_soundfile

OTHER = {BlockType.START: BlockType.STOP, BlockType.STOP: BlockType.START}


# Windows


def with_other_window(frame: mpeg.Frame, channel: int) -> mpeg.Frame | None:
    """The frame, a granule of a channel with the window of another place: the same bits follow."""
    header = parse_header(frame.data)
    assert header is not None
    here = slice(header.side_info_offset, header.main_data_offset)
    info = parse_side_info(frame.data[here], header.format)
    layout = granule_layout(header.format.lsf)
    granules = [list(pair) for pair in info.granules]
    for pair in granules:
        kind = layout.block_type(pair[channel])
        if kind in OTHER and layout.part2_3_length(pair[channel]) > 100:
            pair[channel] ^= (kind ^ OTHER[kind]) << layout.window_shift
            side = pack_side_info(
                SideInfo(info.main_data_begin, info.scfsi, tuple(map(tuple, granules))),
                header.format,
            )
            data = frame.data[: here.start] + side + frame.data[here.stop :]
            return mpeg.Frame(frame.offset, data)
    return None


def with_bad_windows(result: Result, places: Iterator[int], channel: int) -> Result | None:
    """The output with the window of the first of some frames that can have another."""
    frames = [sound.frame for sound in result.sounds]
    for place in places:
        other = with_other_window(frames[place], channel)
        if other is not None:
            frames[place] = other
            return with_frames(result, frames)
    return None


@pytest.mark.parametrize("name", ["stereo-8k", "mono-8k", "nores-8k", "stereo-44k"])
def test_windows_that_do_not_fit(name: str) -> None:
    """Wherever they are; minimp3 plays them as if they did."""
    source = recording(name)
    result = store(source, Cut((source.samples // 5, source.samples * 4 // 5)), render="full")
    broken = with_bad_windows(result, iter(range(20, len(result.sounds))), 0)
    assert broken is not None
    assert "windows" not in failures(result, render="full")
    assert "windows" in failures(broken, render="full")


@pytest.mark.parametrize("name", ["mpeg2-22k-64k", "nores-8k"])
def test_what_a_seam_s_windows_do_is_heard(name: str) -> None:
    """By the second decoder, in what is made anew and what is copied beside it."""
    source = recording(name)
    heard = 0
    for number in range(12):
        start = (10 + 5 * number) * source.spf
        result = store(source, masking("both", (start, start + 8 * source.spf)))
        assert result.first_frame is not None
        remade = sorted(result.remade(0))
        behind = max(frame for frame in remade if frame < start // source.spf + 14)
        for frame in (*remade[:3], *range(behind - 1, behind + 3)):
            broken = with_bad_windows(result, iter((frame - result.first_frame,)), 0)
            if broken is not None:
                found = failures(broken)
                assert "windows" in found
                heard += "decoders" in found
    assert heard


def test_a_source_s_own_windows_are_no_fault_of_the_output() -> None:
    """Where they do not fit in the source, they stand in the output as they do there."""
    source = recording("stereo-8k")
    frames = list(mpeg.frames(source.data))
    places = [i for i in range(30, 60) if with_other_window(frames[i], 0) is not None]
    for place in places:
        other = with_other_window(frames[place], 0)
        assert other is not None
        frames[place] = other
    odd = recorded("odd windows", mpeg.join(frames))
    result = store(odd, masking("caller", (4 * odd.rate, 5 * odd.rate)))
    assert places
    assert not failures(result) & {"windows", "decoders", "copied_frames"}


# What is hidden


@pytest.mark.parametrize("rate", [22_050, 24_000])
def test_main_data_further_back_than_a_decoder_reads(rate: int) -> None:
    """mpg123 decodes four frames ahead of the first sample that is played, and no more."""
    source = recorded(f"16 kbit/s, {rate} Hz", lame(talk(rate, 8.0)[:, :1], rate, 16))
    spf, hidden = source.spf, 7
    # In front of the main data are a header of 4 bytes and 9 of side information.
    slots = len(source.frames[30].data) - 13
    begins = [frame.main_data_begin for frame in source.frames]
    first = next(i for i, begin in enumerate(begins) if i > 20 and begin > 4.5 * slots)
    result = store(source, Cut((first * spf, source.samples)))
    (tag, *_) = mpeg.frames(result.data)
    # minimp3 leaves out frames whose main data is not all there: but for the last two that are
    # hidden, they are silent, and keep what later ones reach back to.
    frames = list(source.frames[first - hidden :])
    for number, frame in enumerate(frames[: hidden - 2]):
        side = bytes((min(255, number * slots),)) + bytes(8)
        frames[number] = mpeg.Frame(0, frame.data[:4] + side + frame.data[13:])
    body = mpeg.join(frames)
    output = with_hidden(tag, body, len(source.frames) - first + hidden, hidden * spf)
    plays = decode_miniaudio(output)[:, 0] / 32768, decode_soundfile(output)[:, 0]
    assert len(plays[0]) == len(plays[1]) == source.samples - first * spf
    assert np.abs(plays[0] - plays[1])[:spf].max() > 0.0005
    assert "decoders" in failures(with_data(result, output))


def with_hidden(tag: mpeg.Frame, body: bytes, frames: int, samples: int) -> bytes:
    """Frames behind a tag that hides the first samples."""
    data = bytearray(tag.data)
    start = 4 + tag.side_length
    data[start + 8 : start + 12] = frames.to_bytes(4, "big")
    data[start + 12 : start + 16] = (len(data) + len(body)).to_bytes(4, "big")
    fields = samples - DECODER_DELAY << 12 | DECODER_DELAY
    data[start + 141 : start + 144] = fields.to_bytes(3, "big")
    return bytes(data) + body


# Treble


def filtered(low: float, high: float) -> Channel:
    """What is coded, without the frequencies between; 1 is half the rate."""

    def wrong(
        _pcm: EditedPcm, _number: int, _span: Span, edited: npt.NDArray[np.float32]
    ) -> npt.NDArray[Any]:
        spectrum = np.fft.rfft(edited.astype(np.float64))
        at = np.linspace(0, 1, len(spectrum))
        spectrum[(at >= low) & (at <= high)] = 0
        filtered: npt.NDArray[Any] = np.fft.irfft(spectrum, len(edited))
        return filtered

    return wrong


def bright(rate: int = 44_100) -> Recording:
    """A call over noise, with a tone above what a telephone has."""
    pcm = talk(rate, 6.0) * 0.5
    random = np.random.default_rng(4)
    pcm += random.standard_normal(pcm.shape) * 0.002
    pcm += 0.02 * np.sin(2 * np.pi * 10_000 * np.arange(len(pcm)) / rate)[:, None]
    return recorded("bright", lame(pcm, rate, 192))


@pytest.mark.parametrize(
    "lost", [(0.55, 1), (0.41, 0.5), (0.3, 0.4)], ids=["low-pass", "a tone of 10 kHz", "a band"]
)
def test_what_is_kept_loses_a_band(
    monkeypatch: pytest.MonkeyPatch, lost: tuple[float, float]
) -> None:
    """It resembles the source as much as before."""
    source = bright()
    cut = Cut((source.rate, 5 * source.rate))
    assert not failures(store(source, cut, render="full"), render="full")
    broken = store_edited(monkeypatch, source, cut, filtered(*lost), render="full")
    assert failures(broken, render="full") == {"kept_sound"}


def test_the_other_party_of_mid_side_frames_loses_treble(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are made anew for the whole mask."""
    source = recording("midside-44k")
    cut = masking("caller", (source.samples // 3, source.samples * 2 // 3))
    assert not failures(store(source, cut))
    broken = store_edited(monkeypatch, source, cut, filtered(0.15, 1))
    assert "kept_sound" in failures(broken)


@pytest.mark.parametrize("name", ["foreign/shine-16k", "foreign/lamejs-16k"])
def test_what_lame_codes_at_no_setting_is_not_asked_for(name: str) -> None:
    """Other encoders code up to 8 kHz at 16 kHz."""
    source = recording(name)
    assert not failures(store(source, Cut((1000, 30_000)), render="full"), render="full")


def test_short_windows_at_8_khz_hold_less_of_the_treble() -> None:
    """The source had long ones there, and what is re-made has short ones."""
    source = recording("telephone-8k")
    result = store(source, Cut((2400, 10_400)), render="full")
    assert not failures(result, render="full")


@pytest.mark.parametrize("name", ["stereo-8k", "foreign/shine-16k"])
def test_a_band_that_lame_codes_is_asked_for_in_long_windows_and_in_short_ones(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    source = recording(name)
    cut = Cut((1000, source.samples - 1000))
    broken = store_edited(monkeypatch, source, cut, filtered(0.62, 0.8), render="full")
    assert "kept_sound" in failures(broken, render="full")


def test_mixed_blocks_are_judged_as_most_decoders_play_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """minimp3 plays those of MPEG-2 otherwise: what is re-made of them would seem to be dull."""
    source = recorded("mixed-24000", generated("mixed-24000"))
    cut = Cut((source.samples // 7, source.samples - source.samples // 9))
    assert not failures(store(source, cut))
    broken = store_edited(monkeypatch, source, cut, filtered(0.15, 1))
    assert failures(broken) == {"kept_sound"}


# Ends that are not there


@pytest.mark.parametrize("name", ["stereo-8k", "mpeg2-16k-48k", "stereo-44k"])
@pytest.mark.parametrize("trimmed", [True, False])
def test_the_padding_of_an_end_that_is_cut_off(
    monkeypatch: pytest.MonkeyPatch, name: str, trimmed: bool
) -> None:
    """Players play all that there is; what an index leaves out of it is lost."""
    data = recording(name).data[:-3000]
    edit = ae.Modification(
        trim=ae.Interval(1, None) if trimmed else None,
        mask={"both": [ae.Interval(2, 2.5)]},
    )
    played = len(decode_miniaudio(data))
    assert played == len(decode_soundfile(data))
    for samples in (played, played - 100):
        with monkeypatch.context() as patch:
            patch.setattr(FrameIndex, "samples", property(partial(_of, samples=samples)))
            output = BytesIO()
            ae.store(data, output, edit, ae.StoreOptions(allow_truncated=True))
            verdict = ae.verify(
                data, output.getvalue(), edit, ae.StoreOptions(allow_truncated=True)
            )
            found = {check.name for check in verdict.failures}
        assert ("clock" in found) == (samples != played)


def _of(index: FrameIndex, samples: int) -> int:
    """The length of a source that is cut off, or of any other."""
    tag = index.info_tag
    cut_off = tag is not None and (tag.frames or 0) > index.frames
    start, end = index._gapless
    return samples if cut_off else end - start


# What is right, though it seemed not to be


def noisy(rate: int, seed: int) -> bytes:
    """Noise in both channels, steady or in bursts, at 8 kbit/s."""
    random = np.random.default_rng(seed)
    pcm = random.standard_normal((rate * 4, 2)) * random.choice((0.003, 0.05, 0.3), 2)
    if seed % 2:
        step = (500, 4000, 16_000)[seed % 3]
        pcm *= np.where(np.arange(len(pcm)) // step % 2, 1, 0.02)[:, None]
    return lame(pcm, rate, 8)


@pytest.mark.parametrize(
    ("rate", "seed"),
    [(8000, 145), (11_025, 37), (8000, 3), (11_025, 4), (11_025, 31), (16_000, 41)],
)
def test_noise_of_coding_is_no_voice(rate: int, seed: int) -> None:
    """It is as loud as what is coded, and spreads over masks and into what a tag hides."""
    random, source = Random(seed), noisy(rate, seed)
    start, length = random.uniform(0.3, 2.5), random.choice((0.1, 0.3, 1))
    trim = ae.Interval(0.2, random.uniform(3.2, 3.9)) if random.random() < 0.5 else None
    party = random.choice(("caller", "callee", "both"))
    edit = ae.Modification(trim, {party: [ae.Interval(start, start + length)]})
    beep, output = ae.Beep(1000, random.choice((-20, -40, -55))), BytesIO()
    ae.store(source, output, edit, ae.StoreOptions(beep=beep))
    verdict = ae.verify(source, output.getvalue(), edit, ae.StoreOptions(beep=beep), workers=1)
    assert not verdict.failures


@pytest.mark.parametrize(
    ("rate", "channels", "render", "hz"),
    [(24_000, 1, "smart", 2168), (16_000, 1, "full", 2832), (11_025, 2, "full", 1864)],
)
def test_few_bits_give_a_beep_its_own_noise(
    rate: int, channels: int, render: Literal["smart", "full"], hz: int
) -> None:
    """At 8 kbit/s up to 17 dB below it."""
    source, output = lame(talk(rate, 2.0)[:, :channels], rate, 8), BytesIO()
    edit = ae.Modification(None, {"both": [ae.Interval(0.5, 1.6)]})
    asked, louder = (ae.StoreOptions(beep=ae.Beep(hz, level), render=render) for level in (-7, -6))
    ae.store(source, output, edit, asked)
    assert not ae.verify(source, output.getvalue(), edit, asked).failures
    verdict = ae.verify(source, output.getvalue(), edit, louder)
    assert {check.name for check in verdict.failures} == {"beep"}


@pytest.mark.parametrize("rate", [16_000, 22_050, 24_000])
def test_two_channels_get_bits_enough_for_a_beep(rate: int) -> None:
    """8 kbit/s leave 12 to 60 bits for a granule of each; beeps were up to 20 dB too low."""
    source, output = lame(talk(rate, 2.0), rate, 8), BytesIO()
    edit = ae.Modification(None, {"both": [ae.Interval(0.5, 1.6)]})
    full = ae.StoreOptions(render="full")
    assert ae.store(source, output, edit, full).bitrates.raised
    assert not ae.verify(source, output.getvalue(), edit, full).failures


@pytest.mark.parametrize(("start", "samples"), [(8000, 47), (23_000, 47), (23_000, 100)])
def test_edges_in_an_output_shorter_than_what_coding_blurs(start: int, samples: int) -> None:
    """2 to 4 ms, of which the first are masked: no place of the mask's end is surely the best."""
    rate = 24_000
    source, output = lame(talk(rate, 3.0), rate, 16), BytesIO()
    trim = ae.Interval(start / rate, (start + samples) / rate)
    edit = ae.Modification(trim, {"both": [ae.Interval(start / rate, (start + 2) / rate)]})
    ae.store(source, output, edit)
    assert not ae.verify(source, output.getvalue(), edit).failures


@pytest.mark.parametrize(("kbps", "hz"), [(8, 1000), (32, 1000), (32, 2000)])
def test_a_sample_beside_a_mask_is_no_shift_of_it(kbps: int, hz: int) -> None:
    """No coding holds it. A mask that begins 5 ms later is noticed as everywhere."""
    rate, start = 22_050, 9000
    tone = 0.05 * np.cos(2 * np.pi * hz * np.arange(rate) / rate)
    source = recorded("a tone", lame(np.stack((tone, 0 * tone), axis=1), rate, kbps))
    trim, beep = (start, start + 4508), ae.Beep(876, -52)
    cut, later = (
        masking("both", (start + first, start + 745), trim=trim) for first in (1, rate // 200)
    )
    result = store(source, cut, beep=beep)
    assert not failures(result, beep=beep)
    assert "mask_edges" in failures(replace(store(source, later, beep=beep), cut=cut), beep=beep)


def test_frames_that_come_out_as_the_source_s_behind_its_end() -> None:
    """A beep that ends with the recording rings on in what is hidden, then as before."""
    source, output = lame(talk(24_000, 3.0), 24_000, 16), BytesIO()
    ae.store(source, output, ae.Modification(None, {"both": [ae.Interval(1.5, None)]}))
    masked = output.getvalue()
    for start in (2.0, 2.25, 2.5):
        trim, again = ae.Modification(ae.Interval(start, None)), BytesIO()
        ae.store(masked, again, trim)
        assert not ae.verify(masked, again.getvalue(), trim).failures


@pytest.mark.parametrize("samples", [2, 3, 50])
def test_a_few_samples_of_a_beep(samples: int) -> None:
    """No coding holds them: it is as loud as they are."""
    rate, start = 24_000, 5000
    source, output = lame(talk(rate, 1.0), rate, 16), BytesIO()
    trim = ae.Interval(start / rate, (start + samples) / rate)
    mask = ae.Interval((start - 447) / rate, (start + 500) / rate)
    edit, options = (
        ae.Modification(trim, {"caller": [mask]}),
        ae.StoreOptions(beep=ae.Beep(1593, -45)),
    )
    ae.store(source, output, edit, options)
    assert not ae.verify(source, output.getvalue(), edit, options).failures
