# SPDX-License-Identifier: Apache-2.0
"""Options, scratch space and the tables at the end of the benchmarks."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import results
from benchmarks.material import cache_folder


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write-results", action="store_true", help="write the tables to benchmarks/results.md"
    )


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder beside the material, so that both are on one disk; its gigabytes go at once."""
    cache_folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_folder(), prefix="scratch-") as folder:
        yield Path(folder)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if not results.rows:
        return
    terminalreporter.section("audioengine against others")
    for line in (*results.conditions(), "", *results.tables().splitlines()):
        terminalreporter.write_line(line)
    if config.getoption("--write-results"):
        results.write()
        terminalreporter.write_line(f"written to {results.RESULTS.name}")
