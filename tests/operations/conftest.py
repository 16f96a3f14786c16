# SPDX-License-Identifier: Apache-2.0
"""What the tests of reading and publishing edit: a recording in a folder of its own."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

import audioengine as ae
from tests.operations.helpers import Cut, recording

NAME = "mpeg25-8k-32k"
EDIT = Cut((1000, 40_000), caller=((8000, 16_000),)).modification(8000)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.mp3"
    path.write_bytes(recording(NAME).data)
    return path


@pytest.fixture(scope="module")
def wanted() -> bytes:
    """What the edit makes of the recording."""
    out = io.BytesIO()
    ae.store(recording(NAME).data, out, EDIT)
    return out.getvalue()
