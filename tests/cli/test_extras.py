# SPDX-License-Identifier: Apache-2.0
"""What a plain installation lacks is named, and how to get it."""

from __future__ import annotations

import subprocess
import sys

import pytest

EXTRA = ("httpx", "prometheus_client", "starlette", "structlog", "uvicorn")
BLOCKED = """
import sys
for name in {names}:
    sys.modules[name] = None
from audioengine.cli import main
main({arguments})
"""


@pytest.mark.parametrize("names", [EXTRA, EXTRA[-1:]], ids=["all", "one"])
@pytest.mark.parametrize(
    "arguments",
    [
        ["serve"],
        ["serve", "--embedded", "data"],
        ["worker"],
        ["ingest", "a.mp3", "--meta", "{}"],
        ["sweep"],
    ],
    ids=" ".join,
)
def test_a_verb_of_the_service_names_its_extra(
    arguments: list[str], names: tuple[str, ...]
) -> None:
    code = BLOCKED.format(names=names, arguments=arguments)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "pip install 'audioengine[service]'" in done.stderr
    assert all(name in done.stderr for name in names)
    assert "Traceback" not in done.stderr
