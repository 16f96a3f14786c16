# SPDX-License-Identifier: Apache-2.0
"""Stopping a command: whatever a signal breaks on its way, the command was interrupted."""

from __future__ import annotations

import os
import signal

import click
from click.testing import CliRunner

from audioengine.cli.program import Program


@click.group(cls=Program)
def program() -> None:
    """A program with one verb."""


@program.command()
@click.option("--stopped", is_flag=True)
def broken(stopped: bool) -> None:
    """Fail, after a signal that asked to stop or without one."""
    try:
        if stopped:
            os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        pass
    raise RuntimeError("a lock that is not held")


def test_what_an_interrupt_breaks_is_an_interrupt() -> None:
    result = CliRunner().invoke(program, ["broken", "--stopped"])
    assert result.exit_code == 130
    assert "interrupted" in result.stderr


def test_what_breaks_by_itself_is_a_bug() -> None:
    result = CliRunner().invoke(program, ["broken"])
    assert result.exit_code == 1
    assert isinstance(result.exception, RuntimeError)
