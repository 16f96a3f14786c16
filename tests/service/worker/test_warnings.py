# SPDX-License-Identifier: Apache-2.0
"""What reports of commands warn of is logged with its recording, and counted."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from audioengine.service.metrics import Metrics
from tests.service.site import Site, send, store, wait_for
from tests.service.test_aws_lambda import Function
from tests.service.test_logs import lines  # noqa: F401 - a fixture


def test_warnings_are_logged_and_counted(
    tmp_path: Path,
    lines: io.StringIO,  # noqa: F811 - the fixture
) -> None:
    site, metrics = Site(tmp_path), Metrics()
    site.put("one")
    params = {"mask": {"caller": [{"from": 1, "to": 8}]}}
    with site.working(metrics=metrics):
        send(site.queue(), store("one", modificationParams=params))
        wait_for(site.heard)
        logged = wait_for(lambda: _warnings(lines))
    (entry,) = logged
    assert entry["code"] == "mask_clipped"
    assert entry["recordingId"] == "one"
    assert "asked 1 to 8 s" in entry["warning"]
    assert b'audioengine_warnings_total{code="mask_clipped"} 1.0' in metrics.text()


def test_of_a_function_too(tmp_path: Path, lines: io.StringIO) -> None:  # noqa: F811
    function = Function(Site(tmp_path))
    function.site.put("one")
    params = {"mask": {"caller": [{"from": 1, "to": 1.04}, {"from": 2, "to": 8}]}}
    function.call(store("one", modificationParams=params))
    assert function.told() == ["STORERECORDINGFAILED"]
    params = {"mask": {"caller": [{"from": 2, "to": 8}]}}
    function.call(store("one", modificationParams=params))
    assert [(one["code"], one["recordingId"]) for one in _warnings(lines)] == [
        ("mask_clipped", "one")
    ]


def _warnings(lines: io.StringIO) -> list[dict[str, Any]]:  # noqa: F811
    entries = [json.loads(line) for line in lines.getvalue().splitlines()]
    return [one for one in entries if one["level"] == "warning"]
