# SPDX-License-Identifier: Apache-2.0
"""While some jobs of a process wait for a store, others go on."""

from __future__ import annotations

from pathlib import Path

import pytest

import audioengine as ae
from audioengine.batch import run
from tests.batch.helpers import EDIT, SHORT, job, made, manifest_of
from tests.storage import servers
from tests.storage.servers import Stored, faulty_store

JOBS = 12


def test_one_process_loads_and_sends_several_recordings_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that takes its time for each answer lets one process wait no more than it must."""
    for name, value in servers.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    with faulty_store() as server:
        late = servers.Late(0.3)
        server.always = {"GET": late, "PUT": late}
        server.objects["/calls/in.mp3"] = Stored(SHORT.read_bytes())
        lines = [
            job(f"s3://calls/out/{n}.mp3", "s3://calls/in.mp3", modification=EDIT)
            for n in range(JOBS)
        ]
        report = ae.run_batch(
            manifest_of(tmp_path, lines),
            tmp_path / "journal",
            s3=ae.S3Options(endpoint_url=server.url),
            concurrency=1,
        )
        outputs = {server.objects[f"/calls/out/{n}.mp3"].data for n in range(JOBS)}
    assert (report.done, report.failed) == (JOBS, 0)
    assert outputs == {made(SHORT, EDIT)}
    assert run._AT_ONCE - 2 <= late.most <= run._AT_ONCE
