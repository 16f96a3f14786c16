# SPDX-License-Identifier: Apache-2.0
"""Every decoder plays an output's first samples: mpg123 skips frames that are hidden far ahead.

libsndfile, which has mpg123 inside, decodes four frames before the first audible one and no more.
At low bitrates frames are so small that main data may begin in more than four before its own.
"""

from __future__ import annotations

from functools import cache
from io import BytesIO

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from fixtures import mpeg
from tests.operations import bits
from tests.operations.helpers import (
    DECODERS,
    Cut,
    Recording,
    cuts,
    lame,
    number,
    recorded,
    store,
    talk,
)
from tests.operations.merging import merge
from tests.operations.timelines import Part
from tests.strategies import examples

SECONDS = 4.0
READ_AHEAD = 4
"""Frames before the first audible one that all decoders decode."""
CONSTANT = (
    (16_000, 1, 16),
    (22_050, 1, 16),
    (24_000, 1, 8),
    (24_000, 1, 16),
    (24_000, 1, 24),
    (8000, 1, 8),
    (16_000, 2, 24),
    (24_000, 2, 32),
    (44_100, 1, 32),
)
VARIABLE = ((16_000, 1, None), (24_000, 1, None), (16_000, 2, None))
KINDS = (*CONSTANT, *VARIABLE)
"""Rate, channels, and kbit/s where that is constant."""
LARGEST_ROUNDING = 2 / 32768
"""Between decoders that play 16 bits and those that play floats."""


@cache
def low(
    rate: int, channels: int, kbps: int | None, *, tagged: bool = True, later: bool = False
) -> Recording:
    """A recording of a low bitrate; `later`, of what is said next."""
    length = round(SECONDS * rate)
    pcm = talk(rate, 2 * SECONDS)[length * later :][:length]
    if channels == 1:
        pcm = pcm.sum(axis=1, keepdims=True)
    name = f"{rate} Hz, {kbps or 'variable'} kbit/s, {channels} channels, {later}"
    if kbps is None:
        out = BytesIO()
        # About what LAME calls V9.9.
        soundfile.write(
            out, pcm, rate, format="MP3", bitrate_mode="VARIABLE", compression_level=0.99
        )
        return recorded(name, out.getvalue())
    data = lame(pcm, rate, kbps)
    if not tagged:
        return recorded(name, data)
    frames = list(mpeg.frames(data))
    padding = len(frames) * (576 if rate < 32_000 else 1152) - 576 - len(pcm)
    return recorded(name, bits.with_tag(frames, 576, padding))


def assert_alike(data: bytes, samples: int) -> None:
    """All decoders play the same, from the first sample on, however they come to it."""
    played = {name: decode(data) for name, decode in DECODERS.items()}
    with soundfile.SoundFile(BytesIO(data)) as file:
        played["without a seek"] = file.read(dtype="float32", always_2d=True)
    played["miniaudio"] = played["miniaudio"] / np.float32(32768)
    for name, pcm in played.items():
        assert len(pcm) == samples, name
        apart = np.abs(np.clip(pcm, -1, 1) - np.clip(played["pyav"], -1, 1)).max(axis=1)
        late = np.flatnonzero(apart > LARGEST_ROUNDING)
        assert not len(late), (name, late[:1], apart.max())


def assert_within_reach(data: bytes) -> None:
    """What the first audible sample needs begins in the slots of frames that mpg123 decodes."""
    tag, *frames = mpeg.frames(data)
    first = ((number(tag, 4 + tag.side_length + 141, 3) >> 12) + 529) // frames_spf(tag)
    needed = first - (1 if tag.version == 3 else 2)
    slots = [len(frame.data) - frame.side_offset - frame.side_length for frame in frames]
    read = max(0, first - READ_AHEAD)
    for place in range(max(0, needed), len(frames)):
        assert frames[place].main_data_begin <= sum(slots[read:place]), place


def frames_spf(frame: mpeg.Frame) -> int:
    return 1152 if frame.version == 3 else 576


@pytest.mark.parametrize("kind", KINDS)
@given(st.data())
@examples(10)
def test_any_trim_plays_alike_from_its_first_sample(
    kind: tuple[int, int, int | None], data: st.DataObject
) -> None:
    source = low(*kind)
    start = data.draw(st.integers(0, source.samples - 2 * source.spf))
    end = data.draw(st.integers(start + 2 * source.spf, source.samples))
    result = store(source, Cut((start, end)))
    assert_within_reach(result.data)
    assert_alike(result.data, end - start)


@pytest.mark.parametrize("kind", KINDS)
@given(st.data())
@examples(4)
def test_any_edit_plays_alike_from_its_first_sample(
    kind: tuple[int, int, int | None], data: st.DataObject
) -> None:
    """Masks too, the start kept or not, re-encoded as a whole or not."""
    source = low(*kind)
    render = data.draw(st.sampled_from(("smart", "smart", "full")))
    result = store(source, data.draw(cuts(source)), render=render)
    assert_within_reach(result.data)
    assert_alike(result.data, result.length)


def test_a_short_mask_plays_alike() -> None:
    source = low(24_000, 2, 32)
    result = store(source, Cut(both=((7989, 7991),)))
    assert_alike(result.data, source.samples)


@pytest.mark.parametrize("kind", CONSTANT)
def test_an_untagged_source_plays_alike_behind_its_silent_frames(
    kind: tuple[int, int, int | None],
) -> None:
    source = low(*kind, tagged=False)
    middle = source.samples // 2
    for start, end in ((0, source.samples), (1, source.samples), (middle, source.samples)):
        cut = Cut((start, end) if start else None, both=((end - 2000, end - 1000),))
        result = store(source, cut)
        assert_within_reach(result.data)
        assert_alike(result.data, end - start)


@pytest.mark.parametrize("kind", KINDS)
@given(st.data())
@examples(4)
def test_a_merge_plays_alike_from_its_first_sample(
    kind: tuple[int, int, int | None], data: st.DataObject
) -> None:
    """Its first frames are copied from a recording, from anywhere in it, and so are later ones."""
    source = low(*kind)
    start = data.draw(st.integers(0, source.samples - 4 * source.spf))
    late = data.draw(st.sampled_from((0, 3000, 4000, 5000)))
    merged = merge(
        Part(source, -int(start / source.rate * 1000), cut=Cut((start, source.samples))),
        Part(low(*kind, later=True), late),
    )
    assert_within_reach(merged.data)
    assert_alike(merged.data, merged.report.output.samples)


def test_hidden_frames_take_more_bits_rather_than_become_more() -> None:
    """The output's tag says that bitrates vary then; no more than four frames are hidden."""
    source = low(24_000, 1, 16)
    raised = 0
    for start in range(30_000, 40_000, 700):
        result = store(source, Cut((start, source.samples)))
        delay, _ = result.tag_fields
        assert (delay + 529) // source.spf <= READ_AHEAD
        rates = {sound.frame.kbps for sound in result.sounds}
        assert (rates == {16}) == (result.report.bitrates.raised == 0)
        raised += result.report.bitrates.raised
        tag = result.every[0]
        kind = tag.data[4 + tag.side_length :][:4]
        assert kind == (b"Info" if len(rates) == 1 else b"Xing")
    assert raised
