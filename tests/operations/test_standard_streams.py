# SPDX-License-Identifier: Apache-2.0
"""All that the standard lets a stream do is inspected, masked, trimmed and verified.

AUDIOENGINE_CONFORMANCE may name a folder of ISO's conformance streams, such as minimp3's vectors
(l3-*.bit, M2L3_*.bit), which are not ours to ship; generated ones are tested in any case.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import pytest

import audioengine as ae
from tests.operations.helpers import Cut, Recording, Result, recorded, store
from tests.operations.promises import (
    assert_clock,
    assert_copied,
    assert_no_leftovers,
    assert_tag,
    reached,
)
from tests.operations.streams import BLOCKS, FEW_RATES, NAMES, RATES, features, generated

Way: TypeAlias = Literal["smart", "full", "refused"]

FOLDER = os.environ.get("AUDIOENGINE_CONFORMANCE")
SHIPPED = sorted(
    path
    for path in (Path(FOLDER).iterdir() if FOLDER else ())
    if path.suffix in (".bit", ".mp3") and path.name.lower().startswith(("l3-", "m2l3"))
)
# Of what the standard has, how much there is of it at least, in all of the set.
LEAST = {
    **{f"{rate} Hz, {mode}": 20 for rate in RATES for mode in ("joint stereo", "stereo", "mono")},
    **{f"{rate} Hz, dual channel": 20 for rate in FEW_RATES},
    **dict.fromkeys(BLOCKS, 300),
    "mixed": 200,
    "mid/side": 100,
    "intensity": 100,
    "scfsi": 200,
    "CRC": 100,
    "free format": 100,
    "padding": 300,
    "reservoir": 2000,
    "subblock_gain": 30,
    "preflag": 500,
    "scalefac_scale": 1000,
    "count1table_select": 800,
    "VBR": 100,
    "ABR": 100,
}
# So many of the 14 bitrates hold at least one frame of the speech.
LEAST_BITRATES = 11
MOST_APART = 1e-3
# Free format, and a mask of one party where the source has both as one.
OUTSIDE_SMART = ("free-", "partial-intensity-")


def cuts(source: Recording) -> tuple[Cut, ...]:
    """A mask of one party, a trim within frames, and a mask of both in a trim."""
    n = source.samples
    return (
        Cut(caller=((n // 3, n // 2),)),
        Cut((n // 7, n - n // 9)),
        Cut((n // 10, n - n // 8), both=((n // 2, n // 2 + n // 10),)),
    )


def assert_exact(result: Result) -> None:
    """Whole, right to the sample, and outside of the edits the very samples of the source."""
    assert_clock(result)
    assert_tag(result)
    assert_no_leftovers(result)
    if result.report.render == "smart":
        assert_copied(result)
        same = ~reached(result)
        for decoder in ("miniaudio", "pyav"):
            assert (result.decoded(decoder) == result.expected(decoder))[same].all(), decoder


def edited(name: str, data: bytes) -> Way:
    """How the stream is edited, every output being exact, and as `verify` wants it."""
    try:
        info = ae.inspect(data)
    except (ae.MalformedAudioError, ae.UnsupportedAudioError):
        return "refused"
    source = recorded(name, data)
    assert (info.samples, info.rate_hz, info.channels) == (
        source.samples,
        source.rate,
        source.channels,
    )
    assert len(source.decoded("miniaudio")) == info.samples
    way: Way = "smart"
    for cut in cuts(source):
        try:
            result = store(source, cut, fallback="refuse")
        except ae.UnsupportedAudioError:
            result = store(source, cut)
            assert result.report.fallbacks
        except ae.MalformedAudioError:
            return "refused"
        assert_exact(result)
        verdict = ae.verify(data, result.data, cut.modification(source.rate), workers=1)
        assert verdict.passed, [check.message for check in verdict.failures]
        if result.report.render == "full":
            way = "full"
    return way


def _marked(name: str) -> Any:
    """Streams of rates that calls do not have take longer than they tell apart at every change."""
    calls = int(name.rpartition("-")[2]) in FEW_RATES
    return name if calls else pytest.param(name, marks=pytest.mark.slow)


def test_the_generated_set_has_all_that_the_standard_has() -> None:
    """Nothing that it is there for may get lost when it is changed."""
    total: Counter[str] = Counter()
    for name in NAMES:
        total += features(generated(name))
    missing = {name: total[name] for name, least in LEAST.items() if total[name] < least}
    assert not missing
    for version in ("MPEG-1", "MPEG-2", "MPEG-2.5"):
        bitrates = [name for name in total if name.startswith(f"{version}, ")]
        assert len(bitrates) >= LEAST_BITRATES, version


@pytest.mark.parametrize("name", [_marked(name) for name in NAMES])
def test_a_generated_stream(name: str) -> None:
    data = generated(name)
    assert edited(name, data) == ("full" if name.startswith(OUTSIDE_SMART) else "smart")
    # That it is a legal stream, decoders say by playing the same. Two have to: minimp3 has its own
    # mind of mixed blocks in MPEG-2, mpg123 of intensity stereo; of the source as of the output.
    source = recorded(name, data)
    played = source.decoded("pyav")
    assert np.abs(played).max() > 0.1
    others = source.decoded("miniaudio") / 32768, source.decoded("soundfile")
    assert min(np.abs(other - played).max() for other in others) < MOST_APART


@pytest.mark.skipif(not FOLDER, reason="AUDIOENGINE_CONFORMANCE names no folder of streams")
def test_the_folder_holds_conformance_streams() -> None:
    """A folder that is empty, or another one, would be no proof."""
    assert len(SHIPPED) >= 5


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_a_conformance_stream(path: Path) -> None:
    """Exact outside of the edits, or a typed refusal."""
    edited(path.name, path.read_bytes())
