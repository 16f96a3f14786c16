# SPDX-License-Identifier: Apache-2.0
"""How the channels of each frame are coded together, against an independent reading."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioengine.mp3.scan import scan
from audioengine.plan import stereo
from audioengine.plan.grid import FrameRange
from audioengine.plan.stereo import Coupling, CouplingReader
from fixtures import mpeg
from tests.strategies import examples
from tests.support import Bytes, fixture, indexed, read, sound

STEREO = (
    "mpeg25-8k-32k",
    "mpeg1-44k-128k",
    "midside-16k",
    "midside-44k",
    "stereo-8k",
    "dual-16k",
    "vbr-44k",
    "crc-16k",
    "crosstalk-16k",
    "equal-channels-8k",
    "intensity-16k",
    "intensity-44k",
    "tiny-101-samples",
)


def kind_of(frame: mpeg.Frame) -> Coupling:
    if frame.mode_extension & 1:
        return Coupling.INTENSITY
    if frame.mode_extension & 2:
        empty = not any(second for _, second in frame.part2_3_lengths)
        return Coupling.EQUAL if empty else Coupling.MID_SIDE
    return Coupling.SEPARATE


@pytest.mark.parametrize("name", STEREO)
def test_frames_are_coupled_as_their_headers_say(name: str) -> None:
    """A frame without main data says nothing: it counts as silent or as what its header says."""
    every = sound(name)
    got = CouplingReader(Bytes(fixture(name)), indexed(name))(FrameRange(0, len(every)))
    for frame, kind in zip(every, got.tolist(), strict=True):
        if sum(map(sum, frame.part2_3_lengths)):
            assert kind == kind_of(frame)
        else:
            assert kind in (Coupling.SILENT, kind_of(frame))
            assert kind != Coupling.EQUAL


@pytest.mark.parametrize("name", ["mpeg25-8k-32k", "equal-channels-8k", "crc-16k", "intensity-44k"])
@given(data=st.data())
@examples(20)
def test_a_range_reads_as_part_of_the_whole_and_is_silent_outside(
    name: str, data: st.DataObject
) -> None:
    index = indexed(name)
    source = Bytes(fixture(name))
    whole = CouplingReader(source, index)(FrameRange(0, index.frames))
    first = data.draw(st.integers(-20, index.frames + 5))
    last = data.draw(st.integers(first, index.frames + 20))
    got = CouplingReader(source, index)(FrameRange(first, last))
    assert got.shape == (last - first,)
    expected = [
        whole[frame] if 0 <= frame < index.frames else Coupling.SILENT
        for frame in range(first, last)
    ]
    differs = np.flatnonzero(got != np.array(expected, dtype=np.uint8))
    # Silence is told apart only where frames with equal channels are.
    for place in differs.tolist():
        assert {int(got[place]), int(expected[place])} == {Coupling.SILENT, Coupling.SEPARATE}


def test_frames_that_are_taken_apart_are_those_not_coded_together() -> None:
    """What planning calls mid/side is what splicing can't take apart."""
    for name in ("mpeg25-8k-32k", "midside-44k", "equal-channels-8k", "intensity-16k"):
        index = indexed(name)
        kinds = CouplingReader(Bytes(fixture(name)), index)(FrameRange(0, index.frames))
        for frame, kind in zip(read(name), kinds.tolist(), strict=True):
            together = frame.channels() is None
            assert together == (kind in (Coupling.MID_SIDE, Coupling.INTENSITY))


def test_what_is_read_does_not_depend_on_how_much_is_read_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Silence inside a recording with equal channels stays silence, however long it lasts."""
    format = indexed("equal-channels-8k").format
    frames = list(sound("equal-channels-8k"))
    # Twenty frames of digital silence, coded left/right as some encoders do.
    size = len(frames[0].data)
    silent = frames[0].data[:3] + bytes([frames[0].data[3] & 0xCF]) + bytes(size - 4)
    data = mpeg.join(frames[:1]) + silent * 20 + mpeg.join(frames[:1])
    source = Bytes(data)
    index = scan(source)
    assert (index.frames, index.format) == (22, format)
    whole = CouplingReader(source, index)(FrameRange(0, 22))
    monkeypatch.setattr(stereo, "_CHUNK_FRAMES", 5)
    np.testing.assert_array_equal(CouplingReader(source, index)(FrameRange(0, 22)), whole)
