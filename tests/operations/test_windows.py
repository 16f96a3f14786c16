# SPDX-License-Identifier: Apache-2.0
"""Windows follow one another legally in every output, read from its bits."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import audioengine as ae
from audioengine.render import section
from tests.operations.helpers import EDITABLE, Cut, recording, store
from tests.operations.merging import merge
from tests.operations.successions import LONG, SHORT, START, STOP, illegal_successions, windows
from tests.operations.timelines import Part
from tests.strategies import examples
from tests.support import decode_miniaudio, decode_pyav, decode_soundfile, fixture, sound

NAMES = (
    "stereo-8k",
    "mpeg25-8k-32k",
    "mono-8k",
    "vbr-8k",
    "nores-8k",
    "mpeg25-11k-32k",
    "mpeg25-12k-40k",
    "mpeg2-16k-48k",
    "midside-16k",
    "vbr-16k",
    "mpeg2-22k-64k",
    "mpeg2-24k-160k",
    "mpeg1-32k-96k",
    "mpeg1-44k-128k",
    "mpeg1-44k-320k",
    "untagged-8k",
    "junk-in-middle",
    "id3v1-in-middle",
)
ALIKE = (("stereo-8k", "nores-8k", "telephone-8k"), ("nores-16k", "crc-16k"), ("mono-8k",))


def test_no_fixture_has_an_illegal_succession() -> None:
    """So that every one in an output is ours."""
    for name in EDITABLE:
        assert not illegal_successions(fixture(name)), name


def test_the_reader_finds_what_is_illegal() -> None:
    """With frames left out, windows do not fit any more."""
    frames = sound("stereo-8k")
    starts = [i for i, frame in enumerate(frames) if windows(frame)[0] == [START]]
    first = next(number for number in starts if number)
    assert windows(frames[first + 1])[0] == [SHORT]
    torn = b"".join(frame.data for i, frame in enumerate(frames) if i != first)
    found = {(one.channel, one.windows) for one in illegal_successions(torn)}
    before = windows(frames[first - 1])[0][0]
    assert found == {(0, (before, SHORT)), (1, (before, SHORT))}
    assert before in (LONG, STOP)


@st.composite
def spans(draw: st.DrawFn, samples: int) -> tuple[int, int]:
    start = draw(st.integers(0, samples - 10))
    length = draw(st.one_of(st.integers(2, 4000), st.integers(2, samples)))
    return start, min(samples, start + max(2, length))


@st.composite
def cuts(draw: st.DrawFn, samples: int) -> Cut:
    some = st.lists(spans(samples), max_size=3).map(tuple)
    trim = draw(st.none() | spans(samples))
    return Cut(trim, draw(some), draw(some), draw(some))


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
@examples(25)
def test_of_every_edit(name: str, data: st.DataObject) -> None:
    source = recording(name)
    result = store(source, data.draw(cuts(source.samples)))
    assert not illegal_successions(result.data)


@given(data=st.data())
@examples(40)
def test_of_every_merge(data: st.DataObject) -> None:
    """Copies of one recording beside another's, gaps, sums, trims and masks of parts."""
    names = data.draw(st.sampled_from(ALIKE))
    parts = []
    start = 0
    for name in data.draw(st.permutations(names * 2))[:3]:
        source = recording(name)
        cut = data.draw(st.none() | cuts(source.samples))
        parts.append(Part(source, start, cut=cut))
        start += data.draw(st.integers(0, 5000)) // 72 * 72
    unique = {one.name: one for one in parts}
    merged = merge(*unique.values(), align=data.draw(st.sampled_from(("sample", "frame"))))
    assert not illegal_successions(merged.data)


@pytest.mark.parametrize("name", ["stereo-8k", "midside-16k", "mono-8k", "junk-in-middle"])
@given(data=st.data())
@examples(15)
def test_where_sections_meet(name: str, data: st.DataObject) -> None:
    """Each is made alone, wherever it is cut; and by any number of workers."""
    source = recording(name)
    cut = data.draw(cuts(source.samples))
    usual = section.SECTION_SAMPLES, section._GROUP_SAMPLES
    try:
        section.SECTION_SAMPLES = data.draw(st.integers(1, 9)) * 576
        section._GROUP_SAMPLES = 2 * 576
        one, two = (store(source, cut, workers=workers) for workers in (1, 2))
    finally:
        section.SECTION_SAMPLES, section._GROUP_SAMPLES = usual
    assert one.data == two.data
    assert not illegal_successions(one.data)


def decoders_agree(data: bytes, span: slice) -> float:
    """The largest difference of what three decoders play, of full scale."""
    # minimp3 gives 16 bits.
    played = (decode_pyav(data), decode_soundfile(data), decode_miniaudio(data) / 32_768)
    heard = [pcm[span].astype(np.float64) for pcm in played]
    return float(max(np.abs(heard[0] - other).max() for other in heard[1:]))


def test_decoders_play_the_same_around_a_short_mask() -> None:
    """Where the nearest frames hold an attack that the edited recording has no more."""
    out = BytesIO()
    both = [ae.Interval(1.78, 1.84)]
    ae.store(fixture("stereo-8k"), out, ae.Modification(mask={"both": both}))
    assert not illegal_successions(out.getvalue())
    assert decoders_agree(out.getvalue(), slice(12_000, 17_000)) < 0.004


def test_the_report_says_how_far_a_run_had_to_go() -> None:
    """Up to the nearest long slope of the source, which may be more than a few frames away."""
    source = recording("stereo-8k")
    moved = set()
    for start in range(2000, source.samples - 4000, 576):
        result = store(source, Cut(both=((start, start + 700),)))
        (mask,) = result.report.masks
        before, after = mask.moved_frames
        moved |= {before, after}
        made = {n for channel in (0, 1) for n in result.remade(channel)}
        first, last = (
            (source.start + start - source.ext) // source.spf + 1,
            (source.start + start + 699) // source.spf,
        )
        assert made >= set(range(first - before, last + after + 1))
        assert first - before - 1 not in made or first - before <= 2
    assert max(moved) > 0
    assert max(moved) <= source.most_moved
