# SPDX-License-Identifier: Apache-2.0
"""A bar for long work, for people who watch."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest

from audioengine.cli.progress import progress_bar
from tests.cli.helpers import CALL, run


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """What people see on stderr from now on; no fixture, as pytest sets stderr after those."""
    seen = Terminal()
    monkeypatch.setattr(sys, "stderr", seen)
    return seen


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """All work counts as long."""
    monkeypatch.setattr("audioengine.cli.progress._QUIET_SECONDS", 0)


@pytest.mark.usefixtures("at_once")
def test_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """It moves with the frames, and starts again with a longer way if the work does."""
    seen = terminal(monkeypatch)
    with progress_bar(shown=True) as draw:
        assert draw is not None
        for done, total in ((0, 10), (5, 10), (1, 20), (20, 20)):
            draw(done, total)
    assert re.findall(r"\d+%", seen.getvalue()) == ["0%", "50%", "5%", "100%"]
    assert seen.getvalue().endswith("\n")


def test_short_work_has_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done within a second draws nothing."""
    seen = terminal(monkeypatch)
    with progress_bar(shown=True) as draw:
        assert draw is not None
        draw(1, 10)
        draw(10, 10)
    assert seen.getvalue() == ""


@pytest.mark.usefixtures("at_once")
def test_machines_get_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """--json draws none even on a terminal."""
    terminal(monkeypatch)
    with progress_bar(shown=False) as draw:
        assert draw is None


@pytest.mark.usefixtures("at_once")
def test_no_bar_where_nobody_watches(tmp_path: Path) -> None:
    """A log or a pipe gets none, however long the work."""
    result = run("store", CALL, tmp_path / "out.mp3", "--render", "full", "--trim", "1-")
    assert result.exit_code == 0
    assert result.stderr == ""
