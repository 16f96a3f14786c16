# SPDX-License-Identifier: Apache-2.0
"""render="full" re-encodes everything; it and the smart path agree within coding noise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.operations.beeps import beep, db, join
from tests.operations.helpers import (
    EDITABLE,
    PARTIES,
    Cut,
    Pcm,
    Recording,
    Result,
    cuts,
    recording,
    store,
)
from tests.operations.promises import assert_promises, flags
from tests.support import DAMAGED

# Coding at the source's own bitrate once more adds noise at least this far below the sound.
# Measured over the fixtures: -15.6 dB (intensity stereo), -17.8 (equal channels at 8 kHz), -19 to
# -24 (most), -32 dB (VBR at 44.1 kHz).
NOISE_DB = -14.0

SPEECH = tuple(
    name
    for name in EDITABLE
    if name not in DAMAGED and recording(name).samples > 2 * recording(name).rate
)


def ideal(result: Result) -> Pcm:
    """[shape=(n, channels)] The source as it was decoded, with beeps in place of masks."""
    source = result.source
    pcm = source.decoded("pyav").astype(float)
    for channel in range(source.channels):
        parties = (PARTIES[channel], "both") if source.channels == 2 else (*PARTIES, "both")
        spans = join(span for party in parties for span in result.cut.masks.get(party, ()))
        for start, end in spans:
            pcm[start:end, channel] = beep(end - start, source.rate)
    return pcm[slice(*result.kept)]


def noise_db(result: Result, within: slice = slice(None)) -> float:
    """How far what is heard is from what it should be, relative to that."""
    wanted = ideal(result)[within]
    error = result.decoded("pyav")[within] - wanted
    return db(np.mean(error**2) / np.mean(wanted**2))


@pytest.mark.parametrize("name", EDITABLE)
@given(st.data())
@settings(max_examples=2)
def test_the_full_path_keeps_the_clock_and_the_tag(name: str, data: st.DataObject) -> None:
    """Of fixtures of every kind, with any edits; no byte of the source's frames is left."""
    source = recording(name)
    result = store(source, data.draw(cuts(source)), render="full")
    assert_promises(result)
    assert result.report.render == "full"
    frames = result.report.frames
    assert (frames.verbatim, frames.slot_rewritten, frames.spliced) == (0, 0, 0)
    assert {part.reason for part in result.report.remade} == {"full"}
    assert not any(sound.coupled for sound in result.sounds)


@pytest.mark.parametrize("name", SPEECH)
def test_full_and_smart_agree(name: str) -> None:
    """Same length, same masks, and the source everywhere else within coding noise."""
    source = recording(name)
    third = source.samples // 3
    cut = Cut((500, source.samples - 700), caller=((third, third + 9000),))
    if name.startswith(("intensity", "equal-channels")):
        cut = Cut((500, source.samples - 700), both=((third, third + 9000),))
    smart, full = store(source, cut), store(source, cut, render="full")
    assert full.report.masks[0].applied == smart.report.masks[0].applied
    assert full.report.masks[0].channel == smart.report.masks[0].channel
    assert smart.length == full.length
    for result in (smart, full):
        assert noise_db(result) <= NOISE_DB
        inside = slice(third - 500, third + 8500)
        assert noise_db(result, inside) <= NOISE_DB
    assert full.report.output.channels == source.channels


@pytest.mark.parametrize("name", ["mpeg25-8k-32k", "mpeg2-16k-48k", "mpeg1-44k-128k", "mono-44k"])
def test_the_full_path_changes_no_level(name: str) -> None:
    """LAME's own input gain is undone: pooled over everything, within 0.1 dB of the source."""
    source = recording(name)
    result = store(source, Cut((1, source.samples)), render="full")
    new, old = result.decoded("pyav").astype(float), result.expected("pyav").astype(float)
    # The part of the new that is the old.
    gain = np.sum(new * old) / np.sum(old * old)
    assert abs(db(gain**2)) <= 0.2
    assert abs(db(np.mean(new**2) / np.mean(old**2))) <= 0.1


def loudness(source: Recording, pcm: Pcm) -> Pcm:
    """Levels of stretches of 50 ms, in dB."""
    step = source.rate // 20
    count = len(pcm) // step
    blocks = pcm[: count * step].reshape(count, step, -1).astype(float)
    levels: Pcm = 10 * np.log10(np.mean(blocks**2, axis=(1, 2)) + 1e-9)
    return levels


@pytest.mark.parametrize("name", ["mpeg25-8k-32k", "mpeg1-44k-128k"])
def test_no_stretch_of_a_full_render_is_lost(name: str) -> None:
    """Every 50 ms has the source's level within 3 dB, sections' borders included."""
    source = recording(name)
    result = store(source, Cut((0, source.samples - 1)), render="full")
    new, old = (loudness(source, x) for x in (result.decoded("pyav"), result.expected("pyav")))
    loud = old > -50
    assert loud.sum() > 40
    assert np.abs(new - old)[loud].max() <= 3


def test_sections_of_a_long_recording_join_without_a_seam() -> None:
    """42 s at 16 kHz are two sections: around their border, noise is what it is elsewhere."""
    source = recording("demo-call")
    border = 576 * 1024
    assert border < source.samples
    result = store(source, Cut((0, source.samples - 1)), render="full")
    around = slice(border - 8000, border + 8000)
    assert noise_db(result, around) <= noise_db(result) + 4
    assert noise_db(result) <= NOISE_DB


@pytest.mark.parametrize("render", ["smart", "full"])
def test_what_is_re_made_is_neither_clipped_nor_torn(render: str) -> None:
    """Beeps at the highest level beside loud speech stay in range, in every decoder."""
    import audioengine as ae

    source = recording("mpeg1-44k-128k")
    spans = tuple((at, at + 5000) for at in range(5000, 200_000, 15_000))
    beep_ = ae.Beep(level_dbfs=-3)
    result = store(source, Cut(caller=spans), render=render, beep=beep_)
    for decoder in ("pyav", "soundfile"):
        peak = np.abs(result.decoded(decoder)[:, 0]).max()
        assert 0.68 <= peak <= 0.85
    masked = flags(source.samples, spans)
    quietest = np.abs(result.decoded("miniaudio")[masked, 1]).max()
    assert quietest <= np.abs(source.decoded("miniaudio")[:, 1]).max() * 1.2
