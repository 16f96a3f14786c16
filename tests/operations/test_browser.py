# SPDX-License-Identifier: Apache-2.0
"""A browser plays outputs as the other decoders do: as many samples, each in its place.

Measured with Chromium 156, whose decoder is FFmpeg's behind a cut of its own: it takes delay and
padding from tags of LAME, Lavf and Lavc, and plays everything of other files, also the 1105 samples
by which an untagged recording of LAME's is late. So it has the clock of every source, but for
those below.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest

from tests.operations.browser import Browser, open_browser
from tests.operations.helpers import Cut, Pcm, recording, store
from tests.operations.merge_promises import lag
from tests.operations.merging import merge
from tests.operations.timelines import part
from tests.support import DAMAGED, decode_soundfile

ROUNDING = 2e-6
"""Between FFmpeg and mpg123."""

# Two files joined: where the mode changes from joint stereo to stereo it forgets the bit reservoir,
# and what stood in it is silent. The source it plays to its last frame's end.
JOINED = "naive-concat"
# All rates, and what its own ways with tags, bitrates and channels might be.
EDITED = (
    "mpeg25-8k-32k",
    "mpeg25-11k-32k",
    "mpeg25-12k-40k",
    "mpeg2-16k-48k",
    "mpeg2-22k-64k",
    "mpeg2-24k-160k",
    "mpeg1-32k-96k",
    "mpeg1-44k-128k",
    "mpeg1-48k-128k",
    "mono-8k-16k",
    "mono-44k",
    "vbr-8k",
    "untagged-16k",
    "untagged-vbr-44k",
    "crc-44k",
    "tags-id3-ape",
    "freeformat-16k",
    JOINED,
    "zeros-in-middle",
)
# It plays free format not at all, and not what is a single frame.
UNPLAYABLE = ("freeformat-16k", "one-frame")
SOURCES = [name for name in EDITED if name not in (*DAMAGED, JOINED)] + [
    "lameenc-16k",
    "lavf-44k",
    "one-frame",
    "tag-other-encoder",
    "tag-promises-less",
    "tag-vbri",
    "tag-version-zero",
    "tiny-101-samples",
    "xing-no-lame",
]
MERGED = {
    "copied and mixed": (part("stereo-8k"), part("telephone-8k", 4003)),
    "a gap": (part("nores-16k"), part("midside-16k", 7777)),
    "two rates": (part("mpeg25-8k-32k"), part("crc-16k", 5001)),
    "44.1 kHz, one mono": (part("stereo-44k"), part("mono-44k", 3000)),
    "a conference": (
        part("vbr-8k", 0, (1000, None)),
        part("untagged-8k", 500, (1000, None)),
        part("mono-8k", 9001),
    ),
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as opened:
        yield opened


def assert_in_place(got: npt.NDArray[np.float32] | None, want: Pcm) -> None:
    """As many samples as wanted, none of them late or early."""
    assert got is not None
    assert got.shape == want.shape
    assert lag(got.astype(float), want.astype(float)) == 0


def assert_plays(got: npt.NDArray[np.float32] | None, data: bytes, want: Pcm) -> None:
    """Likewise, and each sample is what mpg123 plays."""
    assert_in_place(got, want)
    assert got is not None
    assert np.abs(got - decode_soundfile(data)).max() < ROUNDING


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_has_the_same_clock_there(browser: Browser, name: str) -> None:
    """Whatever its tag: that is what outputs are held against."""
    source = recording(name)
    got = browser.decode(source.data, source.rate)
    if name in UNPLAYABLE:
        assert got is None
        return
    assert_in_place(got, source.decoded("miniaudio"))


@pytest.mark.parametrize("name", EDITED)
def test_an_edited_output(browser: Browser, name: str) -> None:
    """Trimmed at both ends within a frame and masked, or masked and re-made as a whole."""
    source = recording(name)
    n = source.samples
    trim, mask = (n // 10 + 1, n - n // 7), (n // 3, n // 2)
    for cut, render in ((Cut(trim, caller=(mask,)), "smart"), (Cut(callee=(mask,)), "full")):
        result = store(source, cut, render=render)
        got = browser.decode(result.data, source.rate)
        if name == JOINED:
            assert_in_place(got, result.expected("miniaudio"))
        else:
            assert_plays(got, result.data, result.expected("miniaudio"))


@pytest.mark.parametrize("length", [1, 8, 101, 575, 576, 577, 1153])
@pytest.mark.parametrize("name", ["mpeg25-8k-32k", "mpeg1-44k-128k", "mono-8k"])
def test_an_output_of_few_samples(browser: Browser, name: str, length: int) -> None:
    source = recording(name)
    result = store(source, Cut((20_001, 20_001 + length)))
    got = browser.decode(result.data, source.rate)
    assert_plays(got, result.data, result.decoded("miniaudio"))
    assert result.length == length


@pytest.mark.parametrize("kind", MERGED)
def test_a_merged_output(browser: Browser, kind: str) -> None:
    """Copied from several recordings, mixed, resampled, and silent in between."""
    merged = merge(*MERGED[kind])
    got = browser.decode(merged.data, merged.model.rate)
    assert_plays(got, merged.data, merged.model.sum)
