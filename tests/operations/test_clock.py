# SPDX-License-Identifier: Apache-2.0
"""An output plays exactly the samples that were asked for, from exactly there, in any decoder."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import audioengine as ae
from tests.operations.helpers import DECODERS, EDITABLE, Cut, Pcm, recording, spans, store
from tests.operations.promises import assert_clock, assert_tag
from tests.support import fixture

# One of each frame length, channel count and clock.
KINDS = ("mpeg25-8k-32k", "mono-44k", "mpeg1-44k-128k", "untagged-16k", "vbr-16k", "crc-44k")


@pytest.mark.parametrize("name", EDITABLE)
@given(st.data())
@settings(max_examples=4)
def test_a_trim_has_the_samples_asked_for(name: str, data: st.DataObject) -> None:
    """Of fixtures of every kind, long and short trims, in all three decoders."""
    source = recording(name)
    trim = data.draw(spans(source.samples).filter(lambda span: span != (0, source.samples)))
    result = store(source, Cut(trim))
    assert_clock(result)
    assert_tag(result)


@pytest.mark.parametrize("name", EDITABLE)
def test_a_mask_alone_changes_no_length(name: str) -> None:
    """Untagged sources keep all their samples, tagged ones those that their tag leaves."""
    source = recording(name)
    quarter = source.samples // 4
    assert_clock(store(source, Cut(callee=((quarter, quarter + max(2, quarter)),))))


@pytest.mark.parametrize("name", KINDS)
def test_trims_shorter_than_a_frame(name: str) -> None:
    """Down to one sample, at and around the borders of frames, in one frame and across two."""
    source = recording(name)
    border = 20 * source.spf - source.start
    for start in (border - 1, border, border + 1, border + source.spf // 2):
        for length in (1, 2, 100, source.spf - 1, source.spf, source.spf + 1):
            assert_clock(store(source, Cut((start, start + length))))


@pytest.mark.parametrize("name", KINDS)
def test_the_first_and_the_last_sample_alone(name: str) -> None:
    source = recording(name)
    for sample in (0, 1, source.samples - 2, source.samples - 1):
        assert_clock(store(source, Cut((sample, sample + 1))))


def lag(played: Pcm, wanted: Pcm) -> int:
    """How many samples late `played` is where it is most like `wanted`."""
    size = 2 * len(wanted)
    spectra = np.fft.rfft([played.astype(float), wanted.astype(float)], size)
    likeness = np.fft.irfft(spectra[0] * spectra[1].conj(), size)
    best = int(np.argmax(likeness))
    return best if best < len(wanted) else best - size


@pytest.mark.parametrize("render", ["smart", "full"])
@pytest.mark.parametrize("name", KINDS)
def test_what_is_encoded_anew_is_not_late(name: str, render: str) -> None:
    """Trims of which no frame could be copied lie on the source's samples as well.

    The caller speaks from 4 s on: a shift by a single sample would show.
    """
    source = recording(name)
    at = int(4.25 * source.rate) if source.samples > 5 * source.rate else source.samples // 4
    for start, length in ((at, 300), (at + 77, 2000), (at + 500, source.spf)):
        result = store(source, Cut((start, start + length)), render=render)
        for decoder in DECODERS:
            played, wanted = (x[:, 0] for x in (result.decoded(decoder), result.expected(decoder)))
            assert lag(played, wanted) == 0, (decoder, start, length)


@pytest.mark.parametrize("name", ["mpeg25-8k-32k", "mpeg1-44k-128k", "untagged-16k"])
@given(st.data())
@settings(max_examples=10)
def test_length_follows_from_the_times_asked(name: str, data: st.DataObject) -> None:
    """round(to·rate) − round(from·rate), for times that lie between samples."""
    source = recording(name)
    most = source.samples * 1000 // source.rate
    start = data.draw(st.integers(0, most - 2))
    end = data.draw(st.integers(start + 1, most))
    part = data.draw(st.sampled_from((0.0, 0.03125, 0.25, 0.0625)))
    times = start / 1000 + part / 1000, end / 1000 + part / 1000
    modification = ae.Modification(trim=ae.Interval(*times))
    info = ae.plan_store(source.data, modification)
    first, last = (int(np.floor(min(t * source.rate, source.samples) + 0.5)) for t in times)
    assert info.output_samples == last - first
    assert info.trim.applied.samples == (first, last)


@pytest.mark.parametrize("open_end", ["start", "end"])
def test_an_open_end_is_the_end_of_the_recording(open_end: str) -> None:
    source = recording("mpeg2-16k-48k")
    interval = ae.Interval(None, 2.5) if open_end == "start" else ae.Interval(2.5, None)
    report = ae.plan_store(source.data, ae.Modification(trim=interval))
    ends = (0, 40_000) if open_end == "start" else (40_000, source.samples)
    assert report.trim.applied.samples == ends


def test_absolute_times_count_from_the_start_time() -> None:
    """Epoch milliseconds, masks and trim alike."""
    source = recording("mpeg2-16k-48k")
    epoch = 1_728_890_677_283
    modification = ae.Modification(
        trim=ae.Interval(epoch + 1000, epoch + 4000),
        mask={"caller": [ae.Interval(epoch + 2000, epoch + 2500)]},
        absolute_times=True,
    )
    report = ae.plan_store(source.data, modification, start_time_ms=epoch)
    assert report.trim.applied.samples == (16_000, 64_000)
    assert report.masks[0].applied.samples == (32_000, 40_000)
    assert report.warnings == ()


def test_absolute_times_of_an_untagged_source_meet_its_encoder_delay() -> None:
    """Sample `encoder_delay` is at the start time, and the report says what is assumed."""
    source = recording("untagged-16k")
    epoch = 1_728_890_677_283
    trim = ae.Interval(epoch + 1000, epoch + 4000)
    modification = ae.Modification(trim=trim, absolute_times=True)
    for delay in (0, 1105):
        report = ae.plan_store(
            source.data, modification, ae.StoreOptions(encoder_delay=delay), start_time_ms=epoch
        )
        assert report.trim.applied.samples == (16_000 + delay, 64_000 + delay)
        assert [notice.code for notice in report.warnings] == ["untagged_absolute_times"]
        assert "1105" in report.warnings[0].message


def test_an_output_that_would_end_like_a_tag_is_refused() -> None:
    """Decoders would take its last frames for an ID3v1 tag."""
    data = bytearray(fixture("untagged-8k"))
    data[-128:-125] = b"TAG"
    # With something behind them, those bytes are audio.
    source = bytes(data) + b"abc"
    modification = ae.Modification(mask={"caller": [ae.Interval(0.2, 0.3)]})
    out = BytesIO()
    with pytest.raises(ae.UnsupportedAudioError, match="end 72 ms earlier or later"):
        ae.store(source, out, modification)
    assert not out.getvalue()
    ae.store(source, out, modification, ae.StoreOptions(render="full"))
