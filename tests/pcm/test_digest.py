# SPDX-License-Identifier: Apache-2.0
"""The digest of samples: what another reading of the same file gives, whatever the blocks."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import pytest
import soundfile

import audioengine as ae
from audioengine.mp3.scan import scan
from audioengine.pcm import digest
from audioengine.storage.objects import BytesSource
from tests.support import fixture


def edited(name: str) -> bytes:
    out = io.BytesIO()
    edit = ae.Modification(trim=ae.Interval(0.5, 4), mask={"caller": [ae.Interval(1, 2)]})
    ae.store(fixture(name), out, edit)
    return out.getvalue()


@pytest.mark.parametrize("name", ["mpeg2-16k-48k", "mpeg25-8k-32k", "mpeg1-44k-128k", "mono-8k"])
@pytest.mark.parametrize("block", [5_000, 1 << 18])
def test_it_is_what_the_decoder_gives_of_the_whole_file(
    name: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As its description says."""
    monkeypatch.setattr(digest, "_BLOCK_SAMPLES", block)
    data = edited(name)
    source = BytesSource(data)
    told = digest.pcm_digest(source, scan(source))
    pcm, rate = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    rounded = np.clip(np.rint(pcm * 32768), -32768, 32767).astype("<i2")
    assert told.sha256 == hashlib.sha256(rounded.tobytes()).hexdigest()
    assert (told.samples, told.channels, told.rate_hz) == (*rounded.shape, rate)
    assert soundfile.__libsndfile_version__ in told.decoder


def test_another_sample_is_another_digest() -> None:
    digests = set()
    for name in ("mpeg2-16k-48k", "midside-16k"):
        source = BytesSource(edited(name))
        digests.add(digest.pcm_digest(source, scan(source)).sha256)
    assert len(digests) == 2
