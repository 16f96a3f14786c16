# SPDX-License-Identifier: Apache-2.0
"""Outputs that were made before: the same request gives the same bytes, release after release.

Digests belong to a version of each codec and to a processor. Where there are none for those that
run here, the test says which to add; where they differ, an output has changed, and the changelog
must say so.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
from importlib.metadata import version
from pathlib import Path

import pytest
import soundfile

import audioengine as ae
from tests.support import fixture

GOLDEN = Path(__file__).with_name("golden.json")
CODECS = " ".join(
    (
        f"lameenc {version('lameenc')}",
        f"libsndfile {soundfile.__libsndfile_version__}",
        platform.machine(),
    )
)
REQUESTS = {
    "mpeg25-8k-32k": ae.Modification(mask={"caller": [ae.Interval(1, 1.5)]}),
    "mpeg1-44k-128k": ae.Modification(mask={"both": [ae.Interval(0.4, 0.7)]}, guard_ms=40),
    "vbr-16k": ae.Modification(trim=ae.Interval(0.5, 1.7), mask={"callee": [ae.Interval(0.8, 1)]}),
}


def made() -> dict[str, str]:
    digests = {}
    for name, modification in REQUESTS.items():
        out = io.BytesIO()
        ae.store(fixture(name), out, modification)
        digests[name] = hashlib.sha256(out.getvalue()).hexdigest()
    return digests


def test_the_outputs_are_those_of_before() -> None:
    known = json.loads(GOLDEN.read_text())
    assert all(digests.keys() == REQUESTS.keys() for digests in known.values())
    if CODECS not in known:
        pytest.skip(f"add to {GOLDEN.name}: {json.dumps({CODECS: made()})}")
    assert made() == known[CODECS]
