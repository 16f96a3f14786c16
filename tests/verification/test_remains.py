# SPDX-License-Identifier: Apache-2.0
"""Frames that are the source's are no trace of what it hides, unless that is sound."""

from __future__ import annotations

import numpy as np
import pytest

from audioengine.plan.grid import FrameRange
from fixtures import mpeg
from tests.operations import bits
from tests.operations.helpers import Cut, Recording, lame, recorded, store
from tests.operations.test_verify_broken import failures

RATE = 24_000


def tone(hidden: int) -> Recording:
    """A second of a tone at the lowest bitrates, of which the last samples are hidden."""
    wave = 0.3 * np.sin(2 * np.pi * 1700 * np.arange(RATE) / RATE)
    frames = list(mpeg.frames(lame(np.stack((wave, wave[::-1]), axis=1), RATE, 16)))
    padding = len(frames) * 576 - 576 - len(wave)
    return recorded(f"tone, {hidden} hidden", bits.with_tag(frames, 576, padding + hidden))


@pytest.mark.parametrize(("hidden", "found"), [(0, set()), (400, {"removed_audio"})])
def test_what_rings_on_behind_the_end(
    monkeypatch: pytest.MonkeyPatch, hidden: int, found: set[str]
) -> None:
    source = tone(hidden)
    # The frame in which the recording ends, as if it were copied.
    last = (source.start + source.samples - 1) // source.spf
    suspects = [[FrameRange(last, last + 1)], []]
    result = store(source, Cut((RATE // 2, source.samples)))
    monkeypatch.setattr("audioengine.verification.copies.suspects", lambda *_: suspects)
    assert failures(result) == found
