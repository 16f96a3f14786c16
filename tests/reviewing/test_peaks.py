# SPDX-License-Identifier: Apache-2.0
"""Peaks are the extremes of what decoders play, and their files what audiowaveform writes."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import audioengine as ae
from audioengine.reviewing import peaks as module
from audioengine.reviewing.peaks import extremes_of
from tests.cli.helpers import refusal, run, run_json
from tests.support import FIXTURES, decode_miniaudio, fixture

STEREO = ["lameenc-16k", "midside-44k", "crosstalk-16k"]


@pytest.mark.parametrize("name", [*STEREO, "mono-44k"])
def test_peaks_are_the_extremes_of_what_another_decoder_plays(name: str) -> None:
    data = fixture(name)
    made = ae.peaks(data, pixels_per_second=100)
    pcm = decode_miniaudio(data)
    assert made.samples == len(pcm)
    assert len(made) == -(-len(pcm) // made.samples_per_pixel)
    for pixel in range(len(made)):
        part = pcm[pixel * made.samples_per_pixel :][: made.samples_per_pixel]
        for party, channel in ((made.caller, 0), (made.callee, -1)):
            wanted = part[:, channel].min(), part[:, channel].max()
            # Decoders round to 16 bits within one step of each other.
            assert np.abs(party[pixel] - np.array(wanted, np.int32)).max() <= 2


@settings(max_examples=50)
@given(
    st.integers(0, 300),
    st.integers(1, 2),
    st.integers(1, 70),
    st.randoms(use_true_random=False),
)
def test_extremes_follow_their_definition(
    length: int, channels: int, each: int, random: object
) -> None:
    seed = random.randrange(1 << 30)  # type: ignore[attr-defined]
    pcm = np.random.default_rng(seed).uniform(-1.2, 1.2, (length, channels)).astype(np.float32)
    got = extremes_of(pcm, each)
    assert got.shape == (-(-length // each), channels, 2)
    for pixel, channel in np.ndindex(*got.shape[:2]):
        part = pcm[pixel * each : (pixel + 1) * each, channel] * 32_768
        wanted = np.clip(np.rint([part.min(), part.max()]), -32_768, 32_767)
        assert (got[pixel, channel] == wanted).all()


def test_blocks_and_workers_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ae.peaks(fixture("lameenc-16k"), pixels_per_second=77, workers=1)
    seen: list[tuple[int, int]] = []
    monkeypatch.setattr(module, "BLOCK_SAMPLES", 1600)
    progress = lambda done, total: seen.append((done, total))  # noqa: E731
    pieces = ae.peaks(fixture("lameenc-16k"), pixels_per_second=77, workers=3, progress=progress)
    assert (pieces.caller == whole.caller).all()
    assert (pieces.callee == whole.callee).all()
    assert len(seen) > 5
    assert seen == sorted(seen)
    assert seen[-1] == (whole.samples, whole.samples)


def test_the_caller_may_be_right() -> None:
    left = ae.peaks(fixture("crosstalk-16k"))
    right = ae.peaks(fixture("crosstalk-16k"), caller_channel="right")
    assert (left.caller == right.callee).all()
    assert (left.callee == right.caller).all()
    assert not (left.caller == left.callee).all()


@pytest.mark.parametrize("value", [0, -1, 16_001, True, "100", float("nan")])
def test_pixels_are_at_most_samples(value: object) -> None:
    with pytest.raises(ae.InvalidRequestError, match=r"pixels_per_second .* at most 16000"):
        ae.peaks(fixture("lameenc-16k"), pixels_per_second=value)  # type: ignore[arg-type]


@pytest.mark.parametrize("bits", [8, 16])
def test_both_formats_hold_the_same_numbers(bits: int) -> None:
    made = ae.peaks(fixture("lameenc-16k"), pixels_per_second=50)
    found = json.loads(made.to_json(bits))
    data = found.pop("data")
    assert found == {
        "version": 2,
        "channels": 2,
        "sample_rate": 16_000,
        "samples_per_pixel": 320,
        "bits": bits,
        "length": len(made),
    }
    dat = made.to_dat(bits)
    assert struct.unpack_from("<iIiiIi", dat) == (2, bits == 8, 16_000, 320, len(made), 2)
    assert np.frombuffer(dat[24:], "i1" if bits == 8 else "<i2").tolist() == data
    scale = 256 if bits == 8 else 1
    rows = np.array(data).reshape(-1, 2, 2)
    assert np.abs(rows[:, 0] - made.caller / scale).max() <= (0.5 if scale > 1 else 0)
    assert np.abs(rows[:, 1] - made.callee / scale).max() <= (0.5 if scale > 1 else 0)


def test_other_bits_are_refused() -> None:
    made = ae.peaks(fixture("lameenc-16k"))
    with pytest.raises(ae.InvalidRequestError, match="bits = 24: must be 8 or 16"):
        made.to_dat(24)


def test_the_verb_writes_what_the_library_makes(tmp_path: Path) -> None:
    source = FIXTURES / "lameenc-16k.mp3"
    for suffix in ("dat", "json"):
        output = tmp_path / f"call.{suffix}"
        report = run_json("peaks", source, "-o", output, "--bits", "16")
        made = ae.peaks(source)
        wanted = made.to_dat(16) if suffix == "dat" else made.to_json(16).encode()
        assert output.read_bytes() == wanted
        assert report["pixels"] == len(made)
        assert report["bytes"] == len(wanted)
    assert "pixels of 160 samples" in run("peaks", source, "-o", output).output
    refused = refusal("peaks", source, "-o", tmp_path / "call.png")
    assert "must end in .dat or .json" in refused["message"]
