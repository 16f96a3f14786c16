# SPDX-License-Identifier: Apache-2.0
"""Running the command line, in this process or in one of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from audioengine.cli import main
from tests.support import FIXTURES, sound

ROOT = FIXTURES.parent
CALL = str(FIXTURES / "mpeg2-16k-48k.mp3")
"""6 s of a call."""
COMMAND = (sys.executable, "-m", "audioengine")
TEMPORARY = ".*.audioengine-part"


def run(*args: str | Path) -> Result:
    """Run in this process."""
    return CliRunner().invoke(main, [str(arg) for arg in args], prog_name="audioengine")


def run_json(*args: str | Path, exit_code: int = 0) -> dict[str, Any]:
    """What is printed with ``--json``: one object, and nothing else."""
    result = run(*args, "--json")
    assert result.exit_code == exit_code, result.output
    assert result.stdout.count("\n") == 1
    printed: dict[str, Any] = json.loads(result.stdout)
    return printed


def refusal(*args: str | Path, exit_code: int = 2) -> dict[str, Any]:
    """The error object of a command that fails; people are told on stderr, without a traceback."""
    result = run(*args, "--json")
    assert result.exit_code == exit_code, result.output
    assert "Error: " in result.stderr
    assert "Traceback" not in result.stderr
    printed = json.loads(result.stdout)
    assert list(printed) == ["error"]
    error: dict[str, Any] = printed["error"]
    return error


def rules(error: dict[str, Any]) -> dict[str, str]:
    """Paths of a refusal's problems, and what would be right there."""
    return {problem["path"]: problem["rule"] for problem in error["problems"]}


def as_json(report: dict[str, Any]) -> dict[str, Any]:
    """A report's values as they come out of JSON, without what differs from run to run."""
    plain: dict[str, Any] = json.loads(json.dumps(report))
    plain.pop("wall_seconds", None)
    return plain


@lru_cache(maxsize=1)
def long_call() -> bytes:
    """More than an hour at 8 kHz, which nothing re-encodes in a few seconds."""
    return b"".join(frame.data for frame in sound("nores-8k")) * 700


@contextmanager
def started(*args: str | Path, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process of its own, killed at the end if it still runs."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [*COMMAND, *map(str, args)]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    with subprocess.Popen(command, env=environment, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()
