# SPDX-License-Identifier: Apache-2.0
"""The worker, with an embedded queue and folders as buckets."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

import audioengine as ae
from tests.execution.service import DATA, KEPT, TEMP
from tests.service.core.site import Site, delete, send, store, wait_for


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "site")


def test_commands_are_carried_out_told_of_and_deleted(site: Site) -> None:
    queue = site.queue()
    commands = []
    for number in range(6):
        site.put(f"r{number}")
        commands += [store(f"r{number}"), delete(f"r{number}")]
    for command in commands:
        send(queue, command)
    with site.working(queue):
        wait_for(lambda: queue.depth() == 0)
    told = site.by_command()
    for command in commands:
        (event,) = told[command["replyId"]]
        wanted = {"STORERECORDING": "RECORDINGSTORED", "DELETERECORDING": "RECORDINGDELETED"}
        assert event["event"] == wanted[command["method"]]
    made = io.BytesIO()
    params = commands[0]["modificationParams"]
    ae.store(DATA, made, ae.Modification.from_params(params))
    outputs = sorted((site.root / KEPT).glob("*.mp3"))
    assert len(outputs) == 6
    assert {path.read_bytes() for path in outputs} == {made.getvalue()}
    assert list((site.root / TEMP).glob("*.mp3")) == []
