# SPDX-License-Identifier: Apache-2.0
"""Stopping a verb: whatever a signal breaks on its way, the command was interrupted.

All in processes of their own: a stopped command leaves its process deaf to signals.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from tests.cli.helpers import ROOT

STOPPING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]

# Fails after the signals it is told to send itself. They begin as in a shell's foreground.
PROGRAM = """
import signal
import click
from audioengine.cli.program import Program

@click.group(cls=Program)
def program():
    pass

@program.command()
@click.argument("numbers", type=int, nargs=-1)
@click.option("--json", is_flag=True)
def fail(numbers, json):
    for number in numbers:
        try:
            signal.raise_signal(number)
        except KeyboardInterrupt:
            click.echo(f"stopped by {number}", err=True)
    raise RuntimeError("a lock that is not held")

for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
program()
"""


def fail(*args: object) -> subprocess.CompletedProcess[str]:
    """The program's end."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", PROGRAM, "fail", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.parametrize("number", STOPPING)
def test_what_a_signal_breaks_is_an_interrupt(number: signal.Signals) -> None:
    done = fail(int(number), "--json")
    assert done.returncode == 130
    assert json.loads(done.stdout)["error"]["type"] == "Interrupted"
    assert done.stderr.splitlines() == [f"stopped by {int(number)}", "Error: interrupted"]


def test_only_the_first_signal_interrupts() -> None:
    """The others do nothing at all, not even what they would by default."""
    done = fail(*map(int, STOPPING), *map(int, STOPPING))
    assert done.returncode == 130
    assert done.stdout == ""
    assert done.stderr.splitlines() == [f"stopped by {int(signal.SIGINT)}", "Error: interrupted"]


def test_what_breaks_by_itself_is_a_bug() -> None:
    done = fail("--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["type"] == "InternalError"
    assert done.stderr.splitlines()[-1] == "RuntimeError: a lock that is not held"
