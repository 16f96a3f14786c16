# SPDX-License-Identifier: Apache-2.0
"""Where the audio of sources lies that don't tell it: measured, and what the warning advises.

The streams are what LAME, ffmpeg and lameenc leave when they are killed, piped or copied, made here
byte for byte; `docs/how-to/untagged-sources.md` has the commands that make them.
"""

from __future__ import annotations

import re
from functools import cache
from io import BytesIO
from typing import Any

import lameenc
import numpy as np
import numpy.typing as npt
import pytest

import audioengine as ae
from audioengine.edits import Span
from audioengine.errors import InvalidRequestError
from audioengine.mp3.header import HEADER_BYTES, StreamFormat, Version
from audioengine.mp3.info_tag import InfoTag, build_info_tag
from audioengine.mp3.scan import scan
from audioengine.operations.options import StoreOptions
from audioengine.plan.grid import place
from audioengine.storage.objects import BytesSource
from tests.operations.helpers import DECODERS

EPOCH = 1_728_890_677_000
RATES = (8000, 16_000, 44_100)
KBPS = {8000: 32, 16_000: 48, 44_100: 128}
KINDS = ("bare", "copied", "copied with padding", "copied LAME", "killed", "killed and copied")


@cache
def sound(rate: int) -> npt.NDArray[np.float32]:
    """Four seconds of noise that is like itself at one place alone."""
    noise = np.random.default_rng(7).standard_normal(rate * 4)
    smooth = np.convolve(noise, np.hanning(9) / 4, "same")
    return np.asarray(0.1 * smooth / np.abs(smooth).max(), dtype=np.float32)


@cache
def bare(rate: int) -> bytes:
    """What lameenc writes: the stream of `lame -t`, `lame - -` and `ffmpeg -f mp3 pipe:`."""
    encoder = lameenc.Encoder()
    encoder.set_bit_rate(KBPS[rate])
    encoder.set_in_sample_rate(rate)
    encoder.set_out_sample_rate(rate)
    encoder.set_channels(2)
    encoder.set_quality(2)
    encoder.silence()
    both = np.repeat((sound(rate) * 32767).astype("<i2")[:, None], 2, axis=1)
    return bytes(encoder.encode(both.tobytes())) + bytes(encoder.flush())


@cache
def stream(rate: int, kind: str) -> bytes:
    data = bare(rate)
    index = scan(BytesSource(data))
    blank = data[:HEADER_BYTES] + bytes(index.size(0) - HEADER_BYTES)
    if kind.startswith("killed"):  # LAME fills the place of its tag at the end alone
        data, index = blank + data, scan(BytesSource(blank + data))
    if "copied" not in kind:
        return data
    tag = build_info_tag(
        index.header,
        constant_bitrate=True,
        lowest_kbps=KBPS[rate],
        frames=index.frames,
        audio_bytes=len(data),
        audio_crc=0,
        frame_offsets=range(100),
        encoder=b"LAME3.100" if "LAME" in kind else b"Lavf",
        encoder_delay=0,
        padding=704 if "padding" in kind or "LAME" in kind else 0,
    )
    return tag + data


def lateness(data: bytes, rate: int) -> int:
    """By how many samples the sound comes later than it was given to the encoder."""
    heard = ae.decode(data).caller[rate : 3 * rate].astype(np.float64)
    given = sound(rate).astype(np.float64)
    size = 1 << (len(given) + len(heard)).bit_length()
    product = np.fft.rfft(given, size) * np.conj(np.fft.rfft(heard, size))
    return rate - int(np.argmax(np.fft.irfft(product, size)[: len(given)]))


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_advice_is_what_is_measured(rate: int, kind: str) -> None:
    data = stream(rate, kind)
    late = lateness(data, rate)
    frame = 576 if rate < 32_000 else 1152
    assert late == 1105 - 529 * ("copied" in kind) + frame * ("killed" in kind)
    edit = ae.Modification(
        mask={"both": [ae.Interval(EPOCH + 1000, EPOCH + 1500)]}, absolute_times=True
    )
    plain = ae.plan_store(data, edit, start_time_ms=EPOCH)
    (notice,) = plain.warnings
    assert notice.code == "untagged_absolute_times"
    assert f"{late} samples" in notice.message
    assert f"encoder_delay={late} is right" in notice.message
    assert plain.masks[0].applied.samples == (rate, rate + rate // 2)
    out = BytesIO()
    done = ae.store(data, out, edit, ae.StoreOptions(encoder_delay=late), start_time_ms=EPOCH)
    assert done.masks[0].applied.samples == (rate + late, rate + late + rate // 2)
    for decoder in ("miniaudio", "pyav"):
        heard = DECODERS[decoder](out.getvalue())[:, 0]
        # The second of the given sound that was to be hidden is, and what is beside it is not.
        masked = heard[rate + late + 400 : rate + late + rate // 2 - 400]
        tone = np.abs(np.fft.rfft(masked * np.hanning(len(masked))))
        assert abs(int(np.argmax(tone)) * rate / len(masked) - 1000) < 20, decoder


@pytest.mark.parametrize("kind", KINDS)
def test_relative_times_count_what_players_play(kind: str) -> None:
    data = stream(8000, kind)
    edit = ae.Modification(mask={"both": [ae.Interval(1, 1.5)]})
    report = ae.plan_store(data, edit)
    assert report.masks[0].applied.samples == (8000, 12_000)
    assert not report.warnings
    played = DECODERS["miniaudio"](data)
    assert len(played) == ae.inspect(data).samples


@pytest.mark.parametrize("kind", ["copied", "killed and copied"])
def test_merges_put_them_where_they_belong(kind: str) -> None:
    data = stream(8000, kind)
    late = lateness(data, 8000)
    other = stream(8000, "bare")
    parts = [
        ae.MergePart(other, EPOCH, recording_id="a", encoder_delay=1105),
        ae.MergePart(data, EPOCH + 2000, recording_id="b", encoder_delay=late),
    ]
    plan = ae.plan_merge(parts)
    warned = [one.message for one in plan.warnings if one.code == "untagged_absolute_times"]
    assert any(f"encoder_delay={late} is right" in one for one in warned)
    assert [part.interval.samples[0] for part in plan.parts] == [0, 16_000]
    assert plan.parts[1].interval.samples[1] == 16_000 + ae.inspect(data).samples - late


TAGGED = BytesIO()
ae.encode(ae.Audio(sound(8000), sound(8000), 8000), TAGGED)


@pytest.mark.parametrize(
    ("source", "absolute", "rule"),
    [
        (TAGGED.getvalue(), True, "the source's tag states its delay"),
        (TAGGED.getvalue(), False, "the source's tag states its delay"),
        (stream(8000, "bare"), False, "relative times count from the first sample played"),
        (stream(8000, "copied"), False, "relative times count from the first sample played"),
    ],
)
def test_a_delay_that_can_have_no_effect_is_refused(
    source: bytes, absolute: bool, rule: str
) -> None:
    zero = EPOCH if absolute else 0
    bounds = ae.Interval(zero + 1, zero + 2 + 1000 * absolute)
    edit = ae.Modification(mask={"both": [bounds]}, absolute_times=absolute)
    more: dict[str, Any] = {"start_time_ms": EPOCH} if absolute else {}
    with pytest.raises(InvalidRequestError, match=f"encoder_delay = 1105: .*{re.escape(rule)}"):
        ae.store(source, BytesIO(), edit, StoreOptions(encoder_delay=1105), **more)
    # Of many recordings it is meant for those that need it.
    for options in (
        StoreOptions(encoder_delay=ae.IfUntagged(1105)),
        StoreOptions(encoder_delay=1105).for_many(),
    ):
        ae.store(source, BytesIO(), edit, options, **more)


def test_a_part_s_delay_that_can_have_no_effect_is_refused() -> None:
    part = ae.MergePart(TAGGED.getvalue(), EPOCH, encoder_delay=1105)
    with pytest.raises(InvalidRequestError, match=r"parts\[0\].encoder_delay = 1105"):
        ae.merge([part], BytesIO())
    ae.merge([ae.MergePart(TAGGED.getvalue(), EPOCH, encoder_delay=ae.IfUntagged(9))], BytesIO())


def test_no_output_of_ours_is_taken_for_one_that_tells_no_delay() -> None:
    for version in Version:
        format = StreamFormat(version, 0, 2)
        spf = format.samples_per_frame
        for start in range(3 * spf, 4 * spf):
            for end in (start + 1, start + 3 * spf):
                assert place(format, Span(start, end)).encoder_delay > 0
    assert not InfoTag("Info", 1, 1, b"LAME3.100", 0, 704).tells_delay
